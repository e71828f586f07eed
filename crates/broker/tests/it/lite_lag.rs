//! Lag in all LiteTopics of a topic together, whether they are in memory or not.

use std::time::Duration;

use base::{Clock as _, QueueOffset, Random as _, SeededRandom};
use broker::{GroupMetrics, LiteStart, LiteSubscriptionChange};

use crate::{
    lite::{ack, add, bench, names, receive, send, sync},
    support::{Bench, group, topic},
};

fn told(bench: &Bench) -> Option<GroupMetrics> {
    bench.commit();
    let metrics = bench.instance.metrics();
    let mut groups = metrics.groups.into_iter();
    groups.find(|of| of.group == group("agents") && of.topic == topic("chats"))
}

/// What the LiteTopics say one by one.
fn counted(bench: &Bench) -> u64 {
    let (agents, chats) = (group("agents"), topic("chats"));
    let page = bench.shard.lite_accumulations(&agents, &chats, None);
    let page = page.expect("the test allows no failure here");
    assert_eq!(page.next, None);
    let begun = page
        .lite_topics
        .iter()
        .filter(|one| one.committed.is_some());
    begun.map(|one| one.ready).sum()
}

fn forget(bench: &Bench) {
    for _ in 0..3 {
        bench.commit();
        bench
            .shard
            .checkpoint()
            .expect("the test allows no failure here");
    }
}

#[test]
fn what_is_not_in_memory_counts_and_what_nobody_wanted_does_not() {
    let bench = bench();
    add(&bench, "agents", "one", &["a", "b"]);
    for key in ["a1", "a2", "b1", "c1"] {
        send(&bench, key);
    }
    let received = receive(&bench, "agents", "one");
    assert_eq!(told(&bench).unwrap().in_flight, 3);
    ack(&bench, "agents", &received);
    assert_eq!(told(&bench).unwrap().lag, 0);
    for key in ["a3", "b2", "b3", "c2"] {
        send(&bench, key);
    }
    assert_eq!(told(&bench).unwrap().ready, 3);
    forget(&bench);
    assert!(bench.shard.queues_in_memory() < 3);
    assert_eq!(told(&bench).unwrap().ready, 3);
    send(&bench, "a4");
    let bench = bench.reopen();
    assert_eq!(told(&bench).unwrap().ready, 4);
    // One that ends takes its lag with it.
    bench.clock.advance(Duration::from_secs(3_599));
    send(&bench, "a5");
    bench.clock.advance(Duration::from_secs(1));
    bench.shard.expire_lite_topics().unwrap();
    assert_eq!(told(&bench).unwrap().ready, 3);
    assert_eq!(counted(&bench), 3);
}

#[test]
fn a_group_that_is_gone_is_told_of_no_more() {
    let bench = bench();
    add(&bench, "agents", "one", &["a"]);
    send(&bench, "a1");
    receive(&bench, "agents", "one");
    forget(&bench);
    assert!(told(&bench).is_some());
    let agents = group("agents");
    bench.run(bench.instance.delete_group(&agents)).unwrap();
    assert!(told(&bench).is_none());
}

#[test]
fn whatever_happens_the_count_is_the_sum() {
    let mut bench = bench();
    let random = SeededRandom::new(11);
    let all = ["a", "b", "c", "d", "e"];
    let mut held = Vec::new();
    for step in 0..600 {
        let one = all[(random.next() % 5) as usize];
        match random.next() % 16 {
            0..7 => drop(send(&bench, &format!("{one}{step}"))),
            7 => add(&bench, "agents", "one", &[one]),
            8..11 => held.extend(receive(&bench, "agents", "one")),
            11 | 12 => {
                let now = bench.clock.now();
                held.retain(|received| received.invisible_until > now);
                let count = held.len().min(4);
                ack(&bench, "agents", &held[..count]);
                held.drain(..count);
            }
            13 => {
                let from = match random.next() % 3 {
                    0 => LiteStart::Min,
                    1 => LiteStart::Max,
                    _ => LiteStart::Offset(QueueOffset::new(1)),
                };
                let change = LiteSubscriptionChange::Add {
                    names: names(&[one]),
                    from: Some(from),
                };
                sync(&bench, "agents", "one", change).unwrap();
                held.clear();
            }
            14 => {
                bench.clock.advance(Duration::from_secs(1_300));
                bench.shard.expire_lite_topics().unwrap();
                held.clear();
            }
            _ if random.next().is_multiple_of(3) => {
                bench = bench.reopen();
                held.clear();
            }
            _ => forget(&bench),
        }
        let told = told(&bench).map_or(0, |told| told.ready);
        assert_eq!(told, counted(&bench), "after step {step}");
    }
}
