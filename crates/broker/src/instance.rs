//! An instance: the tenant of topics, groups, clients and shards.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base::{Clock, GroupName, InstanceId, QueueId, QueueOffset, ShardId, TopicName, limits};
use parking_lot::{Mutex, RwLock};
use store::meta::{Change, MetadataError, MetadataStore};
use tokio::sync::oneshot;

use crate::{
    AskError, ClientAnswer, ClientCommand, ClientQuestion, CreateGroupError, CreateTopicError,
    DeleteTopicError, Group, GroupSpec, Heartbeat, HeartbeatError, InstanceLocked, InstanceMetrics,
    OpenShardError, RegisteredClient, SendError, Series, Shard, ShardParts, Subscription, Topic,
    TopicSpec,
    access::Access,
    clients::Clients,
    metadata::{Catalogue, is_application_topic},
    rates::Rates,
    wait,
};

/// What an operator sets for an instance.
#[derive(Clone, Debug)]
pub struct InstanceSettings {
    /// Whether topics and groups are created on first use.
    pub create_automatically: bool,
    /// Queues of a topic created on first use.
    pub automatic_queues: u32,
    /// Longest delay of a timed message, in milliseconds. The 4.x series has one of its own.
    pub delay_ms_max: u64,
    /// Time after which the producer of a half message is asked how its transaction ended, in
    /// milliseconds.
    pub transaction_timeout_ms: u64,
    /// Time between two such questions, in milliseconds.
    pub transaction_check_interval_ms: u64,
    /// Questions after which a half message is put aside.
    pub transaction_checks_max: u32,
    /// Time after which a queue lock that is not renewed is free, in milliseconds.
    pub queue_lock_expiry_ms: u64,
    /// Whether every request must come from a user who may do what it asks.
    pub access_control: bool,
    /// Which families of clients it takes, and whether types of messages are checked.
    pub series: Series,
    /// Bytes of a message's body that are one unit of quotas and usage.
    pub unit_bytes: u64,
    /// Whether it has nodes of its own, instead of sharing nodes with others.
    pub has_own_nodes: bool,
}

impl Default for InstanceSettings {
    /// No automatic creation, and else the defaults of Apache's broker (`transactionTimeOut`,
    /// `transactionCheckInterval`, `transactionCheckMax`) and the longest delay of the service.
    fn default() -> Self {
        Self {
            create_automatically: false,
            automatic_queues: 1,
            delay_ms_max: limits::DELAY_MS_MAX,
            transaction_timeout_ms: 6_000,
            transaction_check_interval_ms: 30_000,
            transaction_checks_max: 15,
            queue_lock_expiry_ms: limits::QUEUE_LOCK_EXPIRY_MS,
            access_control: false,
            series: Series::Any,
            unit_bytes: limits::UNIT_BYTES_DEFAULT,
            has_own_nodes: false,
        }
    }
}

/// One tenant. All methods may be called from any thread.
pub struct Instance {
    access: Access,
    pub(crate) catalogue: Arc<Catalogue>,
    clients: Arc<Clients>,
    pub(crate) clock: Arc<dyn Clock>,
    shards: RwLock<BTreeMap<ShardId, Arc<Shard>>>,
    pub(crate) rates: Mutex<Rates>,
    writes_offered: AtomicBool,
    /// Why topics and groups stay as they are, if they do.
    lock: RwLock<Option<String>>,
    /// Whether its plan has no traces.
    pub(crate) untraced: AtomicBool,
}

