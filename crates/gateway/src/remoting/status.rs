//! Errors of the core as Remoting clients are told them: one table per error, without a wildcard,
//! so that a new error does not compile before it has a code.
//!
//! The codes decide what clients do. Java producers of all versions try another broker (here: the
//! same one again) after `SYSTEM_ERROR`, `SYSTEM_BUSY`, `SERVICE_NOT_AVAILABLE`, `TOPIC_NOT_EXIST`
//! and `NO_PERMISSION`, and give up at once after others; so what a repetition cannot mend gets
//! another code.

use broker::{
    AckError, AskError, ChangeInvisibleDurationError, CreateGroupError, CreateInstanceError,
    CreateTopicError, DeleteInstanceError, DeleteTopicError, EndTransactionError, HeartbeatError,
    KvConfigError, LockError, OffsetError, ProgressError, PullError, QueryError, QuotaError,
    RecallError, ReceiveError, RemoveNodeError, ResetOffsetError, SendBackError, SendError, Series,
    SetRequestModeError, UpdateInstanceError, UsageError, access::AccessError, plan::PlanError,
};
use control::UpdateInProgress;
use store::log::AppendError;
use wire::remoting::{
    HeaderError, ResponseCode as Code,
    body::{BitSetError, BodyError},
    pop_receipt::PopReceiptError,
};

use super::reply::Refusal;
use crate::{instance::InstanceError, refusal::refusals};

refusals! {
    SendError => send;
    PullError => pull;
    ReceiveError => receive;
    AckError => ack;
    ChangeInvisibleDurationError => change_invisible_duration;
    OffsetError => offset;
    QueryError => query;
    LockError => lock;
    EndTransactionError => end_transaction;
    RecallError => recall;
    SendBackError => send_back;
    AskError => ask;
    HeartbeatError => heartbeat;
    CreateTopicError => create_topic;
    DeleteTopicError => delete_topic;
    CreateGroupError => create_group;
    AccessError => access;
    SetRequestModeError => set_request_mode;
    ProgressError => progress;
    ResetOffsetError => reset_offset;
    KvConfigError => kv_config;
    PlanError => plan;
    UsageError => usage;
    CreateInstanceError => create_instance;
    UpdateInstanceError => update_instance;
    DeleteInstanceError => delete_instance;
    RemoveNodeError => remove_node;
    UpdateInProgress => update_in_progress;
    InstanceError => instance;
    HeaderError => header;
    BodyError => body;
    PopReceiptError => pop_receipt;
    BitSetError => bit_set;
}

fn plan(error: &PlanError) -> Code {
    match error {
        PlanError::Value { .. } | PlanError::None => Code::InvalidParameter,
    }
}

fn update_in_progress(_: &UpdateInProgress) -> Code {
    Code::IllegalOperation
}

fn usage(error: &UsageError) -> Code {
    match error {
        UsageError::TooMany { .. } => Code::InvalidParameter,
        UsageError::Metadata(_) => Code::SystemBusy,
    }
}

fn create_instance(error: &CreateInstanceError) -> Code {
    match error {
        CreateInstanceError::NoSeries
        | CreateInstanceError::Text(_)
        | CreateInstanceError::Plan(_)
        | CreateInstanceError::Nodes(_)
        | CreateInstanceError::PlanOfSeries { .. } => Code::InvalidParameter,
        CreateInstanceError::TooMany { .. } | CreateInstanceError::SeriesClosed => {
            Code::IllegalOperation
        }
        CreateInstanceError::Stopping | CreateInstanceError::Metadata { .. } => Code::SystemBusy,
        CreateInstanceError::Host { .. } => Code::SystemError,
    }
}

fn update_instance(error: &UpdateInstanceError) -> Code {
    match error {
        UpdateInstanceError::NotFound(_) => Code::QueryNotFound,
        UpdateInstanceError::Text(_)
        | UpdateInstanceError::Plan(_)
        | UpdateInstanceError::Nodes(_) => Code::InvalidParameter,
        UpdateInstanceError::NoSubscription { .. } | UpdateInstanceError::Locked(_) => {
            Code::IllegalOperation
        }
        UpdateInstanceError::Busy { .. }
        | UpdateInstanceError::Stopping
        | UpdateInstanceError::Metadata { .. } => Code::SystemBusy,
    }
}

