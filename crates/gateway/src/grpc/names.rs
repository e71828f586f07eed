//! Which instance, topic and group a request means.
//!
//! The namespace of a resource, or of the client where the resource has none, names the instance.
//! One that names no instance is part of the plain name (`namespace%name`), as it is over Remoting,
//! so that both families mean the same topic. Without a namespace the name itself may have an
//! instance's prefix (`instance.rs`).

use std::sync::Arc;

use base::{GroupName, TopicName};
use broker::{Group, Instance, Topic};
use wire::{
    grpc_v1 as v1,
    grpc_v2::{self as v2, Code},
};

use super::{
    call::Call,
    status::{Refusal, bad_name},
};
use crate::{
    instance::prefixed,
    system_names::{is_system_group, is_system_topic},
};

/// A topic or group as a protocol names it.
pub(crate) trait Resource {
    /// A resource of that namespace and name.
    fn new(namespace: String, name: String) -> Self;

    /// Its namespace, empty if it has none.
    fn namespace(&self) -> &str;

    /// Its name.
    fn name(&self) -> &str;
}

macro_rules! resources {
    ($($resource:ty),*) => {
        $(impl Resource for $resource {
            fn new(namespace: String, name: String) -> Self {
                Self {
                    resource_namespace: namespace,
                    name,
                }
            }

            fn namespace(&self) -> &str {
                &self.resource_namespace
            }

            fn name(&self) -> &str {
                &self.name
            }
        })*
    };
}

resources!(v1::Resource, v2::Resource);

/// Namespace and name of a resource, both empty where there is none.
pub(crate) fn parts<R: Resource>(resource: Option<&R>) -> (&str, &str) {
    resource.map_or(("", ""), |resource| (resource.namespace(), resource.name()))
}

/// The instance that a client works in when it names no resource.
pub(crate) fn instance(call: &Call) -> Result<Arc<Instance>, Refusal> {
    let (named, _) = parse(call, ("", ""));
    if named.is_none() {
        // Who names nothing may be about to name another instance than the default one.
        return Ok(call.front.settle([])?);
    }
    settle(call, [named])
}

/// The same before it is known whether the client may know of the instance: whether that takes
/// clients like this one is not told yet.
pub(crate) fn claimed(call: &Call) -> Result<Arc<Instance>, Refusal> {
    let (named, _) = parse(call, ("", ""));
    Ok(call.front.settle([named])?)
}

/// The topic of a request.
pub(crate) fn topic<R: Resource>(
    call: &Call,
    resource: Option<&R>,
) -> Result<(Arc<Instance>, TopicName), Refusal> {
    let (named, name) = parse(call, parts(resource));
    Ok((settle(call, [named])?, topic_name(&name)?))
}

/// The group of a request.
pub(crate) fn group<R: Resource>(
    call: &Call,
    resource: Option<&R>,
) -> Result<(Arc<Instance>, GroupName), Refusal> {
    let (named, name) = parse(call, parts(resource));
    Ok((settle(call, [named])?, group_name(&name)?))
}

/// The topic and the group of a request, which must not name different instances.
pub(crate) fn topic_and_group<R: Resource>(
    call: &Call,
    topic: Option<&R>,
    group: Option<&R>,
) -> Result<(Arc<Instance>, TopicName, GroupName), Refusal> {
    let (named_by_topic, topic) = parse(call, parts(topic));
    let (named_by_group, group) = parse(call, parts(group));
    let instance = settle(call, [named_by_topic, named_by_group])?;
    Ok((instance, topic_name(&topic)?, group_name(&group)?))
}

/// The one instance of these that is named, if it takes clients like this one.
fn settle<const N: usize>(
    call: &Call,
    named: [Option<Arc<Instance>>; N],
) -> Result<Arc<Instance>, Refusal> {
    let instance = call.front.admit(&call.connection, named)?;
    call.check_family(&instance)?;
    Ok(instance)
}

fn topic_name(name: &str) -> Result<TopicName, Refusal> {
    let topic = TopicName::new(name).map_err(|error| bad_name(Code::IllegalTopic, &error))?;
    if is_system_topic(name) {
        return Err(Refusal::new(
            Code::IllegalTopic,
            format!("topic `{topic}` is the system's own"),
        ));
    }
    Ok(topic)
}

fn group_name(name: &str) -> Result<GroupName, Refusal> {
    let group =
        GroupName::new(name).map_err(|error| bad_name(Code::IllegalConsumerGroup, &error))?;
    if is_system_group(name) {
        return Err(Refusal::new(
            Code::IllegalConsumerGroup,
            format!("group `{group}` is the system's own"),
        ));
    }
    Ok(group)
}

/// The instance that a resource names, if it names one, and the plain name inside it.
pub(crate) fn parse(
    call: &Call,
    (namespace, name): (&str, &str),
) -> (Option<Arc<Instance>>, String) {
    let namespace = match namespace {
        "" => call.namespace(),
        own => own,
    };
    call.front.name_in(namespace, name)
}

/// A topic or group of `instance` as this client would name it.
pub(crate) fn told<R: Resource>(call: &Call, instance: &Instance, plain: &str) -> R {
    let namespace = call.namespace();
    let resource = |namespace: &str, name| R::new(namespace.to_owned(), name);
    if namespace == instance.id().as_str() {
        return resource(namespace, plain.to_owned());
    }
    if let Some(name) = plain
        .strip_prefix(namespace)
        .and_then(|rest| rest.strip_prefix('%'))
        .filter(|_| !namespace.is_empty())
    {
        return resource(namespace, name.to_owned());
    }
    if *instance.id() == call.front.settings.default_instance {
        return resource("", plain.to_owned());
    }
    resource("", prefixed(instance.id(), plain))
}

/// The topic, created where the instance allows it. Retry and dead-letter topics come into being by
/// themselves, with their first message.
pub(crate) async fn topic_or_create(
    instance: &Instance,
    name: &TopicName,
) -> Result<Arc<Topic>, Refusal> {
    if name.retry_group().is_none() && name.dead_letter_group().is_none() {
        return Ok(instance.topic_or_create(name, None).await?);
    }
    existing_topic(instance, name)
}

/// The topic, which must be there: nothing is created by looking.
pub(crate) fn existing_topic(instance: &Instance, name: &TopicName) -> Result<Arc<Topic>, Refusal> {
    instance.topic(name).ok_or_else(|| {
        let text = format!("topic `{name}` not found in instance `{}`", instance.id());
        Refusal::new(Code::TopicNotFound, text)
    })
}

/// The group, which must be there.
pub(crate) fn existing_group(instance: &Instance, name: &GroupName) -> Result<Arc<Group>, Refusal> {
    instance.group(name).ok_or_else(|| no_group(instance, name))
}

/// What is said of a group that is not there.
pub(crate) fn no_group(instance: &Instance, name: &GroupName) -> Refusal {
    let text = format!(
        "consumer group `{name}` not found in instance `{}`",
        instance.id()
    );
    Refusal::new(Code::ConsumerGroupNotFound, text)
}
