//! The gRPC v1 front end over real sockets, as an ONS TCP 2.x SDK speaks to it.

mod bad_input;
mod commands;
mod consume;
mod message_trace;
mod produce;
mod pull;
mod transactions;

use tonic::{
    Request,
    metadata::{AsciiMetadataValue, MetadataMap},
};
use wire::grpc_v1::{
    self as v1, ack_message_request::Handle, heartbeat_request::ClientData,
    messaging_service_client::MessagingServiceClient,
};

use crate::{
    grpc_v2::{Channel, Sdk as SdkV2},
    support::{Server, soon},
};

/// What the SDK says in each group: "no more than this".
pub(crate) const ATTEMPTS: i32 = 17;

/// An SDK: a connection that goes when this does.
pub(crate) struct Sdk {
    pub(crate) client: MessagingServiceClient<Channel>,
    pub(crate) channel: Channel,
    pub(crate) id: &'static str,
}

impl Sdk {
    pub(crate) async fn connect(server: &Server, id: &'static str) -> Self {
        let channel = SdkV2::connect(server, id).await.channel;
        Self {
            client: MessagingServiceClient::new(channel.clone()),
            channel,
            id,
        }
    }

    /// A request with the headers of the SDK. Its id is in the messages.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let headers: &mut MetadataMap = request.metadata_mut();
        headers.insert("x-mq-language", AsciiMetadataValue::from_static("JAVA"));
        let version = AsciiMetadataValue::from_static("2.0.5");
        headers.insert("x-mq-client-version", version);
        request
    }

    pub(crate) async fn route(&mut self, topic: &str) -> v1::QueryRouteResponse {
        let request = self.request(v1::QueryRouteRequest {
            topic: resource(topic),
            endpoints: None,
        });
        let answer = soon("route", self.client.query_route(request)).await;
        answer.unwrap().into_inner()
    }

    pub(crate) async fn send(&mut self, message: v1::Message) -> v1::SendMessageResponse {
        let request = self.request(v1::SendMessageRequest {
            message: Some(message),
            partition: None,
        });
        let answer = soon("send", self.client.send_message(request)).await;
        answer.unwrap().into_inner()
    }

    /// Sends a message that must arrive.
    pub(crate) async fn send_one(&mut self, message: v1::Message) -> v1::SendMessageResponse {
        let answer = self.send(message).await;
        assert_eq!(code(&answer.common), tonic::Code::Ok, "{answer:?}");
        answer
    }

    pub(crate) async fn receive(
        &mut self,
        request: v1::ReceiveMessageRequest,
    ) -> v1::ReceiveMessageResponse {
        let mut request = self.request(request);
        // A long poll of no length: zero would be the server's own.
        request.set_timeout(std::time::Duration::from_secs(15));
        let answer = soon("receive", self.client.receive_message(request)).await;
        answer.unwrap().into_inner()
    }

    /// What is there now in all partitions of a topic.
    pub(crate) async fn take(&mut self, topic: &str, group: &str) -> Vec<v1::Message> {
        let mut taken = Vec::new();
        for partition in 0..8 {
            let answer = self.receive(receive(topic, group, partition)).await;
            assert_eq!(code(&answer.common), tonic::Code::Ok, "{answer:?}");
            taken.extend(answer.messages);
        }
        taken
    }

    pub(crate) async fn ack(&mut self, topic: &str, group: &str, handle: &str) -> tonic::Code {
        let request = self.request(v1::AckMessageRequest {
            group: resource(group),
            topic: resource(topic),
            client_id: self.id.to_owned(),
            handle: Some(Handle::ReceiptHandle(handle.to_owned())),
            message_id: String::new(),
        });
        let answer = soon("ack", self.client.ack_message(request)).await;
        code(&answer.unwrap().into_inner().common)
    }

    pub(crate) async fn nack(
        &mut self,
        topic: &str,
        group: &str,
        handle: &str,
        max_delivery_attempts: i32,
    ) -> tonic::Code {
        let request = self.request(v1::NackMessageRequest {
            group: resource(group),
            topic: resource(topic),
            client_id: self.id.to_owned(),
            receipt_handle: handle.to_owned(),
            message_id: String::new(),
            delivery_attempt: 1,
            max_delivery_attempts,
        });
        let answer = soon("nack", self.client.nack_message(request)).await;
        code(&answer.unwrap().into_inner().common)
    }

    pub(crate) async fn heartbeat(&mut self, data: ClientData) -> tonic::Code {
        let request = self.request(v1::HeartbeatRequest {
            client_id: self.id.to_owned(),
            client_data: Some(data),
            fifo_flag: false,
        });
        let answer = soon("heartbeat", self.client.heartbeat(request)).await;
        code(&answer.unwrap().into_inner().common)
    }

    /// The next command.
    pub(crate) async fn poll(
        &mut self,
        group: v1::poll_command_request::Group,
    ) -> Result<v1::poll_command_response::Type, tonic::Status> {
        let request = self.request(v1::PollCommandRequest {
            client_id: self.id.to_owned(),
            topics: Vec::new(),
            group: Some(group),
        });
        let answer = soon("poll", self.client.poll_command(request)).await?;
        Ok(answer.into_inner().r#type.expect("there is a command"))
    }
}

