//! Remoting verbs, one by one, in both header forms.

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
            SearchOffsetRequest, SendMessageRequest, SendMessageRequestV2, SendMessageResponse,
            TimestampResponse, TopicRequest, UnregisterClientRequest, UpdateConsumerOffsetRequest,
            ViewMessageRequest, pull_sys_flag,
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

async fn send_one(peer: &mut Peer, topic: &str, index: usize) -> Command {
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

fn messages(answer: &Command) -> Vec<StoredMessage> {
    message::split(answer.body.clone())
        .map(|message| message.unwrap())
        .collect()
}

fn refused(answer: &Command, code: ResponseCode, part: &str) {
    assert_eq!(answer.response_code(), Some(code), "{answer:?}");
    let remark = answer.remark.as_deref().unwrap_or_default();
    assert!(remark.contains(part), "`{part}` not in `{remark}`");
}

fn succeeded(answer: &Command) {
    assert_eq!(
        answer.response_code(),
        Some(ResponseCode::Success),
        "{answer:?}"
    );
}

#[tokio::test]
async fn send_in_every_form_is_pulled_as_it_was() {
    let server = Server::start().await;
    for serialize_type in [SerializeType::Json, SerializeType::RocketMq] {
        let topic = format!("orders-{serialize_type:?}");
        let mut peer = server.peer().await;
        peer.serialize_type = serialize_type;
        let raw = "TAGS\u{1}a\u{2}note\u{1}\u{e4}\u{4e16} \u{2}UNIQ_KEY\u{1}id-1\u{2}";

        let short = send_header(&topic, raw);
        let long = SendMessageRequest::from(short.clone());
        let sent = peer
            .command(RequestCode::SendMessage, &long)
            .with_body("first");
        let first = peer.ask(&sent).await;
        succeeded(&first);
        let first: SendMessageResponse<'_> = first.header().unwrap();
        assert_eq!((first.queue_id, first.queue_offset), (0, 0));
        assert_eq!(first.transaction_id, Some("id-1"));
        assert_eq!(
            (first.region, first.trace_on),
            (Some("DefaultRegion"), Some(true))
        );
        let id: MessageId = first.message_id.parse().unwrap();
        assert_eq!(id.store_host, server.address);

        let sent = peer
            .command(RequestCode::SendMessageV2, &short)
            .with_body("second");
        let second = peer.ask(&sent).await;
        assert_eq!(
            second
                .header::<SendMessageResponse<'_>>()
                .unwrap()
                .queue_offset,
            1
        );

        let mut batch = Vec::new();
        message::batch::encode(1, b"third", raw, &mut batch).unwrap();
        message::batch::encode(2, b"fourth", raw, &mut batch).unwrap();
        let header = SendMessageRequestV2 {
            batch: Some(true),
            ..short
        };
        let sent = peer
            .command(RequestCode::SendBatchMessage, &header)
            .with_body(batch);
        let both = peer.ask(&sent).await;
        let both: SendMessageResponse<'_> = both.header().unwrap();
        assert_eq!(both.queue_offset, 2);
        assert_eq!(both.message_id.split(',').count(), 2);

        let header = PullMessageRequest {
            sys_flag: pull_sys_flag::SUBSCRIPTION,
            subscription: Some("*"),
            ..pull_header("billing", &topic, 0, 0)
        };
        let pulled = peer.call(RequestCode::PullMessage, &header).await;
        succeeded(&pulled);
        let response: PullMessageResponse = pulled.header().unwrap();
        assert_eq!((response.next_begin_offset, response.min_offset), (4, 0));
        assert_eq!(response.max_offset, 4);
        let messages = messages(&pulled);
        let bodies: Vec<Bytes> = messages.iter().map(StoredMessage::body).collect();
        assert_eq!(bodies, ["first", "second", "third", "fourth"]);
        let flags: Vec<i32> = messages.iter().map(StoredMessage::flag).collect();
        assert_eq!(flags, [7, 7, 1, 2]);
        for message in &messages {
            assert_eq!(message.topic(), topic);
            assert_eq!(message.properties_raw(), raw);
            assert_eq!(message.born_timestamp(), 1_700_000_000_000);
            assert_eq!(message.store_host(), server.address);
            message.verify_body_crc().unwrap();
        }
    }
}

#[tokio::test]
async fn a_refused_send_says_why_and_stores_nothing() {
    let server = Server::with(Setup {
        create_automatically: false,
        ..Setup::default()
    })
    .await;
    let mut peer = server.peer().await;
    let answer = send_one(&mut peer, "orders", 0).await;
    refused(&answer, ResponseCode::TopicNotExist, "`orders`");
    let answer = send_one(&mut peer, "or ders", 0).await;
    refused(&answer, ResponseCode::InvalidParameter, "or ders");

    let create = create_topic("orders", 4, Some("+message.type=NORMAL"));
    succeeded(&peer.call(RequestCode::UpdateAndCreateTopic, &create).await);
    for (properties, queue, code, part) in [
        ("DELAY\u{1}3\u{2}", 0, ResponseCode::MessageIllegal, "DELAY"),
        ("", 4, ResponseCode::InvalidParameter, "queue 4"),
    ] {
        let header = SendMessageRequestV2 {
            queue_id: queue,
            ..send_header("orders", properties)
        };
        let command = peer
            .command(RequestCode::SendMessageV2, &header)
            .with_body("x");
        refused(&peer.ask(&command).await, code, part);
    }
    let lacking = peer.command(RequestCode::SendMessageV2, &()).with_body("x");
    refused(
        &peer.ask(&lacking).await,
        ResponseCode::InvalidParameter,
        "lacks the field",
    );
    let batch = peer
        .command(RequestCode::SendBatchMessage, &send_header("orders", ""))
        .with_body("no batch");
    refused(&peer.ask(&batch).await, ResponseCode::MessageIllegal, "");
    let header = GetMaxOffsetRequest {
        topic: "orders",
        queue_id: 0,
        committed: true,
        broker_name: None,
    };
    let end = peer.call(RequestCode::GetMaxOffset, &header).await;
    assert_eq!(end.header::<OffsetResponse>().unwrap().offset, 0);
}

#[tokio::test]
async fn a_long_poll_is_answered_by_the_send_that_it_waits_for() {
    let server = Server::start().await;
    send_some(&server, "orders", 1).await;
    let mut consumer = server.peer().await;
    tell_subscription(&mut consumer, "billing", "orders", "odd || never").await;
    for code in [RequestCode::PullMessage, RequestCode::LitePullMessage] {
        let poll = consumer.command(code, &pull_header("billing", "orders", 0, 0));
        // Offset 0 has the wrong tag.
        let answer = consumer.ask(&poll).await;
        assert_eq!(
            answer.response_code(),
            Some(ResponseCode::PullRetryImmediately)
        );
        assert_eq!(
            answer
                .header::<PullMessageResponse>()
                .unwrap()
                .next_begin_offset,
            1
        );
    }
    let poll = consumer.command(
        RequestCode::PullMessage,
        &pull_header("billing", "orders", 0, 1),
    );
    consumer.send(&poll).await;
    // The answer to a later request shows that the poll was taken up and waits.
    let other = consumer.command(RequestCode::GetBrokerClusterInfo, &());
    consumer.ask(&other).await;

    let mut producer = server.peer().await;
    succeeded(&send_one(&mut producer, "orders", 1).await);
    let answer = consumer.receive().await.unwrap();
    assert_eq!(answer.opaque, poll.opaque);
    succeeded(&answer);
    let messages = messages(&answer);
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].property(properties::KEYS), Some("key-1"));
    assert_eq!(messages[0].queue_offset(), 1);
}

