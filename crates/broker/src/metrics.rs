//! What the core counts, for front ends to publish. Names and formats are theirs.

use std::collections::BTreeMap;

use base::{GroupId, GroupName, TopicId, TopicName};
use store::kv::KvError;

use crate::{Shard, TopicType, lite_topic::is_lite};

/// Counts of one topic since start, over all its queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetrics {
    /// The topic.
    pub topic: TopicName,
    /// Its declared type, as RocketMQ names it; `UNSPECIFIED` if it has none.
    pub topic_type: &'static str,
    /// Messages stored.
    pub messages_in: u64,
    /// Bytes of their bodies and properties.
    pub bytes_in: u64,
}

/// Counts of one group on one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetrics {
    /// The group.
    pub group: GroupName,
    /// The topic.
    pub topic: TopicName,
    /// Messages handed out since start.
    pub messages_out: u64,
    /// Bytes handed out since start.
    pub bytes_out: u64,
    /// Messages stored that the group has not finished.
    pub lag: u64,
    /// Messages handed out and not settled.
    pub in_flight: u64,
    /// Messages that could be handed out now.
    pub ready: u64,
    /// Messages sent to the dead-letter topic since start.
    pub dead_letters: u64,
}

/// What one instance counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceMetrics {
    /// By topic.
    pub topics: Vec<TopicMetrics>,
    /// By group and topic.
    pub groups: Vec<GroupMetrics>,
    /// Bytes of log on disk.
    pub log_disk_bytes: u64,
    /// Bytes of log from its start to its durable end.
    pub log_bytes: u64,
    /// Appended and not yet durable, in bytes.
    pub log_pending_bytes: u64,
    /// Timed messages that wait for their time.
    pub timed_messages: u64,
    /// Half messages whose transactions are open.
    pub half_messages: u64,
    /// Connected clients that produce.
    pub producers: usize,
    /// Connected clients that consume.
    pub consumers: usize,
    /// Units of sends since start, where the instance has a plan.
    pub send_units: u64,
    /// Units of deliveries since start, where the instance has a plan.
    pub receive_units: u64,
    /// Sends refused since start as a budget was used up.
    pub throttled_sends: u64,
    /// Requests for messages refused since start as a budget was used up.
    pub throttled_receives: u64,
}

impl Shard {
    /// Half messages whose transactions are open.
    pub(crate) fn half_message_count(&self) -> Result<u64, KvError> {
        Ok(self.state.lock().held_counts()?[1])
    }

    /// Adds what this shard counts. What has never been used since the start is left out of the
    /// groups.
    pub(crate) fn add_metrics(&self, metrics: &mut InstanceMetrics) {
        for segment in self.log.segments() {
            metrics.log_disk_bytes += segment.disk_bytes;
        }
        let (start, durable, tail) = (self.log.start(), self.log.durable_end(), self.log.tail());
        metrics.log_bytes += durable.get().saturating_sub(start.get());
        metrics.log_pending_bytes += tail.get().saturating_sub(durable.get());
        let state = self.state.lock();
        // A KV that cannot be read has worse to tell than this.
        let [timed, half] = state.held_counts().unwrap_or_default();
        metrics.timed_messages += timed;
        metrics.half_messages += half;
        for topic in self.catalogue.topics() {
            let count = state.in_counts.get(&topic.id).copied().unwrap_or_default();
            metrics.topics.push(TopicMetrics {
                topic: topic.name().clone(),
                topic_type: topic
                    .spec
                    .topic_type
                    .map_or("UNSPECIFIED", TopicType::attribute),
                messages_in: count.messages,
                bytes_in: count.bytes,
            });
        }
        let groups: BTreeMap<GroupId, GroupName> = self
            .catalogue
            .groups()
            .iter()
            .map(|g| (g.id, g.name().clone()))
            .collect();
        let mut by_pair: BTreeMap<(GroupId, TopicId), GroupMetrics> = BTreeMap::new();
        let mut add = |topic: TopicId, group: GroupId, ready: u64, in_flight: u64| {
            let (Some(name), Some(known)) = (groups.get(&group), self.catalogue.topic_by_id(topic))
            else {
                return;
            };
            let pair = (group, topic);
            let out = state.out_counts.get(&pair).copied().unwrap_or_default();
            let dead_letters = state.dead_letter_counts.get(&pair).copied();
            let entry = by_pair.entry(pair).or_insert_with(|| GroupMetrics {
                group: name.clone(),
                topic: known.name().clone(),
                messages_out: out.messages,
                bytes_out: out.bytes,
                lag: 0,
                in_flight: 0,
                ready: 0,
                dead_letters: dead_letters.unwrap_or(0),
            });
            entry.ready += ready;
            entry.in_flight += in_flight;
            entry.lag += ready + in_flight;
        };
        for ((stream, group), consumption) in &state.consumptions {
            let (Some(queue), Some(next)) = (state.queues.get(stream), consumption.next()) else {
                continue;
            };
            // Of LiteTopics few are in memory; those that are have all deliveries in flight.
            let unseen = match is_lite(*stream) {
                true => 0,
                false => queue.tail.end().saturating_sub(next),
            };
            let ready = unseen + consumption.parked_count() as u64;
            let in_flight = consumption.in_flight_count() as u64;
            add(stream.queue().0, *group, ready, in_flight);
        }
        for (topic, group, unseen) in state.lite.lags.iter() {
            add(topic, group, unseen, 0);
        }
        metrics.groups.extend(by_pair.into_values());
    }
}
