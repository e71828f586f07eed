//! The instances of a server: which there are, and their life from creation to removal.
//!
//! ```text
//!               create                            delete
//!   (nothing) ---------> creating ---> running ----------> deleting ---> (nothing)
//!                            |                                 ^
//!                            +--- crash: removed at the next start, as what is left of it
//! ```
//!
//! A phase is in the metadata store before what it stands for is begun, so that a crash leaves
//! nothing that nobody knows of. The parts of an instance that are files and tasks are its host's
//! ([`InstanceHost`]); what clients reach is in the [`Router`].
//!
//! Instances come and go while the server runs. Whoever does something for all of them asks the
//! router each time and keeps no list.

mod errors;
mod follow;
mod growth;
mod id;
mod inspect;
mod own_nodes;
mod plan;
mod record;
mod see;
mod serves;
mod usage;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base::{Clock, InstanceId, Random, ShardId, limits};
use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use parking_lot::{Mutex, RwLock};
use store::meta::{Entry, MetadataError, MetadataStore, Revision, erase_all, made_once};
use tokio::sync::oneshot;

pub use self::{
    errors::{
        CreateInstanceError, DeleteInstanceError, InstanceTextError, OpenInstancesError,
        OwnNodesError, UpdateInstanceError,
    },
    inspect::InspectionError,
    record::{InstanceChange, InstanceRecord, InstanceSpec},
    serves::{InstancePart, InstanceToOpen, Serves},
    usage::UsageError,
};
use self::{
    record::{Phase, Stored},
    usage::Unwritten,
};
use crate::{Instance, InstanceNotFound, Router, Series, known::Known, plan::InstanceStatus};

/// Where the records are.
const REGISTRY: &str = "instance-registry/";

/// Where the number is that ids of the 4.x series carry.
const ACCOUNT: &str = "account";

/// Ids that are tried before giving up; that one is taken is hardly ever so.
const ID_ATTEMPTS: usize = 16;

/// What failed in an instance's files or tasks.
pub type HostError = Box<dyn std::error::Error + Send + Sync>;

/// The parts of instances that are files, threads and tasks: whoever runs the core has them.
pub trait InstanceHost: Send + Sync {
    /// Opens an instance, with its shards where it is to be there whole, making what is not there,
    /// and begins its upkeep. It is not in the router yet.
    fn open(&self, opening: InstanceToOpen)
    -> BoxFuture<'static, Result<Arc<Instance>, HostError>>;

    /// Ends the upkeep of an instance that the router no longer has, and removes all that it
    /// stored. Also removes what is left of one that is not open; none at all is a success.
    fn remove(&self, id: InstanceId) -> BoxFuture<'static, Result<(), HostError>>;

    /// Instances of which something is stored here, open or not. Asked only where there are several
    /// nodes.
    fn stored(&self) -> Result<Vec<InstanceId>, HostError> {
        Ok(Vec::new())
    }

