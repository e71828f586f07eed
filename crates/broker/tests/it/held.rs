//! Timed messages, half messages and messages sent back: seen when they should be, and not before.

use std::time::Duration;

use base::{QueueId, Timestamp};
use broker::{
    ClientCommand, ClientIdentity, EndTransactionError, EndTransactionRequest, Heartbeat,
    RecallError, Resolution, Retention, SendBackRequest, SendError, Sent,
};
use tokio::sync::mpsc;
use wire::message::properties;

use crate::support::{Bench, group, request, request_with, topic};

const HALF: &[(&str, &str)] = &[("TRAN_MSG", "true"), ("PGROUP", "billing"), ("TAGS", "t")];

fn end(bench: &Bench, half: &Sent, resolution: Resolution) -> Result<(), EndTransactionError> {
    let ended = bench.run(bench.shard.end_transaction(EndTransactionRequest {
        topic: None,
        group: Some(group("billing")),
        half: half.physical_offset,
        resolution,
        from_check: false,
    }));
    ended.map(drop)
}

/// A producer of `billing`, and what it is told.
fn producer(bench: &Bench, id: &str) -> mpsc::Receiver<Box<ClientCommand>> {
    let (commands, told) = mpsc::channel(8);
    let heartbeat = Heartbeat {
        client: ClientIdentity {
            id: id.to_owned(),
            connection: 1,
            address: "127.0.0.1:1".parse().expect("an address"),
            language: String::new(),
            version: String::new(),
        },
        commands,
        producer_groups: vec![group("billing")],
        consumers: Vec::new(),
    };
    bench
        .instance
        .heartbeat(heartbeat)
        .expect("there is room for a client");
    told
}

#[test]
fn a_timed_message_is_seen_at_its_millisecond() {
    let bench = Bench::new();
    let sent = bench.send_with(&[("TIMER_DELAY_MS", "1500")]);
    let level = bench.send_with(&[("DELAY", "1")]);
    assert!(sent.due.is_some() && level.due.is_some());
    assert_eq!(bench.release(), level.due);
    bench.clock.advance(Duration::from_millis(999));
    bench.release();
    assert!(bench.bodies("orders").is_empty());
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(bench.release(), sent.due);
    assert_eq!(bench.bodies("orders").len(), 1);
    bench.clock.advance(Duration::from_millis(499));
    bench.release();
    assert_eq!(bench.bodies("orders").len(), 1);
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(bench.release(), None);
    assert_eq!(bench.bodies("orders").len(), 2);
}

#[test]
fn timed_messages_survive_restarts_and_come_once() {
    for checkpoint in [false, true] {
        let bench = Bench::new();
        bench.send_with(&[("TIMER_DELAY_MS", "1000"), ("KEYS", "k")]);
        if checkpoint {
            bench.shard.checkpoint().unwrap();
        }
        let bench = bench.reopen();
        bench.clock.advance(Duration::from_secs(1));
        bench.release();
        assert_eq!(bench.bodies("orders").len(), 1);
        let bench = bench.reopen();
        assert_eq!(bench.release(), None);
        assert_eq!(bench.bodies("orders").len(), 1);
    }
}

#[test]
fn a_delay_past_the_limit_is_refused() {
    let bench = Bench::new();
    let forty_days = base::limits::DELAY_MS_MAX;
    let too_long = (forty_days + 1).to_string();
    let refused = bench.run(
        bench
            .shard
            .send(request_with(&[("TIMER_DELAY_MS", &too_long)])),
    );
    assert!(matches!(refused, Err(SendError::DueTime { .. })));
    bench.send_with(&[("TIMER_DELAY_MS", &forty_days.to_string())]);
}

#[test]
fn a_recalled_message_never_comes_and_only_once_is_it_recalled() {
    let bench = Bench::new();
    let sent = bench.send_with(&[("TIMER_DELAY_MS", "1000"), ("UNIQ_KEY", "id")]);
    let (orders, at) = (topic("orders"), sent.physical_offset);
    let recalled = bench.run(bench.shard.recall(&orders, at)).unwrap();
    assert_eq!(recalled.property(properties::UNIQUE_KEY), Some("id"));
    let again = bench.run(bench.shard.recall(&orders, at));
    assert!(matches!(again, Err(RecallError::NotFound { .. })));
    bench.clock.advance(Duration::from_secs(2));
    assert_eq!(bench.release(), None);
    let bench = bench.reopen();
    assert_eq!(bench.release(), None);
    assert!(bench.bodies("orders").is_empty());
}

