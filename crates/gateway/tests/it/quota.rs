//! Throttled requests, as each protocol has it.

use std::time::Duration;

use base::TopicName;
use broker::{
    InstanceChange, InstanceSpec, TopicSpec,
    plan::{Edition, Plan, PlanChange, SubSeries},
};
use gateway::Series;
use wire::{
    grpc_v2 as v2,
    remoting::{Command, ResponseCode},
};

use crate::{
    grpc_v2::{Sdk, message},
    remoting::send_one,
    support::{Server, Setup, soon},
};

/// What the first send that is not `taken` is answered with. A busy machine may take a second
/// between two of them, which is another second's then.
async fn first_refused<A>(mut send: impl AsyncFnMut() -> A, taken: impl Fn(&A) -> bool) -> A {
    for _ in 0..20 {
        let answer = send().await;
        if !taken(&answer) {
            return answer;
        }
    }
    panic!("all sends are taken");
}

/// A server whose topic takes one unit a second, and whose clock stands.
async fn server(series: Series) -> Server {
    let server = Server::with(Setup {
        series,
        ..Setup::default()
    })
    .await;
    let mut spec = TopicSpec::new(TopicName::new("orders").unwrap(), 8);
    let limit = TopicSpec::MAX_SEND_TPS.to_owned();
    spec.attributes.insert(limit, "1".to_owned());
    server.instance.create_topic(spec).await.unwrap();
    server
}

#[tokio::test]
async fn each_protocol_is_told_in_its_own_words() {
    for (series, code) in [
        (Series::V4, ResponseCode::FlowControl),
        (Series::V5, ResponseCode::TooManyRequests),
    ] {
        let server = server(series).await;
        let mut peer = server.peer().await;
        let taken = send_one(&mut peer, "orders", 0).await;
        assert_eq!(taken.response_code(), Some(ResponseCode::Success));
        let mut opaque = 1;
        let send = async || {
            opaque += 1;
            send_one(&mut peer, "orders", opaque).await
        };
        let is_taken = |answer: &Command| answer.response_code() == Some(ResponseCode::Success);
        let refused = first_refused(send, is_taken).await;
        assert_eq!(refused.response_code(), Some(code), "{refused:?}");
        let remark = refused.remark.unwrap();
        assert!(remark.contains("messages flow control"), "{remark}");
        server.clock.advance(Duration::from_secs(1));
        let taken = send_one(&mut peer, "orders", 1).await;
        assert_eq!(taken.response_code(), Some(ResponseCode::Success));
    }

    let server = server(Series::Any).await;
    assert_eq!(crate::ons_http::send_plain(&server).await, 201);
    let send = async || crate::ons_http::send_plain(&server).await;
    assert_eq!(first_refused(send, |status| *status == 201).await, 429);
    let mut sdk = Sdk::connect(&server, "sdk").await;
    let send = async || {
        let messages = vec![message("orders", "hello")];
        let mut request = tonic::Request::new(v2::SendMessageRequest { messages });
        let id = "sdk".parse().unwrap();
        request.metadata_mut().insert("x-mq-client-id", id);
        let answer = sdk.client.send_message(request);
        let answer = soon("send", answer).await.unwrap().into_inner();
        answer.status.unwrap()
    };
    let status = first_refused(send, |status| status.code() == v2::Code::Ok).await;
    assert_eq!(status.code(), v2::Code::TooManyRequests, "{status:?}");
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let page = server.over_http(request).await;
    assert!(page.contains("carrack_throttled_sends_total{"), "{page}");
}

#[tokio::test]
async fn a_plan_holds_at_once_and_when_it_changes() {
    let server = Server::start().await;
    let instances = server.front.instances.clone().unwrap();
    let name = Some("rmq.s1.micro".to_owned());
    let plan = Plan::new(Edition::Standard, SubSeries::SingleNode, name);
    let spec = InstanceSpec {
        series: Series::V5,
        plan: Some(plan),
        ..InstanceSpec::default()
    };
    let id = instances.create(spec).await.unwrap().id.clone();
    let instance = server.front.router.instance(&id).unwrap();
    let hours = |hours: u64| Some(Duration::from_secs(hours * 60 * 60));
    assert_eq!(instance.planned_retention(), hours(72));
    let change = PlanChange {
        retention_hours: Some(24),
        ..PlanChange::default()
    };
    let change = InstanceChange {
        plan: Some(change),
        ..InstanceChange::default()
    };
    instances.update(&id, change).await.unwrap();
    assert_eq!(instance.planned_retention(), hours(24));
    let mut peer = server.peer().await;
    send_one(&mut peer, &format!("{id}%orders"), 0).await;
    let all = (
        base::Timestamp::from_ms(0),
        base::Timestamp::from_ms(i64::MAX),
    );
    let used = instances.usage(Some(&id), all.0, all.1).await.unwrap();
    assert_eq!(
        used.iter()
            .map(|(_, record)| record.send_units)
            .sum::<u64>(),
        1
    );
    // What it used outlives it.
    for topic in instance.topics() {
        instance.delete_topic(topic.name()).await.unwrap();
    }
    instances.release(&id).await.unwrap();
    let after = instances.usage(None, all.0, all.1).await.unwrap();
    assert_eq!(after, used);
}