pub(crate) fn resource(name: &str) -> Option<v1::Resource> {
    Some(v1::Resource {
        resource_namespace: String::new(),
        name: name.to_owned(),
    })
}

pub(crate) fn consumer(group: &str, topic: &str) -> ClientData {
    ClientData::ConsumerData(v1::ConsumerData {
        group: resource(group),
        subscriptions: vec![v1::SubscriptionEntry {
            topic: resource(topic),
            expression: None,
        }],
        consume_type: v1::ConsumeMessageType::Passive.into(),
        ..Default::default()
    })
}

pub(crate) fn producer(group: &str) -> ClientData {
    let group = resource(group);
    ClientData::ProducerData(v1::ProducerData { group })
}

pub(crate) fn message(topic: &str, body: &str) -> v1::Message {
    v1::Message {
        topic: resource(topic),
        user_attribute: Default::default(),
        system_attribute: Some(v1::SystemAttribute {
            message_id: format!("id-{body}"),
            producer_group: resource("senders"),
            ..Default::default()
        }),
        body: body.to_owned().into(),
    }
}

/// A receive that does not wait.
pub(crate) fn receive(topic: &str, group: &str, id: i32) -> v1::ReceiveMessageRequest {
    v1::ReceiveMessageRequest {
        group: resource(group),
        client_id: "c".to_owned(),
        partition: Some(v1::Partition {
            topic: resource(topic),
            id,
            ..Default::default()
        }),
        batch_size: 32,
        invisible_duration: seconds(30),
        await_time: Some(prost_types::Duration {
            seconds: 0,
            nanos: 1,
        }),
        ..Default::default()
    }
}

pub(crate) fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn status(common: &Option<v1::ResponseCommon>) -> &v1::Status {
    let common = common.as_ref().expect("an answer has a common part");
    common.status.as_ref().expect("an answer has a status")
}

pub(crate) fn code(common: &Option<v1::ResponseCommon>) -> tonic::Code {
    tonic::Code::from_i32(status(common).code)
}

pub(crate) fn text(common: &Option<v1::ResponseCommon>) -> &str {
    &status(common).message
}

pub(crate) fn system(message: &v1::Message) -> &v1::SystemAttribute {
    let system = message.system_attribute.as_ref();
    system.expect("a message has system attributes")
}

pub(crate) fn handle(message: &v1::Message) -> &str {
    &system(message).receipt_handle
}

pub(crate) fn bodies(messages: &[v1::Message]) -> Vec<String> {
    let bodies = messages.iter();
    let mut bodies: Vec<String> = bodies
        .map(|message| String::from_utf8(message.body.to_vec()).unwrap())
        .collect();
    bodies.sort();
    bodies
}
