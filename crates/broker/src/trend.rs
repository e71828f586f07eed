//! Trend: how many messages came into a topic and went out to a group, minute by minute.
//!
//! What is stored is counted when its record is applied and so counted again, to the same end, from
//! what of the log is replayed after a restart. What is handed out is not always in the log: a
//! crash loses those counts since the last checkpoint, a clean stop none. Only the hour that runs
//! is in memory, and only of those who have messages in it; checkpoints write it to the KV, from
//! where retention removes what is older than [`limits::TREND_HOURS_MAX`].

use base::{ErrorKind, GroupId, GroupName, Timestamp, TopicId, TopicName, limits};
use bytes::Bytes;
use store::kv::KvError;

use crate::{
    GroupNotFound, Shard, TopicNotFound, keys,
    state::{IdMap, State, next_key},
};

const MINUTE_MS: i64 = 60_000;
const MINUTES_PER_HOUR: u32 = 60;

/// What is counted: the messages of a topic, stored or handed out to a group.
pub(crate) type Series = (TopicId, Option<GroupId>);

/// Which counts to tell.
#[derive(Clone, Debug)]
pub struct TrendRequest {
    /// The topic.
    pub topic: TopicName,
    /// The group to which messages went; `None` for those that were stored.
    pub group: Option<GroupName>,
    /// The first minute is the one of this time.
    pub from: Timestamp,
    /// The last one is that before this time.
    pub to: Timestamp,
    /// Minutes that are added up for one point, from 1.
    pub minutes_per_point: u32,
}

/// The messages of some minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrendPoint {
    /// When the first of the minutes begins.
    pub at: Timestamp,
    /// Messages in all of them.
    pub messages: u64,
}

/// Why there is no trend.
#[derive(Debug, thiserror::Error)]
pub enum TrendError {
    /// No such topic.
    #[error(transparent)]
    TopicNotFound(#[from] TopicNotFound),
    /// No such group.
    #[error(transparent)]
    GroupNotFound(#[from] GroupNotFound),
    /// The counts could not be read.
    #[error("read counts of topic `{topic}`")]
    State {
        /// The topic.
        topic: TopicName,
        /// What the KV said.
        #[source]
        source: KvError,
    },
}

impl TrendError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TopicNotFound(_) | Self::GroupNotFound(_) => ErrorKind::NotFound,
            Self::State { .. } => ErrorKind::Fault,
        }
    }
}

/// The hours that run.
#[derive(Debug, Default)]
pub(crate) struct Trends {
    running: IdMap<Series, Hour>,
}

/// One hour of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hour {
    /// Hours since 1970.
    number: u32,
    by_minute: [u32; MINUTES_PER_HOUR as usize],
    /// Whether the changes for the KV lack something.
    is_dirty: bool,
}

impl Hour {
    /// From pairs of minute u8 and messages u32, or nothing.
    fn decode(number: u32, value: Option<&[u8]>) -> Self {
        let mut by_minute = [0; MINUTES_PER_HOUR as usize];
        for pair in value.unwrap_or_default().chunks_exact(5) {
            let count = pair
                .last_chunk()
                .map_or(0, |count| u32::from_le_bytes(*count));
            if let Some(minute) = by_minute.get_mut(usize::from(pair[0])) {
                *minute = count;
            }
        }
        let is_dirty = false;
        Self {
            number,
            by_minute,
            is_dirty,
        }
    }

    fn encode(&self) -> Bytes {
        let mut value = Vec::new();
        for (minute, count) in (0..).zip(&self.by_minute) {
            if *count > 0 {
                value.push(minute);
                value.extend_from_slice(&count.to_le_bytes());
            }
        }
        value.into()
    }
}

/// Minutes since 1970; times before are 1970.
fn minute_of(time: Timestamp) -> u32 {
    u32::try_from(time.ms().div_euclid(MINUTE_MS).max(0)).unwrap_or(u32::MAX)
}

/// The oldest hour that is still told.
pub(crate) fn oldest_hour(now: Timestamp) -> u32 {
    (minute_of(now) / MINUTES_PER_HOUR).saturating_sub(limits::TREND_HOURS_MAX)
}

impl State {
    /// Adds messages to the minute of `at`.
    pub(crate) fn count_in_trend(&mut self, series: Series, at: Timestamp, messages: usize) {
        let minute = minute_of(at);
        let number = minute / MINUTES_PER_HOUR;
        if !matches!(self.trends.running.get(&series), Some(hour) if hour.number == number)
            && !self.begin_hour(series, number)
        {
            return;
        }
        if let Some(hour) = self.trends.running.get_mut(&series) {
            let count = &mut hour.by_minute[(minute % MINUTES_PER_HOUR) as usize];
            *count = count.saturating_add(u32::try_from(messages).unwrap_or(u32::MAX));
            hour.is_dirty = true;
        }
    }

