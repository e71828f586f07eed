//! Queue locks (codes 41, 42) of ordered consumers.

use base::{QueueId, TopicName};
use wire::remoting::{
    Command,
    body::{Body, LockQueuesRequest, LockQueuesResponse, MessageQueue},
};

use super::{
    connection::{Connection, GroupIn},
    pull::queue_id,
    reply::{Answer, Refusal, Reply},
};

/// Code 41.
pub(super) fn lock(connection: &Connection, request: &Command) -> Answer {
    let body = LockQueuesRequest::decode(&request.body)?;
    let GroupIn { instance, group } = connection.group(&body.consumer_group)?;
    let asked = queues(connection, &body)?;
    let plain: Vec<(TopicName, QueueId)> = asked.iter().map(|(_, queue)| queue.clone()).collect();
    let shard = connection.shard(instance.id())?;
    let locked = shard.lock_queues(&group, &body.client_id, &plain)?;
    // The client gets its own words back: with its broker name and prefix.
    let locked_queues = asked
        .into_iter()
        .filter(|(_, queue)| locked.contains(queue))
        .map(|(queue, _)| queue.clone())
        .collect();
    Ok(Reply::body(request, &LockQueuesResponse { locked_queues }))
}

/// Code 42.
pub(super) fn unlock(connection: &Connection, request: &Command) -> Answer {
    let body = LockQueuesRequest::decode(&request.body)?;
    let GroupIn { instance, group } = connection.group(&body.consumer_group)?;
    let plain: Vec<(TopicName, QueueId)> = queues(connection, &body)?
        .into_iter()
        .map(|(_, queue)| queue)
        .collect();
    connection
        .shard(instance.id())?
        .unlock_queues(&group, &body.client_id, &plain)?;
    Ok(Reply::success(request))
}

type Queues<'a> = Vec<(&'a MessageQueue, (TopicName, QueueId))>;

fn queues<'a>(connection: &Connection, body: &'a LockQueuesRequest) -> Result<Queues<'a>, Refusal> {
    let plain = |queue: &'a MessageQueue| {
        let named = connection.topic_of(&queue.topic, &body.consumer_group)?;
        Ok((queue, (named.topic, queue_id(queue.queue_id)?)))
    };
    body.queues.iter().map(plain).collect()
}