#[tokio::test]
async fn pulls_that_cannot_be_served_say_why() {
    let server = Server::start().await;
    send_some(&server, "orders", 2).await;
    let mut peer = server.peer().await;
    let pull = |header| (RequestCode::PullMessage, header);

    let (code, header) = pull(pull_header("strangers", "orders", 0, 0));
    refused(
        &peer.call(code, &header).await,
        ResponseCode::SubscriptionNotExist,
        "`strangers`",
    );
    tell_subscription(&mut peer, "billing", "orders", "*").await;
    let newer = PullMessageRequest {
        subscription_version: 6,
        ..pull_header("billing", "orders", 0, 0)
    };
    let answer = peer.call(RequestCode::PullMessage, &newer).await;
    refused(&answer, ResponseCode::SubscriptionNotLatest, "");
    let sql = PullMessageRequest {
        sys_flag: pull_sys_flag::SUBSCRIPTION,
        subscription: Some("a > 1"),
        expression_type: Some("SQL92"),
        ..pull_header("billing", "orders", 0, 0)
    };
    let answer = peer.call(RequestCode::PullMessage, &sql).await;
    refused(&answer, ResponseCode::SubscriptionParseFailed, "SQL92");
    tell_subscription(&mut peer, "billing", "nowhere", "*").await;
    let answer = peer
        .call(
            RequestCode::PullMessage,
            &pull_header("billing", "nowhere", 0, 0),
        )
        .await;
    refused(&answer, ResponseCode::TopicNotExist, "`nowhere`");
    tell_subscription(&mut peer, "billing", "orders", "*").await;
    for queue in [-1, 99] {
        let header = pull_header("billing", "orders", queue, 0);
        let answer = peer.call(RequestCode::PullMessage, &header).await;
        refused(&answer, ResponseCode::InvalidParameter, "queue");
    }
    for (offset, next) in [(-1, 0), (99, 2)] {
        let header = pull_header("billing", "orders", 0, offset);
        let answer = peer.call(RequestCode::PullMessage, &header).await;
        assert_eq!(
            answer.response_code(),
            Some(ResponseCode::PullOffsetMoved),
            "{offset}"
        );
        assert_eq!(
            answer
                .header::<PullMessageResponse>()
                .unwrap()
                .next_begin_offset,
            next
        );
    }
}

