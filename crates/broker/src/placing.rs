//! What messages bring along on their way into the log, and why they may not get there.

use std::net::SocketAddr;

use base::{LogPosition, TopicName};
use store::{kv::KvError, log::AppendError};
use wire::message::MessageError;

use crate::{
    LiteTopicQuota, Message, QueueChoice, QueueNotFound, SendError, Topic, TopicNotFound,
    lite_topic::LiteTopicError, records::HeldHead,
};

/// Messages on their way into the log.
pub(crate) struct Placing<'a> {
    pub(crate) topic: &'a Topic,
    pub(crate) queue: QueueChoice,
    pub(crate) messages: &'a [Message],
    /// For each message; those beyond the end are [`How::Visible`].
    pub(crate) how: &'a [How],
    pub(crate) store_host: SocketAddr,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum How {
    /// It goes to the end of its queue.
    #[default]
    Visible,
    /// It waits outside of it.
    Held(HeldHead),
    /// It goes to the end of its queue in place of the held message of that id.
    Releases(LogPosition),
}

/// Why messages were not placed.
#[derive(Debug)]
pub(crate) enum AppendMessagesError {
    Deleted(TopicNotFound),
    Queue(QueueNotFound),
    NoLiteTopic,
    LiteTopicQuota(LiteTopicQuota),
    Message(MessageError),
    Log(AppendError),
    State(KvError),
}

impl From<MessageError> for AppendMessagesError {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
    }
}

impl From<QueueNotFound> for AppendMessagesError {
    fn from(error: QueueNotFound) -> Self {
        Self::Queue(error)
    }
}

impl From<LiteTopicError> for AppendMessagesError {
    fn from(error: LiteTopicError) -> Self {
        match error {
            LiteTopicError::Quota(error) => Self::LiteTopicQuota(error),
            LiteTopicError::State(error) => Self::State(error),
        }
    }
}

impl From<AppendError> for AppendMessagesError {
    fn from(error: AppendError) -> Self {
        Self::Log(error)
    }
}

impl From<KvError> for AppendMessagesError {
    fn from(error: KvError) -> Self {
        Self::State(error)
    }
}

impl SendError {
    pub(crate) fn not_placed(topic: &TopicName, error: AppendMessagesError) -> Self {
        let topic = topic.clone();
        match error {
            AppendMessagesError::Deleted(error) => Self::TopicNotFound(error),
            AppendMessagesError::Queue(error) => Self::QueueNotFound(error),
            AppendMessagesError::NoLiteTopic => Self::LiteTopics { topic },
            AppendMessagesError::LiteTopicQuota(error) => Self::LiteTopicQuota(error),
            AppendMessagesError::Message(source) => Self::Message { topic, source },
            AppendMessagesError::Log(source) => Self::Log { topic, source },
            AppendMessagesError::State(source) => Self::State { topic, source },
        }
    }
}