    /// Carries out `work` to its end, whatever becomes of the caller.
    fn spawn(&self, work: BoxFuture<'static, ()>);
}

/// What the registry of instances is made of.
pub struct InstancesParts {
    /// Where the records are kept.
    pub metadata: Arc<dyn MetadataStore>,
    /// Where clients find instances.
    pub router: Arc<Router>,
    /// Files and tasks of instances.
    pub host: Arc<dyn InstanceHost>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// Series of the default instance.
    pub default_series: Series,
    /// Whether instances of the 4.x series may be created.
    pub series_4_created: bool,
    /// The number of this node among those that share the metadata; `None` where it is the only
    /// one, and for a fleet.
    pub node: Option<ShardId>,
    /// Which instances are opened here.
    pub serves: Serves,
}

/// The instances of a server. All methods may be called from any thread; a change that was begun is
/// carried out even if its caller goes away.
pub struct Instances {
    parts: InstancesParts,
    account: u64,
    records: RwLock<BTreeMap<InstanceId, Arc<InstanceRecord>>>,
    known: Known,
    /// What was read at the start stands for this revision or a later one.
    opened_at: Revision,
    /// Instances that nobody can reach any more and of which something is left.
    leaving: Mutex<BTreeSet<InstanceId>>,
    /// One change at a time.
    changes: tokio::sync::Mutex<()>,
    /// What instances used and is not written yet.
    usage: tokio::sync::Mutex<Unwritten>,
    /// How far limits have grown, as it is written.
    growth: tokio::sync::Mutex<growth::Written>,
    /// One change of an inspection at a time.
    inspection_changes: tokio::sync::Mutex<()>,
    /// Runs of inspections that this process carries out.
    inspecting: Mutex<BTreeSet<(InstanceId, String)>>,
}

impl Instances {
    /// Opens all instances and adds them to the router, the default one first, which is made if it
    /// is not there. Removes what a crash left half made or half removed.
    pub async fn open(parts: InstancesParts) -> Result<Arc<Self>, OpenInstancesError> {
        let account = account(&*parts.metadata, &*parts.random).await?;
        let (mut records, mut remains) = (BTreeMap::new(), Vec::new());
        let known = Known::default();
        let (entries, opened_at) = parts.metadata.range(REGISTRY).await?;
        known.read(&entries, opened_at);
        for entry in entries {
            let Read {
                phase,
                record,
                node,
            } = read(&entry)?;
            match phase {
                Phase::Running if parts.serves.part(&record).is_none() => {}
                Phase::Running => _ = records.insert(record.id.clone(), Arc::new(record)),
                // Another node is at it, now or when it comes back.
                Phase::Creating | Phase::Deleting if node != parts.node => {}
                Phase::Creating | Phase::Deleting => remains.push(record.id),
            }
        }
        let instances = Self {
            parts,
            account,
            records: RwLock::new(records),
            known,
            opened_at,
            leaving: Mutex::default(),
            changes: tokio::sync::Mutex::default(),
            usage: tokio::sync::Mutex::default(),
            growth: tokio::sync::Mutex::default(),
            inspection_changes: tokio::sync::Mutex::default(),
            inspecting: Mutex::default(),
        };
        if let Serves::One(instance) = &instances.parts.serves
            && instances.get(instance).is_err()
        {
            let instance = instance.clone();
            return Err(OpenInstancesError::NotFound { instance });
        }
        instances.ensure_default().await?;
        let default = InstanceId::default_instance();
        instances.open_one(default.clone()).await?;
        let others = instances.list().into_iter().map(|record| record.id.clone());
        stream::iter(others.filter(|id| *id != default))
            .map(|id| instances.open_one(id))
            .buffer_unordered(limits::INSTANCES_OPENING_AT_ONCE)
            .try_collect::<()>()
            .await?;
        for id in remains {
            tracing::info!(instance = %id, "removing what is left of an instance");
            let removed = instances.remove_all(&id).await;
            removed.map_err(|error| match error {
                DeleteInstanceError::Host { instance, source } => {
                    OpenInstancesError::Host { instance, source }
                }
                DeleteInstanceError::Metadata { source, .. } => source.into(),
                other => OpenInstancesError::Host {
                    instance: id,
                    source: other.into(),
                },
            })?;
        }
        instances.remove_strangers().await?;
        Ok(Arc::new(instances))
    }

    /// All instances, by id.
    pub fn list(&self) -> Vec<Arc<InstanceRecord>> {
        self.records.read().values().cloned().collect()
    }

    /// What is known of the instance of that id.
    pub fn get(&self, id: &InstanceId) -> Result<Arc<InstanceRecord>, InstanceNotFound> {
        let record = self.records.read().get(id).cloned();
        record.ok_or_else(|| InstanceNotFound {
            instance: id.clone(),
        })
    }

    /// The number of the account that owns this server's instances: sixteen digits, made at the
    /// first start.
    pub fn account(&self) -> u64 {
        self.account
    }

    /// Creates an instance. Clients reach it when this returns, and it outlives any crash then.
    pub async fn create(
        self: &Arc<Self>,
        spec: InstanceSpec,
    ) -> Result<Arc<InstanceRecord>, CreateInstanceError> {
        let own = Arc::clone(self);
        let created = self.carry_out(async move { own.create_whole(spec).await });
        created.await.unwrap_or(Err(CreateInstanceError::Stopping))
    }

