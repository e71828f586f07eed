//! The Admin service: what tools see, and what they may change.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use base::{Clock, Timestamp, TopicName};
use broker::{QueryRequest, TopicSpec, TopicType};
use wire::{
    grpc_v2::{
        self as v2, Code, MessageType, admin_client::AdminClient, change_log_level_request::Level,
        list_message_request::SearchKey, telemetry_command::Command,
    },
    message::MessageId,
    remoting::body::{Body, TopicRouteData},
};

use super::{
    Channel, Sdk, bodies, code, resource,
    session::{Talk, consumer_settings},
    system, text,
};
use crate::support::{Server, Setup, soon};

/// A tool, which has no client id.
struct Tool(AdminClient<Channel>);

impl Tool {
    async fn connect(server: &Server) -> Self {
        let sdk = Sdk::connect(server, "tool").await;
        Self(AdminClient::new(sdk.channel))
    }
}

/// Calls a method with a request and returns the answer.
macro_rules! ask {
    ($tool:expr, $method:ident($request:expr)) => {
        soon(stringify!($method), $tool.0.$method($request))
            .await
            .unwrap()
            .into_inner()
    };
}

fn list_messages(key: Option<SearchKey>) -> v2::ListMessageRequest {
    v2::ListMessageRequest {
        topic: resource("orders"),
        search_key: key,
        ..Default::default()
    }
}

async fn consumer(server: &Server, id: &'static str) -> (Sdk, Talk) {
    let mut sdk = Sdk::connect(server, id).await;
    let mut talk = sdk.telemetry().await;
    talk.settle(consumer_settings("billing", "orders")).await;
    (sdk, talk)
}

#[tokio::test]
async fn a_topic_is_described_and_its_route_told() {
    let server = Server::start().await;
    let mut tool = Tool::connect(&server).await;
    let mut spec = TopicSpec::new(TopicName::new("orders").unwrap(), 3);
    spec.topic_type = Some(TopicType::Fifo);
    let attributes = [("description", "words"), ("color", "red")];
    spec.attributes = attributes
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    server.instance.create_topic(spec).await.unwrap();
    let request = |name: &str| v2::DescribeTopicStatusRequest {
        deployment_name: None,
        topic: resource(name),
    };
    let answer = ask!(tool, describe_topic_status(request("orders")));
    assert_eq!(code(&answer.status), Code::Ok);
    assert_eq!(answer.topic_message_type(), MessageType::Fifo);
    assert_eq!(answer.description.as_deref(), Some("words"));
    assert_eq!(answer.tags["color"], "red");
    let missing = ask!(tool, describe_topic_status(request("other")));
    assert_eq!(code(&missing.status), Code::TopicNotFound);
    assert!(text(&missing.status).contains("`other`"));
    let wrong = ask!(tool, describe_topic_status(request("a b")));
    assert_eq!(code(&wrong.status), Code::IllegalTopic);

    let route = v2::GetTopicRouteRequest {
        topic: resource("orders"),
        ..Default::default()
    };
    let answer = ask!(tool, get_topic_route(route));
    let route = TopicRouteData::decode(answer.topic_route_data.as_bytes()).unwrap();
    assert_eq!(route.queues[0].write_queue_count, 3);
    assert_eq!(
        route.brokers[0].addresses[&0],
        format!("127.0.0.1:{}", server.address.port())
    );
    assert_eq!(
        server.instance.topics().len(),
        1,
        "nothing is created by looking"
    );
}

#[tokio::test]
async fn a_deployment_names_the_instance() {
    let server = Server::with(Setup {
        instances: vec!["mq-2"],
        ..Setup::default()
    })
    .await;
    let mut tool = Tool::connect(&server).await;
    let id = base::InstanceId::new("mq-2").unwrap();
    let second = server.front.router.instance(&id).unwrap();
    let spec = TopicSpec::new(TopicName::new("orders").unwrap(), 1);
    second.create_topic(spec).await.unwrap();
    for (deployment, expected) in [
        (None, Code::TopicNotFound),
        (Some("mq-2"), Code::Ok),
        (Some("default"), Code::TopicNotFound),
        (Some("mq-3"), Code::NotFound),
        (Some("no id"), Code::NotFound),
    ] {
        let request = v2::DescribeTopicStatusRequest {
            deployment_name: deployment.map(str::to_owned),
            topic: resource("orders"),
        };
        let answer = ask!(tool, describe_topic_status(request));
        assert_eq!(code(&answer.status), expected, "{deployment:?}");
    }
}

