//! Who sends a Remoting request, and whether they may.
//!
//! A signed request has the fields `AccessKey` and `Signature`; the signature is the Base64 of
//! HMAC-SHA1 over the values of all other fields, ordered by field name, then the body. That is how
//! clients of 3.x to 5.x and ONS clients sign; whatever further fields they add (`SecurityToken`,
//! `OnsChannel`) is signed too. Source: `DefaultAuthenticationContextBuilder` and `AclUtils` of
//! RocketMQ 5.5.0.

mod rules;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use broker::{
    Instance,
    access::{ActionSet, NotAllowed, NotAuthenticated, ResourceKind, Wanted},
};
use wire::remoting::{Command, RequestCode, ResponseCode};

use self::rules::{BodyNeed, Names, Rule};
use super::{
    connection::Connection,
    reply::{Answer, Refusal},
    route,
};
use crate::{
    access::{self, AccessDenied, Caller},
    instance::InstanceError,
};

/// Field that names the sender.
const ACCESS_KEY: &str = "AccessKey";

/// Field that holds the signature.
const SIGNATURE: &str = "Signature";

/// Compat: clients up to this version (4.9.3) add the field after they have signed.
/// Source: `MQVersion` of RocketMQ 5.5.0.
const UNSIGNED_FIELD_VERSION_MAX: i32 = 399;

/// See [`UNSIGNED_FIELD_VERSION_MAX`].
const UNSIGNED_FIELD: &str = "_UNIQUE_KEY_QUERY";

/// Field in which ONS clients say where they come from.
const ONS_CHANNEL: &str = "OnsChannel";

/// Compat: ons-client signs a constant of the class of its route requests, which it does not send.
/// Source: ons-client 1.8.8.8 on the wire.
const ONS_ROUTE_CONSTANT: (&str, &str) = ("split", "\u{1}");

/// Longest signature that is looked at: HMAC-SHA1 has 20 bytes.
const SIGNATURE_BYTES_MAX: usize = 64;

/// Checks that the request comes from somebody who may ask it. Returns the instance that it is to,
/// where that has access control.
pub(super) fn check(
    connection: &Connection,
    request: &Command,
    code: RequestCode,
) -> Result<Option<Arc<Instance>>, Refusal> {
    if !connection.is_guarded() {
        return Ok(None);
    }
    let needs = Needs::of(code, request);
    let (instance, disagreement) = instance_of(connection, request, needs.as_ref().ok())?;
    let caller = caller_in(connection, &instance, request)?;
    if let Some(disagreement) = disagreement {
        return Err(disagreement.into());
    }
    let Some(caller) = caller else {
        return Ok(None);
    };
    check_needs(connection, request, code, (&instance, &caller), needs?)?;
    drop(caller);
    Ok(Some(instance))
}

/// Does work that may wait, of a request that was let in to `instance`, as long as its sender may
/// ask it.
pub(super) async fn while_allowed(
    connection: &Connection,
    request: &Command,
    code: RequestCode,
    instance: &Instance,
    work: impl Future<Output = Answer>,
) -> Answer {
    let check = || check(connection, request, code).map(drop);
    access::while_allowed(&connection.front, instance, check, work).await
}