    /// Changes what is known of an instance.
    pub async fn update(
        self: &Arc<Self>,
        id: &InstanceId,
        change: InstanceChange,
    ) -> Result<Arc<InstanceRecord>, UpdateInstanceError> {
        let (own, id) = (Arc::clone(self), id.clone());
        let updated = self.carry_out(async move { own.update_whole(&id, change).await });
        updated.await.unwrap_or(Err(UpdateInstanceError::Stopping))
    }

    /// Deletes an instance that has no topics and no groups, with all that it stored. Requests that
    /// are under way fail; later ones do not find it.
    pub async fn delete(self: &Arc<Self>, id: &InstanceId) -> Result<(), DeleteInstanceError> {
        let (own, id) = (Arc::clone(self), id.clone());
        let deleted = self.carry_out(async move { own.delete_whole(&id).await });
        deleted.await.unwrap_or(Err(DeleteInstanceError::Stopping))
    }

    /// The outcome of `work`, which goes on without the caller. `None` if it was given up, as the
    /// server stops.
    async fn carry_out<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = oneshot::channel();
        self.parts.host.spawn(Box::pin(async move {
            // Nobody may be left who wants to know.
            let _ = tell.send(work.await);
        }));
        told.await.ok()
    }

    async fn create_whole(
        &self,
        spec: InstanceSpec,
    ) -> Result<Arc<InstanceRecord>, CreateInstanceError> {
        if spec.series == Series::Any {
            return Err(CreateInstanceError::NoSeries);
        }
        if spec.series == Series::V4 && !self.parts.series_4_created {
            return Err(CreateInstanceError::SeriesClosed);
        }
        let now = self.parts.clock.now();
        let nodes = self.parts.serves.nodes_of(&spec)?;
        let plan = plan::ordered(spec.plan, spec.series, now)?;
        let _change = self.changes.lock().await;
        // A request that is made again, because its answer was lost, makes nothing.
        let mut known = self.list().into_iter();
        let same = known.find(|known| known.client_token == spec.client_token);
        if let Some(same) = same.filter(|_| !spec.client_token.is_empty()) {
            return Ok(same);
        }
        let (count, limit) = (self.records.read().len(), limits::INSTANCES_PER_SERVER_MAX);
        if count >= limit {
            return Err(CreateInstanceError::TooMany { count, limit });
        }
        let mut record = InstanceRecord {
            id: id::make(spec.series, self.account, &*self.parts.random),
            series: spec.series,
            display_name: spec.display_name,
            remark: spec.remark,
            created_at: now,
            tags: spec.tags,
            status: match nodes {
                0 => InstanceStatus::Running,
                _ => InstanceStatus::Creating,
            },
            plan,
            resource_group: spec.resource_group,
            client_token: spec.client_token,
            nodes,
        };
        record.check()?;
        if self.parts.serves.is_fleet() {
            return self.create_at_fleet(record).await;
        }
        self.register(&mut record)
            .await
            .map_err(|source| CreateInstanceError::Metadata {
                instance: record.id.clone(),
                source,
            })?;
        let made = self.make(&record).await;
        let instance = match made {
            Ok(instance) => instance,
            Err(error) => {
                // Best effort: the next start removes what is left.
                if let Err(left) = self.remove_all(&record.id).await {
                    let (instance, error) = (&record.id, &left as &dyn std::error::Error);
                    tracing::warn!(%instance, error, "remains of an instance not removed yet");
                }
                return Err(error);
            }
        };
        let record = Arc::new(record);
        self.records
            .write()
            .insert(record.id.clone(), Arc::clone(&record));
        self.parts.router.add(instance);
        tracing::info!(instance = %record.id, series = %record.series, "instance created");
        Ok(record)
    }

