//! Forward to dead letter: a message that cannot be consumed moves to its group's dead-letter
//! topic.

use std::time::Duration;

use base::{ErrorKind, GroupName, StreamKey, Timestamp, TopicName, limits};
use store::log::AppendError;
use wire::message::{StoredMessage, properties};

use crate::{
    AckError, Group, Message, PullError, QueueChoice, ReceiptHandle, ReceiveError, SendError,
    Shard, Topic,
    dead_letters::OriginPlace,
    send::{AppendMessagesError, Placing},
    wait,
};

/// Why a message was not forwarded. It stays where it was.
#[derive(Debug, thiserror::Error)]
pub enum ForwardToDeadLetterError {
    /// The receipt could not be found or settled.
    #[error(transparent)]
    Receipt(#[from] AckError),
    /// The message could not be read.
    #[error(transparent)]
    Read(#[from] PullError),
    /// The copy could not be stored.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl ForwardToDeadLetterError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Receipt(error) => error.kind(),
            Self::Read(error) => error.kind(),
            Self::Send(error) => error.kind(),
        }
    }
}

impl Shard {
    /// Messages of a group that became dead letters since the start.
    pub(crate) fn dead_letters_since_start(&self, group: &Group) -> u64 {
        let state = self.state.lock();
        let counts = state.dead_letter_counts.iter();
        let of_group = counts.filter(|((of, _), _)| *of == group.id);
        of_group.map(|(_, count)| count).sum()
    }

    /// Stores a copy of the message of `handle` in the topic of the group's dead letters, durable
    /// on return, and settles the receipt.
    pub async fn forward_to_dead_letter(
        &self,
        group: &GroupName,
        topic: &TopicName,
        handle: &ReceiptHandle,
    ) -> Result<(), ForwardToDeadLetterError> {
        let (topic, group) = self.owner_of(group, topic, handle)?;
        let stream = Self::stream(&topic, handle.queue);
        self.delivery(&mut self.state.lock(), &group, stream, handle)?;
        let offset = handle.offset.get();
        if self
            .bury_message(&topic, &group, stream, offset, handle.nonce)
            .await?
        {
            return Ok(());
        }
        let (queue, offset) = (handle.queue.get(), handle.offset.get());
        Err(AckError::Expired { queue, offset }.into())
    }

    /// [`Shard::forward_to_dead_letter`] for a message whose attempts are used up.
    pub(crate) async fn bury(
        &self,
        topic: &Topic,
        group: &Group,
        stream: StreamKey,
        (offset, nonce): (u64, u32),
    ) -> Result<(), ReceiveError> {
        match self.bury_message(topic, group, stream, offset, nonce).await {
            // Who settled it meanwhile has done what was to be done.
            Ok(_) => Ok(()),
            Err(ForwardToDeadLetterError::Read(error)) => Err(error.into()),
            Err(error) => {
                // It stays in flight and is tried again when its time ends.
                tracing::warn!(
                    shard = %self.id, topic = %topic.name(), group = %group.name(), offset,
                    error = &error as &dyn std::error::Error,
                    "dead letter not stored"
                );
                Ok(())
            }
        }
    }

    /// `false` if the delivery that `nonce` names is over by the time its copy could be stored:
    /// somebody else has settled it, or has it.
    async fn bury_message(
        &self,
        topic: &Topic,
        group: &Group,
        stream: StreamKey,
        offset: u64,
        nonce: u32,
    ) -> Result<bool, ForwardToDeadLetterError> {
        let entry = self.state_of(topic.name(), |state| {
            self.entry_in_flight(state, stream, offset)
        })?;
        let Some(entry) = entry else {
            // Retention has taken it; there is nothing left to keep.
            self.settle(&mut self.state.lock(), stream, group.id, vec![offset]);
            return Ok(true);
        };
        let original = self
            .read_message(topic.name(), stream, offset, entry)
            .await?;
        let grave = self
            .catalogue
            .dead_letter_topic(group.name())
            .await
            .map_err(SendError::from)?;
        let place = OriginPlace::new(stream.queue().1, offset);
        let letter = dead_letter(&original, topic, group, place);
        let placing = Placing {
            topic: &grave,
            queue: QueueChoice::Any,
            messages: &[letter],
            how: &[],
            store_host: original.view().store_host(),
        };
        let deadline = self.clock.elapsed() + Duration::from_millis(limits::SEND_WAIT_MS_MAX);
        let end = loop {
            let error = {
                let mut state = self.state.lock();
                let held = self.consumption_of(&mut state, group, stream)?;
                if held
                    .get(offset)
                    .is_none_or(|held| held.state.nonce != nonce)
                {
                    return Ok(false);
                }
                match self.append_messages(&mut state, &placing) {
                    Ok((appended, _)) => {
                        // Behind the copy in the log: a crash between the two delivers once more,
                        // and loses nothing.
                        self.settle(&mut state, stream, group.id, vec![offset]);
                        *state
                            .dead_letter_counts
                            .entry((group.id, topic.id))
                            .or_default() += 1;
                        break appended.end;
                    }
                    Err(error) => error,
                }
            };
            // Where many go at once, each waits for the disk as a send does.
            let left = deadline.saturating_sub(self.clock.elapsed());
            let busy = matches!(error, AppendMessagesError::Log(AppendError::Busy { .. }));
            if !busy
                || left.is_zero()
                || !wait::until(self.log.writable(), &*self.clock, left).await
            {
                return Err(SendError::not_placed(grave.name(), error).into());
            }
        };
        self.log
            .durable(end)
            .await
            .map_err(|source| SendError::Unconfirmed {
                topic: grave.name().clone(),
                source,
            })?;
        Ok(true)
    }
}

/// The copy that goes to the dead-letter topic, with where it came from among its properties.
/// Source: `ProxyRelay`/`SendMessageProcessor.consumerSendMsgBack` of Apache 5.5 set the same
/// names.
fn dead_letter(
    original: &StoredMessage,
    topic: &Topic,
    group: &Group,
    place: OriginPlace,
) -> Message {
    let mut raw = original.properties_raw().to_owned();
    let place = place.encode();
    let id = original
        .property(properties::UNIQUE_KEY)
        .unwrap_or_default()
        .to_owned();
    for (name, value) in [
        (properties::DLQ_ORIGIN_TOPIC, topic.name().as_str()),
        (properties::DLQ_ORIGIN_MESSAGE_ID, id.as_str()),
        (properties::ORIGIN_MESSAGE_ID, id.as_str()),
        (properties::DLQ_ORIGIN_PLACE, place.as_str()),
    ] {
        // An empty id is no property; a name of ours is always one.
        let _ = properties::set(&mut raw, name, value);
    }
    if raw.len() > limits::MESSAGE_PROPERTIES_BYTES_MAX {
        // Where it came from is worth less than the message itself.
        raw = original.properties_raw().to_owned();
    }
    Message {
        flag: original.flag(),
        sys_flag: original.sys_flag(),
        born_timestamp: Timestamp::from_ms(original.born_timestamp()),
        born_host: original.born_host(),
        reconsume_times: i32::try_from(group.spec.max_attempts).unwrap_or(i32::MAX),
        body: original.body(),
        properties: raw.into(),
    }
}
