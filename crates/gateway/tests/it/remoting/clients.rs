//! Clients: members of groups, queue locks, instances, requests that nobody knows.

use super::{administration::route, *};

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

/// As programs do that have a connection for each of their consumers, all with one client id.
#[tokio::test]
async fn a_heartbeat_adds_groups_to_those_of_others() {
    let server = Server::start().await;
    let mut first = server.peer().await;
    let mut second = server.peer().await;
    for (peer, group) in [(&mut first, "billing"), (&mut second, "shipping")] {
        let data = HeartbeatData {
            client_id: "one".to_owned(),
            ..heartbeat(group, "orders", "*")
        };
        succeeded(&peer.post(RequestCode::Heartbeat, &data).await);
        assert!(!peer.pushed().await.is_response());
    }
    let listed = async |peer: &mut Peer, consumer_group| {
        let asked = ConsumerGroupRequest { consumer_group };
        let answer = peer.call(RequestCode::GetConsumerListByGroup, &asked).await;
        ConsumerList::decode(&answer.body).map(|list| list.client_ids)
    };
    for group in ["billing", "shipping"] {
        assert_eq!(listed(&mut first, group).await.unwrap(), ["one"]);
    }
    // What a connection takes with it is what was said on it.
    drop(second);
    server.until_connections(1).await;
    assert_eq!(listed(&mut first, "billing").await.unwrap(), ["one"]);
    assert!(listed(&mut first, "shipping").await.is_err());
}

#[tokio::test]
async fn a_reply_goes_to_the_client_that_asked() {
    let server = Server::start().await;
    let mut asking = server.peer().await;
    tell_subscription(&mut asking, "billing", "orders", "*").await;
    let changed = asking.pushed().await;
    assert_eq!(
        changed.request_code(),
        Some(RequestCode::NotifyConsumerIdsChanged)
    );
    let mut answering = server.peer().await;
    let properties = "REPLY_TO_CLIENT\u{1}client-of-billing\u{2}CORRELATION_ID\u{1}17\u{2}";
    let header = send_header("DefaultCluster_REPLY_TOPIC", properties);
    let reply = answering
        .command(RequestCode::SendReplyMessageV2, &header)
        .with_body("yes");
    answering.send(&reply).await;

    let pushed = asking.pushed().await;
    assert_eq!(
        pushed.request_code(),
        Some(RequestCode::PushReplyMessageToClient)
    );
    assert_eq!(pushed.body, "yes");
    let taken: ReplyMessageRequest<'_> = pushed.header().unwrap();
    // There are clients that refuse a reply where one of these is empty.
    assert_eq!(taken.producer_group, "shop");
    assert_eq!(taken.topic, "DefaultCluster_REPLY_TOPIC");
    assert_eq!(taken.default_topic, "TBW102");
    assert_eq!((taken.flag, taken.born_timestamp), (7, 1_700_000_000_000));
    let stamped = taken.properties.unwrap();
    assert_eq!(properties::get(stamped, "CORRELATION_ID"), Some("17"));
    assert!(properties::get(stamped, properties::PUSH_REPLY_TIME).is_some());

    asking.send(&pushed.response(ResponseCode::Success)).await;
    let answer = answering.receive().await.unwrap();
    assert_eq!(answer.opaque, reply.opaque);
    succeeded(&answer);
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
    for code in [RequestCode::UnregisterBroker.into(), 99_999, -5, i32::MIN] {
        for serialize_type in [SerializeType::Json, SerializeType::RocketMq] {
            if serialize_type == SerializeType::RocketMq && i16::try_from(code).is_err() {
                continue;
            }
            peer.serialize_type = serialize_type;
            let mut command = peer.command(RequestCode::UnregisterBroker, &());
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
