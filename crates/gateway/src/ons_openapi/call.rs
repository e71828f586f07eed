//! One request as every operation sees it: its parameters, checked, and the instance it is about.

use std::sync::Arc;

use base::{GroupName, InstanceId, ShardId, Timestamp, TopicName, limits};
use broker::{Group, Instance, Instances, Place, Series, ShardHandle, Topic, access::User};
use wire::openapi::Parameters;

use super::{
    operations::{Kind, Operation},
    status::{Code, Refusal},
};
use crate::{
    ConnectionInfo, Front,
    system_names::{is_system_group, is_system_topic},
};

/// The parameter that names an instance.
const INSTANCE: &str = "InstanceId";

/// One request.
pub(super) struct Call {
    /// What all front ends share.
    pub(super) front: Arc<Front>,
    /// Where the request came in.
    pub(super) connection: ConnectionInfo,
    /// What is asked.
    pub(super) operation: &'static Operation,
    /// Who asks; `None` where nobody need say.
    pub(super) user: Option<Arc<User>>,
    parameters: Parameters,
    instance_id: Option<InstanceId>,
    instance: Option<Arc<Instance>>,
}

impl Call {
    /// Checks what the table says of the parameters.
    pub(super) fn new(
        front: &Arc<Front>,
        connection: &ConnectionInfo,
        operation: &'static Operation,
        parameters: Parameters,
        user: Option<Arc<User>>,
    ) -> Result<Self, Refusal> {
        let mut call = Self {
            front: Arc::clone(front),
            connection: *connection,
            operation,
            user,
            parameters,
            instance_id: None,
            instance: None,
        };
        for parameter in operation.parameters {
            let name = parameter.name;
            let is_there = match parameter.kind {
                Kind::Text => call.text(name).is_some(),
                Kind::Integer => call.integer(name)?.is_some(),
                Kind::Boolean => call.boolean(name)?.is_some(),
                Kind::List => !call.list(name)?.is_empty(),
                Kind::Tags => !call.tags(name)?.is_empty(),
            };
            if parameter.is_required && !is_there {
                return Err(Refusal::missing(name));
            }
        }
        if operation
            .parameters
            .iter()
            .any(|parameter| parameter.name == INSTANCE)
        {
            call.instance_id = Some(match call.text(INSTANCE) {
                None => front.settings.default_instance.clone(),
                Some(id) => {
                    let id = InstanceId::new(id);
                    id.map_err(|error| Refusal::of(Code::InstanceNotFound, &error))?
                }
            });
        }
        Ok(call)
    }

    /// Finds the instance, if there is one of that id. Only who may ask is told.
    pub(super) fn enter(&mut self) -> Result<(), Refusal> {
        if let Some(id) = &self.instance_id {
            self.instance = Some(self.find_instance(id)?);
        }
        Ok(())
    }

    fn find_instance(&self, id: &InstanceId) -> Result<Arc<Instance>, Refusal> {
        let instance = self.front.router.instance(id)?;
        if instance.settings().series == Series::V5 {
            let id = instance.id();
            let text = format!("instance `{id}` is of the 5.x series, which has another API");
            return Err(Refusal::new(Code::InstanceNotFound, text));
        }
        Ok(instance)
    }

    /// All instances and their life.
    pub(super) fn instances(&self) -> Result<&Arc<Instances>, Refusal> {
        self.front.instances.as_ref().ok_or_else(|| {
            let text = "this server keeps no registry of instances";
            Refusal::new(Code::OnsServiceUnsupported, text)
        })
    }

    /// The number of the account that owns everything here; empty where there is none.
    pub(super) fn account(&self) -> String {
        let instances = self.front.instances.as_ref();
        instances.map_or(String::new(), |instances| instances.account().to_string())
    }

    /// Now.
    pub(super) fn now(&self) -> Timestamp {
        self.front.clock.now()
    }

    /// The id of the instance that the request is about, whether there is one or not: that of the
    /// default one where it names none.
    pub(super) fn instance_id(&self) -> &InstanceId {
        let id = self.instance_id.as_ref();
        id.expect("the table of operations has a parameter for it")
    }

    /// The instance that the request is about: the default one where it names none.
    pub(super) fn instance(&self) -> &Arc<Instance> {
        let instance = self.instance.as_ref();
        instance.expect("the table of operations has a parameter for it")
    }

    /// Whether it is one whose names have a prefix over the data protocols.
    pub(super) fn has_namespace(&self, instance: &Instance) -> bool {
        *instance.id() != self.front.settings.default_instance
    }

