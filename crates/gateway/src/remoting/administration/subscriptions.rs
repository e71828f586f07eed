//! Which groups and topics belong together (codes 300, 343, 345): by what groups have committed and
//! by what their members subscribe to.

use std::collections::BTreeSet;

use broker::ProgressOf;
use wire::remoting::{
    Command,
    body::{GroupList, QuerySubscriptionResponse, TopicList},
    header::{GroupRequest, QuerySubscriptionRequest, TopicRequest},
};

use super::shown;
use crate::{
    client_answer::subscription_data,
    remoting::{
        connection::{Connection, GroupIn, TopicIn},
        reply::{Answer, Reply},
    },
};

/// Code 300.
pub(super) fn groups_of_topic(connection: &Connection, request: &Command) -> Answer {
    let header: TopicRequest<'_> = request.header()?;
    let TopicIn { instance, topic } = connection.topic(header.topic)?;
    let progress = connection
        .shard(instance.id())?
        .progress(ProgressOf::Topic(&topic))?;
    let mut groups = instance.subscribed_groups(&topic);
    groups.extend(progress.into_iter().map(|progress| progress.group));
    let shown = |name: &str| shown(connection, header.topic, instance.id(), name);
    let groups = groups.iter().map(|group| shown(group.as_str())).collect();
    Ok(Reply::body(request, &GroupList { groups }))
}

/// Code 343.
pub(super) fn topics_of_group(connection: &Connection, request: &Command) -> Answer {
    let header: GroupRequest<'_> = request.header()?;
    let GroupIn { instance, group } = connection.group(header.group)?;
    let progress = connection
        .shard(instance.id())?
        .progress(ProgressOf::Group(&group))?;
    let topics: BTreeSet<String> = progress
        .iter()
        .map(|progress| {
            shown(
                connection,
                header.group,
                instance.id(),
                progress.topic.as_str(),
            )
        })
        .collect();
    let address = connection.front.advertised(&connection.info).to_string();
    let answer = TopicList {
        broker_address: Some(address),
        topics: topics.into_iter().collect(),
    };
    Ok(Reply::body(request, &answer))
}

/// Code 345.
pub(super) fn of_group(connection: &Connection, request: &Command) -> Answer {
    let header: QuerySubscriptionRequest<'_> = request.header()?;
    let names = connection.topic_and_group(header.topic, header.group)?;
    let data = names
        .instance
        .subscription(&names.group, &names.topic)
        .map(|subscription| subscription_data(&subscription, header.topic.to_owned()));
    let answer = QuerySubscriptionResponse {
        group: header.group.to_owned(),
        subscription_data: data,
        topic: header.topic.to_owned(),
    };
    Ok(Reply::body(request, &answer))
}
