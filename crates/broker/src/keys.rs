//! Keys and values of the state KV, one letter per kind. Numbers in keys are big endian, so that
//! ranges follow their order; numbers in values are little endian. Letters are never reused.
//!
//! | key | value |
//! | --- | --- |
//! | `i` stream block | index entries of one block of a queue (`index.rs`) |
//! | `q` stream | next offset u64, first offset u64 of a queue |
//! | `m` stream offset | index entry of a message appended again because it is still owed |
//! | `c` stream group | next u64: how far the group has come |
//! | `r` stream group offset | a delivery in flight (`records.rs`) |
//! | `k` partition position | sorted key hashes and positions (`key_index.rs`) |
//! | `h` id | due i64 ms of a held message, by the log position where it was first stored |
//! | `d` due id | that message: stream u64, position u64, len u32, checks u32, kind u8 (`held.rs`) |
//! | `n` | held messages: timed u64, half u64 |
//! | `l` topic name | queue u32 of a LiteTopic |
//! | `L` stream | a LiteTopic: created i64 ms, name (`lite_topic.rs`) |
//! | `u` topic | LiteTopics: ever created u64, there now u64 |
//! | `b` topic group | messages in LiteTopics that the group is behind i64 (`lite_lag.rs`) |
//! | `s` topic group hour | messages by the minute (`trend.rs`); group 0: stored in the topic |
//! | `t` position | time u64 ms: all before the position was stored before the time |

use base::{GroupId, LiteTopicName, LogPosition, StreamKey, Timestamp, TopicId};

pub(crate) const INDEX: u8 = b'i';
pub(crate) const QUEUE: u8 = b'q';
pub(crate) const KEPT: u8 = b'm';
pub(crate) const CONSUMPTION: u8 = b'c';
pub(crate) const RECEIPT: u8 = b'r';
pub(crate) const KEY_RUN: u8 = b'k';
pub(crate) const HELD: u8 = b'h';
pub(crate) const DUE: u8 = b'd';
pub(crate) const HELD_COUNTS: u8 = b'n';
pub(crate) const TREND: u8 = b's';
pub(crate) const TIME_MARK: u8 = b't';
pub(crate) const LITE_NAME: u8 = b'l';
pub(crate) const LITE_TOPIC: u8 = b'L';
pub(crate) const LITE_COUNTS: u8 = b'u';
pub(crate) const LITE_LAG: u8 = b'b';

fn join(letter: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(letter);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

pub(crate) fn index(stream: StreamKey, block: u64) -> Vec<u8> {
    join(INDEX, &[&stream.get().to_be_bytes(), &block.to_be_bytes()])
}

pub(crate) fn queue(stream: StreamKey) -> Vec<u8> {
    join(QUEUE, &[&stream.get().to_be_bytes()])
}

pub(crate) fn kept(stream: StreamKey, offset: u64) -> Vec<u8> {
    join(KEPT, &[&stream.get().to_be_bytes(), &offset.to_be_bytes()])
}

pub(crate) fn consumption(stream: StreamKey, group: GroupId) -> Vec<u8> {
    join(
        CONSUMPTION,
        &[&stream.get().to_be_bytes(), &group.get().to_be_bytes()],
    )
}

pub(crate) fn receipt(stream: StreamKey, group: GroupId, offset: u64) -> Vec<u8> {
    join(
        RECEIPT,
        &[
            &stream.get().to_be_bytes(),
            &group.get().to_be_bytes(),
            &offset.to_be_bytes(),
        ],
    )
}

pub(crate) fn key_run(partition: u8, position: u64) -> Vec<u8> {
    join(KEY_RUN, &[&[partition], &position.to_be_bytes()])
}

pub(crate) fn time_mark(position: u64) -> Vec<u8> {
    join(TIME_MARK, &[&position.to_be_bytes()])
}

pub(crate) fn trend(topic: TopicId, group: Option<GroupId>, hour: u32) -> Vec<u8> {
    // Ids begin with 1.
    let group = group.map_or(0, GroupId::get);
    let parts = [topic.get(), group, hour].map(u32::to_be_bytes);
    join(TREND, &[&parts[0], &parts[1], &parts[2]])
}

/// Group and hour in a key of kind `s`.
pub(crate) fn group_and_hour_of(key: &[u8]) -> Option<(Option<GroupId>, u32)> {
    let number = |at: usize| Some(u32::from_be_bytes(*key.get(at..)?.first_chunk()?));
    let group = Some(number(5)?).filter(|group| *group > 0);
    Some((group.map(GroupId::new), number(9)?))
}

pub(crate) fn lite_name(topic: TopicId, name: &LiteTopicName) -> Vec<u8> {
    let name = name.as_str().as_bytes();
    join(LITE_NAME, &[&topic.get().to_be_bytes(), name])
}

pub(crate) fn lite_topic(stream: StreamKey) -> Vec<u8> {
    join(LITE_TOPIC, &[&stream.get().to_be_bytes()])
}

pub(crate) fn lite_counts(topic: TopicId) -> Vec<u8> {
    join(LITE_COUNTS, &[&topic.get().to_be_bytes()])
}

pub(crate) fn lite_lag(topic: TopicId, group: GroupId) -> Vec<u8> {
    let parts = [topic.get(), group.get()].map(u32::to_be_bytes);
    join(LITE_LAG, &[&parts[0], &parts[1]])
}

/// The group in a key of kind `b`.
pub(crate) fn group_of_lag(key: &[u8]) -> Option<GroupId> {
    let group = key.get(5..)?.first_chunk()?;
    Some(GroupId::new(u32::from_be_bytes(*group)))
}

/// The topic in a key of kind `b`, `l`, `s` or `u`.
pub(crate) fn topic_of(key: &[u8]) -> Option<TopicId> {
    Some(TopicId::new(u32::from_be_bytes(
        *key.get(1..5)?.first_chunk()?,
    )))
}

pub(crate) fn held(id: LogPosition) -> Vec<u8> {
    join(HELD, &[&id.get().to_be_bytes()])
}

/// Times before 1970 are due like 1970.
pub(crate) fn due(due: Timestamp, id: LogPosition) -> Vec<u8> {
    let due = u64::try_from(due.ms()).unwrap_or(0);
    join(DUE, &[&due.to_be_bytes(), &id.get().to_be_bytes()])
}

/// The due time in a key of kind `d`.
pub(crate) fn due_of(key: &[u8]) -> Option<Timestamp> {
    let due = u64::from_be_bytes(*key.get(1..9)?.first_chunk()?);
    Some(Timestamp::from_ms(due.cast_signed()))
}

/// Whether a key is about a queue.
pub(crate) fn has_stream(key: &[u8]) -> bool {
    let kinds = [INDEX, QUEUE, KEPT, CONSUMPTION, RECEIPT, LITE_TOPIC];
    key.first().is_some_and(|kind| kinds.contains(kind))
}

/// The stream in a key of kind `i`, `q`, `m`, `c`, `r` or `L`.
pub(crate) fn stream_of(key: &[u8]) -> Option<StreamKey> {
    Some(StreamKey::new(u64::from_be_bytes(
        *key.get(1..9)?.first_chunk()?,
    )))
}

/// The group in a key of kind `c` or `r`.
pub(crate) fn group_of(key: &[u8]) -> Option<GroupId> {
    Some(GroupId::new(u32::from_be_bytes(
        *key.get(9..13)?.first_chunk()?,
    )))
}

/// The last eight bytes of a key: block, offset or position.
pub(crate) fn tail_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*key.last_chunk()?))
}
