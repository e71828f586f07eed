//! Where the queues of a topic are, in the form that tools and Remoting clients read it.

use std::collections::BTreeMap;

use broker::{Instance, Permission, Topic};
use wire::remoting::{
    body::{BrokerData, QueueData, TopicRouteData},
    header::permission,
};

use crate::{
    ConnectionInfo, Front,
    front::CLUSTER_NAME,
    places::{ShardPlace, shard_places},
};

/// The route of a topic (`None` for one that is not there yet) that has so many queues in each
/// shard, with these permission bits, as a client of `connection` is told it.
pub(crate) fn topic_route(
    front: &Front,
    connection: &ConnectionInfo,
    (instance, topic): (&Instance, Option<&Topic>),
    (queues, bits): (u32, i32),
    order: Option<String>,
) -> TopicRouteData {
    let count = queues.cast_signed();
    // As after `wipeWritePerm` on Apache's name server, of this node alone.
    let own_bits = if instance.offers_writes() {
        bits
    } else {
        bits & !permission::WRITE
    };
    let places = shard_places(front, connection, instance, topic);
    let is_own = |place: &ShardPlace| instance.shard(place.shard).is_some();
    let queues = places.iter().map(|place| QueueData {
        broker_name: place.broker.clone(),
        permission: offered(place, if is_own(place) { own_bits } else { bits }),
        read_queue_count: count,
        write_queue_count: count,
        topic_sys_flag: 0,
    });
    TopicRouteData {
        queues: queues.collect(),
        brokers: places.into_iter().map(broker_data).collect(),
        filter_server_table: BTreeMap::new(),
        order_configuration: order,
    }
}

/// The bits that a place's queues are offered with; others than those of a permission stay.
fn offered(place: &ShardPlace, bits: i32) -> i32 {
    let all = Permission::READ_WRITE;
    let withheld = all.bits() & !place.offered(all).bits();
    bits & !i32::from(withheld)
}

/// The instance's shards as brokers.
pub(crate) fn brokers(
    front: &Front,
    connection: &ConnectionInfo,
    instance: &Instance,
) -> Vec<BrokerData> {
    let places = shard_places(front, connection, instance, None);
    places.into_iter().map(broker_data).collect()
}

fn broker_data(place: ShardPlace) -> BrokerData {
    BrokerData {
        addresses: BTreeMap::from([(0, place.address.to_string())]),
        broker_name: place.broker,
        cluster: CLUSTER_NAME.to_owned(),
        enable_acting_master: false,
    }
}
