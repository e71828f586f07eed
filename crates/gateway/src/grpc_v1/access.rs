//! What each gRPC v1 request needs of access control. Who sends it is found out in
//! `grpc/access.rs`.

use wire::grpc_v1::{
    self as v1, heartbeat_request::ClientData, notify_client_termination_request as termination,
    poll_command_request as poll,
};

use crate::grpc::access::{PUB, PUB_SUB, SUB, group, guarded, topic};
pub(super) use crate::grpc::access::{check, while_allowed};

fn topic_of(partition: Option<&v1::Partition>) -> Option<&v1::Resource> {
    partition.and_then(|partition| partition.topic.as_ref())
}

guarded! { v1;
    QueryRouteRequest(r) => vec![topic(r.topic.as_ref(), PUB_SUB)];
    QueryAssignmentRequest(r) => vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)];
    HeartbeatRequest(r) => match &r.client_data {
        Some(ClientData::ConsumerData(consumer)) => {
            let entries = consumer.subscriptions.iter();
            let topics = entries.map(|entry| topic(entry.topic.as_ref(), SUB));
            [group(consumer.group.as_ref())].into_iter().chain(topics).collect()
        }
        Some(ClientData::ProducerData(_)) | None => Vec::new(),
    };
    HealthCheckRequest(_r) => Vec::new();
    NotifyClientTerminationRequest(r) => match &r.group {
        Some(termination::Group::ConsumerGroup(name)) => vec![group(Some(name))],
        Some(termination::Group::ProducerGroup(_)) | None => Vec::new(),
    };
    SendMessageRequest(r) => {
        vec![topic(r.message.as_ref().and_then(|message| message.topic.as_ref()), PUB)]
    };
    ReceiveMessageRequest(r) => {
        vec![group(r.group.as_ref()), topic(topic_of(r.partition.as_ref()), SUB)]
    };
    PullMessageRequest(r) => {
        vec![group(r.group.as_ref()), topic(topic_of(r.partition.as_ref()), SUB)]
    };
    QueryOffsetRequest(r) => vec![topic(topic_of(r.partition.as_ref()), SUB)];
    AckMessageRequest(r) => vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)];
    NackMessageRequest(r) => vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)];
    ForwardMessageToDeadLetterQueueRequest(r) => {
        vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)]
    };
    ChangeInvisibleDurationRequest(r) => {
        vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)]
    };
    // Names no topic. Whose transaction it is, its id and its producer group show.
    EndTransactionRequest(_r) => Vec::new();
    PollCommandRequest(r) => match &r.group {
        Some(poll::Group::ConsumerGroup(name)) => vec![group(Some(name))],
        // Half messages of these topics are shown to it.
        Some(poll::Group::ProducerGroup(_)) | None => {
            r.topics.iter().map(|name| topic(Some(name), PUB)).collect()
        }
    };
    ReportThreadStackTraceRequest(_r) => Vec::new();
    ReportMessageConsumptionResultRequest(_r) => Vec::new();
}
