//! Tenants of one server: nobody sees what another has, nor finds out by guessing.
//!
//! Alice is a user of the account who may do everything in one instance, and Carol is a user of
//! that instance itself, even its administrator. To both, an instance of another tenant, what is in
//! it and what is not are the same as an instance that does not exist.

use std::sync::Arc;

use base::{GroupName, TopicName};
use broker::{Instance, Series, TopicSpec};
use serde_json::{Value, json};
use wire::{
    grpc_v2 as v2,
    remoting::{
        RequestCode as Code,
        body::{Body, HeartbeatData, ProducerData},
    },
};

use super::{grpc_v2 as signed_v2, *};
use crate::{
    grpc_v2::{self as in_v2, Sdk},
    ons_http::Request,
    ons_openapi::{Acs3, Rpc},
};

const CAROL: Keys = Keys {
    access: "carol",
    secret: "carol-secret",
};

struct Tenants {
    server: Server,
    /// The instance that Alice and Carol may use.
    own: Arc<Instance>,
    /// Another's, of the 4.x and of the 5.x series.
    others: [Arc<Instance>; 2],
}

impl Tenants {
    async fn start() -> Self {
        let server = guarded(&[]).await;
        let own = server.create_instance(Series::V4).await;
        let others = [
            server.create_instance(Series::V4).await,
            server.create_instance(Series::V5).await,
        ];
        for instance in others.iter().chain([&own]) {
            let topic = TopicSpec::new(TopicName::new("hidden").unwrap(), 1);
            instance.create_topic(topic).await.unwrap();
            let group = GroupName::new("billing").unwrap();
            instance.group_or_create(&group).await.unwrap();
        }
        let carol = UserChange {
            secret: Some(Secret::new(CAROL.secret)),
            user_type: Some(UserType::Super),
            ..UserChange::default()
        };
        own.access().create_user(CAROL.access, carol).await.unwrap();
        let id = own.id();
        let allow = |action: &str, resource: String| json!({ "Effect": "Allow", "Action": action, "Resource": resource });
        let document = json!({ "Version": "1", "Statement": [
            allow("mq:*", format!("acs:mq:*:*:{id}")),
            allow("mq:*", format!("acs:mq:*:*:{id}%*")),
            allow("rocketmq:*", format!("acs:rocketmq:*:*:instance/{id}*")),
        ] });
        let access = server.instance.access();
        let document = document.to_string();
        access.create_ram_policy("hers", &document).await.unwrap();
        access.attach("hers", "alice").await.unwrap();
        Self {
            server,
            own,
            others,
        }
    }

    /// For each instance of others its id, and one of that form that nobody has.
    fn ids(&self) -> impl Iterator<Item = (String, String)> {
        self.others.iter().map(|instance| {
            let id = instance.id().as_str();
            (id.to_owned(), id[..id.len() - 4].to_owned() + "none")
        })
    }
}

