//! Dead letters: shown for three days, and sent again to their group alone.

use std::time::Duration;

use base::{GroupName, PhysicalOffset, Timestamp, TopicName};
use broker::{
    BrowseRequest, DeadLetterError, GroupSpec, ReceiveRequest, Received, Retention,
    SendBackRequest, TopicSpec,
};
use wire::message::{MessageId, properties};

use crate::support::{Bench, group, receive_request, request, topic};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Has `billing` fail its messages until they are dead letters.
fn kill(bench: &Bench) {
    for _ in 1..=3 {
        while bench.receive(1_000).is_some() {}
        bench.clock.advance(Duration::from_secs(1));
    }
    assert!(bench.receive(1_000).is_none());
}

/// The server's id of the newest dead letter.
fn newest(bench: &Bench) -> String {
    let letter = bench.pull("%DLQ%billing").pop();
    let letter = letter.expect("the test has made one");
    let (store_host, physical_offset) = (letter.store_host(), letter.physical_offset());
    let id = MessageId {
        store_host,
        physical_offset,
    };
    id.to_string()
}

fn everything() -> BrowseRequest {
    BrowseRequest {
        topic: topic("any"),
        lite_topic: None,
        from: Timestamp::from_ms(i64::MIN),
        to: Timestamp::from_ms(i64::MAX),
        skip: 0,
        max_messages: 10,
    }
}

fn receive_of(bench: &Bench, name: &GroupName) -> Vec<Received> {
    let request = ReceiveRequest {
        group: name.clone(),
        max_messages: 32,
        ..receive_request(None, 10_000, 0)
    };
    let received = bench.run(bench.shard.receive(request));
    received.expect("the test allows no failure here")
}

#[test]
fn what_was_received_is_received_again_by_its_group_alone_with_all_its_attempts() {
    let bench = Bench::new();
    let (billing, shipping, orders) = (group("billing"), group("shipping"), topic("orders"));
    let spec = GroupSpec::new(shipping.clone());
    bench.run(bench.instance.create_group(spec)).unwrap();
    bench.send_with(&[("UNIQ_KEY", "id-1")]);
    bench.send(0, &["later"]);
    for received in receive_of(&bench, &shipping) {
        let ack = bench.shard.ack(&shipping, &orders, &received.handle);
        bench.run(ack).unwrap();
    }
    let first = bench.receive(1_000).unwrap();
    let receipt = bench.receive(1_000).unwrap();
    let ack = bench.shard.ack(&billing, &orders, &receipt.handle);
    bench.run(ack).unwrap();
    bench.clock.advance(Duration::from_secs(1));
    kill(&bench);
    let id = bench.run(bench.shard.resend(&billing, "id-1")).unwrap();
    assert_eq!(id, "id-1");
    // Twice is once, as long as it waits; and so it is after a restart.
    bench.run(bench.shard.resend(&billing, "id-1")).unwrap();
    let bench = bench.reopen();
    assert!(receive_of(&bench, &shipping).is_empty());
    let again = bench.receive(1_000).unwrap();
    assert_eq!((again.attempt, again.message.queue_offset()), (1, 0));
    assert_eq!(again.message.body(), first.message.body());
    assert!(bench.receive(1_000).is_none());
    bench.clock.advance(Duration::from_secs(1));
    kill(&bench);
    // It is there twice now, and can be sent again still.
    assert_eq!(bench.pull("%DLQ%billing").len(), 2);
    bench
        .run(bench.shard.resend(&billing, &newest(&bench)))
        .unwrap();
    assert!(bench.receive(1_000).is_some());
}

#[test]
fn a_receive_that_waits_hears_of_it() {
    let bench = Bench::new();
    bench.send(0, &["a"]);
    kill(&bench);
    let waiting = bench.shard.receive(receive_request(None, 1_000, 30_000));
    let mut waiting = std::pin::pin!(waiting);
    assert!(crate::support::poll(waiting.as_mut()).is_pending());
    let id = newest(&bench);
    bench
        .run(bench.shard.resend(&group("billing"), &id))
        .unwrap();
    assert_eq!(bench.run(waiting).unwrap().len(), 1);
}

