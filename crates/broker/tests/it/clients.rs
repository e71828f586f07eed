//! Who is in which group.

use std::time::Duration;

use base::limits;
use broker::{
    ClientCommand, ClientIdentity, ConsumeFrom, ConsumeMode, ConsumerSubscription, Filter,
    Heartbeat, MessageModel, Subscription,
};
use tokio::sync::mpsc;

use crate::support::{Bench, group, topic};

/// A consumer of one group, heard on a connection, and what it is told there.
fn beat(
    bench: &Bench,
    connection: u64,
    name: &str,
    subscription: (&str, i64),
) -> mpsc::Receiver<Box<ClientCommand>> {
    let (commands, told) = mpsc::channel(8);
    let (tag, version) = subscription;
    let heartbeat = Heartbeat {
        client: ClientIdentity {
            id: "client".to_owned(),
            connection,
            address: "127.0.0.1:1".parse().expect("an address"),
            language: String::new(),
            version: String::new(),
        },
        commands,
        producer_groups: Vec::new(),
        consumers: vec![ConsumerSubscription {
            group: group(name),
            model: MessageModel::Clustering,
            mode: ConsumeMode::Push,
            from: ConsumeFrom::LastOffset,
            subscriptions: vec![Subscription {
                topic: topic("orders"),
                filter: Filter::tags(tag).expect("a filter"),
                version,
            }],
        }],
    };
    bench
        .instance
        .heartbeat(heartbeat)
        .expect("there is room for a client");
    told
}

fn members(bench: &Bench, name: &str) -> usize {
    bench.instance.consumers(&group(name)).len()
}

#[test]
fn a_client_leaves_a_group_that_it_names_no_more() {
    let bench = Bench::new();
    let mut told = beat(&bench, 1, "billing", ("*", 1));
    let expiry = Duration::from_millis(limits::CLIENT_EXPIRY_MS);
    bench.clock.advance(expiry / 2);
    beat(&bench, 2, "shipping", ("*", 1));
    assert_eq!(
        (members(&bench, "billing"), members(&bench, "shipping")),
        (1, 1)
    );
    bench.clock.advance(expiry / 2);
    assert_eq!(
        (members(&bench, "billing"), members(&bench, "shipping")),
        (1, 1)
    );
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(
        (members(&bench, "billing"), members(&bench, "shipping")),
        (0, 1)
    );
    bench.clock.advance(expiry / 2);
    assert_eq!(members(&bench, "shipping"), 0);
    // Each group's commands went where the client said that it is in it.
    assert!(matches!(
        told.try_recv().map(|command| *command),
        Ok(ClientCommand::ConsumersChanged { group: changed }) if changed == group("billing")
    ));
    assert!(told.try_recv().is_err());
}

#[test]
fn a_connection_takes_along_what_was_said_on_it() {
    let bench = Bench::new();
    let _first = beat(&bench, 1, "billing", ("*", 1));
    let _second = beat(&bench, 2, "shipping", ("*", 1));
    bench.instance.disconnect(2);
    assert_eq!(
        (members(&bench, "billing"), members(&bench, "shipping")),
        (1, 0)
    );
    bench.instance.unregister("client", Some(&group("billing")));
    assert_eq!(members(&bench, "billing"), 0);
    assert_eq!(
        bench
            .instance
            .subscription(&group("billing"), &topic("orders")),
        None
    );
}

#[test]
fn the_newest_subscription_is_the_groups() {
    let bench = Bench::new();
    let told = |tag: &str| Some(Filter::tags(tag).expect("a filter"));
    for (said, version, expected) in [("red", 5, "red"), ("blue", 5, "red"), ("blue", 6, "blue")] {
        let _told = beat(&bench, 1, "billing", (said, version));
        let known = bench
            .instance
            .subscription(&group("billing"), &topic("orders"));
        assert_eq!(
            known.map(|known| known.filter),
            told(expected),
            "{said} {version}"
        );
    }
}
