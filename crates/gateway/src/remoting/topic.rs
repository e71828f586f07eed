//! Administration of topics (codes 17, 21, 202, 206, 215, 216, 224, 351).

use std::{collections::BTreeMap, sync::Arc};

use base::{QueueOffset, Timestamp};
use broker::{Counter, Instance, ORDER_NAMESPACE, Permission, Topic, TopicSpec, TopicType, Window};
use wire::remoting::{
    Command, ResponseCode,
    body::{
        Body, DataVersion, QueueTable, TopicConfig, TopicConfigList, TopicConfigTable,
        TopicFilterType, TopicList, TopicOffset, TopicStatsTable,
    },
    header::{CreateTopicRequest, TopicRequest},
};

use super::{
    connection::{Connection, TopicIn},
    reply::{Answer, Refusal, Reply},
    route::{TEMPLATE_TOPIC, queue_names},
};
use crate::{front::CLUSTER_NAME, instance::prefixed};

/// The attribute that declares a topic's type.
const TYPE_ATTRIBUTE: &str = "message.type";

/// Code 17.
pub(super) async fn create(connection: &Connection, request: &Command) -> Answer {
    let header: CreateTopicRequest<'_> = request.header()?;
    let (instance, spec) = spec(connection, &header)?;
    instance.create_topic(spec).await?;
    Ok(Reply::success(request))
}

/// What a topic is asked to be.
fn spec(
    connection: &Connection,
    header: &CreateTopicRequest<'_>,
) -> Result<(Arc<Instance>, TopicSpec), Refusal> {
    let TopicIn { instance, topic } = connection.topic(header.topic)?;
    if topic.as_str() == TEMPLATE_TOPIC || topic.as_str() == CLUSTER_NAME {
        let remark = format!("topic name `{topic}` is reserved");
        return Err(Refusal::new(ResponseCode::InvalidParameter, remark));
    }
    let queues = header.read_queue_count.max(header.write_queue_count);
    let mut spec = match instance.topic(&topic) {
        Some(topic) => topic.spec.clone(),
        None => TopicSpec::new(topic, 1),
    };
    spec.queues = u32::try_from(queues).unwrap_or(0);
    spec.permission = u8::try_from(header.permission)
        .map(Permission::from_bits)
        .map_err(|_| {
            let remark = format!("permission is {}, expected 0 to 7", header.permission);
            Refusal::new(ResponseCode::InvalidParameter, remark)
        })?;
    change_attributes(&mut spec, header.attributes.unwrap_or_default())
        .map_err(|remark| Refusal::new(ResponseCode::InvalidParameter, remark))?;
    Ok((instance, spec))
}

/// Code 18: all or none, as far as the requests themselves can be wrong.
pub(super) async fn create_list(connection: &Connection, request: &Command) -> Answer {
    let list = TopicConfigList::decode(&request.body)?;
    check_count("topicConfigList", list.topics.len())?;
    let mut specs = Vec::with_capacity(list.topics.len());
    for config in &list.topics {
        let attributes = config.attributes.iter().map(|(name, value)| {
            let sign = if name.starts_with(['+', '-']) {
                ""
            } else {
                "+"
            };
            format!("{sign}{name}={value}")
        });
        let attributes = attributes.collect::<Vec<_>>().join(",");
        let header = CreateTopicRequest {
            topic: &config.topic_name,
            default_topic: TEMPLATE_TOPIC,
            read_queue_count: config.read_queue_count,
            write_queue_count: config.write_queue_count,
            permission: config.permission,
            topic_filter_type: "SINGLE_TAG",
            topic_sys_flag: None,
            order: config.order,
            attributes: Some(&attributes),
            force: false,
        };
        specs.push(spec(connection, &header)?);
    }
    for (instance, spec) in specs {
        instance.create_topic(spec).await?;
    }
    Ok(Reply::success(request))
}

/// Refuses lists that hold the catalogue for too long.
pub(super) fn check_count(field: &str, count: usize) -> Result<(), Refusal> {
    let max = base::limits::CREATE_BATCH_MAX;
    if count == 0 || count > max {
        let remark = format!("field `{field}` has {count} entries, expected 1 to {max}");
        return Err(Refusal::new(ResponseCode::InvalidParameter, remark));
    }
    Ok(())
}

