//! Offsets, and pulls from offsets that the client keeps.

use tonic::Code;
use wire::grpc_v1::{self as v1, QueryOffsetPolicy};

use super::{Sdk, bodies, code, message, resource, seconds, system};
use crate::support::{Server, soon};

fn partition(id: i32) -> Option<v1::Partition> {
    Some(v1::Partition {
        topic: resource("orders"),
        id,
        ..Default::default()
    })
}

impl Sdk {
    async fn send_to(&mut self, partition_id: i32, body: &str) {
        let mut sent = message("orders", body);
        let attributes = sent.system_attribute.get_or_insert_default();
        attributes.message_type = v1::MessageType::Fifo.into();
        attributes.partition_id = partition_id;
        self.send_one(sent).await;
    }

    async fn offset(
        &mut self,
        id: i32,
        policy: QueryOffsetPolicy,
        time_point: Option<prost_types::Timestamp>,
    ) -> (Code, i64) {
        let request = self.request(v1::QueryOffsetRequest {
            partition: partition(id),
            policy: policy.into(),
            time_point,
        });
        let answer = soon("offset", self.client.query_offset(request)).await;
        let answer = answer.unwrap().into_inner();
        (code(&answer.common), answer.offset)
    }

    async fn pull(&mut self, id: i32, offset: i64) -> v1::PullMessageResponse {
        let mut request = self.request(v1::PullMessageRequest {
            group: resource("billing"),
            partition: partition(id),
            offset,
            batch_size: 2,
            await_time: Some(prost_types::Duration {
                seconds: 0,
                nanos: 1,
            }),
            filter_expression: None,
            client_id: "c".to_owned(),
        });
        request.set_timeout(std::time::Duration::from_secs(15));
        let answer = soon("pull", self.client.pull_message(request)).await;
        answer.unwrap().into_inner()
    }
}

#[tokio::test]
async fn a_partition_is_read_from_where_the_client_says() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    for body in ["0", "1", "2"] {
        sdk.send_to(2, body).await;
    }
    let first = sdk.pull(2, 0).await;
    assert_eq!(code(&first.common), Code::Ok);
    assert_eq!(bodies(&first.messages), ["0", "1"]);
    let offsets = (first.min_offset, first.next_offset, first.max_offset);
    assert_eq!(offsets, (0, 2, 3));
    let attributes = system(&first.messages[1]);
    assert_eq!(
        (attributes.partition_id, attributes.partition_offset),
        (2, 1)
    );
    assert_eq!(attributes.receipt_handle, "");
    assert_eq!(bodies(&sdk.pull(2, 2).await.messages), ["2"]);
    // Nothing new is no error: the SDK comes again at once.
    let nothing = sdk.pull(2, 3).await;
    assert_eq!((code(&nothing.common), nothing.next_offset), (Code::Ok, 3));
    assert!(nothing.messages.is_empty());
}

#[tokio::test]
async fn whatever_is_wrong_the_client_is_told_where_to_go_on() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_to(2, "0").await;
    let beyond = sdk.pull(2, 7).await;
    assert_eq!(code(&beyond.common), Code::OutOfRange);
    assert_eq!(beyond.next_offset, 1);
    let no_partition = sdk.pull(8, 7).await;
    assert_eq!(code(&no_partition.common), Code::InvalidArgument);
    assert_eq!(no_partition.next_offset, 7, "not from the start");
    let negative = sdk.pull(2, -1).await;
    assert_eq!(code(&negative.common), Code::OutOfRange);
}

#[tokio::test]
async fn a_partition_has_a_begin_an_end_and_a_past() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_to(2, "0").await;
    server.clock.advance(std::time::Duration::from_secs(100));
    let between = base::Clock::now(&*server.clock).ms() / 1_000 - 50;
    let between = Some(prost_types::Timestamp {
        seconds: between,
        nanos: 0,
    });
    sdk.send_to(2, "1").await;
    let (begin, end, time) = (
        QueryOffsetPolicy::Beginning,
        QueryOffsetPolicy::End,
        QueryOffsetPolicy::TimePoint,
    );
    assert_eq!(sdk.offset(2, begin, None).await, (Code::Ok, 0));
    assert_eq!(sdk.offset(2, end, None).await, (Code::Ok, 2));
    assert_eq!(sdk.offset(2, time, between).await, (Code::Ok, 1));
    assert_eq!(sdk.offset(2, time, None).await.0, Code::InvalidArgument);
    assert_eq!(sdk.offset(9, end, None).await.0, Code::InvalidArgument);
    assert_eq!(sdk.offset(-1, end, None).await.0, Code::InvalidArgument);
}

#[tokio::test]
async fn a_wait_that_makes_no_sense_is_refused() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_to(2, "0").await;
    let request = sdk.request(v1::PullMessageRequest {
        group: resource("billing"),
        partition: partition(2),
        await_time: seconds(-1),
        ..Default::default()
    });
    let answer = sdk.client.pull_message(request).await.unwrap().into_inner();
    assert_eq!(code(&answer.common), Code::InvalidArgument);
}