fn delete_instance(error: &DeleteInstanceError) -> Code {
    match error {
        DeleteInstanceError::NotFound(_) => Code::QueryNotFound,
        DeleteInstanceError::Default { .. }
        | DeleteInstanceError::NotEmpty { .. }
        | DeleteInstanceError::OwnNodes { .. }
        | DeleteInstanceError::Locked(_)
        | DeleteInstanceError::Subscribed { .. } => Code::IllegalOperation,
        DeleteInstanceError::Busy { .. }
        | DeleteInstanceError::Stopping
        | DeleteInstanceError::Metadata { .. } => Code::SystemBusy,
        DeleteInstanceError::Host { .. } => Code::SystemError,
    }
}

fn remove_node(error: &RemoveNodeError) -> Code {
    match error {
        RemoveNodeError::NotFound { .. } => Code::QueryNotFound,
        RemoveNodeError::NotDrained { .. } | RemoveNodeError::NotEmpty { .. } => {
            Code::IllegalOperation
        }
        RemoveNodeError::Unknown { .. } | RemoveNodeError::Metadata(_) => Code::SystemBusy,
    }
}

fn append(error: &AppendError) -> Code {
    match error {
        AppendError::Busy { .. } => Code::SystemBusy,
        AppendError::Full { .. } | AppendError::Poisoned { .. } | AppendError::Closed { .. } => {
            Code::ServiceNotAvailable
        }
        AppendError::TooLarge { .. } => Code::MessageIllegal,
    }
}

/// Clients of both generations go on after either code; those of the 4.x series wait and repeat
/// what was refused with its own.
fn quota(error: &QuotaError) -> Code {
    match error {
        QuotaError::Throttled { series, .. } => match series {
            Series::V4 => Code::FlowControl,
            Series::V5 | Series::Any => Code::TooManyRequests,
        },
        QuotaError::Stopped { .. } => Code::NoPermission,
    }
}

fn send(error: &SendError) -> Code {
    match error {
        SendError::TopicNotFound(_) => Code::TopicNotExist,
        SendError::QueueNotFound(_) => Code::InvalidParameter,
        SendError::CreateTopic(error) => create_topic(error),
        SendError::NotWritable { .. } => Code::NoPermission,
        SendError::TypeMismatch { .. }
        | SendError::LiteTopicName { .. }
        | SendError::LiteTopics { .. }
        | SendError::DueTime { .. }
        | SendError::NoProducerGroup { .. }
        | SendError::Priorities { .. }
        | SendError::Count { .. }
        | SendError::Message { .. } => Code::MessageIllegal,
        SendError::LiteTopicQuota(_) => Code::SystemBusy,
        SendError::Quota(error) => quota(error),
        SendError::Log { source, .. } => append(source),
        SendError::Unconfirmed { .. } | SendError::State { .. } => Code::SystemError,
    }
}

fn pull(error: &PullError) -> Code {
    match error {
        PullError::TopicNotFound(_) => Code::TopicNotExist,
        PullError::QueueNotFound(_) => Code::InvalidParameter,
        PullError::Quota(error) => quota(error),
        PullError::NotReadable { .. } | PullError::GroupDisabled { .. } => Code::NoPermission,
        PullError::Read { .. } | PullError::Message { .. } | PullError::State { .. } => {
            Code::SystemError
        }
    }
}

fn receive(error: &ReceiveError) -> Code {
    match error {
        ReceiveError::Pull(error) => pull(error),
        ReceiveError::GroupNotFound(_) => Code::GroupNotExist,
        ReceiveError::CreateGroup(error) => create_group(error),
        ReceiveError::Invisible { .. } => Code::InvalidParameter,
        ReceiveError::LiteBinding(_) => Code::InvalidParameter,
        ReceiveError::LiteSubscription(_) => Code::SystemBusy,
        ReceiveError::Log { source, .. } => append(source),
    }
}

