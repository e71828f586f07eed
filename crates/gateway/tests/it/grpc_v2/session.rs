//! Settings, heartbeats and the end of clients, connections and servers.

use std::time::Duration;

use base::GroupName;
use broker::ConsumeMode;
use futures::channel::mpsc;
use wire::grpc_v2::{
    self as v2, ClientType, Code, retry_policy::Strategy, settings::PubSub,
    telemetry_command::Command,
};

use super::{Sdk, code, message, receive, resource, text};
use crate::support::{Server, Setup, soon};

impl Sdk {
    pub(super) async fn heartbeat(&mut self, kind: ClientType, group: Option<&str>) {
        let request = self.request(v2::HeartbeatRequest {
            group: group.and_then(resource),
            client_type: kind.into(),
        });
        let answer = soon("heartbeat", self.client.heartbeat(request))
            .await
            .unwrap();
        assert_eq!(code(&answer.into_inner().status), Code::Ok);
    }

    pub(super) async fn terminate(&mut self, group: Option<&str>) {
        let request = self.request(v2::NotifyClientTerminationRequest {
            group: group.and_then(resource),
        });
        let answer = soon(
            "termination",
            self.client.notify_client_termination(request),
        )
        .await;
        assert_eq!(code(&answer.unwrap().into_inner().status), Code::Ok);
    }

    pub(crate) async fn telemetry(&mut self) -> Talk {
        let (say, commands) = mpsc::unbounded();
        let request = self.request(commands);
        let answer = soon("telemetry", self.client.telemetry(request))
            .await
            .unwrap();
        Talk {
            say: Some(say),
            hear: answer.into_inner(),
        }
    }
}

/// A Telemetry stream.
pub(crate) struct Talk {
    pub(super) say: Option<mpsc::UnboundedSender<v2::TelemetryCommand>>,
    pub(super) hear: tonic::Streaming<v2::TelemetryCommand>,
}

impl Talk {
    pub(super) fn tell(&self, settings: v2::Settings) {
        self.say(None, Command::Settings(settings));
    }

    pub(crate) fn say(&self, status: Option<v2::Status>, command: Command) {
        let command = v2::TelemetryCommand {
            status,
            command: Some(command),
        };
        self.say.as_ref().unwrap().unbounded_send(command).unwrap();
    }

    pub(super) async fn heard(&mut self) -> Result<Option<v2::TelemetryCommand>, tonic::Status> {
        soon("command", self.hear.message()).await
    }

    /// The next command, which must come.
    pub(crate) async fn told(&mut self) -> Command {
        let command = self.heard().await.unwrap().expect("a command comes");
        assert_eq!(code(&command.status), Code::Ok);
        command.command.expect("a command is something")
    }

    /// Tells settings and returns those that come back.
    pub(crate) async fn settle(&mut self, settings: v2::Settings) -> v2::Settings {
        self.tell(settings);
        match self.told().await {
            Command::Settings(settings) => settings,
            other => panic!("expected settings, got {other:?}"),
        }
    }
}

pub(crate) fn consumer_settings(group: &str, topic: &str) -> v2::Settings {
    v2::Settings {
        client_type: Some(ClientType::PushConsumer.into()),
        pub_sub: Some(PubSub::Subscription(v2::Subscription {
            group: resource(group),
            subscriptions: vec![v2::SubscriptionEntry {
                topic: resource(topic),
                expression: Some(v2::FilterExpression {
                    r#type: v2::FilterType::Tag.into(),
                    expression: "A || B".to_owned(),
                }),
            }],
            ..Default::default()
        })),
        ..Default::default()
    }
}

pub(super) fn producer_settings(topics: &[&str]) -> v2::Settings {
    v2::Settings {
        client_type: Some(ClientType::Producer.into()),
        pub_sub: Some(PubSub::Publishing(v2::Publishing {
            topics: topics.iter().filter_map(|topic| resource(topic)).collect(),
            ..Default::default()
        })),
        ..Default::default()
    }
}

fn names(server: &Server, group: &str) -> Vec<String> {
    let group = GroupName::new(group).unwrap();
    let members = server.instance.consumers(&group).into_iter();
    members.map(|member| member.client.id).collect()
}

