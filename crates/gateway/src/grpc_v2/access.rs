//! What each gRPC v2 request needs of access control. Who sends it is found out in
//! `grpc/access.rs`.
//!
//! Source: `DefaultAuthorizationContextBuilder` of RocketMQ 5.5.0.

use broker::access::{Action, ActionSet};
use wire::grpc_v2::{self as v2, settings::PubSub};

use super::heartbeat;
pub(super) use crate::grpc::access::{Guarded, check, check_believed, while_allowed};
use crate::grpc::access::{Need, PUB, PUB_SUB, SUB, cluster, group, group_to, guarded, topic};

const SUB_GET: ActionSet = ActionSet::of(&[Action::Sub, Action::Get]);
const ROUTE: ActionSet = ActionSet::of(&[Action::Pub, Action::Sub, Action::Get]);
const GET: ActionSet = ActionSet::of(&[Action::Get]);
const UPDATE: ActionSet = ActionSet::of(&[Action::Update]);

/// Topics and groups where there are any.
fn group_and_topics<'r>(
    named: Option<&'r v2::Resource>,
    topics: impl IntoIterator<Item = &'r v2::Resource>,
) -> Vec<Need<'r>> {
    let topics = topics.into_iter().map(|name| topic(Some(name), GET));
    [group_to(named, GET)].into_iter().chain(topics).collect()
}

fn topic_of(queue: Option<&v2::MessageQueue>) -> Option<&v2::Resource> {
    queue.and_then(|queue| queue.topic.as_ref())
}

guarded! { v2;
    QueryRouteRequest(r) => vec![topic(r.topic.as_ref(), PUB_SUB)];
    QueryAssignmentRequest(r) => vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)];
    HeartbeatRequest(r) => match heartbeat::consumes(r.client_type()) {
        true => vec![group(r.group.as_ref())],
        false => Vec::new(),
    };
    NotifyClientTerminationRequest(r) => vec![group(r.group.as_ref())];
    SendMessageRequest(r) => r.messages.iter().map(|m| topic(m.topic.as_ref(), PUB)).collect();
    ReceiveMessageRequest(r) => {
        vec![group(r.group.as_ref()), topic(topic_of(r.message_queue.as_ref()), SUB)]
    };
    PullMessageRequest(r) => {
        vec![group(r.group.as_ref()), topic(topic_of(r.message_queue.as_ref()), SUB)]
    };
    UpdateOffsetRequest(r) => {
        vec![group(r.group.as_ref()), topic(topic_of(r.message_queue.as_ref()), SUB)]
    };
    GetOffsetRequest(r) => {
        vec![group(r.group.as_ref()), topic(topic_of(r.message_queue.as_ref()), SUB)]
    };
    QueryOffsetRequest(r) => vec![topic(topic_of(r.message_queue.as_ref()), SUB)];
    AckMessageRequest(r) => vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)];
    ChangeInvisibleDurationRequest(r) => {
        vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)]
    };
    ForwardMessageToDeadLetterQueueRequest(r) => {
        vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)]
    };
    EndTransactionRequest(r) => vec![topic(r.topic.as_ref(), PUB)];
    RecallMessageRequest(r) => vec![topic(r.topic.as_ref(), PUB)];
    SyncLiteSubscriptionRequest(r) => vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)];
    ChangeLogLevelRequest(_r) => vec![cluster(UPDATE)];
    GetProxyRuntimeStatsRequest(_r) => vec![cluster(GET)];
    DescribeTopicStatusRequest(r) => vec![topic(r.topic.as_ref(), GET)];
    GetTopicRouteRequest(r) => vec![topic(r.topic.as_ref(), ROUTE)];
    ListSubscriptionRequest(r) => group_and_topics(r.group.as_ref(), &r.topic);
    DescribeSubscriptionRequest(r) => group_and_topics(r.group.as_ref(), &r.topic);
    DeleteSubscriptionRequest(r) => {
        vec![group_to(r.group.as_ref(), UPDATE), topic(r.topic.as_ref(), UPDATE)]
    };
    ListConsumerConnectionRequest(r) => group_and_topics(r.group.as_ref(), &r.topic);
    DescribeGroupAccumulationRequest(r) => group_and_topics(r.group.as_ref(), &r.topics);
    QueryTimeSpanRequest(r) => group_and_topics(r.group.as_ref(), &r.topics);
    ResetGroupOffsetRequest(r) => {
        vec![group_to(r.group.as_ref(), UPDATE), topic(r.topic.as_ref(), UPDATE)]
    };
    ListMessageRequest(r) => vec![topic(r.topic.as_ref(), SUB_GET)];
    PrintThreadStackTraceRequest(r) => vec![group_to(r.group.as_ref(), GET)];
    GetConsumerRunningInfoRequest(r) => vec![group_to(r.group.as_ref(), GET)];
    VerifyMessageRequest(r) => vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)];
    AdminSendMessageRequest(r) => vec![topic(r.topic.as_ref(), PUB)];
    Settings(r) => match &r.pub_sub {
        Some(PubSub::Publishing(publishing)) => {
            publishing.topics.iter().map(|name| topic(Some(name), PUB)).collect()
        }
        Some(PubSub::Subscription(subscription)) => {
            let entries = subscription.subscriptions.iter();
            let topics = entries.map(|entry| topic(entry.topic.as_ref(), SUB));
            [group(subscription.group.as_ref())].into_iter().chain(topics).collect()
        }
        None => Vec::new(),
    };
}
