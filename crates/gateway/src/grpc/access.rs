//! Who sends a gRPC request, and whether they may.
//!
//! Every call carries `authorization: MQv2-HMAC-SHA1 Credential=<access key>[/...],
//! SignedHeaders=x-mq-date-time, Signature=<hex>`; the signature is HMAC-SHA1 over the value of
//! `x-mq-date-time`. How old that is says nothing: SDKs write local times as universal ones.
//! Source: `DefaultAuthenticationContextBuilder` and `DefaultAuthorizationContextBuilder` of
//! RocketMQ 5.5.0, which answer UNAUTHORIZED to everything; here a known user who may not do what
//! it asks is told FORBIDDEN, which SDKs tell apart.

use std::sync::Arc;

use broker::{
    Instance,
    access::{Action, ActionSet, NotAuthenticated, ResourceKind, Wanted},
};

use super::{
    call::Call,
    names::{self, Resource},
    status::Refusal,
};
use crate::access::{self, Caller, is_guarded};

const AUTHORIZATION: &str = "authorization";
const DATE_TIME: &str = "x-mq-date-time";

/// What SDKs send with temporary keys (`SessionCredentials` of the Java SDK 5.2.0). Not signed.
const SESSION_TOKEN: &str = "x-mq-session-token";

/// To send.
pub(crate) const PUB: ActionSet = ActionSet::of(&[Action::Pub]);
/// To consume.
pub(crate) const SUB: ActionSet = ActionSet::of(&[Action::Sub]);
/// To send or to consume.
pub(crate) const PUB_SUB: ActionSet = ActionSet::of(&[Action::Pub, Action::Sub]);

/// Bytes of an HMAC-SHA1.
const SIGNATURE_BYTES: usize = 20;

/// One thing that a request needs.
pub(crate) struct Need<'r> {
    kind: ResourceKind,
    /// Namespace and name.
    resource: (&'r str, &'r str),
    any_of: ActionSet,
}

/// A topic.
pub(crate) fn topic<R: Resource>(resource: Option<&R>, any_of: ActionSet) -> Need<'_> {
    Need {
        kind: ResourceKind::Topic,
        resource: names::parts(resource),
        any_of,
    }
}

/// A group to consume in.
pub(crate) fn group<R: Resource>(resource: Option<&R>) -> Need<'_> {
    Need {
        kind: ResourceKind::Group,
        resource: names::parts(resource),
        any_of: SUB,
    }
}

/// A group to do something else with.
pub(crate) fn group_to<R: Resource>(resource: Option<&R>, any_of: ActionSet) -> Need<'_> {
    Need {
        any_of,
        ..group(resource)
    }
}

/// The server as a whole.
pub(crate) fn cluster(any_of: ActionSet) -> Need<'static> {
    Need {
        kind: ResourceKind::Cluster,
        resource: ("", ""),
        any_of,
    }
}

/// A request that can say what it needs.
pub(crate) trait Guarded {
    /// What it needs, besides a sender. What names nothing is refused by its verb.
    fn needs(&self) -> Vec<Need<'_>>;
}

/// What each request of a protocol needs: its name, a name for it in what follows, and that.
macro_rules! guarded {
    ($protocol:ident; $($request:ident($this:ident) => $needs:expr;)*) => {
        $(impl $crate::grpc::access::Guarded for $protocol::$request {
            fn needs(&self) -> Vec<$crate::grpc::access::Need<'_>> {
                let $this = self;
                $needs
            }
        })*
    };
}

pub(crate) use guarded;

/// Checks that the request comes from somebody who may ask it.
pub(crate) fn check(call: &Call, request: &impl Guarded) -> Result<(), Refusal> {
    check_in(call, request).map(drop)
}

/// Does the work of a request that was let in and may wait, as long as its sender may ask it.
pub(crate) async fn while_allowed<R: Guarded + Clone, T>(
    call: &Call,
    request: R,
    work: impl AsyncFnOnce(R) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    match check_in(call, &request)? {
        None => work(request).await,
        Some(instance) => {
            let check = || check(call, &request);
            // A future that is handed on is there twice: boxed, or every long poll has room for it.
            let work = Box::pin(work(request.clone()));
            access::while_allowed(&call.front, &instance, check, work).await
        }
    }
}

