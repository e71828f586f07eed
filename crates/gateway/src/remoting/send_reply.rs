//! Send reply (codes 324, 325): a consumer answers a request, and the answer goes straight to the
//! client that asked.

use std::time::Duration;

use base::{Timestamp, limits};
use broker::{ClientAnswer, ClientQuestion, Message};
use wire::{
    message::properties,
    remoting::{
        Command, RequestCode, ResponseCode,
        header::{SendMessageRequest, SendMessageRequestV2, SendMessageResponse},
    },
};

use super::{
    connection::Connection,
    reply::{Answer, Refusal, Reply},
};

/// How long the client that asked may take to take its reply: Apache's `callClient`.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn handle(connection: &Connection, request: &Command) -> Answer {
    let header: SendMessageRequest<'_> =
        if request.request_code() == Some(RequestCode::SendReplyMessage) {
            request.header()?
        } else {
            request.header::<SendMessageRequestV2<'_>>()?.into()
        };
    let named = connection.topic_of(header.topic, header.producer_group)?;
    let raw = header.properties.unwrap_or_default();
    let Some(client) = properties::get(raw, properties::REPLY_TO_CLIENT) else {
        return Err(Refusal::new(
            ResponseCode::SystemError,
            format!(
                "reply has no property `{}`, so nobody is known to wait for it",
                properties::REPLY_TO_CLIENT
            ),
        ));
    };
    if request.body.len() > limits::MESSAGE_BODY_BYTES_MAX {
        return Err(Refusal::new(
            ResponseCode::MessageIllegal,
            format!(
                "body of reply has {} bytes, limit {}",
                request.body.len(),
                limits::MESSAGE_BODY_BYTES_MAX
            ),
        ));
    }
    let now = connection.front.clock.now();
    let mut stamped = raw.to_owned();
    // A number is never empty and holds no separator.
    let _ = properties::set(
        &mut stamped,
        properties::PUSH_REPLY_TIME,
        &now.ms().to_string(),
    );
    let question = ClientQuestion::TakeReply {
        reply: Message {
            flag: header.flag,
            sys_flag: header.sys_flag,
            born_timestamp: Timestamp::from_ms(header.born_timestamp),
            born_host: connection.info.peer,
            reconsume_times: header.reconsume_times.unwrap_or(0),
            body: request.body.clone(),
            properties: stamped.into(),
        },
        group: header.producer_group.to_owned(),
        topic: named.topic,
        arrived: now,
        store_host: connection.store_host(),
    };
    match named.instance.ask(client, question, PATIENCE).await? {
        ClientAnswer::Done(_) => Ok(Reply::header(
            request,
            &SendMessageResponse {
                // Replies are stored nowhere; clients want a number here.
                message_id: "0",
                queue_id: header.queue_id.max(0),
                queue_offset: 0,
                transaction_id: None,
                batch_unique_id: None,
                recall_handle: None,
                region: None,
                trace_on: None,
            },
        )),
        ClientAnswer::Refused(reason) => Err(Refusal::new(
            ResponseCode::SystemError,
            format!("client `{client}` did not take its reply: {reason}"),
        )),
    }
}
