//! QueryRoute and QueryAssignment: where a topic's partitions are, and which of them a consumer
//! takes.

use std::{net::IpAddr, sync::Arc};

use broker::{Instance, Permission, Topic, TopicType};
use wire::{
    grpc_v1::{self as v1, AddressScheme, MessageType},
    grpc_v2::Code,
};

use super::ok;
use crate::{
    front::AdvertisedAddress,
    grpc::{call::Call, names, status::Refusal},
    places::shard_places,
};

pub(super) async fn query_route(
    call: &Call,
    request: v1::QueryRouteRequest,
) -> Result<v1::QueryRouteResponse, Refusal> {
    let (instance, name) = names::topic(call, request.topic.as_ref())?;
    let topic = names::topic_or_create(&instance, &name).await?;
    Ok(v1::QueryRouteResponse {
        common: ok(),
        partitions: partitions(call, &instance, &topic, &request.topic),
    })
}

/// Every consumer gets every partition: deliveries are shared one by one, and an ordered consumer
/// is given nothing of a partition while another has messages of it.
pub(super) async fn query_assignment(
    call: &Call,
    request: v1::QueryAssignmentRequest,
) -> Result<v1::QueryAssignmentResponse, Refusal> {
    let (instance, name, _) =
        names::topic_and_group(call, request.topic.as_ref(), request.group.as_ref())?;
    let topic = names::topic_or_create(&instance, &name).await?;
    if !topic.spec.permission.readable() {
        return Err(Refusal::new(
            Code::Forbidden,
            format!("topic `{name}` is not readable"),
        ));
    }
    let partitions = partitions(call, &instance, &topic, &request.topic);
    let assignments = partitions.into_iter().map(|partition| v1::Assignment {
        partition: Some(partition),
    });
    Ok(v1::QueryAssignmentResponse {
        common: ok(),
        assignments: assignments.collect(),
    })
}

fn partitions(
    call: &Call,
    instance: &Instance,
    topic: &Arc<Topic>,
    told: &Option<v1::Resource>,
) -> Vec<v1::Partition> {
    let mut partitions = Vec::new();
    for place in shard_places(&call.front, &call.connection, instance, Some(topic)) {
        let permission = permission(place.offered(topic.spec.permission));
        let broker = v1::Broker {
            name: place.broker,
            // SDKs take no other.
            id: 0,
            endpoints: Some(endpoints(place.address)),
        };
        for queue in topic.queues() {
            partitions.push(v1::Partition {
                topic: told.clone(),
                id: queue.get().cast_signed(),
                permission: permission.into(),
                broker: Some(broker.clone()),
                accept_message_types: accepted(topic.spec.topic_type),
            });
        }
    }
    partitions
}

fn endpoints(address: AdvertisedAddress) -> v1::Endpoints {
    let scheme = match address.host.parse() {
        Ok(IpAddr::V4(_)) => AddressScheme::IPv4,
        Ok(IpAddr::V6(_)) => AddressScheme::IPv6,
        Err(_) => AddressScheme::DomainName,
    };
    v1::Endpoints {
        scheme: scheme.into(),
        addresses: vec![v1::Address {
            host: address.host,
            port: address.port.into(),
        }],
    }
}

fn permission(permission: Permission) -> v1::Permission {
    match (permission.readable(), permission.writable()) {
        (true, true) => v1::Permission::ReadWrite,
        (true, false) => v1::Permission::Read,
        (false, true) => v1::Permission::Write,
        (false, false) => v1::Permission::None,
    }
}

/// The types that the topic takes, of those that the protocol knows.
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
        Some(TopicType::Lite | TopicType::Priority) => &[],
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
}
