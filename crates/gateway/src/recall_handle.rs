//! Recall handles: what a producer shows to take a timed message back.
//!
//! The text is that of Apache 5.5's `RecallMessageHandle`, which its clients read to find the
//! broker: base64 (URL alphabet) of `v1`, topic, broker, due time in milliseconds and message id,
//! separated by spaces. The message id is ours: the physical offset in hexadecimal.

use std::fmt;

use base::{PhysicalOffset, Timestamp};
use base64::{Engine as _, prelude::BASE64_URL_SAFE};

/// A recall handle to be written.
pub(crate) struct RecallHandle<'a> {
    /// The topic, as the client writes it.
    pub(crate) topic: &'a str,
    /// The broker, as the client knows it.
    pub(crate) broker: &'a str,
    /// When the message is due.
    pub(crate) due: Option<Timestamp>,
    /// The message.
    pub(crate) message: PhysicalOffset,
}

/// A text is no recall handle for the topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecallHandleError {
    #[error("recall handle `{start}` is malformed, expected one that a send returned")]
    Malformed { start: String },
    #[error("recall handle belongs to topic `{found}`, not `{expected}`")]
    OtherTopic { found: String, expected: String },
}

impl fmt::Display for RecallHandle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let due = self.due.map_or(0, Timestamp::ms);
        let text = format!(
            "v1 {} {} {due} {:X}",
            self.topic,
            self.broker,
            self.message.wire()
        );
        f.write_str(&BASE64_URL_SAFE.encode(text))
    }
}

/// Longest handle that is looked at: two longest names and some numbers, in base64.
const HANDLE_BYTES_MAX: usize = 1_024;

impl RecallHandle<'_> {
    /// The message that a handle for `topic` names.
    pub(crate) fn message(text: &str, topic: &str) -> Result<PhysicalOffset, RecallHandleError> {
        let malformed = || RecallHandleError::Malformed {
            start: text.chars().take(64).collect(),
        };
        if text.len() > HANDLE_BYTES_MAX {
            return Err(malformed());
        }
        let bytes = BASE64_URL_SAFE.decode(text).map_err(|_| malformed())?;
        let plain = str::from_utf8(&bytes).map_err(|_| malformed())?;
        let parts: Vec<&str> = plain.split(' ').collect();
        let ["v1", found, _, _, id] = parts[..] else {
            return Err(malformed());
        };
        let id = u64::from_str_radix(id, 16).map_err(|_| malformed())?;
        if found != topic {
            return Err(RecallHandleError::OtherTopic {
                found: found.chars().take(128).collect(),
                expected: topic.to_owned(),
            });
        }
        Ok(PhysicalOffset::from_wire(id.cast_signed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_reads_back_for_its_own_topic_only() {
        let message = PhysicalOffset::from_wire(0x1234_5678);
        let text = RecallHandle {
            topic: "orders",
            broker: "broker-a",
            due: Some(Timestamp::from_ms(1_700_000_000_000)),
            message,
        }
        .to_string();
        assert_eq!(RecallHandle::message(&text, "orders"), Ok(message));
        assert!(matches!(
            RecallHandle::message(&text, "other"),
            Err(RecallHandleError::OtherTopic { .. })
        ));
        for bad in ["", "djE=", "%%%", &"a".repeat(5_000)] {
            assert!(matches!(
                RecallHandle::message(bad, "orders"),
                Err(RecallHandleError::Malformed { .. })
            ));
        }
    }
}
