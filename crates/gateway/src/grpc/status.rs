//! The one table from the core's errors to `apache.rocketmq.v2.Code`: no match here has a
//! wildcard, so that a new error does not compile until it has a code. Protocol v1 knows only the
//! coarse codes of gRPC, to which these lead ([`Refusal::rpc_code`]).
//!
//! Source of the codes: `definition.proto` of the protocol, and what Apache's proxy answers
//! (`GrpcProxyException`, `ResponseBuilder`) where it knows the case.

use std::error::Error;

use base::{ErrorKind, NameError, stdx::with_causes};
use broker::{
    AckError, AskError, ChangeInvisibleDurationError, CreateGroupError, CreateTopicError,
    EndTransactionError, FilterError, ForwardToDeadLetterError, HeartbeatError, LiteBindingError,
    OffsetError, ProgressError, PullError, QueryError, QuotaError, RecallError, ReceiptHandleError,
    ReceiveError, ResetOffsetError, SendError, SyncLiteSubscriptionError,
    access::{NotAllowed, NotAuthenticated},
};
use store::log::AppendError;
use wire::{
    grpc_v2::{self as v2, Code},
    message::MessageError,
};

use crate::{instance::InstanceError, refusal::refusals};

/// A request that is not done, as its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: Code,
    text: String,
}

impl Refusal {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// A refusal whose text is the error with all its causes.
    fn of(code: Code, error: &dyn Error) -> Self {
        Self::new(code, with_causes(error))
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The status in an answer.
    pub(crate) fn status(&self) -> v2::Status {
        v2::Status {
            code: self.code.into(),
            message: self.text.clone(),
        }
    }

    /// The code of `google.rpc`, which are those of gRPC, for protocols that know no finer ones.
    /// Codes from 40000 on blame the request, from 50000 on the server, as in Apache's
    /// `processTelemetryException`.
    pub(crate) fn rpc_code(&self) -> tonic::Code {
        match self.code {
            Code::IllegalOffset => return tonic::Code::OutOfRange,
            Code::RequestTimeout | Code::ProxyTimeout => return tonic::Code::DeadlineExceeded,
            _ => {}
        }
        match self.code as i32 {
            40_100..40_200 => tonic::Code::Unauthenticated,
            40_300..40_400 => tonic::Code::PermissionDenied,
            40_400..40_500 => tonic::Code::NotFound,
            42_800..42_900 => tonic::Code::FailedPrecondition,
            42_900..43_000 => tonic::Code::ResourceExhausted,
            40_000..50_000 => tonic::Code::InvalidArgument,
            50_100..50_200 | 50_500..50_600 => tonic::Code::Unimplemented,
            _ => tonic::Code::Internal,
        }
    }

    /// The status that ends a stream, for streams whose messages carry none.
    pub(crate) fn end_of_stream(&self) -> tonic::Status {
        tonic::Status::new(self.rpc_code(), self.text.clone())
    }
}

/// The status of what is done.
pub(crate) fn ok() -> v2::Status {
    v2::Status {
        code: Code::Ok.into(),
        message: Code::Ok.as_str_name().to_owned(),
    }
}

/// The status over several results: theirs if they agree.
pub(crate) fn summary<'a>(results: impl IntoIterator<Item = &'a v2::Status>) -> v2::Status {
    let mut results = results.into_iter();
    let Some(first) = results.next() else {
        return Refusal::new(Code::BadRequest, "request has no entries").status();
    };
    if results.all(|status| status.code == first.code) {
        return first.clone();
    }
    v2::Status {
        code: Code::MultipleResults.into(),
        message: Code::MultipleResults.as_str_name().to_owned(),
    }
}

impl From<NotAuthenticated> for Refusal {
    fn from(error: NotAuthenticated) -> Self {
        let code = match &error {
            NotAuthenticated::NoName
            | NotAuthenticated::Unknown { .. }
            | NotAuthenticated::Disabled { .. }
            | NotAuthenticated::Signature
            | NotAuthenticated::Method { .. }
            | NotAuthenticated::SessionToken { .. } => Code::Unauthorized,
        };
        Self::of(code, &error)
    }
}

impl From<NotAllowed> for Refusal {
    fn from(error: NotAllowed) -> Self {
        Self::of(Code::Forbidden, &error)
    }
}

/// What is left to say of an error that names no thing of the protocol.
fn by_kind(kind: ErrorKind) -> Code {
    match kind {
        // SDKs wait before they repeat a request that was answered so.
        ErrorKind::Retry | ErrorKind::Limit => Code::TooManyRequests,
        ErrorKind::Request => Code::BadRequest,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Denied => Code::Forbidden,
        ErrorKind::Fault => Code::InternalServerError,
    }
}

