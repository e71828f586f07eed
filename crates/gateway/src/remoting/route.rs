//! Routes (105) and the cluster (106).

use std::collections::BTreeMap;

use base::TopicName;
use broker::{Instance, ORDER_NAMESPACE, Topic, TopicSpec};
use wire::remoting::{
    Command, ResponseCode,
    body::{BrokerData, ClusterInfo},
    header::{GetRouteRequest, permission},
};

use super::{
    connection::Connection,
    reply::{Answer, Refusal, Reply},
    system_topic::is_trace_topic,
};
use crate::{
    front::{CLUSTER_NAME, broker_name},
    topic_route::{brokers, topic_route},
};

/// The topic whose route a producer asks for when its own topic has none: from it and its own
/// number of queues it guesses the route that the topic will have once its first message has
/// created it.
pub(super) const TEMPLATE_TOPIC: &str = "TBW102";

/// Queues of the topics that stand for the cluster and its brokers; only their brokers are looked
/// at.
pub(super) const ADMINISTRATION_QUEUES: u32 = 1;

/// Queues of a trace topic, as Apache creates it where it is told to.
const TRACE_QUEUES: u32 = 1;

/// Code 105.
pub(super) async fn by_topic(connection: &Connection, request: &Command) -> Answer {
    let header: GetRouteRequest<'_> = request.header()?;
    let named = connection.topic(header.topic)?;
    let region = &connection.front.settings.region;
    if is_trace_topic(named.topic.as_str(), region) && named.instance.topic(&named.topic).is_none()
    {
        // No application creates it, and without it a client's traces go nowhere.
        let spec = TopicSpec::new(named.topic.clone(), TRACE_QUEUES);
        named.instance.create_topic(spec).await?;
    }
    let instance = &named.instance;
    let read_write = permission::READ | permission::WRITE;
    if let Some(topic) = instance.topic(&named.topic) {
        let bits = i32::from(topic.spec.permission.bits());
        let queues = (topic.spec.queues, bits);
        let order = instance.kv_config(ORDER_NAMESPACE, named.topic.as_str());
        let of = (&**instance, Some(&*topic));
        return Ok(route(connection, request, of, queues, order));
    }
    let name = named.topic.as_str();
    if name == TEMPLATE_TOPIC && instance.settings().create_automatically {
        let queues = instance.settings().automatic_queues;
        let bits = read_write | permission::INHERIT;
        let queues = (queues, bits);
        return Ok(route(connection, request, (instance, None), queues, None));
    }
    // Compat: `createTopic` of the administration client (4.9, 5.0) finds its brokers so.
    if name == CLUSTER_NAME || is_broker(instance, name) {
        let queues = (ADMINISTRATION_QUEUES, read_write);
        return Ok(route(connection, request, (instance, None), queues, None));
    }
    let reason = if instance.settings().create_automatically {
        "it is created by its first message"
    } else {
        "create it first: automatic creation is off"
    };
    let id = instance.id();
    let remark = format!("no route for topic `{name}`: it is not in instance `{id}`, {reason}");
    Err(Refusal::new(ResponseCode::TopicNotExist, remark))
}

/// Whether that is the name of one of the instance's shards as brokers.
pub(super) fn is_broker(instance: &Instance, name: &str) -> bool {
    let shards = instance.shards();
    let mut names = shards
        .iter()
        .map(|shard| broker_name(instance.id(), shard.id()));
    names.any(|broker| broker == name)
}

/// Whether the route of that name shows where the server is and nothing else, so that everybody may
/// know it.
pub(super) fn is_no_topic(instance: &Instance, name: &str) -> bool {
    let is_topic = TopicName::new(name).is_ok_and(|name| instance.topic(&name).is_some());
    !is_topic && (name == TEMPLATE_TOPIC || name == CLUSTER_NAME || is_broker(instance, name))
}

fn route(
    connection: &Connection,
    request: &Command,
    of: (&Instance, Option<&Topic>),
    queues: (u32, i32),
    order: Option<String>,
) -> Reply {
    let (front, info) = (&connection.front, &connection.info);
    Reply::body(request, &topic_route(front, info, of, queues, order))
}

/// Code 106. Without a name in it, the request is about the default instance.
pub(super) fn cluster(connection: &Connection, request: &Command) -> Answer {
    let instance = connection.front.settle([])?;
    let brokers: BTreeMap<String, BrokerData> =
        brokers(&connection.front, &connection.info, &instance)
            .into_iter()
            .map(|broker| (broker.broker_name.clone(), broker))
            .collect();
    let names = brokers.keys().cloned().collect();
    let clusters = BTreeMap::from([(CLUSTER_NAME.to_owned(), names)]);
    Ok(Reply::body(request, &ClusterInfo { brokers, clusters }))
}

/// The queues of a topic that are here, with the names that clients call them by.
pub(super) fn queue_names(
    instance: &Instance,
    topic: &Topic,
    shown: &str,
) -> Vec<wire::remoting::body::MessageQueue> {
    let mut names = Vec::new();
    for shard in instance.shards() {
        for queue in topic.queues() {
            names.push(wire::remoting::body::MessageQueue {
                broker_name: broker_name(instance.id(), shard.id()),
                queue_id: queue.get().cast_signed(),
                topic: shown.to_owned(),
            });
        }
    }
    names
}
