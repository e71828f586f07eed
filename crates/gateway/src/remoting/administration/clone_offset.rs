//! One group takes over where another is (code 314).

use std::collections::BTreeSet;

use base::TopicName;
use wire::remoting::{Command, header::CloneGroupOffsetRequest};

use crate::remoting::{
    connection::{Connection, GroupIn},
    reply::{Answer, Reply},
};

/// Code 314. Unless `offline` is said, topics that the members of the source do not subscribe to
/// are passed over, if there are members.
pub(super) async fn clone(connection: &Connection, request: &Command) -> Answer {
    let header: CloneGroupOffsetRequest<'_> = request.header()?;
    let GroupIn { instance, group } = connection.group(header.source_group)?;
    let destination = connection.group(header.destination_group)?;
    let topic = match header.topic.filter(|topic| !topic.trim().is_empty()) {
        Some(topic) => Some(connection.topic_of(topic, header.source_group)?.topic),
        None => None,
    };
    let subscribed: BTreeSet<TopicName> = instance
        .consumers(&group)
        .into_iter()
        .filter_map(|member| member.consumer)
        .flat_map(|consumer| consumer.subscriptions)
        .map(|subscription| subscription.topic)
        .collect();
    let only = Some(&subscribed).filter(|topics| !header.offline && !topics.is_empty());
    connection
        .shard(instance.id())?
        .clone_offset(&group, &destination.group, topic.as_ref(), only)
        .await?;
    Ok(Reply::success(request))
}