#[test]
fn what_retention_has_taken_is_stored_again_in_its_place() {
    let bench = Bench::new();
    let billing = group("billing");
    bench.send(0, &["a"]);
    let large = "x".repeat(4 * 1_024);
    for _ in 0..40 {
        bench.run(bench.shard.send(request(1, &[&large]))).unwrap();
    }
    bench.shard.checkpoint().unwrap();
    bench.clock.advance(Duration::from_secs(7_200));
    let only = |wait| receive_request(Some(0), 1_000, wait);
    for _ in 1..=4 {
        bench.run(bench.shard.receive(only(0))).unwrap();
        bench.clock.advance(Duration::from_secs(1));
    }
    let hour = Retention {
        time: Duration::from_secs(3_600),
        bytes: None,
    };
    assert!(bench.run(bench.shard.retain(hour)).unwrap().bytes > 0);
    let orders = topic("orders");
    let range = bench.shard.queue_range(&orders, base::QueueId::new(0));
    assert_eq!(range.unwrap().min.get(), 1, "the message itself is gone");
    let id = newest(&bench);
    bench.run(bench.shard.resend(&billing, &id)).unwrap();
    let bench = bench.reopen();
    let again = bench.run(bench.shard.receive(only(0))).unwrap();
    assert_eq!(again[0].message.body(), "a".as_bytes());
    assert_eq!((again[0].attempt, again[0].message.queue_offset()), (1, 0));
    assert!(
        again[0]
            .message
            .property(properties::DLQ_ORIGIN_TOPIC)
            .is_none()
    );
    let ack = bench.shard.ack(&billing, &orders, &again[0].handle);
    bench.run(ack).unwrap();
}

#[test]
fn what_a_consumer_gave_back_goes_to_the_retry_topic() {
    let bench = Bench::new();
    let billing = group("billing");
    let sent = bench.send_with(&[("UNIQ_KEY", "id-1"), ("TAGS", "red")]);
    let back = SendBackRequest {
        group: billing.clone(),
        message: sent.physical_offset,
        delay_level: -1,
        retries_max: None,
    };
    bench.run(bench.shard.send_back(back)).unwrap();
    let id = newest(&bench);
    assert_eq!(
        bench.run(bench.shard.resend(&billing, &id)).unwrap(),
        "id-1"
    );
    let copy = bench.pull("%RETRY%billing").pop().unwrap();
    assert_eq!(copy.reconsume_times(), 0);
    assert_eq!(copy.property(properties::RETRY_TOPIC), Some("orders"));
    assert_eq!(copy.property(properties::TAGS), Some("red"));
    assert_eq!(copy.property(properties::DLQ_ORIGIN_TOPIC), None);
    // Once per call: each is a message of its own.
    bench.run(bench.shard.resend(&billing, "id-1")).unwrap();
    assert_eq!(bench.pull("%RETRY%billing").len(), 2);
    assert!(
        bench.receive(1_000).is_some(),
        "the topic has only the first"
    );
}

#[test]
fn dead_letters_are_shown_for_three_days() {
    let bench = Bench::new();
    let billing = group("billing");
    let list = |bench: &Bench, request| bench.run(bench.shard.dead_letters(&billing, request));
    assert_eq!(list(&bench, everything()).unwrap().total, 0);
    bench.send(0, &["old"]);
    kill(&bench);
    let old = newest(&bench);
    bench.clock.advance(2 * DAY);
    bench.send(0, &["young"]);
    kill(&bench);
    let young = newest(&bench);
    assert_eq!(list(&bench, everything()).unwrap().total, 2);
    bench.clock.advance(DAY);
    let shown = list(&bench, everything()).unwrap();
    assert_eq!((shown.total, shown.messages.len()), (1, 1));
    assert_eq!(shown.messages[0].body(), "young".as_bytes());
    let find = |id: &str| bench.run(bench.shard.dead_letter(&billing, id));
    assert!(find(&young).is_ok());
    let hidden = find(&old);
    assert!(
        matches!(hidden, Err(DeadLetterError::NotFound { .. })),
        "{hidden:?}"
    );
    let resent = bench.run(bench.shard.resend(&billing, &old));
    assert!(resent.is_err());
    assert!(bench.receive(1_000).is_none());
}

