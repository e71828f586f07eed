//! The one table from errors to the codes of the API: no match here has a wildcard, so that a new
//! error does not compile until it has a code.
//!
//! Source: the codes that the vendor's gateway has for all APIs, and its form of those of one API,
//! a subject and what is wrong with it.

use std::{error::Error, fmt::Display};

use base::{ErrorKind, stdx::with_causes};
use broker::{
    AskError, BrowseError, CreateGroupError, CreateInstanceError, CreateTopicError,
    DeleteInstanceError, DeleteTopicError, InspectionError, InstanceNotFound, OffsetError,
    ProgressError, PullError, QueryError, ResetOffsetError, SendError, ShardNotHere,
    UpdateInstanceError,
    access::{AccessError, PolicyError, SourceError},
    plan::PlanError,
};
use control::{AnnounceError, PublishError, UpdateError, UpdateInProgress};
use store::log::AppendError;
use wire::openapi::ParameterError;

use crate::{
    client_answer::AskMemberError,
    openapi_request::{SignatureError, signature_code},
    refusal::{http_codes, refusals},
    request_body::RequestBodyError,
};

http_codes! {
    /// Nothing is at the path, or it is another operation than the request says.
    InvalidAction = "InvalidAction.NotFound", NOT_FOUND;
    /// Another method is at the path.
    MethodNotAllowed = "InvalidAction.MethodNotAllowed", METHOD_NOT_ALLOWED;
    /// The service has it, this server has not.
    OperationNotSupported = "Operation.NotSupported", NOT_FOUND;
    /// A name in the path cannot be read.
    InvalidPath = "InvalidPath", BAD_REQUEST;
    /// The query cannot be read.
    InvalidQuery = "InvalidQuery", BAD_REQUEST;
    /// The body cannot be read.
    InvalidBody = "InvalidBody", BAD_REQUEST;
    /// A parameter is missing.
    MissingParameter = "MissingParameter", BAD_REQUEST;
    /// A parameter is not as it must be.
    InvalidParameter = "InvalidParameter", BAD_REQUEST;
    /// Query or body are longer than they may be.
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
    NoPermission = "NoPermission", FORBIDDEN;
    /// More requests than a user may make.
    ThrottlingUser = "Throttling.User", BAD_REQUEST;
    /// There is no such instance.
    InstanceNotFound = "Instance.NotFound", NOT_FOUND;
    /// An instance is deleted only when nothing is in it.
    InstanceNotEmpty = "Instance.NotEmpty", CONFLICT;
    /// An instance is deleted only when nobody pays for it.
    InstanceSubscribed = "Instance.Subscribed", CONFLICT;
    /// An instance stays as it is while it is updated.
    InstanceUpdating = "Instance.Updating", CONFLICT;
    /// Only instances of the ultimate edition have updates of their own.
    InstanceNotManaged = "Instance.NoVersionManagement", BAD_REQUEST;
    /// There is no such task.
    UpdateTaskNotFound = "UpdateTask.NotFound", NOT_FOUND;
    /// The task is past that, or cannot be cancelled.
    UpdateTaskState = "UpdateTask.InvalidStatus", CONFLICT;
    /// There is such a release already.
    ReleaseExisted = "Release.Existed", CONFLICT;
    /// The binary is not what its signature, or the release, says.
    ReleaseRefused = "Release.Invalid", BAD_REQUEST;
    /// An instance is made or changed, which must be finished before.
    InstanceBusy = "Instance.Busy", CONFLICT;
    /// As many as there may be.
    InstanceQuota = "Instance.QuotaExceeded", FORBIDDEN;
    /// There is no such topic.
    TopicNotFound = "Topic.NotFound", NOT_FOUND;
    /// There is such a topic already.
    TopicExisted = "Topic.Existed", CONFLICT;
    /// As many as there may be.
    TopicQuota = "Topic.QuotaExceeded", FORBIDDEN;
    /// There is no such group.
    GroupNotFound = "ConsumerGroup.NotFound", NOT_FOUND;
    /// There is such a group already.
    GroupExisted = "ConsumerGroup.Existed", CONFLICT;
    /// As many as there may be.
    GroupQuota = "ConsumerGroup.QuotaExceeded", FORBIDDEN;
    /// Somebody subscribes now.
    SubscriptionOnline = "Subscription.Online", CONFLICT;
    /// Nobody subscribes so.
    SubscriptionNotFound = "Subscription.NotFound", NOT_FOUND;
    /// No message is what was asked for.
    MessageNotFound = "Message.NotFound", NOT_FOUND;
    /// There is no such LiteTopic.
    LiteTopicNotFound = "LiteTopic.NotFound", NOT_FOUND;
    /// The consumer is not connected.
    ClientNotFound = "Client.NotFound", NOT_FOUND;
    /// A client did not do what it was asked for.
    ClientFailed = "Client.Failed", BAD_REQUEST;
    /// There is no such user.
    AccountNotFound = "Account.NotFound", NOT_FOUND;
    /// There is such a user already.
    AccountExisted = "Account.Existed", CONFLICT;
    /// Somebody must be able to let others in.
    AccountLast = "Account.LastDefault", CONFLICT;
    /// Nothing is said of this.
    AclNotFound = "Acl.NotFound", NOT_FOUND;
    /// Something is said of this already.
    AclExisted = "Acl.Existed", CONFLICT;
    /// The address is not in the list.
    WhitelistNotFound = "IpWhitelist.NotFound", NOT_FOUND;
    /// The instance is not inspected.
    InspectionNotFound = "Inspection.NotFound", NOT_FOUND;
    /// The instance is inspected already.
    InspectionExisted = "Inspection.Existed", CONFLICT;
    /// Somebody else has changed the inspection meanwhile.
    InspectionRevision = "Inspection.RevisionConflict", CONFLICT;
    /// The instance is being inspected.
    InspectionRunning = "Inspection.Running", CONFLICT;
    /// There is no such run, or none any more.
    InspectionRunNotFound = "InspectionRun.NotFound", NOT_FOUND;
    /// There is no such report, or none any more.
    ReportNotFound = "InspectionReport.NotFound", NOT_FOUND;
    /// A token was used for another request.
    TokenMismatch = "IdempotentParameterMismatch", BAD_REQUEST;
    /// As many as there may be.
    QuotaExceeded = "QuotaExceeded", FORBIDDEN;
    /// It may be done later.
    ServiceUnavailable = "ServiceUnavailable", SERVICE_UNAVAILABLE;
    /// The fault is the server's.
    InternalError = "InternalError", INTERNAL_SERVER_ERROR;
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

    /// A parameter is not there.
    pub(super) fn missing(parameter: &'static str) -> Self {
        Self {
            code: Code::MissingParameter,
            parameter: Some(parameter),
            text: format!("parameter `{parameter}` is missing"),
        }
    }

    /// A parameter is not of its type, or not one of the words that it may be.
    pub(super) fn invalid(parameter: &'static str, value: &str, expected: &str) -> Self {
        let value: String = value.chars().take(64).collect();
        Self::field(parameter, format!("`{value}`, expected {expected}"))
    }

    /// A parameter is of its type, but its value cannot be.
    pub(super) fn field(parameter: &'static str, reason: impl Display) -> Self {
        Self {
            code: Code::InvalidParameter,
            parameter: Some(parameter),
            text: format!("parameter `{parameter}`: {reason}"),
        }
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    pub(super) fn parameter(&self) -> Option<&'static str> {
        self.parameter
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

signature_code!(nobody: InternalError);

fn parameter_code(error: &ParameterError) -> Code {
    match error {
        ParameterError::Escape { .. } | ParameterError::Twice { .. } | ParameterError::TooMany => {
            Code::InvalidQuery
        }
    }
}

fn request_body_code(error: &RequestBodyError) -> Code {
    match error {
        RequestBodyError::TooLarge { .. } => Code::RequestTooLarge,
        RequestBodyError::Late { .. } => Code::RequestTimeout,
        RequestBodyError::Broken { .. } => Code::InvalidBody,
    }
}

/// What is left to say of an error that names no thing of the API.
fn by_kind(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Retry => Code::ServiceUnavailable,
        ErrorKind::Fault => Code::InternalError,
        ErrorKind::Request | ErrorKind::NotFound => Code::InvalidParameter,
        ErrorKind::Limit => Code::QuotaExceeded,
        ErrorKind::Denied => Code::NoPermission,
    }
}

fn create_topic_code(error: &CreateTopicError) -> Code {
    match error {
        CreateTopicError::OtherType { .. } => Code::TopicExisted,
        CreateTopicError::Locked(_) => Code::InstanceUpdating,
        CreateTopicError::TooMany { .. } => Code::TopicQuota,
        CreateTopicError::Queues { .. }
        | CreateTopicError::Name { .. }
        | CreateTopicError::Shrink { .. }
        | CreateTopicError::Metadata { .. } => by_kind(error.kind()),
    }
}

fn delete_topic_code(error: &DeleteTopicError) -> Code {
    match error {
        DeleteTopicError::TopicNotFound(_) => Code::TopicNotFound,
        DeleteTopicError::Locked(_) => Code::InstanceUpdating,
        DeleteTopicError::Metadata { .. } => Code::ServiceUnavailable,
    }
}

fn create_group_code(error: &CreateGroupError) -> Code {
    match error {
        CreateGroupError::Locked(_) => Code::InstanceUpdating,
        CreateGroupError::TooMany { .. } => Code::GroupQuota,
        CreateGroupError::Attempts { .. }
        | CreateGroupError::Name { .. }
        | CreateGroupError::Metadata { .. } => by_kind(error.kind()),
    }
}

fn append_code(error: &AppendError) -> Code {
    match error {
        AppendError::Busy { .. } => Code::ThrottlingUser,
        AppendError::Full { .. } | AppendError::Poisoned { .. } | AppendError::Closed { .. } => {
            Code::ServiceUnavailable
        }
        AppendError::TooLarge { .. } => Code::InvalidParameter,
    }
}

fn offset_code(error: &OffsetError) -> Code {
    match error {
        OffsetError::TopicNotFound(_) => Code::TopicNotFound,
        OffsetError::GroupNotFound(_) => Code::GroupNotFound,
        OffsetError::CreateGroup(error) => create_group_code(error),
        OffsetError::QueueNotFound(_) => Code::InvalidParameter,
        OffsetError::Log { source, .. } => append_code(source),
        OffsetError::State { .. } => Code::InternalError,
    }
}

fn progress_code(error: &ProgressError) -> Code {
    match error {
        ProgressError::TooMany { .. } => Code::ThrottlingUser,
        ProgressError::State(_) => Code::InternalError,
    }
}

fn query_code(error: &QueryError) -> Code {
    match error {
        QueryError::TopicNotFound(_) => Code::TopicNotFound,
        QueryError::MessageNotFound { .. } | QueryError::IdNotFound { .. } => Code::MessageNotFound,
        QueryError::Read { .. } | QueryError::State(_) => Code::InternalError,
    }
}

fn browse_code(error: &BrowseError) -> Code {
    match error {
        BrowseError::Offset(error) => offset_code(error),
        BrowseError::Pull(error) => pull_code(error),
    }
}

fn pull_code(error: &PullError) -> Code {
    by_kind(error.kind())
}

fn send_code(error: &SendError) -> Code {
    match error {
        SendError::TopicNotFound(_) => Code::TopicNotFound,
        other => by_kind(other.kind()),
    }
}

fn reset_offset_code(error: &ResetOffsetError) -> Code {
    match error {
        ResetOffsetError::Offset(error) => offset_code(error),
        ResetOffsetError::GroupNotFound(_) => Code::GroupNotFound,
        ResetOffsetError::OutOfRange { .. }
        | ResetOffsetError::NoQueue { .. }
        | ResetOffsetError::TooLongAgo { .. } => Code::InvalidParameter,
        ResetOffsetError::Progress(error) => progress_code(error),
    }
}

fn ask_member_code(error: &AskMemberError) -> Code {
    match error {
        AskMemberError::Ask(AskError::NotConnected { .. }) => Code::ClientNotFound,
        AskMemberError::Ask(AskError::Unreachable { .. } | AskError::Silent { .. })
        | AskMemberError::Refused { .. }
        | AskMemberError::Failed { .. }
        | AskMemberError::Answer { .. } => Code::ClientFailed,
    }
}

fn instance_code(_: &InstanceNotFound) -> Code {
    Code::InstanceNotFound
}

fn create_instance_code(error: &CreateInstanceError) -> Code {
    match error {
        CreateInstanceError::TooMany { .. } => Code::InstanceQuota,
        CreateInstanceError::NoSeries
        | CreateInstanceError::PlanOfSeries { .. }
        | CreateInstanceError::SeriesClosed
        | CreateInstanceError::Plan(_)
        | CreateInstanceError::Nodes(_)
        | CreateInstanceError::Text(_)
        | CreateInstanceError::Stopping
        | CreateInstanceError::Host { .. }
        | CreateInstanceError::Metadata { .. } => by_kind(error.kind()),
    }
}

fn update_instance_code(error: &UpdateInstanceError) -> Code {
    match error {
        UpdateInstanceError::NotFound(_) => Code::InstanceNotFound,
        UpdateInstanceError::Busy { .. } => Code::InstanceBusy,
        UpdateInstanceError::Locked(_) => Code::InstanceUpdating,
        UpdateInstanceError::Text(_)
        | UpdateInstanceError::Plan(_)
        | UpdateInstanceError::Nodes(_)
        | UpdateInstanceError::NoSubscription { .. }
        | UpdateInstanceError::Stopping
        | UpdateInstanceError::Metadata { .. } => by_kind(error.kind()),
    }
}

fn delete_instance_code(error: &DeleteInstanceError) -> Code {
    match error {
        DeleteInstanceError::NotFound(_) => Code::InstanceNotFound,
        DeleteInstanceError::NotEmpty { .. } => Code::InstanceNotEmpty,
        DeleteInstanceError::Busy { .. } => Code::InstanceBusy,
        DeleteInstanceError::Locked(_) => Code::InstanceUpdating,
        DeleteInstanceError::Subscribed { .. } => Code::InstanceSubscribed,
        DeleteInstanceError::Default { .. }
        | DeleteInstanceError::OwnNodes { .. }
        | DeleteInstanceError::Stopping
        | DeleteInstanceError::Host { .. }
        | DeleteInstanceError::Metadata { .. } => by_kind(error.kind()),
    }
}

fn update_in_progress_code(_: &UpdateInProgress) -> Code {
    Code::InstanceUpdating
}

fn update_code(error: &UpdateError) -> Code {
    match error {
        // The instance is there; what is not is its version management.
        UpdateError::NotFound { .. } | UpdateError::NotManaged { .. } => Code::InstanceNotManaged,
        UpdateError::NoTask { .. } => Code::UpdateTaskNotFound,
        UpdateError::WrongState { .. }
        | UpdateError::NotCancellable { .. }
        | UpdateError::NotDue { .. } => Code::UpdateTaskState,
        UpdateError::InProgress(error) => update_in_progress_code(error),
        UpdateError::TimeOutOfBounds { .. }
        | UpdateError::AlreadyRegistered { .. }
        | UpdateError::NoWayBack { .. } => Code::InvalidParameter,
        UpdateError::Busy { .. } | UpdateError::Metadata(_) => Code::ServiceUnavailable,
    }
}

fn publish_code(error: &PublishError) -> Code {
    match error {
        PublishError::AlreadyPublished { .. } => Code::ReleaseExisted,
        PublishError::SignatureFormat { .. }
        | PublishError::WrongSignature { .. }
        | PublishError::UnknownKey { .. }
        | PublishError::Key(_)
        | PublishError::NoKey
        | PublishError::KeyNotTrusted { .. }
        | PublishError::VersionDiffers { .. }
        | PublishError::NoVersion { .. }
        | PublishError::Unreadable { .. }
        | PublishError::TooLarge { .. } => Code::ReleaseRefused,
        PublishError::TooMany { .. } => Code::QuotaExceeded,
        PublishError::NotesTooLong { .. } => Code::InvalidParameter,
        PublishError::Metadata(_) | PublishError::Stopping => Code::ServiceUnavailable,
        PublishError::Disk { .. } => Code::InternalError,
    }
}

fn announce_code(error: &AnnounceError) -> Code {
    match error {
        AnnounceError::Publish(error) => publish_code(error),
        AnnounceError::Tasks { source, .. } => update_code(source),
    }
}

fn access_code(error: &AccessError) -> Code {
    match error {
        AccessError::Exists => Code::AccountExisted,
        AccessError::NotFound | AccessError::SubjectNotFound { .. } | AccessError::NoSubject => {
            Code::AccountNotFound
        }
        AccessError::NoPolicies => Code::AclNotFound,
        AccessError::LastSuper { .. } => Code::AccountLast,
        AccessError::TooMany { .. } => Code::QuotaExceeded,
        AccessError::BlankName
        | AccessError::Name { .. }
        | AccessError::BlankSecret
        | AccessError::SecretTooLong { .. }
        | AccessError::Policy(_)
        | AccessError::Ram(_)
        | AccessError::RamExists { .. }
        | AccessError::RamNotFound { .. }
        | AccessError::RamAttached { .. }
        | AccessError::RamNotAttached { .. } => Code::InvalidParameter,
        AccessError::RamMetadata { .. }
        | AccessError::WhitelistMetadata { .. }
        | AccessError::Metadata { .. } => Code::ServiceUnavailable,
    }
}

fn inspection_code(error: &InspectionError) -> Code {
    match error {
        InspectionError::NotFound(_) => Code::InstanceNotFound,
        InspectionError::NotConfigured { .. } => Code::InspectionNotFound,
        InspectionError::Configured { .. } => Code::InspectionExisted,
        InspectionError::Revision { .. } => Code::InspectionRevision,
        InspectionError::Running { .. } => Code::InspectionRunning,
        InspectionError::RunNotFound { .. } => Code::InspectionRunNotFound,
        InspectionError::TokenUsed { .. } => Code::TokenMismatch,
        InspectionError::Value(_)
        | InspectionError::Stopping
        | InspectionError::Metadata { .. } => by_kind(error.kind()),
    }
}

fn plan_code(_: &PlanError) -> Code {
    Code::InvalidParameter
}

fn policy_code(_: &PolicyError) -> Code {
    Code::InvalidParameter
}

fn source_code(_: &SourceError) -> Code {
    Code::InvalidParameter
}

fn shard_code(_: &ShardNotHere) -> Code {
    Code::InternalError
}

refusals! {
    SignatureError => signature_code;
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
    PullError => pull_code;
    SendError => send_code;
    ResetOffsetError => reset_offset_code;
    AskMemberError => ask_member_code;
    UpdateInProgress => update_in_progress_code;
    UpdateError => update_code;
    AnnounceError => announce_code;
    AccessError => access_code;
    InspectionError => inspection_code;
    PlanError => plan_code;
    PolicyError => policy_code;
    SourceError => source_code;
    InstanceNotFound => instance_code;
    ShardNotHere => shard_code;
}