fn ack(error: &AckError) -> Code {
    match error {
        AckError::TopicNotFound(_) => Code::TopicNotExist,
        AckError::GroupNotFound(_) => Code::GroupNotExist,
        AckError::Foreign { .. } | AckError::Expired { .. } => Code::NoMessage,
        AckError::Log { source, .. } => append(source),
        AckError::State { .. } => Code::SystemError,
    }
}

fn change_invisible_duration(error: &ChangeInvisibleDurationError) -> Code {
    match error {
        ChangeInvisibleDurationError::Receipt(error) => ack(error),
        ChangeInvisibleDurationError::Invisible { .. } => Code::InvalidParameter,
    }
}

fn offset(error: &OffsetError) -> Code {
    match error {
        OffsetError::TopicNotFound(_) => Code::TopicNotExist,
        OffsetError::GroupNotFound(_) => Code::GroupNotExist,
        OffsetError::CreateGroup(error) => create_group(error),
        OffsetError::QueueNotFound(_) => Code::InvalidParameter,
        OffsetError::Log { source, .. } => append(source),
        OffsetError::State { .. } => Code::SystemError,
    }
}

fn query(error: &QueryError) -> Code {
    match error {
        QueryError::TopicNotFound(_) => Code::TopicNotExist,
        QueryError::MessageNotFound { .. } | QueryError::IdNotFound { .. } => Code::QueryNotFound,
        QueryError::Read { .. } | QueryError::State(_) => Code::SystemError,
    }
}

fn lock(error: &LockError) -> Code {
    match error {
        LockError::TooMany { .. } => Code::InvalidParameter,
    }
}

fn end_transaction(error: &EndTransactionError) -> Code {
    match error {
        EndTransactionError::TooLate { .. } => Code::IllegalOperation,
        EndTransactionError::NotFound { .. } | EndTransactionError::OtherGroup { .. } => {
            Code::SystemError
        }
        EndTransactionError::Read(error) => pull(error),
        EndTransactionError::Send(error) => send(error),
        EndTransactionError::Log { source, .. } => append(source),
        EndTransactionError::State(_) => Code::SystemError,
    }
}

fn recall(error: &RecallError) -> Code {
    match error {
        RecallError::TopicNotFound(_) => Code::TopicNotExist,
        RecallError::NotFound { .. } => Code::IllegalOperation,
        RecallError::Read(error) => pull(error),
        RecallError::Log { source, .. } => append(source),
        RecallError::State(_) => Code::SystemError,
    }
}

fn send_back(error: &SendBackError) -> Code {
    match error {
        SendBackError::GroupNotFound(_) => Code::GroupNotExist,
        SendBackError::Read(error) => match error {
            // Apache's code; 22 would be "nothing found" to clients that ask for messages.
            QueryError::MessageNotFound { .. } | QueryError::IdNotFound { .. } => Code::SystemError,
            other => query(other),
        },
        SendBackError::CreateTopic(error) => create_topic(error),
        SendBackError::Send(error) => send(error),
    }
}

fn ask(error: &AskError) -> Code {
    match error {
        AskError::NotConnected { .. } | AskError::Unreachable { .. } => Code::ConsumerNotOnline,
        AskError::Silent { .. } => Code::ConsumeMessageTimeout,
    }
}

fn heartbeat(error: &HeartbeatError) -> Code {
    match error {
        HeartbeatError::TooMany { .. } | HeartbeatError::TooManyMembers { .. } => Code::FlowControl,
    }
}

fn create_topic(error: &CreateTopicError) -> Code {
    match error {
        CreateTopicError::Queues { .. }
        | CreateTopicError::Name { .. }
        | CreateTopicError::Shrink { .. }
        | CreateTopicError::OtherType { .. } => Code::InvalidParameter,
        CreateTopicError::Locked(_) => Code::IllegalOperation,
        CreateTopicError::TooMany { .. } => Code::FlowControl,
        CreateTopicError::Metadata { .. } => Code::SystemError,
    }
}

