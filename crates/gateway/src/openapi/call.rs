//! One request as every operation sees it: its parameters, and the instance it is about.

use std::{collections::BTreeMap, fmt::Display, sync::Arc};

use base::{GroupName, InstanceId, ShardId, Timestamp, TopicName};
use broker::{Group, Instance, Instances, Place, Series, ShardHandle, Topic, access::User};
use control::Control;
use serde_json::{Map, Value};

use super::{
    forward::Note,
    operations::Operation,
    parameter::Values,
    status::{Code, Refusal},
};
use crate::{
    ConnectionInfo, Front,
    system_names::{is_system_group, is_system_topic},
};

/// The parameter that names an instance.
pub(super) const INSTANCE: &str = "instanceId";
/// The parameter that names a topic.
pub(super) const TOPIC: &str = "topicName";
/// The parameter that names a group.
pub(super) const GROUP: &str = "consumerGroupId";

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
    /// What a fleet says beside it, if it has sent it on.
    pub(super) note: Note,
    values: Values,
}

impl Call {
    pub(super) fn new(
        front: &Arc<Front>,
        connection: &ConnectionInfo,
        operation: &'static Operation,
        values: Values,
        user: Option<Arc<User>>,
        note: Note,
    ) -> Self {
        Self {
            front: Arc::clone(front),
            connection: *connection,
            operation,
            user,
            note,
            values,
        }
    }

    /// Checks that the instance in the path is there: before anything else that may be wrong.
    pub(super) fn check_instance(&self) -> Result<(), Refusal> {
        if self.text(INSTANCE).is_some() {
            self.instance()?;
        }
        Ok(())
    }

    /// The instance that the request is about.
    pub(super) fn instance(&self) -> Result<Arc<Instance>, Refusal> {
        self.instance_of(self.required(INSTANCE)?)
    }

    /// The instance of that id, if this API is that of its series.
    pub(super) fn instance_of(&self, id: &str) -> Result<Arc<Instance>, Refusal> {
        let id = InstanceId::new(id);
        let id = id.map_err(|error| Refusal::of(Code::InstanceNotFound, &error))?;
        let instance = self.front.router.instance(&id)?;
        if instance.settings().series == Series::V4 {
            let text = format!("instance `{id}` is of the 4.x series, which has another API");
            return Err(Refusal::new(Code::InstanceNotFound, text));
        }
        Ok(instance)
    }

    /// All instances and their life.
    pub(super) fn instances(&self) -> Result<&Arc<Instances>, Refusal> {
        self.front.instances.as_ref().ok_or_else(|| {
            let text = "this server keeps no registry of instances";
            Refusal::new(Code::OperationNotSupported, text)
        })
    }

    /// Releases and updates.
    pub(super) fn control(&self) -> Result<&Arc<Control>, Refusal> {
        self.front.control.as_ref().ok_or_else(|| {
            let text =
                "this server runs no nodes, expected a fleet, which has releases and updates";
            Refusal::new(Code::OperationNotSupported, text)
        })
    }

    /// The number of the account that owns everything here; empty where there is none.
    pub(super) fn account(&self) -> String {
        let instances = self.front.instances.as_ref();
        instances.map_or(String::new(), |instances| instances.account().to_string())
    }

    /// The name of the region.
    pub(super) fn region(&self) -> &str {
        &self.front.settings.region
    }

    /// Checks that parameter `regionId`, where it is there, is this server's.
    pub(super) fn check_region(&self) -> Result<(), Refusal> {
        match self.text("regionId") {
            Some(region) if region != self.region() => {
                let expected = format!("`{}`", self.region());
                Err(Refusal::invalid("regionId", region, &expected))
            }
            _ => Ok(()),
        }
    }

    /// Now.
    pub(super) fn now(&self) -> Timestamp {
        self.front.clock.now()
    }

    /// The shard that takes and gives messages.
    pub(super) fn shard(&self) -> Result<ShardHandle, Refusal> {
        self.shard_of(&*self.instance()?)
    }

    /// That of an instance.
    pub(super) fn shard_of(&self, instance: &Instance) -> Result<ShardHandle, Refusal> {
        let shards = instance.shards();
        let first = shards.first().ok_or_else(|| {
            let text = format!("instance `{}` has no shard here", instance.id());
            Refusal::new(Code::InternalError, text)
        })?;
        self.shard_at(instance, first.id())
    }

