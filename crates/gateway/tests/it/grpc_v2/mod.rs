//! The gRPC v2 front end over real sockets, as an SDK speaks to it.

mod across;
mod admin;
pub(crate) mod bad_input;
pub(crate) mod client_metrics;
mod commands;
mod consume;
mod limits;
mod lite;
pub(crate) mod message_trace;
mod produce;
mod pull;
pub(crate) mod session;
mod transactions;

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::{
    Request,
    body::Body,
    metadata::{AsciiMetadataValue, MetadataMap},
};
use wire::grpc_v2::{
    self as v2, Code, messaging_service_client::MessagingServiceClient,
    receive_message_response::Content,
};

use crate::support::{Server, soon};

/// One HTTP/2 connection.
#[derive(Clone)]
pub(crate) struct Channel(pub(crate) SendRequest<Body>);

impl tower::Service<http::Request<Body>> for Channel {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Self::Response, hyper::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path_and_query().unwrap().as_str();
        *request.uri_mut() = format!("http://server{path}").parse().unwrap();
        Box::pin(self.0.send_request(request))
    }
}

/// An SDK: an id, and a connection that goes when this does.
pub(crate) struct Sdk {
    pub(crate) client: MessagingServiceClient<Channel>,
    pub(crate) channel: Channel,
    id: &'static str,
}

impl Sdk {
    pub(crate) async fn connect(server: &Server, id: &'static str) -> Self {
        Self::with_window(server, id, 64 * 1024).await
    }

    /// An SDK that lets the server send so many bytes ahead on all streams together.
    pub(crate) async fn with_window(server: &Server, id: &'static str, bytes: u32) -> Self {
        let socket = TokioIo::new(server.connect().await);
        // Small windows, so that a server feels what its client does not read.
        let handshake = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(64 * 1024)
            .initial_connection_window_size(bytes)
            .handshake(socket);
        let (sender, connection) = soon("handshake", handshake).await.unwrap();
        tokio::spawn(connection);
        let channel = Channel(sender);
        Self {
            client: MessagingServiceClient::new(channel.clone()),
            channel,
            id,
        }
    }

    /// A request with the headers of an SDK.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let headers: &mut MetadataMap = request.metadata_mut();
        headers.insert("x-mq-client-id", AsciiMetadataValue::from_static(self.id));
        headers.insert("x-mq-language", AsciiMetadataValue::from_static("JAVA"));
        headers.insert(
            "x-mq-client-version",
            AsciiMetadataValue::from_static("5.2.0"),
        );
        request
    }

    pub(crate) async fn send(&mut self, messages: Vec<v2::Message>) -> v2::SendMessageResponse {
        let request = self.request(v2::SendMessageRequest { messages });
        let answer = soon("send", self.client.send_message(request)).await;
        answer.unwrap().into_inner()
    }

    /// Sends one message that must arrive.
    pub(crate) async fn send_one(&mut self, topic: &str, body: &str) -> v2::SendResultEntry {
        let answer = self.send(vec![message(topic, body)]).await;
        assert_eq!(code(&answer.status), Code::Ok, "{answer:?}");
        answer.entries.into_iter().next().unwrap()
    }

    pub(crate) async fn receive(&mut self, request: v2::ReceiveMessageRequest) -> Receipt {
        let request = self.request(request);
        let mut stream = soon("receive", self.client.receive_message(request))
            .await
            .unwrap()
            .into_inner();
        let mut contents = Vec::new();
        while let Some(answer) = soon("message", stream.message()).await.unwrap() {
            contents.push(answer.content.expect("an answer has content"));
        }
        Receipt::of(contents)
    }

    /// Receives messages that must be there.
    pub(crate) async fn take(&mut self, topic: &str, group: &str, count: i32) -> Vec<v2::Message> {
        let receipt = self.receive(receive(topic, group, count)).await;
        assert_eq!(receipt.code, Code::Ok, "{}", receipt.text);
        receipt.messages
    }

    pub(crate) async fn ack(
        &mut self,
        topic: &str,
        group: &str,
        handles: &[&str],
    ) -> v2::AckMessageResponse {
        let entries = handles.iter().map(|handle| v2::AckMessageEntry {
            message_id: format!("id of {handle}"),
            receipt_handle: (*handle).to_owned(),
            lite_topic: None,
        });
        let request = self.request(v2::AckMessageRequest {
            group: resource(group),
            topic: resource(topic),
            entries: entries.collect(),
        });
        let answer = soon("ack", self.client.ack_message(request)).await;
        answer.unwrap().into_inner()
    }

    pub(crate) async fn change_invisible_duration(
        &mut self,
        topic: &str,
        group: &str,
        handle: &str,
        seconds: i64,
    ) -> v2::ChangeInvisibleDurationResponse {
        let request = self.request(v2::ChangeInvisibleDurationRequest {
            group: resource(group),
            topic: resource(topic),
            receipt_handle: handle.to_owned(),
            invisible_duration: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..Default::default()
        });
        let answer = self.client.change_invisible_duration(request);
        soon("change", answer).await.unwrap().into_inner()
    }

    pub(crate) async fn route(&mut self, topic: &str) -> v2::QueryRouteResponse {
        let request = self.request(v2::QueryRouteRequest {
            topic: resource(topic),
            endpoints: None,
        });
        let answer = soon("route", self.client.query_route(request)).await;
        answer.unwrap().into_inner()
    }
}