#[test]
fn a_half_message_is_seen_after_its_commit_only() {
    let bench = Bench::new();
    let half = bench.send_with(HALF);
    assert!(bench.bodies("orders").is_empty());
    let recall = bench.run(bench.shard.recall(&topic("orders"), half.physical_offset));
    assert!(matches!(recall, Err(RecallError::NotFound { .. })));
    let bench = bench.reopen();
    end(&bench, &half, Resolution::Unknown).unwrap();
    assert!(bench.bodies("orders").is_empty());
    end(&bench, &half, Resolution::Commit).unwrap();
    assert_eq!(bench.bodies("orders").len(), 1);
    let again = end(&bench, &half, Resolution::Commit);
    assert!(matches!(again, Err(EndTransactionError::NotFound { .. })));
    let bench = bench.reopen();
    assert_eq!(bench.bodies("orders").len(), 1);
    assert_eq!(bench.release(), None);
}

#[test]
fn a_rolled_back_half_message_is_gone() {
    let bench = Bench::new();
    let half = bench.send_with(HALF);
    let other = bench.run(bench.shard.end_transaction(EndTransactionRequest {
        topic: None,
        group: Some(group("other")),
        half: half.physical_offset,
        resolution: Resolution::Rollback,
        from_check: false,
    }));
    assert!(matches!(other, Err(EndTransactionError::OtherGroup { .. })));
    end(&bench, &half, Resolution::Rollback).unwrap();
    let late = end(&bench, &half, Resolution::Commit);
    assert!(matches!(late, Err(EndTransactionError::NotFound { .. })));
    bench.clock.advance(Duration::from_secs(3_600));
    assert_eq!(bench.release(), None);
    assert!(bench.bodies("orders").is_empty());
}

#[test]
fn a_committed_message_with_a_delay_waits_for_its_time() {
    let bench = Bench::new();
    let mut asked = HALF.to_vec();
    asked.push(("DELAY", "2"));
    let half = bench.send_with(&asked);
    end(&bench, &half, Resolution::Commit).unwrap();
    assert!(bench.bodies("orders").is_empty());
    let bench = bench.reopen();
    bench.clock.advance(Duration::from_millis(4_999));
    bench.release();
    assert!(bench.bodies("orders").is_empty());
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(bench.release(), None);
    assert_eq!(bench.bodies("orders").len(), 1);
}

#[test]
fn any_live_producer_of_the_group_is_asked_until_nobody_answers() {
    let bench = Bench::new();
    let half = bench.send_with(HALF);
    // Nobody is there to be asked, so no question is counted.
    for _ in 0..20 {
        bench.clock.advance(Duration::from_secs(30));
        bench.release();
    }
    for asked in 1..=15 {
        let mut told = producer(&bench, &format!("producer-{asked}"));
        bench.clock.advance(Duration::from_secs(30));
        bench.release();
        let Some(ClientCommand::CheckTransaction {
            half: which, times, ..
        }) = told.try_recv().ok().map(|command| *command)
        else {
            panic!("question {asked} did not come");
        };
        assert_eq!((which, times), (half.physical_offset, asked));
        assert!(told.try_recv().is_err());
    }
    assert!(bench.bodies("orders").is_empty());
    let mut told = producer(&bench, "late");
    bench.clock.advance(Duration::from_secs(30));
    assert_eq!(bench.release(), None);
    assert!(told.try_recv().is_err());
    assert_eq!(bench.bodies("TRANS_CHECK_MAX_TIME_TOPIC").len(), 1);
    let late = end(&bench, &half, Resolution::Commit);
    assert!(matches!(late, Err(EndTransactionError::NotFound { .. })));
}

#[test]
fn a_word_past_the_producers_own_time_limit_is_left_to_a_check() {
    let bench = Bench::new();
    let mut asked = HALF.to_vec();
    asked.push(("CHECK_IMMUNITY_TIME_IN_SECONDS", "10"));
    let half = bench.send_with(&asked);
    bench.clock.advance(Duration::from_secs(11));
    let late = end(&bench, &half, Resolution::Commit);
    assert!(matches!(late, Err(EndTransactionError::TooLate { .. })));
    let checked = bench.shard.end_transaction(EndTransactionRequest {
        topic: None,
        group: Some(group("billing")),
        half: half.physical_offset,
        resolution: Resolution::Commit,
        from_check: true,
    });
    bench.run(checked).unwrap();
    assert_eq!(bench.bodies("orders").len(), 1);
}

#[test]
fn held_messages_outlast_retention_with_their_bodies() {
    let bench = Bench::new();
    let day = 24 * 3_600_000_u64;
    let timed = bench.send_with(&[("TIMER_DELAY_MS", &day.to_string())]);
    bench.send_with(&[("TIMER_DELAY_MS", &(2 * day).to_string())]);
    let retention = Retention {
        time: Duration::from_secs(3_600),
        bytes: None,
    };
    let large = "x".repeat(4 * 1_024);
    for _ in 0..2 {
        for _ in 0..40 {
            bench.send(1, &[&large]);
        }
        bench.shard.checkpoint().unwrap();
        bench.clock.advance(Duration::from_secs(7_200));
        assert!(bench.run(bench.shard.retain(retention)).unwrap().bytes > 0);
    }
    let bench = bench.reopen();
    let orders = topic("orders");
    let recalled = bench.shard.recall(&orders, timed.physical_offset);
    bench.run(recalled).unwrap();
    bench.clock.advance(Duration::from_millis(2 * day));
    assert_eq!(bench.release(), None);
    assert_eq!(bench.bodies("orders"), ["body"]);
}

