//! Who is connected (codes 203, 204, 328).

use std::collections::BTreeMap;

use broker::{ConsumeFrom, ConsumeMode, MessageModel, RegisteredClient};
use wire::remoting::{
    Command, ResponseCode,
    body::{
        self, ConsumeFromWhere, ConsumeType, ConsumerConnections, ProducerConnections,
        ProducerInfo, ProducerTable,
    },
    header::{ConsumerGroupRequest, ProducerGroupRequest},
};

use super::shown;
use crate::{
    client_answer::subscription_data,
    remoting::{
        connection::{Connection, GroupIn},
        reply::{Answer, Refusal, Reply},
    },
};

/// Code 203. Mode, model and start are those of the first member: they should be the same for all.
pub(super) fn consumers(connection: &Connection, request: &Command) -> Answer {
    let header: ConsumerGroupRequest<'_> = request.header()?;
    let GroupIn { instance, group } = connection.group(header.consumer_group)?;
    let members = instance.consumers(&group);
    let Some(first) = members.iter().find_map(|member| member.consumer.as_ref()) else {
        let remark = format!("group `{group}` has no consumers");
        return Err(Refusal::new(ResponseCode::ConsumerNotOnline, remark));
    };
    let asked = header.consumer_group;
    let subscriptions = instance.subscriptions(&group).into_iter();
    let subscriptions = subscriptions.map(|subscription| {
        let topic = subscription.topic.as_str();
        let topic = shown(connection, asked, instance.id(), topic);
        (topic.clone(), subscription_data(&subscription, topic))
    });
    let answer = ConsumerConnections {
        connections: members.iter().map(connected).collect(),
        consume_from_where: match first.from {
            ConsumeFrom::LastOffset => ConsumeFromWhere::LastOffset,
            ConsumeFrom::FirstOffset => ConsumeFromWhere::FirstOffset,
            ConsumeFrom::Timestamp => ConsumeFromWhere::Timestamp,
        },
        consume_type: match first.mode {
            ConsumeMode::Push => ConsumeType::Passively,
            ConsumeMode::Pull => ConsumeType::Actively,
        },
        message_model: match first.model {
            MessageModel::Clustering => body::MessageModel::Clustering,
            MessageModel::Broadcasting => body::MessageModel::Broadcasting,
        },
        subscriptions: subscriptions.collect(),
    };
    Ok(Reply::body(request, &answer))
}

/// Code 204.
pub(super) fn producers(connection: &Connection, request: &Command) -> Answer {
    let header: ProducerGroupRequest<'_> = request.header()?;
    let GroupIn { instance, group } = connection.group(header.producer_group)?;
    let members = instance.producers(&group);
    if members.is_empty() {
        let remark = format!("group `{group}` has no producers");
        return Err(Refusal::new(ResponseCode::SystemError, remark));
    }
    let connections = members.iter().map(connected).collect();
    Ok(Reply::body(request, &ProducerConnections { connections }))
}

/// Code 328.
pub(super) fn all_producers(connection: &Connection, request: &Command) -> Answer {
    let instance = connection.front.settle([])?;
    let info = |client: &RegisteredClient| ProducerInfo {
        client_id: client.client.id.clone(),
        language: client.client.language.clone(),
        last_update_timestamp: client.last_seen.ms(),
        // As Apache's broker writes it here, and only here.
        address: format!("/{}", client.client.address),
        version: version(client),
    };
    let data: BTreeMap<String, Vec<ProducerInfo>> = instance
        .all_producers()
        .into_iter()
        .map(|(group, clients)| (group.to_string(), clients.iter().map(info).collect()))
        .collect();
    Ok(Reply::body(request, &ProducerTable { data }))
}

fn connected(client: &RegisteredClient) -> body::Connection {
    body::Connection {
        client_address: client.client.address.to_string(),
        client_id: client.client.id.clone(),
        language: client.client.language.clone(),
        version: version(client),
    }
}

/// Remoting clients have a number for a version; others are shown as the oldest.
fn version(client: &RegisteredClient) -> i32 {
    client.client.version.parse().unwrap_or(0)
}