#[tokio::test]
async fn offsets_are_kept_and_found() {
    let server = Server::start().await;
    let before = base::Clock::now(&*server.clock).ms();
    send_some(&server, "orders", 3).await;
    let mut peer = server.peer().await;
    let asked = QueryConsumerOffsetRequest {
        consumer_group: "billing",
        topic: "orders",
        queue_id: 0,
        set_zero_if_not_found: None,
        broker_name: None,
    };
    // Nothing was lost from the queue yet, so a new group begins at its start, empty or not.
    for queue_id in [0, 3] {
        let header = QueryConsumerOffsetRequest {
            queue_id,
            ..asked.clone()
        };
        let answer = peer.call(RequestCode::QueryConsumerOffset, &header).await;
        assert_eq!(answer.header::<OffsetResponse>().unwrap().offset, 0);
    }
    let strict = QueryConsumerOffsetRequest {
        set_zero_if_not_found: Some(false),
        ..asked.clone()
    };
    let answer = peer.call(RequestCode::QueryConsumerOffset, &strict).await;
    refused(&answer, ResponseCode::QueryNotFound, "`billing`");
    let nowhere = QueryConsumerOffsetRequest {
        topic: "nowhere",
        ..asked.clone()
    };
    let answer = peer.call(RequestCode::QueryConsumerOffset, &nowhere).await;
    refused(&answer, ResponseCode::QueryNotFound, "`nowhere`");

    let commit = UpdateConsumerOffsetRequest {
        consumer_group: "billing",
        topic: "orders",
        queue_id: 0,
        commit_offset: 2,
        broker_name: None,
    };
    succeeded(&peer.call(RequestCode::UpdateConsumerOffset, &commit).await);
    let answer = peer.call(RequestCode::QueryConsumerOffset, &strict).await;
    assert_eq!(answer.header::<OffsetResponse>().unwrap().offset, 2);

    // On the way with a pull, and without an answer.
    let pull = PullMessageRequest {
        sys_flag: pull_sys_flag::COMMIT_OFFSET | pull_sys_flag::SUBSCRIPTION,
        subscription: Some("*"),
        commit_offset: 1,
        ..pull_header("billing", "orders", 0, 0)
    };
    succeeded(&peer.call(RequestCode::PullMessage, &pull).await);
    let answer = peer.call(RequestCode::QueryConsumerOffset, &strict).await;
    assert_eq!(answer.header::<OffsetResponse>().unwrap().offset, 1);
    let commit = UpdateConsumerOffsetRequest {
        commit_offset: 3,
        ..commit
    };
    let oneway = peer
        .command(RequestCode::UpdateConsumerOffset, &commit)
        .as_oneway();
    peer.send(&oneway).await;
    let answer = peer.call(RequestCode::QueryConsumerOffset, &strict).await;
    assert_eq!(answer.header::<OffsetResponse>().unwrap().offset, 3);

    let queue = QueueRequest {
        topic: "orders",
        queue_id: 0,
        broker_name: None,
    };
    let answer = peer.call(RequestCode::GetMinOffset, &queue).await;
    assert_eq!(answer.header::<OffsetResponse>().unwrap().offset, 0);
    let answer = peer.call(RequestCode::GetEarliestStoreTime, &queue).await;
    assert!(answer.header::<TimestampResponse>().unwrap().timestamp >= before);
    let search = |timestamp| SearchOffsetRequest {
        topic: "orders",
        lite_topic: None,
        queue_id: 0,
        timestamp,
        boundary: None,
        broker_name: None,
    };
    for (timestamp, offset) in [(0, 0), (before, 0), (before + 3_600_000, 3)] {
        let answer = peer
            .call(RequestCode::SearchOffsetByTimestamp, &search(timestamp))
            .await;
        assert_eq!(
            answer.header::<OffsetResponse>().unwrap().offset,
            offset,
            "{timestamp}"
        );
    }

    let stats = GetConsumeStatsRequest {
        consumer_group: "billing",
        topic: None,
        topic_list: None,
    };
    let answer = peer.call(RequestCode::GetConsumeStats, &stats).await;
    let stats = ConsumeStats::decode(&answer.body).unwrap();
    let queue = stats
        .offset_table
        .0
        .iter()
        .find(|(queue, _)| queue.queue_id == 0)
        .unwrap();
    assert_eq!(
        (queue.0.topic.as_str(), queue.0.broker_name.as_str()),
        ("orders", "default-0")
    );
    assert_eq!((queue.1.broker_offset, queue.1.consumer_offset), (3, 3));
}

