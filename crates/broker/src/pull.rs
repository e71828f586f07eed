//! Pull: read a queue from an offset that the client keeps, waiting for messages if there are none.

use std::{pin::pin, sync::Arc, time::Duration};

use base::{
    ErrorKind, GroupId, GroupName, LogPosition, QueueId, QueueOffset, StreamKey, TopicId,
    TopicName, limits,
};
use futures::{FutureExt, future::select};
use store::{
    kv::KvError,
    log::{ReadError, Record, RecordPlace},
};
use wire::message::{MessageError, StoredMessage};

use crate::{
    Filter, Group, GroupSpec, QueueNotFound, QuotaError, Shard, Topic, TopicNotFound,
    index::{self, IndexEntry},
    keys,
    state::State,
    system_names::is_system_topic,
    wait,
};

/// What to read.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// The group that reads, for its figures; `None` for tools.
    pub group: Option<GroupName>,
    /// The topic.
    pub topic: TopicName,
    /// The queue.
    pub queue: QueueId,
    /// First offset wanted.
    pub offset: QueueOffset,
    /// Most messages wanted; capped at [`base::limits::PULL_MESSAGES_MAX`].
    pub max_messages: usize,
    /// Most bytes wanted; capped at [`base::limits::PULL_BYTES_MAX`]. One message always fits.
    pub max_bytes: usize,
    /// Which messages.
    pub filter: Filter,
    /// How long to wait if there is no message yet; zero answers at once.
    pub wait: Duration,
}

/// What became of a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullOutcome {
    /// There are messages.
    Found,
    /// The offset is the end of the queue, and nothing came in time.
    NoNewMessage,
    /// There were messages but none passed the filter: go on at `next`.
    NoMatch,
    /// The offset is before the first or after the last message: go on at `next`.
    OffsetMoved,
}

/// The answer to a pull.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// What became of it.
    pub outcome: PullOutcome,
    /// The messages, in queue order, as slices of what the log holds.
    pub messages: Vec<StoredMessage>,
    /// Where to go on.
    pub next: QueueOffset,
    /// First offset of the queue.
    pub min: QueueOffset,
    /// End of the queue: offset of the next message to come.
    pub max: QueueOffset,
}

/// Why a pull was refused.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// No such topic.
    #[error(transparent)]
    TopicNotFound(#[from] TopicNotFound),
    /// No such queue.
    #[error(transparent)]
    QueueNotFound(#[from] QueueNotFound),
    /// The topic hands out no messages.
    #[error("topic `{topic}` is not readable")]
    NotReadable {
        /// The topic.
        topic: TopicName,
    },
    /// The instance hands out nothing at the moment.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The group is switched off.
    #[error("group `{group}` may not consume: its setting `{CONSUME_ENABLE}` is `false`", CONSUME_ENABLE = GroupSpec::CONSUME_ENABLE)]
    GroupDisabled {
        /// The group.
        group: GroupName,
    },
    /// A stored message could not be read.
    #[error("read message {offset} of queue {queue} of topic `{topic}`")]
    Read {
        /// The topic.
        topic: TopicName,
        /// The queue.
        queue: QueueId,
        /// The message.
        offset: QueueOffset,
        /// What the log said.
        #[source]
        source: ReadError,
    },
    /// A record that should hold a message holds none.
    #[error("read message of topic `{topic}` at log position {position}")]
    Message {
        /// The topic.
        topic: TopicName,
        /// The record.
        position: LogPosition,
        /// What is wrong with it.
        #[source]
        source: MessageError,
    },
    /// The state of the queue could not be read.
    #[error("read state of topic `{topic}`")]
    State {
        /// The topic.
        topic: TopicName,
        /// What the KV said.
        #[source]
        source: KvError,
    },
}

impl PullError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TopicNotFound(_) => ErrorKind::NotFound,
            Self::QueueNotFound(_) => ErrorKind::Request,
            Self::Quota(error) => error.kind(),
            Self::NotReadable { .. } | Self::GroupDisabled { .. } => ErrorKind::Denied,
            Self::Read { .. } | Self::Message { .. } | Self::State { .. } => ErrorKind::Fault,
        }
    }
}