    /// Puts the record of an instance that is to be made, under an id that nobody has.
    async fn register(&self, record: &mut InstanceRecord) -> Result<(), MetadataError> {
        let mut attempts = 1;
        loop {
            match self.put(record, Phase::Creating).await {
                Ok(()) => return Ok(()),
                Err(MetadataError::Conflict { .. }) if attempts < ID_ATTEMPTS => {
                    attempts += 1;
                    record.id = id::make(record.series, self.account, &*self.parts.random);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn make(&self, record: &InstanceRecord) -> Result<Arc<Instance>, CreateInstanceError> {
        let instance = self.open_new(record).await?;
        self.put(record, Phase::Running)
            .await
            .map_err(|source| CreateInstanceError::Metadata {
                instance: record.id.clone(),
                source,
            })?;
        Ok(instance)
    }

    async fn update_whole(
        &self,
        id: &InstanceId,
        change: InstanceChange,
    ) -> Result<Arc<InstanceRecord>, UpdateInstanceError> {
        let _change = self.changes.lock().await;
        let before = self.get(id)?;
        let plan = change.plan.as_ref();
        let is_resized = plan.is_some_and(|it| it.specification.is_some() || it.capacity.is_some());
        if is_resized || change.nodes.is_some() {
            self.check_lock(id)?;
        }
        let nodes = change.nodes;
        let mut record = InstanceRecord::clone(&before).changed(change)?;
        if let Some(nodes) = nodes {
            self.resize(&mut record, nodes)?;
        }
        self.replace(record).await
    }

    /// Puts a changed record in the place of the one before. The caller holds off other changes.
    async fn replace(
        &self,
        record: InstanceRecord,
    ) -> Result<Arc<InstanceRecord>, UpdateInstanceError> {
        record.check()?;
        let put = self.put(&record, Phase::Running).await;
        if let Err(MetadataError::Conflict { .. }) = &put {
            // Another node was faster: the next attempt is made on what that one made.
            if let Err(error) = self.reread(&record.id).await {
                tracing::warn!(%error, "record of an instance not read again");
            }
        }
        put.map_err(|source| UpdateInstanceError::Metadata {
            instance: record.id.clone(),
            source,
        })?;
        if let Ok(instance) = self.parts.router.instance(&record.id) {
            instance.go_by(record.plan.as_ref(), record.status)?;
        }
        let (id, record) = (record.id.clone(), Arc::new(record));
        self.records.write().insert(id, Arc::clone(&record));
        Ok(record)
    }

    async fn delete_whole(&self, id: &InstanceId) -> Result<(), DeleteInstanceError> {
        if *id == InstanceId::default_instance() {
            return Err(DeleteInstanceError::Default {
                instance: id.clone(),
            });
        }
        let _change = self.changes.lock().await;
        // An earlier attempt may have got further than this one begins.
        if !self.leaving.lock().contains(id) {
            if self.begin_release(id).await? {
                return Ok(());
            }
            self.take_away(id).await?;
        }
        self.remove_all(id).await?;
        self.leaving.lock().remove(id);
        tracing::info!(instance = %id, "instance deleted");
        Ok(())
    }

    /// Makes an instance that holds nothing one that nobody can reach, and that a start removes.
    async fn take_away(&self, id: &InstanceId) -> Result<(), DeleteInstanceError> {
        let (record, instance) = (self.get(id)?, self.parts.router.instance(id)?);
        let sealed = instance.seal().await;
        sealed.map_err(|(topics, groups)| DeleteInstanceError::NotEmpty {
            instance: id.clone(),
            topics,
            groups,
        })?;
        if let Err(source) = self.put(&record, Phase::Deleting).await {
            instance.unseal();
            return Err(DeleteInstanceError::Metadata {
                instance: id.clone(),
                source,
            });
        }
        self.parts.router.remove(id);
        self.keep_last_usage(&instance).await;
        self.leaving.lock().insert(id.clone());
        self.records.write().remove(id);
        Ok(())
    }

    /// Removes all of an instance that nobody can reach, its record last.
    async fn remove_all(&self, id: &InstanceId) -> Result<(), DeleteInstanceError> {
        let removed = self.parts.host.remove(id.clone()).await;
        removed.map_err(|source| DeleteInstanceError::Host {
            instance: id.clone(),
            source,
        })?;
        let forget = async {
            let metadata = &*self.parts.metadata;
            let entries = metadata.range(&format!("instances/{id}/")).await?.0;
            erase_all(metadata, entries).await?;
            self.forget_inspection(id).await?;
            self.known.put(metadata, &key(id), None).await
        };
        let forgotten: Result<(), MetadataError> = forget.await;
        forgotten.map_err(|source| DeleteInstanceError::Metadata {
            instance: id.clone(),
            source,
        })
    }

    async fn open_one(&self, id: InstanceId) -> Result<(), OpenInstancesError> {
        let record = self.get(&id).expect("only records are opened");
        let opened = self.open_at_host(&record).await;
        let instance = opened.map_err(|source| OpenInstancesError::Host {
            instance: id,
            source,
        })?;
        self.restore_usage(&instance).await?;
        if let Err(error) = instance.go_by(record.plan.as_ref(), record.status) {
            // What was sold once is kept, though nobody can order it any more.
            let (instance, error) = (&record.id, &error as &dyn std::error::Error);
            tracing::warn!(%instance, error, "plan of an instance not known, no limits kept");
        }
        self.restore_growth(&instance).await?;
        self.parts.router.add(instance);
        Ok(())
    }

    /// Sees to it that the default instance has a record. Its series is a setting and may be
    /// another than at the last start.
    async fn ensure_default(&self) -> Result<(), MetadataError> {
        let id = InstanceId::default_instance();
        let series = self.parts.default_series;
        loop {
            // Of the account alone its users count, and their series is for others to say.
            let is_account = !self.parts.serves.has_messages_of(&id);
            let record = match self.get(&id) {
                Ok(record) if is_account || record.series == series => return Ok(()),
                Ok(record) => InstanceRecord {
                    series,
                    ..InstanceRecord::clone(&record)
                },
                Err(_) => InstanceRecord {
                    id: id.clone(),
                    series,
                    display_name: String::new(),
                    remark: String::new(),
                    created_at: self.parts.clock.now(),
                    tags: BTreeMap::new(),
                    status: InstanceStatus::Running,
                    plan: None,
                    resource_group: String::new(),
                    client_token: String::new(),
                    nodes: 0,
                },
            };
            match self.put(&record, Phase::Running).await {
                Ok(()) => {
                    self.records.write().insert(id, Arc::new(record));
                    return Ok(());
                }
                // Another node starts in this moment.
                Err(MetadataError::Conflict { .. }) => self.reread(&id).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes in what the registry has of an instance now, without opening or removing it.
    async fn reread(&self, id: &InstanceId) -> Result<(), MetadataError> {
        let key = key(id);
        let entry = self.parts.metadata.get(&key).await?;
        let Some(entry) = entry else {
            return Ok(());
        };
        let found = read(&entry)?;
        self.known.take(&key, entry.revision, true);
        if found.phase == Phase::Running && self.parts.serves.part(&found.record).is_some() {
            self.take_in(found.record);
        }
        Ok(())
    }

    async fn put(&self, record: &InstanceRecord, phase: Phase) -> Result<(), MetadataError> {
        let value = Some(record.stored(phase, self.parts.node));
        let metadata = &*self.parts.metadata;
        self.known.put(metadata, &key(&record.id), value).await
    }
}

fn key(id: &InstanceId) -> String {
    format!("{REGISTRY}{id}")
}

/// An entry of the registry.
struct Read {
    phase: Phase,
    record: InstanceRecord,
    /// Who is making or removing it.
    node: Option<ShardId>,
}

fn read(entry: &Entry) -> Result<Read, MetadataError> {
    let id = InstanceId::new(&entry.key[REGISTRY.len()..]);
    let id = id.map_err(|error| entry.unreadable(error))?;
    let stored: Stored =
        serde_json::from_slice(&entry.value).map_err(|error| entry.unreadable(error))?;
    Ok(Read {
        phase: stored.phase,
        node: stored.node.map(ShardId::new),
        record: stored.record(id),
    })
}

/// The account's number, made if there is none yet.
async fn account(metadata: &dyn MetadataStore, random: &dyn Random) -> Result<u64, MetadataError> {
    let made = || Some(id::account(random).to_string().into_bytes().into());
    let entry = made_once(metadata, ACCOUNT, made).await?;
    let entry = entry.expect("a number is always made");
    let text = str::from_utf8(&entry.value).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| entry.unreadable("not a number"))
}
