//! Receive half: a producer that cannot be asked how its transactions ended asks for those that are
//! open.
//!
//! Half messages of the producer group [`POLLED_PRODUCER_GROUP`] are never asked about. When one is
//! due for a check it is *offered* to whoever asks for half messages of its topic; who takes it has
//! until the next check to end its transaction. An offer is in memory only: a half message that is
//! still open is offered again with each check.

use std::{fmt, pin::pin, str::FromStr, time::Duration};

use base::{LogPosition, PhysicalOffset, Timestamp, TopicName, limits};
use futures::{FutureExt, future::select};
use store::log::{AppendError, Urgency};
use wire::message::StoredMessage;

use crate::{
    EndTransactionError, EndTransactionRequest, Resolution, Shard, end_transaction::open_half,
    pull::is_trimmed, records::HeldHead, wait,
};

/// The producer group of half messages whose producers are of a protocol in which nobody can be
/// asked, and in which a send does not tell its group either.
pub const POLLED_PRODUCER_GROUP: &str = "CID_RMQ_SYS_POLLED_PRODUCER";

/// Which half messages to take.
#[derive(Clone, Debug)]
pub struct ReceiveHalfRequest {
    /// Their topic.
    pub topic: TopicName,
    /// Most messages wanted.
    pub max_messages: usize,
    /// How long to wait if there is none.
    pub wait: Duration,
}

/// A half message that is due for a check.
#[derive(Clone, Debug)]
pub struct ReceivedHalf {
    /// The message.
    pub message: StoredMessage,
    /// What ends its transaction.
    pub handle: HalfHandle,
}

/// What ends the transaction of a half message: of a send, or of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HalfHandle {
    /// The half message.
    pub half: PhysicalOffset,
    /// Which check it is of, from 1; 0 if it is of the send.
    pub check: u32,
    /// When it ends.
    pub until: Timestamp,
}

/// A text is no handle of a half message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "handle `{start}` is malformed, expected one that a send or a receive of half messages returned"
)]
pub struct HalfHandleError {
    /// First characters of the text.
    pub start: String,
}

/// The text is `2.` (form) and three lower-case hexadecimal numbers joined by `.`: physical offset,
/// check, end in ms since 1970.
impl fmt::Display for HalfHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (half, until) = (self.half.wire(), self.until.ms());
        write!(f, "2.{half:x}.{:x}.{until:x}", self.check)
    }
}

impl FromStr for HalfHandle {
    type Err = HalfHandleError;

    fn from_str(text: &str) -> Result<Self, HalfHandleError> {
        let parse = || -> Option<Self> {
            let mut parts = text.strip_prefix("2.")?.split('.');
            let mut next = || u64::from_str_radix(parts.next()?, 16).ok();
            let handle = Self {
                half: PhysicalOffset::from_wire(next()?.cast_signed()),
                check: next()?.try_into().ok()?,
                until: Timestamp::from_ms(next()?.cast_signed()),
            };
            parts.next().is_none().then_some(handle)
        };
        parse().ok_or_else(|| HalfHandleError {
            start: text.chars().take(64).collect(),
        })
    }
}

impl Shard {
    /// Takes half messages that are due for a check, oldest first; empty if none came within the
    /// wait. What is taken is due again after the check interval of the instance.
    pub async fn receive_half(
        &self,
        request: &ReceiveHalfRequest,
    ) -> Result<Vec<ReceivedHalf>, EndTransactionError> {
        let topic = self.readable_topic(&request.topic)?;
        let wait = request
            .wait
            .min(Duration::from_millis(limits::LONG_POLL_MS_MAX));
        let deadline = self.clock.elapsed() + wait;
        let offered = self.state.lock().waiting.half_offered.clone();
        let max = request.max_messages.clamp(1, limits::PULL_MESSAGES_MAX);
        loop {
            // Asked for before looking, so that an offer in between is not missed.
            let mut woken = pin!(offered.notified());
            woken.as_mut().enable();
            let offers = self.state.lock().waiting.take_offers(topic.id, max);
            let mut taken = Vec::new();
            let mut end = None;
            for id in offers {
                if let Some((half, appended)) = self.take_half(id).await? {
                    taken.push(half);
                    end = Some(appended);
                }
            }
            if let Some(end) = end {
                let failed = |source| EndTransactionError::Log { half: 0, source };
                // Until then the handles are not good.
                self.log.durable(end).await.map_err(failed)?;
                return Ok(taken);
            }
            let left = deadline.saturating_sub(self.clock.elapsed());
            if left.is_zero() || self.is_draining() {
                return Ok(Vec::new());
            }
            let drained = pin!(self.drained());
            wait::until(select(woken, drained).map(drop), &*self.clock, left).await;
        }
    }