#[tokio::test]
async fn subscriptions_and_clients_are_listed() {
    let server = Server::start().await;
    let mut tool = Tool::connect(&server).await;
    let (mut first, _talk) = consumer(&server, "c1").await;
    first.send_one("orders", "body").await;
    let of_group = v2::ListSubscriptionRequest {
        group: resource("billing"),
        ..Default::default()
    };
    let of_topic = v2::ListSubscriptionRequest {
        topic: resource("orders"),
        ..Default::default()
    };
    for request in [of_group.clone(), of_topic] {
        let answer = ask!(tool, list_subscription(request));
        assert_eq!(code(&answer.status), Code::Ok);
        let [info] = &answer.subscription_info[..] else {
            panic!("expected one subscription, got {answer:?}");
        };
        assert_eq!(info.group, resource("billing"));
        assert_eq!(info.topic, resource("orders"));
        assert_eq!(info.expression.as_ref().unwrap().expression, "A || B");
        assert!(info.online && info.subscription_consistency);
        assert_eq!(info.message_model(), v2::MessageModel::Clustering);
    }

    // One that says otherwise.
    let mut second = Sdk::connect(&server, "c2").await;
    let mut talk = second.telemetry().await;
    talk.settle(consumer_settings("billing", "refunds")).await;
    server
        .instance
        .topic_or_create(&TopicName::new("refunds").unwrap(), None)
        .await
        .unwrap();
    let answer = ask!(tool, list_subscription(of_group.clone()));
    let consistent = answer.subscription_info.iter();
    let consistent: Vec<bool> = consistent
        .map(|info| info.subscription_consistency)
        .collect();
    assert_eq!(consistent, [false, false]);
    let described = ask!(
        tool,
        describe_subscription(v2::DescribeSubscriptionRequest {
            group: resource("billing"),
            topic: resource("refunds"),
            ..Default::default()
        })
    );
    let [info] = &described.client_subscription_info[..] else {
        panic!("expected one client, got {described:?}");
    };
    let client = info.client_info.as_ref().unwrap();
    assert_eq!(
        (&client.client_id[..], &client.egress_ip[..]),
        ("c2", "127.0.0.1")
    );
    assert_eq!(
        (&client.language[..], &client.version[..]),
        ("JAVA", "5.2.0")
    );

    for (topic, expected) in [(None, vec!["c1", "c2"]), (resource("orders"), vec!["c1"])] {
        let answer = ask!(
            tool,
            list_consumer_connection(v2::ListConsumerConnectionRequest {
                group: resource("billing"),
                topic,
                ..Default::default()
            })
        );
        let clients = answer.client_info.iter();
        let clients: Vec<&str> = clients.map(|client| &client.client_id[..]).collect();
        assert_eq!(clients, expected);
    }

    let delete = |topic: &str| v2::DeleteSubscriptionRequest {
        group: resource("billing"),
        topic: resource(topic),
        ..Default::default()
    };
    let answer = ask!(tool, delete_subscription(delete("orders")));
    assert_eq!(code(&answer.status), Code::PreconditionFailed);
    let answer = ask!(tool, delete_subscription(delete("other")));
    assert_eq!(code(&answer.status), Code::Unsupported);

    // What nobody subscribes to any more, but did.
    drop((first, _talk));
    let mut third = Sdk::connect(&server, "c3").await;
    assert_eq!(third.take("orders", "billing", 1).await.len(), 1);
    soon("c1 to go", async {
        loop {
            let answer = ask!(tool, list_subscription(of_group.clone()));
            let online = answer.subscription_info.iter();
            let online: Vec<bool> = online.map(|info| info.online).collect();
            if online == [false, true] {
                return;
            }
        }
    })
    .await;

    let nothing = ask!(
        tool,
        list_subscription(v2::ListSubscriptionRequest::default())
    );
    assert_eq!(code(&nothing.status), Code::BadRequest);
    let missing = ask!(
        tool,
        list_consumer_connection(v2::ListConsumerConnectionRequest {
            group: resource("nobody"),
            ..Default::default()
        })
    );
    assert_eq!(code(&missing.status), Code::ConsumerGroupNotFound);
}

