//! Retention: how long and how much of the log is kept, and the sweeping up behind it.
//!
//! Only whole segments go, only behind a durable checkpoint, and never with the only copy of a
//! message that somebody has in flight when a run begins, or that is held outside its queue: that
//! one is appended again first. What is handed out for the first time while a run takes it away is
//! not: a moment later it would not have been handed out at all.

use std::time::Duration;

use base::{GroupId, LogPosition, StreamKey, Timestamp};
use bytes::Bytes;
use store::{
    kv::KvError,
    log::{AppendError, Appended, NewRecord, Urgency},
};

use crate::{
    Shard,
    held::Held,
    index::{self, IndexEntry},
    keys,
    records::{self, HeldHead, take_u64},
    state::next_key,
    trend,
};

/// What is kept at least. Whichever is reached first lets the oldest segments go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Messages older than this may go.
    pub time: Duration,
    /// Bytes of log per shard beyond which the oldest go; `None` for no limit.
    pub bytes: Option<u64>,
}

/// What a run of retention did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// Where the log starts now.
    pub start: LogPosition,
    /// Bytes of log given back.
    pub bytes: u64,
}

/// Why retention stopped half-way. Nothing that is still needed is gone; the next run goes on.
#[derive(Debug, thiserror::Error)]
pub enum RetainError {
    /// The KV failed.
    #[error("read shard state")]
    State(#[from] KvError),
    /// A message still owed could not be read.
    #[error("read message at log position {position}")]
    Read {
        /// Where it is.
        position: LogPosition,
        /// What the log said.
        #[source]
        source: store::log::ReadError,
    },
    /// A message still owed could not be appended again.
    #[error("append a message that is still owed")]
    Log(#[from] AppendError),
    /// The segments could not be removed.
    #[error("remove segments before log position {position}")]
    Disk {
        /// Where the log should have started.
        position: LogPosition,
        /// What the disk said.
        #[source]
        source: std::io::Error,
    },
}

/// What upkeep remembers from run to run.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    /// Position of the last durable checkpoint of this run.
    pub(crate) checkpoint: LogPosition,
    /// Key at which the next sweep goes on.
    sweep_from: Vec<u8>,
    /// LiteTopic at which the next look for those whose time is over goes on.
    pub(crate) expire_from: StreamKey,
    /// What the last run appended again.
    copied: Copied,
}

/// Copies of held messages that a run made.
#[derive(Clone, Copy, Debug, Default)]
struct Copied {
    /// Where the log ended before them.
    from: LogPosition,
    /// Where it ended after them.
    to: LogPosition,
    /// Their bytes.
    bytes: u64,
}

/// Keys that one sweep looks at: a few milliseconds of work.
const SWEEP_KEYS: usize = 4_096;

/// Held messages appended again for one commit: of the largest, a few of its writes.
const HELD_PAGE: usize = 256;

impl Shard {
    /// Ends LiteTopics whose time is over and gives back what `retention` no longer asks to keep.
    /// Makes a checkpoint first if there is something to give back.
    pub async fn retain(&self, retention: Retention) -> Result<Trimmed, RetainError> {
        self.expire_lite_topics()?;
        let start = self.log.start();
        let nothing = Trimmed { start, bytes: 0 };
        let goal = self.trim_goal(retention)?;
        if goal <= start {
            self.sweep()?;
            return Ok(nothing);
        }
        self.keep_owed(goal).await?;
        let from = self.log.tail();
        let bytes = self.keep_held(goal).await?;
        if bytes > 0 {
            let to = self.log.tail();
            self.upkeep.lock().copied = Copied { from, to, bytes };
        }
        // The copies and all that was applied must be in the checkpoint before the originals go.
        let checkpoint = self.checkpoint()?;
        let position = goal.min(checkpoint);
        let start_now = self
            .log
            .trim(position)
            .map_err(|source| RetainError::Disk { position, source })?;
        self.sweep()?;
        Ok(Trimmed {
            start: start_now,
            bytes: start_now.get() - start.get(),
        })
    }

    /// Where the log should start: the start of a segment.
    fn trim_goal(&self, retention: Retention) -> Result<LogPosition, KvError> {
        let now = self.clock.now();
        let keep_ms = i64::try_from(retention.time.as_millis()).unwrap_or(i64::MAX);
        let cutoff = Timestamp::from_ms(now.ms().saturating_sub(keep_ms));
        let old_before = self.position_at(cutoff)?;
        let segments = self.log.segments();
        let mut kept_bytes: u64 = segments.iter().map(|segment| segment.disk_bytes).sum();
        let mut goal = self.log.start();
        let copied = self.upkeep.lock().copied;
        // Held messages may take more than the limit by themselves: to copy them again and again
        // would give nothing back. As much as they are must have come since.
        let copies_stay = self.log.tail().get() - copied.to.get() < copied.bytes;
        for segment in segments {
            let too_old = segment.end <= old_before;
            let is_copies = copies_stay && segment.end > copied.from;
            let too_much = retention.bytes.is_some_and(|limit| kept_bytes > limit) && !is_copies;
            if segment.active || !(too_old || too_much) {
                break;
            }
            kept_bytes -= segment.disk_bytes;
            goal = segment.end;
        }
        Ok(goal)
    }

