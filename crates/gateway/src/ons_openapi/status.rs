//! The one table from errors to the codes of the API: no match here has a wildcard, so that a new
//! error does not compile until it has a code.
//!
//! Source: the service's public pages "Error codes" (4.x, with code 400 for what is the sender's
//! fault) and the codes that the vendor's gateway has for all APIs.

use std::{borrow::Cow, error::Error, fmt::Display};

use base::{ErrorKind, stdx::with_causes};
use broker::{
    AskError, BrowseError, CreateGroupError, CreateInstanceError, CreateTopicError,
    DeadLetterError, DeleteInstanceError, DeleteTopicError, InstanceNotFound, OffsetError,
    ProgressError, QueryError, ResetOffsetError, ShardNotHere, TrendError, UpdateInstanceError,
};
use store::log::AppendError;
use wire::openapi::ParameterError;

use crate::{
    client_answer::AskMemberError,
    openapi_request::{SignatureError, signature_code},
    refusal::{http_codes, refusals},
    request_body::RequestBodyError,
};

http_codes! {
    /// There is no operation of that name.
    InvalidActionNotFound = "InvalidAction.NotFound", NOT_FOUND;
    /// A parameter is missing: shown as `Missing<parameter>`.
    MissingParameter = "MissingParameter", BAD_REQUEST;
    /// A parameter is not of its type: shown as `Invalid<parameter>`.
    InvalidParameter = "InvalidParameter", BAD_REQUEST;
    /// The query or the form cannot be read.
    InvalidForm = "InvalidParameter.Format", BAD_REQUEST;
    /// Query or form are longer than they may be.
    RequestTooLarge = "RequestEntityTooLarge", PAYLOAD_TOO_LARGE;
    /// The body did not come in time.
    RequestTimeout = "RequestTimeout", REQUEST_TIMEOUT;
    /// The signature cannot be read, or does not cover what it must.
    IncompleteSignature = "IncompleteSignature", BAD_REQUEST;
    /// Signed otherwise, or by somebody else.
    SignatureDoesNotMatch = "SignatureDoesNotMatch", BAD_REQUEST;
    /// The request was made before.
    SignatureNonceUsed = "SignatureNonceUsed", BAD_REQUEST;
    /// The time of the request is none.
    InvalidTimeStampFormat = "InvalidTimeStamp.Format", BAD_REQUEST;
    /// The time of the request is too far from the server's.
    InvalidTimeStampExpired = "InvalidTimeStamp.Expired", BAD_REQUEST;
    /// Nobody has this access key.
    InvalidAccessKeyIdNotFound = "InvalidAccessKeyId.NotFound", NOT_FOUND;
    /// Whoever has this access key may not ask any more.
    InvalidAccessKeyIdInactive = "InvalidAccessKeyId.Inactive", BAD_REQUEST;
    /// Nobody issued this token.
    InvalidSecurityToken = "InvalidSecurityToken.MismatchWithAccessKey", BAD_REQUEST;
    /// The sender may not do this.
    ForbiddenRam = "Forbidden.RAM", FORBIDDEN;
    /// More requests than a user may make.
    ThrottlingUser = "Throttling.User", BAD_REQUEST;
    /// A value is not as it must be.
    BizFieldCheckInvalid = "BIZ_FIELD_CHECK_INVALID", BAD_REQUEST;
    /// There is no such instance.
    InstanceNotFound = "INSTANCE_NOT_FOUND", BAD_REQUEST;
    /// An instance is deleted only when nothing is in it.
    InstanceNotEmpty = "INSTANCE_NOT_EMPTY", BAD_REQUEST;
    /// The server has not what the operation is about.
    OnsServiceUnsupported = "ONS_SERVICE_UNSUPPORTED", BAD_REQUEST;
    /// There is no such topic.
    BizTopicNotFound = "BIZ_TOPIC_NOT_FOUND", BAD_REQUEST;
    /// There is such a topic already.
    BizTopicExisted = "BIZ_TOPIC_EXISTED", BAD_REQUEST;
    /// There is no such group.
    BizSubscriptionNotFound = "BIZ_SUBSCRIPTION_NOT_FOUND", BAD_REQUEST;
    /// There is such a group already.
    BizSubscriptionExisted = "BIZ_SUBSCRIPTION_EXISTED", BAD_REQUEST;
    /// No message is what was asked for.
    BizNoMessage = "BIZ_NO_MESSAGE", BAD_REQUEST;
    /// The consumer is not connected.
    BizConsumerNotOnline = "BIZ_CONSUMER_NOT_ONLINE", BAD_REQUEST;
    /// A client did not do what it was asked for.
    OnsInvokeError = "ONS_INVOKE_ERROR", BAD_REQUEST;
    /// The fault is the server's.
    OnsSystemError = "ONS_SYSTEM_ERROR", INTERNAL_SERVER_ERROR;
}

/// A request that is not done, as its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    code: Code,
    parameter: Option<&'static str>,
    text: String,
}

