//! Operations on topics and groups.

use base::{GroupName, TopicName};
use broker::{
    ClientIdentity, ConsumeFrom, ConsumeMode, ConsumerSubscription, Filter, Heartbeat,
    MessageModel, Permission, Subscription, TopicType,
};
use serde_json::json;
use tokio::sync::mpsc;

use super::{Acs3, ask};
use crate::{
    ons_http,
    support::{Server, Setup},
};

/// A server that creates nothing by itself.
async fn server() -> Server {
    Server::with(Setup {
        create_automatically: false,
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn a_topic_is_created_listed_changed_and_deleted() {
    let server = server().await;
    let begun = server.front.clock.now().ms();
    for (topic, number) in [
        ("t-normal", "0"),
        ("t-part", "1"),
        ("t-global", "2"),
        ("t-tx", "4"),
        ("t-delay", "5"),
    ] {
        let parameters = [
            ("Topic", topic),
            ("MessageType", number),
            ("Remark", "of orders \u{4e2d}"),
        ];
        Acs3::new("OnsTopicCreate", &parameters)
            .call(&server)
            .await
            .ok();
    }
    let spec = |name: &str| {
        let topic = server
            .instance
            .topic(&TopicName::new(name).unwrap())
            .unwrap();
        (topic.spec.topic_type, topic.spec.queues)
    };
    assert_eq!(spec("t-normal"), (Some(TopicType::Normal), 8));
    assert_eq!(spec("t-part"), (Some(TopicType::Fifo), 8));
    assert_eq!(spec("t-global"), (Some(TopicType::Fifo), 1));
    assert_eq!(spec("t-tx"), (Some(TopicType::Transaction), 8));
    assert_eq!(spec("t-delay"), (Some(TopicType::Delay), 8));
    let again = [("Topic", "t-normal"), ("MessageType", "0")];
    ask(&server, "OnsTopicCreate", &again)
        .await
        .refused(400, "BIZ_TOPIC_EXISTED");
    // Of the system and of groups, which nobody made here.
    for name in ["%RETRY%GID_a", "rmq_sys_x"] {
        let spec = broker::TopicSpec::new(TopicName::new(name).unwrap(), 1);
        server.instance.create_topic(spec).await.unwrap();
    }
    let listed = ask(&server, "OnsTopicList", &[]).await.ok();
    let listed = listed["Data"]["PublishInfoDo"].as_array().unwrap();
    let types: Vec<_> = listed
        .iter()
        .map(|it| (&it["Topic"], &it["MessageType"]))
        .collect();
    assert_eq!(
        json!(types),
        json!([
            ["t-delay", 5],
            ["t-global", 2],
            ["t-normal", 0],
            ["t-part", 1],
            ["t-tx", 4]
        ])
    );
    let one = ask(&server, "OnsTopicList", &[("Topic", "t-part")])
        .await
        .ok();
    let one = one["Data"]["PublishInfoDo"].as_array().unwrap();
    assert_eq!(one.len(), 1);
    assert_eq!(one[0]["Remark"], "of orders \u{4e2d}");
    assert_eq!(
        (&one[0]["Relation"], &one[0]["InstanceId"]),
        (&json!(1), &json!("default"))
    );
    assert_eq!(one[0]["IndependentNaming"], json!(false));
    assert!(one[0]["CreateTime"].as_i64().unwrap() >= begun, "{one:?}");
    let readonly = [("Topic", "t-part"), ("Perm", "4")];
    ask(&server, "OnsTopicUpdate", &readonly).await.ok();
    let topic = server
        .instance
        .topic(&TopicName::new("t-part").unwrap())
        .unwrap();
    assert_eq!(topic.spec.permission, Permission::from_bits(4));
    // What others change leaves the description as it is.
    assert_eq!(topic.description.remark, "of orders \u{4e2d}");
    let status = ask(&server, "OnsTopicStatus", &[("Topic", "t-part")])
        .await
        .ok();
    assert_eq!(
        status["Data"],
        json!({ "LastTimeStamp": 0, "Perm": 4, "TotalCount": 0 })
    );
    ask(&server, "OnsTopicDelete", &[("Topic", "t-part")])
        .await
        .ok();
    for operation in ["OnsTopicDelete", "OnsTopicStatus"] {
        let gone = ask(&server, operation, &[("Topic", "t-part")]).await;
        let message = gone.refused(400, "BIZ_TOPIC_NOT_FOUND");
        assert!(message.contains("`t-part`"), "{message}");
    }
    let gone = ask(
        &server,
        "OnsTopicUpdate",
        &[("Topic", "t-part"), ("Perm", "6")],
    )
    .await;
    gone.refused(400, "BIZ_TOPIC_NOT_FOUND");
}

#[tokio::test]
async fn what_a_topic_cannot_be_is_named() {
    let server = server().await;
    let create = |topic: &'static str, number: &'static str| {
        let server = &server;
        async move {
            let parameters = [("Topic", topic), ("MessageType", number)];
            ask(server, "OnsTopicCreate", &parameters).await
        }
    };
    create("", "0").await.refused(400, "MissingTopic");
    create("orders", "")
        .await
        .refused(400, "MissingMessageType");
    let message = create("orders", "x")
        .await
        .refused(400, "InvalidMessageType");
    assert!(message.contains("`x`"), "{message}");
    for number in ["3", "6", "-1"] {
        let message = create("orders", number)
            .await
            .refused(400, "BIZ_FIELD_CHECK_INVALID");
        assert!(message.contains("`MessageType`"), "{message}");
    }
    for topic in [
        "ab",
        "a b c",
        "GID_a",
        "CID-a",
        "a%bcd",
        "rmq_sys_trace",
        "TBW102",
    ] {
        let message = create(topic, "0")
            .await
            .refused(400, "BIZ_FIELD_CHECK_INVALID");
        assert!(message.contains("`Topic`"), "{topic}: {message}");
    }
    let other = [("Topic", "orders"), ("InstanceId", "MQ_INST_1_nobody")];
    ask(&server, "OnsTopicStatus", &other)
        .await
        .refused(400, "INSTANCE_NOT_FOUND");
    let perm = [("Topic", "orders"), ("Perm", "7")];
    ask(&server, "OnsTopicUpdate", &perm)
        .await
        .refused(400, "BIZ_FIELD_CHECK_INVALID");
    ask(&server, "OnsGroupCreate", &[("GroupId", "orders")])
        .await
        .ok();
    let message = create("orders", "0")
        .await
        .refused(400, "BIZ_FIELD_CHECK_INVALID");
    assert!(message.contains("name of a group"), "{message}");
    assert!(server.instance.topics().is_empty());
}

#[tokio::test]
async fn a_group_is_created_listed_switched_off_and_deleted() {
    let server = server().await;
    ask(
        &server,
        "OnsGroupCreate",
        &[("GroupId", "GID_a"), ("Remark", "r")],
    )
    .await
    .ok();
    let http = [("GroupId", "GID_http"), ("GroupType", "http")];
    ask(&server, "OnsGroupCreate", &http).await.ok();
    ask(&server, "OnsGroupCreate", &http)
        .await
        .refused(400, "BIZ_SUBSCRIPTION_EXISTED");
    let other = [("GroupId", "GID_b"), ("GroupType", "udp")];
    ask(&server, "OnsGroupCreate", &other)
        .await
        .refused(400, "BIZ_FIELD_CHECK_INVALID");
    let list = |parameters: &'static [(&str, &str)]| {
        let server = &server;
        async move {
            let listed = ask(server, "OnsGroupList", parameters).await.ok();
            let groups = listed["Data"]["SubscribeInfoDo"]
                .as_array()
                .unwrap()
                .clone();
            groups
                .iter()
                .map(|it| (it["GroupId"].clone(), it["GroupType"].clone()))
                .collect()
        }
    };
    let all: Vec<_> = list(&[]).await;
    assert_eq!(json!(all), json!([["GID_a", "tcp"], ["GID_http", "http"]]));
    let of_http: Vec<_> = list(&[("GroupType", "http")]).await;
    assert_eq!(json!(of_http), json!([["GID_http", "http"]]));
    let part: Vec<_> = list(&[("GroupId", "D_a")]).await;
    assert_eq!(json!(part), json!([["GID_a", "tcp"]]));
    // As clients for Python write it.
    let off = [("GroupId", "GID_a"), ("ReadEnable", "False")];
    ask(&server, "OnsGroupConsumerUpdate", &off).await.ok();
    let group = server
        .instance
        .group(&GroupName::new("GID_a").unwrap())
        .unwrap();
    assert!(!group.spec.is_enabled());
    assert_eq!(group.description.remark, "r");
    let wrong = [("GroupId", "GID_a"), ("ReadEnable", "no")];
    ask(&server, "OnsGroupConsumerUpdate", &wrong)
        .await
        .refused(400, "InvalidReadEnable");
    ask(&server, "OnsGroupDelete", &[("GroupId", "GID_a")])
        .await
        .ok();
    let gone = ask(&server, "OnsGroupDelete", &[("GroupId", "GID_a")]).await;
    gone.refused(400, "BIZ_SUBSCRIPTION_NOT_FOUND");
    let detail = [("GroupId", "GID_a"), ("InstanceId", "default")];
    let gone = ask(&server, "OnsGroupSubDetail", &detail).await;
    gone.refused(400, "BIZ_SUBSCRIPTION_NOT_FOUND");
}

#[tokio::test]
async fn who_subscribes_to_what_is_told_from_both_sides() {
    let server = Server::start().await;
    assert_eq!(ons_http::send_plain(&server).await, 201);
    let (topic, group) = (
        TopicName::new("orders").unwrap(),
        GroupName::new("GID_a").unwrap(),
    );
    let status = ask(&server, "OnsTopicStatus", &[("Topic", "orders")])
        .await
        .ok();
    assert_eq!(status["Data"]["TotalCount"], 1);
    assert!(status["Data"]["LastTimeStamp"].as_i64().unwrap() > 0);
    ask(&server, "OnsGroupCreate", &[("GroupId", "GID_a")])
        .await
        .ok();
    let by_topic = [("Topic", "orders"), ("InstanceId", "default")];
    let by_group = [("GroupId", "GID_a"), ("InstanceId", "default")];
    let nobody = ask(&server, "OnsTopicSubDetail", &by_topic).await.ok();
    let none = json!({ "SubscriptionDataList": [] });
    assert_eq!(
        nobody["Data"],
        json!({ "Topic": "orders", "SubscriptionDataList": none })
    );
    let nobody = ask(&server, "OnsGroupSubDetail", &by_group).await.ok();
    assert_eq!(nobody["Data"]["Online"], json!(false));
    let (commands, _kept) = mpsc::channel(8);
    let heartbeat = Heartbeat {
        client: ClientIdentity {
            id: "client-1".to_owned(),
            connection: 77,
            address: "127.0.0.1:7".parse().unwrap(),
            language: "JAVA".to_owned(),
            version: "1".to_owned(),
        },
        producer_groups: Vec::new(),
        consumers: vec![ConsumerSubscription {
            group: group.clone(),
            model: MessageModel::Broadcasting,
            mode: ConsumeMode::Push,
            from: ConsumeFrom::FirstOffset,
            subscriptions: vec![Subscription {
                topic: topic.clone(),
                filter: Filter::tags("a || b").unwrap(),
                version: 1,
            }],
        }],
        commands,
    };
    server.instance.heartbeat(heartbeat).unwrap();
    let of_topic = ask(&server, "OnsTopicSubDetail", &by_topic).await.ok();
    assert_eq!(
        of_topic["Data"]["SubscriptionDataList"]["SubscriptionDataList"],
        json!([{
            "GroupId": "GID_a",
            "MessageModel": "BROADCASTING",
            "Online": "true",
            "SubString": "a || b",
        }])
    );
    let of_group = ask(&server, "OnsGroupSubDetail", &by_group).await.ok();
    assert_eq!(
        of_group["Data"],
        json!({
            "GroupId": "GID_a",
            "MessageModel": "BROADCASTING",
            "Online": true,
            "SubscriptionDataList": {
                "SubscriptionDataList": [{ "SubString": "a || b", "Topic": "orders" }],
            },
        })
    );
}
