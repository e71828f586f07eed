//! A node that does as it is wished, and says so.

use std::time::Duration;

use base::ShardId;
use futures::future::{Either, select};
use store::meta::MetadataError;

use super::{LIVE, NodeState, NodeWish, Nodes};
use crate::{
    Instance, ProgressOf, Router, ShardHandle,
    metadata::is_application_topic,
    quota::{Sharer, Shares},
};

/// Between two looks at itself. A change of the wish is seen at once.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// A node to which nobody has sent for so long is one to which nobody sends.
const QUIET: Duration = Duration::from_secs(1);

/// A node to which nobody has sent for so long is one that senders have forgotten: all libraries
/// ask for routes every 30 s. Who sends seldom may not have come within [`QUIET`] and still would.
const DESERTED: Duration = Duration::from_secs(30);

/// How often it is counted what is not consumed, which reads the state of all groups.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

/// What was seen of sends.
struct Sends {
    count: u64,
    /// When the count last changed, on the monotonic clock.
    since: Duration,
    /// Messages that were not consumed, and when that was looked at.
    unconsumed: Option<(Option<u64>, Duration)>,
}

impl Nodes {
    /// Has the instances in the router do as is wished, with this node's share of their budgets,
    /// once: to be called before anybody reaches them.
    pub fn apply(&self, router: &Router) {
        // Hardly ever any, of many instances.
        let (locks, shares) = (self.locks(), self.shares());
        let own = self.own.as_ref().map(|own| &own.instance);
        for instance in router.instances() {
            let has_own_nodes = instance.settings().has_own_nodes;
            let of = has_own_nodes.then(|| instance.id().clone());
            instance.lock(locks.get(&of).cloned());
            if own == Some(&of) {
                instance.share_budgets(shares);
            }
        }
    }

    /// Does as is wished from now on, and tells the others how it stands; never ends. Who is no
    /// node only does as is wished of the nodes.
    pub async fn act(&self, router: &Router) {
        let mut looks = self.looks.subscribe();
        let mut sends = Sends {
            count: 0,
            since: self.parts.clock.elapsed(),
            unconsumed: None,
        };
        loop {
            // Before it is done: what is told must not be ahead of that.
            let wish = self.own_wish();
            self.apply(router);
            if let Some(number) = self.number() {
                let state = self.look_at_itself(router, number, wish, &mut sends);
                if let Err(error) = self.tell(state).await {
                    tracing::warn!(%error, "others not told how this node stands");
                }
            }
            let pause = self.parts.clock.sleep(LOOK_PAUSE);
            let changed = Box::pin(looks.changed());
            if let Either::Left((Err(_), pause)) = select(changed, pause).await {
                pause.await;
            }
        }
    }

    /// Completes when this node was taken out of the cluster for good.
    pub async fn taken_out(&self) {
        let mut looks = self.looks.subscribe();
        loop {
            looks.mark_unchanged();
            let is_there = |number| self.table.read().contains_key(&number);
            if self.number().is_some_and(|number| !is_there(number)) {
                return;
            }
            if looks.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// What this node has of the budgets of its instances; all of them where it is no node.
    fn shares(&self) -> Shares {
        let Some(own) = &self.own else {
            return Shares::default();
        };
        let table = self.table.read();
        let with = table
            .values()
            .filter(|it| it.record.instance == own.instance);
        let sharers = with.filter(|it| it.is_live).map(|it| Sharer {
            number: it.record.number,
            // Who says nothing of that is of a release that is sent to as long as it is there.
            is_sent_to: it.state.as_ref().is_none_or(|it| it.sends || !it.quiet),
        });
        Shares::among(own.number, &sharers.collect::<Vec<_>>())
    }

    fn look_at_itself(
        &self,
        router: &Router,
        number: ShardId,
        wish: NodeWish,
        sends: &mut Sends,
    ) -> NodeState {
        let own = self.own.as_ref();
        let instance = own.and_then(|own| own.instance.as_ref());
        let open = instance.filter(|id| router.instance(id).is_ok());
        let mut state = NodeState {
            name: own.map(|own| own.name.clone()).unwrap_or_default(),
            sends: wish.sends,
            lock: wish.lock,
            instance: open.map(ToString::to_string),
            healthy: instance.is_none() || open.is_some(),
            quiet: false,
            deserted: false,
            unconsumed: None,
        };
        if wish.sends {
            return state;
        }
        let shards = router.instances().into_iter().filter_map(|instance| {
            let shard = instance.shard(number)?;
            Some((instance, ShardHandle::Here(shard)))
        });
        let shards: Vec<_> = shards.collect();
        let now = self.parts.clock.elapsed();
        let count = shards.iter().map(|(instance, _)| sent(instance)).sum();
        if count != sends.count {
            (sends.count, sends.since) = (count, now);
        }
        let silence = now.saturating_sub(sends.since);
        state.quiet = silence >= QUIET;
        state.deserted = silence >= DESERTED;
        // Only then is it of any use.
        if state.quiet {
            let known = sends.unconsumed;
            let known = known.filter(|(_, at)| now.saturating_sub(*at) < COUNT_INTERVAL);
            let (count, at) = known.unwrap_or_else(|| {
                let counts = shards
                    .iter()
                    .map(|(instance, shard)| unconsumed(instance, shard));
                (counts.sum(), now)
            });
            state.unconsumed = count;
            sends.unconsumed = Some((count, at));
        }
        state
    }

    /// Tells the others how this node stands, if that has changed.
    async fn tell(&self, state: NodeState) -> Result<(), MetadataError> {
        let lease = *self.lease.lock();
        let (Some(lease), Some(number)) = (lease, self.number()) else {
            return Ok(());
        };
        let is_there = self.table.read().contains_key(&number);
        if !is_there || self.told.lock().as_ref() == Some(&state) {
            return Ok(());
        }
        let key = format!("{LIVE}{number}");
        let value = serde_json::to_vec(&state).expect("plain data becomes JSON");
        self.put(&key, value.into(), Some(lease)).await?;
        *self.told.lock() = Some(state);
        Ok(())
    }
}

/// Messages that applications have sent to an instance here since the start.
fn sent(instance: &Instance) -> u64 {
    let topics = instance.metrics().topics.into_iter();
    topics
        .filter(|topic| is_application_topic(&topic.topic))
        .map(|topic| topic.messages_in)
        .sum()
}

/// Messages of an instance's shard that somebody still waits for: those that a group which has
/// consumed from the queue has not finished, timed ones whose time has not come, and half ones
/// whose transactions are open. Dead letters wait for nobody.
fn unconsumed(instance: &Instance, shard: &ShardHandle) -> Option<u64> {
    let metrics = instance.metrics();
    let mut count = metrics.timed_messages + metrics.half_messages;
    for progress in shard.progress(ProgressOf::All).ok()? {
        let range = shard.queue_range(&progress.topic, progress.queue).ok()?;
        let committed = progress.committed.max(range.min);
        count += range.max.get().saturating_sub(committed.get());
    }
    Some(count)
}
