//! What instances used, hour by hour, kept for longer than the instances themselves.
//!
//! | key | value |
//! | --- | --- |
//! | `usage/<instance>/<node>/<day>` | JSON: the records of that day (UTC, days since 1970), by hour |
//!
//! Each node of a cluster writes what it has counted itself, and what is told is their sum.
//!
//! The hour that runs is written every minute, so that a crash loses a minute at most; a server
//! that is stopped loses nothing. With the instances that a server may have that is below 20 writes
//! a second.

use std::{collections::BTreeMap, sync::Arc};

use base::{ErrorKind, InstanceId, ShardId, Timestamp, limits};
use store::meta::{MetadataError, overwrite};

use super::Instances;
use crate::{Instance, UsageRecord};

const USAGE: &str = "usage/";

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Why usage cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// More than one answer holds.
    #[error("usage has {count} records, expected at most {max}: ask for less time or one instance")]
    TooMany {
        /// Records there are.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// The metadata store failed.
    #[error("read usage of instances")]
    Metadata(#[from] MetadataError),
}

impl UsageError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooMany { .. } => ErrorKind::Request,
            Self::Metadata(_) => ErrorKind::Retry,
        }
    }
}

/// What is still to be written.
#[derive(Default)]
pub(super) struct Unwritten {
    records: BTreeMap<InstanceId, BTreeMap<i64, UsageRecord>>,
    /// The newest record of each instance that is written.
    written: BTreeMap<InstanceId, UsageRecord>,
    /// The day on which old records were last removed.
    swept: i64,
}

impl Instances {
    /// Writes what instances with a plan have used since the last time. To be called every minute,
    /// and before a server ends.
    pub async fn keep_usage(&self) {
        let mut unwritten = self.usage.lock().await;
        for instance in self.parts.router.instances() {
            if self.parts.serves.has_messages_of(instance.id()) {
                unwritten.gather(&instance);
            }
        }
        if let Err(error) = self.write_usage(&mut unwritten).await {
            // It stays to be written; the next turn tries again.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "usage of instances not written");
        }
    }

    /// The same of one instance, which is about to go.
    pub(super) async fn keep_last_usage(&self, instance: &Arc<Instance>) {
        if self.parts.serves.has_messages_of(instance.id()) {
            self.usage.lock().await.gather(instance);
            self.keep_usage().await;
        }
    }

