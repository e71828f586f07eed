//! LiteTopics: who gets their messages, in what order, and when they end.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use base::{LiteTopicName, QueueOffset};
use broker::{
    ClientCommand, ClientIdentity, ConsumeFrom, ConsumeMode, ConsumerSubscription, GroupSpec,
    Heartbeat, LiteBindingError, LiteStart, LiteSubscriptionChange, MessageModel, QueueChoice,
    ReceiveError, ReceiveRequest, Received, Retention, SendError, SendRequest, Sent, Subscription,
    SyncLiteSubscriptionError, SyncLiteSubscriptionRequest, TopicSpec, TopicType,
};
use tokio::sync::mpsc;
use wire::message::properties;

use crate::support::{Bench, Count, group, poll, receive_request, request_with, topic};

const HOUR: Duration = Duration::from_secs(3_600);

/// A bench with a topic `chats` whose LiteTopics end after an hour, and groups bound to it:
/// `agents` and, of members that share nothing, `owners`; `archive` consumes all.
pub(crate) fn bench() -> Bench {
    let bench = Bench::new();
    let mut spec = TopicSpec::new(topic("chats"), 1);
    spec.topic_type = Some(TopicType::Lite);
    let expiration = TopicSpec::LITE_TOPIC_EXPIRATION.to_owned();
    spec.attributes.insert(expiration, "60".to_owned());
    bench
        .run(bench.instance.create_topic(spec))
        .expect("the test allows no failure here");
    for (name, bound) in [("agents", true), ("owners", true), ("archive", false)] {
        let mut spec = GroupSpec::new(group(name));
        spec.lite_topic = bound.then(|| topic("chats"));
        if name == "owners" {
            let model = GroupSpec::LITE_SUB_MODEL.to_owned();
            spec.settings.insert(model, "Exclusive".to_owned());
        }
        bench
            .run(bench.instance.create_group(spec))
            .expect("the test allows no failure here");
    }
    bench
}

pub(crate) fn names(names: &[&str]) -> Vec<LiteTopicName> {
    names
        .iter()
        .map(|name| LiteTopicName::new(name).expect("the test allows no failure here"))
        .collect()
}

fn message(lite_topic: &str, key: &str) -> SendRequest {
    SendRequest {
        topic: topic("chats"),
        queue: QueueChoice::Any,
        ..request_with(&[
            (properties::LITE_TOPIC, lite_topic),
            (properties::KEYS, key),
        ])
    }
}

/// Sends one message: its key is the LiteTopic's name and a number, like `a1`.
pub(crate) fn send(bench: &Bench, key: &str) -> Sent {
    bench
        .run(bench.shard.send(message(&key[..1], key)))
        .expect("the test allows no failure here")[0]
}

pub(crate) fn sync(
    bench: &Bench,
    group_name: &str,
    client: &str,
    change: LiteSubscriptionChange,
) -> Result<(), SyncLiteSubscriptionError> {
    bench.run(
        bench
            .shard
            .sync_lite_subscription(SyncLiteSubscriptionRequest {
                group: group(group_name),
                topic: topic("chats"),
                client: client.to_owned(),
                change,
            }),
    )
}

pub(crate) fn add(bench: &Bench, group: &str, client: &str, wanted: &[&str]) {
    let change = LiteSubscriptionChange::Add {
        names: names(wanted),
        from: None,
    };
    sync(bench, group, client, change).expect("the test allows no failure here");
}

fn request(group_name: &str, wait_ms: u64) -> ReceiveRequest {
    ReceiveRequest {
        group: group(group_name),
        topic: topic("chats"),
        max_messages: 16,
        ..receive_request(None, 10_000, wait_ms)
    }
}

pub(crate) fn receive(bench: &Bench, group: &str, client: &str) -> Vec<Received> {
    bench
        .run(bench.shard.receive_lite(request(group, 0), client))
        .expect("the test allows no failure here")
}