#[tokio::test]
async fn messages_are_found_by_key_and_by_id() {
    let server = Server::start().await;
    send_some(&server, "orders", 3).await;
    let mut peer = server.peer().await;
    let sent = send_one(&mut peer, "orders", 3).await;
    let sent: SendMessageResponse<'_> = sent.header().unwrap();
    let id: MessageId = sent.message_id.parse().unwrap();

    for topic in [None, Some("orders")] {
        let header = ViewMessageRequest {
            topic,
            offset: id.physical_offset,
        };
        let answer = peer.call(RequestCode::ViewMessageById, &header).await;
        assert_eq!(messages(&answer)[0].body(), "body-3");
    }
    let nowhere = ViewMessageRequest {
        topic: None,
        offset: 1 << 40,
    };
    let answer = peer.call(RequestCode::ViewMessageById, &nowhere).await;
    assert_ne!(answer.response_code(), Some(ResponseCode::Success));
    let other_shard = ViewMessageRequest {
        topic: None,
        offset: 1 << 50,
    };
    let answer = peer.call(RequestCode::ViewMessageById, &other_shard).await;
    refused(&answer, ResponseCode::QueryNotFound, "shard 4");

    for (key, is_unique_key) in [("key-1", None), ("id-1", Some(true))] {
        let header = QueryMessageRequest {
            topic: "orders",
            key,
            max_count: 32,
            begin_timestamp: 0,
            end_timestamp: i64::MAX,
            index_type: None,
            last_key: None,
            is_unique_key,
            broker_name: None,
        };
        let answer = peer.call(RequestCode::QueryMessage, &header).await;
        succeeded(&answer);
        let found = messages(&answer);
        assert_eq!(found.len(), 1, "{key}");
        assert_eq!(found[0].body(), "body-1");
        let header = QueryMessageRequest {
            key: "no such",
            ..header
        };
        let answer = peer.call(RequestCode::QueryMessage, &header).await;
        refused(&answer, ResponseCode::QueryNotFound, "no such");
    }
}

