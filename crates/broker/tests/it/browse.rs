//! Browse and find: messages by time, page by page, and by any of their ids.

use std::time::Duration;

use base::{Timestamp, limits};
use broker::{BrowseRequest, QueryError};
use wire::message::MessageId;

use crate::support::{Bench, request_with, topic};

#[test]
fn pages_are_whole_and_cut_nothing_twice() {
    let bench = Bench::new();
    let start = base::Clock::now(&*bench.clock);
    bench.send(0, &["before"]);
    bench.clock.advance(Duration::from_secs(10));
    for n in 0..7 {
        bench.send(n % 2, &[&format!("in {n}")]);
        bench.clock.advance(Duration::from_secs(1));
    }
    bench.clock.advance(Duration::from_secs(10));
    bench.send(1, &["after"]);
    let page = |skip, max_messages| {
        let request = BrowseRequest {
            topic: topic("orders"),
            lite_topic: None,
            from: start.after(Duration::from_secs(10)),
            to: start.after(Duration::from_secs(20)),
            skip,
            max_messages,
        };
        let browsed = bench.run(bench.shard.browse(request)).unwrap();
        assert_eq!(browsed.total, 7);
        let text = |body: bytes::Bytes| String::from_utf8(body.to_vec()).unwrap();
        let bodies = browsed.messages.iter();
        bodies.map(|m| text(m.body())).collect::<Vec<_>>()
    };
    let pages: Vec<_> = (0..3).map(|n| page(n * 3, 3)).collect();
    assert_eq!(pages[0], ["in 0", "in 2", "in 4"]);
    assert_eq!(pages[1], ["in 6", "in 1", "in 3"]);
    assert_eq!(pages[2], ["in 5"]);
    assert!(page(7, 3).is_empty());
    assert!(page(u64::MAX, 3).is_empty());
}

#[test]
fn the_largest_page_is_whole() {
    let bench = Bench::new();
    let max = limits::BROWSE_MESSAGES_MAX;
    for n in 0..=max {
        bench.send(0, &[&n.to_string()]);
    }
    let page = |skip| {
        let request = BrowseRequest {
            topic: topic("orders"),
            lite_topic: None,
            from: Timestamp::from_ms(0),
            to: Timestamp::from_ms(i64::MAX),
            skip,
            max_messages: usize::MAX,
        };
        let browsed = bench.run(bench.shard.browse(request)).unwrap();
        (browsed.messages.len(), browsed.total)
    };
    let total = max as u64 + 1;
    assert_eq!((page(0), page(max as u64)), ((max, total), (1, total)));
}

#[test]
fn any_id_of_a_message_finds_it_in_its_topic_only() {
    let bench = Bench::new();
    bench.create_topic("others");
    let sent = bench.send_with(&[("UNIQ_KEY", "by-sender")]);
    let id = MessageId {
        store_host: "127.0.0.1:8080".parse().unwrap(),
        physical_offset: sent.physical_offset.wire(),
    };
    let find = |name, id: &str| bench.run(bench.shard.find(&topic(name), id));
    let found = find("orders", "by-sender").unwrap();
    assert_eq!(found, find("orders", &id.to_string()).unwrap());
    for id in ["by-sender", &id.to_string(), "", "7F0000010000"] {
        let missed = find("others", id);
        assert!(
            matches!(missed, Err(QueryError::IdNotFound { .. })),
            "{missed:?}"
        );
    }
    // An id of another shard's message.
    let mut other = id;
    other.physical_offset |= 1 << 48;
    let missed = find("orders", &other.to_string());
    assert!(matches!(missed, Err(QueryError::IdNotFound { .. })));
    // What a sender calls a message comes before where another is stored.
    let lookalike = request_with(&[("UNIQ_KEY", &id.to_string())]);
    bench.run(bench.shard.send(lookalike)).unwrap();
    assert_ne!(find("orders", &id.to_string()).unwrap(), found);
}
