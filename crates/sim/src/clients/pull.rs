//! Clients that pull, and commit how far they are.

use std::time::Duration;

use base::{GroupName, QueueId, QueueOffset, TopicName};
use broker::{Filter, PullError, PullOutcome, PullRequest, Pulled};

use wire::message::StoredMessage;

use super::Client;
use crate::{
    node::Node,
    plan::{PlannedGroup, PlannedTopic},
};

impl Client {
    /// Pulls a queue from the committed offset on; for ever, or until its end if this is the last
    /// life.
    pub(super) async fn pull_on(
        &self,
        group: &PlannedGroup,
        topic: &PlannedTopic,
        queue: QueueId,
        for_ever: bool,
    ) {
        let mut at: Option<u64> = None;
        loop {
            if for_ever {
                self.pause(80).await;
            }
            // A client that starts again begins where its group is.
            if at.is_none() || (for_ever && self.chance(5)) {
                at = match self.start_of(group, topic, queue) {
                    Some(start) => Some(start),
                    None if for_ever => continue,
                    None => return,
                };
            }
            let offset = at.unwrap_or(0);
            let wait = match for_ever {
                true => Duration::from_millis(self.below(3_000)),
                false => Duration::ZERO,
            };
            let called = self.node.world.elapsed();
            let request = PullRequest {
                group: Some(group.name.clone()),
                topic: topic.name.clone(),
                queue,
                offset: QueueOffset::new(offset),
                max_messages: self.node.world.between(1, 20) as usize,
                max_bytes: 64 * 1024,
                filter: Filter::All,
                wait,
            };
            let pulled = match self.answer(self.node.shard.pull(request)).await {
                Some(Ok(pulled)) => pulled,
                Some(Err(PullError::TopicNotFound(_))) if !for_ever => return,
                Some(Err(error)) => {
                    self.note(format_args!("pull {}/{queue}: {error}", topic.name));
                    self.pause(50).await;
                    continue;
                }
                None => continue,
            };
            self.note(format_args!(
                "pulled {}/{queue} from {offset}: {:?} {} to {}",
                topic.name,
                pulled.outcome,
                pulled.messages.len(),
                pulled.next
            ));
            if let Some(first) = pulled.messages.first()
                && pulled.outcome == PullOutcome::Found
                && !topic.volatile
            {
                self.ledger().pull_ended(first, called);
            }
            let taken = self.take(group, topic, offset, &pulled);
            for (number, message) in taken {
                if for_ever && self.chance(self.settings.back_percent) {
                    self.give_back(group, number, &message).await;
                }
            }
            let next = pulled.next.get();
            at = Some(next);
            if self.chance(40) || !for_ever {
                let commit =
                    self.node
                        .shard
                        .commit_offset(&group.name, &topic.name, queue, pulled.next);
                if commit.await.is_ok() && !topic.volatile {
                    self.note(format_args!("committed {}/{queue} {next}", topic.name));
                    let mut ledger = self.ledger();
                    ledger.committed(&self.node, &group.name, &topic.name, queue, next);
                }
            }
            if !for_ever && pulled.outcome == PullOutcome::NoNewMessage {
                return;
            }
        }
    }

    fn start_of(&self, group: &PlannedGroup, topic: &PlannedTopic, queue: QueueId) -> Option<u64> {
        let shard = &self.node.shard;
        let committed = shard
            .committed_offset(&group.name, &topic.name, queue)
            .ok()?;
        let range = shard.queue_range(&topic.name, queue).ok()?;
        if !topic.volatile {
            self.ledger()
                .check_committed(&group.name, &topic.name, queue, committed);
        }
        Some(committed.map_or(range.min.get(), QueueOffset::get))
    }

    /// Checks what a pull brought, and notes that the group has it.
    fn take(
        &self,
        group: &PlannedGroup,
        topic: &PlannedTopic,
        offset: u64,
        pulled: &Pulled,
    ) -> Vec<(u64, StoredMessage)> {
        let taken = self.look_at(&topic.name, offset, pulled);
        let mut ledger = self.ledger();
        for (number, _) in &taken {
            ledger.pulled(&group.name, *number);
        }
        taken
    }

    /// Checks what a pull brought, and finds out which messages those are.
    pub(super) fn look_at(
        &self,
        topic: &TopicName,
        offset: u64,
        pulled: &Pulled,
    ) -> Vec<(u64, StoredMessage)> {
        let mut ledger = self.ledger();
        if let Err(what) = check(offset, pulled) {
            ledger.violate(format!("pull of {topic} from {offset}: {what}"));
        }
        let mut found = Vec::new();
        for message in &pulled.messages {
            if let Some(number) = ledger.identify(topic, message) {
                found.push((number, message.clone()));
            }
        }
        found
    }
}

/// Offsets ascend without a gap from the one asked for, and the answer agrees with itself.
fn check(offset: u64, pulled: &Pulled) -> Result<(), String> {
    let offsets: Vec<u64> = pulled
        .messages
        .iter()
        .map(|message| message.queue_offset().cast_unsigned())
        .collect();
    let expected: Vec<u64> = (offset..offset + offsets.len() as u64).collect();
    let agrees = match pulled.outcome {
        PullOutcome::Found => {
            offsets == expected && pulled.next.get() == offset + offsets.len() as u64
        }
        PullOutcome::NoNewMessage => offsets.is_empty() && pulled.next.get() == offset,
        // Nothing is filtered here.
        PullOutcome::NoMatch => false,
        PullOutcome::OffsetMoved => offsets.is_empty(),
    };
    match agrees && pulled.min <= pulled.max {
        true => Ok(()),
        false => Err(format!(
            "{offsets:?} {:?} next {}",
            pulled.outcome, pulled.next
        )),
    }
}

/// Reads a queue from its first message to its end, with `take` for each message. Returns the first
/// offset.
pub(crate) async fn read_queue(
    node: &Node,
    group: Option<&GroupName>,
    topic: &TopicName,
    queue: QueueId,
    mut take: impl FnMut(&StoredMessage),
) -> Result<u64, String> {
    let range = node
        .shard
        .queue_range(topic, queue)
        .map_err(|error| error.to_string())?;
    let mut offset = range.min;
    loop {
        let request = PullRequest {
            group: group.cloned(),
            topic: topic.clone(),
            queue,
            offset,
            max_messages: 64,
            max_bytes: 256 * 1024,
            filter: Filter::All,
            wait: Duration::ZERO,
        };
        let pulled = node
            .shard
            .pull(request)
            .await
            .map_err(|error| format!("{error:?}"))?;
        check(offset.get(), &pulled)?;
        pulled.messages.iter().for_each(&mut take);
        if pulled.outcome == PullOutcome::NoNewMessage {
            return Ok(range.min.get());
        }
        offset = pulled.next;
    }
}
