//! Where the queues of a topic are, in the form that tools and Remoting clients read it.

use std::{collections::BTreeMap, sync::Arc};

use broker::{Instance, Shard};
use wire::remoting::{
    body::{BrokerData, QueueData, TopicRouteData},
    header::permission,
};

use crate::{
    ConnectionInfo, Front,
    front::{CLUSTER_NAME, broker_name},
};

/// The route of a topic that has so many queues in each shard, with these permission bits, as a
/// client of `connection` is told it.
pub(crate) fn topic_route(
    front: &Front,
    connection: &ConnectionInfo,
    instance: &Instance,
    (queues, bits): (u32, i32),
    order: Option<String>,
) -> TopicRouteData {
    let count = queues.cast_signed();
    // As after `wipeWritePerm` on Apache's name server.
    let bits = if instance.offers_writes() {
        bits
    } else {
        bits & !permission::WRITE
    };
    let brokers = brokers(front, connection, instance);
    let queues = brokers.iter().map(|broker| QueueData {
        broker_name: broker.broker_name.clone(),
        permission: bits,
        read_queue_count: count,
        write_queue_count: count,
        topic_sys_flag: 0,
    });
    TopicRouteData {
        queues: queues.collect(),
        brokers,
        filter_server_table: BTreeMap::new(),
        order_configuration: order,
    }
}

/// The instance's shards as brokers.
pub(crate) fn brokers(
    front: &Front,
    connection: &ConnectionInfo,
    instance: &Instance,
) -> Vec<BrokerData> {
    let address = front.advertised(connection).to_string();
    let broker = |shard: Arc<Shard>| BrokerData {
        addresses: BTreeMap::from([(0, address.clone())]),
        broker_name: broker_name(instance.id(), shard.id()),
        cluster: CLUSTER_NAME.to_owned(),
        enable_acting_master: false,
    };
    instance.shards().into_iter().map(broker).collect()
}
