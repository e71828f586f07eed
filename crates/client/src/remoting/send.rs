//! Send: one message, or a batch.

use bytes::Bytes;
use wire::{
    message::{MessageError, batch},
    remoting::{
        Command, RequestCode,
        header::{SendMessageRequestV2, SendMessageResponse},
    },
};

use super::RemotingClient;
use crate::ClientError;

/// Topic that clients name as the template of topics created on first use.
const TEMPLATE_TOPIC: &str = "TBW102";

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct OutgoingMessage<'a> {
    /// Group of the producer.
    pub producer_group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The queue; `None` lets the server choose.
    pub queue: Option<u32>,
    /// Queues of the topic, should this send create it.
    pub automatic_queues: u32,
    /// The application's flag.
    pub flag: i32,
    /// Bits of [`wire::message::sys_flag`].
    pub sys_flag: i32,
    /// When the message was made, ms since 1970.
    pub born_timestamp: i64,
    /// Properties as [`wire::message::properties`] writes them.
    pub properties: &'a str,
    /// The content; of a batch, see [`batch_body`].
    pub body: Bytes,
}

/// Where a message went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    /// Server-side id; of a batch, one per message, separated by commas.
    pub message_id: String,
    /// The queue.
    pub queue: u32,
    /// Its number there; of a batch, that of the first message.
    pub queue_offset: i64,
}

impl RemotingClient {
    /// Stores one message (`SendMessageV2`, 310).
    ///
    /// # Errors
    /// When the server refuses, or nobody knows whether it took the message.
    pub async fn send(&self, message: OutgoingMessage<'_>) -> Result<SentMessage, ClientError> {
        self.send_as(RequestCode::SendMessageV2, message).await
    }

    /// Stores the messages of a batch in one queue, all or none (`SendBatchMessage`, 320).
    ///
    /// # Errors
    /// When the server refuses, or nobody knows whether it took the messages.
    pub async fn send_batch(
        &self,
        message: OutgoingMessage<'_>,
    ) -> Result<SentMessage, ClientError> {
        self.send_as(RequestCode::SendBatchMessage, message).await
    }

    async fn send_as(
        &self,
        code: RequestCode,
        message: OutgoingMessage<'_>,
    ) -> Result<SentMessage, ClientError> {
        let header = SendMessageRequestV2 {
            producer_group: message.producer_group,
            topic: message.topic,
            default_topic: TEMPLATE_TOPIC,
            default_topic_queue_count: message.automatic_queues.cast_signed(),
            queue_id: message.queue.map_or(-1, u32::cast_signed),
            sys_flag: message.sys_flag,
            born_timestamp: message.born_timestamp,
            flag: message.flag,
            properties: Some(message.properties),
            reconsume_times: Some(0),
            unit_mode: Some(false),
            max_reconsume_times: None,
            batch: Some(code == RequestCode::SendBatchMessage),
            broker_name: None,
        };
        let answer = self
            .call(Command::request(code, &header).with_body(message.body))
            .await?;
        let header: SendMessageResponse<'_> = answer
            .header()
            .map_err(|error| self.unexpected(code.name(), error))?;
        Ok(SentMessage {
            message_id: header.message_id.to_owned(),
            queue: header.queue_id.cast_unsigned(),
            queue_offset: header.queue_offset,
        })
    }
}

/// The body of a batch of messages, given by their properties and bodies.
///
/// # Errors
/// When a message is too large for the form of a batch.
pub fn batch_body<'a>(
    messages: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Bytes, MessageError> {
    let mut out = Vec::new();
    for (properties, body) in messages {
        batch::encode(0, body, properties, &mut out)?;
    }
    Ok(out.into())
}
