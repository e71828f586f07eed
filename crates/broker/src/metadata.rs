//! The catalogue of an instance: its topics and groups, kept in the metadata store and in memory.
//!
//! | key | value |
//! | --- | --- |
//! | `instances/<id>/last-id` | the last topic or group id given out, as decimal text |
//! | `instances/<id>/topics/<name>` | JSON: id, queues, permission, type, attributes, |
//! | | description |
//! | `instances/<id>/access/...` | users and their policies, see `access/mod.rs` |
//! | `instances/<id>/ram/...` | RAM-style policies, see `access/attach.rs` |
//! | `instances/<id>/groups/<name>` | JSON: id, fifo, max_attempts, retry, lite_topic, |
//! | | `request_modes`, `settings`, description |
//! | `instances/<id>/kv-config/<namespace>` | JSON: values by key |
//!
//! Fields are only ever added, with a default.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use base::{Clock, GroupId, GroupName, InstanceId, NameError, TopicId, TopicName};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use store::meta::{Entry, Expected, MetadataError, MetadataStore};

use crate::{
    Group, GroupNotFound, GroupSpec, InstanceSettings, Permission, RequestMode, RetryPolicy, Topic,
    TopicNotFound, TopicSpec, TopicType,
    describe::StoredDescription,
    quota::Quota,
    release::UNRESOLVED_TOPIC,
    state::IdMap,
    system_names::{is_system_group, is_system_topic},
};

#[derive(Serialize, Deserialize)]
struct StoredTopic {
    id: u32,
    queues: u32,
    permission: Permission,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    topic_type: Option<TopicType>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    description: StoredDescription,
}

#[derive(Serialize, Deserialize)]
struct StoredGroup {
    id: u32,
    fifo: bool,
    max_attempts: u32,
    retry: RetryPolicy,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lite_topic: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    request_modes: BTreeMap<String, RequestMode>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    description: StoredDescription,
}

#[derive(Default)]
struct Tables {
    topics: BTreeMap<TopicName, Arc<Topic>>,
    topics_by_id: IdMap<TopicId, Arc<Topic>>,
    groups: BTreeMap<GroupName, Arc<Group>>,
    group_ids: HashSet<GroupId>,
    kv_configs: BTreeMap<String, Arc<BTreeMap<String, String>>>,
}

/// Topics and groups of one instance.
pub(crate) struct Catalogue {
    pub(crate) instance: InstanceId,
    pub(crate) settings: InstanceSettings,
    store: Arc<dyn MetadataStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) quota: Quota,
    tables: RwLock<Tables>,
    /// One change at a time from this node; other nodes are met by compare-and-set.
    changes: tokio::sync::Mutex<()>,
    /// Whether the instance is being deleted and takes no change.
    sealed: AtomicBool,
}

/// Sets a key to a value, or removes it, whatever it was. The caller holds off other changes of it.
pub(crate) async fn overwrite(
    store: &dyn MetadataStore,
    key: &str,
    value: Option<Vec<u8>>,
) -> Result<(), MetadataError> {
    let entry = store.get(key).await?;
    if entry.is_none() && value.is_none() {
        return Ok(());
    }
    let expected = entry.map_or(Expected::Absent, |entry| Expected::At(entry.revision));
    store
        .compare_and_set(key, expected, value.map(Into::into), None)
        .await?;
    Ok(())
}

pub(crate) fn unreadable(entry: &Entry, reason: impl ToString) -> MetadataError {
    MetadataError::Unavailable {
        operation: "read",
        reason: format!("key `{}` is unreadable: {}", entry.key, reason.to_string()),
    }
}

