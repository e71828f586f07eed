//! Who sends an HTTP request, and whether they may.
//!
//! Every request carries `Authorization: MQ <access key>:<signature>`; what is signed is in
//! [`wire::ons_http::string_to_sign`]. It does not cover the body, but for its `Content-MD5` where
//! there is one.

use broker::access::{Action, ActionSet, NotAuthenticated, ResourceKind, Wanted};
use http::{header, request::Parts};
use wire::ons_http::{SECURITY_TOKEN_HEADER, credential, string_to_sign};

use super::{
    call::{Call, Verb, resource},
    status::{Code, Refusal},
};
use crate::{
    access::{Caller, is_guarded},
    http::header_text,
};

const PUB: ActionSet = ActionSet::of(&[Action::Pub]);
const SUB: ActionSet = ActionSet::of(&[Action::Sub]);

/// Checks that the request comes from somebody who may ask it.
pub(super) fn check(call: &Call<'_>, head: &Parts) -> Result<(), Refusal> {
    if !is_guarded(call.front, call.connection) {
        return Ok(());
    }
    let authorization = header_text(head, header::AUTHORIZATION);
    if authorization.is_empty() && call.instance.access().is_on() {
        let text = "header `authorization` is missing, expected `MQ <access key>:<signature>`";
        return Err(Refusal::new(Code::MissingAuthorizationHeader, text));
    }
    let Some(signed) = credential(authorization) else {
        if !call.instance.access().is_on() {
            return Ok(());
        }
        let text = "header `authorization` is not of the form `MQ <access key>:<signature>`";
        return Err(Refusal::new(Code::InvalidAuthorizationHeader, text));
    };
    let headers: Vec<(&str, &str)> = head
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let content = string_to_sign(head.method.as_str(), &headers, resource(head));
    let caller = Caller::of(
        (call.front, call.connection),
        &call.instance,
        signed.access_key,
        [content.as_bytes()],
        &signed.signature,
    )?;
    let Some(caller) = caller else {
        return Ok(());
    };
    // A token that nobody issued proves nothing; taken in silence, it would seem to.
    if !header_text(head, SECURITY_TOKEN_HEADER).is_empty() {
        let user = signed.access_key.to_owned();
        return Err(NotAuthenticated::SessionToken { user }.into());
    }
    let topic = |any_of| Wanted {
        kind: ResourceKind::Topic,
        name: call.topic.as_str(),
        any_of,
    };
    match call.verb {
        // The group of a producer is a name, and needs no permission.
        Verb::Send | Verb::ReceiveHalf | Verb::EndTransaction(_) => caller.may_topic(topic(PUB))?,
        Verb::Receive { .. } | Verb::Ack => {
            let group = call.group().as_str();
            caller.may(Wanted {
                kind: ResourceKind::Group,
                name: group,
                any_of: SUB,
            })?;
            caller.may_topic_of(group, topic(SUB))?;
        }
    }
    Ok(())
}
