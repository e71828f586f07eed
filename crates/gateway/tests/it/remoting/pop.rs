//! Pop: taking messages for a time, settling them with what the answer told, waiting for them.

use std::time::Duration;

use wire::remoting::{
    body::{BatchAck, BatchAckRequest},
    header::{
        AckMessageRequest, ChangeInvisibleDurationRequest, ChangeInvisibleDurationResponse,
        PollingInfoRequest, PollingInfoResponse, PopMessageRequest, PopMessageResponse,
    },
};

use super::*;

/// The binary form has 16 bits for a code: too few for these.
pub(super) async fn json_peer(server: &Server) -> Peer {
    let mut peer = server.peer().await;
    peer.serialize_type = SerializeType::Json;
    peer
}

pub(crate) fn pop_header(group: &str) -> PopMessageRequest<'_> {
    PopMessageRequest {
        consumer_group: group,
        topic: "orders",
        queue_id: -1,
        max_message_count: 32,
        invisible_ms: 60_000,
        poll_ms: 0,
        born_timestamp: 0,
        init_mode: 0,
        expression_type: Some("TAG"),
        expression: Some("*"),
        order: false,
        attempt_id: None,
        broker_name: None,
    }
}

/// A message with the receipt that a client makes for it.
pub(super) struct Popped {
    message: StoredMessage,
    receipt: String,
}

/// Puts receipts together as `MQClientAPIImpl.processPopResponse` does.
pub(super) fn popped(answer: &Command) -> Vec<Popped> {
    succeeded(answer);
    let header: PopMessageResponse<'_> = answer.header().unwrap();
    let read = |info: Option<&str>| -> BTreeMap<String, String> {
        let entries = info.unwrap().split(';');
        let entry = |entry: &str| entry.rsplit_once(' ').map(|(k, v)| (k.into(), v.into()));
        entries.filter_map(entry).collect()
    };
    let starts = read(header.start_offset_info);
    let offsets = read(header.message_offset_info);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let receipt = |message: StoredMessage| {
        let queue = message.queue_id();
        let key = format!("0 {queue}");
        let index = seen.entry(key.clone()).or_default();
        let offset = offsets[&key].split(',').nth(*index).unwrap();
        *index += 1;
        assert_eq!(offset, message.queue_offset().to_string());
        assert!(starts[&key].parse::<i64>().unwrap() <= message.queue_offset());
        let PopMessageResponse {
            pop_timestamp,
            invisible_ms,
            revive_queue_id,
            ..
        } = header;
        let start = &starts[&key];
        Popped {
            receipt: format!(
                "{start} {pop_timestamp} {invisible_ms} {revive_queue_id} 0 default-0 {queue} \
                 {offset}"
            ),
            message,
        }
    };
    messages(answer).into_iter().map(receipt).collect()
}

impl Popped {
    fn ack<'a>(&'a self, group: &'a str) -> AckMessageRequest<'a> {
        AckMessageRequest {
            consumer_group: group,
            topic: "orders",
            queue_id: self.message.queue_id().cast_signed(),
            extra_info: &self.receipt,
            offset: self.message.queue_offset(),
            lite_topic: None,
            broker_name: Some("default-0"),
        }
    }

    fn delay(&self, ms: i64) -> ChangeInvisibleDurationRequest<'_> {
        ChangeInvisibleDurationRequest {
            consumer_group: "billing",
            topic: "orders",
            queue_id: self.message.queue_id().cast_signed(),
            extra_info: &self.receipt,
            offset: self.message.queue_offset(),
            invisible_ms: ms,
            lite_topic: None,
            suspend: false,
            broker_name: None,
        }
    }
}

pub(super) async fn pop(peer: &mut Peer, header: &PopMessageRequest<'_>) -> Command {
    peer.call(RequestCode::PopMessage, header).await
}

fn is_empty(answer: &Command) {
    refused(answer, ResponseCode::PollingTimeout, "");
    let header: PopMessageResponse<'_> = answer.header().unwrap();
    assert_eq!(header.invisible_ms, 60_000);
}