impl Catalogue {
    /// Reads the catalogue of `instance`.
    pub(crate) async fn open(
        instance: InstanceId,
        settings: InstanceSettings,
        store: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, MetadataError> {
        let mut tables = Tables::default();
        let topics = format!("instances/{instance}/topics/");
        for entry in store.range(&topics).await?.0 {
            let name = TopicName::new(&entry.key[topics.len()..])
                .map_err(|error| unreadable(&entry, error))?;
            let topic: StoredTopic =
                serde_json::from_slice(&entry.value).map_err(|error| unreadable(&entry, error))?;
            tables.insert_topic(Topic {
                id: TopicId::new(topic.id),
                spec: TopicSpec {
                    name,
                    queues: topic.queues,
                    permission: topic.permission,
                    topic_type: topic.topic_type,
                    attributes: topic.attributes,
                },
                description: topic.description.read(),
            });
        }
        let groups = format!("instances/{instance}/groups/");
        for entry in store.range(&groups).await?.0 {
            let name = GroupName::new(&entry.key[groups.len()..])
                .map_err(|error| unreadable(&entry, error))?;
            let group: StoredGroup =
                serde_json::from_slice(&entry.value).map_err(|error| unreadable(&entry, error))?;
            let lite_topic = group.lite_topic.as_deref().map(TopicName::new).transpose();
            let modes = group.request_modes.iter();
            let modes = modes.map(|(topic, mode)| Ok((TopicName::new(topic)?, *mode)));
            let modes: Result<_, NameError> = modes.collect();
            tables.insert_group(Group {
                id: GroupId::new(group.id),
                spec: GroupSpec {
                    name,
                    fifo: group.fifo,
                    max_attempts: group.max_attempts,
                    retry: group.retry,
                    lite_topic: lite_topic.map_err(|error| unreadable(&entry, error))?,
                    settings: group.settings,
                },
                request_modes: modes.map_err(|error| unreadable(&entry, error))?,
                description: group.description.read(),
            });
        }
        let kv_configs = format!("instances/{instance}/kv-config/");
        for entry in store.range(&kv_configs).await?.0 {
            let values: BTreeMap<String, String> =
                serde_json::from_slice(&entry.value).map_err(|error| unreadable(&entry, error))?;
            let namespace = entry.key[kv_configs.len()..].to_owned();
            tables.kv_configs.insert(namespace, Arc::new(values));
        }
        let tables = RwLock::new(tables);
        let unit_bytes = settings.unit_bytes;
        Ok(Self {
            quota: Quota::new(instance.clone(), settings.series, unit_bytes),
            instance,
            settings,
            store,
            clock,
            tables,
            changes: tokio::sync::Mutex::default(),
            sealed: AtomicBool::new(false),
        })
    }

    pub(crate) fn topic(&self, name: &TopicName) -> Option<Arc<Topic>> {
        self.tables.read().topics.get(name).cloned()
    }

    pub(crate) fn known_topic(&self, name: &TopicName) -> Result<Arc<Topic>, TopicNotFound> {
        self.topic(name).ok_or_else(|| TopicNotFound {
            topic: name.clone(),
            instance: self.instance.clone(),
        })
    }

    pub(crate) fn topic_by_id(&self, id: TopicId) -> Option<Arc<Topic>> {
        self.tables.read().topics_by_id.get(&id).cloned()
    }

    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        self.tables.read().topics.values().cloned().collect()
    }

    pub(crate) fn topic_count(&self) -> usize {
        self.tables.read().topics.len()
    }

    pub(crate) fn group(&self, name: &GroupName) -> Option<Arc<Group>> {
        self.tables.read().groups.get(name).cloned()
    }

    pub(crate) fn known_group(&self, name: &GroupName) -> Result<Arc<Group>, GroupNotFound> {
        self.group(name).ok_or_else(|| GroupNotFound {
            group: name.clone(),
            instance: self.instance.clone(),
        })
    }

    pub(crate) fn groups(&self) -> Vec<Arc<Group>> {
        self.tables.read().groups.values().cloned().collect()
    }

    pub(crate) fn group_count(&self) -> usize {
        self.tables.read().groups.len()
    }

    pub(crate) fn has_group_id(&self, id: GroupId) -> bool {
        self.tables.read().group_ids.contains(&id)
    }

    /// Holds off other changes from this node while one is decided and made.
    pub(crate) async fn change(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changes.lock().await
    }

    /// Takes no further change, if there are no topics and groups of applications; otherwise says
    /// how many there are.
    pub(crate) async fn seal(&self) -> Result<(), (usize, usize)> {
        let _change = self.change().await;
        let (topics, groups) = self.application_counts();
        if topics + groups > 0 {
            return Err((topics, groups));
        }
        self.sealed.store(true, Ordering::Release);
        Ok(())
    }

    /// Topics and groups without the system's own and the topics that groups have for themselves.
    pub(crate) fn application_counts(&self) -> (usize, usize) {
        let tables = self.tables.read();
        let topics = tables.topics.keys();
        let topics = topics.filter(|name| is_application_topic(name));
        let groups = tables.groups.keys().map(GroupName::as_str);
        let groups = groups.filter(|name| !is_system_group(name));
        (topics.count(), groups.count())
    }

    pub(crate) fn unseal(&self) {
        self.sealed.store(false, Ordering::Release);
    }

    fn check_unsealed(&self) -> Result<(), MetadataError> {
        if !self.sealed.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(MetadataError::Unavailable {
            operation: "change",
            reason: format!("instance `{}` is being deleted", self.instance),
        })
    }