/// Whether retention came between the look at the index and the read.
pub(crate) fn is_trimmed<T>(read: &Result<T, PullError>) -> bool {
    let trimmed = |error: &PullError| match error {
        PullError::Read { source, .. } => matches!(source, ReadError::Trimmed { .. }),
        _ => false,
    };
    read.as_ref().is_err_and(trimmed)
}

pub(crate) fn check_enabled(group: &Group) -> Result<(), PullError> {
    if group.spec.is_enabled() {
        return Ok(());
    }
    let group = group.name().clone();
    Err(PullError::GroupDisabled { group })
}

/// The message that a record is.
fn message_in(topic: &TopicName, record: Record) -> Result<StoredMessage, PullError> {
    StoredMessage::parse(record.payload).map_err(|source| PullError::Message {
        topic: topic.clone(),
        position: record.position,
        source,
    })
}

/// Messages of a queue to be read together.
struct Page {
    /// Offset and place of those that may match.
    wanted: Vec<(u64, IndexEntry)>,
    /// Offset of the first that was not looked at.
    end: u64,
}

impl Page {
    /// What an answer has room for of the messages from offset `first` on: `room` messages, and
    /// bytes up to a limit, of which `bytes` are taken. One message always fits.
    fn of(
        entries: &[IndexEntry],
        first: u64,
        filter: &Filter,
        room: usize,
        (mut bytes, bytes_max): (usize, usize),
    ) -> Self {
        let mut page = Self {
            wanted: Vec::with_capacity(entries.len().min(room)),
            end: first,
        };
        for entry in entries {
            if page.wanted.len() == room {
                break;
            }
            if filter.may_match(entry.tag_hash) {
                let size = entry.len as usize;
                if bytes > 0 && bytes + size > bytes_max {
                    break;
                }
                bytes += size;
                page.wanted.push((page.end, *entry));
            }
            page.end += 1;
        }
        page
    }
}

impl Shard {
    /// Reads messages of one queue. Waits up to `wait` while the queue has none at `offset`; the
    /// append that brings one ends the wait. Dropping the future ends it too.
    pub async fn pull(&self, request: PullRequest) -> Result<Pulled, PullError> {
        let topic = self.readable_topic(&request.topic)?;
        let stream = Self::stream(&topic, topic.queue(request.queue)?);
        let group = request
            .group
            .as_ref()
            .and_then(|group| self.catalogue.group(group));
        if let Some(group) = &group {
            check_enabled(group)?;
            self.admit_receive(&topic, group)?;
        }
        let wait = request
            .wait
            .min(Duration::from_millis(limits::LONG_POLL_MS_MAX));
        let deadline = self.clock.elapsed() + wait;
        loop {
            let pulled = self.pull_now(&request, stream).await?;
            if let Some(group) = &group {
                self.note_pulled(stream, group.id, pulled.next);
            }
            let left = deadline.saturating_sub(self.clock.elapsed());
            let done = pulled.outcome != PullOutcome::NoNewMessage;
            if done || left.is_zero() || self.is_draining() {
                if let Some(group) = group {
                    self.count_out(group.id, topic.id, &pulled.messages);
                    self.count_deliveries(&topic, &group, pulled.messages.iter());
                }
                return Ok(pulled);
            }
            let arrivals =
                self.state_of(&request.topic, |s| Ok(s.queue(stream)?.arrivals.clone()))?;
            let mut arrival = pin!(arrivals.notified());
            // From here on an arrival is noticed; whether one came just before, the queue tells.
            arrival.as_mut().enable();
            let end = self.state_of(&request.topic, |s| Ok(s.queue(stream)?.tail.end()))?;
            if end <= request.offset.get() {
                let drained = pin!(self.drained());
                wait::until(select(arrival, drained).map(drop), &*self.clock, left).await;
            }
        }
    }

