//! Ack: a message is done for its group.

use std::sync::Arc;

use base::{ErrorKind, GroupId, GroupName, QueueId, QueueOffset, StreamKey, TopicName};

use crate::{
    Group, GroupNotFound, ReceiptHandle, Shard, Topic, TopicNotFound, consumption::InFlight,
    records::Settled, state::State,
};

/// Why a receipt could not be settled.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// No such topic.
    #[error(transparent)]
    TopicNotFound(#[from] TopicNotFound),
    /// No such group.
    #[error(transparent)]
    GroupNotFound(#[from] GroupNotFound),
    /// The handle belongs to another topic, group or shard, or to an earlier life of them.
    #[error("receipt handle does not belong to group `{group}` and topic `{topic}`")]
    Foreign {
        /// The group named.
        group: GroupName,
        /// The topic named.
        topic: TopicName,
    },
    /// The invisible time has ended (and the message may be with somebody else), or it is done
    /// already.
    #[error("receipt handle for message {offset} of queue {queue} has expired or was used")]
    Expired {
        /// The queue.
        queue: u32,
        /// The message.
        offset: u64,
    },
    /// The log took it not: full, busy or broken.
    #[error("settle receipt of group `{group}`")]
    Log {
        /// The group.
        group: GroupName,
        /// What the log said.
        #[source]
        source: store::log::AppendError,
    },
    /// The state of the group could not be read.
    #[error("read state of group `{group}`")]
    State {
        /// The group.
        group: GroupName,
        /// What the KV said.
        #[source]
        source: store::kv::KvError,
    },
}

impl AckError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TopicNotFound(_) | Self::GroupNotFound(_) => ErrorKind::NotFound,
            Self::Foreign { .. } | Self::Expired { .. } => ErrorKind::Request,
            Self::Log { source, .. } => source.kind(),
            Self::State { .. } => ErrorKind::Fault,
        }
    }
}

impl Shard {
    /// Marks the message of `handle` as done for `group`. It does not wait for the disk: a crash
    /// right after may deliver the message once more.
    pub async fn ack(
        &self,
        group: &GroupName,
        topic: &TopicName,
        handle: &ReceiptHandle,
    ) -> Result<(), AckError> {
        let (topic, group) = self.owner_of(group, topic, handle)?;
        let stream = Self::stream(&topic, handle.queue);
        let mut state = self.state.lock();
        self.delivery(&mut state, &group, stream, handle)?;
        self.settle(&mut state, stream, group.id, vec![handle.offset.get()]);
        Ok(())
    }

    /// As [`Shard::ack`], of a delivery that is named by its nonce alone.
    ///
    /// # Errors
    /// As of both [`Shard::receipt_handle`] and [`Shard::ack`].
    pub fn ack_by_nonce(
        &self,
        group: &GroupName,
        topic: &TopicName,
        queue: QueueId,
        offset: QueueOffset,
        nonce: u32,
    ) -> Result<(), AckError> {
        let topic = self.catalogue.known_topic(topic)?;
        let group = self.catalogue.known_group(group)?;
        let mut state = self.state.lock();
        let handle = self.handle_of(&mut state, &group, &topic, queue, offset, nonce)?;
        let stream = Self::stream(&topic, queue);
        self.delivery(&mut state, &group, stream, &handle)?;
        self.settle(&mut state, stream, group.id, vec![offset.get()]);
        Ok(())
    }

    /// The receipt handle of a delivery that is named by its nonce alone: what a protocol has that
    /// lets its clients carry no more. Says nothing of whether its time has ended.
    ///
    /// # Errors
    /// [`AckError::Expired`] where no such delivery is in flight.
    pub fn receipt_handle(
        &self,
        group: &GroupName,
        topic: &TopicName,
        queue: QueueId,
        offset: QueueOffset,
        nonce: u32,
    ) -> Result<ReceiptHandle, AckError> {
        let topic = self.catalogue.known_topic(topic)?;
        let group = self.catalogue.known_group(group)?;
        self.handle_of(&mut self.state.lock(), &group, &topic, queue, offset, nonce)
    }

    fn handle_of(
        &self,
        state: &mut State,
        group: &Group,
        topic: &Topic,
        queue: QueueId,
        offset: QueueOffset,
        nonce: u32,
    ) -> Result<ReceiptHandle, AckError> {
        let expired = AckError::Expired {
            queue: queue.get(),
            offset: offset.get(),
        };
        if topic.queue(queue).is_err() {
            return Err(expired);
        }
        let stream = Self::stream(topic, queue);
        let delivery = self
            .consumption_of(state, group, stream)?
            .get(offset.get())
            .filter(|delivery| delivery.state.nonce == nonce)
            .ok_or(expired)?;
        Ok(ReceiptHandle {
            shard: self.id,
            topic: topic.id,
            group: group.id,
            queue,
            offset,
            attempt: delivery.state.attempt,
            nonce,
        })
    }

    /// The topic and group that a handle was made for, if those are the ones named.
    pub(crate) fn owner_of(
        &self,
        group: &GroupName,
        topic: &TopicName,
        handle: &ReceiptHandle,
    ) -> Result<(Arc<Topic>, Arc<Group>), AckError> {
        let known_topic = self.catalogue.known_topic(topic)?;
        let known_group = self.catalogue.known_group(group)?;
        let own = handle.shard == self.id
            && handle.topic == known_topic.id
            && handle.group == known_group.id
            && known_topic.queue(handle.queue).is_ok();
        if !own {
            return Err(AckError::Foreign {
                group: group.clone(),
                topic: topic.clone(),
            });
        }
        Ok((known_topic, known_group))
    }

    pub(crate) fn consumption_of<'a>(
        &self,
        state: &'a mut State,
        group: &Group,
        stream: StreamKey,
    ) -> Result<&'a mut crate::consumption::Consumption, AckError> {
        let name = group.name();
        state
            .consumption(stream, group.id)
            .map_err(|source| AckError::State {
                group: name.clone(),
                source,
            })
    }

    /// The delivery that a handle names, if it is the latest of its message and its time has not
    /// ended.
    pub(crate) fn delivery(
        &self,
        state: &mut State,
        group: &Group,
        stream: StreamKey,
        handle: &ReceiptHandle,
    ) -> Result<InFlight, AckError> {
        let now = self.clock.now();
        let delivery = self
            .consumption_of(state, group, stream)?
            .get(handle.offset.get());
        let valid = |delivery: &&InFlight| {
            delivery.state.nonce == handle.nonce
                && delivery.state.attempt == handle.attempt
                && (delivery.state.until > now || delivery.renewal.is_some())
        };
        delivery.filter(valid).cloned().ok_or(AckError::Expired {
            queue: handle.queue.get(),
            offset: handle.offset.get(),
        })
    }

    /// Takes messages out of flight for good. A record that the log does not take costs a
    /// redelivery after the next crash, which is better than refusing what the client has done
    /// already.
    pub(crate) fn settle(
        &self,
        state: &mut State,
        stream: StreamKey,
        group: GroupId,
        offsets: Vec<u64>,
    ) {
        if let Ok(consumption) = state.consumption(stream, group) {
            let was_full = !consumption.has_room();
            for offset in &offsets {
                consumption.remove(*offset);
            }
            if consumption.may_free_others() || was_full && consumption.has_room() {
                state.wake_group(stream, group);
            }
        }
        if let Err(error) = self.append_settled(stream, &Settled { group, offsets }) {
            tracing::debug!(shard = %self.id, %error, "ack not recorded");
            if let Ok(consumption) = state.consumption(stream, group) {
                consumption.is_unrecorded = true;
            }
        }
    }
}
