//! Who is connected: producers and consumers of an instance, as their heartbeats tell.
//!
//! In memory only. A client that falls silent for [`base::limits::CLIENT_EXPIRY_MS`] is dropped by
//! the next look at its group; a front end removes those whose connection ends.

mod members;

use std::net::SocketAddr;

use base::{
    ErrorKind, GroupName, LiteTopicName, PhysicalOffset, QueueId, QueueOffset, Timestamp, TopicName,
};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use wire::message::StoredMessage;

pub(crate) use members::Clients;

use crate::{Filter, Message};

/// How the members of a group share its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageModel {
    /// Each message goes to one member.
    Clustering,
    /// Each message goes to every member; offsets live at the members.
    Broadcasting,
}

/// How a consumer gets its messages, as it says of itself. Only shown, never acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConsumeMode {
    /// The SDK calls a listener.
    Push,
    /// The application asks.
    Pull,
}

/// Where a new group starts, as it says of itself. Only shown, never acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConsumeFrom {
    /// At the end of the queue.
    LastOffset,
    /// At its start.
    FirstOffset,
    /// At a time.
    Timestamp,
}

/// One topic that a consumer subscribes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topic.
    pub topic: TopicName,
    /// The filter.
    pub filter: Filter,
    /// Version of the subscription: the client's time when it subscribed, in milliseconds.
    pub version: i64,
}

/// A group in which a client consumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSubscription {
    /// The group.
    pub group: GroupName,
    /// Sharing.
    pub model: MessageModel,
    /// Push or pull.
    pub mode: ConsumeMode,
    /// Where a new group starts.
    pub from: ConsumeFrom,
    /// Its topics.
    pub subscriptions: Vec<Subscription>,
}

/// Who a client is and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The id it gave itself, unique in its groups.
    pub id: String,
    /// Number of its connection, unique in this process: a client that reconnects has a new one.
    pub connection: u64,
    /// Where it connects from.
    pub address: SocketAddr,
    /// Its language, as it says.
    pub language: String,
    /// Its version, as it says.
    pub version: String,
}

/// What the broker tells a client without being asked.
#[derive(Debug)]
pub enum ClientCommand {
    /// Members of the group came or went: share the queues anew.
    ConsumersChanged {
        /// The group.
        group: GroupName,
    },
    /// How did the transaction of this half message end?
    CheckTransaction {
        /// The producer group.
        group: GroupName,
        /// What ends the transaction.
        half: PhysicalOffset,
        /// The half message.
        message: StoredMessage,
        /// How often it is asked of, with this time.
        times: u32,
    },
    /// Somebody has set the offsets of the group: forget what was fetched and go on from these.
    OffsetsReset {
        /// The consumer group.
        group: GroupName,
        /// The topic.
        topic: TopicName,
        /// Its queues, each with the next offset wanted.
        offsets: Vec<(QueueId, QueueOffset)>,
    },
    /// Somebody has changed what the group is: retries, order.
    GroupChanged {
        /// The consumer group.
        group: GroupName,
    },
    /// The client no longer has a LiteTopic that it subscribed to: another member has.
    UnsubscribeLite {
        /// The group.
        group: GroupName,
        /// The LiteTopic.
        lite_topic: LiteTopicName,
    },
    /// A question, to be answered through `answer`. A client that does not answer is not waited for
    /// longer than whoever asks has patience.
    Ask {
        /// What is asked.
        question: ClientQuestion,
        /// Where the answer goes; closed once nobody waits for it any more.
        answer: oneshot::Sender<ClientAnswer>,
    },
}

/// What a client can be asked.
#[derive(Clone, Debug)]
pub enum ClientQuestion {
    /// How its consumption in a group goes.
    RunningInfo {
        /// The group.
        group: GroupName,
        /// Whether to tell what its threads do.
        with_stacks: bool,
    },
    /// How far it has come in a topic, by its own word.
    ConsumerStatus {
        /// The group.
        group: GroupName,
        /// The topic.
        topic: TopicName,
    },
    /// To consume a message now, whatever its offset, and say how it went.
    ConsumeDirectly {
        /// The group.
        group: GroupName,
        /// The topic by which its consumer knows the message.
        topic: TopicName,
        /// The message.
        message: StoredMessage,
    },
    /// To take the reply to a request that it has sent.
    TakeReply {
        /// The reply, which is stored nowhere.
        reply: Message,
        /// The group that its producer is in, as it says itself.
        group: String,
        /// The topic that the reply was sent to.
        topic: TopicName,
        /// When the reply came.
        arrived: Timestamp,
        /// The address that clients know this server by.
        store_host: SocketAddr,
    },
}

impl ClientQuestion {
    /// The group as a member of which the client is asked, if that matters.
    pub(crate) fn group(&self) -> Option<&GroupName> {
        match self {
            Self::RunningInfo { group, .. }
            | Self::ConsumerStatus { group, .. }
            | Self::ConsumeDirectly { group, .. } => Some(group),
            Self::TakeReply { .. } => None,
        }
    }
}

/// What a client answers: text in its own form (RocketMQ's JSON), which only the tools that asked
/// read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAnswer {
    /// It did as asked.
    Done(Bytes),
    /// It refused or failed, with its reason.
    Refused(String),
}

/// Why a client gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No such client is connected.
    #[error("client `{client}` is not connected")]
    NotConnected {
        /// The client.
        client: String,
    },
    /// Its connection takes no commands: full, or just gone.
    #[error("client `{client}` takes no commands")]
    Unreachable {
        /// The client.
        client: String,
    },
    /// It said nothing.
    #[error("client `{client}` gave no answer within {waited_ms} ms")]
    Silent {
        /// The client.
        client: String,
        /// How long it was waited for.
        waited_ms: u64,
    },
}

impl AskError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotConnected { .. } => ErrorKind::NotFound,
            Self::Unreachable { .. } | Self::Silent { .. } => ErrorKind::Retry,
        }
    }
}

/// What a client says at each heartbeat: of the groups it names, all there is to say. It stays in
/// the groups it named before, until it leaves them or has not named them for
/// [`base::limits::CLIENT_EXPIRY_MS`].
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Who.
    pub client: ClientIdentity,
    /// Where commands for it go; a full or closed channel loses them, which its own timers make
    /// good. Boxed: a channel has room for some of what it carries from the start, and there is one
    /// for each connection.
    pub commands: mpsc::Sender<Box<ClientCommand>>,
    /// Groups in which it sends.
    pub producer_groups: Vec<GroupName>,
    /// Groups in which it consumes.
    pub consumers: Vec<ConsumerSubscription>,
}

/// A client as the instance knows it.
#[derive(Clone, Debug)]
pub struct RegisteredClient {
    /// Who.
    pub client: ClientIdentity,
    /// When it was last heard of.
    pub last_seen: Timestamp,
    /// What it does in the group it was listed for; `None` for a producer.
    pub consumer: Option<ConsumerSubscription>,
}

/// Why a heartbeat was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeartbeatError {
    /// The instance knows as many clients as it may.
    #[error("instance has {count} clients, limit {limit}")]
    TooMany {
        /// Clients there are.
        count: usize,
        /// Clients there may be.
        limit: usize,
    },
    /// Its clients are in as many groups as they may.
    #[error("clients of the instance are {count} members of groups, limit {limit}")]
    TooManyMembers {
        /// Members of all groups, counted.
        count: usize,
        /// Members there may be.
        limit: usize,
    },
}

impl HeartbeatError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooMany { .. } | Self::TooManyMembers { .. } => ErrorKind::Limit,
        }
    }
}