    /// The shard that takes and gives messages.
    pub(super) fn shard(&self) -> Result<ShardHandle, Refusal> {
        let instance = self.instance();
        let shards = instance.shards();
        let first = shards.first().ok_or_else(|| {
            let text = format!("instance `{}` has no shard here", instance.id());
            Refusal::new(Code::OnsSystemError, text)
        })?;
        self.shard_of(first.id())
    }

    /// The shard of that number.
    pub(super) fn shard_of(&self, shard: ShardId) -> Result<ShardHandle, Refusal> {
        let instance = self.instance().id().clone();
        Ok(self.front.router.shard(&Place { instance, shard })?)
    }

    /// A text; `None` if it is not there or empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.parameters.get(name)
    }

    /// A text that there must be.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::missing(name))
    }

    /// A whole number.
    pub(super) fn integer(&self, name: &'static str) -> Result<Option<i64>, Refusal> {
        let number = self.text(name).map(|text| {
            let wrong = |_| Refusal::invalid(name, text, "a whole number");
            text.parse().map_err(wrong)
        });
        number.transpose()
    }

    /// A whole number that there must be.
    pub(super) fn required_integer(&self, name: &'static str) -> Result<i64, Refusal> {
        self.integer(name)?.ok_or_else(|| Refusal::missing(name))
    }

    /// `true` or `false`; clients for Python write them with a capital letter.
    pub(super) fn boolean(&self, name: &'static str) -> Result<Option<bool>, Refusal> {
        let value = self.text(name).map(|text| match text {
            text if text.eq_ignore_ascii_case("true") => Ok(true),
            text if text.eq_ignore_ascii_case("false") => Ok(false),
            text => Err(Refusal::invalid(name, text, "true or false")),
        });
        value.transpose()
    }

    /// A list of texts.
    pub(super) fn list(&self, name: &'static str) -> Result<Vec<&str>, Refusal> {
        let list = self.parameters.list(name);
        let (count, max) = (list.len(), limits::OPENAPI_RESOURCES_MAX);
        if count > max {
            return Err(Refusal::field(
                name,
                format!("{count} items, expected at most {max}"),
            ));
        }
        Ok(list)
    }

    /// A list of tags, each with a key; see [`super::tags`] for what a tag may be.
    pub(super) fn tags(&self, name: &'static str) -> Result<Vec<(&str, &str)>, Refusal> {
        let pairs = self.parameters.pairs(name, "Key", "Value");
        let (count, max) = (pairs.len(), limits::OPENAPI_TAGS_MAX);
        if count > max {
            return Err(Refusal::field(
                name,
                format!("{count} tags, expected at most {max}"),
            ));
        }
        let tags = pairs
            .into_iter()
            .enumerate()
            .map(|(index, (key, value))| match key {
                Some(key) => Ok((key, value)),
                None => Err(Refusal::field(
                    name,
                    format!("tag {} has no key", index + 1),
                )),
            });
        tags.collect()
    }

    /// The topic of parameter `Topic`, whether there is one or not.
    pub(super) fn topic_name(&self) -> Result<TopicName, Refusal> {
        let name = self.required("Topic")?;
        let topic = TopicName::new(name).map_err(|error| Refusal::field("Topic", error))?;
        if is_system_topic(name) {
            let reason = format!("topic `{topic}` is the system's own");
            return Err(Refusal::field("Topic", reason));
        }
        Ok(topic)
    }

    /// The topic of parameter `Topic`, which must exist.
    pub(super) fn topic(&self) -> Result<Arc<Topic>, Refusal> {
        let name = self.topic_name()?;
        let instance = self.instance();
        instance.topic(&name).ok_or_else(|| {
            let text = format!("topic `{name}` not found in instance `{}`", instance.id());
            Refusal::new(Code::BizTopicNotFound, text)
        })
    }

    /// The group of parameter `GroupId`, whether there is one or not.
    pub(super) fn group_name(&self) -> Result<GroupName, Refusal> {
        let name = self.required("GroupId")?;
        let group = GroupName::new(name).map_err(|error| Refusal::field("GroupId", error))?;
        if is_system_group(name) {
            let reason = format!("group `{group}` is the system's own");
            return Err(Refusal::field("GroupId", reason));
        }
        Ok(group)
    }

    /// The group of parameter `GroupId`, which must exist.
    pub(super) fn group(&self) -> Result<Arc<Group>, Refusal> {
        let name = self.group_name()?;
        let instance = self.instance();
        instance.group(&name).ok_or_else(|| {
            let text = format!("group `{name}` not found in instance `{}`", instance.id());
            Refusal::new(Code::BizSubscriptionNotFound, text)
        })
    }
}
