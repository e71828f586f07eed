//! JSON bodies, in the texts of Apache's classes and of other clients.

use base::limits::REMOTING_JSON_BODY_BYTES_MAX;
use proptest::prelude::*;
use wire::remoting::body::*;

const HEARTBEAT: &str = r#"{"clientID":"id@1","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","consumeType":"CONSUME_ACTIVELY","groupName":"g","messageModel":"BROADCASTING","subscriptionDataSet":[{"classFilterMode":false,"codeSet":[97],"expressionType":"TAG","subString":"a||b","subVersion":1795316889902,"tagsSet":["a"],"topic":"t"}],"unitMode":false}],"heartbeatFingerprint":0,"producerDataSet":[{"groupName":"p"}],"withoutSub":false}"#;

#[test]
fn heartbeat_of_java() {
    let heartbeat = HeartbeatData::decode(HEARTBEAT.as_bytes()).unwrap();
    assert_eq!(heartbeat.client_id, "id@1");
    assert_eq!(heartbeat.producers[0].group_name, "p");
    let consumer = &heartbeat.consumers[0];
    assert_eq!(consumer.consume_type, ConsumeType::Actively);
    assert_eq!(consumer.message_model, MessageModel::Broadcasting);
    assert_eq!(consumer.consume_from_where, ConsumeFromWhere::FirstOffset);
    let subscription = &consumer.subscriptions[0];
    assert_eq!(subscription.tags, ["a"]);
    assert_eq!(subscription.codes, [97]);
    assert_eq!(subscription.version, 1_795_316_889_902);
    assert_eq!(HeartbeatData::decode(&heartbeat.encode()), Ok(heartbeat));
}

#[test]
fn heartbeat_of_cpp_writes_numbers_as_texts_and_values_as_numbers() {
    let heartbeat = br#"{"clientID":"c","consumerDataSet":[{"groupName":"g","consumeType":1,"messageModel":"0","consumeFromWhere":4,"subscriptionDataSet":[{"topic":"t","subString":"*","subVersion":"1700000000000","codeSet":["97",-5]}]}],"producerDataSet":null}"#;
    let heartbeat = HeartbeatData::decode(heartbeat).unwrap();
    let consumer = &heartbeat.consumers[0];
    assert_eq!(consumer.consume_type, ConsumeType::Passively);
    assert_eq!(consumer.message_model, MessageModel::Broadcasting);
    assert_eq!(consumer.consume_from_where, ConsumeFromWhere::FirstOffset);
    assert_eq!(consumer.subscriptions[0].version, 1_700_000_000_000);
    assert_eq!(consumer.subscriptions[0].codes, [97, -5]);
    assert_eq!(consumer.subscriptions[0].tags, [""; 0]);
    assert!(heartbeat.producers.is_empty());
}

#[test]
fn unknown_values_and_members_do_no_harm() {
    let heartbeat = br#"{"clientID":"c","consumerDataSet":[{"groupName":"g","consumeType":"X","messageModel":null,"new":{"a":[]}}],"more":1}"#;
    let heartbeat = HeartbeatData::decode(heartbeat).unwrap();
    assert_eq!(heartbeat.consumers[0].consume_type, ConsumeType::Passively);
    assert_eq!(
        heartbeat.consumers[0].message_model,
        MessageModel::Clustering
    );
}

/// A route as Apache writes it, with numbers for keys.
const ROUTE: &str = r#"{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:10911",1:"127.0.0.1:10921"},"brokerName":"b","cluster":"c","enableActingMaster":false}],"filterServerTable":{},"orderTopicConf":"b:2","queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":8}]}"#;

#[test]
fn route_is_read_from_apache_and_written_in_standard_json() {
    let route = TopicRouteData::decode(ROUTE.as_bytes()).unwrap();
    assert_eq!(route.brokers[0].addresses[&1], "127.0.0.1:10921");
    assert_eq!(route.queues[0].write_queue_count, 8);
    assert_eq!(route.order_configuration.as_deref(), Some("b:2"));
    let standard = ROUTE.replace("{0:", "{\"0\":").replace(",1:", ",\"1\":");
    assert_eq!(route.encode(), standard);
    assert_eq!(TopicRouteData::decode(standard.as_bytes()), Ok(route));
}