#[test]
fn messages_to_a_deleted_topic_are_dropped() {
    let bench = Bench::new();
    bench.send_with(&[("TIMER_DELAY_MS", "1000")]);
    bench
        .run(bench.instance.delete_topic(&topic("orders")))
        .unwrap();
    bench.create_topic("orders");
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.release(), None);
    assert!(bench.bodies("orders").is_empty());
}

#[test]
fn a_message_sent_back_comes_by_the_groups_policy_and_ends_as_dead_letter() {
    let bench = Bench::new();
    let back = |bench: &Bench, message, delay_level| {
        bench
            .run(bench.shard.send_back(SendBackRequest {
                group: group("billing"),
                message,
                delay_level,
                retries_max: Some(2),
            }))
            .unwrap();
    };
    let first = bench.send(0, &["a"])[0].physical_offset;
    back(&bench, first, 0);
    let retry = |offset: u64| {
        let messages = bench.pull("%RETRY%billing");
        messages.get(usize::try_from(offset).unwrap()).cloned()
    };
    bench.clock.advance(Duration::from_millis(9_999));
    bench.release();
    assert_eq!(retry(0), None);
    bench.clock.advance(Duration::from_millis(1));
    bench.release();
    let again = retry(0).unwrap();
    assert_eq!(again.reconsume_times(), 1);
    assert_eq!(again.property(properties::RETRY_TOPIC), Some("orders"));
    // The client may ask for a pause of its own.
    let second = base::PhysicalOffset::from_wire(again.physical_offset());
    back(&bench, second, 2);
    bench.clock.advance(Duration::from_secs(5));
    bench.release();
    let again = retry(1).unwrap();
    assert_eq!(again.reconsume_times(), 2);
    assert!(bench.instance.topic(&topic("%DLQ%billing")).is_none());
    let third = base::PhysicalOffset::from_wire(again.physical_offset());
    back(&bench, third, 0);
    let dead = bench.pull("%DLQ%billing").pop().unwrap();
    assert_eq!(dead.reconsume_times(), 3);
    assert_eq!(dead.property(properties::DLQ_ORIGIN_TOPIC), Some("orders"));
    assert_eq!(&dead.body()[..], b"a");
    assert_eq!(bench.release(), None);
}

#[test]
fn a_consumer_may_allow_more_retries_than_its_group_or_fewer() {
    let bench = Bench::new();
    let fails = |times: i32, retries_max: Option<i32>| {
        let mut request = request_with(&[("TAGS", "t")]);
        request.messages[0].reconsume_times = times;
        let message = bench.run(bench.shard.send(request)).unwrap()[0].physical_offset;
        let back = SendBackRequest {
            group: group("billing"),
            message,
            delay_level: 0,
            retries_max,
        };
        bench.run(bench.shard.send_back(back)).unwrap();
    };
    let dead = || match bench.instance.topic(&topic("%DLQ%billing")) {
        Some(_) => bench.bodies("%DLQ%billing").len(),
        None => 0,
    };
    // The group has three attempts, which are two retries.
    fails(2, None);
    assert_eq!(dead(), 1);
    fails(1, Some(1));
    assert_eq!(dead(), 2);
    for times in [2, 16, 40] {
        fails(times, Some(1_000_000));
    }
    assert_eq!(dead(), 2);
    // A minute after the third failure; from the 16th retry on it is two hours each time.
    let came = |after: u64| {
        bench.clock.advance(Duration::from_secs(after));
        bench.release();
        let messages = bench.pull("%RETRY%billing");
        messages
            .iter()
            .map(|it| it.reconsume_times())
            .collect::<Vec<_>>()
    };
    assert!(came(59).is_empty());
    assert_eq!(came(1), [3]);
    assert_eq!(came(7_200 - 61), [3]);
    assert_eq!(came(1), [3, 17, 41]);
    fails(0, Some(-1));
    assert_eq!(dead(), 3);
}