#[tokio::test]
async fn members_of_a_group_hear_of_each_other() {
    let server = Server::start().await;
    let group = ConsumerGroupRequest {
        consumer_group: "billing",
    };
    let mut first = server.peer().await;
    let answer = first
        .call(RequestCode::GetConsumerListByGroup, &group)
        .await;
    refused(&answer, ResponseCode::SystemError, "no consumers");
    tell_subscription(&mut first, "billing", "orders", "*").await;
    assert!(
        server
            .instance
            .topics()
            .iter()
            .any(|topic| { topic.name().as_str() == "%RETRY%billing" && topic.spec.queues == 1 })
    );
    let pushed = first.pushed().await;
    assert_eq!(
        pushed.request_code(),
        Some(RequestCode::NotifyConsumerIdsChanged)
    );
    let answer = first
        .call(RequestCode::GetConsumerListByGroup, &group)
        .await;
    let listed = ConsumerList::decode(&answer.body).unwrap();
    assert_eq!(listed.client_ids, ["client-of-billing"]);

    let mut second = server.peer().await;
    let other = HeartbeatData {
        client_id: "other".to_owned(),
        ..heartbeat("billing", "orders", "*")
    };
    let beat = second
        .command(RequestCode::Heartbeat, &())
        .with_body(other.encode());
    succeeded(&second.ask(&beat).await);
    let pushed = first.pushed().await;
    assert_eq!(
        pushed.request_code(),
        Some(RequestCode::NotifyConsumerIdsChanged)
    );
    assert!(pushed.is_oneway() && !pushed.is_response());
    let named: ConsumerGroupRequest<'_> = pushed.header().unwrap();
    assert_eq!(named.consumer_group, "billing");

    // One leaves in order, the other by breaking its connection.
    let leave = UnregisterClientRequest {
        client_id: "other",
        producer_group: Some("shop"),
        consumer_group: Some("billing"),
    };
    let leave = second.command(RequestCode::UnregisterClient, &leave);
    succeeded(&second.ask(&leave).await);
    let pushed = first.pushed().await;
    assert_eq!(
        pushed.request_code(),
        Some(RequestCode::NotifyConsumerIdsChanged)
    );
    drop(first);
    server.until_connections(1).await;
    let answer = second
        .call(RequestCode::GetConsumerListByGroup, &group)
        .await;
    refused(&answer, ResponseCode::SystemError, "no consumers");
}