impl Refusal {
    pub(super) fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            parameter: None,
            text: text.into(),
        }
    }

    /// A refusal whose text is the error with all its causes.
    pub(super) fn of(code: Code, error: &dyn Error) -> Self {
        Self::new(code, with_causes(error))
    }

    /// A parameter, or a header of the API, is not there.
    pub(super) fn missing(parameter: &'static str) -> Self {
        Self {
            code: Code::MissingParameter,
            parameter: Some(parameter),
            text: format!("{parameter} is mandatory for this action"),
        }
    }

    /// A parameter is not of its type, or not one of the words that it may be.
    pub(super) fn invalid(parameter: &'static str, value: &str, expected: &str) -> Self {
        let value: String = value.chars().take(64).collect();
        Self {
            code: Code::InvalidParameter,
            parameter: Some(parameter),
            text: format!("parameter `{parameter}` is `{value}`, expected {expected}"),
        }
    }

    /// A parameter is of its type, but its value cannot be.
    pub(super) fn field(parameter: &'static str, reason: impl Display) -> Self {
        let text = format!("parameter `{parameter}`: {reason}");
        Self::new(Code::BizFieldCheckInvalid, text)
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// The code in answers: its name, but for the two that name a parameter.
    pub(super) fn shown_code(&self) -> Cow<'static, str> {
        match (self.code, self.parameter) {
            (Code::MissingParameter, Some(name)) => format!("Missing{name}").into(),
            (Code::InvalidParameter, Some(name)) => format!("Invalid{name}").into(),
            (code, _) => code.name().into(),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl From<SignatureError> for Refusal {
    fn from(error: SignatureError) -> Self {
        let parameter = match &error {
            SignatureError::Missing { name } | SignatureError::Invalid { name, .. } => Some(*name),
            _ => None,
        };
        let refusal = Self::of(signature_code(&error), &error);
        Self {
            parameter,
            ..refusal
        }
    }
}

signature_code!(nobody: InstanceNotFound);

fn parameter_code(error: &ParameterError) -> Code {
    match error {
        ParameterError::Escape { .. } | ParameterError::Twice { .. } | ParameterError::TooMany => {
            Code::InvalidForm
        }
    }
}

fn request_body_code(error: &RequestBodyError) -> Code {
    match error {
        RequestBodyError::TooLarge { .. } => Code::RequestTooLarge,
        RequestBodyError::Late { .. } => Code::RequestTimeout,
        RequestBodyError::Broken { .. } => Code::InvalidForm,
    }
}

/// What is left to say of an error that names no thing of the API.
fn by_kind(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Retry | ErrorKind::Fault => Code::OnsSystemError,
        ErrorKind::Request | ErrorKind::NotFound | ErrorKind::Limit => Code::BizFieldCheckInvalid,
        ErrorKind::Denied => Code::ForbiddenRam,
    }
}

fn create_topic_code(error: &CreateTopicError) -> Code {
    match error {
        CreateTopicError::OtherType { .. } => Code::BizTopicExisted,
        CreateTopicError::Queues { .. }
        | CreateTopicError::Name { .. }
        | CreateTopicError::Shrink { .. }
        | CreateTopicError::Locked(_)
        | CreateTopicError::TooMany { .. }
        | CreateTopicError::Metadata { .. } => by_kind(error.kind()),
    }
}

fn delete_topic_code(error: &DeleteTopicError) -> Code {
    match error {
        DeleteTopicError::TopicNotFound(_) => Code::BizTopicNotFound,
        DeleteTopicError::Locked(_) | DeleteTopicError::Metadata { .. } => Code::OnsSystemError,
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

fn append_code(error: &AppendError) -> Code {
    match error {
        AppendError::Busy { .. } => Code::ThrottlingUser,
        AppendError::Full { .. }
        | AppendError::Poisoned { .. }
        | AppendError::Closed { .. }
        | AppendError::TooLarge { .. } => Code::OnsSystemError,
    }
}

fn offset_code(error: &OffsetError) -> Code {
    match error {
        OffsetError::TopicNotFound(_) => Code::BizTopicNotFound,
        OffsetError::GroupNotFound(_) => Code::BizSubscriptionNotFound,
        OffsetError::CreateGroup(error) => create_group_code(error),
        OffsetError::QueueNotFound(_) => Code::BizFieldCheckInvalid,
        OffsetError::Log { source, .. } => append_code(source),
        OffsetError::State { .. } => Code::OnsSystemError,
    }
}

fn progress_code(error: &ProgressError) -> Code {
    match error {
        ProgressError::TooMany { .. } => Code::ThrottlingUser,
        ProgressError::State(_) => Code::OnsSystemError,
    }
}

fn query_code(error: &QueryError) -> Code {
    match error {
        QueryError::TopicNotFound(_) => Code::BizTopicNotFound,
        QueryError::MessageNotFound { .. } | QueryError::IdNotFound { .. } => Code::BizNoMessage,
        QueryError::Read { .. } | QueryError::State(_) => Code::OnsSystemError,
    }
}

fn browse_code(error: &BrowseError) -> Code {
    match error {
        BrowseError::Offset(error) => offset_code(error),
        BrowseError::Pull(error) => by_kind(error.kind()),
    }
}

fn dead_letter_code(error: &DeadLetterError) -> Code {
    match error {
        DeadLetterError::GroupNotFound(_) => Code::BizSubscriptionNotFound,
        DeadLetterError::NotFound { .. } => Code::BizNoMessage,
        DeadLetterError::Read(error) => query_code(error),
        DeadLetterError::Browse(error) => browse_code(error),
        DeadLetterError::NoOrigin { .. } | DeadLetterError::NeverReceived { .. } => {
            Code::BizFieldCheckInvalid
        }
        DeadLetterError::TooMany { .. } => Code::ThrottlingUser,
        DeadLetterError::CreateTopic(error) => create_topic_code(error),
        DeadLetterError::Send(error) => by_kind(error.kind()),
        DeadLetterError::Log { source, .. } => append_code(source),
        DeadLetterError::Message { .. } | DeadLetterError::State(_) => Code::OnsSystemError,
    }
}

fn reset_offset_code(error: &ResetOffsetError) -> Code {
    match error {
        ResetOffsetError::Offset(error) => offset_code(error),
        ResetOffsetError::GroupNotFound(_) => Code::BizSubscriptionNotFound,
        ResetOffsetError::OutOfRange { .. }
        | ResetOffsetError::NoQueue { .. }
        | ResetOffsetError::TooLongAgo { .. } => Code::BizFieldCheckInvalid,
        ResetOffsetError::Progress(error) => progress_code(error),
    }
}

fn trend_code(error: &TrendError) -> Code {
    match error {
        TrendError::TopicNotFound(_) => Code::BizTopicNotFound,
        TrendError::GroupNotFound(_) => Code::BizSubscriptionNotFound,
        TrendError::State { .. } => Code::OnsSystemError,
    }
}

fn ask_member_code(error: &AskMemberError) -> Code {
    match error {
        AskMemberError::Ask(AskError::NotConnected { .. }) => Code::BizConsumerNotOnline,
        AskMemberError::Ask(AskError::Unreachable { .. } | AskError::Silent { .. })
        | AskMemberError::Refused { .. }
        | AskMemberError::Failed { .. }
        | AskMemberError::Answer { .. } => Code::OnsInvokeError,
    }
}

fn instance_code(_: &InstanceNotFound) -> Code {
    Code::InstanceNotFound
}

fn create_instance_code(error: &CreateInstanceError) -> Code {
    match error {
        CreateInstanceError::NoSeries
        | CreateInstanceError::Text(_)
        | CreateInstanceError::Plan(_)
        | CreateInstanceError::Nodes(_)
        | CreateInstanceError::PlanOfSeries { .. }
        | CreateInstanceError::SeriesClosed
        | CreateInstanceError::TooMany { .. }
        | CreateInstanceError::Stopping
        | CreateInstanceError::Host { .. }
        | CreateInstanceError::Metadata { .. } => by_kind(error.kind()),
    }
}

fn update_instance_code(error: &UpdateInstanceError) -> Code {
    match error {
        UpdateInstanceError::NotFound(_) => Code::InstanceNotFound,
        UpdateInstanceError::Text(_)
        | UpdateInstanceError::Plan(_)
        | UpdateInstanceError::Nodes(_)
        | UpdateInstanceError::Busy { .. }
        | UpdateInstanceError::Locked(_)
        | UpdateInstanceError::NoSubscription { .. }
        | UpdateInstanceError::Stopping
        | UpdateInstanceError::Metadata { .. } => by_kind(error.kind()),
    }
}

fn delete_instance_code(error: &DeleteInstanceError) -> Code {
    match error {
        DeleteInstanceError::NotFound(_) => Code::InstanceNotFound,
        DeleteInstanceError::NotEmpty { .. } => Code::InstanceNotEmpty,
        DeleteInstanceError::Default { .. }
        | DeleteInstanceError::OwnNodes { .. }
        | DeleteInstanceError::Busy { .. }
        | DeleteInstanceError::Locked(_)
        | DeleteInstanceError::Subscribed { .. }
        | DeleteInstanceError::Stopping
        | DeleteInstanceError::Host { .. }
        | DeleteInstanceError::Metadata { .. } => by_kind(error.kind()),
    }
}

fn shard_code(_: &ShardNotHere) -> Code {
    Code::OnsSystemError
}

refusals! {
    ParameterError => parameter_code;
    RequestBodyError => request_body_code;
    CreateTopicError => create_topic_code;
    DeleteTopicError => delete_topic_code;
    CreateGroupError => create_group_code;
    CreateInstanceError => create_instance_code;
    UpdateInstanceError => update_instance_code;
    DeleteInstanceError => delete_instance_code;
    OffsetError => offset_code;
    ProgressError => progress_code;
    QueryError => query_code;
    BrowseError => browse_code;
    DeadLetterError => dead_letter_code;
    ResetOffsetError => reset_offset_code;
    TrendError => trend_code;
    AskMemberError => ask_member_code;
    InstanceNotFound => instance_code;
    ShardNotHere => shard_code;
}
