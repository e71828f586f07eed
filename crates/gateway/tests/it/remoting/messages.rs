//! Messages: send, pull, offsets, query.

use super::{administration::create_topic, *};

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
    let other = PullMessageRequest {
        sys_flag: pull_sys_flag::SUBSCRIPTION,
        subscription: Some("a > 1"),
        expression_type: Some("SQL99"),
        ..pull_header("billing", "orders", 0, 0)
    };
    let answer = peer.call(RequestCode::PullMessage, &other).await;
    refused(&answer, ResponseCode::SubscriptionParseFailed, "SQL99");
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

/// As on Apache: who pulls keeps an offset of its own, and commits it now and then.
#[tokio::test]
async fn a_reset_is_told_by_the_next_pull() {
    let server = Server::start().await;
    send_some(&server, "orders", 3).await;
    let mut peer = server.peer().await;
    let pull = |offset| PullMessageRequest {
        sys_flag: pull_sys_flag::SUBSCRIPTION,
        subscription: Some("*"),
        ..pull_header("billing", "orders", 0, offset)
    };
    let commit = UpdateConsumerOffsetRequest {
        consumer_group: "billing",
        topic: "orders",
        queue_id: 0,
        commit_offset: 3,
        broker_name: None,
    };
    let asked = QueryConsumerOffsetRequest {
        consumer_group: "billing",
        topic: "orders",
        queue_id: 0,
        set_zero_if_not_found: Some(false),
        broker_name: None,
    };
    succeeded(&peer.call(RequestCode::PullMessage, &pull(2)).await);
    succeeded(&peer.call(RequestCode::UpdateConsumerOffset, &commit).await);
    let reset = |peer: &mut Peer| {
        let mut reset = peer.command(RequestCode::InvokeBrokerToResetOffset, &());
        for (name, value) in [("group", "billing"), ("topic", "orders")] {
            reset.fields.push_str(name, value);
        }
        reset.fields.push("timestamp", 0);
        reset.fields.push("isForce", true);
        reset
    };
    let command = reset(&mut peer);
    succeeded(&peer.ask(&command).await);
    // Of what was before the reset.
    succeeded(&peer.call(RequestCode::UpdateConsumerOffset, &commit).await);
    let answer = peer.call(RequestCode::QueryConsumerOffset, &asked).await;
    assert_eq!(answer.header::<OffsetResponse>().unwrap().offset, 0);
    let answer = peer.call(RequestCode::PullMessage, &pull(2)).await;
    refused(&answer, ResponseCode::PullOffsetMoved, "");
    let moved: PullMessageResponse = answer.header().unwrap();
    assert_eq!(moved.next_begin_offset, 0);
    // Once.
    succeeded(&peer.call(RequestCode::PullMessage, &pull(2)).await);
    succeeded(&peer.call(RequestCode::UpdateConsumerOffset, &commit).await);
    let answer = peer.call(RequestCode::QueryConsumerOffset, &asked).await;
    assert_eq!(answer.header::<OffsetResponse>().unwrap().offset, 3);
    // Not to who goes on there anyway.
    let command = reset(&mut peer);
    succeeded(&peer.ask(&command).await);
    succeeded(&peer.call(RequestCode::PullMessage, &pull(0)).await);
    succeeded(&peer.call(RequestCode::PullMessage, &pull(1)).await);
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
    // Nothing was lost from the queue yet, so a new group begins at its start.
    let answer = peer.call(RequestCode::QueryConsumerOffset, &asked).await;
    assert_eq!(answer.header::<OffsetResponse>().unwrap().offset, 0);
    let empty = QueryConsumerOffsetRequest {
        queue_id: 3,
        ..asked.clone()
    };
    let answer = peer.call(RequestCode::QueryConsumerOffset, &empty).await;
    refused(&answer, ResponseCode::QueryNotFound, "queue 3");
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
    let answer = peer.call(RequestCode::UpdateConsumerOffset, &commit).await;
    refused(&answer, ResponseCode::GroupNotExist, "`billing`");
    let group = base::GroupName::new("billing").unwrap();
    server.instance.group_or_create(&group).await.unwrap();
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
    let last = SearchOffsetRequest {
        boundary: Some("upper"),
        ..search(before + 3_600_000)
    };
    let answer = peer.call(RequestCode::SearchOffsetByTimestamp, &last).await;
    assert_eq!(answer.header::<OffsetResponse>().unwrap().offset, 2);

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

/// What a consumer does that is set to begin at the end and starts while the first message of the
/// queue is sent: it asks for its offset, and where there is none, for the end.
#[tokio::test]
async fn a_new_group_begins_at_the_start_of_a_queue_with_messages_only() {
    let server = Server::start().await;
    send_some(&server, "orders", 1).await;
    let mut peer = server.peer().await;
    let asked = QueryConsumerOffsetRequest {
        consumer_group: "billing",
        topic: "orders",
        queue_id: 3,
        set_zero_if_not_found: None,
        broker_name: None,
    };
    let end = QueueRequest {
        topic: "orders",
        queue_id: 3,
        broker_name: None,
    };
    let answer = peer.call(RequestCode::QueryConsumerOffset, &asked).await;
    refused(&answer, ResponseCode::QueryNotFound, "queue 3");
    let answer = peer.call(RequestCode::GetMaxOffset, &end).await;
    assert_eq!(answer.header::<OffsetResponse>().unwrap().offset, 0);

    let header = SendMessageRequestV2 {
        queue_id: 3,
        ..send_header("orders", "UNIQ_KEY\u{1}first\u{2}")
    };
    let send = peer
        .command(RequestCode::SendMessageV2, &header)
        .with_body("first");
    succeeded(&peer.ask(&send).await);
    // Who asks for its offset only now gets the message.
    let answer = peer.call(RequestCode::QueryConsumerOffset, &asked).await;
    assert_eq!(answer.header::<OffsetResponse>().unwrap().offset, 0);
    // Who had asked for it before, and asks for the end now, does not, as on Apache.
    let answer = peer.call(RequestCode::GetMaxOffset, &end).await;
    assert_eq!(answer.header::<OffsetResponse>().unwrap().offset, 1);
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
