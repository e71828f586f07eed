//! The one table from the core's errors to the codes of the protocol: no match here has a wildcard,
//! so that a new error does not compile until it has a code.
//!
//! Source of codes and statuses: "Error codes for the HTTP client SDK" of the service, and the list
//! of its queue product, which has the same codes.

use std::error::Error;

use base::{ErrorKind, NameError, stdx::with_causes};
use broker::{
    AckError, CreateGroupError, CreateTopicError, EndTransactionError, FilterError,
    HalfHandleError, PullError, QuotaError, ReceiptHandleError, ReceiveError, SendError,
    ShardNotHere,
    access::{NotAllowed, NotAuthenticated},
};
use store::log::AppendError;
use wire::ons_http::{BodyError, TargetError};

use crate::{
    instance::InstanceError,
    refusal::{http_codes, refusals},
};

http_codes! {
    /// The sender may not do this.
    AccessDenied = "AccessDenied", FORBIDDEN;
    /// Nobody has this access key.
    InvalidAccessKeyId = "InvalidAccessKeyId", FORBIDDEN;
    /// Signed otherwise, or by somebody else.
    SignatureDoesNotMatch = "SignatureDoesNotMatch", FORBIDDEN;
    /// Not of the form `MQ <access key>:<signature>`.
    InvalidAuthorizationHeader = "InvalidAuthorizationHeader", BAD_REQUEST;
    /// Not signed.
    MissingAuthorizationHeader = "MissingAuthorizationHeader", BAD_REQUEST;
    /// The date is none.
    InvalidDateHeader = "InvalidDateHeader", BAD_REQUEST;
    /// There is no date.
    MissingDateHeader = "MissingDateHeader", BAD_REQUEST;
    /// The date is too far from the server's, or the request took too long.
    TimeExpired = "TimeExpired", REQUEST_TIMEOUT;
    /// A value is outside its range, or the XML is about something else.
    InvalidArgument = "InvalidArgument", BAD_REQUEST;
    /// The digest is that of another body.
    InvalidDigest = "InvalidDigest", BAD_REQUEST;
    /// The path or the method is none of the protocol's.
    InvalidRequestUrl = "InvalidRequestURL", BAD_REQUEST;
    /// A parameter is missing or malformed.
    InvalidQueryString = "InvalidQueryString", BAD_REQUEST;
    /// The body is no well-formed XML.
    MalformedXml = "MalformedXML", BAD_REQUEST;
    /// An acknowledgement names no message.
    MissingReceiptHandle = "MissingReceiptHandle", BAD_REQUEST;
    /// A receipt handle is not good, or not any more.
    ReceiptHandleError = "ReceiptHandleError", BAD_REQUEST;
    /// The version of the protocol is not told.
    MissingVersionHeader = "MissingVersionHeader", BAD_REQUEST;
    /// The version of the protocol is not known.
    InvalidVersionHeader = "InvalidVersionHeader", BAD_REQUEST;
    /// There is nothing to be handed out.
    MessageNotExist = "MessageNotExist", NOT_FOUND;
    /// There is no such topic.
    TopicNotExist = "TopicNotExist", NOT_FOUND;
    /// There is no such group.
    SubscriptionNotExist = "SubscriptionNotExist", NOT_FOUND;
    /// More than the server takes just now.
    TooManyRequests = "TooManyRequests", TOO_MANY_REQUESTS;
    /// The fault is the server's.
    InternalError = "InternalError", INTERNAL_SERVER_ERROR;
}

/// A request that is not done, as its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    code: Code,
    text: String,
}

impl Refusal {
    pub(super) fn new(code: Code, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { code, text }
    }

    /// A refusal whose text is the error with all its causes.
    fn of(code: Code, error: &dyn Error) -> Self {
        Self::new(code, with_causes(error))
    }