#[test]
fn a_message_of_another_topic_is_no_dead_letter() {
    let bench = Bench::new();
    let sent = bench.send(0, &["a"])[0];
    let id = MessageId {
        store_host: "127.0.0.1:8080".parse().unwrap(),
        physical_offset: sent.physical_offset.wire(),
    };
    let resent = bench.run(bench.shard.resend(&group("billing"), &id.to_string()));
    assert!(matches!(resent, Err(DeadLetterError::NotFound { .. })));
    let unknown = bench.run(bench.shard.resend(&group("nobody"), "x"));
    assert!(matches!(unknown, Err(DeadLetterError::GroupNotFound(_))));
}

/// Anybody who may write to a dead-letter topic can put anything in.
#[test]
fn an_origin_that_cannot_be_is_refused_or_harmless() {
    let bench = Bench::new();
    bench.send(0, &["a"]);
    kill(&bench);
    let grave = TopicName::dead_letter_of(&group("billing"));
    let place = |place: &str, origin: &str| {
        let mut request = crate::support::request_with(&[
            ("UNIQ_KEY", place),
            ("DLQ_ORIGIN_TOPIC", origin),
            ("DLQ_ORIGIN_PLACE", place),
        ]);
        request.topic = grave.clone();
        bench.run(bench.shard.send(request)).unwrap();
        bench.run(bench.shard.resend(&group("billing"), place))
    };
    let refused = place("0:0", "no name");
    assert!(matches!(refused, Err(DeadLetterError::NoOrigin { .. })));
    // No such queue, no such topic, no place: the retry topic takes it.
    assert!(place("7:0", "orders").is_ok());
    assert!(place("0:1", "nothing").is_ok());
    assert!(place("1:2:3", "orders").is_ok());
    assert_eq!(bench.pull("%RETRY%billing").len(), 3);
    // A place where nothing has ever been.
    let nowhere = place(&format!("1:{}", u64::MAX), "orders");
    assert!(nowhere.is_err(), "{nowhere:?}");
    let nowhere = place("1:5", "orders");
    assert!(nowhere.is_err(), "{nowhere:?}");
    bench.send(1, &["b"]);
    let received = bench.receive(1_000).unwrap();
    assert_eq!(received.message.body(), "b".as_bytes());
    let offset = PhysicalOffset::from_wire(received.message.physical_offset());
    assert!(offset.position().get() > 0);
}

#[test]
fn dead_letters_go_to_the_topic_that_the_group_names_as_long_as_there_is_one() {
    let bench = Bench::new();
    let billing = group("billing");
    let mut spec = bench.instance.group(&billing).unwrap().spec.clone();
    spec.settings.insert(
        GroupSpec::DEAD_LETTER_TARGET_TOPIC.to_owned(),
        "grave".to_owned(),
    );
    bench.run(bench.instance.create_group(spec)).unwrap();
    let grave = TopicSpec::new(topic("grave"), 1);
    bench.run(bench.instance.create_topic(grave)).unwrap();
    bench.send_with(&[("UNIQ_KEY", "id-1")]);
    kill(&bench);
    let letters = bench.pull("grave");
    assert_eq!(letters.len(), 1);
    let property = |name: &str| letters[0].property(name).map(str::to_owned);
    assert_eq!(
        property(properties::DLQ_ORIGIN_TOPIC).as_deref(),
        Some("orders")
    );
    assert_eq!(
        property(properties::DLQ_ORIGIN_MESSAGE_ID).as_deref(),
        Some("id-1")
    );
    let own = TopicName::dead_letter_of(&billing);
    assert!(bench.instance.topic(&own).is_none());
    // So do those that a consumer gives back for good.
    let sent = bench.send(0, &["again"]);
    let request = SendBackRequest {
        group: billing.clone(),
        message: sent[0].physical_offset,
        delay_level: -1,
        retries_max: None,
    };
    bench.run(bench.shard.send_back(request)).unwrap();
    assert_eq!(bench.pull("grave").len(), 2);
    // Without it they have a place all the same.
    bench
        .run(bench.instance.delete_topic(&topic("grave")))
        .unwrap();
    bench.receive(1_000).unwrap();
    bench.clock.advance(Duration::from_secs(1));
    bench.send(0, &["late"]);
    kill(&bench);
    assert!(!bench.pull(own.as_str()).is_empty());
}
