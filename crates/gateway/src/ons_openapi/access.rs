//! Who sends a request of the OpenAPI, and whether they may.
//!
//! Access keys are the users of the default instance. Where that has no access control, or on a
//! listener whose clients need no credentials, a request is taken from anybody and its signature is
//! not looked at, as over every other protocol.

use std::sync::Arc;

use base::{InstanceId, limits};
use broker::access::{NotAuthenticated, Operation, User};

use super::{
    call::Call,
    operations::Subject,
    signature,
    status::{Code, Refusal},
    tags,
};
use crate::{
    ConnectionInfo, Front,
    access::{is_guarded, origin},
};

/// How much is shown of what should have been signed.
const SHOWN_CHARACTERS: usize = 4_096;

/// The user who signed a request; `None` where nobody need sign.
pub(super) fn authenticate(
    front: &Front,
    connection: &ConnectionInfo,
    request: &signature::Request<'_>,
) -> Result<Option<Arc<User>>, Refusal> {
    let default = front.router.instance(&front.settings.default_instance)?;
    let access = default.access();
    if !is_guarded(front, connection) || !access.is_on() {
        return Ok(None);
    }
    let signed = signature::read(request)?;
    let content = [signed.content.as_bytes()];
    let (key, signature) = (signed.access_key.as_str(), signed.signature.as_slice());
    let user = access.authenticate_by(signed.method, key, content, signature);
    let user = user.map_err(|error| match error {
        // Compat: aliyun-python-sdk-core 2.16.1 takes what is behind the colon for the text that
        // the server wants signed. Where it is the client's too, the secret is the wrong one.
        NotAuthenticated::Signature => {
            let shown: String = signed.content.chars().take(SHOWN_CHARACTERS).collect();
            let text = format!("signature is not that of the user, string to sign is:{shown}");
            Refusal::new(Code::SignatureDoesNotMatch, text)
        }
        other => other.into(),
    })?;
    // A token that nobody issued proves nothing; taken in silence, it would seem to.
    if signed.has_token {
        let user = signed.access_key;
        return Err(NotAuthenticated::SessionToken { user }.into());
    }
    let now = front.clock.now();
    let off_ms = signed.sent_ms.abs_diff(now.ms());
    if off_ms > limits::OPENAPI_TIME_MS_OFF_MAX {
        let (off, max) = (off_ms / 1_000, limits::OPENAPI_TIME_MS_OFF_MAX / 1_000);
        let text = format!("time of the request is {off} s off the time here, at most {max} s");
        return Err(Refusal::new(Code::InvalidTimeStampExpired, text));
    }
    // Only what is signed is remembered: nobody else can fill the memory.
    let nonces = &front.openapi_nonces;
    nonces.note(user.name(), &signed.nonce, signed.sent_ms, now)?;
    Ok(Some(user))
}

/// Checks that the sender may ask for the operation: a super user, which is the account, may;
/// others what their RAM-style policies allow.
pub(super) fn check(call: &Call) -> Result<(), Refusal> {
    let Some(user) = &call.user else {
        return Ok(());
    };
    let origin = origin(&call.front, &call.connection);
    let may = |instance: Option<&InstanceId>, resource: Option<&str>| {
        let operation = Operation {
            name: call.operation.name,
            instance,
            resource,
        };
        user.may_operate(&operation, &origin)
            .map_err(|error| Refusal::of(Code::ForbiddenRam, &error))
    };
    match call.operation.subject {
        Subject::Account => may(None, None),
        Subject::Instance => may(Some(call.instance().id()), None),
        Subject::Topic => may(Some(call.instance().id()), call.text("Topic")),
        Subject::Group => may(Some(call.instance().id()), call.text("GroupId")),
        Subject::Tagged => {
            let kind = tags::Kind::of(call)?;
            let ids = call.list("ResourceId")?;
            // Where none is named, all of the kind are meant.
            match (kind, ids.is_empty()) {
                (tags::Kind::Instance, true) => may(None, None),
                (tags::Kind::Topic | tags::Kind::Group, true) => {
                    may(Some(call.instance().id()), None)
                }
                (tags::Kind::Instance, false) => ids.into_iter().try_for_each(|id| {
                    let id = InstanceId::new(id);
                    let id = id.map_err(|error| Refusal::field("ResourceId", error))?;
                    may(Some(&id), None)
                }),
                (tags::Kind::Topic | tags::Kind::Group, false) => {
                    let instance = call.instance().id();
                    ids.into_iter()
                        .try_for_each(|id| may(Some(instance), Some(id)))
                }
            }
        }
    }
}
