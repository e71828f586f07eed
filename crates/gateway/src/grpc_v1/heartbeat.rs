//! Heartbeat: a client lives, and this is what it does; HealthCheck: whether the server does;
//! NotifyClientTermination: a client is about to end.

use base::{GroupName, limits};
use broker::{ConsumeFrom, ConsumeMode, ConsumerSubscription, MessageModel, Subscription};
use wire::{
    grpc_v1::{
        self as v1, ConsumeMessageType, ConsumeModel, ConsumePolicy, heartbeat_request::ClientData,
        notify_client_termination_request::Group,
    },
    grpc_v2::Code,
};

use super::{filter, instance_of, ok};
use crate::grpc::{
    call::{Call, check_client_id},
    clients::Role,
    long_poll::draining,
    names,
    status::Refusal,
};

pub(super) async fn heartbeat(
    call: &Call,
    request: v1::HeartbeatRequest,
) -> Result<v1::HeartbeatResponse, Refusal> {
    let identity = call.identity_of(check_client_id(&request.client_id)?);
    let (instance, role) = match &request.client_data {
        Some(ClientData::ProducerData(producer)) => {
            let (instance, group) = names::group(call, producer.group.as_ref())?;
            (instance, producer_role(group))
        }
        Some(ClientData::ConsumerData(consumer)) => {
            let (instance, group) = names::group(call, consumer.group.as_ref())?;
            if instance.group_or_create(&group).await?.is_none() {
                return Err(names::no_group(&instance, &group));
            }
            let consumers = vec![subscription(call, consumer, group)?];
            let role = Role {
                consumers,
                ..Role::default()
            };
            (instance, role)
        }
        None => (names::instance(call)?, Role::default()),
    };
    call.front
        .grpc_clients
        .does(&instance, identity, role, call.now())?;
    Ok(v1::HeartbeatResponse { common: ok() })
}

/// What a producer of that group does.
pub(super) fn producer_role(group: GroupName) -> Role {
    Role {
        producer_groups: vec![group],
        ..Role::default()
    }
}

fn subscription(
    call: &Call,
    consumer: &v1::ConsumerData,
    group: GroupName,
) -> Result<ConsumerSubscription, Refusal> {
    let (count, max) = (
        consumer.subscriptions.len(),
        limits::CLIENT_SETTINGS_ENTRIES_MAX,
    );
    if count > max {
        return Err(Refusal::new(
            Code::BadRequest,
            format!("heartbeat names {count} subscriptions, expected at most {max}"),
        ));
    }
    let mut subscriptions = Vec::with_capacity(count);
    for entry in &consumer.subscriptions {
        let (_, topic) = names::topic(call, entry.topic.as_ref())?;
        subscriptions.push(Subscription {
            topic,
            filter: filter(entry.expression.as_ref())?,
            // The protocol has none. The same every time, so that a heartbeat changes nothing.
            version: 0,
        });
    }
    Ok(ConsumerSubscription {
        group,
        model: match consumer.consume_model() {
            ConsumeModel::Clustering => MessageModel::Clustering,
            ConsumeModel::Broadcasting => MessageModel::Broadcasting,
        },
        mode: match consumer.consume_type() {
            ConsumeMessageType::Active => ConsumeMode::Pull,
            ConsumeMessageType::Passive => ConsumeMode::Push,
        },
        from: match consumer.consume_policy() {
            ConsumePolicy::Resume | ConsumePolicy::Discard => ConsumeFrom::LastOffset,
            ConsumePolicy::Playback => ConsumeFrom::FirstOffset,
            ConsumePolicy::TargetTimestamp => ConsumeFrom::Timestamp,
        },
        subscriptions,
    })
}

pub(super) fn health_check(call: &Call) -> Result<v1::HealthCheckResponse, Refusal> {
    // Producers keep away from a server until it says that it is well.
    if call.front.drain.is_draining() {
        return Err(draining());
    }
    Ok(v1::HealthCheckResponse { common: ok() })
}

pub(super) fn notify_client_termination(
    call: &Call,
    request: &v1::NotifyClientTerminationRequest,
) -> Result<v1::NotifyClientTerminationResponse, Refusal> {
    let group = request.group.as_ref().map(|group| match group {
        Group::ProducerGroup(group) | Group::ConsumerGroup(group) => group,
    });
    let instance = instance_of(call, group)?;
    let client = check_client_id(&request.client_id)?;
    call.front.grpc_clients.terminated(&instance, client);
    Ok(v1::NotifyClientTerminationResponse { common: ok() })
}