fn append_code(error: &AppendError) -> Code {
    match error {
        AppendError::Busy { .. } => Code::TooManyRequests,
        // Pausing does not help here, a person must make room.
        AppendError::Full { .. } | AppendError::Poisoned { .. } | AppendError::Closed { .. } => {
            Code::InternalServerError
        }
        AppendError::TooLarge { .. } => Code::PayloadTooLarge,
    }
}

fn message_code(error: &MessageError) -> Code {
    match error {
        MessageError::TooLong { field, .. } => match *field {
            "body" => Code::MessageBodyTooLarge,
            "properties" => Code::MessagePropertiesTooLarge,
            "topic" => Code::IllegalTopic,
            _ => Code::MessageCorrupted,
        },
        MessageError::Truncated { .. }
        | MessageError::NegativeLength { .. }
        | MessageError::SizeMismatch { .. }
        | MessageError::Magic(_)
        | MessageError::Port { .. }
        | MessageError::Utf8 { .. }
        | MessageError::Empty { .. }
        | MessageError::QueueId(_)
        | MessageError::BodyCrc { .. }
        | MessageError::BatchCount { .. }
        | MessageError::BatchEmpty
        | MessageError::Id { .. } => Code::MessageCorrupted,
    }
}

fn create_topic_code(error: &CreateTopicError) -> Code {
    match error {
        CreateTopicError::Queues { .. }
        | CreateTopicError::Name { .. }
        | CreateTopicError::Shrink { .. }
        | CreateTopicError::OtherType { .. } => Code::IllegalTopic,
        CreateTopicError::Locked(_) => Code::PreconditionFailed,
        CreateTopicError::TooMany { .. } | CreateTopicError::Metadata { .. } => {
            by_kind(error.kind())
        }
    }
}

fn create_group_code(error: &CreateGroupError) -> Code {
    match error {
        CreateGroupError::Attempts { .. } | CreateGroupError::Name { .. } => {
            Code::IllegalConsumerGroup
        }
        CreateGroupError::Locked(_) => Code::PreconditionFailed,
        CreateGroupError::TooMany { .. } | CreateGroupError::Metadata { .. } => {
            by_kind(error.kind())
        }
    }
}

fn quota_code(error: &QuotaError) -> Code {
    match error {
        QuotaError::Throttled { .. } => Code::TooManyRequests,
        QuotaError::Stopped { .. } => Code::Forbidden,
    }
}

fn send_code(error: &SendError) -> Code {
    match error {
        SendError::TopicNotFound(_) => Code::TopicNotFound,
        SendError::QueueNotFound(_) => Code::BadRequest,
        SendError::CreateTopic(error) => create_topic_code(error),
        SendError::NotWritable { .. } => Code::Forbidden,
        SendError::TypeMismatch { .. } => Code::MessagePropertyConflictWithType,
        SendError::Priorities { .. } => Code::MessageCorrupted,
        SendError::NoProducerGroup { .. } => Code::Unsupported,
        SendError::LiteTopicName { .. } | SendError::LiteTopics { .. } => Code::IllegalLiteTopic,
        SendError::LiteTopicQuota(_) => Code::LiteTopicQuotaExceeded,
        SendError::Quota(error) => quota_code(error),
        SendError::DueTime { .. } => Code::IllegalDeliveryTime,
        SendError::Count { .. } => Code::MessageCorrupted,
        SendError::Message { source, .. } => message_code(source),
        SendError::Log { source, .. } => append_code(source),
        // The message may survive: the SDK must count it as failed and may send it again.
        SendError::Unconfirmed { .. } => Code::MasterPersistenceTimeout,
        SendError::State { .. } => Code::InternalServerError,
    }
}

fn end_transaction_code(error: &EndTransactionError) -> Code {
    match error {
        EndTransactionError::NotFound { .. }
        | EndTransactionError::OtherGroup { .. }
        | EndTransactionError::TooLate { .. } => Code::InvalidTransactionId,
        EndTransactionError::Read(error) => pull_code(error),
        EndTransactionError::Send(error) => send_code(error),
        EndTransactionError::Log { source, .. } => append_code(source),
        EndTransactionError::State(_) => Code::InternalServerError,
    }
}

fn recall_code(error: &RecallError) -> Code {
    match error {
        RecallError::TopicNotFound(_) => Code::TopicNotFound,
        RecallError::NotFound { .. } => Code::NotFound,
        RecallError::Read(error) => pull_code(error),
        RecallError::Log { source, .. } => append_code(source),
        RecallError::State(_) => Code::InternalServerError,
    }
}

