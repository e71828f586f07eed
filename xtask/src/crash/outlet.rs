//! Sending and settling over either protocol, in the few forms that the crash tests need.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use client::{
    ClientError, GrpcClient, GrpcOptions, RemotingClient, RemotingOptions,
    grpc::resource,
    remoting::{NewTopic, OutgoingMessage, batch_body},
};
use wire::grpc_v2::{Encoding, Message, MessageType, SendMessageRequest, SystemProperties};
use wire::message::properties;

use super::ledger::Place;

/// Group of every producer here.
const PRODUCERS: &str = "crash-producers";

/// A connection that sends.
#[derive(Clone)]
pub(super) enum Outlet {
    Remoting(RemotingClient),
    Grpc(Box<GrpcClient>),
}

/// The two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Remoting,
    Grpc,
}

impl Protocol {
    pub(super) const ALL: [Self; 2] = [Self::Remoting, Self::Grpc];
}

impl Outlet {
    /// Connects over `protocol`.
    pub(super) async fn connect(protocol: Protocol, address: &str) -> Result<Self, ClientError> {
        Ok(match protocol {
            Protocol::Remoting => Self::Remoting(remoting(address).await?),
            Protocol::Grpc => Self::Grpc(Box::new(grpc(address).await?)),
        })
    }

    /// Sends one message; where it is now, as far as the protocol tells.
    pub(super) async fn send(
        &self,
        topic: &str,
        key: &str,
        body: Bytes,
    ) -> Result<Option<Place>, ClientError> {
        match self {
            Self::Remoting(client) => {
                let sent = client
                    .send(outgoing(topic, &key_property(key), body))
                    .await?;
                Ok(Some((sent.queue, sent.queue_offset)))
            }
            Self::Grpc(client) => {
                let system_properties = SystemProperties {
                    keys: vec![key.to_owned()],
                    message_id: key.to_owned(),
                    body_encoding: Encoding::Identity.into(),
                    message_type: MessageType::Normal.into(),
                    ..SystemProperties::default()
                };
                let message = Message {
                    topic: Some(resource(topic)),
                    system_properties: Some(system_properties),
                    body,
                    ..Message::default()
                };
                client
                    .send(SendMessageRequest {
                        messages: vec![message],
                    })
                    .await?;
                Ok(None)
            }
        }
    }

    /// Sends several messages at once where the protocol can; they get neighbouring places.
    pub(super) async fn send_batch(
        &self,
        topic: &str,
        messages: &[(String, Bytes)],
    ) -> Result<Vec<Option<Place>>, ClientError> {
        let Self::Remoting(client) = self else {
            let mut places = Vec::new();
            for (key, body) in messages {
                places.push(self.send(topic, key, body.clone()).await?);
            }
            return Ok(places);
        };
        let encoded: Vec<(String, &Bytes)> = messages
            .iter()
            .map(|(key, body)| (key_property(key), body))
            .collect();
        let parts = encoded
            .iter()
            .map(|(key, body)| (key.as_str(), body.as_ref()));
        let body = batch_body(parts).expect("small messages fit a batch");
        let sent = client.send_batch(outgoing(topic, "", body)).await?;
        let offsets = sent.queue_offset..;
        Ok(messages
            .iter()
            .zip(offsets)
            .map(|(_, offset)| Some((sent.queue, offset)))
            .collect())
    }
}

/// Connects over Remoting.
pub(super) async fn remoting(address: &str) -> Result<RemotingClient, ClientError> {
    let options = RemotingOptions {
        // The test may share two cores with much else.
        connect_timeout: Duration::from_secs(10),
        request_timeout: Duration::from_secs(20),
        ..RemotingOptions::default()
    };
    RemotingClient::connect(address, options).await
}

/// Connects over gRPC without encryption.
pub(super) async fn grpc(address: &str) -> Result<GrpcClient, ClientError> {
    let options = GrpcOptions {
        client_id: "crash-client".to_owned(),
        connect_timeout: Duration::from_secs(10),
        request_timeout: Duration::from_secs(20),
        ..GrpcOptions::default()
    };
    GrpcClient::connect(address, options).await
}

/// Creates the topic of a test.
pub(super) async fn create_topic(address: &str, topic: &str, queues: u32) -> Result<()> {
    let new = NewTopic {
        name: topic,
        queues,
        message_type: Some("NORMAL"),
        lite_topic_expiration_minutes: None,
    };
    let client = remoting(address).await?;
    client.create_topic(new).await.context("create the topic")
}

fn key_property(key: &str) -> String {
    properties::encode([(properties::KEYS, key)]).expect("our keys hold no separator")
}

fn outgoing<'a>(topic: &'a str, properties: &'a str, body: Bytes) -> OutgoingMessage<'a> {
    OutgoingMessage {
        producer_group: PRODUCERS,
        topic,
        queue: None,
        automatic_queues: 4,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 0,
        properties,
        body,
    }
}
