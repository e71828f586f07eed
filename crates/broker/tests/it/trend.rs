//! Trends: messages by the minute, across checkpoints and restarts.

use std::time::Duration;

use base::{Timestamp, limits};
use broker::{TrendError, TrendRequest};

use crate::support::{Bench, group, topic};

const MINUTE: Duration = Duration::from_secs(60);

fn trend(bench: &Bench, name: Option<&str>, minutes_per_point: u32) -> Vec<u64> {
    let request = TrendRequest {
        topic: topic("orders"),
        group: name.map(group),
        from: Timestamp::from_ms(0),
        to: Timestamp::from_ms(i64::MAX),
        minutes_per_point,
    };
    let points = bench.shard.trend(&request);
    let points = points.expect("the test allows no failure here");
    let counts = points.iter().map(|point| point.messages);
    counts.skip_while(|count| *count == 0).collect()
}

#[test]
fn minutes_are_counted_over_hours_checkpoints_and_restarts() {
    let mut bench = Bench::new();
    bench.send(0, &["a", "b"]);
    bench.clock.advance(MINUTE);
    bench.send(1, &["c"]);
    assert!(bench.receive(1_000).is_some());
    assert_eq!(trend(&bench, None, 1), [2, 1]);
    bench.commit();
    // A replay counts nothing twice, whether the checkpoint has it or not.
    for checkpoint in [false, true, true] {
        if checkpoint {
            bench.shard.checkpoint().unwrap();
        }
        bench = bench.reopen();
        assert_eq!(trend(&bench, None, 1), [2, 1]);
    }
    bench.send(0, &["d"]);
    bench.clock.advance(60 * MINUTE);
    bench.send(0, &["e"]);
    let counts = trend(&bench, None, 1);
    assert_eq!((counts.len(), counts[1], counts[61]), (62, 2, 1));
    assert_eq!(counts.iter().sum::<u64>(), 5);
    let tens = trend(&bench, None, 10);
    assert_eq!(tens.iter().sum::<u64>(), 5);
    assert!(tens.len() <= 8);
}

#[test]
fn what_a_group_was_handed_out_is_its_own() {
    let bench = Bench::new();
    bench.send(0, &["a", "b"]);
    assert!(bench.receive(1_000).is_some());
    bench.clock.advance(MINUTE);
    assert!(bench.receive(1_000).is_some());
    assert_eq!(trend(&bench, Some("billing"), 1), [1, 1]);
    bench.commit();
    bench.shard.checkpoint().unwrap();
    let bench = bench.reopen();
    assert_eq!(trend(&bench, Some("billing"), 1), [1, 1]);
    let request = TrendRequest {
        topic: topic("orders"),
        group: Some(group("nobody")),
        from: Timestamp::from_ms(0),
        to: Timestamp::from_ms(i64::MAX),
        minutes_per_point: 1,
    };
    let unknown = bench.shard.trend(&request);
    assert!(matches!(unknown, Err(TrendError::GroupNotFound(_))));
}

#[test]
fn what_is_old_is_not_told_and_not_kept() {
    let bench = Bench::new();
    bench.send(0, &["a"]);
    bench.shard.checkpoint().unwrap();
    let hours = Duration::from_secs(u64::from(limits::TREND_HOURS_MAX + 1) * 3_600);
    bench.clock.advance(hours);
    bench.send(0, &["b"]);
    assert_eq!(trend(&bench, None, 1), [1]);
    let forever = broker::Retention {
        time: Duration::MAX,
        bytes: None,
    };
    bench.run(bench.shard.retain(forever)).unwrap();
    bench.shard.checkpoint().unwrap();
    assert_eq!(trend(&bench, None, 1), [1]);
}