    fn shard_at(&self, instance: &Instance, shard: ShardId) -> Result<ShardHandle, Refusal> {
        let instance = instance.id().clone();
        Ok(self.front.router.shard(&Place { instance, shard })?)
    }

    /// A text; `None` if it is not there or empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let text = self.values.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    }

    /// Whether a parameter is there, be it empty.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A text that there must be.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::missing(name))
    }

    /// A whole number.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.values.get(name).and_then(Value::as_i64)
    }

    /// A whole number between two others.
    pub(super) fn integer_in(
        &self,
        name: &'static str,
        (least, most): (i64, i64),
    ) -> Result<Option<i64>, Refusal> {
        match self.integer(name) {
            Some(number) if !(least..=most).contains(&number) => {
                let reason = format!("{number}, expected {least} to {most}");
                Err(Refusal::field(name, reason))
            }
            number => Ok(number),
        }
    }

    /// A number.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.values.get(name).and_then(Value::as_f64)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        self.values.get(name).and_then(Value::as_bool)
    }

    /// A list of texts, empty where it is not there.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        let items = self.values.get(name).and_then(Value::as_array);
        let texts = items.into_iter().flatten().filter_map(Value::as_str);
        texts.filter(|text| !text.is_empty()).collect()
    }

    /// Texts by name, empty where they are not there.
    pub(super) fn map(&self, name: &str) -> BTreeMap<&str, &str> {
        let fields = self.values.get(name).and_then(Value::as_object);
        let fields = fields.into_iter().flatten();
        fields
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect()
    }

    /// A list of objects, empty where it is not there.
    pub(super) fn objects(&self, name: &str) -> Vec<&Map<String, Value>> {
        let items = self.values.get(name).and_then(Value::as_array);
        items
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .collect()
    }

    /// One of some words, as the API writes them, in any case.
    pub(super) fn word<T: Copy>(
        &self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let found = words
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text));
        match found {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(Refusal::invalid(name, text, &words.join(", ")))
            }
        }
    }

    /// A time of a document; `None` if it is not there.
    pub(super) fn time(&self, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let ms = wire::openapi::date_time_ms(text);
        let ms = ms.ok_or_else(|| Refusal::invalid(name, text, "a time as 2026-01-02 03:04:05"))?;
        Ok(Some(Timestamp::from_ms(ms)))
    }

    /// A name in a parameter, which may be none.
    pub(super) fn name<T, E: Display>(
        &self,
        parameter: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Refusal> {
        let text = self.required(parameter)?;
        read(text).map_err(|error| Refusal::field(parameter, error))
    }

    /// The topic of a parameter, whether there is one or not.
    pub(super) fn topic_name(&self, parameter: &'static str) -> Result<TopicName, Refusal> {
        let topic = self.name(parameter, TopicName::new)?;
        if is_system_topic(topic.as_str()) {
            let reason = format!("topic `{topic}` is the system's own");
            return Err(Refusal::field(parameter, reason));
        }
        Ok(topic)
    }

    /// The topic of parameter `topicName`, which must exist.
    pub(super) fn topic(&self) -> Result<Arc<Topic>, Refusal> {
        let name = self.topic_name(TOPIC)?;
        let instance = self.instance()?;
        instance.topic(&name).ok_or_else(|| {
            let text = format!("topic `{name}` not found in instance `{}`", instance.id());
            Refusal::new(Code::TopicNotFound, text)
        })
    }

    /// The group of a parameter, whether there is one or not.
    pub(super) fn group_name(&self, parameter: &'static str) -> Result<GroupName, Refusal> {
        let group = self.name(parameter, GroupName::new)?;
        if is_system_group(group.as_str()) {
            let reason = format!("group `{group}` is the system's own");
            return Err(Refusal::field(parameter, reason));
        }
        Ok(group)
    }

    /// The group of parameter `consumerGroupId`, which must exist.
    pub(super) fn group(&self) -> Result<Arc<Group>, Refusal> {
        let name = self.group_name(GROUP)?;
        let instance = self.instance()?;
        instance.group(&name).ok_or_else(|| {
            let text = format!("group `{name}` not found in instance `{}`", instance.id());
            Refusal::new(Code::GroupNotFound, text)
        })
    }
}
