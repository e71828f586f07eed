//! Instances with nodes of their own, which a fleet starts and takes out.
//!
//! ```text
//!                                other count of nodes
//!                                   +-----------+
//!                                   |           v
//! (nothing) --> CREATING --------> RUNNING   CHANGING
//!                         completed   ^         |
//!                                     +---------+ completed
//! any of them --delete--> RELEASED --remove--> (nothing)
//! ```
//!
//! Here the record is written and told; whoever runs the nodes sees by its status what is to be
//! done, does it, and says so.

use std::sync::Arc;

use base::InstanceId;
use store::meta::MetadataError;

use super::{
    CreateInstanceError, DeleteInstanceError, HostError, ID_ATTEMPTS, InstanceRecord,
    InstanceToOpen, Instances, OwnNodesError, Phase, UpdateInstanceError, id, serves,
};
use crate::{Instance, InstanceLocked, plan::InstanceStatus};

impl Instances {
    /// Says that an instance has so many nodes: one that is being created or changed is in service
    /// then, if that is what its record has. The same again changes nothing.
    pub async fn completed(
        self: &Arc<Self>,
        id: &InstanceId,
        nodes: u16,
    ) -> Result<Arc<InstanceRecord>, UpdateInstanceError> {
        use InstanceStatus::{Changing, Creating, Running};
        let is_complete = move |record: &InstanceRecord| {
            record.nodes == nodes && matches!(record.status, Creating | Changing)
        };
        let record = self.get(id)?;
        if !is_complete(&record) {
            return Ok(record);
        }
        self.rework(id, move |record| {
            if is_complete(record) {
                record.status = Running;
            }
            Ok(())
        })
        .await
    }

    /// Removes an instance that is released, once none of its nodes is left: what a fleet's
    /// [`Instances::delete`] has begun. One that is not there is a success.
    pub async fn remove(self: &Arc<Self>, id: &InstanceId) -> Result<(), DeleteInstanceError> {
        let (own, id) = (Arc::clone(self), id.clone());
        let removed = self.carry_out(async move { own.remove_released(&id).await });
        removed.await.unwrap_or(Err(DeleteInstanceError::Stopping))
    }

    async fn remove_released(&self, id: &InstanceId) -> Result<(), DeleteInstanceError> {
        let _change = self.changes.lock().await;
        if !self.leaving.lock().contains(id) {
            let Ok(record) = self.get(id) else {
                return Ok(());
            };
            let (instance, status) = (id.clone(), record.status);
            if status != InstanceStatus::Released {
                return Err(DeleteInstanceError::Busy { instance, status });
            }
            let put = self.put(&record, Phase::Deleting).await;
            put.map_err(|source| DeleteInstanceError::Metadata { instance, source })?;
            self.parts.router.remove(id);
            self.leaving.lock().insert(id.clone());
            self.records.write().remove(id);
        }
        self.remove_all(id).await?;
        self.leaving.lock().remove(id);
        tracing::info!(instance = %id, "instance released");
        Ok(())
    }

    /// Where an instance has nodes of its own, says that they are to go: `true`. Anything else is
    /// deleted at once.
    pub(super) async fn begin_release(&self, id: &InstanceId) -> Result<bool, DeleteInstanceError> {
        let record = self.get(id)?;
        if record.nodes == 0 {
            return Ok(false);
        }
        let instance = id.clone();
        if !self.parts.serves.is_fleet() {
            return Err(DeleteInstanceError::OwnNodes { instance });
        }
        // Also one that is being made or changed: if that keeps failing, this is the way out.
        if record.status == InstanceStatus::Released {
            return Ok(true);
        }
        self.check_lock(id)?;
        let (topics, groups) = self.parts.router.instance(id)?.application_counts();
        if (topics, groups) != (0, 0) {
            return Err(DeleteInstanceError::NotEmpty {
                instance,
                topics,
                groups,
            });
        }
        let mut record = InstanceRecord::clone(&record);
        record.status = InstanceStatus::Released;
        match self.replace(record).await {
            Ok(_) => Ok(true),
            Err(UpdateInstanceError::Metadata { instance, source }) => {
                Err(DeleteInstanceError::Metadata { instance, source })
            }
            Err(error) => Err(DeleteInstanceError::Host {
                instance,
                source: error.into(),
            }),
        }
    }

    /// Fails while an instance stays as it is.
    pub(super) fn check_lock(&self, id: &InstanceId) -> Result<(), InstanceLocked> {
        let instance = self.parts.router.instance(id);
        instance.map_or(Ok(()), |instance| instance.check_lock())
    }

    /// Gives an instance another count of nodes.
    pub(super) fn resize(
        &self,
        record: &mut InstanceRecord,
        nodes: u16,
    ) -> Result<(), UpdateInstanceError> {
        if nodes == record.nodes {
            return Ok(());
        }
        if !self.parts.serves.is_fleet() {
            return Err(OwnNodesError::NoFleet { count: nodes }.into());
        }
        let instance = record.id.clone();
        if record.nodes == 0 {
            return Err(OwnNodesError::Tenant { instance }.into());
        }
        let (status, expected) = (record.status, InstanceStatus::Running);
        if status != expected {
            return Err(UpdateInstanceError::Busy {
                instance,
                status,
                expected,
            });
        }
        record.nodes = serves::checked(nodes)?;
        record.status = InstanceStatus::Changing;
        Ok(())
    }

    /// Creates an instance where nothing but its metadata is: with one write.
    pub(super) async fn create_at_fleet(
        &self,
        mut record: InstanceRecord,
    ) -> Result<Arc<InstanceRecord>, CreateInstanceError> {
        let mut attempts = 1;
        let instance = loop {
            let instance = self.open_new(&record).await?;
            match self.put(&record, Phase::Running).await {
                Ok(()) => break instance,
                Err(MetadataError::Conflict { .. }) if attempts < ID_ATTEMPTS => {
                    attempts += 1;
                    record.id = id::make(record.series, self.account, &*self.parts.random);
                }
                Err(source) => {
                    let instance = record.id;
                    return Err(CreateInstanceError::Metadata { instance, source });
                }
            }
        };
        let record = Arc::new(record);
        let mut records = self.records.write();
        records.insert(record.id.clone(), Arc::clone(&record));
        drop(records);
        self.parts.router.add(instance);
        tracing::info!(instance = %record.id, nodes = record.nodes, "instance created");
        Ok(record)
    }

    /// Opens an instance that is about to be there.
    pub(super) async fn open_new(
        &self,
        record: &InstanceRecord,
    ) -> Result<Arc<Instance>, CreateInstanceError> {
        let opened = self.open_at_host(record).await;
        let instance = opened.map_err(|source| CreateInstanceError::Host {
            instance: record.id.clone(),
            source,
        })?;
        instance.go_by(record.plan.as_ref(), record.status)?;
        Ok(instance)
    }

    pub(super) async fn open_at_host(
        &self,
        record: &InstanceRecord,
    ) -> Result<Arc<Instance>, HostError> {
        let part = self.parts.serves.part(record);
        let opening = InstanceToOpen {
            id: record.id.clone(),
            series: record.series,
            has_own_nodes: record.nodes > 0,
            part: part.ok_or("other nodes have it")?,
        };
        self.parts.host.open(opening).await
    }
}
