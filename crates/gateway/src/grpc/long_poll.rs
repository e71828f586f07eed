//! Long polls: how long one waits, how much it gives, and what becomes of messages whose client did
//! not stay to hear of them.

use std::time::Duration;

use base::{GroupName, TopicName, limits};
use broker::{Received, ShardHandle};
use tokio::runtime::Handle;
use wire::grpc_v2::Code;

use super::{status::Refusal, time::to_duration};

/// Longest wait of a client that names none: Apache's proxy
/// `grpcClientConsumerMaxLongPollingTimeoutMillis`.
const WAIT_UNASKED_MAX: Duration = Duration::from_secs(20);

/// Kept free between the end of a long poll and the client's deadline, for the answer to arrive.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);

/// Invisible duration of a message that its client did not stay to hear of.
const GIVE_BACK: Duration = Duration::from_millis(limits::INVISIBLE_CHANGE_MS_MIN);

pub(crate) fn draining() -> Refusal {
    Refusal::new(
        Code::MessageNotFound,
        "no new message, the server is about to stop",
    )
}

/// The same for protocols whose clients take an empty answer for a reason to ask again at once.
pub(crate) fn ending() -> Refusal {
    Refusal::new(Code::RequestTimeout, draining().text())
}

/// How many messages are asked for: one where nothing is said. The core gives no more than it may.
pub(crate) fn batch_size(asked: i32) -> Result<usize, Refusal> {
    let asked = usize::try_from(asked).map_err(|_| {
        let max = limits::PULL_MESSAGES_MAX;
        Refusal::new(
            Code::BadRequest,
            format!("batch size is {asked}, expected 1 to {max}"),
        )
    })?;
    Ok(asked.max(1))
}

/// How long to wait for a first message: what the client asks for, but never past its deadline.
pub(crate) fn wait(
    asked: Option<&prost_types::Duration>,
    timeout: Option<Duration>,
) -> Result<Duration, Refusal> {
    let asked = asked
        .map(|asked| {
            to_duration(asked).ok_or_else(|| {
                Refusal::new(
                    Code::IllegalPollingTime,
                    "long polling timeout is negative or malformed",
                )
            })
        })
        .transpose()?;
    let wait = match (asked, timeout) {
        (Some(asked), Some(timeout)) => asked.min(timeout.saturating_sub(ANSWER_MARGIN)),
        (Some(asked), None) => asked,
        // Without a word on the wait, the deadline holds the time of the request itself too.
        (None, Some(timeout)) => (timeout / 4 * 3).min(WAIT_UNASKED_MAX),
        (None, None) => WAIT_UNASKED_MAX,
    };
    Ok(wait.min(Duration::from_millis(limits::LONG_POLL_MS_MAX)))
}

/// Where messages were taken from, to give them back.
pub(crate) struct Origin {
    pub(crate) shard: ShardHandle,
    pub(crate) group: GroupName,
    pub(crate) topic: TopicName,
}

impl Origin {
    /// Gives messages back at once, in the background.
    pub(crate) fn give_back(
        self,
        messages: impl ExactSizeIterator<Item = Received> + Send + 'static,
    ) {
        if messages.len() == 0 {
            return;
        }
        // Without a runtime the process ends; they come back when their invisible time does.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            for received in messages {
                // What cannot be given back comes back when its invisible time ends.
                let _ = self
                    .shard
                    .change_invisible_duration(
                        &self.group,
                        &self.topic,
                        &received.handle,
                        GIVE_BACK,
                    )
                    .await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::time::from_duration;

    #[test]
    fn a_long_poll_ends_before_its_client_gives_up() {
        let of = |asked: Option<u64>, timeout: Option<u64>| {
            let asked = asked.map(|ms| from_duration(Duration::from_millis(ms)));
            wait(asked.as_ref(), timeout.map(Duration::from_millis))
                .unwrap()
                .as_millis()
        };
        assert_eq!(of(Some(20_000), Some(23_000)), 20_000);
        assert_eq!(of(Some(20_000), Some(20_000)), 19_800);
        assert_eq!(of(Some(5_000), Some(100)), 0);
        assert_eq!(of(None, Some(8_000)), 6_000);
        assert_eq!(of(None, None), 20_000);
        assert_eq!(of(Some(10_000_000), None), 60_000);
    }

    #[test]
    fn a_negative_wait_is_refused() {
        let negative = prost_types::Duration {
            seconds: -1,
            nanos: 0,
        };
        let refusal = wait(Some(&negative), None).unwrap_err();
        assert_eq!(refusal.code(), Code::IllegalPollingTime);
    }
}
