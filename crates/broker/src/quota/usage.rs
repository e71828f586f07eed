//! What an instance uses, by the hour: what it is billed by.
//!
//! An hour that is over is told once; the one that runs is told as far as it is. Sources: the
//! service's "Computing fees", "Elastic TPS fee", "Billing of serverless instances" and "Storage
//! fees".

use base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plan::Entitlement;

const HOUR_MS: i64 = 60 * 60 * 1_000;

/// Hours that are over and that nobody has asked for; older ones are lost past that. Somebody asks
/// every minute, unless the metadata store takes nothing for days.
const FINISHED_MAX: usize = 24 * 7;

/// What an instance used in one hour of the clock (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// When the hour began, in ms since 1970.
    pub hour_ms: i64,
    /// Sends, in units, advanced messages multiplied.
    pub send_units: u64,
    /// Deliveries, in units, acknowledged or not.
    pub receive_units: u64,
    /// Bytes that were stored when the hour began, or when it was first looked at.
    pub storage_bytes: u64,
    /// By how much the busiest second was above the TPS that are paid for: never more than the
    /// burst that may be used.
    pub elastic_tps: u64,
    /// By how much it was below them, where it was: what the other nodes of an instance used above
    /// their shares is not charged for as long as it is within what this one left.
    #[serde(default)]
    pub unused_tps: u64,
}

impl UsageRecord {
    pub(crate) fn of_hour(hour_ms: i64) -> Self {
        Self {
            hour_ms,
            ..Self::default()
        }
    }

    /// Adds what another node counted in the same hour. Each has a share of the TPS that are paid
    /// for, and the busiest seconds of both may be different ones: the sum of both is the most that
    /// the instance's busiest second can have had.
    pub(crate) fn add(&mut self, other: &Self) {
        self.send_units += other.send_units;
        self.receive_units += other.receive_units;
        self.storage_bytes += other.storage_bytes;
        let above = self.elastic_tps + other.elastic_tps;
        let below = self.unused_tps + other.unused_tps;
        self.elastic_tps = above.saturating_sub(below);
        self.unused_tps = below.saturating_sub(above);
    }

    /// Takes note of a second that is over.
    fn look_at_second(&mut self, entitlement: &Entitlement, units: u64) {
        let above = units.saturating_sub(entitlement.base_tps);
        self.elastic_tps = self.elastic_tps.max(above.min(entitlement.burst_tps));
        let below = entitlement.base_tps.saturating_sub(units);
        self.unused_tps = self.unused_tps.min(below);
    }
}

/// The hour that runs, and those that are over.
#[derive(Debug, Default)]
pub(super) struct Usage {
    hour: UsageRecord,
    /// Whether the storage of the hour is known.
    has_storage: bool,
    /// Seconds since 1970.
    second: i64,
    second_units: u64,
    finished: Vec<UsageRecord>,
}

impl Usage {
    pub(super) fn add_sends(&mut self, entitlement: &Entitlement, units: u64, now: Timestamp) {
        self.add(entitlement, units, now);
        self.hour.send_units += units;
    }

    pub(super) fn add_deliveries(&mut self, entitlement: &Entitlement, units: u64, now: Timestamp) {
        self.add(entitlement, units, now);
        self.hour.receive_units += units;
    }

    pub(super) fn give_back_sends(&mut self, units: u64) {
        self.hour.send_units = self.hour.send_units.saturating_sub(units);
    }

    /// Begins the hour of `now` if it is another, with the bytes that are stored.
    pub(super) fn look_at_storage(
        &mut self,
        entitlement: &Entitlement,
        now: Timestamp,
        bytes: impl FnOnce() -> u64,
    ) {
        self.settle(entitlement, now);
        if !self.has_storage {
            self.hour.storage_bytes = bytes();
            self.has_storage = true;
        }
    }

    /// The hours that are over since the last call, and the one that runs.
    pub(super) fn take(&mut self, entitlement: &Entitlement, now: Timestamp) -> Vec<UsageRecord> {
        self.settle(entitlement, now);
        let mut records = std::mem::take(&mut self.finished);
        let mut hour = self.hour;
        hour.look_at_second(entitlement, self.second_units);
        records.push(hour);
        records
    }

    /// By how much the busiest second of the hour that runs was above this node's share of the TPS
    /// that are paid for; less than 0 if it was below it.
    pub(super) fn elastic_tps(&self) -> i64 {
        self.hour.elastic_tps.cast_signed() - self.hour.unused_tps.cast_signed()
    }

    /// Goes on with an hour from what is known of it.
    pub(super) fn restore(&mut self, record: UsageRecord) {
        if self.hour == UsageRecord::default() {
            self.hour = record;
            self.has_storage = true;
        }
    }

    /// Ends second and hour before `now`, if it is in others.
    pub(super) fn settle(&mut self, entitlement: &Entitlement, now: Timestamp) {
        let second = now.ms().div_euclid(1_000);
        if second == self.second {
            return;
        }
        self.hour.look_at_second(entitlement, self.second_units);
        (self.second, self.second_units) = (second, 0);
        let hour_ms = now.ms().div_euclid(HOUR_MS) * HOUR_MS;
        // A clock that went back some minutes does not begin an hour a second time.
        if hour_ms > self.hour.hour_ms {
            let begun = UsageRecord {
                unused_tps: entitlement.base_tps,
                ..UsageRecord::of_hour(hour_ms)
            };
            let over = std::mem::replace(&mut self.hour, begun);
            self.has_storage = false;
            if over.hour_ms > 0 {
                if self.finished.len() >= FINISHED_MAX {
                    self.finished.remove(0);
                }
                self.finished.push(over);
            }
        }
    }

    fn add(&mut self, entitlement: &Entitlement, units: u64, now: Timestamp) {
        self.settle(entitlement, now);
        self.second_units += units;
    }
}