fn pull_code(error: &PullError) -> Code {
    match error {
        PullError::TopicNotFound(_) => Code::TopicNotFound,
        PullError::QueueNotFound(_) => Code::BadRequest,
        PullError::Quota(error) => quota_code(error),
        PullError::NotReadable { .. } | PullError::GroupDisabled { .. } => Code::Forbidden,
        PullError::Read { .. } | PullError::Message { .. } | PullError::State { .. } => {
            Code::InternalServerError
        }
    }
}

fn offset_code(error: &OffsetError) -> Code {
    match error {
        OffsetError::TopicNotFound(_) => Code::TopicNotFound,
        OffsetError::GroupNotFound(_) => Code::ConsumerGroupNotFound,
        OffsetError::CreateGroup(error) => create_group_code(error),
        OffsetError::QueueNotFound(_) => Code::BadRequest,
        OffsetError::Log { source, .. } => append_code(source),
        OffsetError::State { .. } => Code::InternalServerError,
    }
}

fn receive_code(error: &ReceiveError) -> Code {
    match error {
        ReceiveError::Pull(error) => pull_code(error),
        ReceiveError::GroupNotFound(_) => Code::ConsumerGroupNotFound,
        ReceiveError::CreateGroup(error) => create_group_code(error),
        ReceiveError::Invisible { .. } => Code::IllegalInvisibleTime,
        ReceiveError::LiteBinding(error) => lite_binding_code(error),
        ReceiveError::LiteSubscription(error) => sync_lite_subscription_code(error),
        ReceiveError::Log { source, .. } => append_code(source),
    }
}

/// Source: `ClientProcessor.validateLiteBindTopic` and `validateLiteMode` of Apache's proxy 5.5.
fn lite_binding_code(error: &LiteBindingError) -> Code {
    match error {
        LiteBindingError::NotLite { .. } => Code::IllegalTopic,
        LiteBindingError::Elsewhere { .. }
        | LiteBindingError::Unbound { .. }
        | LiteBindingError::Whole { .. }
        | LiteBindingError::Selective { .. } => Code::IllegalConsumerGroup,
    }
}

fn sync_lite_subscription_code(error: &SyncLiteSubscriptionError) -> Code {
    match error {
        SyncLiteSubscriptionError::TopicNotFound(_) => Code::TopicNotFound,
        SyncLiteSubscriptionError::GroupNotFound(_) => Code::ConsumerGroupNotFound,
        SyncLiteSubscriptionError::Binding(error) => lite_binding_code(error),
        SyncLiteSubscriptionError::Pull(error) => pull_code(error),
        SyncLiteSubscriptionError::ClientQuota { .. } | SyncLiteSubscriptionError::Quota { .. } => {
            Code::LiteSubscriptionQuotaExceeded
        }
        SyncLiteSubscriptionError::LiteTopicQuota(_) => Code::LiteTopicQuotaExceeded,
        SyncLiteSubscriptionError::Log { source, .. } => append_code(source),
        SyncLiteSubscriptionError::Offset(error) => offset_code(error),
    }
}

fn ack_code(error: &AckError) -> Code {
    match error {
        AckError::TopicNotFound(_) => Code::TopicNotFound,
        AckError::GroupNotFound(_) => Code::ConsumerGroupNotFound,
        AckError::Foreign { .. } | AckError::Expired { .. } => Code::InvalidReceiptHandle,
        AckError::Log { source, .. } => append_code(source),
        AckError::State { .. } => Code::InternalServerError,
    }
}

fn change_invisible_duration_code(error: &ChangeInvisibleDurationError) -> Code {
    match error {
        ChangeInvisibleDurationError::Receipt(error) => ack_code(error),
        ChangeInvisibleDurationError::Invisible { .. } => Code::IllegalInvisibleTime,
    }
}

fn forward_to_dead_letter_code(error: &ForwardToDeadLetterError) -> Code {
    match error {
        ForwardToDeadLetterError::Receipt(error) => ack_code(error),
        ForwardToDeadLetterError::Read(error) => pull_code(error),
        ForwardToDeadLetterError::Send(error) => send_code(error),
    }
}

fn query_code(error: &QueryError) -> Code {
    match error {
        QueryError::TopicNotFound(_) => Code::TopicNotFound,
        QueryError::MessageNotFound { .. } | QueryError::IdNotFound { .. } => Code::MessageNotFound,
        QueryError::Read { .. } | QueryError::State(_) => Code::InternalServerError,
    }
}

fn progress_code(error: &ProgressError) -> Code {
    match error {
        ProgressError::TooMany { .. } => Code::PayloadTooLarge,
        ProgressError::State(_) => Code::InternalServerError,
    }
}

