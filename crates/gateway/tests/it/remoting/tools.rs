//! What administration tools are shown: `cargo xtask mqadmin` compares it with Apache's broker.

use wire::remoting::header::PutKvConfigRequest;

use super::*;

#[tokio::test]
async fn consumers_of_every_kind_have_a_retry_topic() {
    let server = Server::start().await;
    let mut peer = server.peer().await;
    let mut said = heartbeat("reading", "orders", "*");
    said.consumers[0].consume_type = ConsumeType::Actively;
    said.consumers.push(ConsumerData {
        group_name: "everybody".to_owned(),
        message_model: MessageModel::Broadcasting,
        ..said.consumers[0].clone()
    });
    let beat = peer
        .command(RequestCode::Heartbeat, &())
        .with_body(said.encode());
    succeeded(&peer.ask(&beat).await);
    let answer = peer
        .call(RequestCode::GetTopicListFromNameServer, &())
        .await;
    let topics = TopicList::decode(&answer.body).unwrap().topics;
    assert_eq!(topics, ["%RETRY%everybody", "%RETRY%reading"]);
}

#[tokio::test]
async fn what_was_pulled_and_not_committed_is_in_flight() {
    let server = Server::start().await;
    send_some(&server, "orders", 3).await;
    let mut peer = server.peer().await;
    tell_subscription(&mut peer, "billing", "orders", "*").await;
    let answer = peer
        .call(
            RequestCode::PullMessage,
            &pull_header("billing", "orders", 0, 0),
        )
        .await;
    assert_eq!(messages(&answer).len(), 3);
    let commit = UpdateConsumerOffsetRequest {
        consumer_group: "billing",
        topic: "orders",
        queue_id: 0,
        commit_offset: 1,
        broker_name: None,
    };
    let answer = peer.call(RequestCode::UpdateConsumerOffset, &commit).await;
    succeeded(&answer);
    let stats = GetConsumeStatsRequest {
        consumer_group: "billing",
        topic: Some("orders"),
        topic_list: None,
    };
    let answer = peer.call(RequestCode::GetConsumeStats, &stats).await;
    let stats = ConsumeStats::decode(&answer.body).unwrap();
    for (queue, offsets) in stats.offset_table.0 {
        let expected = if queue.queue_id == 0 { (1, 3) } else { (0, 0) };
        let found = (offsets.consumer_offset, offsets.pull_offset);
        assert_eq!(found, expected, "{queue:?}");
    }
}

#[tokio::test]
async fn a_topic_is_ordered_as_long_as_its_queues_have_an_order() {
    let server = Server::start().await;
    send_some(&server, "orders", 1).await;
    let mut peer = server.peer().await;
    let topic = TopicRequest {
        topic: "orders",
        is_logical: None,
    };
    let answer = peer.call(RequestCode::GetTopicConfig, &topic).await;
    assert!(!TopicConfig::decode(&answer.body).unwrap().order);
    let order = PutKvConfigRequest {
        namespace: "ORDER_TOPIC_CONFIG",
        key: "orders",
        value: "default-0:4",
    };
    succeeded(&peer.call(RequestCode::PutKvConfig, &order).await);
    let answer = peer.call(RequestCode::GetTopicConfig, &topic).await;
    assert!(TopicConfig::decode(&answer.body).unwrap().order);
}

#[tokio::test]
async fn a_topic_of_the_brokers_name_has_the_queue_that_its_route_had_before() {
    let server = Server::start().await;
    let mut peer = server.peer().await;
    let before = administration::route(&mut peer, "default-0").await.unwrap();
    send_some(&server, "default-0", 1).await;
    let after = administration::route(&mut peer, "default-0").await.unwrap();
    assert_eq!(before.queues, after.queues);
    assert_eq!(server.instance.topics().len(), 1);
}

#[tokio::test]
async fn the_broker_tells_of_its_disk_and_of_its_oldest_message() {
    let server = Server::start().await;
    let mut peer = server.peer().await;
    let answer = peer.call(RequestCode::GetBrokerRuntimeInfo, &()).await;
    let told = TextTable::decode(&answer.body).unwrap().table;
    assert_eq!(told["earliestMessageTimeStamp"], "-1");
    assert_eq!(told["commitLogDiskRatio"], "0.6");
    let capacity = "Total : 1000.0 GiB, Free : 400.0 GiB.";
    assert_eq!(told["commitLogDirCapacity"], capacity);
    send_some(&server, "orders", 1).await;
    let answer = peer.call(RequestCode::GetBrokerRuntimeInfo, &()).await;
    let told = TextTable::decode(&answer.body).unwrap().table;
    let queue = QueueRequest {
        topic: "orders",
        queue_id: 0,
        broker_name: None,
    };
    let answer = peer.call(RequestCode::GetEarliestStoreTime, &queue).await;
    let stored = answer.header::<TimestampResponse>().unwrap().timestamp;
    assert_eq!(told["earliestMessageTimeStamp"], stored.to_string());

    let answer = peer.call(RequestCode::GetBrokerConfig, &()).await;
    let settings = String::from_utf8(answer.body.to_vec()).unwrap();
    for line in ["fileReservedTime=72", "clientCallbackExecutorThreads=3"] {
        assert!(settings.lines().any(|other| other == line), "{settings}");
    }
}