#[tokio::test]
async fn popped_messages_are_done_once_they_are_acknowledged() {
    let server = Server::start().await;
    send_some(&server, "orders", 3).await;
    let mut peer = json_peer(&server).await;
    let some = PopMessageRequest {
        max_message_count: 2,
        ..pop_header("billing")
    };
    let answer = pop(&mut peer, &some).await;
    let first = popped(&answer);
    assert_eq!(first.len(), 2);
    let header: PopMessageResponse<'_> = answer.header().unwrap();
    assert_eq!(header.rest_count, 1);
    assert!(header.revive_queue_id > 0);
    let rest = popped(&pop(&mut peer, &pop_header("billing")).await);
    assert_eq!(rest.len(), 1);
    is_empty(&pop(&mut peer, &pop_header("billing")).await);
    // Another group has its own way through the queue.
    let others = popped(&pop(&mut peer, &pop_header("auditing")).await);
    assert_eq!(others.len(), 3);

    let ack = first[0].ack("billing");
    succeeded(&peer.call(RequestCode::AckMessage, &ack).await);
    let again = peer.call(RequestCode::AckMessage, &ack).await;
    refused(&again, ResponseCode::NoMessage, "has expired or was used");
    let foreign = peer
        .call(RequestCode::AckMessage, &first[1].ack("auditing"))
        .await;
    refused(&foreign, ResponseCode::NoMessage, "");

    // Nobody settles the others: they come again, and say how often they failed.
    server.clock.advance(Duration::from_secs(61));
    let late = peer
        .call(RequestCode::AckMessage, &first[1].ack("billing"))
        .await;
    refused(&late, ResponseCode::NoMessage, "");
    let again = popped(&pop(&mut peer, &pop_header("billing")).await);
    let told: Vec<(i64, i32)> = again
        .iter()
        .map(|popped| {
            (
                popped.message.queue_offset(),
                popped.message.reconsume_times(),
            )
        })
        .collect();
    assert_eq!(told, [(1, 1), (2, 1)]);
    assert_eq!(again[0].message.body(), "body-1".as_bytes());
    for popped in &again {
        let ack = popped.ack("billing");
        succeeded(&peer.call(RequestCode::AckMessage, &ack).await);
    }
    server.clock.advance(Duration::from_secs(61));
    is_empty(&pop(&mut peer, &pop_header("billing")).await);
}

#[tokio::test]
async fn a_batch_of_acknowledgements_settles_what_is_in_flight() {
    let server = Server::start().await;
    send_some(&server, "orders", 10).await;
    let mut peer = json_peer(&server).await;
    let answer = pop(&mut peer, &pop_header("billing")).await;
    let header: PopMessageResponse<'_> = answer.header().unwrap();
    let nonce = header.revive_queue_id;
    let ack = |bit_set: &str, nonce| BatchAckRequest {
        acks: vec![BatchAck {
            bit_set: bit_set.to_owned(),
            consumer_group: "billing".to_owned(),
            invisible_ms: 60_000,
            pop_timestamp: 1,
            queue_id: 0,
            retry: "0".to_owned(),
            revive_queue_id: nonce,
            start_offset: 0,
            topic: "orders".to_owned(),
        }],
        broker_name: "default-0".to_owned(),
    };
    // Bits 0 to 7 and 9, and two that are no messages.
    let answer = peer
        .post(RequestCode::BatchAckMessage, &ack("/w4=", nonce))
        .await;
    succeeded(&answer);
    let answer = peer
        .post(RequestCode::BatchAckMessage, &ack("/w4=", nonce))
        .await;
    refused(&answer, ResponseCode::NoMessage, "none of 11");
    let answer = peer
        .post(RequestCode::BatchAckMessage, &ack("AAE=", nonce + 2))
        .await;
    refused(&answer, ResponseCode::NoMessage, "none of 1");
    let answer = peer
        .post(RequestCode::BatchAckMessage, &ack("?", nonce))
        .await;
    refused(&answer, ResponseCode::InvalidParameter, "base 64");
    let huge = "/".repeat(4_000);
    let answer = peer
        .post(RequestCode::BatchAckMessage, &ack(&huge, nonce))
        .await;
    refused(&answer, ResponseCode::InvalidParameter, "more than 1024");
    let none = BatchAckRequest::default();
    let answer = peer.post(RequestCode::BatchAckMessage, &none).await;
    refused(&answer, ResponseCode::NoMessage, "");

    // The last request had settled the one that was left before it was refused.
    server.clock.advance(Duration::from_secs(61));
    is_empty(&pop(&mut peer, &pop_header("billing")).await);
}