#[test]
fn what_failed_too_often_goes_from_the_retry_topic_to_the_dead_letters() {
    let bench = Bench::new();
    bench
        .run(bench.instance.retry_topic(&group("billing")))
        .unwrap();
    let mut request = request_with(&[("DELAY", "3"), ("RETRY_TOPIC", "orders")]);
    request.topic = topic("%RETRY%billing");
    request.messages[0].reconsume_times = 2;
    request.retries_max = Some(2);
    let sent = bench.run(bench.shard.send(request.clone())).unwrap();
    assert!(sent[0].due.is_some());
    request.messages[0].reconsume_times = 3;
    let sent = bench.run(bench.shard.send(request)).unwrap();
    assert_eq!((sent[0].due, sent[0].queue), (None, QueueId::new(0)));
    assert_eq!(bench.bodies("%DLQ%billing").len(), 1);
}

#[test]
fn the_release_wakes_for_what_is_due_first() {
    let bench = Bench::new();
    let shard = bench.shard.clone();
    let mut releasing = Box::pin(async move { shard.release_held().await });
    let mut go = |bench: &Bench| {
        for _ in 0..10 {
            assert!(crate::support::poll(releasing.as_mut()).is_pending());
            bench.commit();
        }
    };
    go(&bench);
    bench.send_with(&[("TIMER_DELAY_MS", "60000")]);
    go(&bench);
    let soon = bench.send_with(&[("TIMER_DELAY_MS", "1000")]);
    go(&bench);
    bench.clock.advance(Duration::from_millis(999));
    go(&bench);
    assert!(bench.bodies("orders").is_empty());
    bench.clock.advance(Duration::from_millis(1));
    go(&bench);
    assert_eq!(bench.bodies("orders").len(), 1);
    assert!(soon.due > Some(Timestamp::from_ms(0)));
    bench.shard.drain();
    assert!(crate::support::poll(releasing.as_mut()).is_ready());
}

#[test]
fn a_limit_of_bytes_copies_held_messages_once_for_as_much_that_comes() {
    let bench = Bench::new();
    let day = (24 * 3_600_000).to_string();
    let mut request = request_with(&[("TIMER_DELAY_MS", &day)]);
    request.messages[0].body = vec![7; 4 * 1_024].into();
    for _ in 0..60 {
        bench.run(bench.shard.send(request.clone())).unwrap();
    }
    bench.send(0, &["visible"]);
    let retention = Retention {
        time: Duration::from_secs(3_600_000),
        bytes: Some(64 * 1_024),
    };
    bench.shard.checkpoint().unwrap();
    assert!(bench.run(bench.shard.retain(retention)).unwrap().bytes > 0);
    let tail = bench.shard.log().tail();
    for _ in 0..3 {
        assert_eq!(bench.run(bench.shard.retain(retention)).unwrap().bytes, 0);
    }
    assert!(bench.shard.log().tail().get() - tail.get() < 4_096);
    // As much as they are comes in: then space can be given back again.
    let large = "x".repeat(4 * 1_024);
    for _ in 0..80 {
        bench.send(1, &[&large]);
    }
    assert!(bench.run(bench.shard.retain(retention)).unwrap().bytes > 0);
    bench.clock.advance(Duration::from_secs(24 * 3_600));
    bench.release();
    let range = bench.shard.queue_range(&topic("orders"), QueueId::new(0));
    assert_eq!(range.unwrap().max.get(), 61);
}

#[test]
fn an_end_that_its_client_gives_up_leaves_the_transaction_open() {
    let bench = Bench::new();
    let large = "x".repeat(3 * 1_024);
    let mut asked = request_with(HALF);
    asked.messages[0].body = large.clone().into();
    let half = bench.run(bench.shard.send(asked)).unwrap()[0];
    let mut told = producer(&bench, "producer");
    let shard = bench.shard.clone();
    let mut releasing = Box::pin(async move { shard.release_held().await });
    let mut go = || assert!(crate::support::poll(releasing.as_mut()).is_pending());
    go();
    // The log has no room for one more, so the end waits for the disk.
    let mut sending: Vec<_> = (0..2)
        .map(|_| Box::pin(bench.shard.send(request(0, &[&large]))))
        .collect();
    for send in &mut sending {
        assert!(crate::support::poll(send.as_mut()).is_pending());
    }
    let commit = |from_check| EndTransactionRequest {
        topic: None,
        group: Some(group("billing")),
        half: half.physical_offset,
        resolution: Resolution::Commit,
        from_check,
    };
    let mut ending = Box::pin(bench.shard.end_transaction(commit(false)));
    assert!(crate::support::poll(ending.as_mut()).is_pending());
    // Meanwhile a check is due, but not for what is on its way out.
    bench.clock.advance(Duration::from_secs(6));
    go();
    assert!(told.try_recv().is_err());
    drop(ending);
    go();
    assert!(matches!(
        told.try_recv().map(|command| *command),
        Ok(ClientCommand::CheckTransaction { .. })
    ));
    for send in sending {
        bench.run(send).unwrap();
    }
    bench
        .run(bench.shard.end_transaction(commit(true)))
        .unwrap();
    assert_eq!(bench.bodies("orders").len(), 3);
}
