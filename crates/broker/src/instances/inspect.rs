//! Inspections of instances: their configurations and runs, kept in the metadata store.
//!
//! | key | value |
//! | --- | --- |
//! | `inspections/config/<instance>` | JSON: templates, scope, schedule, revision, next and open |
//! | | run, answered requests |
//! | `inspections/runs/<instance>/<run>` | JSON: a run and what it found |
//!
//! A configuration names the run that is open before that run is written, so that no run is left
//! that nobody knows of; one of which there is nothing but the name never began. A run that is open
//! and that no process carries out is carried out again by the node that had it, or, after
//! [`limits::INSPECTION_STALE_MS`], by any other. Several nodes may find the same run due: who
//! changes the configuration first has it. What all nodes see of the instance is in `see.rs`.

use std::sync::Arc;

use base::{ErrorKind, InstanceId, ShardId, Timestamp, limits, stdx::hash_bytes};
use serde::{Serialize, de::DeserializeOwned};
use store::meta::{Expected, MetadataError, Revision, erase_all};

use super::Instances;
use crate::{
    InstanceNotFound,
    inspection::{
        Inspection, InspectionChange, InspectionItem, InspectionRun, InspectionRunStatus,
        InspectionSpec, InspectionTrigger, InspectionValueError, StoredInspection, StoredRequest,
    },
};

const CONFIGS: &str = "inspections/config/";
const RUNS: &str = "inspections/runs/";

pub(super) fn run_key(id: &InstanceId, run: &str) -> String {
    format!("{RUNS}{id}/{run}")
}

/// Why an inspection is not set up, changed, begun or told.
#[derive(Debug, thiserror::Error)]
pub enum InspectionError {
    /// There is no such instance.
    #[error(transparent)]
    NotFound(#[from] InstanceNotFound),
    /// It is not set up.
    #[error("instance `{instance}` has no inspection configured")]
    NotConfigured {
        /// The instance.
        instance: InstanceId,
    },
    /// It is set up already.
    #[error("instance `{instance}` has an inspection configured, expected none")]
    Configured {
        /// The instance.
        instance: InstanceId,
    },
    /// A part of what was asked for cannot be.
    #[error(transparent)]
    Value(#[from] InspectionValueError),
    /// Somebody else has changed it meanwhile.
    #[error("inspection of instance `{instance}` is at revision {have}, expected {asked}")]
    Revision {
        /// The instance.
        instance: InstanceId,
        /// The revision now.
        have: u64,
        /// The one that the request is about.
        asked: u64,
    },
    /// A token was used for something else.
    #[error("client token `{token}` was used for another request")]
    TokenUsed {
        /// The token.
        token: String,
    },
    /// One run at a time.
    #[error("inspection run `{run}` of instance `{instance}` is not over")]
    Running {
        /// The instance.
        instance: InstanceId,
        /// The run.
        run: String,
    },
    /// There is no such run, or none any more.
    #[error("inspection run `{run}` not found in instance `{instance}`")]
    RunNotFound {
        /// The instance.
        instance: InstanceId,
        /// The run.
        run: String,
    },
    /// The server stops.
    #[error("server is stopping")]
    Stopping,
    /// The metadata store failed, or another node was faster.
    #[error("keep inspection of instance `{instance}`")]
    Metadata {
        /// The instance.
        instance: InstanceId,
        /// What it said.
        #[source]
        source: MetadataError,
    },
}

impl InspectionError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) | Self::NotConfigured { .. } | Self::RunNotFound { .. } => {
                ErrorKind::NotFound
            }
            Self::Value(error) => error.kind(),
            Self::Configured { .. }
            | Self::Revision { .. }
            | Self::TokenUsed { .. }
            | Self::Running { .. } => ErrorKind::Request,
            Self::Stopping | Self::Metadata { .. } => ErrorKind::Retry,
        }
    }

    fn metadata(instance: &InstanceId) -> impl FnOnce(MetadataError) -> Self {
        move |source| Self::Metadata {
            instance: instance.clone(),
            source,
        }
    }
}