    /// A position before which everything was stored at or before `time`.
    fn position_at(&self, time: Timestamp) -> Result<LogPosition, KvError> {
        let (mut low, high) = (keys::time_mark(0), next_key(&keys::time_mark(u64::MAX)));
        let mut found = LogPosition::default();
        loop {
            let page = self.kv.range(&low, &high, false, 256)?;
            let Some((last, _)) = page.last() else {
                return Ok(found);
            };
            low = next_key(last);
            for (key, mut value) in page.iter().map(|(key, value)| (key, &value[..])) {
                let marked = take_u64(&mut value).map(u64::cast_signed);
                if marked.is_none_or(|marked| Timestamp::from_ms(marked) > time) {
                    return Ok(found);
                }
                found = LogPosition::new(keys::tail_of(key).unwrap_or(0));
            }
        }
    }

    /// Appends again what is in flight and stored before `goal`.
    async fn keep_owed(&self, goal: LogPosition) -> Result<(), RetainError> {
        let (mut from, to) = (vec![keys::RECEIPT], vec![keys::RECEIPT + 1]);
        loop {
            let page = self.state.lock().range(&from, &to, SWEEP_KEYS)?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            from = next_key(last);
            for (key, _) in page {
                let (Some(stream), Some(group), Some(offset)) = (
                    keys::stream_of(&key),
                    keys::group_of(&key),
                    keys::tail_of(&key),
                ) else {
                    continue;
                };
                if let Some(entry) = self.owed(stream, group, offset, goal)? {
                    self.keep(stream, entry).await?;
                }
            }
        }
    }

    /// Appends again what is held outside its queue and stored before `goal`; returns its bytes.
    async fn keep_held(&self, goal: LogPosition) -> Result<u64, RetainError> {
        let (mut from, to) = (vec![keys::HELD], keys::held(goal));
        let mut bytes = 0;
        loop {
            let page = self.state.lock().range(&from, &to, HELD_PAGE)?;
            let Some((last, _)) = page.last() else {
                return Ok(bytes);
            };
            from = next_key(last);
            let mut end = None;
            for id in page.iter().filter_map(|(key, _)| keys::tail_of(key)) {
                let id = LogPosition::new(id);
                let held = self.state.lock().held(id)?;
                let Some(held) = held.filter(|held| held.place.position < goal) else {
                    continue;
                };
                let appended = if self.is_forgotten(held.place.stream, None) {
                    self.append_dropped(id, &held)?
                } else {
                    bytes += u64::from(held.place.len);
                    self.keep_one_held(id, &held).await?
                };
                end = Some(appended.end);
            }
            if let Some(end) = end {
                self.log.durable(end).await?;
            }
        }
    }

    async fn keep_one_held(&self, id: LogPosition, held: &Held) -> Result<Appended, RetainError> {
        let position = held.place.position;
        let record = self.log.read(position, held.place.len as usize).await;
        let record = record.map_err(|source| RetainError::Read { position, source })?;
        let payload = &record.payload;
        let message = payload.get(HeldHead::BYTES..).unwrap_or_default();
        let new = NewRecord {
            kind: records::HELD_MESSAGE,
            stream: held.place.stream,
            payload_len: payload.len(),
        };
        loop {
            // Not urgent, as with what is in flight.
            let appended = self.log.append(&[new], Urgency::Ride, &mut |_, _, out| {
                held.head(id).encode(out);
                out.extend_from_slice(message);
            });
            match appended {
                Err(AppendError::Busy { .. }) => self.log.writable().await,
                other => return Ok(other?),
            }
        }
    }

    /// Where a message in flight is, if it is stored before `goal` and its topic and group live.
    fn owed(
        &self,
        stream: StreamKey,
        group: GroupId,
        offset: u64,
        goal: LogPosition,
    ) -> Result<Option<IndexEntry>, KvError> {
        if self.is_forgotten(stream, Some(group)) {
            return Ok(None);
        }
        let mut state = self.state.lock();
        // What nobody has seen yet is kept no longer than what is new.
        let delivery = state.consumption(stream, group)?.get(offset);
        if delivery.is_none_or(|delivery| delivery.state.attempt == 0) {
            return Ok(None);
        }
        // Another group may have had it kept already.
        if let Some(kept) = state.get(&keys::kept(stream, offset))?
            && IndexEntry::decode(&kept).is_some_and(|kept| kept.position >= goal)
        {
            return Ok(None);
        }
        let entry = self.entry_in_flight(&mut state, stream, offset)?;
        Ok(entry.filter(|entry| entry.position < goal))
    }