#[test]
fn cluster_is_read_from_apache() {
    let cluster = br#"{"brokerAddrTable":{"b":{"brokerAddrs":{0:"127.0.0.1:10911"},"brokerName":"b","cluster":"c"}},"clusterAddrTable":{"c":["b"]}}"#;
    let cluster = ClusterInfo::decode(cluster).unwrap();
    assert_eq!(cluster.brokers["b"].addresses[&0], "127.0.0.1:10911");
    assert_eq!(cluster.clusters["c"], ["b"]);
    assert_eq!(ClusterInfo::decode(&cluster.encode()), Ok(cluster));
}

#[test]
fn tables_by_queue_are_written_as_apache_does() {
    let stats = r#"{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"t"}:{"lastUpdateTimestamp":0,"maxOffset":5,"minOffset":0},{"brokerName":"b","queueId":1,"topic":"t"}:{"lastUpdateTimestamp":7,"maxOffset":9,"minOffset":3}},"topicPutTps":0.0}"#;
    let table = TopicStatsTable::decode(stats.as_bytes()).unwrap();
    assert_eq!(table.offset_table.0[1].0.queue_id, 1);
    assert_eq!(table.offset_table.0[1].1.max_offset, 9);
    assert_eq!(table.encode(), stats);

    let consume = r#"{"consumeTps":1.5,"offsetTable":{{"brokerName":"b","queueId":0,"topic":"t"}:{"brokerOffset":4,"consumerOffset":3,"lastTimestamp":2,"pullOffset":1}}}"#;
    assert_eq!(
        ConsumeStats::decode(consume.as_bytes()).unwrap().encode(),
        consume
    );

    let reset = r#"{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"t"}:5}}"#;
    assert_eq!(
        ResetOffsetBody::decode(reset.as_bytes()).unwrap().encode(),
        reset
    );
}