#[tokio::test]
async fn a_changed_duration_gives_a_new_receipt() {
    let server = Server::start().await;
    send_some(&server, "orders", 1).await;
    let mut peer = json_peer(&server).await;
    let mut taken = popped(&pop(&mut peer, &pop_header("billing")).await);
    let mut taken = taken.remove(0);
    let answer = peer
        .call(RequestCode::ChangeInvisibleDuration, &taken.delay(10_000))
        .await;
    succeeded(&answer);
    let changed: ChangeInvisibleDurationResponse = answer.header().unwrap();
    assert_eq!(changed.invisible_ms, 10_000);
    let answer = peer
        .call(RequestCode::AckMessage, &taken.ack("billing"))
        .await;
    refused(&answer, ResponseCode::NoMessage, "");
    taken.receipt = format!(
        "0 {} {} {} 0 default-0 0 0",
        changed.pop_timestamp, changed.invisible_ms, changed.revive_queue_id
    );
    server.clock.advance(Duration::from_millis(9_000));
    is_empty(&pop(&mut peer, &pop_header("billing")).await);
    // Zero gives it back at once.
    let answer = peer
        .call(RequestCode::ChangeInvisibleDuration, &taken.delay(0))
        .await;
    succeeded(&answer);
    server.clock.advance(Duration::from_millis(1));
    let again = popped(&pop(&mut peer, &pop_header("billing")).await);
    assert_eq!(again[0].message.reconsume_times(), 1);
    for ms in [-1, i64::MAX] {
        let answer = peer
            .call(RequestCode::ChangeInvisibleDuration, &again[0].delay(ms))
            .await;
        refused(
            &answer,
            ResponseCode::InvalidParameter,
            "invisible duration",
        );
    }
}

#[tokio::test]
async fn a_pop_that_waits_is_woken_by_a_send() {
    let server = Server::start().await;
    send_some(&server, "orders", 1).await;
    let mut peer = json_peer(&server).await;
    assert_eq!(
        popped(&pop(&mut peer, &pop_header("billing")).await).len(),
        1
    );
    let waiting = PopMessageRequest {
        poll_ms: 15_000,
        ..pop_header("billing")
    };
    let poll = peer.command(RequestCode::PopMessage, &waiting);
    peer.send(&poll).await;
    let asked = PollingInfoRequest {
        consumer_group: "billing",
        topic: "orders",
        queue_id: -1,
    };
    let answer = peer.call(RequestCode::PollingInfo, &asked).await;
    let info: PollingInfoResponse = answer.header().unwrap();
    assert_eq!(info.polling_count, 1);

    let mut producer = json_peer(&server).await;
    succeeded(&send_one(&mut producer, "orders", 1).await);
    let answer = peer.receive().await.unwrap();
    assert_eq!(answer.opaque, poll.opaque);
    assert_eq!(popped(&answer)[0].message.queue_offset(), 1);

    // Nothing comes: the answer does, when its time has come.
    let poll = peer.command(RequestCode::PopMessage, &waiting);
    peer.send(&poll).await;
    let answer = peer.call(RequestCode::PollingInfo, &asked).await;
    succeeded(&answer);
    server.clock.advance(Duration::from_secs(15));
    is_empty(&peer.receive().await.unwrap());
}