    /// Takes one half message, unless its transaction has ended: the message, and where the record
    /// of it ends.
    async fn take_half(
        &self,
        id: LogPosition,
    ) -> Result<Option<(ReceivedHalf, LogPosition)>, EndTransactionError> {
        let Some(held) = open_half(&self.state.lock(), id)? else {
            return Ok(None);
        };
        let read = self.read_held(id, &held).await;
        if is_trimmed(&read) {
            // Retention has moved it since; it is offered again.
            return Ok(None);
        }
        let message = read?;
        let state = self.state.lock();
        let Some(held) = open_half(&state, id)? else {
            return Ok(None);
        };
        let interval = self.catalogue.settings.transaction_check_interval_ms;
        let head = HeldHead {
            due: self.clock.now().after(Duration::from_millis(interval)),
            checks: held.checks.saturating_add(1),
            ..held.head(id)
        };
        let handle = HalfHandle {
            half: PhysicalOffset::new(self.id, id),
            check: head.checks,
            until: head.due,
        };
        let half = handle.half.wire();
        let failed = |source: AppendError| EndTransactionError::Log { half, source };
        let appended = self
            .append_changed(&held, head, Urgency::Now)
            .map_err(failed)?;
        drop(state);
        Ok(Some((ReceivedHalf { message, handle }, appended.end)))
    }

    /// The handle of a half message that was just sent, and has these properties.
    pub fn half_handle(&self, half: PhysicalOffset, stored: Timestamp, raw: &str) -> HalfHandle {
        HalfHandle {
            half,
            check: 0,
            until: stored.after(self.transaction_patience(raw)),
        }
    }

    /// Ends the transaction of a half message of `topic` by its handle, which is good once and
    /// until its end.
    pub async fn end_half(
        &self,
        topic: &TopicName,
        handle: HalfHandle,
        resolution: Resolution,
    ) -> Result<(), EndTransactionError> {
        let half = handle.half.wire();
        {
            let state = self.state.lock();
            let held = open_half(&state, handle.half.position())?;
            let is_last = held.is_some_and(|held| held.checks == handle.check);
            if held.is_some() && (!is_last || handle.until <= self.clock.now()) {
                return Err(EndTransactionError::TooLate { half });
            }
        }
        let ended = self.end_transaction(EndTransactionRequest {
            group: None,
            topic: Some(topic.clone()),
            half: handle.half,
            resolution,
            from_check: handle.check > 0,
        });
        ended.await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use base::ShardId;

    use super::*;

    #[test]
    fn a_handle_reads_back_and_garbage_is_refused() {
        let handle = HalfHandle {
            half: PhysicalOffset::new(ShardId::new(1), LogPosition::new(77)),
            check: 3,
            until: Timestamp::from_ms(1_767_323_045_000),
        };
        assert_eq!(handle.to_string().parse(), Ok(handle));
        for bad in [
            "",
            "2.",
            "1.1.1.1",
            "2.1.1",
            "2.1.1.1.1",
            "2.x.1.1",
            "2.1.-1.1",
        ] {
            assert!(bad.parse::<HalfHandle>().is_err(), "{bad}");
        }
    }
}
