//! LiteTopics, as a lite consumer speaks of them.

use std::time::Duration;

use base::{GroupName, TopicName};
use broker::{GroupSpec, TopicSpec, TopicType};
use wire::{
    grpc_v2::{
        self as v2, Code, LiteSubscriptionAction as Action, OffsetOption,
        admin_client::AdminClient, list_message_request::SearchKey, offset_option::OffsetType,
        settings::PubSub, telemetry_command::Command,
    },
    remoting::{
        RequestCode, ResponseCode, SerializeType,
        body::{
            Body as _, BrokerLiteInfo, LiteClientInfo, LiteGroupInfo, LiteTopicInfo,
            ParentTopicInfo,
        },
        header::{
            GetLiteClientInfoRequest, GetLiteGroupInfoRequest, GetLiteTopicInfoRequest,
            GetParentTopicInfoRequest, TriggerLiteDispatchRequest,
        },
    },
};

use super::{
    Sdk, bodies, code, handle, message, receive, resource, session::consumer_settings, system, text,
};
use crate::support::Server;

/// A server with a topic `chats` of LiteTopics and a group `agents` bound to it.
async fn server() -> Server {
    let server = Server::start().await;
    let mut topic = TopicSpec::new(TopicName::new("chats").unwrap(), 1);
    topic.topic_type = Some(TopicType::Lite);
    server.instance.create_topic(topic).await.unwrap();
    server.instance.create_group(agents()).await.unwrap();
    server
}

fn agents() -> GroupSpec {
    let mut group = GroupSpec::new(GroupName::new("agents").unwrap());
    group.lite_topic = Some(TopicName::new("chats").unwrap());
    group
}

fn lite(lite_topic: &str, body: &str) -> v2::Message {
    let mut message = message("chats", body);
    let system = message.system_properties.as_mut().unwrap();
    system.message_type = v2::MessageType::Lite.into();
    system.lite_topic = Some(lite_topic.to_owned());
    message
}

impl Sdk {
    async fn sync(
        &mut self,
        action: Action,
        names: &[&str],
        offset: Option<OffsetType>,
    ) -> v2::SyncLiteSubscriptionResponse {
        let request = self.request(v2::SyncLiteSubscriptionRequest {
            action: action.into(),
            topic: resource("chats"),
            group: resource("agents"),
            lite_topic_set: names.iter().map(|name| (*name).to_owned()).collect(),
            version: None,
            offset_option: offset.map(|offset| OffsetOption {
                offset_type: Some(offset),
            }),
        });
        let answer = self.client.sync_lite_subscription(request).await;
        answer.unwrap().into_inner()
    }

    async fn chooses(&mut self, action: Action, names: &[&str]) {
        let answer = self.sync(action, names, None).await;
        assert_eq!(code(&answer.status), Code::Ok, "{answer:?}");
    }
}