#[tokio::test]
async fn a_queue_is_locked_by_one_client_at_a_time() {
    let server = Server::start().await;
    send_some(&server, "orders", 1).await;
    let mut peer = server.peer().await;
    tell_subscription(&mut peer, "billing", "orders", "*").await;
    let queue = |queue_id| MessageQueue {
        broker_name: "default-0".to_owned(),
        queue_id,
        topic: "orders".to_owned(),
    };
    let wish = |client: &str, queues: &[i32]| LockQueuesRequest {
        consumer_group: "billing".to_owned(),
        client_id: client.to_owned(),
        only_this_broker: false,
        queues: queues.iter().copied().map(queue).collect(),
    };
    for (client, asked, granted) in [
        ("a", &[0, 1][..], &[0, 1][..]),
        ("b", &[1, 2], &[2]),
        ("a", &[0, 1, 2], &[0, 1]),
    ] {
        let answer = peer
            .post(RequestCode::LockQueues, &wish(client, asked))
            .await;
        let locked = LockQueuesResponse::decode(&answer.body)
            .unwrap()
            .locked_queues;
        let expected: BTreeSet<_> = granted.iter().copied().map(queue).collect();
        assert_eq!(
            locked.into_iter().collect::<BTreeSet<_>>(),
            expected,
            "{client}"
        );
    }
    succeeded(
        &peer
            .post(RequestCode::UnlockQueues, &wish("a", &[0, 1]))
            .await,
    );
    let answer = peer
        .post(RequestCode::LockQueues, &wish("b", &[0, 1]))
        .await;
    let locked = LockQueuesResponse::decode(&answer.body)
        .unwrap()
        .locked_queues;
    assert_eq!(locked.len(), 2);
}

pub(crate) fn create_topic<'a>(
    topic: &'a str,
    queues: i32,
    attributes: Option<&'a str>,
) -> CreateTopicRequest<'a> {
    CreateTopicRequest {
        topic,
        default_topic: "TBW102",
        read_queue_count: queues,
        write_queue_count: queues,
        permission: 6,
        topic_filter_type: "SINGLE_TAG",
        topic_sys_flag: Some(0),
        order: false,
        attributes,
        force: false,
    }
}

async fn route(peer: &mut Peer, topic: &str) -> Result<TopicRouteData, Command> {
    let header = GetRouteRequest {
        topic,
        accept_standard_json_only: Some(true),
    };
    let answer = peer.call(RequestCode::GetRouteByTopic, &header).await;
    if answer.response_code() != Some(ResponseCode::Success) {
        return Err(answer);
    }
    Ok(TopicRouteData::decode(&answer.body).unwrap())
}

#[tokio::test]
async fn routes_name_this_server() {
    let server = Server::start().await;
    let mut peer = server.peer().await;
    refused(
        &route(&mut peer, "orders").await.unwrap_err(),
        ResponseCode::TopicNotExist,
        "orders",
    );
    let template = route(&mut peer, "TBW102").await.unwrap();
    assert_eq!(template.queues[0].write_queue_count, 8);
    assert_eq!(template.queues[0].permission, 7);

    // The producer asked for 4 queues: so many it has told itself from the template.
    send_some(&server, "orders", 1).await;
    let found = route(&mut peer, "orders").await.unwrap();
    let broker = BrokerData {
        addresses: BTreeMap::from([(0, server.address.to_string())]),
        broker_name: "default-0".to_owned(),
        cluster: "DefaultCluster".to_owned(),
        enable_acting_master: false,
    };
    assert_eq!(found.brokers, std::slice::from_ref(&broker));
    assert_eq!(found.queues.len(), 1);
    assert_eq!(
        (found.queues[0].read_queue_count, found.queues[0].permission),
        (4, 6)
    );

    for name in ["DefaultCluster", "default-0"] {
        assert_eq!(
            route(&mut peer, name).await.unwrap().brokers,
            std::slice::from_ref(&broker),
            "{name}"
        );
    }
    let answer = peer.call(RequestCode::GetBrokerClusterInfo, &()).await;
    let cluster = ClusterInfo::decode(&answer.body).unwrap();
    assert_eq!(cluster.brokers["default-0"], broker);
    assert_eq!(cluster.clusters["DefaultCluster"], ["default-0"]);
    let answer = peer.call(RequestCode::GetBrokerRuntimeInfo, &()).await;
    assert!(
        TextTable::decode(&answer.body)
            .unwrap()
            .table
            .contains_key("brokerVersionDesc")
    );
}