fn keys(received: &[Received]) -> Vec<&str> {
    let keys = received.iter();
    keys.filter_map(|received| received.message.property(properties::KEYS))
        .collect()
}

pub(crate) fn ack(bench: &Bench, group_name: &str, received: &[Received]) {
    let (group, topic) = (group(group_name), topic("chats"));
    for received in received {
        let acked = bench.shard.ack(&group, &topic, &received.handle);
        bench.run(acked).expect("the test allows no failure here");
    }
}

/// Ten thousand clients wait at a time, and most of what a look needs is not needed to wait.
#[test]
fn a_long_poll_is_small() {
    let bench = bench();
    let lite = bench.shard.receive_lite(request("agents", 5_000), "one");
    let any = bench.shard.receive(request("archive", 5_000));
    let bytes = [size_of_val(&lite), size_of_val(&any)];
    assert!(bytes.iter().all(|bytes| *bytes < 2_048), "{bytes:?} bytes");
}

#[test]
fn a_client_gets_what_it_subscribed_to_and_nothing_else() {
    let bench = bench();
    for key in ["a1", "b1", "a2", "c1"] {
        send(&bench, key);
    }
    add(&bench, "agents", "one", &["a", "c"]);
    add(&bench, "agents", "two", &["b", "z"]);
    let received = receive(&bench, "agents", "one");
    assert_eq!(keys(&received), ["a1", "a2", "c1"]);
    assert_eq!(keys(&receive(&bench, "agents", "two")), ["b1"]);
    // One that was there before any message.
    send(&bench, "z1");
    assert_eq!(keys(&receive(&bench, "agents", "two")), ["z1"]);
    ack(&bench, "agents", &received);
    assert!(receive(&bench, "agents", "one").is_empty());
    // Who subscribed to nothing gets nothing.
    assert!(receive(&bench, "agents", "three").is_empty());
}

#[test]
fn a_lite_topic_is_received_in_order_and_a_stuck_one_holds_up_no_other() {
    let bench = bench();
    add(&bench, "agents", "one", &["a", "b"]);
    add(&bench, "agents", "two", &["a"]);
    let first = send(&bench, "a1");
    let received = receive(&bench, "agents", "one");
    assert_eq!(keys(&received), ["a1"]);
    for key in ["a2", "b1"] {
        send(&bench, key);
    }
    assert_eq!(first.queue_offset, QueueOffset::new(0));
    assert_eq!(keys(&receive(&bench, "agents", "one")), ["b1"]);
    assert!(receive(&bench, "agents", "two").is_empty());
    // Unacknowledged, it comes again before what is behind it, to whoever asks first.
    bench.clock.advance(Duration::from_millis(10_001));
    let again = receive(&bench, "agents", "two");
    assert_eq!(keys(&again), ["a1"]);
    assert_eq!(again[0].attempt, 2);
    ack(&bench, "agents", &again);
    let second = receive(&bench, "agents", "two");
    assert_eq!(keys(&second), ["a2"]);
    ack(&bench, "agents", &second);
    bench.clock.advance(Duration::from_millis(10_001));
    assert_eq!(keys(&receive(&bench, "agents", "one")), ["b1"]);
    assert!(receive(&bench, "agents", "two").is_empty());
}

#[test]
fn a_message_wakes_who_waits_for_it_and_nobody_else() {
    let bench = bench();
    add(&bench, "agents", "one", &["a"]);
    add(&bench, "agents", "two", &["b"]);
    let (one, two) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let wakers = [Waker::from(one.clone()), Waker::from(two.clone())];
    let mut first = pin!(bench.shard.receive_lite(request("agents", 5_000), "one"));
    let mut second = pin!(bench.shard.receive_lite(request("agents", 5_000), "two"));
    assert!(
        first
            .as_mut()
            .poll(&mut Context::from_waker(&wakers[0]))
            .is_pending()
    );
    assert!(
        second
            .as_mut()
            .poll(&mut Context::from_waker(&wakers[1]))
            .is_pending()
    );
    let before = two.0.load(Ordering::Relaxed);
    send(&bench, "a1");
    assert_ne!(one.0.load(Ordering::Relaxed), 0);
    assert_eq!(two.0.load(Ordering::Relaxed), before);
    let received = bench.run(first).unwrap();
    assert_eq!(keys(&received), ["a1"]);
    // An ack lets the next one of its LiteTopic through at once.
    send(&bench, "a2");
    let mut next = pin!(bench.shard.receive_lite(request("agents", 5_000), "one"));
    assert!(poll(next.as_mut()).is_pending());
    ack(&bench, "agents", &received);
    let Poll::Ready(received) = poll(next.as_mut()) else {
        panic!("still waits");
    };
    assert_eq!(keys(&received.unwrap()), ["a2"]);
}