/// Applies `+name=value,-name`, as `AttributeParser` of the tools writes it.
fn change_attributes(spec: &mut TopicSpec, changes: &str) -> Result<(), String> {
    for change in changes
        .split(',')
        .map(str::trim)
        .filter(|change| !change.is_empty())
    {
        let wrong = || format!("attribute change `{change}` is neither +name=value nor -name");
        if let Some(name) = change.strip_prefix('-') {
            if name == TYPE_ATTRIBUTE {
                return Err(format!("attribute `{TYPE_ATTRIBUTE}` cannot be removed"));
            }
            spec.attributes.remove(name);
            continue;
        }
        let (name, value) = change
            .strip_prefix('+')
            .and_then(|c| c.split_once('='))
            .ok_or_else(wrong)?;
        if name == TYPE_ATTRIBUTE {
            spec.topic_type = Some(value.parse::<TopicType>()?);
        } else {
            spec.attributes.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(())
}

/// Code 215.
pub(super) async fn delete(connection: &Connection, request: &Command) -> Answer {
    let header: TopicRequest<'_> = request.header()?;
    let TopicIn { instance, topic } = connection.topic(header.topic)?;
    instance.delete_topic(&topic).await?;
    Ok(Reply::success(request))
}

/// Code 216: tools send it to the name server after 215 to the brokers. Here both are one.
pub(super) fn delete_in_name_server(request: &Command) -> Answer {
    Ok(Reply::success(request))
}

/// Code 21. Everything in one answer: a client that asks in pages sees that it has got all.
pub(super) fn all(connection: &Connection, request: &Command) -> Answer {
    let (instance, is_named) = connection.instance_of_all(request)?;
    let topics = instance.topics();
    let topics = topics.iter().map(|topic| {
        let name = shown(&instance, is_named, topic.name().as_str());
        let config = config(&instance, topic, Some(&name));
        (name, config)
    });
    let table = TopicConfigTable {
        data_version: DataVersion::default(),
        topics: topics.collect(),
    };
    Ok(Reply::body(request, &table))
}

/// Code 351.
pub(super) fn get(connection: &Connection, request: &Command) -> Answer {
    let header: TopicRequest<'_> = request.header()?;
    let TopicIn { instance, topic } = connection.topic(header.topic)?;
    let Some(found) = instance.topic(&topic) else {
        return Err(not_found(&TopicIn { instance, topic }));
    };
    let config = config(&instance, &found, Some(header.topic));
    Ok(Reply::body(request, &config))
}

/// A name in an answer to who named the instance, or did not.
pub(super) fn shown(instance: &Instance, is_named: bool, name: &str) -> String {
    if is_named {
        return prefixed(instance.id(), name);
    }
    name.to_owned()
}

fn config(instance: &Instance, topic: &Topic, shown: Option<&str>) -> TopicConfig {
    let spec = &topic.spec;
    // A topic is ordered as long as there is an order of its queues; tools make both at once.
    let order = instance.kv_config(ORDER_NAMESPACE, spec.name.as_str());
    let mut attributes: BTreeMap<String, String> = spec.attributes.clone();
    if let Some(topic_type) = spec.topic_type {
        attributes.insert(TYPE_ATTRIBUTE.to_owned(), topic_type.attribute().to_owned());
    }
    TopicConfig {
        attributes,
        order: order.is_some(),
        permission: spec.permission.bits().into(),
        read_queue_count: spec.queues.cast_signed(),
        write_queue_count: spec.queues.cast_signed(),
        topic_filter_type: TopicFilterType::SingleTag,
        topic_name: shown.unwrap_or(spec.name.as_str()).to_owned(),
        topic_sys_flag: 0,
    }
}

/// Codes 206 and 224.
pub(super) fn list(connection: &Connection, request: &Command) -> Answer {
    let (instance, is_named) = connection.instance_of_all(request)?;
    let topics = instance.topics();
    let topics = topics
        .iter()
        .map(|topic| shown(&instance, is_named, topic.name().as_str()))
        .collect();
    Ok(Reply::body(
        request,
        &TopicList {
            broker_address: None,
            topics,
        },
    ))
}

/// Code 202.
pub(super) fn stats(connection: &Connection, request: &Command) -> Answer {
    let header: TopicRequest<'_> = request.header()?;
    let named = connection.topic(header.topic)?;
    let Some(topic) = named.instance.topic(&named.topic) else {
        return Err(not_found(&named));
    };
    let shard = connection.shard(named.instance.id())?;
    let mut table = Vec::new();
    for (name, queue) in queue_names(&named.instance, &topic, header.topic)
        .into_iter()
        .zip(topic.queues())
    {
        let range = shard.queue_range(topic.name(), queue)?;
        let last = range.max.get().checked_sub(1).map(QueueOffset::new);
        let written = match last {
            Some(last) => shard.store_time(topic.name(), queue, last)?,
            None => None,
        };
        let offsets = TopicOffset {
            last_update_timestamp: written.map_or(0, Timestamp::ms),
            max_offset: range.max.get().cast_signed(),
            min_offset: range.min.get().cast_signed(),
        };
        table.push((name, offsets));
    }
    let counter = Counter::MessagesIn(topic.name().clone());
    let sent = named.instance.rate(&counter, Window::Minute);
    let offset_table: QueueTable<TopicOffset> = QueueTable(table);
    Ok(Reply::body(
        request,
        &TopicStatsTable {
            offset_table,
            topic_put_tps: sent.per_second,
        },
    ))
}

pub(super) fn not_found(named: &TopicIn) -> Refusal {
    let TopicIn { instance, topic } = named;
    let remark = format!("topic `{topic}` not found in instance `{}`", instance.id());
    Refusal::new(ResponseCode::TopicNotExist, remark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_change_as_tools_write_them() {
        let mut spec = TopicSpec::new(base::TopicName::new("orders").unwrap(), 4);
        change_attributes(&mut spec, "+message.type=FIFO,+cleanup.policy=DELETE").unwrap();
        assert_eq!(spec.topic_type, Some(TopicType::Fifo));
        assert_eq!(spec.attributes["cleanup.policy"], "DELETE");
        change_attributes(&mut spec, "-cleanup.policy").unwrap();
        assert!(spec.attributes.is_empty());
        for wrong in [
            "message.type=FIFO",
            "+message.type",
            "+message.type=HUGE",
            "-message.type",
        ] {
            assert!(change_attributes(&mut spec, wrong).is_err(), "{wrong}");
        }
    }
}