#[tokio::test]
async fn a_lite_consumer_gets_messages_of_the_lite_topics_it_chose() {
    let server = server().await;
    let mut producer = Sdk::connect(&server, "p").await;
    let mut consumer = Sdk::connect(&server, "c").await;
    for (name, body) in [("s1", "one"), ("s2", "two"), ("s3", "three")] {
        let answer = producer.send(vec![lite(name, body)]).await;
        assert_eq!(code(&answer.status), Code::Ok, "{answer:?}");
    }
    consumer.chooses(Action::CompleteAdd, &["s1"]).await;
    consumer.chooses(Action::PartialAdd, &["s2"]).await;
    let taken = consumer.take("chats", "agents", 16).await;
    assert_eq!(bodies(&taken), ["one", "two"]);
    let lite_topic = system(&taken[0]).lite_topic.as_deref();
    assert_eq!(lite_topic, Some("s1"));
    // Given back without having been tried, it comes as the first attempt.
    let request = consumer.request(v2::ChangeInvisibleDurationRequest {
        group: resource("agents"),
        topic: resource("chats"),
        receipt_handle: handle(&taken[0]).to_owned(),
        invisible_duration: Some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        }),
        message_id: system(&taken[0]).message_id.clone(),
        lite_topic: Some("s1".to_owned()),
        suspend: Some(true),
    });
    let answer = consumer.client.change_invisible_duration(request).await;
    assert_eq!(code(&answer.unwrap().into_inner().status), Code::Ok);
    let acked = consumer.ack("chats", "agents", &[handle(&taken[1])]).await;
    assert_eq!(code(&acked.status), Code::Ok);
    server.clock.advance(Duration::from_secs(2));
    let again = consumer.take("chats", "agents", 16).await;
    assert_eq!(bodies(&again), ["one"]);
    assert_eq!(system(&again[0]).delivery_attempt, Some(1));

    consumer.chooses(Action::PartialRemove, &["s1"]).await;
    producer.send(vec![lite("s1", "unseen")]).await;
    server.clock.advance(Duration::from_secs(60));
    let receipt = consumer.receive(receive("chats", "agents", 16)).await;
    assert_eq!(receipt.code, Code::MessageNotFound);
    let from_first = Some(OffsetType::Policy(v2::offset_option::Policy::Min.into()));
    let answer = consumer.sync(Action::PartialAdd, &["s1"], from_first).await;
    assert_eq!(code(&answer.status), Code::Ok);
    let taken = consumer.take("chats", "agents", 16).await;
    assert_eq!(bodies(&taken), ["one", "unseen"]);
    consumer.chooses(Action::CompleteRemove, &[]).await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_codes_of_the_protocol() {
    let server = server().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    let answer = sdk.send(vec![lite("no such name!", "x")]).await;
    assert_eq!(code(&answer.status), Code::IllegalLiteTopic, "{answer:?}");
    let answer = sdk.send(vec![message("chats", "plain")]).await;
    let expected = Code::MessagePropertyConflictWithType;
    assert_eq!(code(&answer.status), expected, "{answer:?}");
    let long = "x".repeat(65);
    let answer = sdk.sync(Action::PartialAdd, &[&long], None).await;
    assert_eq!(code(&answer.status), Code::IllegalLiteTopic, "{answer:?}");
    let negative = Some(OffsetType::TailN(-1));
    let answer = sdk.sync(Action::PartialAdd, &["a"], negative).await;
    assert_eq!(code(&answer.status), Code::IllegalOffset, "{answer:?}");

    let mut small = agents();
    let quota = GroupSpec::LITE_SUB_CLIENT_QUOTA.to_owned();
    small.settings.insert(quota, "1".to_owned());
    server.instance.create_group(small).await.unwrap();
    let answer = sdk.sync(Action::CompleteAdd, &["a", "b"], None).await;
    let expected = Code::LiteSubscriptionQuotaExceeded;
    assert_eq!(code(&answer.status), expected, "{answer:?}");
    assert!(text(&answer.status).contains("2 LiteTopics"), "{answer:?}");

    let mut unbound = agents();
    unbound.lite_topic = None;
    server.instance.create_group(unbound).await.unwrap();
    let answer = sdk.sync(Action::PartialAdd, &["a"], None).await;
    assert_eq!(
        code(&answer.status),
        Code::IllegalConsumerGroup,
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_consumer_is_told_its_quota_and_that_another_has_its_lite_topic() {
    let server = server().await;
    let mut exclusive = agents();
    let model = GroupSpec::LITE_SUB_MODEL.to_owned();
    exclusive.settings.insert(model, "Exclusive".to_owned());
    server.instance.create_group(exclusive).await.unwrap();
    let mut first = Sdk::connect(&server, "first").await;
    let mut talk = first.telemetry().await;
    let mut asked = consumer_settings("agents", "chats");
    asked.client_type = Some(v2::ClientType::LitePushConsumer.into());
    let settings = talk.settle(asked).await;
    let Some(PubSub::Subscription(subscription)) = settings.pub_sub else {
        panic!("expected a subscription");
    };
    assert_eq!(subscription.lite_subscription_quota, Some(2_000));
    assert_eq!(subscription.fifo, Some(true), "a LiteTopic is in order");
    assert_eq!(subscription.max_lite_topic_size, Some(64));
    let mut producer = Sdk::connect(&server, "p").await;
    producer.send(vec![lite("s1", "one")]).await;
    first.chooses(Action::PartialAdd, &["s1"]).await;
    let mut second = Sdk::connect(&server, "second").await;
    second.chooses(Action::PartialAdd, &["s1"]).await;
    match talk.told().await {
        Command::NotifyUnsubscribeLiteCommand(command) => assert_eq!(command.lite_topic, "s1"),
        other => panic!("expected the end of a subscription, got {other:?}"),
    }
    assert_eq!(bodies(&second.take("chats", "agents", 1).await), ["one"]);
}

#[tokio::test]
async fn tools_see_how_far_a_group_is_behind_in_lite_topics_and_who_subscribes() {
    let server = server().await;
    let mut producer = Sdk::connect(&server, "p").await;
    for (name, body) in [
        ("s1", "one"),
        ("s1", "two"),
        ("s1", "three"),
        ("s2", "four"),
    ] {
        producer.send(vec![lite(name, body)]).await;
    }
    let mut consumer = Sdk::connect(&server, "c").await;
    let mut talk = consumer.telemetry().await;
    let mut asked = consumer_settings("agents", "chats");
    asked.client_type = Some(v2::ClientType::LitePushConsumer.into());
    talk.settle(asked).await;
    consumer.chooses(Action::PartialAdd, &["s1"]).await;
    let taken = consumer.take("chats", "agents", 2).await;
    assert_eq!(bodies(&taken), ["one", "two"]);
    consumer.ack("chats", "agents", &[handle(&taken[0])]).await;
    server.clock.advance(Duration::from_secs(5));

    let mut tool = AdminClient::new(Sdk::connect(&server, "tool").await.channel);
    let request = |lite_topic: Option<&str>| v2::DescribeGroupAccumulationRequest {
        group: resource("agents"),
        lite_topic: lite_topic.map(str::to_owned),
        ..Default::default()
    };
    let answer = tool.describe_group_accumulation(request(Some("s1"))).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(code(&answer.status), Code::Ok, "{answer:?}");
    let one = answer.accumulation.unwrap();
    assert_eq!((one.inflight_messages, one.ready_messages), (1, 1));
    assert_eq!(one.deliver_delay_time.unwrap().seconds, 5);
    assert_eq!(answer.lite_topic_accumulation["s1"], one);
    let answer = tool.describe_group_accumulation(request(None)).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(answer.accumulation.unwrap().accumulation, 3);
    assert_eq!(answer.topic_accumulation["chats"].accumulation, 3);
    assert_eq!(answer.lite_topic_accumulation["s1"].accumulation, 2);
    assert_eq!(answer.lite_topic_accumulation["s2"].ready_messages, 1);
    let answer = tool.describe_group_accumulation(request(Some("s9"))).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(code(&answer.status), Code::TopicNotFound, "{answer:?}");

    for (lite_topic, clients) in [("s1", vec!["c"]), ("s2", vec![])] {
        let request = v2::ListConsumerConnectionRequest {
            group: resource("agents"),
            lite_topic: Some(lite_topic.to_owned()),
            ..Default::default()
        };
        let answer = tool.list_consumer_connection(request).await;
        let answer = answer.unwrap().into_inner();
        assert_eq!(code(&answer.status), Code::Ok, "{answer:?}");
        let found: Vec<&str> = answer.client_info.iter().map(|it| &*it.client_id).collect();
        assert_eq!(found, clients, "of {lite_topic}");
    }
    let request = v2::ListMessageRequest {
        topic: resource("chats"),
        search_key: Some(SearchKey::LiteTopic("s2".to_owned())),
        ..Default::default()
    };
    let answer = tool.query_message(request).await.unwrap().into_inner();
    assert_eq!(bodies(&answer.messages), ["four"]);
}

#[tokio::test]
async fn mqadmin_sees_lite_topics() {
    let server = server().await;
    let mut producer = Sdk::connect(&server, "p").await;
    for (name, body) in [("s1", "one"), ("s1", "two"), ("s2", "three")] {
        producer.send(vec![lite(name, body)]).await;
    }
    let mut consumer = Sdk::connect(&server, "c").await;
    consumer.chooses(Action::PartialAdd, &["s2", "s3"]).await;
    let taken = consumer.take("chats", "agents", 1).await;
    consumer.ack("chats", "agents", &[handle(&taken[0])]).await;

    let mut peer = server.peer().await;
    // Codes as high as these have no binary form.
    peer.serialize_type = SerializeType::Json;
    let answer = peer.call(RequestCode::GetBrokerLiteInfo, &()).await;
    let info = BrokerLiteInfo::decode(&answer.body).unwrap();
    assert_eq!((info.lite_topics, info.lite_subscription_count), (3, 2));
    assert_eq!(info.topic_meta["chats"], -1);
    assert_eq!(info.group_meta["chats"], ["agents"]);

    let header = GetParentTopicInfoRequest { topic: "chats" };
    let answer = peer.call(RequestCode::GetParentTopicInfo, &header).await;
    let info = ParentTopicInfo::decode(&answer.body).unwrap();
    assert_eq!((info.lite_topic_count, info.ttl), (3, -1));
    assert_eq!(info.groups.unwrap(), ["agents"]);
    let header = GetParentTopicInfoRequest { topic: "nothing" };
    let answer = peer.call(RequestCode::GetParentTopicInfo, &header).await;
    assert_eq!(answer.response_code(), Some(ResponseCode::TopicNotExist));

    let header = GetLiteTopicInfoRequest {
        parent_topic: "chats",
        lite_topic: "s2",
    };
    let answer = peer.call(RequestCode::GetLiteTopicInfo, &header).await;
    let info = LiteTopicInfo::decode(&answer.body).unwrap();
    assert_eq!(info.topic_offset.unwrap().max_offset, 1);
    assert_eq!(info.subscribers.len(), 1);
    assert_eq!(info.subscribers[0].client_id, "c");

    let header = GetLiteClientInfoRequest {
        parent_topic: "chats",
        group: "agents",
        client_id: "c",
        max_count: 1,
    };
    let answer = peer.call(RequestCode::GetLiteClientInfo, &header).await;
    let info = LiteClientInfo::decode(&answer.body).unwrap();
    assert_eq!(info.lite_topic_count, 2);
    let names = info.lite_topic_set.unwrap();
    assert_eq!(names.len(), 1, "no more than asked for");

    // Nobody of the group has wanted `s1`.
    producer.send(vec![lite("s2", "four")]).await;
    let mut header = GetLiteGroupInfoRequest {
        group: "agents",
        lite_topic: None,
        top_k: 10,
    };
    let answer = peer.call(RequestCode::GetLiteGroupInfo, &header).await;
    let info = LiteGroupInfo::decode(&answer.body).unwrap();
    assert_eq!(info.total_lag_count, 1);
    let lags = info.lag_count_top_k.unwrap();
    assert_eq!(lags.len(), 1, "the group is behind in one only: {lags:?}");
    assert_eq!((&*lags[0].lite_topic, lags[0].lag_count), ("s2", 1));
    header.lite_topic = Some("s2");
    let answer = peer.call(RequestCode::GetLiteGroupInfo, &header).await;
    let info = LiteGroupInfo::decode(&answer.body).unwrap();
    assert_eq!(info.total_lag_count, 1);
    assert_eq!(info.lite_topic_offset_wrapper.unwrap().consumer_offset, 1);
    let header = TriggerLiteDispatchRequest {
        group: "agents",
        client_id: None,
    };
    let answer = peer.call(RequestCode::TriggerLiteDispatch, &header).await;
    assert_eq!(answer.response_code(), Some(ResponseCode::Success));
}
