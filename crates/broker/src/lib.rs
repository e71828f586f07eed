//! The product's semantics, written once: what send, pull, receive, ack and the other verbs mean.
//!
//! Front ends translate a protocol into these verbs and back; they hold no semantics. The broker in
//! turn knows no protocol, no socket, no file and no bucket: it appends records to a
//! [`store::log::Log`], derives state from what became durable, and reads time and chance from
//! [`base::Clock`] and [`base::Random`]. It starts no task and no thread: whoever runs it drives
//! [`Shard::checkpoint`] and [`Shard::retain`] (a thread in the server, the scheduler in the
//! simulator).
//!
//! One file per verb, the same name in every layer. The path of a message: [`Shard::send`] in
//! `send.rs` appends, `apply.rs` sees the record once it is durable and indexes it, `pull.rs` and
//! `receive.rs` hand it out, `ack.rs` settles it.

pub mod access;
mod ack;
mod agenda;
mod apply;
mod available;
mod backlog;
mod browse;
mod change_invisible_duration;
mod checkpoint;
mod claim;
mod claims;
mod clients;
mod consumption;
mod create;
mod dead_letters;
mod describe;
mod due_time;
mod end_transaction;
mod entitled;
mod errors;
mod exhausted;
mod expire;
mod filter;
mod find;
mod forward_to_dead_letter;
mod group;
pub mod group_lag;
mod held;
mod index;
pub mod inspection;
mod instance;
mod instances;
mod key_index;
mod keys;
mod known;
mod kv_config;
mod lite_accumulation;
mod lite_lag;
mod lite_subscriptions;
mod lite_topic;
mod lock;
mod message;
mod message_group;
mod metadata;
mod metrics;
mod new_receipts;
mod nodes;
mod offset;
mod placing;
pub mod plan;
mod progress;
mod pull;
mod pulled;
mod query;
mod quota;
mod rates;
mod recall;
mod receipt;
mod receive;
mod receive_half;
mod receive_lite;
mod records;
mod release;
mod request_mode;
mod reset_offset;
mod retention;
mod router;
mod send;
mod send_back;
mod series;
mod shard;
mod state;
pub mod subscriptions;
mod sync_lite_subscription;
pub mod system_names;
mod time_span;
mod topic;
mod track;
mod trend;
mod wait;

pub use ack::AckError;
pub use apply::ApplyError;
pub use available::Receiver;
pub use backlog::Backlog;
pub use browse::{BrowseError, BrowseRequest, Browsed};
pub use change_invisible_duration::ChangeInvisibleDurationError;
pub use clients::{
    AskError, ClientAnswer, ClientCommand, ClientIdentity, ClientQuestion, ConsumeFrom,
    ConsumeMode, ConsumerSubscription, Heartbeat, HeartbeatError, MessageModel, RegisteredClient,
    Subscription,
};
pub use dead_letters::DeadLetterError;
pub use describe::{Description, GroupProtocol};
pub use due_time::DueTimeError;
pub use end_transaction::{EndTransactionError, EndTransactionRequest, Resolution};
pub use errors::{
    GroupNotFound, InstanceLocked, InstanceNotFound, QueueNotFound, ShardNotHere, TopicNotFound,
};
pub use filter::{Filter, FilterError, SqlError, SqlFilter};
pub use find::shown_id;
pub use forward_to_dead_letter::ForwardToDeadLetterError;
pub use group::{CreateGroupError, Group, GroupSpec, RetryPolicy};
pub use instance::{Instance, InstanceSettings};
pub use instances::{
    CreateInstanceError, DeleteInstanceError, HostError, InspectionError, InstanceChange,
    InstanceHost, InstancePart, InstanceRecord, InstanceSpec, InstanceTextError, InstanceToOpen,
    Instances, InstancesParts, OpenInstancesError, OwnNodesError, Serves, UpdateInstanceError,
    UsageError,
};
pub use kv_config::{KvConfigError, ORDER_NAMESPACE};
pub use lite_accumulation::{
    LiteAccumulation, LiteAccumulationPage, LiteSubscriber, LiteSubscription,
};
pub use lite_topic::LiteTopicQuota;
pub use lock::LockError;
pub use message::{Message, MessageType};
pub use metrics::{GroupMetrics, InstanceMetrics, TopicMetrics};
pub use nodes::{
    JoinError, NodeIdentity, NodeRecord, NodeState, NodeWish, Nodes, NodesParts, Peer,
    RemoveNodeError,
};
pub use offset::{OffsetError, QueueEntry, QueueRange, TimeBoundary};
pub use progress::{Progress, ProgressError, ProgressOf};
pub use pull::{PullError, PullOutcome, PullRequest, Pulled};
pub use query::{QueryError, QueryRequest};
pub use quota::{Budgeted, QuotaError, UsageRecord};
pub use rates::{Counter, Daily, Rate, Window};
pub use recall::RecallError;
pub use receipt::{ReceiptHandle, ReceiptHandleError};
pub use receive::{ReceiveError, ReceiveRequest, Received, Start};
pub use receive_half::{
    HalfHandle, HalfHandleError, POLLED_PRODUCER_GROUP, ReceiveHalfRequest, ReceivedHalf,
};
pub use records::MalformedRecord;
pub use release::ReleaseError;
pub use request_mode::{RequestMode, SetRequestModeError};
pub use reset_offset::{ResetOffsetError, ResetTo};
pub use retention::{RetainError, Retention, Trimmed};
pub use router::{Place, Router, ShardHandle};
pub use send::{QueueChoice, SendError, SendRequest, Sent};
pub use send_back::{SendBackError, SendBackRequest};
pub use series::{Series, SeriesLimits};
pub use shard::{OpenShardError, Shard, ShardParts, ShardState};
pub use sync_lite_subscription::{
    LiteBindingError, LiteStart, LiteSubscriptionChange, SyncLiteSubscriptionError,
    SyncLiteSubscriptionRequest,
};
pub use time_span::TimeSpan;
pub use topic::{CreateTopicError, DeleteTopicError, Permission, Topic, TopicSpec, TopicType};
pub use track::Track;
pub use trend::{TrendError, TrendPoint, TrendRequest};
