//! Carrying orders out as they come, and going on with those that a restart interrupted.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base::{
    InstanceId,
    limits::{INTERRUPTED_PAUSE_MS, PROVISION_STUCK_PAUSE_MS},
    stdx::with_causes,
};
use futures::{
    StreamExt as _,
    future::{BoxFuture, Either, FutureExt as _, select},
    stream::FuturesUnordered,
};

use super::{Fulfilment, Order, OrderKind, Provision};
use crate::DriveError;

/// Records are in memory, so looking at them often costs little.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

type Ended = (Order, Result<Fulfilment, DriveError>);

/// Carries orders out, for ever. Dropping its future leaves everything to the next one.
pub struct Provisioner<'a> {
    provision: &'a Provision,
    under_way: FuturesUnordered<BoxFuture<'a, Ended>>,
    busy: BTreeSet<InstanceId>,
    /// Until when those that are stuck are left alone, on the monotonic clock.
    stuck: BTreeMap<InstanceId, (OrderKind, Duration)>,
    /// Releases that the one before it did not quite end.
    left: Option<Vec<Order>>,
}

impl<'a> Provisioner<'a> {
    /// One of which nothing is under way.
    pub fn new(provision: &'a Provision) -> Self {
        Self {
            provision,
            under_way: FuturesUnordered::new(),
            busy: BTreeSet::new(),
            stuck: BTreeMap::new(),
            left: None,
        }
    }

    /// Begins and carries out orders.
    pub async fn run(mut self) {
        loop {
            self.begin().await;
            let pause = self.provision.clock.sleep(LOOK_PAUSE);
            if self.under_way.is_empty() {
                pause.await;
                continue;
            }
            if let Either::Left((Some((order, outcome)), _)) =
                select(self.under_way.next(), pause).await
            {
                self.end(&order, outcome);
            }
        }
    }

    async fn begin(&mut self) {
        let now = self.provision.clock.elapsed();
        self.stuck.retain(|_, (_, until)| *until > now);
        let mut orders = self.provision.orders.due();
        if self.left.is_none() {
            match self.provision.left().await {
                Ok(left) => self.left = Some(left),
                Err(error) => tracing::warn!(%error, "workflows not read yet"),
            }
        }
        orders.extend(self.left.iter_mut().flat_map(std::mem::take));
        for order in orders {
            let instance = &order.instance;
            // What is stuck does not keep the instance from being released.
            let is_stuck = self.stuck.get(instance);
            if is_stuck.is_some_and(|(kind, _)| *kind == order.kind) || self.busy.contains(instance)
            {
                continue;
            }
            self.busy.insert(instance.clone());
            let provision = self.provision;
            let work = async move {
                let outcome = provision.carry_out(&order).await;
                (order, outcome)
            };
            self.under_way.push(work.boxed());
        }
    }

    fn end(&mut self, order: &Order, outcome: Result<Fulfilment, DriveError>) {
        let (instance, kind) = (&order.instance, order.kind);
        self.busy.remove(instance);
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
        let until = self.provision.clock.elapsed() + Duration::from_millis(pause_ms);
        self.stuck.insert(instance.clone(), (kind, until));
    }
}