    /// What a pull finds at this moment.
    async fn pull_now(
        &self,
        request: &PullRequest,
        stream: StreamKey,
    ) -> Result<Pulled, PullError> {
        let messages_max = request.max_messages.clamp(1, limits::PULL_MESSAGES_MAX);
        let bytes_max = request.max_bytes.min(limits::PULL_BYTES_MAX);
        let (min, max) = self.range_of(&request.topic, stream)?;
        let mut pulled = Pulled {
            outcome: PullOutcome::NoNewMessage,
            messages: Vec::new(),
            next: request.offset,
            min: QueueOffset::new(min),
            max: QueueOffset::new(max),
        };
        let mut at = request.offset.get();
        if at == max {
            return Ok(pulled);
        }
        if at < min || at > max {
            pulled.outcome = PullOutcome::OffsetMoved;
            pulled.next = if at < min { pulled.min } else { pulled.max };
            return Ok(pulled);
        }
        let (mut bytes, mut scanned) = (0, 0);
        while at < max && scanned < limits::PULL_SCAN_ENTRIES_MAX {
            let count = messages_max.max(32);
            let entries = self.entries(&request.topic, stream, at, count)?;
            if entries.is_empty() {
                // Retention took them meanwhile.
                break;
            }
            let room = messages_max - pulled.messages.len();
            let page = Page::of(&entries, at, &request.filter, room, (bytes, bytes_max));
            if page.end == at {
                // There is no room for the next one.
                break;
            }
            scanned += (page.end - at) as usize;
            let read = self.read_messages(&request.topic, stream, &page.wanted);
            let (messages, trimmed) = read.await?;
            for message in messages {
                if request.filter.matches(message.properties_raw()) {
                    bytes += message.bytes().len();
                    pulled.messages.push(message);
                }
            }
            if let Some(offset) = trimmed {
                at = offset;
                break;
            }
            at = page.end;
            if pulled.messages.len() >= messages_max {
                break;
            }
        }
        pulled.next = QueueOffset::new(at);
        pulled.outcome = if !pulled.messages.is_empty() {
            PullOutcome::Found
        } else if at == request.offset.get() {
            PullOutcome::OffsetMoved
        } else {
            PullOutcome::NoMatch
        };
        Ok(pulled)
    }

    /// The topic, if it hands out messages.
    pub(crate) fn readable_topic(&self, name: &TopicName) -> Result<Arc<Topic>, PullError> {
        let topic = self.catalogue.known_topic(name)?;
        if !topic.spec.permission.readable() {
            return Err(PullError::NotReadable {
                topic: name.clone(),
            });
        }
        Ok(topic)
    }

    /// Uses the state, with the topic's name on what fails.
    pub(crate) fn state_of<T>(
        &self,
        topic: &TopicName,
        action: impl FnOnce(&mut State) -> Result<T, KvError>,
    ) -> Result<T, PullError> {
        action(&mut self.state.lock()).map_err(|source| PullError::State {
            topic: topic.clone(),
            source,
        })
    }

    /// First offset and end of a queue.
    pub(crate) fn range_of(
        &self,
        topic: &TopicName,
        stream: StreamKey,
    ) -> Result<(u64, u64), PullError> {
        let start = self.log.start();
        self.state_of(topic, |state| {
            let min = state.refresh_min(stream, start)?;
            Ok((min, state.queue(stream)?.tail.end()))
        })
    }

    /// Up to `count` index entries from offset `at` on; fewer where a block ends. The KV is asked
    /// without holding up the shard.
    pub(crate) fn entries(
        &self,
        topic: &TopicName,
        stream: StreamKey,
        at: u64,
        count: usize,
    ) -> Result<Vec<IndexEntry>, PullError> {
        let block_number = at / index::BLOCK_ENTRIES;
        let key = keys::index(stream, block_number);
        let mut overlaid = None;
        let in_tail = self.state_of(topic, |state| {
            let queue = state.queue(stream)?;
            if at >= queue.tail.base() {
                let last = queue.tail.end().min(at.saturating_add(count as u64));
                return Ok(Some((at..last).filter_map(|n| queue.tail.get(n)).collect()));
            }
            overlaid = state
                .pending
                .get(&key)
                .or_else(|| state.flushing.get(&key))
                .cloned();
            Ok(None)
        })?;
        if let Some(entries) = in_tail {
            return Ok(entries);
        }
        let block = match overlaid {
            Some(change) => change,
            None => self.kv.get(&key).map_err(|source| PullError::State {
                topic: topic.clone(),
                source,
            })?,
        };
        let Some(block) = block else {
            return Ok(Vec::new());
        };
        let block_end = block_number * index::BLOCK_ENTRIES + index::entries_in_block(&block);
        let last = block_end.min(at.saturating_add(count as u64));
        Ok((at..last)
            .map_while(|n| index::entry_in_block(&block, n))
            .collect())
    }