#[tokio::test]
async fn a_producer_is_told_its_limits() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let mut talk = sdk.telemetry().await;
    let told = talk
        .settle(v2::Settings {
            client_type: Some(ClientType::Producer.into()),
            request_timeout: Some(prost_types::Duration {
                seconds: 3,
                nanos: 0,
            }),
            pub_sub: Some(PubSub::Publishing(v2::Publishing {
                topics: resource("orders").into_iter().collect(),
                ..Default::default()
            })),
            ..Default::default()
        })
        .await;
    let Some(PubSub::Publishing(publishing)) = told.pub_sub else {
        panic!("expected publishing");
    };
    assert_eq!(publishing.max_body_size, 4 * 1024 * 1024);
    assert!(publishing.validate_message_type);
    assert_eq!(publishing.topics, Vec::from_iter(resource("orders")));
    let backoff = told.backoff_policy.unwrap();
    assert_eq!(backoff.max_attempts, 3);
    assert!(matches!(
        backoff.strategy,
        Some(Strategy::ExponentialBackoff(_))
    ));
    assert!(told.metric.unwrap().on);
    assert_eq!(told.request_timeout.unwrap().seconds, 3);

    let group = GroupName::new("orders").unwrap();
    let producers = server.instance.producers(&group);
    assert_eq!(producers.len(), 1, "known under its topics");
    assert_eq!(producers[0].client.language, "JAVA");
}

#[tokio::test]
async fn a_consumer_is_told_how_to_consume_and_listed() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    let mut talk = sdk.telemetry().await;
    let mut settings = consumer_settings("billing", "orders");
    settings.user_agent = agent(v2::Language::Golang);
    let told = talk.settle(settings).await;
    let Some(PubSub::Subscription(subscription)) = told.pub_sub else {
        panic!("expected a subscription");
    };
    assert_eq!(subscription.fifo, Some(false));
    assert_eq!(subscription.receive_batch_size, Some(32));
    assert_eq!(subscription.long_polling_timeout.unwrap().seconds, 20);
    let backoff = told.backoff_policy.unwrap();
    assert_eq!(backoff.max_attempts, 17);
    let Some(Strategy::CustomizedBackoff(pauses)) = backoff.strategy else {
        panic!("expected the pauses of the group");
    };
    assert_eq!(pauses.next.len(), 16);
    assert_eq!(pauses.next[0].seconds, 10);

    let group = GroupName::new("billing").unwrap();
    let members = server.instance.consumers(&group);
    assert_eq!(members[0].client.id, "c");
    let consumer = members[0].consumer.as_ref().unwrap();
    assert_eq!(consumer.mode, ConsumeMode::Push);
    assert_eq!(consumer.subscriptions[0].topic.as_str(), "orders");

    // A heartbeat keeps what the settings said.
    sdk.heartbeat(ClientType::PushConsumer, Some("billing"))
        .await;
    let members = server.instance.consumers(&group);
    assert_eq!(members[0].consumer.as_ref(), Some(consumer));

    sdk.terminate(Some("billing")).await;
    assert!(names(&server, "billing").is_empty());
}

/// The client for Node.js passes over a list of pauses, and over the attempts with it.
#[tokio::test]
async fn node_js_is_told_attempts_in_a_policy_that_it_reads() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    let mut talk = sdk.telemetry().await;
    let mut settings = consumer_settings("billing", "orders");
    settings.user_agent = agent(v2::Language::NodeJs);
    let backoff = talk.settle(settings).await.backoff_policy.unwrap();
    assert_eq!(backoff.max_attempts, 17);
    let Some(Strategy::ExponentialBackoff(pauses)) = backoff.strategy else {
        panic!("expected pauses that grow");
    };
    assert_eq!(pauses.initial.unwrap().seconds, 10);
    assert_eq!(pauses.max.unwrap().seconds, 7200);
    assert!(pauses.multiplier > 1.0);
}

fn agent(language: v2::Language) -> Option<v2::Ua> {
    Some(v2::Ua {
        language: language.into(),
        version: "1.0.8".to_owned(),
        ..Default::default()
    })
}

#[tokio::test]
async fn a_missing_group_is_named_where_none_is_created() {
    let server = Server::with(Setup {
        create_automatically: false,
        ..Setup::default()
    })
    .await;
    let mut sdk = Sdk::connect(&server, "c").await;
    let mut talk = sdk.telemetry().await;
    talk.tell(consumer_settings("billing", "orders"));
    let refused = talk.heard().await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);
    assert!(
        refused.message().contains("`billing`"),
        "{}",
        refused.message()
    );
    assert!(names(&server, "billing").is_empty());
}