#[test]
fn settings_are_apaches() {
    let topics = r#"{"dataVersion":{"counter":2,"stateVersion":0,"timestamp":1795316889948},"topicConfigTable":{"t":{"attributes":{"+message.type":"FIFO"},"order":false,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"t","topicSysFlag":0,"writeQueueNums":4}}}"#;
    assert_eq!(
        TopicConfigTable::decode(topics.as_bytes())
            .unwrap()
            .encode(),
        topics
    );

    let groups = r#"{"dataVersion":{"counter":0,"stateVersion":0,"timestamp":1795316889961},"forbiddenTable":{},"subscriptionGroupTable":{"g":{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"g","groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}}}"#;
    let table = GroupConfigTable::decode(groups.as_bytes()).unwrap();
    assert_eq!(table.encode(), groups);
    let from_name = GroupConfig::decode(br#"{"groupName":"g"}"#).unwrap();
    assert_eq!(from_name, table.groups["g"]);
}

#[test]
fn the_rest_is_apaches_too() {
    let lock = r#"{"consumerGroup":"g","clientId":"c","onlyThisBroker":false,"mqSet":[{"brokerName":"b","queueId":0,"topic":"t"}]}"#;
    assert_eq!(
        LockQueuesRequest::decode(lock.as_bytes()).unwrap().encode(),
        lock
    );
    let locked = r#"{"lockOKMQSet":[{"brokerName":"b","queueId":0,"topic":"t"}]}"#;
    assert_eq!(
        LockQueuesResponse::decode(locked.as_bytes())
            .unwrap()
            .encode(),
        locked
    );
    let acks = r#"{"acks":[{"b":"BQ==","c":"g","it":1,"pt":2,"q":3,"r":"0","rq":4,"so":5,"t":"t"}],"brokerName":"b"}"#;
    assert_eq!(
        BatchAckRequest::decode(acks.as_bytes()).unwrap().encode(),
        acks
    );
    let assignment = r#"{"messageQueueAssignments":[{"messageQueue":{"brokerName":"b","queueId":0,"topic":"t"},"mode":"POP"}]}"#;
    assert_eq!(
        QueryAssignmentResponse::decode(assignment.as_bytes())
            .unwrap()
            .encode(),
        assignment
    );
    let query = r#"{"clientId":"c","consumerGroup":"g","messageModel":"CLUSTERING","strategyName":"AVG","topic":"t"}"#;
    assert_eq!(
        QueryAssignmentRequest::decode(query.as_bytes())
            .unwrap()
            .encode(),
        query
    );
    let mode = r#"{"consumerGroup":"g","mode":"POP","popShareQueueNum":0,"topic":"t"}"#;
    assert_eq!(
        SetMessageRequestMode::decode(mode.as_bytes())
            .unwrap()
            .encode(),
        mode
    );
    let connections = r#"{"connectionSet":[{"clientAddr":"a:1","clientId":"c","language":"JAVA","version":1}],"consumeFromWhere":"CONSUME_FROM_TIMESTAMP","consumeType":"CONSUME_POP","messageModel":"CLUSTERING","subscriptionTable":{}}"#;
    assert_eq!(
        ConsumerConnections::decode(connections.as_bytes())
            .unwrap()
            .encode(),
        connections
    );
    let topics = r#"{"topicList":["t"]}"#;
    assert_eq!(
        TopicList::decode(topics.as_bytes()).unwrap().encode(),
        topics
    );
    let clients = r#"{"consumerIdList":["c"]}"#;
    assert_eq!(
        ConsumerList::decode(clients.as_bytes()).unwrap().encode(),
        clients
    );
}

#[test]
fn nonsense_is_refused() {
    for (body, wanted) in [
        ("", "body of HeartbeatData is empty"),
        (
            "{}",
            "body of HeartbeatData: missing field `clientID` at line 1 column 2",
        ),
        (
            "{clientID}",
            "body of HeartbeatData: key must be a string at line 1 column 2",
        ),
        (
            r#"{"clientID":1}"#,
            "body of HeartbeatData: invalid type: integer `1`, expected a string at line 1 column 13",
        ),
    ] {
        assert_eq!(
            HeartbeatData::decode(body.as_bytes())
                .unwrap_err()
                .to_string(),
            wanted
        );
    }
    let long = vec![b' '; REMOTING_JSON_BODY_BYTES_MAX + 1];
    assert!(matches!(
        HeartbeatData::decode(&long),
        Err(BodyError::TooLong { .. })
    ));
    assert!(TopicRouteData::decode("{0:".repeat(100_000).as_bytes()).is_err());
}

fn queues() -> impl Strategy<Value = MessageQueue> {
    ("\\PC{0,9}", any::<i32>(), "[{}\\[\\]\"'\\\\:,]{0,9}").prop_map(
        |(broker_name, queue_id, topic)| MessageQueue {
            broker_name,
            queue_id,
            topic,
        },
    )
}

proptest! {
    #[test]
    fn queue_table_round_trip(entries in proptest::collection::vec((queues(), any::<i64>()), 0..5)) {
        let body = ResetOffsetBody { offset_table: QueueTable(entries) };
        prop_assert_eq!(ResetOffsetBody::decode(&body.encode()), Ok(body));
    }

    #[test]
    fn route_round_trip(addresses in proptest::collection::btree_map(any::<i64>(), "\\PC{0,9}", 0..3), name in "\\PC{0,9}") {
        let broker = BrokerData {
            addresses, broker_name: name.clone(), cluster: name, enable_acting_master: true,
        };
        let route = TopicRouteData { brokers: vec![broker], ..TopicRouteData::default() };
        prop_assert_eq!(TopicRouteData::decode(&route.encode()), Ok(route));
    }
}