    /// A number that no topic or group of this instance has had before.
    pub(crate) async fn new_id(&self) -> Result<u32, MetadataError> {
        self.check_unsealed()?;
        let key = format!("instances/{}/last-id", self.instance);
        loop {
            let entry = self.store.get(&key).await?;
            let last: u32 = match &entry {
                None => 0,
                Some(entry) => str::from_utf8(&entry.value)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| unreadable(entry, "not a number"))?,
            };
            let id = last
                .checked_add(1)
                .ok_or_else(|| MetadataError::Unavailable {
                    operation: "extend",
                    reason: "all ids of the instance are used up".to_owned(),
                })?;
            let expected = entry.map_or(Expected::Absent, |entry| Expected::At(entry.revision));
            let value = id.to_string().into_bytes().into();
            match self
                .store
                .compare_and_set(&key, expected, Some(value), None)
                .await
            {
                Ok(_) => return Ok(id),
                Err(MetadataError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn put(&self, key: &str, value: Option<Vec<u8>>) -> Result<(), MetadataError> {
        self.check_unsealed()?;
        overwrite(&*self.store, key, value).await
    }

    pub(crate) async fn put_topic(&self, topic: Topic) -> Result<Arc<Topic>, MetadataError> {
        let value = StoredTopic {
            id: topic.id.get(),
            queues: topic.spec.queues,
            permission: topic.spec.permission,
            topic_type: topic.spec.topic_type,
            attributes: topic.spec.attributes.clone(),
            description: StoredDescription::of(&topic.description),
        };
        let value = serde_json::to_vec(&value).expect("plain data becomes JSON");
        self.put(&self.topic_key(topic.name()), Some(value)).await?;
        Ok(self.tables.write().insert_topic(topic))
    }

    pub(crate) async fn remove_topic(&self, topic: &Topic) -> Result<(), MetadataError> {
        self.put(&self.topic_key(topic.name()), None).await?;
        let mut tables = self.tables.write();
        tables.topics.remove(topic.name());
        tables.topics_by_id.remove(&topic.id);
        Ok(())
    }

    pub(crate) async fn put_group(&self, group: Group) -> Result<Arc<Group>, MetadataError> {
        let value = StoredGroup {
            id: group.id.get(),
            fifo: group.spec.fifo,
            max_attempts: group.spec.max_attempts,
            retry: group.spec.retry.clone(),
            lite_topic: group.spec.lite_topic.as_ref().map(TopicName::to_string),
            request_modes: group
                .request_modes
                .iter()
                .map(|(topic, mode)| (topic.to_string(), *mode))
                .collect(),
            settings: group.spec.settings.clone(),
            description: StoredDescription::of(&group.description),
        };
        let value = serde_json::to_vec(&value).expect("plain data becomes JSON");
        self.put(&self.group_key(group.name()), Some(value)).await?;
        Ok(self.tables.write().insert_group(group))
    }

    pub(crate) async fn remove_group(&self, group: &Group) -> Result<(), MetadataError> {
        self.put(&self.group_key(group.name()), None).await?;
        let mut tables = self.tables.write();
        tables.groups.remove(group.name());
        tables.group_ids.remove(&group.id);
        Ok(())
    }

    /// The values of a namespace; `None` if there is none.
    pub(crate) fn kv_config(&self, namespace: &str) -> Option<Arc<BTreeMap<String, String>>> {
        self.tables.read().kv_configs.get(namespace).cloned()
    }

    pub(crate) fn kv_namespace_count(&self) -> usize {
        self.tables.read().kv_configs.len()
    }

    pub(crate) async fn put_kv_config(
        &self,
        namespace: &str,
        values: BTreeMap<String, String>,
    ) -> Result<(), MetadataError> {
        let key = format!("instances/{}/kv-config/{namespace}", self.instance);
        let value = serde_json::to_vec(&values).expect("texts become JSON");
        self.put(&key, (!values.is_empty()).then_some(value))
            .await?;
        let mut tables = self.tables.write();
        if values.is_empty() {
            tables.kv_configs.remove(namespace);
        } else {
            let values = Arc::new(values);
            tables.kv_configs.insert(namespace.to_owned(), values);
        }
        Ok(())
    }

    fn topic_key(&self, name: &TopicName) -> String {
        format!("instances/{}/topics/{name}", self.instance)
    }

    fn group_key(&self, name: &GroupName) -> String {
        format!("instances/{}/groups/{name}", self.instance)
    }
}

/// Whether an application made the topic, rather than the system or a group for itself.
pub(crate) fn is_application_topic(name: &TopicName) -> bool {
    let is_groups_own = name.retry_group().is_some() || name.dead_letter_group().is_some();
    let is_systems_own = is_system_topic(name.as_str()) || name.as_str() == UNRESOLVED_TOPIC;
    !is_groups_own && !is_systems_own
}

impl Tables {
    fn insert_topic(&mut self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        self.topics.insert(topic.name().clone(), topic.clone());
        self.topics_by_id.insert(topic.id, topic.clone());
        topic
    }

    fn insert_group(&mut self, group: Group) -> Arc<Group> {
        let group = Arc::new(group);
        self.groups.insert(group.name().clone(), group.clone());
        self.group_ids.insert(group.id);
        group
    }
}