fn reset_offset_code(error: &ResetOffsetError) -> Code {
    match error {
        ResetOffsetError::Offset(error) => offset_code(error),
        ResetOffsetError::GroupNotFound(_) => Code::ConsumerGroupNotFound,
        ResetOffsetError::OutOfRange { .. }
        | ResetOffsetError::NoQueue { .. }
        | ResetOffsetError::TooLongAgo { .. } => Code::IllegalOffset,
        ResetOffsetError::Progress(error) => progress_code(error),
    }
}

fn ask_code(error: &AskError) -> Code {
    match error {
        AskError::NotConnected { .. } => Code::NotFound,
        AskError::Unreachable { .. } => Code::TooManyRequests,
        AskError::Silent { .. } => Code::RequestTimeout,
    }
}

fn filter_code(error: &FilterError) -> Code {
    match error {
        FilterError::EmptyTag { .. }
        | FilterError::TooMany { .. }
        | FilterError::Sql(_)
        | FilterError::Unsupported { .. } => Code::IllegalFilterExpression,
    }
}

fn heartbeat_code(error: &HeartbeatError) -> Code {
    match error {
        HeartbeatError::TooMany { .. } | HeartbeatError::TooManyMembers { .. } => {
            Code::TooManyRequests
        }
    }
}

fn instance_code(error: &InstanceError) -> Code {
    match error {
        InstanceError::NotFound(_) => Code::IllegalAccessPoint,
        InstanceError::NotLetIn { .. } => Code::Forbidden,
        InstanceError::Disagree { .. } | InstanceError::Name(_) => Code::BadRequest,
    }
}

fn receipt_handle_code(_: &ReceiptHandleError) -> Code {
    Code::InvalidReceiptHandle
}

refusals! {
    SendError => send_code;
    ReceiveError => receive_code;
    AckError => ack_code;
    ChangeInvisibleDurationError => change_invisible_duration_code;
    ForwardToDeadLetterError => forward_to_dead_letter_code;
    FilterError => filter_code;
    HeartbeatError => heartbeat_code;
    ReceiptHandleError => receipt_handle_code;
    CreateGroupError => create_group_code;
    EndTransactionError => end_transaction_code;
    RecallError => recall_code;
    SyncLiteSubscriptionError => sync_lite_subscription_code;
    OffsetError => offset_code;
    QueryError => query_code;
    ProgressError => progress_code;
    ResetOffsetError => reset_offset_code;
    AskError => ask_code;
    PullError => pull_code;
    InstanceError => instance_code;
}

/// A name that cannot be one; `code` says of what.
pub(crate) fn bad_name(code: Code, error: &NameError) -> Refusal {
    Refusal::of(code, error)
}

#[cfg(test)]
mod tests {
    use base::{InstanceId, TopicName};
    use broker::TopicNotFound;

    use super::*;

    fn status(code: Code) -> v2::Status {
        Refusal::new(code, "x").status()
    }

    #[test]
    fn results_that_agree_are_summed_up_as_one() {
        let mixed = [status(Code::Ok), status(Code::InvalidReceiptHandle)];
        assert_eq!(summary(&mixed).code(), Code::MultipleResults);
        let same = [status(Code::Forbidden), status(Code::Forbidden)];
        assert_eq!(summary(&same).code(), Code::Forbidden);
        assert_eq!(summary(&[]).code(), Code::BadRequest);
    }

    #[test]
    fn a_refusal_names_the_thing_and_every_cause() {
        let error = SendError::Message {
            topic: TopicName::new("orders").unwrap(),
            source: MessageError::TooLong {
                field: "properties",
                length: 40_000,
                max: 32_767,
            },
        };
        let refusal = Refusal::from(error);
        assert_eq!(refusal.code(), Code::MessagePropertiesTooLarge);
        assert!(refusal.text().contains("`orders`"), "{}", refusal.text());
        assert!(refusal.text().contains("40000"), "{}", refusal.text());

        let missing = SendError::TopicNotFound(TopicNotFound {
            topic: TopicName::new("orders").unwrap(),
            instance: InstanceId::default_instance(),
        });
        assert_eq!(Refusal::from(missing).code(), Code::TopicNotFound);
    }

    #[test]
    fn a_stream_ends_with_the_grpc_code_of_its_kind() {
        let end = |code| Refusal::new(code, "x").end_of_stream().code();
        assert_eq!(end(Code::ConsumerGroupNotFound), tonic::Code::NotFound);
        assert_eq!(end(Code::IllegalTopic), tonic::Code::InvalidArgument);
        assert_eq!(end(Code::TooManyRequests), tonic::Code::ResourceExhausted);
        assert_eq!(end(Code::Unsupported), tonic::Code::Unimplemented);
        assert_eq!(end(Code::InternalServerError), tonic::Code::Internal);
    }
}
