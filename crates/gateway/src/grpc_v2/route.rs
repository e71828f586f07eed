//! QueryRoute and QueryAssignment: where a topic's queues are, and which of them a consumer takes.

use std::net::IpAddr;

use base::ShardId;
use broker::{Instance, Permission, TopicType};
use wire::grpc_v2::{self as v2, AddressScheme, Code, MessageType};

use super::{
    call::Call,
    names,
    status::{self, Refusal},
};
use crate::{
    front::{AdvertisedAddress, broker_name},
    places::{ShardPlace, shard_places},
};

/// The queue id of "any queue of this broker".
const ANY_QUEUE: i32 = -1;

pub(super) async fn query_route(
    call: &Call,
    request: v2::QueryRouteRequest,
) -> Result<v2::QueryRouteResponse, Refusal> {
    let (instance, name) = names::topic(call, request.topic.as_ref())?;
    let topic = names::topic_or_create(&instance, &name).await?;
    let mut message_queues = Vec::new();
    for place in shard_places(&call.front, &call.connection, &instance, Some(&topic)) {
        let permission = permission(place.offered(topic.spec.permission));
        let broker = broker_at(place);
        for queue in topic.queues() {
            message_queues.push(v2::MessageQueue {
                topic: request.topic.clone(),
                id: queue.get().cast_signed(),
                permission: permission.into(),
                broker: Some(broker.clone()),
                accept_message_types: accepted(topic.spec.topic_type),
            });
        }
    }
    Ok(v2::QueryRouteResponse {
        status: Some(status::ok()),
        message_queues,
    })
}

/// A consumer of a FIFO group gets every queue; others get one entry per broker and receive from
/// any of its queues, as with Apache's proxy.
pub(super) async fn query_assignment(
    call: &Call,
    request: v2::QueryAssignmentRequest,
) -> Result<v2::QueryAssignmentResponse, Refusal> {
    let (instance, name, group) =
        names::topic_and_group(call, request.topic.as_ref(), request.group.as_ref())?;
    let topic = names::topic_or_create(&instance, &name).await?;
    if !topic.spec.permission.readable() {
        return Err(Refusal::new(
            Code::Forbidden,
            format!("topic `{name}` is not readable"),
        ));
    }
    let fifo = instance.group(&group).is_some_and(|group| group.spec.fifo);
    let mut assignments = Vec::new();
    for place in shard_places(&call.front, &call.connection, &instance, Some(&topic)) {
        let broker = broker_at(place);
        let mut assign = |id| {
            assignments.push(v2::Assignment {
                message_queue: Some(v2::MessageQueue {
                    topic: request.topic.clone(),
                    id,
                    permission: permission(topic.spec.permission).into(),
                    broker: Some(broker.clone()),
                    accept_message_types: accepted(topic.spec.topic_type),
                }),
            });
        };
        if fifo {
            topic
                .queues()
                .for_each(|queue| assign(queue.get().cast_signed()));
        } else {
            assign(ANY_QUEUE);
        }
    }
    Ok(v2::QueryAssignmentResponse {
        status: Some(status::ok()),
        assignments,
    })
}

/// A shard that is here as a broker.
pub(super) fn broker(call: &Call, instance: &Instance, shard: ShardId) -> v2::Broker {
    broker_at(ShardPlace {
        shard,
        broker: broker_name(instance.id(), shard),
        address: call.front.advertised(&call.connection),
        takes_sends: true,
    })
}

fn broker_at(place: ShardPlace) -> v2::Broker {
    v2::Broker {
        name: place.broker,
        // 0 is the one that takes messages; there are no others.
        id: 0,
        endpoints: Some(endpoints(place.address)),
    }
}

pub(super) fn endpoints(address: AdvertisedAddress) -> v2::Endpoints {
    let scheme = match address.host.parse() {
        Ok(IpAddr::V4(_)) => AddressScheme::IPv4,
        Ok(IpAddr::V6(_)) => AddressScheme::IPv6,
        Err(_) => AddressScheme::DomainName,
    };
    v2::Endpoints {
        scheme: scheme.into(),
        addresses: vec![v2::Address {
            host: address.host,
            port: address.port.into(),
        }],
    }
}

fn permission(permission: Permission) -> v2::Permission {
    match (permission.readable(), permission.writable()) {
        (true, true) => v2::Permission::ReadWrite,
        (true, false) => v2::Permission::Read,
        (false, true) => v2::Permission::Write,
        (false, false) => v2::Permission::None,
    }
}

/// The types that the SDK lets its application send.
///
/// Compat: the Java SDK up to 5.0.7 fails on a type that it does not know, so LITE and PRIORITY are
/// told only where a topic was declared for them. SDKs that have them send them to such topics.
fn accepted(declared: Option<TopicType>) -> Vec<i32> {
    let types: &[MessageType] = match declared {
        None | Some(TopicType::Mixed) => &[
            MessageType::Normal,
            MessageType::Fifo,
            MessageType::Delay,
            MessageType::Transaction,
        ],
        Some(TopicType::Normal) => &[MessageType::Normal],
        Some(TopicType::Fifo) => &[MessageType::Fifo],
        Some(TopicType::Delay) => &[MessageType::Delay],
        Some(TopicType::Transaction) => &[MessageType::Transaction],
        Some(TopicType::Lite) => &[MessageType::Lite],
        Some(TopicType::Priority) => &[MessageType::Priority],
    };
    types.iter().map(|kind| (*kind).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_say_what_kind_of_address_they_hold() {
        let scheme = |host: &str| {
            endpoints(AdvertisedAddress {
                host: host.to_owned(),
                port: 8081,
            })
            .scheme()
        };
        assert_eq!(scheme("10.0.0.1"), AddressScheme::IPv4);
        assert_eq!(scheme("::1"), AddressScheme::IPv6);
        assert_eq!(scheme("broker.example"), AddressScheme::DomainName);
    }

    #[test]
    fn a_topic_of_no_declared_type_takes_what_every_sdk_knows() {
        assert_eq!(accepted(None).len(), 4);
        assert_eq!(
            accepted(Some(TopicType::Lite)),
            vec![i32::from(MessageType::Lite)]
        );
    }
}