#[test]
fn several_receives_of_one_client_share_what_comes() {
    let bench = bench();
    add(&bench, "agents", "one", &["a", "b"]);
    let one = ReceiveRequest {
        max_messages: 1,
        ..request("agents", 5_000)
    };
    let mut first = pin!(bench.shard.receive_lite(one.clone(), "one"));
    let mut second = pin!(bench.shard.receive_lite(one, "one"));
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
    let both = [message("a", "a1"), message("b", "b1")].map(|it| bench.shard.send(it));
    let [a, b] = both;
    let mut sends = (pin!(a), pin!(b));
    assert!(poll(sends.0.as_mut()).is_pending() && poll(sends.1.as_mut()).is_pending());
    bench.commit();
    let found = [bench.run(first).unwrap(), bench.run(second).unwrap()];
    assert_eq!([keys(&found[0]), keys(&found[1])], [["a1"], ["b1"]]);
}

/// The one that takes a message knows when it is due again, and is gone by then.
#[test]
fn who_waits_learns_when_what_another_receive_took_is_due() {
    let bench = bench();
    let short = |wait_ms| ReceiveRequest {
        invisible: Duration::from_secs(1),
        ..request("agents", wait_ms)
    };
    send(&bench, "a1");
    add(&bench, "agents", "two", &["a"]);
    let lapses = bench.run(bench.shard.receive_lite(short(0), "two"));
    assert_eq!(lapses.unwrap().len(), 1);
    bench.clock.advance(Duration::from_secs(1));
    add(&bench, "agents", "one", &["b"]);
    let mut first = pin!(bench.shard.receive_lite(short(30_000), "one"));
    assert!(poll(first.as_mut()).is_pending());
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut second = pin!(bench.shard.receive_lite(short(30_000), "one"));
    let mut drive = || {
        loop {
            count.0.store(0, Ordering::Relaxed);
            let polled = second.as_mut().poll(&mut Context::from_waker(&waker));
            if polled.is_ready() || count.0.load(Ordering::Relaxed) == 0 {
                return polled;
            }
        }
    };
    assert!(drive().is_pending());
    add(&bench, "agents", "one", &["a"]);
    assert_eq!(keys(&bench.run(first).unwrap()), ["a1"]);
    if count.0.load(Ordering::Relaxed) > 0 {
        assert!(drive().is_pending());
    }
    bench.clock.advance(Duration::from_secs(1));
    assert_ne!(count.0.load(Ordering::Relaxed), 0, "nobody woke it");
    let Poll::Ready(again) = drive() else {
        panic!("still waits");
    };
    assert_eq!(keys(&again.unwrap()), ["a1"]);
}