#[tokio::test]
async fn a_group_is_told_to_be_behind_and_reset() {
    let server = Server::start().await;
    let mut tool = Tool::connect(&server).await;
    let mut sdk = Sdk::connect(&server, "c").await;
    for body in ["a", "b", "c"] {
        sdk.send_one("orders", body).await;
    }
    let taken = sdk.take("orders", "billing", 2).await;
    sdk.ack("orders", "billing", &[super::handle(&taken[0])])
        .await;
    server.clock.advance(Duration::from_secs(5));
    let accumulation = |topics: Vec<v2::Resource>| v2::DescribeGroupAccumulationRequest {
        group: resource("billing"),
        topics,
        ..Default::default()
    };
    let answer = ask!(tool, describe_group_accumulation(accumulation(Vec::new())));
    assert_eq!(code(&answer.status), Code::Ok);
    let whole = answer.accumulation.unwrap();
    assert_eq!(answer.topic_accumulation["orders"], whole);
    assert_eq!(whole.accumulation, 2);
    assert_eq!((whole.inflight_messages, whole.ready_messages), (1, 1));
    assert!(whole.deliver_delay_time.unwrap().seconds >= 5);
    let named = Vec::from_iter(resource("other"));
    let answer = ask!(tool, describe_group_accumulation(accumulation(named)));
    assert_eq!(code(&answer.status), Code::TopicNotFound);

    let spans = v2::QueryTimeSpanRequest {
        group: resource("billing"),
        ..Default::default()
    };
    let answer = ask!(tool, query_time_span(spans));
    let spans = answer.queue_time_span_list;
    assert_eq!(spans.len(), 8);
    assert_eq!(
        spans.iter().filter(|span| span.min_timestamp > 0).count(),
        3
    );
    assert!(spans.iter().any(|span| span.delay_time_ms >= 5_000));

    let reset = |timestamp| v2::ResetGroupOffsetRequest {
        group: resource("billing"),
        topic: resource("orders"),
        reset_timestamp: timestamp,
        ..Default::default()
    };
    let begin = prost_types::Timestamp::default();
    let answer = ask!(tool, reset_group_offset(reset(Some(begin))));
    assert_eq!(code(&answer.status), Code::Ok, "{answer:?}");
    let again = sdk.take("orders", "billing", 10).await;
    assert_eq!(bodies(&again), ["a", "b", "c"]);
    let later = prost_types::Timestamp {
        seconds: server.clock.now().ms() / 1_000 + 60,
        nanos: 0,
    };
    ask!(tool, reset_group_offset(reset(Some(later))));
    let answer = ask!(tool, describe_group_accumulation(accumulation(Vec::new())));
    assert_eq!(answer.accumulation.unwrap().accumulation, 0);
    let answer = ask!(tool, reset_group_offset(reset(None)));
    assert_eq!(code(&answer.status), Code::BadRequest);
}