    /// Reads one message of a queue from the log.
    pub(crate) async fn read_message(
        &self,
        topic: &TopicName,
        stream: StreamKey,
        offset: u64,
        entry: IndexEntry,
    ) -> Result<StoredMessage, PullError> {
        let failed = |source| PullError::Read {
            topic: topic.clone(),
            queue: stream.queue().1,
            offset: QueueOffset::new(offset),
            source,
        };
        let record = self
            .log
            .read(entry.position, entry.len as usize)
            .await
            .map_err(failed)?;
        message_in(topic, record)
    }

    /// Reads messages of one queue from the log: those that are there, in this order, and the
    /// offset of the first that retention has taken meanwhile.
    pub(crate) async fn read_messages(
        &self,
        topic: &TopicName,
        stream: StreamKey,
        wanted: &[(u64, IndexEntry)],
    ) -> Result<(Vec<StoredMessage>, Option<u64>), PullError> {
        if wanted.is_empty() {
            return Ok((Vec::new(), None));
        }
        let place = |&(_, entry): &(u64, IndexEntry)| RecordPlace {
            position: entry.position,
            len: entry.len as usize,
        };
        let places: Vec<RecordPlace> = wanted.iter().map(place).collect();
        let records = self.log.read_all(&places).await;
        let mut messages = Vec::with_capacity(records.len());
        for (record, &(offset, _)) in records.into_iter().zip(wanted) {
            match record {
                Ok(record) => messages.push(message_in(topic, record)?),
                Err(ReadError::Trimmed { .. }) => return Ok((messages, Some(offset))),
                Err(source) => {
                    return Err(PullError::Read {
                        topic: topic.clone(),
                        queue: stream.queue().1,
                        offset: QueueOffset::new(offset),
                        source,
                    });
                }
            }
        }
        Ok((messages, None))
    }

    /// Whether there is anything left of the budgets for deliveries.
    pub(crate) fn admit_receive(&self, topic: &Topic, group: &Group) -> Result<(), QuotaError> {
        let (quota, limit) = (&self.catalogue.quota, group.spec.max_receive_tps());
        if limit.is_none() && !quota.is_on() || is_system_topic(topic.name().as_str()) {
            return Ok(());
        }
        let limit = limit.map(|limit| (group.name(), limit));
        quota.admit_receive(limit, || self.clock.now())
    }

    /// Takes deliveries out of the budgets.
    pub(crate) fn count_deliveries<'a>(
        &self,
        topic: &Topic,
        group: &Group,
        messages: impl Iterator<Item = &'a StoredMessage>,
    ) {
        let (quota, limit) = (&self.catalogue.quota, group.spec.max_receive_tps());
        if limit.is_none() && !quota.is_on() || is_system_topic(topic.name().as_str()) {
            return;
        }
        let bodies = messages.map(|message| message.view().body().len());
        let limit = limit.map(|limit| (group.name(), limit));
        quota.count_deliveries(bodies, limit, self.clock.now());
    }

    pub(crate) fn count_out(&self, group: GroupId, topic: TopicId, messages: &[StoredMessage]) {
        if messages.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        let count = state.out_counts.entry((group, topic)).or_default();
        messages
            .iter()
            .for_each(|message| count.add(message.bytes().len()));
        state.count_in_trend((topic, Some(group)), self.clock.now(), messages.len());
    }
}
