//! Heartbeats (34), leaving (35), and whether a filter can be evaluated (46).

use std::{collections::BTreeMap, sync::Arc};

use base::{GroupName, InstanceId, TopicName};
use broker::{
    ClientIdentity, ConsumeFrom, ConsumeMode, ConsumerSubscription, Filter, FilterError, Heartbeat,
    Instance, MessageModel, Subscription, TopicSpec,
};
use wire::remoting::{
    Command, ResponseCode,
    body::{
        Body, CheckClientRequest, ConsumeFromWhere, ConsumeType, ConsumerData, HeartbeatData,
        MessageModel as Model, SubscriptionData,
    },
    header::UnregisterClientRequest,
};

use super::{
    connection::{Connection, GroupIn, Told, TopicAndGroup},
    pull,
    reply::{Answer, Refusal, Reply},
};

/// Queues of a group's retry topic, as on Apache.
const RETRY_QUEUES: u32 = 1;

/// What a client says in one instance.
struct Said {
    instance: Arc<Instance>,
    producer_groups: Vec<GroupName>,
    consumers: Vec<ConsumerSubscription>,
}

/// Code 34. The names of a heartbeat may belong to several instances.
pub(super) async fn beat(connection: &Connection, request: &Command) -> Answer {
    let data = HeartbeatData::decode(&request.body)?;
    let mut said: BTreeMap<InstanceId, Said> = BTreeMap::new();
    let mut told = Told::default();
    for producer in &data.producers {
        let GroupIn { instance, group } = connection.group(&producer.group_name)?;
        told.groups
            .insert(group.clone(), producer.group_name.clone());
        in_instance(&mut said, instance).producer_groups.push(group);
    }
    for consumer in &data.consumers {
        let GroupIn { instance, group } = connection.group(&consumer.group_name)?;
        if !prepare(&instance, &group).await? {
            // As on Apache: a group that is not there and is not made is passed over; its pulls say
            // so.
            continue;
        }
        told.groups
            .insert(group.clone(), consumer.group_name.clone());
        let subscriptions = subscriptions(connection, &group, consumer, &mut told)?;
        for Subscription { topic, filter, .. } in &subscriptions {
            let key = (group.clone(), topic.clone());
            told.filters.insert(key, filter.clone());
        }
        let consumer = subscription(group, consumer, subscriptions);
        in_instance(&mut said, instance).consumers.push(consumer);
    }
    told.instances
        .extend(said.values().map(|said| Arc::clone(&said.instance)));
    // First what pulls need, then what makes others tell this client to rebalance.
    connection.keep_told(told);
    for said in said.into_values() {
        said.instance.heartbeat(Heartbeat {
            client: ClientIdentity {
                id: data.client_id.clone(),
                connection: connection.info.id,
                address: connection.info.peer,
                language: request.language.name().to_owned(),
                version: request.version.to_string(),
            },
            commands: connection.commands.clone(),
            producer_groups: said.producer_groups,
            consumers: said.consumers,
        })?;
    }
    Ok(Reply::success(request))
}

fn in_instance(said: &mut BTreeMap<InstanceId, Said>, instance: Arc<Instance>) -> &mut Said {
    said.entry(instance.id().clone()).or_insert_with(|| Said {
        instance,
        producer_groups: Vec::new(),
        consumers: Vec::new(),
    })
}

/// Makes the group and its retry topic: tools know the groups by those. `false` if the group is not
/// there and may not be made.
async fn prepare(instance: &Instance, group: &GroupName) -> Result<bool, Refusal> {
    if instance.group(group).is_none() && instance.group_or_create(group).await?.is_none() {
        return Ok(false);
    }
    let retry = TopicName::retry_of(group);
    if instance.topic(&retry).is_none() {
        let spec = TopicSpec::new(retry, RETRY_QUEUES);
        instance.create_topic(spec).await?;
    }
    Ok(true)
}

fn subscriptions(
    connection: &Connection,
    group: &GroupName,
    consumer: &ConsumerData,
    told: &mut Told,
) -> Result<Vec<Subscription>, Refusal> {
    let mut subscriptions = Vec::with_capacity(consumer.subscriptions.len());
    for data in &consumer.subscriptions {
        let named = connection.topic_of(&data.topic, &consumer.group_name)?;
        let names = TopicAndGroup {
            instance: named.instance,
            topic: named.topic,
            group: group.clone(),
        };
        match filter(connection, &names, data) {
            Ok(filter) => {
                let version = data.version;
                subscriptions.push(Subscription {
                    topic: names.topic,
                    filter,
                    version,
                });
            }
            // The rest of the heartbeat stands; pulls of this topic are told what is wrong.
            Err(error) => {
                tracing::debug!(%group, topic = %names.topic, %error, "subscription passed over");
                told.refused.insert((names.group, names.topic), error);
            }
        }
    }
    Ok(subscriptions)
}

/// Reads the filter of a subscription. A client says the same every 30 s; what is known is not read
/// again.
fn filter(
    connection: &Connection,
    names: &TopicAndGroup,
    data: &SubscriptionData,
) -> Result<Filter, FilterError> {
    check_class_filter(data)?;
    pull::parse_again(
        connection,
        names,
        &data.expression,
        Some(&data.expression_type),
    )
}

fn check_class_filter(data: &SubscriptionData) -> Result<(), FilterError> {
    if data.class_filter_mode {
        let kind = "class".to_owned();
        return Err(FilterError::Unsupported { kind });
    }
    Ok(())
}

fn subscription(
    group: GroupName,
    consumer: &ConsumerData,
    subscriptions: Vec<Subscription>,
) -> ConsumerSubscription {
    ConsumerSubscription {
        group,
        model: match consumer.message_model {
            Model::Broadcasting => MessageModel::Broadcasting,
            Model::Clustering | Model::LiteSelective => MessageModel::Clustering,
        },
        mode: match consumer.consume_type {
            ConsumeType::Actively => ConsumeMode::Pull,
            ConsumeType::Passively | ConsumeType::Pop => ConsumeMode::Push,
        },
        from: match consumer.consume_from_where {
            ConsumeFromWhere::LastOffset
            | ConsumeFromWhere::LastOffsetAndMinWhenBootFirst
            | ConsumeFromWhere::MaxOffset => ConsumeFrom::LastOffset,
            ConsumeFromWhere::MinOffset | ConsumeFromWhere::FirstOffset => ConsumeFrom::FirstOffset,
            ConsumeFromWhere::Timestamp => ConsumeFrom::Timestamp,
        },
        subscriptions,
    }
}

/// Code 35.
pub(super) fn unregister(connection: &Connection, request: &Command) -> Answer {
    let header: UnregisterClientRequest<'_> = request.header()?;
    for name in [header.producer_group, header.consumer_group]
        .into_iter()
        .flatten()
    {
        // The binary header writes what is not there as an empty text.
        if name.is_empty() {
            continue;
        }
        let GroupIn { instance, group } = connection.group(name)?;
        instance.unregister(header.client_id, Some(&group));
    }
    Ok(Reply::success(request))
}

/// Code 46: push consumers ask it before they subscribe with anything but tags.
pub(super) fn check_client_config(request: &Command) -> Answer {
    let body = CheckClientRequest::decode(&request.body)?;
    let data = &body.subscription_data;
    let read = check_class_filter(data)
        .and_then(|()| pull::parse(&data.expression, Some(&data.expression_type)));
    match read {
        Ok(_) => Ok(Reply::success(request)),
        Err(error) => Err(Refusal::of(ResponseCode::SubscriptionParseFailed, &error)),
    }
}
