//! Instances on disk: what the server's own host does, without tasks.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use base::{Clock, InstanceId, Random, SeededRandom, ShardId};
use broker::{
    HostError, Instance, InstanceHost, InstanceSettings, InstanceToOpen, Shard, ShardParts,
    ShardState,
};
use futures::future::BoxFuture;
use store::{
    fs::FolderDisk,
    kv::{FjallDatabase, FjallKv},
    log::local::{Committer, LocalLog, LocalLogOptions},
    meta::{EmbeddedMetadata, MetadataStore},
};

/// Where the instances of a test server are. Their held messages are released by tests.
pub(crate) struct TestHost(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    metadata: Arc<dyn MetadataStore>,
    state: Arc<FjallDatabase>,
    clock: Arc<dyn Clock>,
    committer: Arc<Committer>,
    settings: InstanceSettings,
    open: std::sync::Mutex<BTreeMap<InstanceId, Open>>,
}

struct Open {
    shard: Arc<Shard>,
    log: Arc<LocalLog>,
    kv: Arc<FjallKv>,
}

impl TestHost {
    pub(crate) fn new(
        folder: &Path,
        metadata: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
        committer: Arc<Committer>,
        settings: InstanceSettings,
    ) -> Arc<Self> {
        Arc::new(Self(Arc::new(Inner {
            folder: folder.join("instances"),
            metadata,
            state: FjallDatabase::open(&folder.join("state")).unwrap(),
            clock,
            committer,
            settings,
            open: std::sync::Mutex::default(),
        })))
    }
}

impl InstanceHost for TestHost {
    fn open(
        &self,
        opening: InstanceToOpen,
    ) -> BoxFuture<'static, Result<Arc<Instance>, HostError>> {
        let own = self.0.clone();
        let InstanceToOpen { id, series, .. } = opening;
        Box::pin(async move {
            let settings = InstanceSettings {
                series,
                ..own.settings.clone()
            };
            let (metadata, clock) = (own.metadata.clone(), own.clock.clone());
            let instance = Instance::open(id.clone(), settings, metadata, clock).await?;
            let kv = Arc::new(own.state.shard_of(&id, SHARD)?);
            let folder = own.folder.join(id.as_str());
            std::fs::create_dir_all(&folder)?;
            let (shard, log) = open_shard(
                &folder.join("log"),
                &instance,
                kv.clone(),
                &own.committer,
                &own.clock,
            );
            let opened = Open { shard, log, kv };
            own.open.lock().unwrap().insert(id, opened);
            Ok(instance)
        })
    }

    fn remove(&self, id: InstanceId) -> BoxFuture<'static, Result<(), HostError>> {
        let own = self.0.clone();
        Box::pin(async move {
            let open = own.open.lock().unwrap().remove(&id);
            if let Some(Open { shard, log, kv }) = open {
                shard.drain();
                log.close();
                own.committer.unregister(&log);
                kv.remove()?;
                std::fs::remove_dir_all(own.folder.join(id.as_str()))?;
            }
            Ok(())
        })
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) {
        tokio::spawn(work);
    }
}

const SHARD: ShardId = ShardId::new(0);

/// An instance with one shard on the disk at `path`: log, state and metadata.
pub(crate) async fn open(
    path: &Path,
    id: &str,
    settings: InstanceSettings,
    committer: &Committer,
    clock: &Arc<dyn Clock>,
) -> Arc<Instance> {
    let metadata_disk = FolderDisk::open(&path.join("metadata")).unwrap();
    let metadata = EmbeddedMetadata::open(metadata_disk, clock.clone()).unwrap();
    let id = InstanceId::new(id).unwrap();
    let instance = Instance::open(id, settings, metadata, clock.clone())
        .await
        .unwrap();
    let database = FjallDatabase::open(&path.join("state")).unwrap();
    let kv = Arc::new(database.shard(SHARD).unwrap());
    open_shard(&path.join("log"), &instance, kv, committer, clock);
    instance
}

fn open_shard(
    folder: &Path,
    instance: &Instance,
    kv: Arc<FjallKv>,
    committer: &Committer,
    clock: &Arc<dyn Clock>,
) -> (Arc<Shard>, Arc<LocalLog>) {
    let mut state = ShardState::open(kv).unwrap();
    let disk = FolderDisk::open(folder).unwrap();
    let from = state.replay_from();
    let mut replay = |record| state.replay(&record);
    let options = LocalLogOptions::default();
    let (log, _) = LocalLog::open(disk, SHARD, options, clock.clone(), from, &mut replay).unwrap();
    let random: Arc<dyn Random> = Arc::new(SeededRandom::new(7));
    let parts = ShardParts {
        id: SHARD,
        log: log.clone(),
        state,
        clock: clock.clone(),
        random,
    };
    let shard = instance.add_shard(parts).unwrap();
    log.observe(Arc::downgrade(&shard.observer()));
    committer.register(&log);
    (shard, log)
}