#[tokio::test]
async fn a_pop_filters_before_it_counts() {
    let server = Server::start().await;
    send_some(&server, "orders", 4).await;
    let mut peer = json_peer(&server).await;
    for (group, kind, expression, keys) in [
        ("by-tag", Some("TAG"), "odd || none", ["key-1", "key-3"]),
        ("by-default", None, "even", ["key-0", "key-2"]),
        (
            "by-sql",
            Some("SQL92"),
            "TAGS <> 'even'",
            ["key-1", "key-3"],
        ),
    ] {
        let header = PopMessageRequest {
            expression_type: kind,
            expression: Some(expression),
            ..pop_header(group)
        };
        let found = popped(&pop(&mut peer, &header).await);
        let key = |popped: &Popped| popped.message.property(properties::KEYS).map(str::to_owned);
        let found: Vec<String> = found.iter().filter_map(key).collect();
        assert_eq!(found, keys, "{group}");
        is_empty(&pop(&mut peer, &pop_header(group)).await);
    }
    let bad = PopMessageRequest {
        expression_type: Some("SQL92"),
        expression: Some("a >"),
        ..pop_header("billing")
    };
    let answer = pop(&mut peer, &bad).await;
    refused(
        &answer,
        ResponseCode::SubscriptionParseFailed,
        "character 4",
    );
}

#[tokio::test]
async fn messages_popped_in_order_come_batch_by_batch() {
    let server = Server::start().await;
    send_some(&server, "orders", 4).await;
    let mut peer = json_peer(&server).await;
    let in_order = PopMessageRequest {
        max_message_count: 2,
        order: true,
        ..pop_header("billing")
    };
    let offsets = |popped: &[Popped]| -> Vec<i64> {
        let offset = |popped: &Popped| popped.message.queue_offset();
        popped.iter().map(offset).collect()
    };
    let first = popped(&pop(&mut peer, &in_order).await);
    assert_eq!(offsets(&first), [0, 1]);
    is_empty(&pop(&mut peer, &in_order).await);
    succeeded(
        &peer
            .call(RequestCode::AckMessage, &first[0].ack("billing"))
            .await,
    );
    is_empty(&pop(&mut peer, &in_order).await);
    // What failed comes before anything else.
    server.clock.advance(Duration::from_secs(61));
    let again = popped(&pop(&mut peer, &in_order).await);
    assert_eq!(offsets(&again), [1]);
    let waiting = PopMessageRequest {
        poll_ms: 15_000,
        ..in_order
    };
    let mut other = json_peer(&server).await;
    let poll = other.command(RequestCode::PopMessage, &waiting);
    other.send(&poll).await;
    let other_work = other.command(RequestCode::GetBrokerClusterInfo, &());
    other.ask(&other_work).await;
    // The last acknowledgement wakes who waits for the rest.
    succeeded(
        &peer
            .call(RequestCode::AckMessage, &again[0].ack("billing"))
            .await,
    );
    let rest = popped(&other.receive().await.unwrap());
    assert_eq!(offsets(&rest), [2, 3]);
}

