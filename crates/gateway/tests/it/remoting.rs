//! Remoting verbs, one by one, in both header forms.

pub(crate) mod administration;
mod bad_input;
mod clients;
mod filter;
mod messages;
pub(crate) mod pop;
mod tools;
mod transactions;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use wire::{
    message::{self, MessageId, StoredMessage, properties},
    remoting::{
        Command, LanguageCode, RequestCode, ResponseCode, SerializeType,
        body::{
            Body, BrokerData, ClusterInfo, ConsumeFromWhere, ConsumeStats, ConsumeType,
            ConsumerData, ConsumerList, GroupConfig, GroupConfigTable, HeartbeatData,
            LockQueuesRequest, LockQueuesResponse, MessageModel, MessageQueue, ProducerData,
            SubscriptionData, TextTable, TopicConfig, TopicConfigTable, TopicList, TopicRouteData,
            TopicStatsTable,
        },
        header::{
            ConsumerGroupRequest, CreateTopicRequest, DeleteGroupRequest, GetConsumeStatsRequest,
            GetMaxOffsetRequest, GetRouteRequest, GroupRequest, OffsetResponse, PullMessageRequest,
            PullMessageResponse, QueryConsumerOffsetRequest, QueryMessageRequest, QueueRequest,
            ReplyMessageRequest, SearchOffsetRequest, SendMessageRequest, SendMessageRequestV2,
            SendMessageResponse, TimestampResponse, TopicRequest, UnregisterClientRequest,
            UpdateConsumerOffsetRequest, ViewMessageRequest, pull_sys_flag,
        },
    },
};

use crate::support::{Peer, Server, Setup};

pub(crate) fn send_header<'a>(topic: &'a str, properties: &'a str) -> SendMessageRequestV2<'a> {
    SendMessageRequestV2 {
        producer_group: "shop",
        topic,
        default_topic: "TBW102",
        default_topic_queue_count: 4,
        queue_id: 0,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_000,
        flag: 7,
        properties: Some(properties),
        reconsume_times: Some(0),
        unit_mode: Some(false),
        max_reconsume_times: None,
        batch: Some(false),
        broker_name: None,
    }
}

pub(crate) fn pull_header<'a>(
    group: &'a str,
    topic: &'a str,
    queue: i32,
    offset: i64,
) -> PullMessageRequest<'a> {
    PullMessageRequest {
        consumer_group: group,
        topic,
        lite_topic: None,
        queue_id: queue,
        queue_offset: offset,
        max_message_count: 32,
        sys_flag: pull_sys_flag::SUSPEND,
        commit_offset: 0,
        suspend_timeout_ms: 15_000,
        subscription: None,
        subscription_version: 0,
        expression_type: None,
        max_message_bytes: None,
        request_source: None,
        proxy_client_id: None,
        broker_name: None,
    }
}

/// Sends messages `body-0`, `body-1`, ... with keys `key-0`, ... and tag `even` or `odd` to queue
/// 0.
pub(crate) async fn send_some(server: &Server, topic: &str, count: usize) {
    let mut peer = server.peer().await;
    for index in 0..count {
        let sent = send_one(&mut peer, topic, index).await;
        assert_eq!(
            sent.response_code(),
            Some(ResponseCode::Success),
            "{sent:?}"
        );
    }
}

pub(crate) async fn send_one(peer: &mut Peer, topic: &str, index: usize) -> Command {
    let tag = if index.is_multiple_of(2) {
        "even"
    } else {
        "odd"
    };
    let properties =
        format!("KEYS\u{1}key-{index}\u{2}UNIQ_KEY\u{1}id-{index}\u{2}TAGS\u{1}{tag}\u{2}");
    let command = peer
        .command(RequestCode::SendMessageV2, &send_header(topic, &properties))
        .with_body(format!("body-{index}"));
    peer.ask(&command).await
}

pub(crate) fn heartbeat(group: &str, topic: &str, expression: &str) -> HeartbeatData {
    HeartbeatData {
        client_id: format!("client-of-{group}"),
        producers: vec![ProducerData {
            group_name: "shop".to_owned(),
        }],
        consumers: vec![ConsumerData {
            group_name: group.to_owned(),
            consume_type: ConsumeType::Passively,
            message_model: MessageModel::Clustering,
            consume_from_where: ConsumeFromWhere::LastOffset,
            subscriptions: vec![SubscriptionData {
                class_filter_mode: false,
                topic: topic.to_owned(),
                expression: expression.to_owned(),
                tags: Vec::new(),
                codes: Vec::new(),
                version: 5,
                expression_type: "TAG".to_owned(),
            }],
            unit_mode: false,
        }],
        ..HeartbeatData::default()
    }
}

pub(crate) async fn tell_subscription(peer: &mut Peer, group: &str, topic: &str, expression: &str) {
    let beat = peer
        .command(RequestCode::Heartbeat, &())
        .with_body(heartbeat(group, topic, expression).encode());
    succeeded(&peer.ask(&beat).await);
}

pub(crate) fn messages(answer: &Command) -> Vec<StoredMessage> {
    message::split(answer.body.clone())
        .map(|message| message.unwrap())
        .collect()
}

fn refused(answer: &Command, code: ResponseCode, part: &str) {
    assert_eq!(answer.response_code(), Some(code), "{answer:?}");
    let remark = answer.remark.as_deref().unwrap_or_default();
    assert!(remark.contains(part), "`{part}` not in `{remark}`");
}

pub(crate) fn succeeded(answer: &Command) {
    assert_eq!(
        answer.response_code(),
        Some(ResponseCode::Success),
        "{answer:?}"
    );
}