fn delete_topic(error: &DeleteTopicError) -> Code {
    match error {
        DeleteTopicError::TopicNotFound(_) => Code::TopicNotExist,
        DeleteTopicError::Locked(_) => Code::IllegalOperation,
        DeleteTopicError::Metadata { .. } => Code::SystemError,
    }
}

fn create_group(error: &CreateGroupError) -> Code {
    match error {
        CreateGroupError::Attempts { .. } | CreateGroupError::Name { .. } => Code::InvalidParameter,
        CreateGroupError::Locked(_) => Code::IllegalOperation,
        CreateGroupError::TooMany { .. } => Code::FlowControl,
        CreateGroupError::Metadata { .. } => Code::SystemError,
    }
}

/// As Apache's broker, which has one code for all that it refuses here.
fn access(error: &AccessError) -> Code {
    match error {
        AccessError::BlankName
        | AccessError::BlankSecret
        | AccessError::Exists
        | AccessError::NotFound
        | AccessError::SubjectNotFound { .. }
        | AccessError::NoSubject
        | AccessError::NoPolicies
        | AccessError::LastSuper { .. }
        | AccessError::Policy(_) => Code::NoPermission,
        AccessError::Name { .. }
        | AccessError::SecretTooLong { .. }
        | AccessError::Ram(_)
        | AccessError::RamExists { .. }
        | AccessError::RamNotFound { .. }
        | AccessError::RamAttached { .. }
        | AccessError::RamNotAttached { .. } => Code::InvalidParameter,
        AccessError::TooMany { .. } => Code::FlowControl,
        AccessError::Metadata { .. }
        | AccessError::RamMetadata { .. }
        | AccessError::WhitelistMetadata { .. } => Code::SystemError,
    }
}

fn set_request_mode(error: &SetRequestModeError) -> Code {
    match error {
        SetRequestModeError::TopicNotFound(_) => Code::TopicNotExist,
        SetRequestModeError::GroupNotFound(_) => Code::GroupNotExist,
        SetRequestModeError::RetryTopic { .. } => Code::NoPermission,
        SetRequestModeError::Metadata { .. } => Code::SystemError,
    }
}

fn progress(error: &ProgressError) -> Code {
    match error {
        ProgressError::TooMany { .. } | ProgressError::State(_) => Code::SystemError,
    }
}

fn reset_offset(error: &ResetOffsetError) -> Code {
    match error {
        ResetOffsetError::Offset(error) => offset(error),
        ResetOffsetError::GroupNotFound(_) => Code::GroupNotExist,
        // As on Apache.
        ResetOffsetError::OutOfRange { .. } => Code::SystemError,
        ResetOffsetError::NoQueue { .. } | ResetOffsetError::TooLongAgo { .. } => {
            Code::InvalidParameter
        }
        ResetOffsetError::Progress(error) => progress(error),
    }
}

fn kv_config(error: &KvConfigError) -> Code {
    match error {
        KvConfigError::Length { .. } | KvConfigError::Namespace { .. } => Code::InvalidParameter,
        KvConfigError::TooMany { .. } | KvConfigError::TooManyNamespaces { .. } => {
            Code::FlowControl
        }
        KvConfigError::Metadata { .. } => Code::SystemError,
    }
}

fn instance(error: &InstanceError) -> Code {
    match error {
        InstanceError::NotLetIn { .. } => Code::NoPermission,
        InstanceError::NotFound(_) | InstanceError::Disagree { .. } | InstanceError::Name(_) => {
            Code::InvalidParameter
        }
    }
}

fn header(error: &HeaderError) -> Code {
    match error {
        HeaderError::Missing { .. } | HeaderError::Invalid { .. } => Code::InvalidParameter,
    }
}

fn body(error: &BodyError) -> Code {
    match error {
        BodyError::Empty { .. } | BodyError::TooLong { .. } | BodyError::Json { .. } => {
            Code::InvalidParameter
        }
    }
}

fn pop_receipt(PopReceiptError { .. }: &PopReceiptError) -> Code {
    Code::InvalidParameter
}

fn bit_set(BitSetError { .. }: &BitSetError) -> Code {
    Code::InvalidParameter
}