#[tokio::test]
async fn pops_that_make_no_sense_are_refused() {
    let server = Server::with(Setup {
        create_automatically: false,
        ..Setup::default()
    })
    .await;
    server
        .instance
        .create_topic(broker::TopicSpec::new(
            base::TopicName::new("orders").unwrap(),
            2,
        ))
        .await
        .unwrap();
    let mut peer = json_peer(&server).await;
    let answer = pop(&mut peer, &pop_header("billing")).await;
    refused(&answer, ResponseCode::GroupNotExist, "`billing`");
    let billing = broker::GroupSpec::new(base::GroupName::new("billing").unwrap());
    server.instance.create_group(billing).await.unwrap();
    is_empty(&pop(&mut peer, &pop_header("billing")).await);

    let base = pop_header("billing");
    let nowhere = PopMessageRequest {
        topic: "nowhere",
        ..base.clone()
    };
    let answer = pop(&mut peer, &nowhere).await;
    refused(&answer, ResponseCode::TopicNotExist, "`nowhere`");
    for queue_id in [2, -2, i32::MAX, i32::MIN] {
        let header = PopMessageRequest {
            queue_id,
            ..base.clone()
        };
        let answer = pop(&mut peer, &header).await;
        refused(&answer, ResponseCode::InvalidParameter, "queue");
    }
    for max_message_count in [0, -1, 33, i32::MAX] {
        let header = PopMessageRequest {
            max_message_count,
            ..base.clone()
        };
        let answer = pop(&mut peer, &header).await;
        refused(&answer, ResponseCode::InvalidParameter, "1 to 32");
    }
    for invisible_ms in [0, -1, i64::MAX, i64::MIN] {
        let header = PopMessageRequest {
            invisible_ms,
            ..base.clone()
        };
        let answer = pop(&mut peer, &header).await;
        refused(&answer, ResponseCode::InvalidParameter, "invisible");
    }
    let header = PopMessageRequest {
        init_mode: 7,
        ..base.clone()
    };
    refused(
        &pop(&mut peer, &header).await,
        ResponseCode::InvalidParameter,
        "init mode is 7",
    );
    // A negative wait is none.
    let header = PopMessageRequest {
        poll_ms: i64::MIN,
        ..base
    };
    is_empty(&pop(&mut peer, &header).await);

    let ack = AckMessageRequest {
        consumer_group: "billing",
        topic: "orders",
        queue_id: 0,
        extra_info: "0 1 60000 77 0 default-0 0 0",
        offset: 0,
        lite_topic: None,
        broker_name: None,
    };
    for (queue_id, offset, extra_info, code) in [
        (0, 0, ack.extra_info, ResponseCode::NoMessage),
        (9, 0, ack.extra_info, ResponseCode::NoMessage),
        (0, i64::MAX, ack.extra_info, ResponseCode::NoMessage),
        (-1, 0, ack.extra_info, ResponseCode::InvalidParameter),
        (0, -1, ack.extra_info, ResponseCode::InvalidParameter),
        (0, 0, "", ResponseCode::InvalidParameter),
        (0, 0, "0 1 2", ResponseCode::InvalidParameter),
        (0, 0, "a b c d e f g h", ResponseCode::InvalidParameter),
    ] {
        let header = AckMessageRequest {
            queue_id,
            offset,
            extra_info,
            ..ack.clone()
        };
        let answer = peer.call(RequestCode::AckMessage, &header).await;
        refused(&answer, code, "");
    }
}

#[tokio::test]
async fn each_field_that_is_needed_is_asked_for() {
    let server = Server::start().await;
    send_some(&server, "orders", 1).await;
    let mut peer = json_peer(&server).await;
    for (code, fields) in [
        (
            RequestCode::PopMessage,
            "consumerGroup topic queueId maxMsgNums invisibleTime pollTime bornTime initMode",
        ),
        (
            RequestCode::AckMessage,
            "consumerGroup topic queueId extraInfo offset",
        ),
        (
            RequestCode::ChangeInvisibleDuration,
            "consumerGroup topic queueId extraInfo offset invisibleTime",
        ),
        (
            RequestCode::Notification,
            "consumerGroup topic queueId pollTime bornTime",
        ),
        (
            RequestCode::PeekMessage,
            "topic queueId maxMsgNums consumerGroup",
        ),
        (RequestCode::PollingInfo, "consumerGroup topic queueId"),
    ] {
        let fields: Vec<&str> = fields.split(' ').collect();
        for left_out in &fields {
            let mut command = peer.command(code, &());
            for field in fields.iter().filter(|field| *field != left_out) {
                command.fields.push(field, "1");
            }
            let answer = peer.ask(&command).await;
            let lacks = format!("`{left_out}`");
            refused(&answer, ResponseCode::InvalidParameter, &lacks);
        }
    }
    for code in [
        RequestCode::BatchAckMessage,
        RequestCode::QueryAssignment,
        RequestCode::SetMessageRequestMode,
    ] {
        for body in ["", "{", "7"] {
            let command = peer.command(code, &()).with_body(body.to_owned());
            let answer = peer.ask(&command).await;
            refused(&answer, ResponseCode::InvalidParameter, "");
        }
    }
}