#[tokio::test]
async fn settings_that_say_nothing_end_the_stream() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    let mut talk = sdk.telemetry().await;
    talk.tell(v2::Settings::default());
    assert_eq!(
        talk.heard().await.unwrap_err().code(),
        tonic::Code::InvalidArgument
    );

    let mut talk = sdk.telemetry().await;
    let mut sql = consumer_settings("billing", "orders");
    if let Some(PubSub::Subscription(subscription)) = &mut sql.pub_sub {
        subscription.subscriptions[0].expression = Some(v2::FilterExpression {
            r#type: v2::FilterType::Sql.into(),
            expression: "a >".to_owned(),
        });
    }
    talk.tell(sql);
    let refused = talk.heard().await.unwrap_err();
    assert!(refused.message().contains("SQL"), "{}", refused.message());
}

#[tokio::test]
async fn the_stream_ends_when_the_client_ends_its_side() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    let mut talk = sdk.telemetry().await;
    talk.settle(consumer_settings("billing", "orders")).await;
    talk.say = None;
    assert!(talk.heard().await.unwrap().is_none());
    assert_eq!(names(&server, "billing"), ["c"], "its connection lives");
}

#[tokio::test]
async fn a_client_goes_with_the_last_of_its_connections() {
    let server = Server::start().await;
    let mut first = Sdk::connect(&server, "c").await;
    let mut second = Sdk::connect(&server, "c").await;
    let mut talk = first.telemetry().await;
    talk.settle(consumer_settings("billing", "orders")).await;
    second
        .heartbeat(ClientType::PushConsumer, Some("billing"))
        .await;
    let connection = |server: &Server| {
        let group = GroupName::new("billing").unwrap();
        server
            .instance
            .consumers(&group)
            .first()
            .map(|member| member.client.connection)
    };
    let known_under = connection(&server);

    drop((talk, first));
    server.until_connections(1).await;
    soon("the client to move", async {
        while connection(&server) == known_under {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(names(&server, "billing"), ["c"]);

    drop(second);
    server.until_connections(0).await;
    soon("the client to go", async {
        while connection(&server).is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn good_bye_is_taken_from_everybody() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.terminate(Some("billing")).await;
    sdk.terminate(None).await;
}

#[tokio::test]
async fn a_call_without_a_client_id_is_refused() {
    let server = Server::start().await;
    let sdk = Sdk::connect(&server, "c").await;
    let mut client = sdk.client.clone();
    let sent = client.send_message(v2::SendMessageRequest {
        messages: vec![message("orders", "a")],
    });
    let answer = soon("send", sent).await.unwrap().into_inner();
    assert_eq!(code(&answer.status), Code::ClientIdRequired);
    assert!(text(&answer.status).contains("x-mq-client-id"));

    let mut stream = soon(
        "receive",
        client.receive_message(receive("orders", "billing", 1)),
    )
    .await
    .unwrap()
    .into_inner();
    let first = soon("status", stream.message()).await.unwrap().unwrap();
    assert!(
        format!("{first:?}").contains("ClientIdRequired"),
        "{first:?}"
    );

    let (_say, commands) = mpsc::unbounded::<v2::TelemetryCommand>();
    let refused = soon("telemetry", client.telemetry(commands))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(server.instance.topics().is_empty(), "nothing was done");
}

#[tokio::test]
async fn a_drain_ends_polls_and_streams_in_order() {
    let mut server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.route("orders").await;
    let mut talk = sdk.telemetry().await;
    talk.settle(consumer_settings("billing", "orders")).await;
    let mut poll = receive("orders", "other", 1);
    poll.long_polling_timeout = Some(prost_types::Duration {
        seconds: 30,
        nanos: 0,
    });
    let waiting = tokio::spawn(async move {
        let receipt = sdk.receive(poll).await;
        (receipt, sdk)
    });
    let group = GroupName::new("other").unwrap();
    soon("the receive to begin", async {
        while server.instance.group(&group).is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (drained, receipt) = tokio::join!(server.drain(Duration::from_secs(15)), async {
        assert!(matches!(
            talk.told().await,
            Command::ReconnectEndpointsCommand(_)
        ));
        assert!(
            talk.heard().await.unwrap().is_none(),
            "the stream ends without an error"
        );
        drop(talk);
        let (receipt, sdk) = waiting.await.unwrap();
        drop(sdk);
        receipt
    });
    assert_eq!(receipt.code, Code::MessageNotFound);
    assert!(receipt.text.contains("stop"), "{}", receipt.text);
    assert_eq!(drained.cut, 0);
}

#[tokio::test]
async fn a_request_beyond_the_limit_is_refused_and_the_connection_lives() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    let mut large = message("orders", "a");
    large.body = vec![0; base::limits::GRPC_REQUEST_BYTES_MAX + 1].into();
    let request = sdk.request(v2::SendMessageRequest {
        messages: vec![large],
    });
    let refused = soon("send", sdk.client.send_message(request))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange);
    sdk.send_one("orders", "b").await;
}