    /// Goes on with another hour, with what is known of it. `false` if there is no room.
    fn begin_hour(&mut self, series: Series, number: u32) -> bool {
        let (topic, group) = series;
        match self.trends.running.get(&series) {
            Some(before) if before.is_dirty => {
                let key = keys::trend(topic, group, before.number);
                self.pending.insert(key, Some(before.encode()));
            }
            Some(_) => {}
            None if self.trends.running.len() >= limits::TREND_SERIES_MAX => return false,
            None => {}
        }
        // A KV that cannot be read has worse to tell than this.
        let known = self.get(&keys::trend(topic, group, number)).ok().flatten();
        let hour = Hour::decode(number, known.as_deref());
        self.trends.running.insert(series, hour);
        true
    }

    /// Adds what is not in the KV to the changes for it, and forgets hours that are over.
    pub(crate) fn write_trends(&mut self, now: Timestamp) {
        let running = minute_of(now) / MINUTES_PER_HOUR;
        let pending = &mut self.pending;
        self.trends.running.retain(|(topic, group), hour| {
            if std::mem::take(&mut hour.is_dirty) {
                let key = keys::trend(*topic, *group, hour.number);
                pending.insert(key, Some(hour.encode()));
            }
            hour.number >= running
        });
    }

    /// The hours of a series from `first` to `last`.
    fn hours(&self, (topic, group): Series, first: u32, last: u32) -> Result<Vec<Hour>, KvError> {
        let from = keys::trend(topic, group, first);
        let to = next_key(&keys::trend(topic, group, last));
        let known = self.range(&from, &to, limits::TREND_HOURS_MAX as usize + 1)?;
        let running = self.trends.running.get(&(topic, group));
        let known = known.iter().filter_map(|(key, value)| {
            let (_, number) = keys::group_and_hour_of(key)?;
            let is_running = running.is_some_and(|hour| hour.number == number);
            (!is_running).then(|| Hour::decode(number, Some(value)))
        });
        let running = running.filter(|hour| (first..=last).contains(&hour.number));
        Ok(known.chain(running.cloned()).collect())
    }
}

impl Shard {
    /// How many messages there were in each part of a time, with those parts that had none. What is
    /// not remembered any more, or has yet to come, is left out.
    ///
    /// # Errors
    /// When topic or group are not there, or the counts cannot be read.
    pub fn trend(&self, request: &TrendRequest) -> Result<Vec<TrendPoint>, TrendError> {
        let topic = self.catalogue.known_topic(&request.topic)?;
        let group = match &request.group {
            Some(group) => Some(self.catalogue.known_group(group)?.id),
            None => None,
        };
        let now = self.clock.now();
        let oldest = oldest_hour(now) * MINUTES_PER_HOUR;
        let first = minute_of(request.from).max(oldest);
        let before_end = Timestamp::from_ms(request.to.ms().saturating_sub(1)).min(now);
        let last = minute_of(before_end);
        if first > last {
            return Ok(Vec::new());
        }
        let hours = {
            let state = self.state.lock();
            let (first, last) = (first / MINUTES_PER_HOUR, last / MINUTES_PER_HOUR);
            state.hours((topic.id, group), first, last)
        };
        let hours = hours.map_err(|source| TrendError::State {
            topic: request.topic.clone(),
            source,
        })?;
        let step = request.minutes_per_point.max(1);
        let begin = |minute: u32| Timestamp::from_ms(i64::from(minute) * MINUTE_MS);
        let mut points: Vec<TrendPoint> = (first..=last)
            .step_by(step as usize)
            .map(|minute| TrendPoint {
                at: begin(minute),
                messages: 0,
            })
            .collect();
        for hour in &hours {
            for (minute, count) in (hour.number * MINUTES_PER_HOUR..).zip(&hour.by_minute) {
                if (first..=last).contains(&minute) {
                    points[((minute - first) / step) as usize].messages += u64::from(*count);
                }
            }
        }
        Ok(points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_read_as_it_was_written() {
        let mut hour = Hour::decode(7, None);
        hour.by_minute[0] = 3;
        hour.by_minute[59] = u32::MAX;
        let value = hour.encode();
        assert_eq!(value.len(), 10);
        assert_eq!(Hour::decode(7, Some(&value)), hour);
    }

    #[test]
    fn what_is_no_hour_is_passed_over() {
        let hour = Hour::decode(7, Some(&[200, 1, 0, 0, 0, 9]));
        assert_eq!(hour, Hour::decode(7, None));
    }
}