#[test]
fn after_a_restart_an_ack_lets_the_next_one_through() {
    let bench = bench();
    for key in ["a1", "a2"] {
        send(&bench, key);
    }
    let one = |wait_ms| ReceiveRequest {
        max_messages: 1,
        ..request("agents", wait_ms)
    };
    add(&bench, "agents", "one", &["a"]);
    let first = bench.run(bench.shard.receive_lite(one(0), "one")).unwrap();
    assert_eq!(keys(&first), ["a1"]);
    bench.commit();
    let bench = bench.reopen();
    bench.clock.advance(Duration::from_secs(10));
    add(&bench, "agents", "one", &["a"]);
    let again = bench.run(bench.shard.receive_lite(one(0), "one")).unwrap();
    assert_eq!(keys(&again), ["a1"]);
    let mut next = pin!(bench.shard.receive_lite(one(5_000), "one"));
    // The one before wakes it once, to see that there is nothing yet.
    assert!((0..3).all(|_| poll(next.as_mut()).is_pending()));
    ack(&bench, "agents", &again);
    let Poll::Ready(received) = poll(next.as_mut()) else {
        panic!("still waits");
    };
    assert_eq!(keys(&received.unwrap()), ["a2"]);
}

#[test]
fn of_members_that_share_nothing_the_last_to_subscribe_has_a_lite_topic() {
    let bench = bench();
    let (commands, mut told) = mpsc::channel(8);
    let consumer = ConsumerSubscription {
        group: group("owners"),
        model: MessageModel::Clustering,
        mode: ConsumeMode::Push,
        from: ConsumeFrom::LastOffset,
        subscriptions: Vec::<Subscription>::new(),
    };
    let heartbeat = Heartbeat {
        client: ClientIdentity {
            id: "one".to_owned(),
            connection: 1,
            address: "127.0.0.1:9".parse().unwrap(),
            language: "JAVA".to_owned(),
            version: "5".to_owned(),
        },
        commands,
        producer_groups: Vec::new(),
        consumers: vec![consumer],
    };
    bench.instance.heartbeat(heartbeat).unwrap();
    add(&bench, "owners", "one", &["a", "b"]);
    bench.commit();
    add(&bench, "owners", "two", &["a"]);
    let mut ended = Vec::new();
    while let Ok(command) = told.try_recv() {
        if let ClientCommand::UnsubscribeLite { lite_topic, .. } = *command {
            ended.push(lite_topic.to_string());
        }
    }
    assert_eq!(ended, ["a"]);
    for key in ["a1", "b1"] {
        send(&bench, key);
    }
    // Its regular word still has the one that it lost.
    let all = LiteSubscriptionChange::Replace(names(&["a", "b"]));
    sync(&bench, "owners", "one", all).unwrap();
    assert_eq!(keys(&receive(&bench, "owners", "one")), ["b1"]);
    assert_eq!(keys(&receive(&bench, "owners", "two")), ["a1"]);
}

#[test]
fn what_a_lite_topic_had_in_flight_goes_with_it() {
    let bench = bench();
    add(&bench, "agents", "one", &["a"]);
    let long = |group| ReceiveRequest {
        invisible: 2 * HOUR,
        ..request(group, 0)
    };
    send(&bench, "a1");
    let chosen = bench.run(bench.shard.receive_lite(long("agents"), "one"));
    let whole = bench.run(bench.shard.receive(long("archive")));
    assert_eq!([chosen.unwrap().len(), whole.unwrap().len()], [1, 1]);
    bench.clock.advance(HOUR);
    // A group that is there, and so is not forgotten.
    let receive_all = || bench.run(bench.shard.receive(request("archive", 0)));
    assert!(receive_all().unwrap().is_empty());
    assert_eq!(bench.shard.expire_lite_topics().unwrap(), 1);
    bench.commit();
    bench.clock.advance(HOUR);
    add(&bench, "agents", "one", &["a"]);
    assert!(receive(&bench, "agents", "one").is_empty());
    assert!(receive_all().unwrap().is_empty());
}