    /// What instances, or one, used in hours that begin from `from` on and before `to`, by instance
    /// and hour; also of instances that are gone. The last record of an instance may be the hour
    /// that runs.
    pub async fn usage(
        &self,
        id: Option<&InstanceId>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(InstanceId, UsageRecord)>, UsageError> {
        self.keep_usage().await;
        let prefix = id.map_or_else(|| USAGE.to_owned(), |id| format!("{USAGE}{id}/"));
        let mut usage = BTreeMap::new();
        for entry in self.parts.metadata.range(&prefix).await?.0 {
            let (id, day) = parts(&entry.key).ok_or_else(|| entry.unreadable("not a day"))?;
            let day_ms = day.saturating_mul(DAY_MS);
            if day_ms >= to.ms() || day_ms.saturating_add(DAY_MS) <= from.ms() {
                continue;
            }
            let records = serde_json::from_slice::<Vec<UsageRecord>>(&entry.value);
            let records = records.map_err(|error| entry.unreadable(error))?;
            let asked = |record: &UsageRecord| (from.ms()..to.ms()).contains(&record.hour_ms);
            for record in records.into_iter().filter(asked) {
                let hour = usage.entry((id.clone(), record.hour_ms));
                hour.or_insert_with(|| UsageRecord::of_hour(record.hour_ms))
                    .add(&record);
            }
            let (count, max) = (usage.len(), limits::USAGE_RECORDS_MAX);
            if count > max {
                return Err(UsageError::TooMany { count, max });
            }
        }
        let usage = usage.into_iter().map(|((id, _), record)| (id, record));
        Ok(usage.collect())
    }

    /// Has an instance go on with the hour that was written before the start.
    pub(super) async fn restore_usage(&self, instance: &Instance) -> Result<(), MetadataError> {
        if !self.parts.serves.has_messages_of(instance.id()) {
            return Ok(());
        }
        let day = self.parts.clock.now().ms().div_euclid(DAY_MS);
        let records = self.day(instance.id(), day).await?;
        if let Some((_, last)) = records.last_key_value() {
            instance.restore_usage(*last);
        }
        Ok(())
    }

    async fn day(
        &self,
        id: &InstanceId,
        day: i64,
    ) -> Result<BTreeMap<i64, UsageRecord>, MetadataError> {
        let Some(entry) = self.parts.metadata.get(&self.key(id, day)).await? else {
            return Ok(BTreeMap::new());
        };
        let records = serde_json::from_slice::<Vec<UsageRecord>>(&entry.value);
        let records = records.map_err(|error| entry.unreadable(error))?;
        Ok(records
            .into_iter()
            .map(|record| (record.hour_ms, record))
            .collect())
    }

    /// Where this node writes what an instance used on a day.
    fn key(&self, id: &InstanceId, day: i64) -> String {
        let node = self.parts.node.unwrap_or(ShardId::new(0));
        // As long as it takes for the order of texts to be that of days.
        format!("{USAGE}{id}/{node}/{day:06}")
    }

    async fn write_usage(&self, unwritten: &mut Unwritten) -> Result<(), MetadataError> {
        let metadata = &*self.parts.metadata;
        while let Some(mut of_instance) = unwritten.records.first_entry() {
            let id = of_instance.key().clone();
            while let Some((&hour_ms, _)) = of_instance.get().first_key_value() {
                let day = hour_ms.div_euclid(DAY_MS);
                let mut records = self.day(&id, day).await?;
                let end = (day + 1) * DAY_MS;
                let later = of_instance.get_mut().split_off(&end);
                records.append(&mut of_instance.get().clone());
                let value: Vec<_> = records.values().collect();
                let value = serde_json::to_vec(&value).expect("plain data becomes JSON");
                let written = overwrite(metadata, &self.key(&id, day), Some(value.into())).await;
                if let Err(error) = written {
                    of_instance.get_mut().extend(later);
                    return Err(error);
                }
                if let Some((_, last)) = records.last_key_value() {
                    unwritten.written.insert(id.clone(), *last);
                }
                of_instance.insert(later);
            }
            of_instance.remove();
        }
        let today = self.parts.clock.now().ms().div_euclid(DAY_MS);
        if unwritten.swept != today {
            self.sweep_usage(today - limits::USAGE_DAYS_MAX).await?;
            unwritten.swept = today;
            // Those of instances that are gone are of no more use.
            unwritten.written.clear();
        }
        Ok(())
    }

    /// Removes records of days before `first`.
    async fn sweep_usage(&self, first: i64) -> Result<(), MetadataError> {
        for entry in self.parts.metadata.range(USAGE).await?.0 {
            if parts(&entry.key).is_some_and(|(_, day)| day < first) {
                overwrite(&*self.parts.metadata, &entry.key, None).await?;
            }
        }
        Ok(())
    }
}

impl Unwritten {
    fn gather(&mut self, instance: &Instance) {
        let records = instance.usage();
        let written = self.written.get(instance.id());
        if records.iter().all(|record| Some(record) == written) {
            return;
        }
        let of_instance = self.records.entry(instance.id().clone()).or_default();
        of_instance.extend(records.into_iter().map(|record| (record.hour_ms, record)));
        // Of a store that takes nothing for days, the oldest hours are lost.
        while of_instance.len() > limits::USAGE_DAYS_MAX as usize * 24 {
            of_instance.pop_first();
        }
    }
}

/// The instance and the day of a key.
fn parts(key: &str) -> Option<(InstanceId, i64)> {
    let (of_node, day) = key.strip_prefix(USAGE)?.rsplit_once('/')?;
    let (id, _) = of_node.rsplit_once('/')?;
    Some((InstanceId::new(id).ok()?, day.parse().ok()?))
}
