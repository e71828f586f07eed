//! Carrying orders out as they come, and going on with those that a restart interrupted.

use std::time::Duration;

use base::{
    InstanceId,
    limits::{INTERRUPTED_PAUSE_MS, PROVISION_STUCK_PAUSE_MS},
    stdx::with_causes,
};

use super::{Fulfilment, Order, OrderKind, Provision};
use crate::{DriveError, under_way::UnderWay};

/// Records are in memory, so looking at them often costs little.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Carries orders out, for ever. Dropping its future leaves everything to the next one.
pub struct Provisioner<'a> {
    provision: &'a Provision,
    orders: UnderWay<'a, OrderKind, Result<Fulfilment, DriveError>>,
    /// Releases that the one before it did not quite end.
    left: Option<Vec<Order>>,
}

impl<'a> Provisioner<'a> {
    /// One of which nothing is under way.
    pub fn new(provision: &'a Provision) -> Self {
        Self {
            provision,
            orders: UnderWay::new(&*provision.clock),
            left: None,
        }
    }

    /// Begins and carries out orders.
    pub async fn run(mut self) {
        loop {
            self.begin().await;
            if let Some((instance, kind, outcome)) = self.orders.ended(LOOK_PAUSE).await {
                self.end(instance, kind, outcome);
            }
        }
    }

    async fn begin(&mut self) {
        let mut orders = self.provision.orders.due();
        if self.left.is_none() {
            match self.provision.left().await {
                Ok(left) => self.left = Some(left),
                Err(error) => tracing::warn!(%error, "workflows not read yet"),
            }
        }
        orders.extend(self.left.iter_mut().flat_map(std::mem::take));
        for order in orders {
            let (instance, kind) = (order.instance.clone(), order.kind);
            let provision = self.provision;
            let work = async move { provision.carry_out(&order).await };
            // What is stuck does not keep the instance from being released.
            self.orders.begin(instance, kind, work);
        }
    }

    fn end(
        &mut self,
        instance: InstanceId,
        kind: OrderKind,
        outcome: Result<Fulfilment, DriveError>,
    ) {
        let pause_ms = match outcome {
            Ok(Fulfilment::Done) => {
                tracing::info!(%instance, ?kind, "order carried out");
                return;
            }
            // It is looked at again as often as anything is.
            Ok(Fulfilment::Later) => LOOK_PAUSE.as_millis() as u64,
            Ok(Fulfilment::Stuck { reason }) => {
                tracing::error!(%instance, ?kind, reason, "order is stuck, it goes on after a pause");
                PROVISION_STUCK_PAUSE_MS
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::warn!(%instance, ?kind, error, "order is interrupted, it goes on after a pause");
                INTERRUPTED_PAUSE_MS
            }
        };
        let pause = Duration::from_millis(pause_ms);
        self.orders.rest(instance, kind, pause);
    }
}
