//! Where the shards of an instance are: here, and at the other nodes of the cluster. All routes are
//! made of it.

use std::net::IpAddr;

use base::ShardId;
use broker::{Instance, Peer, Topic, TopicType};

use crate::{
    ConnectionInfo, Front,
    front::{AdvertisedAddress, broker_name},
};

/// A shard as routes list it.
pub(crate) struct ShardPlace {
    /// Its number.
    pub(crate) shard: ShardId,
    /// Its name as a broker.
    pub(crate) broker: String,
    /// Where clients find it.
    pub(crate) address: AdvertisedAddress,
}

/// The shards of an instance for a client of `connection`, by number.
///
/// This node is not listed while it stops and another one is there. A node that has just gone is
/// listed for topics whose senders choose the queue by a message group: their choice must not
/// change while it restarts, and what they send meanwhile fails and is tried again.
pub(crate) fn shard_places(
    front: &Front,
    connection: &ConnectionInfo,
    instance: &Instance,
    topic: Option<&Topic>,
) -> Vec<ShardPlace> {
    let place = |shard, address| ShardPlace {
        shard,
        broker: broker_name(instance.id(), shard),
        address,
    };
    let is_fifo = topic.is_some_and(|topic| topic.spec.topic_type == Some(TopicType::Fifo));
    let has_own_nodes = instance.settings().has_own_nodes;
    let of = has_own_nodes.then(|| instance.id());
    let peers = front.nodes.as_ref().map(|nodes| nodes.peers(of, is_fifo));
    let peers = peers.into_iter().flatten().filter_map(|peer| {
        let address = address_of(&peer)?;
        Some(place(peer.record.number, address))
    });
    let mut places: Vec<ShardPlace> = peers.collect();
    if places.is_empty() || is_fifo || !front.drain.is_draining() {
        let here = instance.shards().into_iter();
        places.extend(here.map(|shard| place(shard.id(), front.advertised(connection))));
        places.sort_by_key(|place| place.shard);
    }
    places
}

/// The first address of a node, which is the one of its first listener.
fn address_of(peer: &Peer) -> Option<AdvertisedAddress> {
    let (host, port) = peer.record.addresses.first()?.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(AdvertisedAddress {
        host: match host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().to_string(),
            Err(_) => host.to_owned(),
        },
        port: port.parse().ok()?,
    })
}