    async fn keep(&self, stream: StreamKey, entry: IndexEntry) -> Result<(), RetainError> {
        let position = entry.position;
        let record = self
            .log
            .read(position, entry.len as usize)
            .await
            .map_err(|source| RetainError::Read { position, source })?;
        let appended = self.append_kept(stream, &record.payload)?;
        self.log.durable(appended.end).await?;
        Ok(())
    }

    /// Whether a topic or group has been deleted, so that what is kept of it may go.
    fn is_forgotten(&self, stream: StreamKey, group: Option<GroupId>) -> bool {
        let (topic, _) = stream.queue();
        self.catalogue.topic_by_id(topic).is_none()
            || group.is_some_and(|group| !self.catalogue.has_group_id(group))
    }

    /// Removes a bounded number of keys that stand for messages, topics or groups that are gone.
    /// Runs on from where the last one stopped.
    fn sweep(&self) -> Result<(), KvError> {
        let mut upkeep = self.upkeep.lock();
        let start = self.log.start();
        let mut state = self.state.lock();
        let page = state.range(&upkeep.sweep_from, &[u8::MAX], SWEEP_KEYS)?;
        upkeep.sweep_from = match page.last() {
            Some((last, _)) if page.len() == SWEEP_KEYS => next_key(last),
            _ => Vec::new(),
        };
        for (key, value) in page {
            let stream = keys::has_stream(&key)
                .then(|| keys::stream_of(&key))
                .flatten();
            let is_gone = stream
                .map(|stream| state.is_lite_topic_gone(stream))
                .transpose()?;
            if is_gone == Some(true) || self.is_stale(&key, &value, start) {
                state.pending.insert(key, None);
            }
        }
        let gone = |stream: &StreamKey| self.is_forgotten(*stream, None);
        let dirty: Vec<StreamKey> = state
            .queues
            .keys()
            .filter(|stream| gone(stream))
            .copied()
            .collect();
        for stream in dirty {
            // A message on its way to the disk still needs its queue.
            let settled = state
                .queues
                .get(&stream)
                .is_some_and(|queue| queue.next == queue.tail.end());
            if settled && !state.dirty.contains(&stream) {
                state.queues.remove(&stream);
            }
        }
        state
            .consumptions
            .retain(|(stream, group), _| !self.is_forgotten(*stream, Some(*group)));
        let catalogue = &self.catalogue;
        let lives = |topic| catalogue.topic_by_id(topic).is_some();
        state.in_counts.retain(|topic, _| lives(*topic));
        let both = |group, topic| catalogue.has_group_id(group) && lives(topic);
        state.lite.lags.retain(|topic, group| both(group, topic));
        state
            .out_counts
            .retain(|(group, topic), _| both(*group, *topic));
        state
            .dead_letter_counts
            .retain(|(group, topic), _| both(*group, *topic));
        Ok(())
    }

    fn is_stale(&self, key: &[u8], value: &Bytes, start: LogPosition) -> bool {
        let Some(kind) = key.first() else {
            return false;
        };
        let (stream, tail) = (keys::stream_of(key), keys::tail_of(key).unwrap_or(0));
        let forgotten = |group| stream.is_none_or(|stream| self.is_forgotten(stream, group));
        let is_before =
            |entry: &[u8]| IndexEntry::decode(entry).is_none_or(|entry| entry.position < start);
        match *kind {
            keys::INDEX => {
                let last = value.len().saturating_sub(IndexEntry::BYTES);
                let passed = is_before(&value[last..]);
                // A block that is not full yet will be added to.
                let full = index::entries_in_block(value) == index::BLOCK_ENTRIES;
                forgotten(None) || (passed && full)
            }
            keys::QUEUE | keys::LITE_TOPIC => forgotten(None),
            keys::LITE_NAME | keys::LITE_COUNTS => {
                let topic = keys::topic_of(key).and_then(|id| self.catalogue.topic_by_id(id));
                topic.is_none()
            }
            keys::LITE_LAG => {
                let topic = keys::topic_of(key).and_then(|id| self.catalogue.topic_by_id(id));
                let group = keys::group_of_lag(key);
                topic.is_none() || group.is_none_or(|group| !self.catalogue.has_group_id(group))
            }
            keys::TREND => {
                let oldest = trend::oldest_hour(self.clock.now());
                let topic = keys::topic_of(key).and_then(|id| self.catalogue.topic_by_id(id));
                let known = keys::group_and_hour_of(key).filter(|_| topic.is_some());
                known.is_none_or(|(group, hour)| {
                    let is_gone = |group| !self.catalogue.has_group_id(group);
                    hour < oldest || group.is_some_and(is_gone)
                })
            }
            keys::KEPT => is_before(value) || forgotten(None),
            keys::CONSUMPTION | keys::RECEIPT => forgotten(keys::group_of(key)),
            keys::KEY_RUN => tail < start.get(),
            // The newest mark before the start is of no use any more: all before it is gone.
            keys::TIME_MARK => tail < start.get(),
            _ => false,
        }
    }
}