    /// What is wrong with the body of an acknowledgement.
    pub(super) fn of_handles(error: BodyError) -> Self {
        let code = match &error {
            BodyError::Missing { .. } => Code::MissingReceiptHandle,
            BodyError::Xml(_) | BodyError::Twice { .. } => body_code(&error),
        };
        Self::of(code, &error)
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

fn body_code(error: &BodyError) -> Code {
    match error {
        BodyError::Xml(error) if error.is_malformed() => Code::MalformedXml,
        BodyError::Xml(_) | BodyError::Twice { .. } | BodyError::Missing { .. } => {
            Code::InvalidArgument
        }
    }
}

fn target_code(error: &TargetError) -> Code {
    match error {
        TargetError::Path { .. } => Code::InvalidRequestUrl,
        TargetError::Escape { .. } | TargetError::Twice { .. } | TargetError::TooMany => {
            Code::InvalidQueryString
        }
    }
}

fn not_authenticated_code(error: &NotAuthenticated) -> Code {
    match error {
        NotAuthenticated::NoName => Code::InvalidAuthorizationHeader,
        NotAuthenticated::Unknown { .. } => Code::InvalidAccessKeyId,
        NotAuthenticated::Disabled { .. }
        | NotAuthenticated::Method { .. }
        | NotAuthenticated::SessionToken { .. } => Code::AccessDenied,
        NotAuthenticated::Signature => Code::SignatureDoesNotMatch,
    }
}

fn not_allowed_code(_: &NotAllowed) -> Code {
    Code::AccessDenied
}

/// What is left to say of an error that names no thing of the protocol.
fn by_kind(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Retry | ErrorKind::Limit => Code::TooManyRequests,
        ErrorKind::Request | ErrorKind::NotFound => Code::InvalidArgument,
        ErrorKind::Denied => Code::AccessDenied,
        ErrorKind::Fault => Code::InternalError,
    }
}

fn append_code(error: &AppendError) -> Code {
    match error {
        AppendError::Busy { .. } => Code::TooManyRequests,
        // Pausing does not help here, a person must make room.
        AppendError::Full { .. } | AppendError::Poisoned { .. } | AppendError::Closed { .. } => {
            Code::InternalError
        }
        AppendError::TooLarge { .. } => Code::InvalidArgument,
    }
}

fn create_topic_code(error: &CreateTopicError) -> Code {
    match error {
        CreateTopicError::Queues { .. }
        | CreateTopicError::Name { .. }
        | CreateTopicError::Shrink { .. }
        | CreateTopicError::OtherType { .. }
        | CreateTopicError::Locked(_)
        | CreateTopicError::TooMany { .. }
        | CreateTopicError::Metadata { .. } => by_kind(error.kind()),
    }
}

fn create_group_code(error: &CreateGroupError) -> Code {
    match error {
        CreateGroupError::Attempts { .. }
        | CreateGroupError::Name { .. }
        | CreateGroupError::Locked(_)
        | CreateGroupError::TooMany { .. }
        | CreateGroupError::Metadata { .. } => by_kind(error.kind()),
    }
}

fn quota_code(error: &QuotaError) -> Code {
    match error {
        QuotaError::Throttled { .. } => Code::TooManyRequests,
        QuotaError::Stopped { .. } => Code::AccessDenied,
    }
}

fn send_code(error: &SendError) -> Code {
    match error {
        SendError::TopicNotFound(_) => Code::TopicNotExist,
        SendError::CreateTopic(error) => create_topic_code(error),
        SendError::NotWritable { .. } => Code::AccessDenied,
        SendError::QueueNotFound(_)
        | SendError::TypeMismatch { .. }
        | SendError::Priorities { .. }
        | SendError::NoProducerGroup { .. }
        | SendError::DueTime { .. }
        | SendError::LiteTopicName { .. }
        | SendError::LiteTopics { .. }
        | SendError::Count { .. }
        | SendError::Message { .. } => Code::InvalidArgument,
        SendError::LiteTopicQuota(_) => Code::TooManyRequests,
        SendError::Quota(error) => quota_code(error),
        SendError::Log { source, .. } => append_code(source),
        SendError::Unconfirmed { .. } | SendError::State { .. } => Code::InternalError,
    }
}

fn pull_code(error: &PullError) -> Code {
    match error {
        PullError::TopicNotFound(_) => Code::TopicNotExist,
        PullError::QueueNotFound(_) => Code::InvalidArgument,
        PullError::Quota(error) => quota_code(error),
        PullError::NotReadable { .. } | PullError::GroupDisabled { .. } => Code::AccessDenied,
        PullError::Read { .. } | PullError::Message { .. } | PullError::State { .. } => {
            Code::InternalError
        }
    }
}

fn receive_code(error: &ReceiveError) -> Code {
    match error {
        ReceiveError::Pull(error) => pull_code(error),
        ReceiveError::GroupNotFound(_) => Code::SubscriptionNotExist,
        ReceiveError::CreateGroup(error) => create_group_code(error),
        ReceiveError::Invisible { .. } => Code::InternalError,
        // Groups of LiteTopics, which this protocol does not have.
        ReceiveError::LiteBinding(_) | ReceiveError::LiteSubscription(_) => Code::InvalidArgument,
        ReceiveError::Log { source, .. } => append_code(source),
    }
}

fn ack_code(error: &AckError) -> Code {
    match error {
        AckError::TopicNotFound(_) => Code::TopicNotExist,
        AckError::GroupNotFound(_) => Code::SubscriptionNotExist,
        AckError::Foreign { .. } | AckError::Expired { .. } => Code::ReceiptHandleError,
        AckError::Log { source, .. } => append_code(source),
        AckError::State { .. } => Code::InternalError,
    }
}

fn end_transaction_code(error: &EndTransactionError) -> Code {
    match error {
        EndTransactionError::NotFound { .. }
        | EndTransactionError::OtherGroup { .. }
        | EndTransactionError::TooLate { .. } => Code::ReceiptHandleError,
        EndTransactionError::Read(error) => pull_code(error),
        EndTransactionError::Send(error) => send_code(error),
        EndTransactionError::Log { source, .. } => append_code(source),
        EndTransactionError::State(_) => Code::InternalError,
    }
}

fn filter_code(error: &FilterError) -> Code {
    match error {
        FilterError::EmptyTag { .. }
        | FilterError::TooMany { .. }
        | FilterError::Sql(_)
        | FilterError::Unsupported { .. } => Code::InvalidArgument,
    }
}

fn instance_code(error: &InstanceError) -> Code {
    match error {
        InstanceError::NotLetIn { .. } => Code::AccessDenied,
        InstanceError::NotFound(_) | InstanceError::Disagree { .. } | InstanceError::Name(_) => {
            Code::InvalidQueryString
        }
    }
}

fn name_code(_: &NameError) -> Code {
    Code::InvalidArgument
}

fn receipt_handle_code(_: &ReceiptHandleError) -> Code {
    Code::ReceiptHandleError
}

fn half_handle_code(_: &HalfHandleError) -> Code {
    Code::ReceiptHandleError
}

fn shard_code(_: &ShardNotHere) -> Code {
    Code::InternalError
}

refusals! {
    BodyError => body_code;
    TargetError => target_code;
    NotAuthenticated => not_authenticated_code;
    NotAllowed => not_allowed_code;
    SendError => send_code;
    ReceiveError => receive_code;
    AckError => ack_code;
    EndTransactionError => end_transaction_code;
    FilterError => filter_code;
    InstanceError => instance_code;
    NameError => name_code;
    ReceiptHandleError => receipt_handle_code;
    HalfHandleError => half_handle_code;
    ShardNotHere => shard_code;
}