#[tokio::test]
async fn topics_are_administered() {
    let server = Server::with(Setup {
        create_automatically: false,
        ..Setup::default()
    })
    .await;
    let mut peer = server.peer().await;
    assert!(
        route(&mut peer, "TBW102").await.is_err(),
        "there is no automatic creation"
    );
    let create = create_topic("orders", 4, Some("+message.type=FIFO"));
    for _ in 0..2 {
        succeeded(&peer.call(RequestCode::UpdateAndCreateTopic, &create).await);
    }
    for wrong in [
        create_topic("orders", 4, Some("+message.type=NORMAL")),
        create_topic("orders", 2, None),
        create_topic("wrong name", 4, None),
        create_topic("other", 0, None),
        create_topic("other", 4, Some("message.type=FIFO")),
        create_topic("TBW102", 4, None),
    ] {
        let answer = peer.call(RequestCode::UpdateAndCreateTopic, &wrong).await;
        assert_eq!(
            answer.response_code(),
            Some(ResponseCode::InvalidParameter),
            "{wrong:?}"
        );
    }
    let topic = |topic| TopicRequest {
        topic,
        is_logical: None,
    };
    let answer = peer
        .call(RequestCode::GetTopicConfig, &topic("orders"))
        .await;
    let config = TopicConfig::decode(&answer.body).unwrap();
    assert_eq!(
        (config.topic_name.as_str(), config.read_queue_count),
        ("orders", 4)
    );
    assert_eq!(config.attributes["message.type"], "FIFO");
    let answer = peer.call(RequestCode::GetAllTopicConfig, &()).await;
    assert_eq!(
        TopicConfigTable::decode(&answer.body).unwrap().topics["orders"],
        config
    );
    let answer = peer
        .call(RequestCode::GetTopicListFromNameServer, &())
        .await;
    assert_eq!(TopicList::decode(&answer.body).unwrap().topics, ["orders"]);
    let answer = peer
        .call(RequestCode::GetTopicStatsInfo, &topic("orders"))
        .await;
    let stats = TopicStatsTable::decode(&answer.body).unwrap();
    assert_eq!(stats.offset_table.0.len(), 4);

    succeeded(
        &peer
            .call(RequestCode::DeleteTopicInBroker, &topic("orders"))
            .await,
    );
    succeeded(
        &peer
            .call(RequestCode::DeleteTopicInNameServer, &topic("orders"))
            .await,
    );
    for code in [
        RequestCode::DeleteTopicInBroker,
        RequestCode::GetTopicConfig,
        RequestCode::GetTopicStatsInfo,
    ] {
        let answer = peer.call(code, &topic("orders")).await;
        refused(&answer, ResponseCode::TopicNotExist, "`orders`");
    }
}

#[tokio::test]
async fn groups_are_administered() {
    let server = Server::with(Setup {
        create_automatically: false,
        ..Setup::default()
    })
    .await;
    let mut peer = server.peer().await;
    let wanted = GroupConfig {
        group_name: "billing".to_owned(),
        retry_times_max: 4,
        consume_message_orderly: true,
        attributes: BTreeMap::from([("+lite.bind.topic".to_owned(), "chats".to_owned())]),
        ..GroupConfig::default()
    };
    for _ in 0..2 {
        succeeded(&peer.post(RequestCode::UpdateAndCreateGroup, &wanted).await);
    }
    let group = GroupRequest { group: "billing" };
    let answer = peer.call(RequestCode::GetGroupConfig, &group).await;
    let kept = GroupConfig::decode(&answer.body).unwrap();
    let attributes = BTreeMap::from([("lite.bind.topic".to_owned(), "chats".to_owned())]);
    assert_eq!(
        kept,
        GroupConfig {
            attributes,
            ..wanted
        }
    );
    let answer = peer.call(RequestCode::GetAllGroupConfig, &()).await;
    assert_eq!(
        GroupConfigTable::decode(&answer.body).unwrap().groups["billing"],
        kept
    );

    let delete = DeleteGroupRequest {
        group: "billing",
        clean_offset: true,
    };
    succeeded(&peer.call(RequestCode::DeleteGroup, &delete).await);
    let answer = peer.call(RequestCode::DeleteGroup, &delete).await;
    refused(&answer, ResponseCode::GroupNotExist, "`billing`");
    let answer = peer.call(RequestCode::GetGroupConfig, &group).await;
    refused(&answer, ResponseCode::GroupNotExist, "`billing`");
    let header = PullMessageRequest {
        sys_flag: pull_sys_flag::SUBSCRIPTION,
        ..pull_header("billing", "orders", 0, 0)
    };
    let answer = peer.call(RequestCode::PullMessage, &header).await;
    refused(&answer, ResponseCode::GroupNotExist, "`billing`");
}