/// What an outsider asks over Remoting of an instance, by the prefix of names or the namespace.
fn remoting(peer: &mut crate::support::Peer, id: &str, topic: &str) -> Vec<Command> {
    let (topic, group) = (format!("{id}%{topic}"), format!("{id}%billing"));
    let mut asks = Vec::new();
    let mut ask = |code: Code, fields: &[(&str, &str)]| {
        let mut command = peer.command(code, &());
        for (name, value) in fields {
            command.fields.push_str(name, value);
        }
        asks.push(command);
    };
    let (by_topic, by_group) = (("topic", topic.as_str()), ("consumerGroup", group.as_str()));
    let (queue, offset) = (("queueId", "0"), ("offset", "0"));
    for code in [
        Code::GetRouteByTopic,
        Code::GetTopicConfig,
        Code::GetTopicStatsInfo,
        Code::QueryTopicConsumeByWho,
        Code::DeleteTopicInBroker,
    ] {
        ask(code, &[by_topic]);
    }
    for name in [
        format!("{id}%TBW102"),
        format!("{id}%DefaultCluster"),
        format!("%RETRY%{id}%billing"),
        format!("{id}%{id}-0"),
        format!("{id}%"),
    ] {
        ask(Code::GetRouteByTopic, &[("topic", &name)]);
    }
    for code in [Code::GetMaxOffset, Code::GetMinOffset] {
        ask(code, &[by_topic, queue]);
    }
    ask(Code::ViewMessageById, &[by_topic, offset]);
    let keys = [
        ("key", "k"),
        ("maxNum", "32"),
        ("beginTimestamp", "0"),
        ("endTimestamp", "9"),
    ];
    ask(Code::QueryMessage, &[&[by_topic][..], &keys].concat());
    for code in [
        Code::GetConsumerListByGroup,
        Code::GetConsumerConnectionList,
        Code::GetConsumeStats,
    ] {
        ask(code, &[by_group]);
    }
    ask(Code::GetGroupConfig, &[("group", &group)]);
    ask(Code::QueryTopicsByConsumer, &[("group", &group)]);
    ask(Code::DeleteGroup, &[("groupName", &group)]);
    ask(Code::QueryConsumerOffset, &[by_group, by_topic, queue]);
    let pull = [
        by_group,
        by_topic,
        queue,
        ("queueOffset", "0"),
        ("maxMsgNums", "1"),
        ("sysFlag", "4"),
        ("commitOffset", "0"),
        ("suspendTimeoutMillis", "0"),
        ("subVersion", "0"),
    ];
    ask(Code::PullMessage, &pull);
    let send = [
        ("a", "shop"),
        ("b", &*topic),
        ("e", "0"),
        ("g", "0"),
        ("i", ""),
    ];
    ask(Code::SendMessageV2, &send);
    for code in [
        Code::GetAllTopicConfig,
        Code::GetTopicListFromNameServer,
        Code::GetAllGroupConfig,
    ] {
        ask(code, &[("ns", id)]);
    }
    asks
}

/// What somebody is told, without the name of the instance.
fn told(answer: &Command, id: &str) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    let remark = answer.remark.as_deref().unwrap_or_default();
    format!("{} {remark} {body}", answer.code).replace(id, "ID")
}

#[tokio::test]
async fn over_remoting_another_tenant_is_as_one_that_does_not_exist() {
    let tenants = Tenants::start().await;
    let mut peer = tenants.server.peer().await;
    for (foreign, missing) in tenants.ids() {
        for keys in [ALICE, CAROL] {
            for topic in ["hidden", "absent"] {
                let asked = remoting(&mut peer, &foreign, topic);
                let guessed = remoting(&mut peer, &missing, topic);
                for (asked, guessed) in asked.into_iter().zip(guessed) {
                    let code = asked.code;
                    let foreign_told = told(&peer.ask(&signed(asked, keys)).await, &foreign);
                    let missing_told = told(&peer.ask(&signed(guessed, keys)).await, &missing);
                    assert_eq!(foreign_told, missing_told, "{code} {topic} {}", keys.access);
                    assert!(foreign_told.starts_with("16 "), "{code}: {foreign_told}");
                }
            }
        }
    }
    for other in &tenants.others {
        assert_eq!((other.topics().len(), other.groups().len()), (1, 1));
    }
    // Nobody is among the producers of others, where transactions are asked about.
    let id = tenants.others[0].id();
    let beat = HeartbeatData {
        client_id: "spy".to_owned(),
        producers: vec![ProducerData {
            group_name: format!("{id}%shop"),
        }],
        ..HeartbeatData::default()
    };
    let beat = peer.command(Code::Heartbeat, &()).with_body(beat.encode());
    let answer = peer.ask(&signed(beat, ALICE)).await;
    assert_eq!(
        answer.response_code(),
        Some(ResponseCode::NoPermission),
        "{answer:?}"
    );
    // What is one's own is there.
    let mut route = peer.command(Code::GetRouteByTopic, &());
    let topic = format!("{}%hidden", tenants.own.id());
    route.fields.push_str("topic", &topic);
    succeeded(&peer.ask(&signed(route.clone(), ALICE)).await);
    succeeded(&peer.ask(&signed(route, CAROL)).await);
}

