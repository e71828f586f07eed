//! The host of instances of which nothing but metadata is here.

use std::sync::Arc;

use anyhow::Context as _;
use base::{Clock, InstanceId};
use broker::{HostError, Instance, InstanceHost, InstanceSettings, InstanceToOpen};
use futures::future::{BoxFuture, FutureExt as _};
use store::meta::MetadataStore;
use tokio::runtime::Handle;

use crate::server::host::settings_of;

/// Opens instances without their messages.
pub(super) struct MetadataHost {
    pub(super) metadata: Arc<dyn MetadataStore>,
    pub(super) clock: Arc<dyn Clock>,
    /// Settings of every instance; the series of each is its own.
    pub(super) settings: InstanceSettings,
    /// Where its tasks run.
    pub(super) runtime: Handle,
}

impl InstanceHost for MetadataHost {
    fn open(
        &self,
        opening: InstanceToOpen,
    ) -> BoxFuture<'static, Result<Arc<Instance>, HostError>> {
        let settings = settings_of(&opening, &self.settings);
        let (metadata, clock) = (Arc::clone(&self.metadata), Arc::clone(&self.clock));
        async move {
            let opened = Instance::open(opening.id, settings, metadata, clock);
            Ok(opened.await.context("read topics and groups")?)
        }
        .boxed()
    }

    fn remove(&self, _: InstanceId) -> BoxFuture<'static, Result<(), HostError>> {
        async { Ok(()) }.boxed()
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) {
        self.runtime.spawn(work);
    }
}