impl Instance {
    /// Reads the instance's topics and groups. It has no shard yet, see [`Instance::add_shard`].
    pub async fn open(
        id: InstanceId,
        settings: InstanceSettings,
        metadata: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, MetadataError> {
        let on = settings.access_control;
        let access = Access::open(id.clone(), on, metadata.clone()).await?;
        let catalogue = Catalogue::open(id, settings, metadata, clock.clone()).await?;
        let catalogue = Arc::new(catalogue);
        let (clients, shards) = (Arc::default(), RwLock::default());
        Ok(Arc::new(Self {
            access,
            catalogue,
            clients,
            rates: Mutex::new(Rates::new(clock.elapsed(), clock.now())),
            clock,
            shards,
            writes_offered: AtomicBool::new(true),
            lock: RwLock::default(),
            untraced: AtomicBool::new(false),
        }))
    }

    /// Adds a shard that this node owns. Its log must tell [`Shard::observer`] what becomes durable
    /// before anything is appended.
    pub fn add_shard(&self, parts: ShardParts) -> Result<Arc<Shard>, OpenShardError> {
        let shard = Shard::new(parts, self.catalogue.clone(), self.clients.clone())?;
        self.shards.write().insert(shard.id(), shard.clone());
        Ok(shard)
    }

    /// Its id.
    pub fn id(&self) -> &InstanceId {
        &self.catalogue.instance
    }

    /// Its settings.
    pub fn settings(&self) -> &InstanceSettings {
        &self.catalogue.settings
    }

    /// Topics and groups that applications have made: without the system's own, and without the
    /// topics that groups have for themselves.
    pub fn application_counts(&self) -> (usize, usize) {
        self.catalogue.application_counts()
    }

    /// Takes no change of topics and groups any more, if there is none but the system's own and
    /// those that groups had for themselves. Otherwise says how many topics and groups there are.
    pub(crate) async fn seal(&self) -> Result<(), (usize, usize)> {
        self.catalogue.seal().await
    }

    /// Takes changes again.
    pub(crate) fn unseal(&self) {
        self.catalogue.unseal();
    }

    /// Its users, and what they may do.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Its shard of that number, if it is here.
    pub fn shard(&self, shard: ShardId) -> Option<Arc<Shard>> {
        self.shards.read().get(&shard).cloned()
    }

    /// Its shards here, by number.
    pub fn shards(&self) -> Vec<Arc<Shard>> {
        self.shards.read().values().cloned().collect()
    }

    /// The topic of that name.
    pub fn topic(&self, name: &TopicName) -> Option<Arc<Topic>> {
        self.catalogue.topic(name)
    }

    /// Whether members of the group choose LiteTopics of the topic: they then receive as clients,
    /// see [`Shard::receive_lite`].
    pub fn chooses_lite_topics(&self, topic: &TopicName, group: &GroupName) -> bool {
        let is_lite = self.topic(topic).is_some_and(|topic| topic.spec.is_lite());
        is_lite
            && self.group(group).is_some_and(|group| {
                group.spec.lite_topic.is_some() && !group.spec.consumes_every_lite_topic()
            })
    }

    /// The topic of that name, created with `queues` queues (or the default number) if automatic
    /// creation is on.
    pub async fn topic_or_create(
        &self,
        name: &TopicName,
        queues: Option<u32>,
    ) -> Result<Arc<Topic>, SendError> {
        self.catalogue.topic_or_create(name, queues).await
    }

    /// All topics, by name.
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.catalogue.topics()
    }

    /// Creates a topic, or changes one to be as `spec` says. The same again succeeds. A type once
    /// declared stays; a spec without one leaves it as it is.
    pub async fn create_topic(&self, spec: TopicSpec) -> Result<Arc<Topic>, CreateTopicError> {
        if is_application_topic(&spec.name) {
            self.check_lock()?;
        }
        self.catalogue.create_topic(spec).await
    }

    /// Deletes a topic and its messages.
    pub async fn delete_topic(&self, name: &TopicName) -> Result<(), DeleteTopicError> {
        self.check_lock()?;
        let _change = self.catalogue.change().await;
        let topic = self.catalogue.known_topic(name)?;
        self.catalogue
            .remove_topic(&topic)
            .await
            .map_err(|source| DeleteTopicError::Metadata {
                topic: name.clone(),
                source,
            })
    }

    /// The group of that name.
    pub fn group(&self, name: &GroupName) -> Option<Arc<Group>> {
        self.catalogue.group(name)
    }

