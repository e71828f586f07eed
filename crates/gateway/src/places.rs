//! Where the shards of an instance are: here, and at the other nodes of the cluster. All routes are
//! made of it.

use std::net::IpAddr;

use base::ShardId;
use broker::{Instance, Peer, Permission, Topic, TopicType};

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
    /// Whether producers are to send there.
    pub(crate) takes_sends: bool,
}

impl ShardPlace {
    /// What its queues of a topic with that permission are offered for.
    pub(crate) fn offered(&self, permission: Permission) -> Permission {
        match self.takes_sends {
            true => permission,
            false => permission.without_writes(),
        }
    }
}

/// The shards of an instance for a client of `connection`, by number.
///
/// A node that is to be sent nothing is listed for what it has, and takes what is sent to it all
/// the same. This node is not listed while it stops and another one is there. A node that has just
/// gone is listed for topics whose senders choose the queue by a message group: their choice must
/// not change while it restarts, and what they send meanwhile fails and is tried again.
pub(crate) fn shard_places(
    front: &Front,
    connection: &ConnectionInfo,
    instance: &Instance,
    topic: Option<&Topic>,
) -> Vec<ShardPlace> {
    let place = |shard, address, takes_sends| ShardPlace {
        shard,
        broker: broker_name(instance.id(), shard),
        address,
        takes_sends,
    };
    let is_fifo = topic.is_some_and(|topic| topic.spec.topic_type == Some(TopicType::Fifo));
    let has_own_nodes = instance.settings().has_own_nodes;
    let of = has_own_nodes.then(|| instance.id());
    let peers = front.nodes.as_ref().map(|nodes| nodes.peers(of, is_fifo));
    let peers = peers.into_iter().flatten().filter_map(|peer| {
        let address = address_of(&peer)?;
        Some(place(peer.record.number, address, peer.wish.sends))
    });
    let mut places: Vec<ShardPlace> = peers.collect();
    if places.is_empty() || is_fifo || !front.drain.is_draining() {
        let here = instance.shards().into_iter();
        let nodes = front.nodes.as_ref();
        let takes_sends = nodes.is_none_or(|nodes| nodes.own_wish().sends);
        let here = here.map(|shard| {
            let address = front.advertised(connection);
            place(shard.id(), address, takes_sends)
        });
        places.extend(here);
        places.sort_by_key(|place| place.shard);
    }
    // Better one that is about to go than none.
    if is_fifo || !places.iter().any(|place| place.takes_sends) {
        places.iter_mut().for_each(|place| place.takes_sends = true);
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