/// A receive's stream, read to its end and checked for its order.
pub(crate) struct Receipt {
    pub(crate) code: Code,
    pub(crate) text: String,
    pub(crate) messages: Vec<v2::Message>,
}

impl Receipt {
    fn of(contents: Vec<Content>) -> Self {
        let mut contents = contents.into_iter();
        let Some(Content::Status(status)) = contents.next() else {
            panic!("a receive begins with a status");
        };
        let Some(Content::DeliveryTimestamp(_)) = contents.next_back() else {
            panic!("a receive ends with a time");
        };
        let messages = contents.map(|content| match content {
            Content::Message(message) => message,
            other => panic!("expected a message, got {other:?}"),
        });
        Self {
            code: status.code(),
            text: status.message.clone(),
            messages: messages.collect(),
        }
    }
}

pub(crate) fn resource(name: &str) -> Option<v2::Resource> {
    Some(v2::Resource {
        resource_namespace: String::new(),
        name: name.to_owned(),
    })
}

pub(crate) fn message(topic: &str, body: &str) -> v2::Message {
    v2::Message {
        topic: resource(topic),
        user_properties: Default::default(),
        system_properties: Some(v2::SystemProperties {
            message_id: format!("id-{body}"),
            message_type: v2::MessageType::Normal.into(),
            body_encoding: v2::Encoding::Identity.into(),
            ..Default::default()
        }),
        body: body.to_owned().into(),
    }
}

/// A receive as a simple consumer makes it, without waiting.
pub(crate) fn receive(topic: &str, group: &str, batch_size: i32) -> v2::ReceiveMessageRequest {
    v2::ReceiveMessageRequest {
        group: resource(group),
        message_queue: Some(v2::MessageQueue {
            topic: resource(topic),
            ..Default::default()
        }),
        filter_expression: None,
        batch_size,
        invisible_duration: Some(prost_types::Duration {
            seconds: 30,
            nanos: 0,
        }),
        auto_renew: false,
        long_polling_timeout: Some(prost_types::Duration::default()),
        attempt_id: None,
    }
}

pub(crate) fn code(status: &Option<v2::Status>) -> Code {
    status.as_ref().expect("an answer has a status").code()
}

pub(crate) fn text(status: &Option<v2::Status>) -> &str {
    &status.as_ref().expect("an answer has a status").message
}

pub(crate) fn system(message: &v2::Message) -> &v2::SystemProperties {
    message
        .system_properties
        .as_ref()
        .expect("a message has system properties")
}

pub(crate) fn handle(message: &v2::Message) -> &str {
    system(message)
        .receipt_handle
        .as_deref()
        .expect("a received message has a handle")
}

pub(crate) fn bodies(messages: &[v2::Message]) -> Vec<String> {
    let mut bodies: Vec<String> = messages
        .iter()
        .map(|message| String::from_utf8(message.body.to_vec()).unwrap())
        .collect();
    bodies.sort();
    bodies
}
