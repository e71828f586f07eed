//! Topics of the server's own, as tools leave them out of their lists (codes 304, 305), and those
//! of units (codes 311 to 313), of which there are none.

use wire::remoting::{Command, body::TopicList};

use crate::{
    front::{CLUSTER_NAME, broker_name},
    remoting::{
        connection::Connection,
        reply::{Answer, Reply},
        route::TEMPLATE_TOPIC,
        system_topic::TRACE_TOPIC,
    },
};

/// Code 304: names of clusters and brokers, whose routes can be asked for as those of topics.
pub(super) fn of_name_server(connection: &Connection, request: &Command) -> Answer {
    let instance = connection.front.settle([])?;
    let mut topics = vec![CLUSTER_NAME.to_owned()];
    for shard in instance.shards() {
        topics.push(broker_name(instance.id(), shard.id()));
    }
    let address = connection.front.advertised(&connection.info).to_string();
    let answer = TopicList {
        broker_address: Some(address),
        topics,
    };
    Ok(Reply::body(request, &answer))
}

/// Code 305.
pub(super) fn of_broker(connection: &Connection, request: &Command) -> Answer {
    let instance = connection.front.settle([])?;
    let mut topics = vec![
        CLUSTER_NAME.to_owned(),
        TEMPLATE_TOPIC.to_owned(),
        TRACE_TOPIC.to_owned(),
    ];
    for shard in instance.shards() {
        topics.push(broker_name(instance.id(), shard.id()));
    }
    let answer = TopicList {
        broker_address: None,
        topics,
    };
    Ok(Reply::body(request, &answer))
}

/// Codes 311 to 313.
pub(super) fn of_units(request: &Command) -> Answer {
    Ok(Reply::body(request, &TopicList::default()))
}