#[tokio::test]
async fn messages_are_sent_and_found() {
    let server = Server::start().await;
    let mut tool = Tool::connect(&server).await;
    let sent = ask!(
        tool,
        admin_send_message(v2::AdminSendMessageRequest {
            topic: resource("orders"),
            tag: Some("A".to_owned()),
            key: Some("k1".to_owned()),
            body: "by hand".into(),
            user_properties: HashMap::from([("color".to_owned(), "red".to_owned())]),
            ..Default::default()
        })
    );
    assert_eq!(code(&sent.status), Code::Ok);
    let empty = ask!(
        tool,
        admin_send_message(v2::AdminSendMessageRequest {
            topic: resource("orders"),
            ..Default::default()
        })
    );
    assert_eq!(code(&empty.status), Code::MessageBodyEmpty);
    let keys = [
        SearchKey::MessageId(sent.message_id.clone()),
        SearchKey::MessageKey("k1".to_owned()),
    ];
    let mut stored_id = String::new();
    for key in keys {
        let answer = ask!(tool, query_message(list_messages(Some(key))));
        assert_eq!(code(&answer.status), Code::Ok);
        assert_eq!(bodies(&answer.messages), ["by hand"]);
        let properties = system(&answer.messages[0]);
        assert_eq!(properties.tag.as_deref(), Some("A"));
        assert_eq!(properties.message_id, sent.message_id);
        assert_eq!(answer.messages[0].user_properties["color"], "red");
        stored_id = properties.store_host.clone();
    }
    assert!(stored_id.starts_with("127.0.0.1:"));
    // By where it is stored, for those who may see its topic.
    Sdk::connect(&server, "p2")
        .await
        .send_one("secret", "x")
        .await;
    let query = QueryRequest {
        topic: TopicName::new("secret").unwrap(),
        key: "id-x".to_owned(),
        max_messages: 1,
        from: Timestamp::from_ms(0),
        to: Timestamp::from_ms(i64::MAX),
    };
    let shard = server.instance.shards().remove(0);
    let stored = shard.query(query).await.unwrap().remove(0);
    let id = MessageId {
        store_host: stored.store_host(),
        physical_offset: stored.physical_offset(),
    };
    for (topic, expected) in [("secret", Code::Ok), ("orders", Code::MessageNotFound)] {
        let request = v2::ListMessageRequest {
            topic: resource(topic),
            ..list_messages(Some(SearchKey::MessageId(id.to_string())))
        };
        let answer = ask!(tool, query_message(request));
        assert_eq!(code(&answer.status), expected);
    }
    let unknown = SearchKey::MessageId("nothing".to_owned());
    let answer = ask!(tool, query_message(list_messages(Some(unknown))));
    assert_eq!(code(&answer.status), Code::MessageNotFound);
    for (key, expected) in [
        (SearchKey::Subscription("x".to_owned()), Code::Unsupported),
        (SearchKey::LiteTopic("x".to_owned()), Code::TopicNotFound),
        (
            SearchKey::LiteTopic("no name!".to_owned()),
            Code::IllegalLiteTopic,
        ),
    ] {
        let answer = ask!(tool, query_message(list_messages(Some(key))));
        assert_eq!(code(&answer.status), expected);
    }

    // All of them, some at a time.
    let mut sdk = Sdk::connect(&server, "p").await;
    for body in ["a", "b", "c", "d"] {
        sdk.send_one("orders", body).await;
    }
    let mut request = v2::ListMessageRequest {
        max_message_nums: 2,
        ..list_messages(None)
    };
    let mut found = Vec::new();
    loop {
        let answer = ask!(tool, query_message(request.clone()));
        assert_eq!(code(&answer.status), Code::Ok);
        assert!(answer.messages.len() <= 2);
        found.extend(answer.messages);
        if answer.scroll_id.is_empty() {
            break;
        }
        request.scroll_id = Some(answer.scroll_id);
    }
    assert_eq!(bodies(&found), ["a", "b", "by hand", "c", "d"]);
    request.scroll_id = Some("x".to_owned());
    let answer = ask!(tool, query_message(request));
    assert_eq!(code(&answer.status), Code::BadRequest);
    let early = v2::ListMessageRequest {
        end_timestamp: Some(prost_types::Timestamp::default()),
        ..list_messages(None)
    };
    let answer = ask!(tool, query_message(early));
    assert!(answer.messages.is_empty());
    for wrong in [-1, 65] {
        let many = v2::ListMessageRequest {
            max_message_nums: wrong,
            ..list_messages(None)
        };
        let answer = ask!(tool, query_message(many));
        assert_eq!(code(&answer.status), Code::BadRequest);
        assert!(
            text(&answer.status).contains("64"),
            "{}",
            text(&answer.status)
        );
    }
}