fn check_needs(
    connection: &Connection,
    request: &Command,
    code: RequestCode,
    (instance, caller): (&Instance, &Caller<'_>),
    needs: Needs,
) -> Result<(), Refusal> {
    let mut last_group = None;
    needs.each(request, &mut |name, names, any_of| {
        let plain = connection.front.plain_name(name).plain;
        let wanted = |kind| Wanted {
            kind,
            name: &plain,
            any_of,
        };
        match names {
            Names::Topic | Names::Topics(_) => caller.may_topic(wanted(ResourceKind::Topic))?,
            Names::TopicOfGroup => {
                let group = last_group.as_deref().unwrap_or_default();
                caller.may_topic_of(group, wanted(ResourceKind::Topic))?;
            }
            Names::Group | Names::Groups(_) => {
                // Compat: a group's retry topic stands for it here too.
                let group = plain.strip_prefix("%RETRY%").unwrap_or(&plain);
                caller.may(Wanted {
                    name: group,
                    ..wanted(ResourceKind::Group)
                })?;
                last_group = Some(group.to_owned());
            }
            Names::Instance => {}
        }
        Ok(())
    })?;
    match rules::of(code) {
        Rule::Fields(_) | Rule::Body(_) | Rule::Signed => Ok(caller.may_enter()?),
        Rule::Every(kind, any_of) => Ok(caller.may(Wanted {
            kind,
            name: "*",
            any_of,
        })?),
        Rule::Cluster(any_of) => Ok(caller.may_cluster(any_of)?),
        Rule::Route => {
            let topic = request.fields.get("topic").unwrap_or_default();
            let plain = connection.front.plain_name(topic).plain;
            if (plain.is_empty() || route::is_no_topic(instance, &plain)) && !caller.is_stranger() {
                return Ok(());
            }
            Ok(caller.may_topic(Wanted {
                kind: ResourceKind::Topic,
                name: &plain,
                any_of: rules::ROUTE,
            })?)
        }
        Rule::TopicOrCluster(any_of) => match topic_of(request) {
            Some(_) => Ok(()),
            None => Ok(caller.may_cluster(any_of)?),
        },
    }
}

/// Whether the sender of a request that was let in may do everything: always, where there is no
/// access control.
pub(super) fn is_super(connection: &Connection, instance: &Instance, request: &Command) -> bool {
    if !connection.is_guarded() || !instance.access().is_on() {
        return true;
    }
    let name = request.fields.get(ACCESS_KEY).unwrap_or_default();
    let place = (&*connection.front, &connection.info);
    Caller::known(place, instance, name).is_some_and(|caller| caller.is_super())
}

/// Checks that the sender of a request that was let in may also do this to a topic that only the
/// answer names, or to the cluster.
pub(super) fn check_found(
    connection: &Connection,
    instance: &Instance,
    request: &Command,
    topic: &str,
    any_of: ActionSet,
) -> Result<(), Refusal> {
    if !connection.is_guarded() || !instance.access().is_on() {
        return Ok(());
    }
    let name = request.fields.get(ACCESS_KEY).unwrap_or_default();
    let place = (&*connection.front, &connection.info);
    let caller = Caller::known(place, instance, name);
    let Some(caller) = caller.filter(|caller| caller.may_cluster(any_of).is_err()) else {
        return Ok(());
    };
    Ok(caller.may_topic(Wanted {
        kind: ResourceKind::Topic,
        name: topic,
        any_of,
    })?)
}

impl From<NotAllowed> for Refusal {
    fn from(error: NotAllowed) -> Self {
        AccessDenied::from(error).into()
    }
}

impl From<AccessDenied> for Refusal {
    fn from(error: AccessDenied) -> Self {
        // Source: `AuthenticationPipeline` and `AuthorizationPipeline` of RocketMQ 5.5.0.
        match &error {
            AccessDenied::NotAuthenticated(_) | AccessDenied::NotAllowed(_) => {
                Self::of(ResponseCode::NoPermission, &error)
            }
        }
    }
}

/// The names that decide about a request, with those of its body read once.
struct Needs {
    rule: Rule,
    body: Vec<BodyNeed>,
}

impl Needs {
    fn of(code: RequestCode, request: &Command) -> Result<Self, Refusal> {
        let rule = rules::of(code);
        let body = match &rule {
            Rule::Body(read) => read(request)?,
            _ => Vec::new(),
        };
        Ok(Self { rule, body })
    }

    /// Tells every name, as it was sent, until one is refused.
    fn each<'n>(
        &'n self,
        request: &'n Command,
        tell: &mut dyn FnMut(&'n str, Names, ActionSet) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        match &self.rule {
            Rule::Fields(fields) => {
                for field in *fields {
                    let value = request.fields.get(field.name).unwrap_or_default();
                    match field.names {
                        Names::Topics(between) | Names::Groups(between) => {
                            for name in value.split(between).filter(|name| !name.is_empty()) {
                                tell(name, field.names, field.any_of)?;
                            }
                        }
                        _ if value.is_empty() => {}
                        _ => tell(value, field.names, field.any_of)?,
                    }
                }
            }
            Rule::Body(_) => {
                for need in self.body.iter().filter(|need| !need.name.is_empty()) {
                    tell(&need.name, need.names, need.any_of)?;
                }
            }
            Rule::TopicOrCluster(any_of) => {
                if let Some(topic) = topic_of(request) {
                    tell(topic, Names::Topic, *any_of)?;
                }
            }
            Rule::Route => {
                if let Some(topic) = topic_of(request) {
                    tell(topic, Names::Instance, rules::ROUTE)?;
                }
            }
            Rule::Every(..) | Rule::Cluster(_) | Rule::Signed => {}
        }
        Ok(())
    }
}