    /// All groups, by name.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        self.catalogue.groups()
    }

    /// Creates a group, or changes one to be as `spec` says. The same again succeeds. Its consumers
    /// hear of a change.
    pub async fn create_group(&self, spec: GroupSpec) -> Result<Arc<Group>, CreateGroupError> {
        self.check_lock()?;
        let before = self.catalogue.group(&spec.name);
        let group = self.catalogue.create_group(spec).await?;
        if before.is_some_and(|before| before.spec != group.spec) {
            self.tell_group_changed(group.name());
        }
        Ok(group)
    }

    /// The group of that name, created if automatic creation is on; `Ok(None)` if it is off.
    pub async fn group_or_create(
        &self,
        name: &GroupName,
    ) -> Result<Option<Arc<Group>>, CreateGroupError> {
        self.catalogue.group_or_create(name).await
    }

    /// Deletes a group with its offsets and receipts. `false` if there is none.
    pub async fn delete_group(&self, name: &GroupName) -> Result<bool, CreateGroupError> {
        self.check_lock()?;
        let _change = self.catalogue.change().await;
        let Some(group) = self.catalogue.group(name) else {
            return Ok(false);
        };
        self.catalogue
            .remove_group(&group)
            .await
            .map_err(|source| CreateGroupError::Metadata {
                group: name.clone(),
                source,
            })?;
        Ok(true)
    }

    /// The topic where a group's failed messages wait, created with its group's first consumer.
    pub async fn retry_topic(&self, group: &GroupName) -> Result<Arc<Topic>, CreateTopicError> {
        self.catalogue
            .create_topic(TopicSpec::new(TopicName::retry_of(group), 1))
            .await
    }

    /// Tells all consumers of a group that somebody has set its offsets. Returns how many were
    /// told.
    pub fn tell_offsets_reset(
        &self,
        group: &GroupName,
        topic: &TopicName,
        offsets: &[(QueueId, QueueOffset)],
    ) -> usize {
        self.tell_consumers(group, || ClientCommand::OffsetsReset {
            group: group.clone(),
            topic: topic.clone(),
            offsets: offsets.to_vec(),
        })
    }

    /// Tells the consumers of all groups that queues have come or gone, with the node that has
    /// them.
    pub fn tell_queues_changed(&self) {
        self.clients.tell_all(self.clock.now());
    }

    /// Takes in a change of the instance's metadata that another node made. What this node knows
    /// already, or knows something newer of, changes nothing.
    ///
    /// # Errors
    /// When the entry cannot be read; what was in memory stays.
    pub(crate) async fn take(&self, change: &Change) -> Result<(), MetadataError> {
        self.access.take(change).await?;
        let group = self.group_of_key(&change.key);
        let before = group.as_ref().and_then(|name| self.group(name));
        {
            let _change = self.catalogue.change().await;
            self.catalogue.take(change)?;
        }
        let after = group.and_then(|name| self.group(&name));
        if let (Some(before), Some(after)) = (before, after)
            && before.spec != after.spec
        {
            self.tell_group_changed(after.name());
        }
        Ok(())
    }

    fn group_of_key(&self, key: &str) -> Option<GroupName> {
        let inside = key.strip_prefix(&format!("instances/{}/groups/", self.id()))?;
        GroupName::new(inside).ok()
    }

    fn tell_group_changed(&self, group: &GroupName) {
        self.tell_consumers(group, || ClientCommand::GroupChanged {
            group: group.clone(),
        });
    }

    /// Keys of all metadata in memory.
    pub(crate) fn known_keys(&self) -> Vec<String> {
        let mut keys = self.catalogue.known_keys();
        keys.extend(self.access.known_keys());
        keys
    }

    /// Tells all consumers of a group. Returns how many were told.
    fn tell_consumers(&self, group: &GroupName, command: impl Fn() -> ClientCommand) -> usize {
        let consumers = self.clients.consumers(group, self.clock.now());
        let told = consumers.iter().filter(|consumer| {
            let id = &consumer.client.id;
            self.clients.tell(id, Some(group), command()).is_ok()
        });
        told.count()
    }

    /// Asks a connected client and waits at most `patience` for its answer.
    pub async fn ask(
        &self,
        client: &str,
        question: ClientQuestion,
        patience: Duration,
    ) -> Result<ClientAnswer, AskError> {
        let (answer, answered) = oneshot::channel();
        let group = question.group().cloned();
        let command = ClientCommand::Ask { question, answer };
        self.clients.tell(client, group.as_ref(), command)?;
        let mut heard = None;
        let listening = async { heard = answered.await.ok() };
        wait::until(listening, &*self.clock, patience).await;
        heard.ok_or_else(|| AskError::Silent {
            client: client.to_owned(),
            waited_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Notes what a client says of itself. Members of its groups hear of it if anything changed.
    pub fn heartbeat(&self, heartbeat: Heartbeat) -> Result<(), HeartbeatError> {
        self.sample();
        let entitlement = self.catalogue.quota.entitlement();
        let clients_max = entitlement.map_or(limits::CLIENTS_PER_INSTANCE_MAX, |entitlement| {
            entitlement.connections
        });
        let now = self.clock.now();
        self.clients.heartbeat(heartbeat, now, clients_max)
    }

    /// Forgets a client in one group, or in all of them.
    pub fn unregister(&self, client: &str, group: Option<&GroupName>) {
        self.clients.unregister(client, group);
    }

    /// Forgets the clients of a connection that has ended.
    pub fn disconnect(&self, connection: u64) {
        self.clients.disconnect(connection);
    }

    /// Live consumers of a group, by client id.
    pub fn consumers(&self, group: &GroupName) -> Vec<RegisteredClient> {
        self.clients.consumers(group, self.clock.now())
    }

    /// What a group subscribes to in a topic: the newest that any of its members has told, by
    /// which its pulls are filtered whoever asks.
    pub fn subscription(&self, group: &GroupName, topic: &TopicName) -> Option<Subscription> {
        self.clients.subscription(group, topic)
    }

    /// The same for all topics of the group.
    pub fn subscriptions(&self, group: &GroupName) -> Vec<Subscription> {
        self.clients.subscriptions(group)
    }

    /// Live producers of a group, by client id.
    pub fn producers(&self, group: &GroupName) -> Vec<RegisteredClient> {
        self.clients.producers(group, self.clock.now())
    }

    /// Live producers of all groups.
    pub fn all_producers(&self) -> BTreeMap<GroupName, Vec<RegisteredClient>> {
        self.clients.all_producers(self.clock.now())
    }

    /// Groups of which a live member subscribes to `topic`.
    pub fn subscribed_groups(&self, topic: &TopicName) -> BTreeSet<GroupName> {
        self.clients.subscribed_groups(topic, self.clock.now())
    }

    /// Whether routes offer queues to write to. While they do not, producers go elsewhere; what
    /// they send all the same is taken. Forgotten at a restart.
    pub fn offers_writes(&self) -> bool {
        self.writes_offered.load(Ordering::Relaxed)
    }

    /// Whether what happens to its messages is kept for traces, where the server keeps that: the
    /// plan of a serverless instance may say that it is not.
    pub fn is_traced(&self) -> bool {
        !self.untraced.load(Ordering::Relaxed)
    }

    /// Makes routes offer queues to write to, or not.
    pub fn offer_writes(&self, offered: bool) {
        self.writes_offered.store(offered, Ordering::Relaxed);
    }

    /// Has administrators leave topics and groups as they are from now on, for that reason, or
    /// lets them change them again. What comes into being by itself still does.
    pub fn lock(&self, reason: Option<String>) {
        if *self.lock.read() != reason {
            *self.lock.write() = reason;
        }
    }

    pub(crate) fn check_lock(&self) -> Result<(), InstanceLocked> {
        match &*self.lock.read() {
            None => Ok(()),
            Some(reason) => Err(InstanceLocked {
                instance: self.id().clone(),
                reason: reason.clone(),
            }),
        }
    }

    /// Connected clients.
    pub(crate) fn client_count(&self) -> usize {
        self.clients.count()
    }

    /// What the instance counts.
    pub fn metrics(&self) -> InstanceMetrics {
        let (producers, consumers) = self.clients.counts();
        let mut metrics = InstanceMetrics {
            producers,
            consumers,
            ..InstanceMetrics::default()
        };
        for shard in self.shards() {
            shard.add_metrics(&mut metrics);
        }
        self.add_quota_metrics(&mut metrics);
        metrics
    }
}
