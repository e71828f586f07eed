//! Assignment (codes 400, 401): which queues a client is to consume, and how its group asks for
//! them. Source: `QueryAssignmentProcessor` and the `AllocateMessageQueue` strategies of RocketMQ
//! 5.5.0, which clients compute with too, so that both must share out alike.

use base::GroupName;
use broker::{Instance, RequestMode};
use wire::remoting::{
    Command,
    body::{
        Body, MessageModel, MessageQueue, MessageRequestMode, QueryAssignmentRequest,
        QueryAssignmentResponse, QueueAssignment, SetMessageRequestMode,
    },
};

use super::{
    connection::{Connection, TopicAndGroup},
    pull::require_group,
    reply::{Answer, Reply},
};
use crate::places::shard_places;

/// Code 400.
pub(super) fn query(connection: &Connection, request: &Command) -> Answer {
    let body = QueryAssignmentRequest::decode(&request.body)?;
    let names = connection.topic_and_group(&body.topic, &body.consumer_group)?;
    let mode = names.instance.request_mode(&names.topic, &names.group);
    let queues =
        queues(connection, &names, &body.topic).and_then(|queues| match body.message_model {
            MessageModel::Broadcasting => Some(queues),
            MessageModel::Clustering => share(&names.instance, &names.group, &body, mode, queues),
            MessageModel::LiteSelective => None,
        });
    let mode = match mode {
        RequestMode::Pull => MessageRequestMode::Pull,
        RequestMode::Receive { .. } => MessageRequestMode::Pop,
    };
    let assignment = |queue| QueueAssignment {
        queue,
        mode,
        attachments: None,
    };
    let assignments = queues.map(|queues| queues.into_iter().map(assignment).collect());
    Ok(Reply::body(
        request,
        &QueryAssignmentResponse { assignments },
    ))
}

/// Code 401.
pub(super) async fn set_mode(connection: &Connection, request: &Command) -> Answer {
    let body = SetMessageRequestMode::decode(&request.body)?;
    let names = connection.topic_and_group(&body.topic, &body.consumer_group)?;
    require_group(&names).await?;
    let mode = match body.mode {
        MessageRequestMode::Pull => RequestMode::Pull,
        MessageRequestMode::Pop => RequestMode::Receive {
            shared_with: u32::try_from(body.pop_share_queue_count).unwrap_or(0),
        },
    };
    names
        .instance
        .set_request_mode(&names.topic, &names.group, mode)
        .await?;
    Ok(Reply::success(request))
}

/// The readable queues of a topic, in the order that all clients know.
fn queues(
    connection: &Connection,
    names: &TopicAndGroup,
    shown: &str,
) -> Option<Vec<MessageQueue>> {
    let topic = names.instance.topic(&names.topic)?;
    if !topic.spec.permission.readable() {
        return Some(Vec::new());
    }
    let (front, info) = (&connection.front, &connection.info);
    let mut queues = Vec::new();
    for place in shard_places(front, info, &names.instance, Some(&topic)) {
        queues.extend(topic.queues().map(|queue| MessageQueue {
            broker_name: place.broker.clone(),
            queue_id: queue.get().cast_signed(),
            topic: shown.to_owned(),
        }));
    }
    queues.sort_by(|a, b| (&a.broker_name, a.queue_id).cmp(&(&b.broker_name, b.queue_id)));
    Some(queues)
}

/// The queues of one client among the members of its group. `None` where the group has no members
/// or the strategy is not known.
fn share(
    instance: &Instance,
    group: &GroupName,
    asked: &QueryAssignmentRequest,
    mode: RequestMode,
    queues: Vec<MessageQueue>,
) -> Option<Vec<MessageQueue>> {
    let members = instance.consumers(group).into_iter();
    let mut members: Vec<String> = members.map(|member| member.client.id).collect();
    members.sort();
    if members.is_empty() {
        return None;
    }
    let strategy = Strategy::named(&asked.strategy_name)?;
    let own = members.iter().position(|member| *member == asked.client_id);
    let RequestMode::Receive { shared_with } = mode else {
        let own = own.map(|own| strategy.share(&queues, members.len(), own));
        return Some(own.unwrap_or_default());
    };
    let shared_with = shared_with as usize;
    if shared_with == 0 || shared_with >= members.len() - 1 {
        return Some(any_queues(queues));
    }
    let Some(own) = own else {
        return Some(Vec::new());
    };
    if members.len() > queues.len() {
        // Somebody has to share: one queue for each.
        let queue = queues.get(own % queues.len().max(1)).cloned();
        return Some(queue.into_iter().collect());
    }
    let neighbours = (0..=shared_with).map(|step| (own + step) % members.len());
    let mut shared: Vec<MessageQueue> = Vec::new();
    for member in neighbours {
        shared.extend(strategy.share(&queues, members.len(), member));
    }
    Some(shared)
}

/// Any queue of each broker, as -1 says.
fn any_queues(queues: Vec<MessageQueue>) -> Vec<MessageQueue> {
    let any = queues.into_iter().map(|queue| MessageQueue {
        queue_id: -1,
        ..queue
    });
    let mut any: Vec<MessageQueue> = any.collect();
    any.dedup();
    any
}

/// How queues are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    /// Runs of neighbouring queues.
    Average,
    /// One queue for each in turn.
    Circle,
}

impl Strategy {
    fn named(name: &str) -> Option<Self> {
        match name {
            "AVG" => Some(Self::Average),
            "AVG_BY_CIRCLE" => Some(Self::Circle),
            _ => None,
        }
    }

    /// The queues of member `own` of `members`.
    fn share(self, queues: &[MessageQueue], members: usize, own: usize) -> Vec<MessageQueue> {
        if self == Self::Circle {
            return queues.iter().skip(own).step_by(members).cloned().collect();
        }
        // The first `odd` members have one queue more.
        let (even, odd) = (queues.len() / members, queues.len() % members);
        let count = even + usize::from(own < odd);
        let start = own * even + own.min(odd);
        queues.iter().skip(start).take(count).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(strategy: Strategy, queues: i32, members: usize) -> Vec<Vec<i32>> {
        let queue = |queue_id| MessageQueue {
            broker_name: "b".to_owned(),
            queue_id,
            topic: "t".to_owned(),
        };
        let queues: Vec<MessageQueue> = (0..queues).map(queue).collect();
        let share = |own| strategy.share(&queues, members, own);
        let ids = |share: Vec<MessageQueue>| share.iter().map(|queue| queue.queue_id).collect();
        (0..members).map(share).map(ids).collect()
    }

    // As `AllocateMessageQueueAveragely` and `...ByCircle` of RocketMQ 5.5.0 share out.
    #[test]
    fn queues_are_shared_out_as_clients_do_it() {
        assert_eq!(
            shares(Strategy::Average, 8, 3),
            [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7]]
        );
        assert_eq!(shares(Strategy::Average, 2, 3), [vec![0], vec![1], vec![]]);
        assert_eq!(
            shares(Strategy::Circle, 8, 3),
            [vec![0, 3, 6], vec![1, 4, 7], vec![2, 5]]
        );
        assert_eq!(shares(Strategy::Circle, 2, 3), [vec![0], vec![1], vec![]]);
    }
}