#[tokio::test]
async fn clients_are_asked_for_tools() {
    let server = Server::start().await;
    let mut tool = Tool::connect(&server).await;
    let (mut sdk, mut talk) = consumer(&server, "c").await;
    sdk.send_one("orders", "body").await;
    let stacks = |client: &str| v2::PrintThreadStackTraceRequest {
        client_id: client.to_owned(),
        group: resource("billing"),
        ..Default::default()
    };
    let answer = ask!(tool, print_thread_stack_trace(stacks("other")));
    assert_eq!(code(&answer.status), Code::NotFound);
    let answer = async { ask!(tool, print_thread_stack_trace(stacks("c"))) };
    let client = async {
        let Command::PrintThreadStackTraceCommand(asked) = talk.told().await else {
            panic!("expected a question on threads");
        };
        let trace = v2::ThreadStackTrace {
            nonce: asked.nonce,
            thread_stack_trace: Some("main waits".to_owned()),
        };
        talk.say(None, Command::ThreadStackTrace(trace));
    };
    let (answer, ()) = tokio::join!(answer, client);
    assert_eq!(answer.thread_stack_trace.as_deref(), Some("main waits"));

    let info = ask!(
        tool,
        get_consumer_running_info(v2::GetConsumerRunningInfoRequest {
            client_id: "c".to_owned(),
            group: resource("billing"),
            ..Default::default()
        })
    );
    let info = info.consumer_running_info.unwrap();
    assert_eq!(info.subscriptions["orders"].expression, "A || B");
    assert_eq!(info.properties["PROP_CONSUME_TYPE"], "CONSUME_PASSIVELY");

    for (said, expected) in [
        (Code::Ok, Code::Ok),
        (Code::FailedToConsumeMessage, Code::FailedToConsumeMessage),
        (Code::InternalError, Code::PreconditionFailed),
    ] {
        let verify = v2::VerifyMessageRequest {
            client_id: "c".to_owned(),
            group: resource("billing"),
            topic: resource("orders"),
            message_id: "id-body".to_owned(),
            ..Default::default()
        };
        let answer = async { ask!(tool, verify_message(verify)) };
        let client = async {
            let Command::VerifyMessageCommand(asked) = talk.told().await else {
                panic!("expected a message to consume");
            };
            assert_eq!(&asked.message.unwrap().body[..], b"body");
            let nonce = asked.nonce;
            let status = v2::Status {
                code: said.into(),
                message: "word".to_owned(),
            };
            let result = v2::VerifyMessageResult { nonce };
            talk.say(Some(status), Command::VerifyMessageResult(result));
        };
        let (answer, ()) = tokio::join!(answer, client);
        assert_eq!(code(&answer.status), expected);
    }
}

#[tokio::test]
async fn the_server_itself_is_looked_after() {
    let server = Server::start().await;
    let mut tool = Tool::connect(&server).await;
    let (_sdk, _talk) = consumer(&server, "c").await;
    let stats = ask!(
        tool,
        get_proxy_runtime_stats(v2::GetProxyRuntimeStatsRequest {})
    );
    assert_eq!(code(&stats.status), Code::Ok);
    assert_eq!((stats.connections, stats.consumers), (2, 1));

    let level = |level: i32| v2::ChangeLogLevelRequest { level };
    let refused = tool.0.change_log_level(level(Level::Debug.into()));
    let refused = soon("level", refused).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unimplemented);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heard);
    server
        .front
        .on_log_level(move |level| told.lock().unwrap().push(level.to_string()));
    let answer = ask!(tool, change_log_level(level(Level::Debug.into())));
    assert!(answer.remark.contains("debug"), "{}", answer.remark);
    assert_eq!(*heard.lock().unwrap(), ["debug"]);
    let refused = soon("level", tool.0.change_log_level(level(9))).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::InvalidArgument);
}