/// A request that must not be done twice.
struct Asked {
    token: String,
    digest: u64,
}

impl Asked {
    fn new(operation: &str, token: &str, what: &impl Serialize) -> Self {
        let what = serde_json::to_vec(what).expect("plain data becomes JSON");
        Self {
            token: token.to_owned(),
            digest: hash_bytes(operation.bytes().chain(what)),
        }
    }

    /// The same request, if it was answered before.
    fn before<'a>(
        &self,
        config: &'a StoredInspection,
        now: Timestamp,
    ) -> Result<Option<&'a StoredRequest>, InspectionError> {
        let since = now.ms() - limits::INSPECTION_TOKEN_MS;
        let mut known = config.requests.iter().rev();
        match known.find(|known| known.token == self.token && known.at_ms > since) {
            Some(known) if known.digest != self.digest => Err(InspectionError::TokenUsed {
                token: self.token.clone(),
            }),
            known => Ok(known),
        }
    }

    fn note(self, config: &mut StoredInspection, now: Timestamp, run: Option<String>) {
        let since = now.ms() - limits::INSPECTION_TOKEN_MS;
        config.requests.retain(|known| known.at_ms > since);
        if config.requests.len() >= limits::INSPECTION_TOKENS_MAX {
            config.requests.remove(0);
        }
        config.requests.push(StoredRequest {
            token: self.token,
            digest: self.digest,
            at_ms: now.ms(),
            run,
        });
    }
}

impl Instances {
    /// How the inspection of an instance is set up; `None` if it is not.
    pub async fn inspection(&self, id: &InstanceId) -> Result<Option<Inspection>, InspectionError> {
        self.get(id)?;
        let config = self.config(id).await?;
        Ok(config.map(|(config, _)| config.shown(id)))
    }

    /// Sets the inspection of an instance up. The same request again, by its token, finds it done.
    pub async fn create_inspection(
        &self,
        id: &InstanceId,
        token: &str,
        spec: InspectionSpec,
    ) -> Result<Inspection, InspectionError> {
        self.get(id)?;
        spec.check()?;
        let asked = Asked::new("create", token, &spec);
        let _change = self.inspection_changes.lock().await;
        let now = self.parts.clock.now();
        if let Some((config, _)) = self.config(id).await? {
            if asked.before(&config, now)?.is_some() {
                return Ok(config.shown(id));
            }
            let instance = id.clone();
            return Err(InspectionError::Configured { instance });
        }
        let mut config = StoredInspection {
            next_run_at_ms: spec.schedule.next(now).map(Timestamp::ms),
            spec,
            revision: 1,
            ..StoredInspection::default()
        };
        asked.note(&mut config, now, None);
        self.put_config(id, Expected::Absent, &config).await?;
        Ok(config.shown(id))
    }

    /// Changes how an instance is inspected. The same request again, by its token, finds it done.
    pub async fn update_inspection(
        &self,
        id: &InstanceId,
        token: &str,
        revision: u64,
        change: InspectionChange,
    ) -> Result<Inspection, InspectionError> {
        self.get(id)?;
        let asked = Asked::new("update", token, &(revision, &change));
        let _change = self.inspection_changes.lock().await;
        let now = self.parts.clock.now();
        let (mut config, at) = self.known_config(id).await?;
        if asked.before(&config, now)?.is_some() {
            return Ok(config.shown(id));
        }
        if config.revision != revision {
            return Err(InspectionError::Revision {
                instance: id.clone(),
                have: config.revision,
                asked: revision,
            });
        }
        config.spec = config.spec.changed(change)?;
        config.revision += 1;
        config.next_run_at_ms = config.spec.schedule.next(now).map(Timestamp::ms);
        asked.note(&mut config, now, None);
        self.put_config(id, Expected::At(at), &config).await?;
        Ok(config.shown(id))
    }