#[test]
fn a_group_bound_to_nothing_consumes_every_lite_topic() {
    let bench = bench();
    for key in ["a1", "b1", "a2"] {
        send(&bench, key);
    }
    let all = |wait_ms| bench.shard.receive(request("archive", wait_ms));
    let received = bench.run(all(0)).unwrap();
    let mut found = keys(&received);
    found.sort_unstable();
    assert_eq!(found, ["a1", "a2", "b1"]);
    let mut waits = pin!(all(5_000));
    assert!(poll(waits.as_mut()).is_pending());
    send(&bench, "n1");
    assert_eq!(keys(&bench.run(waits).unwrap()), ["n1"]);
    // Its members choose none; and members who choose do not get all.
    let change = LiteSubscriptionChange::Add {
        names: names(&["a"]),
        from: None,
    };
    let refused = sync(&bench, "archive", "one", change).unwrap_err();
    assert!(matches!(
        refused,
        SyncLiteSubscriptionError::Binding(LiteBindingError::Unbound { .. })
    ));
    let refused = bench.run(bench.shard.receive(request("agents", 0)));
    assert!(matches!(
        refused.unwrap_err(),
        ReceiveError::LiteBinding(LiteBindingError::Selective { .. })
    ));
}

#[test]
fn a_lite_topic_ends_an_hour_after_its_last_message() {
    let bench = bench();
    add(&bench, "agents", "one", &["a"]);
    let first = send(&bench, "a1");
    send(&bench, "b1");
    bench.clock.advance(HOUR / 2);
    let second = send(&bench, "a2");
    assert_eq!(first.queue, second.queue);
    bench.clock.advance(HOUR / 2);
    // Nothing was written to `b` for an hour, to `a` for half of one.
    assert_eq!(bench.shard.expire_lite_topics().unwrap(), 1);
    bench.commit();
    assert_eq!(bench.shard.expire_lite_topics().unwrap(), 0);
    bench.clock.advance(HOUR / 2);
    assert_eq!(bench.shard.expire_lite_topics().unwrap(), 1);
    // At once, before the end is durable: a new life, of which the subscriber hears.
    let third = send(&bench, "a3");
    assert_ne!(third.queue, first.queue);
    assert_eq!(third.queue_offset, QueueOffset::new(0));
    add(&bench, "agents", "one", &["a"]);
    assert_eq!(keys(&receive(&bench, "agents", "one")), ["a3"]);
    // The same after a restart, and the old life leaves nothing behind.
    bench.shard.checkpoint().unwrap();
    let retention = Retention {
        time: 100 * HOUR,
        bytes: None,
    };
    bench.run(bench.shard.retain(retention)).unwrap();
    let bench = bench.reopen();
    add(&bench, "agents", "one", &["a", "b"]);
    bench.clock.advance(Duration::from_millis(10_001));
    assert_eq!(keys(&receive(&bench, "agents", "one")), ["a3"]);
}

#[test]
fn a_lite_topic_lives_on_after_a_restart_and_so_does_its_progress() {
    let bench = bench();
    for key in ["a1", "a2", "b1"] {
        send(&bench, key);
    }
    add(&bench, "agents", "one", &["a", "b"]);
    let received = receive(&bench, "agents", "one");
    ack(&bench, "agents", &received);
    let bench = bench.reopen();
    add(&bench, "agents", "one", &["a", "b"]);
    assert!(receive(&bench, "agents", "one").is_empty());
    // Twice over the idle age: what is read again from the KV is the same.
    for _ in 0..3 {
        bench.commit();
        bench.shard.checkpoint().unwrap();
    }
    assert_eq!(send(&bench, "a3").queue_offset, QueueOffset::new(2));
    assert_eq!(keys(&receive(&bench, "agents", "one")), ["a3"]);
}

#[test]
fn idle_lite_topics_are_not_in_memory() {
    let bench = bench();
    for n in 0..100 {
        let sent = message(&format!("session-{n}"), "k");
        bench.run(bench.shard.send(sent)).unwrap();
    }
    assert!(bench.shard.queues_in_memory() >= 100);
    for _ in 0..3 {
        bench.commit();
        bench.shard.checkpoint().unwrap();
    }
    assert!(bench.shard.queues_in_memory() < 10);
}