/// The same, and the instance that the request is to, where that has access control.
fn check_in(call: &Call, request: &impl Guarded) -> Result<Option<Arc<Instance>>, Refusal> {
    if !is_guarded(&call.front, &call.connection) {
        return Ok(None);
    }
    let needs = request.needs();
    let mut instance = None;
    let mut named = Vec::with_capacity(needs.len());
    for need in &needs {
        let (named_instance, name) = names::parse(call, need.resource);
        match call
            .front
            .settle([instance.clone(), named_instance.clone()])
        {
            Ok(settled) if named_instance.is_some() => instance = Some(settled),
            Ok(_) => {}
            Err(error) => {
                // Told to those who are believed.
                check_believed(call)?;
                return Err(error.into());
            }
        }
        named.push(name);
    }
    let instance = match instance {
        Some(instance) => instance,
        None => names::claimed(call)?,
    };
    let Some(caller) = caller(call, &instance)? else {
        return Ok(None);
    };
    let mut group = "";
    for (need, name) in needs.iter().zip(&named) {
        if need.kind == ResourceKind::Cluster {
            caller.may_cluster(need.any_of)?;
            continue;
        }
        if name.is_empty() {
            continue;
        }
        let wanted = Wanted {
            kind: need.kind,
            name,
            any_of: need.any_of,
        };
        if need.kind == ResourceKind::Group {
            group = name;
            caller.may(wanted)?;
        } else {
            caller.may_topic_of(group, wanted)?;
        }
    }
    caller.may_enter()?;
    drop(caller);
    Ok(Some(instance))
}

/// Checks that the request comes from somebody whom the default instance knows.
pub(crate) fn check_believed(call: &Call) -> Result<(), Refusal> {
    check_known(call, &*call.front.settle([])?)
}

/// Checks that the request comes from somebody whom that instance knows.
pub(crate) fn check_known(call: &Call, instance: &Instance) -> Result<(), Refusal> {
    if is_guarded(&call.front, &call.connection) {
        caller(call, instance)?;
    }
    Ok(())
}

fn caller<'i>(call: &Call, instance: &'i Instance) -> Result<Option<Caller<'i>>, NotAuthenticated> {
    let (name, signature) = credential(call.text(AUTHORIZATION));
    let content = call.text(DATE_TIME).as_bytes();
    let place = (&*call.front, &call.connection);
    let caller = Caller::of(place, instance, name, [content], &signature)?;
    // A token that nobody issued proves nothing; taken in silence, it would seem to.
    if caller.is_some() && !call.text(SESSION_TOKEN).is_empty() {
        let user = name.to_owned();
        return Err(NotAuthenticated::SessionToken { user });
    }
    Ok(caller)
}

/// Access key and signature of an authorization; empty where it has none.
fn credential(authorization: &str) -> (&str, Vec<u8>) {
    let (mut name, mut signature) = ("", Vec::new());
    let (_, parts) = authorization.split_once(' ').unwrap_or_default();
    for (key, value) in parts
        .split(',')
        .filter_map(|part| part.trim().split_once('='))
    {
        match key {
            "Credential" => name = value.split('/').next().unwrap_or_default(),
            "Signature" => signature = from_hex(value).unwrap_or_default(),
            _ => {}
        }
    }
    (name, signature)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 2 * SIGNATURE_BYTES || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let bytes = (0..SIGNATURE_BYTES).map(|at| {
        let digits = text.get(2 * at..2 * at + 2)?;
        u8::from_str_radix(digits, 16).ok()
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorizations_are_read_as_sdks_write_them() {
        let hex = "00FF".repeat(10);
        let signature = [0x00, 0xff].repeat(10);
        for credential_text in ["ak", "ak/cn-test/RocketMQ"] {
            let text = format!(
                "MQv2-HMAC-SHA1 Credential={credential_text}, SignedHeaders=x-mq-date-time, \
                 Signature={hex}"
            );
            assert_eq!(credential(&text), ("ak", signature.clone()));
        }
        for wrong in [
            "",
            "MQv2-HMAC-SHA1",
            "x y z",
            "x Credential=,Signature=00",
            "x Signature=\u{e9}",
        ] {
            assert_eq!(credential(wrong), ("", Vec::new()), "{wrong}");
        }
        assert_eq!(from_hex(&"+1".repeat(20)), None);
    }
}