    /// Forgets the configuration and all its runs; one that is under way ends without a trace.
    pub async fn delete_inspection(&self, id: &InstanceId) -> Result<(), InspectionError> {
        self.get(id)?;
        let _change = self.inspection_changes.lock().await;
        self.known_config(id).await?;
        let forgotten = self.forget_inspection(id).await;
        forgotten.map_err(InspectionError::metadata(id))
    }

    /// Removes all of it that is stored, the configuration last: what could not be removed before
    /// it is removed when that is tried again.
    pub(super) async fn forget_inspection(&self, id: &InstanceId) -> Result<(), MetadataError> {
        self.forget_seen(id, None).await?;
        let metadata = &*self.parts.metadata;
        let runs = metadata.range(&format!("{RUNS}{id}/")).await?.0;
        let config = metadata.get(&format!("{CONFIGS}{id}")).await?;
        erase_all(metadata, runs.into_iter().chain(config)).await
    }

    /// Begins a run now, and returns its id. The same request again, by its token, finds the same
    /// run.
    pub async fn run_inspection(
        self: &Arc<Self>,
        id: &InstanceId,
        token: &str,
        overrides: &[InspectionItem],
    ) -> Result<String, InspectionError> {
        self.get(id)?;
        let asked = Asked::new("run", token, &overrides);
        let (own, id, overrides) = (Arc::clone(self), id.clone(), overrides.to_vec());
        let begun = self.carry_out(async move {
            let _change = own.inspection_changes.lock().await;
            let now = own.parts.clock.now();
            let (mut config, at) = own.known_config(&id).await?;
            if let Some(run) = asked.before(&config, now)?.and_then(|it| it.run.clone()) {
                return Ok(run);
            }
            let spec = config.spec.clone().overridden(&overrides)?;
            let run = own.new_run(&id, &config, InspectionTrigger::Manual, spec)?;
            asked.note(&mut config, now, Some(run.id.clone()));
            own.begin(&id, config, at, run).await
        });
        begun.await.unwrap_or(Err(InspectionError::Stopping))
    }

    /// The runs of an instance that are kept, the newest first.
    pub async fn inspection_runs(
        &self,
        id: &InstanceId,
    ) -> Result<Vec<InspectionRun>, InspectionError> {
        self.get(id)?;
        let range = self.parts.metadata.range(&format!("{RUNS}{id}/")).await;
        let (entries, _) = range.map_err(InspectionError::metadata(id))?;
        let runs = entries.iter().rev().map(|entry| {
            serde_json::from_slice(&entry.value)
                .map_err(|error| InspectionError::metadata(id)(entry.unreadable(error)))
        });
        runs.collect()
    }

    /// One run of an instance.
    pub async fn inspection_run(
        &self,
        id: &InstanceId,
        run: &str,
    ) -> Result<InspectionRun, InspectionError> {
        self.get(id)?;
        match self.run(id, run).await? {
            Some((run, _)) => Ok(run),
            None => Err(InspectionError::RunNotFound {
                instance: id.clone(),
                run: run.chars().take(64).collect(),
            }),
        }
    }