#[test]
fn many_idle_lite_topics_leave_memory_before_the_next_checkpoint() {
    let bench = bench();
    let subscribe = |client: usize| {
        let name = |n: usize| LiteTopicName::new(&format!("session-{client}-{n}")).unwrap();
        for first in (0..2_000).step_by(40) {
            let change = LiteSubscriptionChange::Add {
                names: (first..first + 40).map(name).collect(),
                from: Some(LiteStart::Max),
            };
            sync(&bench, "agents", &format!("client-{client}"), change).unwrap();
            bench.commit();
        }
    };
    let forget = || {
        bench.commit();
        bench.shard.forget_idle_lite_topics();
    };
    subscribe(0);
    for _ in 0..3 {
        forget();
    }
    assert_eq!(bench.shard.queues_in_memory(), 2_000, "few may stay");
    (1..17).for_each(subscribe);
    assert!(bench.shard.queues_in_memory() >= 34_000);
    for _ in 0..3 {
        forget();
    }
    assert!(bench.shard.queues_in_memory() < 10);
    // What has left is where it was.
    let late = message("session-7-7", "late");
    bench.run(bench.shard.send(late)).unwrap();
    assert_eq!(keys(&receive(&bench, "agents", "client-7")), ["late"]);
}

#[test]
fn where_a_group_goes_on_is_the_subscribers_choice() {
    let bench = bench();
    for key in ["a1", "a2", "a3", "b1"] {
        send(&bench, key);
    }
    let from = |names: Vec<LiteTopicName>, from| LiteSubscriptionChange::Add {
        names,
        from: Some(from),
    };
    let max = from(names(&["b"]), LiteStart::Max);
    sync(&bench, "agents", "one", max).unwrap();
    let offset = from(names(&["a"]), LiteStart::Offset(QueueOffset::new(1)));
    sync(&bench, "agents", "one", offset).unwrap();
    let received = receive(&bench, "agents", "one");
    assert_eq!(keys(&received), ["a2", "a3"]);
    ack(&bench, "agents", &received);
    let tail = from(names(&["a"]), LiteStart::Tail(1));
    sync(&bench, "agents", "one", tail).unwrap();
    assert_eq!(keys(&receive(&bench, "agents", "one")), ["a3"]);
    sync(&bench, "agents", "one", from(names(&["a"]), LiteStart::Min)).unwrap();
    assert_eq!(keys(&receive(&bench, "agents", "one")), ["a1", "a2", "a3"]);
}

#[test]
fn quotas_and_names_are_kept() {
    let bench = bench();
    let many: Vec<String> = (0..2_001).map(|n| format!("s{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let all = LiteSubscriptionChange::Replace(names(&many));
    let refused = sync(&bench, "agents", "one", all).unwrap_err();
    assert!(matches!(
        refused,
        SyncLiteSubscriptionError::ClientQuota { limit: 2_000, .. }
    ));
    // Those that it has already are no more than they were.
    for some in many[..2_000].chunks(50) {
        add(&bench, "agents", "one", some);
        bench.commit();
    }
    add(&bench, "agents", "one", &many[..10]);
    let one_more = LiteSubscriptionChange::Add {
        names: names(&many[2_000..]),
        from: None,
    };
    let refused = sync(&bench, "agents", "one", one_more).unwrap_err();
    assert!(matches!(
        refused,
        SyncLiteSubscriptionError::ClientQuota { count: 2_001, .. }
    ));
    let mut two = message("a", "a1");
    two.messages.extend(message("b", "b1").messages);
    let refused = bench.run(bench.shard.send(two)).unwrap_err();
    assert!(matches!(refused, SendError::LiteTopics { .. }), "{refused}");
    let refused = bench.run(bench.shard.send(message("not a name", "k")));
    assert!(matches!(refused, Err(SendError::LiteTopicName { .. })));
    let plain = SendRequest {
        topic: topic("orders"),
        ..message("a", "a1")
    };
    let refused = bench.run(bench.shard.send(plain)).unwrap_err();
    assert!(
        matches!(refused, SendError::TypeMismatch { .. }),
        "{refused}"
    );
}
