//! How far the limits of instances have grown with their traffic, kept over a restart.
//!
//! | key | value |
//! | --- | --- |
//! | `instances/<instance>/growth/<node>` | JSON ([`Grown`]), where a limit has grown |
//!
//! Each node keeps what has grown with its own traffic. A limit changes every three minutes at the
//! most, and hardly ever does. A crash loses the last minute.

use std::collections::BTreeMap;

use base::{InstanceId, ShardId};
use store::meta::{MetadataError, overwrite};

use super::Instances;
use crate::{Instance, quota::Grown};

/// What is written of each instance whose limit has grown.
pub(super) type Written = BTreeMap<InstanceId, Grown>;

impl Instances {
    /// Writes how far limits have grown where that has changed since the last time. To be called
    /// every minute, and before a server ends.
    pub async fn keep_growth(&self) {
        let mut written = self.growth.lock().await;
        let mut known = std::mem::take(&mut *written);
        for instance in self.parts.router.instances() {
            if !self.parts.serves.has_messages_of(instance.id()) {
                continue;
            }
            let (before, now) = (known.remove(instance.id()), instance.grown());
            let kept = if before == now {
                now
            } else {
                match self.write_growth(instance.id(), now).await {
                    Ok(()) => now,
                    Err(error) => {
                        // The next turn tries again.
                        let (instance, error) = (instance.id(), &error as &dyn std::error::Error);
                        tracing::warn!(%instance, error, "growth of a limit not written");
                        before
                    }
                }
            };
            written.extend(kept.map(|grown| (instance.id().clone(), grown)));
        }
    }

    /// Has an instance go on with the limit that was written before the start.
    pub(super) async fn restore_growth(&self, instance: &Instance) -> Result<(), MetadataError> {
        let id = instance.id();
        if !self.parts.serves.has_messages_of(id) {
            return Ok(());
        }
        let Some(entry) = self.parts.metadata.get(&self.growth_key(id)).await? else {
            return Ok(());
        };
        let grown: Grown =
            serde_json::from_slice(&entry.value).map_err(|error| entry.unreadable(error))?;
        instance.restore_growth(grown);
        self.growth.lock().await.insert(id.clone(), grown);
        Ok(())
    }

    async fn write_growth(
        &self,
        id: &InstanceId,
        grown: Option<Grown>,
    ) -> Result<(), MetadataError> {
        let value = grown.map(|grown| serde_json::to_vec(&grown).expect("plain data becomes JSON"));
        overwrite(
            &*self.parts.metadata,
            &self.growth_key(id),
            value.map(Into::into),
        )
        .await
    }

    fn growth_key(&self, id: &InstanceId) -> String {
        let node = self.parts.node.unwrap_or(ShardId::new(0));
        format!("instances/{id}/growth/{node}")
    }
}