    /// Begins the runs that are due, and goes on with those that a crash cut short. To be called
    /// every minute or so.
    pub async fn keep_inspections(self: &Arc<Self>) {
        let entries = match self.parts.metadata.range(CONFIGS).await {
            Ok((entries, _)) => entries,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "inspections not looked after");
                return;
            }
        };
        for entry in entries {
            let id = InstanceId::new(&entry.key[CONFIGS.len()..]);
            // One that is not open here is looked after where it is.
            let is_open = |id: &InstanceId| self.parts.router.instance(id).is_ok();
            let Some(id) = id.ok().filter(is_open) else {
                continue;
            };
            if let Err(error) = self.keep_inspection(&id).await {
                let (instance, error) = (&id, &error as &dyn std::error::Error);
                tracing::warn!(%instance, error, "inspection not looked after");
            }
        }
    }

    async fn keep_inspection(self: &Arc<Self>, id: &InstanceId) -> Result<(), InspectionError> {
        let _change = self.inspection_changes.lock().await;
        let now = self.parts.clock.now();
        let Some((mut config, at)) = self.config(id).await? else {
            return Ok(());
        };
        let open = config.open_run.clone();
        if let Some(open) = &open {
            match self.run(id, open).await? {
                Some((run, _)) if !run.status.is_over() => self.go_on(id, &run, now),
                _ => {
                    config.open_run = None;
                    self.put_config(id, Expected::At(at), &config).await?;
                    return Ok(());
                }
            }
        }
        if config.next_run_at_ms.is_none_or(|due| due > now.ms()) {
            return Ok(());
        }
        config.next_run_at_ms = config.spec.schedule.next(now).map(Timestamp::ms);
        // One at a time: what is due while another is open is left out.
        if open.is_some() {
            return self.put_config(id, Expected::At(at), &config).await;
        }
        let spec = config.spec.clone();
        let run = self.new_run(id, &config, InspectionTrigger::Schedule, spec)?;
        self.begin(id, config, at, run).await?;
        Ok(())
    }

    /// Carries an open run out again if nobody does.
    fn go_on(self: &Arc<Self>, id: &InstanceId, run: &InspectionRun, now: Timestamp) {
        let own = self.parts.node.map(ShardId::get);
        let age_ms = now.ms() - run.requested_at_ms;
        if run.node == own || age_ms > limits::INSPECTION_STALE_MS {
            self.spawn_run(id, &run.id);
        }
    }

    fn new_run(
        &self,
        id: &InstanceId,
        config: &StoredInspection,
        trigger: InspectionTrigger,
        spec: InspectionSpec,
    ) -> Result<InspectionRun, InspectionError> {
        if let Some(run) = &config.open_run {
            return Err(InspectionError::Running {
                instance: id.clone(),
                run: run.clone(),
            });
        }
        let now_ms = self.parts.clock.now().ms();
        let chance = self.parts.random.below(1 << 32);
        Ok(InspectionRun {
            // As long as it takes for the order of texts to be that of times.
            id: format!("run-{now_ms:015}-{chance:08x}"),
            status: InspectionRunStatus::Pending,
            trigger,
            spec,
            requested_at_ms: now_ms,
            finished_at_ms: None,
            attempts: 0,
            node: self.parts.node.map(ShardId::get),
            outcomes: Vec::new(),
        })
    }

    async fn begin(
        self: &Arc<Self>,
        id: &InstanceId,
        mut config: StoredInspection,
        at: Revision,
        run: InspectionRun,
    ) -> Result<String, InspectionError> {
        config.open_run = Some(run.id.clone());
        self.put_config(id, Expected::At(at), &config).await?;
        self.put_run(id, Expected::Absent, &run).await?;
        self.spawn_run(id, &run.id);
        Ok(run.id)
    }

    fn spawn_run(self: &Arc<Self>, id: &InstanceId, run: &str) {
        let key = (id.clone(), run.to_owned());
        if !self.inspecting.lock().insert(key.clone()) {
            return;
        }
        let own = Arc::clone(self);
        self.parts.host.spawn(Box::pin(async move {
            let (id, run) = &key;
            if let Err(error) = own.carry_out_run(id, run).await {
                // It is open still: a later turn tries again.
                let error = &error as &dyn std::error::Error;
                tracing::warn!(instance = %id, run, error, "inspection not carried out");
            }
            own.inspecting.lock().remove(&key);
        }));
    }

    async fn carry_out_run(&self, id: &InstanceId, run: &str) -> Result<(), InspectionError> {
        let Some((mut run, at)) = self.run(id, run).await? else {
            return Ok(());
        };
        if run.status.is_over() {
            return self.close(id, &run).await;
        }
        run.status = InspectionRunStatus::Running;
        run.attempts += 1;
        run.node = self.parts.node.map(ShardId::get);
        let at = self.put_run(id, Expected::At(at), &run).await?;
        let found = (self.parts.router.instance(id), self.get(id));
        run.status = match found {
            _ if run.attempts > limits::INSPECTION_ATTEMPTS_MAX => InspectionRunStatus::Failed,
            (Ok(instance), Ok(record)) => {
                run.outcomes = self.look_together(&run, &instance, &record).await;
                InspectionRunStatus::Succeeded
            }
            _ => InspectionRunStatus::Failed,
        };
        run.finished_at_ms = Some(self.parts.clock.now().ms());
        self.put_run(id, Expected::At(at), &run).await?;
        let ((infos, risks), run_id) = (run.counts(), &run.id);
        tracing::info!(instance = %id, run = run_id, infos, risks, "instance inspected");
        self.close(id, &run).await
    }

    /// Notes that a run is over, and removes the oldest ones beyond those that are kept.
    async fn close(&self, id: &InstanceId, run: &InspectionRun) -> Result<(), InspectionError> {
        let _change = self.inspection_changes.lock().await;
        let Some((mut config, at)) = self.config(id).await? else {
            return Ok(());
        };
        if config.open_run.as_deref() == Some(&run.id) {
            config.open_run = None;
            config.last_run = Some(run.id.clone());
            self.put_config(id, Expected::At(at), &config).await?;
        }
        let metadata = &*self.parts.metadata;
        let prune = async {
            let (entries, _) = metadata.range(&format!("{RUNS}{id}/")).await?;
            let beyond = entries.len().saturating_sub(limits::INSPECTION_RUNS_MAX);
            erase_all(metadata, entries.into_iter().take(beyond)).await
        };
        prune.await.map_err(InspectionError::metadata(id))
    }

    async fn config(
        &self,
        id: &InstanceId,
    ) -> Result<Option<(StoredInspection, Revision)>, InspectionError> {
        self.stored(id, &format!("{CONFIGS}{id}")).await
    }

    async fn known_config(
        &self,
        id: &InstanceId,
    ) -> Result<(StoredInspection, Revision), InspectionError> {
        let config = self.config(id).await?;
        config.ok_or_else(|| InspectionError::NotConfigured {
            instance: id.clone(),
        })
    }

    async fn run(
        &self,
        id: &InstanceId,
        run: &str,
    ) -> Result<Option<(InspectionRun, Revision)>, InspectionError> {
        self.stored(id, &run_key(id, run)).await
    }

    async fn stored<T: DeserializeOwned>(
        &self,
        id: &InstanceId,
        key: &str,
    ) -> Result<Option<(T, Revision)>, InspectionError> {
        let entry = self.parts.metadata.get(key).await;
        let Some(entry) = entry.map_err(InspectionError::metadata(id))? else {
            return Ok(None);
        };
        let value = serde_json::from_slice(&entry.value)
            .map_err(|error| InspectionError::metadata(id)(entry.unreadable(error)))?;
        Ok(Some((value, entry.revision)))
    }

    async fn put_config(
        &self,
        id: &InstanceId,
        expected: Expected,
        config: &StoredInspection,
    ) -> Result<(), InspectionError> {
        self.store(id, &format!("{CONFIGS}{id}"), expected, config)
            .await?;
        Ok(())
    }

    async fn put_run(
        &self,
        id: &InstanceId,
        expected: Expected,
        run: &InspectionRun,
    ) -> Result<Revision, InspectionError> {
        self.store(id, &run_key(id, &run.id), expected, run).await
    }

    async fn store(
        &self,
        id: &InstanceId,
        key: &str,
        expected: Expected,
        value: &impl Serialize,
    ) -> Result<Revision, InspectionError> {
        let value = serde_json::to_vec(value).expect("plain data becomes JSON");
        let metadata = &self.parts.metadata;
        let stored = metadata
            .compare_and_set(key, expected, Some(value.into()), None)
            .await;
        stored.map_err(InspectionError::metadata(id))
    }
}
