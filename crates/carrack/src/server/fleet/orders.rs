//! What the records of instances say is to be done about nodes.

use std::sync::Arc;

use base::{InstanceId, stdx::with_causes};
use broker::{Instances, plan::InstanceStatus};
use control::{Order, OrderKind, Orders};
use futures::future::{BoxFuture, FutureExt as _};

/// The instances with nodes of their own.
pub(super) struct OwnNodes(pub(super) Arc<Instances>);

impl Orders for OwnNodes {
    fn due(&self) -> Vec<Order> {
        let records = self.0.list().into_iter();
        let orders = records
            .filter(|record| record.nodes > 0)
            .filter_map(|record| {
                let kind = match record.status {
                    InstanceStatus::Creating => OrderKind::Create,
                    InstanceStatus::Changing => OrderKind::Change,
                    InstanceStatus::Released => OrderKind::Release,
                    InstanceStatus::Running | InstanceStatus::Stopped => return None,
                };
                Some(Order {
                    instance: record.id.clone(),
                    kind,
                    nodes: record.nodes,
                })
            });
        orders.collect()
    }

    fn settle<'a>(
        &'a self,
        instance: &'a InstanceId,
        nodes: u16,
    ) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let completed = self.0.completed(instance, nodes).await;
            completed.map(drop).map_err(|error| with_causes(&error))
        }
        .boxed()
    }

    fn remove<'a>(&'a self, instance: &'a InstanceId) -> BoxFuture<'a, Result<(), String>> {
        let removed = self.0.remove(instance);
        async move { removed.await.map_err(|error| with_causes(&error)) }.boxed()
    }
}
