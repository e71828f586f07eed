//! What a handler gives back: an answer, or a refusal with its code.

use std::error::Error;

use base::stdx::with_causes;
use bytes::Bytes;
use wire::{
    message::{Rewrite, StoredMessage},
    remoting::{Command, Header, ResponseCode, body::Body},
};

/// An answer. Its body is the command's, then `messages` in order.
pub(super) struct Reply {
    pub(super) command: Command,
    pub(super) messages: Vec<Bytes>,
}

impl Reply {
    /// Success, with nothing to say.
    pub(super) fn success(request: &Command) -> Self {
        request.response(ResponseCode::Success).into()
    }

    /// Success with a typed header.
    pub(super) fn header<'a>(request: &Command, header: &impl Header<'a>) -> Self {
        request
            .response(ResponseCode::Success)
            .with_header(header)
            .into()
    }

    /// Success with a JSON body.
    pub(super) fn body(request: &Command, body: &impl Body) -> Self {
        request
            .response(ResponseCode::Success)
            .with_body(body.encode())
            .into()
    }

    pub(super) fn body_len(&self) -> usize {
        self.command.body.len() + self.messages.iter().map(Bytes::len).sum::<usize>()
    }
}

impl From<Command> for Reply {
    fn from(command: Command) -> Self {
        Self {
            command,
            messages: Vec::new(),
        }
    }
}

/// Why a request failed, as its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: ResponseCode,
    pub(super) remark: String,
}

impl Refusal {
    pub(super) fn new(code: ResponseCode, remark: impl Into<String>) -> Self {
        Self {
            code,
            remark: remark.into(),
        }
    }

    /// With the texts of the error and of what caused it.
    pub(super) fn of(code: ResponseCode, error: &dyn Error) -> Self {
        Self::new(code, with_causes(error))
    }

    pub(super) fn reply(self, request: &Command) -> Reply {
        request.response(self.code).with_remark(self.remark).into()
    }
}

/// How a request ended.
pub(super) type Answer = Result<Reply, Refusal>;

/// Appends a stored message as a client shall see it: as it is if its topic is what the client
/// calls it, else with that name in its head. The body is never copied.
pub(super) fn push_message(
    messages: &mut Vec<Bytes>,
    message: &StoredMessage,
    shown: &Shown<'_>,
) -> Result<(), Refusal> {
    push_delivery(messages, message, 1, shown)
}

/// As [`push_message`], for a delivery of which there have been some before.
pub(super) fn push_delivery(
    messages: &mut Vec<Bytes>,
    message: &StoredMessage,
    attempt: u32,
    shown: &Shown<'_>,
) -> Result<(), Refusal> {
    if shown.topic.is_none() && attempt <= 1 {
        messages.push(message.bytes().clone());
        return Ok(());
    }
    let failed = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let reconsume_times = message.reconsume_times().saturating_add(failed);
    let retried = message
        .property(wire::message::properties::RETRY_TOPIC)
        .filter(|_| shown.topic.is_some())
        .map(|plain| crate::instance::prefixed(shown.instance, plain));
    let set: &[(&str, &str)] = match &retried {
        Some(topic) => &[(wire::message::properties::RETRY_TOPIC, topic.as_str())],
        None => &[],
    };
    let rewrite = Rewrite {
        topic: shown.topic,
        reconsume_times: Some(reconsume_times),
        set_properties: set,
        ..Rewrite::default()
    };
    let parts = rewrite
        .apply(message)
        .map_err(|error| Refusal::of(ResponseCode::SystemError, &error))?
        .into_parts();
    messages.extend(parts);
    Ok(())
}

/// How a client calls the topic of the messages that it gets.
pub(super) struct Shown<'a> {
    /// The instance, for the prefix of other names in a message.
    pub(super) instance: &'a base::InstanceId,
    /// Its name for the topic; `None` if that is the stored one.
    pub(super) topic: Option<&'a str>,
}
