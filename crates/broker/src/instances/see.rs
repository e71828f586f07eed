//! What all nodes of an instance see, for a run of its inspection.
//!
//! | key | value |
//! | --- | --- |
//! | `inspections/asked/<instance>/<run>` | JSON: who asks the nodes of the instance, for which attempt |
//! | `inspections/seen/<instance>/<run>/<number>` | JSON: what the node of that number sees |
//!
//! The node that carries a run out asks, and takes the answers out again when all have come or some
//! are too late. A node that is late, or asked for an attempt that a crash has ended, removes its
//! own answer. Both are small and short-lived, so that they go the way that metadata goes, and no
//! node needs leave to ask another.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use base::{InstanceId, ShardId, Timestamp, limits};
use futures::{
    StreamExt as _,
    future::{Either, select},
};
use serde::{Deserialize, Serialize};
use store::meta::{Change, MetadataError, erase_all, overwrite};

use super::{Instances, inspect::run_key};
use crate::{
    Instance, InstanceRecord, InstanceSettings,
    inspection::{Inspected, InspectionItemOutcome, InspectionRun, SeenByItem},
    nodes::live_nodes,
};

pub(super) const ASKED: &str = "inspections/asked/";
const SEEN: &str = "inspections/seen/";

/// What a node is asked.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Asked {
    /// The node that asks.
    node: u16,
    attempt: u32,
    /// When it looks, in ms since 1970.
    now_ms: i64,
}

/// What a node answers.
#[derive(Serialize, Deserialize)]
struct Told {
    attempt: u32,
    /// In the order of the run's items.
    seen: Vec<SeenByItem>,
}

impl Told {
    /// With no more than there is room for.
    fn stored(mut self) -> Vec<u8> {
        loop {
            let stored = serde_json::to_vec(&self).expect("plain data becomes JSON");
            let largest = self.seen.iter_mut().max_by_key(|seen| seen.size());
            match largest {
                Some(largest)
                    if stored.len() > limits::INSPECTION_SEEN_BYTES_MAX && largest.size() > 0 =>
                {
                    let count = largest.size();
                    largest.clear();
                    largest.miss(format!("a node sees {count}, more than it can tell"));
                }
                _ => return stored,
            }
        }
    }
}

fn seen_of(id: &InstanceId, run: &str) -> String {
    format!("{SEEN}{id}/{run}/")
}

impl Instances {
    /// Carries out what a run is about, with all nodes of the instance.
    pub(super) async fn look_together(
        &self,
        run: &InspectionRun,
        instance: &Instance,
        record: &InstanceRecord,
    ) -> Vec<InspectionItemOutcome> {
        let inspected = Inspected {
            run,
            instance,
            record,
            now: self.parts.clock.now(),
        };
        let (own, others) = match self.parts.node {
            None => (inspected.see().await, Ok((Vec::new(), Vec::new()))),
            Some(node) => {
                let others = self.see_others(node, &inspected, instance.settings());
                futures::future::join(inspected.see(), others).await
            }
        };
        let mut seen = own;
        let miss = |seen: &mut Vec<SeenByItem>, error: &str| {
            for by_item in seen {
                by_item.miss(error.to_owned());
            }
        };
        match others {
            Ok((told, silent)) => {
                for by_node in told {
                    for (all, more) in seen.iter_mut().zip(by_node) {
                        all.add(more);
                    }
                }
                if !silent.is_empty() {
                    let names = silent.join("`, `");
                    miss(
                        &mut seen,
                        &format!("node `{names}` does not say what it sees"),
                    );
                }
            }
            Err(error) => miss(&mut seen, &format!("other nodes not asked: {error}")),
        }
        inspected.judge(&seen).await
    }

