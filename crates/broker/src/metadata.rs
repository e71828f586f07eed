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
use store::meta::{Change, Entry, Expected, MetadataError, MetadataStore};

use crate::{
    Group, GroupNotFound, GroupSpec, InstanceSettings, Permission, RequestMode, RetryPolicy, Topic,
    TopicNotFound, TopicSpec, TopicType,
    describe::StoredDescription,
    known::Known,
    quota::Quota,
    release::UNRESOLVED_TOPIC,
    state::IdMap,
    system_names::{self, is_system_group},
};

/// Kinds of entries, as the keys of an instance have them.
const TOPICS: &str = "topics/";
const GROUPS: &str = "groups/";
const KV_CONFIGS: &str = "kv-config/";

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
    known: Known,
    /// One change at a time from this node; other nodes are met by compare-and-set.
    changes: tokio::sync::Mutex<()>,
    /// Whether the instance is being deleted and takes no change.
    sealed: AtomicBool,
}

impl Catalogue {
    /// Reads the catalogue of `instance`.
    pub(crate) async fn open(
        instance: InstanceId,
        settings: InstanceSettings,
        store: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, MetadataError> {
        let (mut tables, known) = (Tables::default(), Known::default());
        for kind in [TOPICS, GROUPS, KV_CONFIGS] {
            let prefix = format!("instances/{instance}/{kind}");
            let (entries, revision) = store.range(&prefix).await?;
            known.read(&entries, revision);
            for entry in entries {
                let name = &entry.key[prefix.len()..];
                tables.insert(kind, name, &entry)?;
            }
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
            known,
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
                    .ok_or_else(|| entry.unreadable("not a number"))?,
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
        let put = self.known.put(&*self.store, key, value).await;
        if let Err(MetadataError::Conflict { .. }) = &put {
            // Another node was faster: the next attempt is decided on what it made.
            let (entries, revision) = self.store.range(key).await?;
            let entry = entries.into_iter().find(|entry| entry.key == key);
            self.take(&Change {
                key: key.to_owned(),
                revision: entry.as_ref().map_or(revision, |entry| entry.revision),
                value: entry.map(|entry| entry.value),
            })?;
        }
        put
    }

    /// Takes in a change of an entry of the instance's topics, groups and named values that
    /// another node made. The caller holds off other changes.
    pub(crate) fn take(&self, change: &Change) -> Result<(), MetadataError> {
        let prefix = format!("instances/{}/", self.instance);
        let Some(inside) = change.key.strip_prefix(&prefix) else {
            return Ok(());
        };
        let kinds = [TOPICS, GROUPS, KV_CONFIGS];
        let kind = kinds.into_iter().find(|kind| inside.starts_with(kind));
        let Some(kind) = kind else {
            return Ok(());
        };
        let is_there = change.value.is_some();
        if !self.known.take(&change.key, change.revision, is_there) {
            return Ok(());
        }
        let name = &inside[kind.len()..];
        let mut tables = self.tables.write();
        match &change.value {
            None => tables.remove(kind, name),
            Some(value) => {
                let entry = Entry {
                    key: change.key.clone(),
                    value: value.clone(),
                    revision: change.revision,
                };
                tables.insert(kind, name, &entry)?;
            }
        }
        Ok(())
    }

    /// Keys of all entries in memory.
    pub(crate) fn known_keys(&self) -> Vec<String> {
        self.known.keys()
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
        let key = format!("instances/{}/{KV_CONFIGS}{namespace}", self.instance);
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
        format!("instances/{}/{TOPICS}{name}", self.instance)
    }

    fn group_key(&self, name: &GroupName) -> String {
        format!("instances/{}/{GROUPS}{name}", self.instance)
    }
}

fn read_topic(name: &str, entry: &Entry) -> Result<Topic, MetadataError> {
    let name = TopicName::new(name).map_err(|error| entry.unreadable(error))?;
    let topic: StoredTopic =
        serde_json::from_slice(&entry.value).map_err(|error| entry.unreadable(error))?;
    Ok(Topic {
        id: TopicId::new(topic.id),
        spec: TopicSpec {
            name,
            queues: topic.queues,
            permission: topic.permission,
            topic_type: topic.topic_type,
            attributes: topic.attributes,
        },
        description: topic.description.read(),
    })
}

fn read_group(name: &str, entry: &Entry) -> Result<Group, MetadataError> {
    let name = GroupName::new(name).map_err(|error| entry.unreadable(error))?;
    let group: StoredGroup =
        serde_json::from_slice(&entry.value).map_err(|error| entry.unreadable(error))?;
    let lite_topic = group.lite_topic.as_deref().map(TopicName::new).transpose();
    let modes = group.request_modes.iter();
    let modes = modes.map(|(topic, mode)| Ok((TopicName::new(topic)?, *mode)));
    let modes: Result<_, NameError> = modes.collect();
    Ok(Group {
        id: GroupId::new(group.id),
        spec: GroupSpec {
            name,
            fifo: group.fifo,
            max_attempts: group.max_attempts,
            retry: group.retry,
            lite_topic: lite_topic.map_err(|error| entry.unreadable(error))?,
            settings: group.settings,
        },
        request_modes: modes.map_err(|error| entry.unreadable(error))?,
        description: group.description.read(),
    })
}

/// Whether an application made the topic, rather than the system or a group for itself.
pub(crate) fn is_application_topic(name: &TopicName) -> bool {
    system_names::is_application_topic(name) && name.as_str() != UNRESOLVED_TOPIC
}

impl Tables {
    /// Reads an entry of that kind and name.
    fn insert(&mut self, kind: &str, name: &str, entry: &Entry) -> Result<(), MetadataError> {
        match kind {
            TOPICS => _ = self.insert_topic(read_topic(name, entry)?),
            GROUPS => _ = self.insert_group(read_group(name, entry)?),
            _ => {
                let values: BTreeMap<String, String> = serde_json::from_slice(&entry.value)
                    .map_err(|error| entry.unreadable(error))?;
                self.kv_configs.insert(name.to_owned(), Arc::new(values));
            }
        }
        Ok(())
    }

    /// Removes what was read of an entry of that kind and name.
    fn remove(&mut self, kind: &str, name: &str) {
        match kind {
            TOPICS => {
                let name = TopicName::new(name).ok();
                let topic = name.and_then(|name| self.topics.remove(&name));
                if let Some(topic) = topic {
                    self.topics_by_id.remove(&topic.id);
                }
            }
            GROUPS => {
                let name = GroupName::new(name).ok();
                let group = name.and_then(|name| self.groups.remove(&name));
                if let Some(group) = group {
                    self.group_ids.remove(&group.id);
                }
            }
            _ => _ = self.kv_configs.remove(name),
        }
    }

    fn insert_topic(&mut self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        let before = self.topics.insert(topic.name().clone(), topic.clone());
        if let Some(before) = before {
            // Deleted and created anew by another node, it has another id.
            self.topics_by_id.remove(&before.id);
        }
        self.topics_by_id.insert(topic.id, topic.clone());
        topic
    }

    fn insert_group(&mut self, group: Group) -> Arc<Group> {
        let group = Arc::new(group);
        let before = self.groups.insert(group.name().clone(), group.clone());
        if let Some(before) = before {
            self.group_ids.remove(&before.id);
        }
        self.group_ids.insert(group.id);
        group
    }
}