#[tokio::test]
async fn over_grpc_another_tenant_is_as_one_that_does_not_exist() {
    let tenants = Tenants::start().await;
    let mut sdk = Sdk::connect(&tenants.server, "sdk").await;
    for (foreign, missing) in tenants.ids() {
        for keys in [ALICE, CAROL] {
            for topic in ["hidden", "absent"] {
                let [foreign, missing] = [
                    over_grpc(&mut sdk, &foreign, topic, keys).await,
                    over_grpc(&mut sdk, &missing, topic, keys).await,
                ];
                assert_eq!(foreign, missing, "{topic} {}", keys.access);
            }
        }
    }
}

async fn over_grpc(sdk: &mut Sdk, id: &str, topic: &str, keys: Keys) -> Vec<String> {
    let resource = |name: &str| {
        Some(v2::Resource {
            resource_namespace: id.to_owned(),
            name: name.to_owned(),
        })
    };
    let (topic, group) = (resource(topic), resource("billing"));
    let (topic, group) = (|| topic.clone(), || group.clone());
    let mut told = Vec::new();
    macro_rules! ask {
        ($call:ident, $request:expr) => {{
            let request = signed_v2::signed(sdk, $request, keys);
            let answer = sdk.client.$call(request).await.unwrap().into_inner();
            let code = in_v2::code(&answer.status);
            assert!(
                [v2::Code::Forbidden, v2::Code::Unauthorized].contains(&code),
                "{answer:?}"
            );
            told.push(format!("{code:?} {}", in_v2::text(&answer.status)).replace(id, "ID"));
        }};
    }
    let route = v2::QueryRouteRequest {
        topic: topic(),
        endpoints: None,
    };
    ask!(query_route, route);
    let assignment = v2::QueryAssignmentRequest {
        topic: topic(),
        group: group(),
        endpoints: None,
    };
    ask!(query_assignment, assignment);
    let mut message = in_v2::message("x", "hello");
    message.topic = topic();
    ask!(
        send_message,
        v2::SendMessageRequest {
            messages: vec![message]
        }
    );
    let beat = v2::HeartbeatRequest {
        group: group(),
        client_type: v2::ClientType::PushConsumer.into(),
    };
    ask!(heartbeat, beat);
    let ack = v2::AckMessageRequest {
        group: group(),
        topic: topic(),
        entries: Vec::new(),
    };
    ask!(ack_message, ack);
    told
}

#[tokio::test]
async fn a_producer_does_not_enter_the_instance_of_another_over_grpc() {
    let tenants = Tenants::start().await;
    let mut sdk = Sdk::connect(&tenants.server, "sdk").await;
    for other in &tenants.others {
        let beat = v2::HeartbeatRequest {
            group: None,
            client_type: v2::ClientType::Producer.into(),
        };
        let mut request = signed_v2::signed(&sdk, beat, ALICE);
        let namespace = other.id().as_str().parse().unwrap();
        request.metadata_mut().insert("x-mq-namespace", namespace);
        let answer = sdk.client.heartbeat(request).await.unwrap().into_inner();
        let code = in_v2::code(&answer.status);
        assert_eq!(code, v2::Code::Forbidden, "{answer:?}");
    }
}

#[tokio::test]
async fn over_http_another_tenant_is_as_one_that_does_not_exist() {
    let tenants = Tenants::start().await;
    for (foreign, missing) in tenants.ids() {
        for keys in [Some(ALICE), Some(CAROL), None] {
            for target in [
                "/topics/hidden/messages?consumer=billing&numOfMessages=1&ns=",
                "/topics/absent/messages?consumer=billing&numOfMessages=1&ns=",
            ] {
                let mut told = Vec::new();
                for id in [&foreign, &missing] {
                    let mut request = Request::new("GET", &format!("{target}{id}"));
                    if let Some(keys) = keys {
                        request = request.signed(keys.access, keys.secret);
                    }
                    let answer = request.call(&tenants.server).await;
                    let expected = if keys.is_some() { 403 } else { 400 };
                    assert_eq!(answer.status, expected, "{answer:?}");
                    let texts = ["Code", "Message"].map(|element| answer.first(element));
                    told.push(texts.join(" ").replace(id.as_str(), "ID"));
                }
                assert_eq!(told[0], told[1], "{target}");
            }
        }
    }
}