    /// What the other nodes see, and the names of those that do not say it in time.
    async fn see_others(
        &self,
        node: ShardId,
        inspected: &Inspected<'_>,
        settings: &InstanceSettings,
    ) -> Result<(Vec<Vec<SeenByItem>>, Vec<String>), MetadataError> {
        let (metadata, run) = (&*self.parts.metadata, inspected.run);
        let id = inspected.instance.id();
        let of = settings.has_own_nodes.then_some(id);
        let live = live_nodes(metadata, of).await?.into_iter();
        let mut awaited: BTreeMap<ShardId, String> =
            live.filter(|(number, _)| *number != node).collect();
        let mut told = Vec::new();
        if awaited.is_empty() {
            return Ok((told, Vec::new()));
        }
        let seen = seen_of(id, &run.id);
        let (before, revision) = metadata.range(&seen).await?;
        // Of an attempt that a crash has ended.
        erase_all(metadata, before).await?;
        let asked = Asked {
            node: node.get(),
            attempt: run.attempts,
            now_ms: inspected.now.ms(),
        };
        let value = serde_json::to_vec(&asked).expect("plain data becomes JSON");
        let asked = format!("{ASKED}{id}/{}", run.id);
        overwrite(metadata, &asked, Some(value.into())).await?;
        let answers = async {
            let mut watch = metadata.watch(&seen, revision);
            while !awaited.is_empty() {
                let Some(change) = watch.next().await else {
                    return Ok(());
                };
                let Change { key, value, .. } = change?;
                let number = key[seen.len()..].parse().ok().map(ShardId::new);
                let (Some(number), Some(value)) = (number, value) else {
                    continue;
                };
                let Ok(answer) = serde_json::from_slice::<Told>(&value) else {
                    continue;
                };
                if answer.attempt == run.attempts && awaited.remove(&number).is_some() {
                    told.push(answer.seen);
                }
            }
            Ok(())
        };
        let limit = Duration::from_millis(limits::INSPECTION_NODES_MS_MAX);
        let watched = match select(pin!(answers), self.parts.clock.sleep(limit)).await {
            Either::Left((watched, _)) => watched,
            Either::Right(_) => Ok(()),
        };
        if let Err(error) = self.forget_seen(id, Some(&run.id)).await {
            let (run, error) = (&run.id, &error as &dyn std::error::Error);
            tracing::warn!(instance = %id, run, error, "what nodes see not removed");
        }
        watched?;
        Ok((told, awaited.into_values().collect()))
    }

    /// Removes what was asked of nodes and what they have answered, for one run or for all.
    pub(super) async fn forget_seen(
        &self,
        id: &InstanceId,
        run: Option<&str>,
    ) -> Result<(), MetadataError> {
        let metadata = &*self.parts.metadata;
        let inside = match run {
            Some(run) => format!("{id}/{run}"),
            None => format!("{id}/"),
        };
        // First what is asked: who answers after that finds it gone.
        for prefix in [ASKED, SEEN] {
            let entries = metadata.range(&format!("{prefix}{inside}")).await?.0;
            erase_all(metadata, entries).await?;
        }
        Ok(())
    }

    /// Answers a node that asks what this one sees, if it is a node of the instance.
    pub(super) fn take_asked(self: &Arc<Self>, change: &Change) {
        let inside = change.key.strip_prefix(ASKED);
        let named = inside.and_then(|inside| inside.split_once('/'));
        let (Some((id, run)), Some(value), Some(node)) = (named, &change.value, self.parts.node)
        else {
            return;
        };
        let asked = serde_json::from_slice::<Asked>(value);
        let (Ok(id), Ok(asked)) = (InstanceId::new(id), asked) else {
            return;
        };
        if asked.node == node.get() || !self.parts.serves.has_messages_of(&id) {
            return;
        }
        let (own, run, key) = (Arc::clone(self), run.to_owned(), change.key.clone());
        self.parts.host.spawn(Box::pin(async move {
            if let Err(error) = own.answer(&id, &run, node, asked, &key).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(instance = %id, run, error, "not told what this node sees");
            }
        }));
    }

    async fn answer(
        &self,
        id: &InstanceId,
        run: &str,
        node: ShardId,
        asked: Asked,
        asked_key: &str,
    ) -> Result<(), MetadataError> {
        let metadata = &*self.parts.metadata;
        let found = metadata.get(&run_key(id, run)).await?;
        let (Some(entry), Ok(instance), Ok(record)) =
            (found, self.parts.router.instance(id), self.get(id))
        else {
            return Ok(());
        };
        let run: InspectionRun =
            serde_json::from_slice(&entry.value).map_err(|error| entry.unreadable(error))?;
        let inspected = Inspected {
            run: &run,
            instance: &instance,
            record: &record,
            now: Timestamp::from_ms(asked.now_ms),
        };
        let told = Told {
            attempt: asked.attempt,
            seen: inspected.see().await,
        };
        let key = format!("{}{node}", seen_of(id, &run.id));
        overwrite(metadata, &key, Some(told.stored().into())).await?;
        // Nobody waits for it any more, and nobody else would remove it.
        if metadata.get(asked_key).await?.is_none() {
            overwrite(metadata, &key, None).await?;
        }
        Ok(())
    }
}
