//! Routes, and administration of topics and groups.

use super::*;

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

pub(super) async fn route(peer: &mut Peer, topic: &str) -> Result<TopicRouteData, Command> {
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