#[tokio::test]
async fn names_with_an_instance_before_them_belong_to_it() {
    let setup = Setup {
        instances: vec!["mq-1"],
        ..Setup::default()
    };
    let server = Server::with(setup).await;
    let mut peer = server.peer().await;
    for topic in ["orders", "mq-1%orders", "mq-2%orders"] {
        succeeded(&send_one(&mut peer, topic, topic.len()).await);
    }
    let default_topics: Vec<String> = server
        .instance
        .topics()
        .iter()
        .map(|topic| topic.name().to_string())
        .collect();
    assert_eq!(
        default_topics,
        ["mq-2%orders", "orders"],
        "mq-2 names no instance"
    );

    for topic in ["orders", "mq-1%orders", "mq-2%orders"] {
        let group = if topic == "mq-1%orders" {
            "mq-1%billing"
        } else {
            "billing"
        };
        let pull = PullMessageRequest {
            sys_flag: pull_sys_flag::SUBSCRIPTION,
            subscription: Some("*"),
            ..pull_header(group, topic, 0, 0)
        };
        let answer = peer.call(RequestCode::PullMessage, &pull).await;
        let messages = messages(&answer);
        assert_eq!(messages.len(), 1, "{topic}");
        assert_eq!(
            messages[0].topic(),
            topic,
            "the client sees the name that it uses"
        );
        assert_eq!(messages[0].body(), format!("body-{}", topic.len()));
        messages[0].verify_body_crc().unwrap();
    }
    let found = route(&mut peer, "mq-1%orders").await.unwrap();
    assert_eq!(found.brokers[0].broker_name, "mq-1-0");

    let disagree = pull_header("mq-1%billing", "default%orders", 0, 0);
    let answer = peer.call(RequestCode::PullMessage, &disagree).await;
    refused(&answer, ResponseCode::InvalidParameter, "two instances");

    let mut consumer = server.peer().await;
    let beat = consumer
        .command(RequestCode::Heartbeat, &())
        .with_body(heartbeat("mq-1%billing", "mq-1%orders", "*").encode());
    succeeded(&consumer.ask(&beat).await);
    let pushed = consumer.pushed().await;
    let named: ConsumerGroupRequest<'_> = pushed.header().unwrap();
    assert_eq!(named.consumer_group, "mq-1%billing");
}

#[tokio::test]
async fn other_codes_are_answered_as_not_supported() {
    let server = Server::start().await;
    let mut peer = server.peer().await;
    for code in [RequestCode::EndTransaction.into(), 99_999, -5, i32::MIN] {
        for serialize_type in [SerializeType::Json, SerializeType::RocketMq] {
            if serialize_type == SerializeType::RocketMq && i16::try_from(code).is_err() {
                continue;
            }
            peer.serialize_type = serialize_type;
            let mut command = peer.command(RequestCode::EndTransaction, &());
            command.code = code;
            command.language = LanguageCode::Other;
            command.version = i32::MAX;
            if serialize_type == SerializeType::RocketMq {
                command.version = 300;
            }
            let answer = peer.ask(&command).await;
            refused(
                &answer,
                ResponseCode::RequestCodeNotSupported,
                &code.to_string(),
            );
        }
    }
}