#[tokio::test]
async fn the_older_openapi_tells_nothing_of_other_instances() {
    let tenants = Tenants::start().await;
    let alice = (ALICE.access, ALICE.secret);
    for (foreign, missing) in tenants.ids() {
        for (action, more) in [
            ("OnsTopicList", &[][..]),
            ("OnsGroupList", &[]),
            ("OnsTopicStatus", &[("Topic", "hidden")]),
            ("OnsTopicStatus", &[("Topic", "absent")]),
            ("OnsConsumerStatus", &[("GroupId", "billing")]),
            ("OnsConsumerGetConnection", &[("GroupId", "billing")]),
            ("OnsTopicDelete", &[("Topic", "hidden")]),
            ("OnsInstanceBaseInfo", &[]),
            (
                "OnsMessageGetByMsgId",
                &[("Topic", "hidden"), ("MsgId", "7F0000010000")],
            ),
        ] {
            let mut told = Vec::new();
            for id in [&foreign, &missing] {
                let parameters = [more, &[("InstanceId", id.as_str())]].concat();
                let answer = Rpc::new(action, &parameters).signed(alice);
                let answer = answer.call(&tenants.server).await;
                let text = answer.refused(403, "Forbidden.RAM");
                told.push(text.replace(id.as_str(), "ID"));
            }
            assert_eq!(told[0], told[1], "{action}");
        }
    }
    // Nobody knows Carol outside of her instance.
    let carol = Rpc::new("OnsInstanceInServiceList", &[]);
    let carol = carol.signed((CAROL.access, CAROL.secret));
    let answer = carol.call(&tenants.server).await;
    assert!(answer.status >= 400, "{answer:?}");
}

/// All operations on an instance of the newer OpenAPI: method and path.
fn operations() -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&gateway::openapi_document()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let in_instances = paths.filter(|(path, _)| path.contains("{instanceId}"));
    let operations = in_instances.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().keys();
        methods.map(|method| (method.to_uppercase(), path.clone()))
    });
    operations.collect()
}

#[tokio::test]
async fn the_newer_openapi_tells_nothing_of_other_instances() {
    let tenants = Tenants::start().await;
    let alice = (ALICE.access, ALICE.secret);
    let mut refused = 0;
    for (method, path) in operations() {
        for (foreign, missing) in tenants.ids() {
            for name in ["hidden", "absent"] {
                let mut told = Vec::new();
                for id in [&foreign, &missing] {
                    let mut target = path.replace("{instanceId}", id);
                    while let (Some(open), Some(close)) = (target.find('{'), target.find('}')) {
                        target.replace_range(open..=close, name);
                    }
                    let request = Acs3::of_path(&method, &target).signed(alice);
                    let answer = request.call(&tenants.server).await;
                    let mut json = answer.json();
                    json["requestId"] = json!("");
                    told.push((answer.status, json.to_string().replace(id.as_str(), "ID")));
                }
                assert_eq!(told[0], told[1], "{method} {path}");
                // Only what lacks a parameter may be refused before it is clear whose it is.
                assert!([400, 403].contains(&told[0].0), "{method} {path}: {told:?}");
                refused += usize::from(told[0].0 == 403);
            }
        }
    }
    assert!(refused > 50, "{refused}");
    for target in ["/instances", "/instances?pageSize=200"] {
        let (path, _) = target.split_once('?').unwrap_or((target, ""));
        let listed = Acs3::of_path("GET", path).signed(alice);
        let listed = listed.call(&tenants.server).await;
        for (foreign, _) in tenants.ids() {
            assert!(!listed.body.contains(&foreign), "{listed:?}");
        }
    }
}