fn topic_of(request: &Command) -> Option<&str> {
    let topic = request.fields.get("topic");
    topic.filter(|topic| !topic.is_empty())
}

/// The instance of a request. One whose names cannot be read or disagree is one to the default
/// instance until its sender is known; then it is told how they disagree.
fn instance_of(
    connection: &Connection,
    request: &Command,
    needs: Option<&Needs>,
) -> Result<(Arc<Instance>, Option<InstanceError>), Refusal> {
    let front = &connection.front;
    let mut settled: Option<Arc<Instance>> = None;
    let mut disagreement = None;
    if let Some(needs) = needs {
        needs.each(request, &mut |name, _, _| {
            if let Some(named) = front.plain_name(name).instance {
                match front.settle([settled.clone(), Some(named)]) {
                    Ok(instance) => settled = Some(instance),
                    Err(error) => disagreement = Some(error),
                }
            }
            Ok(())
        })?;
    }
    if RequestCode::from_i32(request.code).is_some_and(rules::is_of_namespace) {
        return Ok((connection.instance_of_all(request)?.0, None));
    }
    let instance = front.settle([settled.filter(|_| disagreement.is_none())])?;
    Ok((instance, disagreement))
}

/// The sender; `None` where the instance has no access control.
fn caller_in<'i>(
    connection: &Connection,
    instance: &'i Instance,
    request: &Command,
) -> Result<Option<Caller<'i>>, Refusal> {
    let mut signed: Vec<(&str, &str)> = Vec::with_capacity(request.fields.len());
    let mut name = "";
    let mut signature = "";
    let unsigned = (request.version <= UNSIGNED_FIELD_VERSION_MAX).then_some(UNSIGNED_FIELD);
    for (field, value) in request.fields.iter() {
        match field {
            SIGNATURE => signature = value,
            field if Some(field) == unsigned => {}
            field => {
                if field == ACCESS_KEY {
                    name = value;
                }
                signed.push((field, value));
            }
        }
    }
    let mut decoded = [0; SIGNATURE_BYTES_MAX];
    let length = STANDARD.decode_slice(signature, &mut decoded).unwrap_or(0);
    let signature = &decoded[..length];
    let from_ons = signed.iter().any(|(field, _)| *field == ONS_CHANNEL);
    let mut caller = caller_of(connection, instance, request, name, &mut signed, signature);
    if caller.is_err() && from_ons && request.code == RequestCode::GetRouteByTopic as i32 {
        signed.push(ONS_ROUTE_CONSTANT);
        caller = caller_of(connection, instance, request, name, &mut signed, signature);
    }
    caller.map_err(|error: NotAuthenticated| AccessDenied::from(error).into())
}

/// Who sends a request with these signed fields.
fn caller_of<'i>(
    connection: &Connection,
    instance: &'i Instance,
    request: &Command,
    name: &str,
    signed: &mut [(&str, &str)],
    signature: &[u8],
) -> Result<Option<Caller<'i>>, NotAuthenticated> {
    // A stable order, of which the last value of a name is kept: what handlers read.
    signed.sort_by_key(|(field, _)| *field);
    let last = |index: &usize| {
        let next = signed.get(index + 1);
        next.is_none_or(|(field, _)| *field != signed[*index].0)
    };
    let values = (0..signed.len())
        .filter(last)
        .map(|index| signed[index].1.as_bytes());
    let content = values.chain([&request.body[..]]);
    let place = (&*connection.front, &connection.info);
    Caller::of(place, instance, name, content, signature)
}
