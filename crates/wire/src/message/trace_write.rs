//! Records for the trace topic, written as SDKs write them, so that all tools read them.
//!
//! Source: `TraceDataEncoder` of the Java client 5.5.0.

use std::fmt::{Display, Write as _};

use super::trace::{FIELD_END, RECORD_END};

/// A message that was sent.
#[derive(Clone, Debug)]
pub struct SendTrace<'a> {
    /// When the send began, ms since 1970.
    pub at_ms: i64,
    /// Region of the server.
    pub region: &'a str,
    /// Group of the producer.
    pub group: &'a str,
    /// Topic.
    pub topic: &'a str,
    /// Id that the sender gave the message.
    pub message_id: &'a str,
    /// Tag, empty for none.
    pub tag: &'a str,
    /// Keys, separated by blanks.
    pub keys: &'a str,
    /// Address of the server that stored it.
    pub store_host: &'a str,
    /// Bytes of the body.
    pub body_bytes: usize,
    /// How long the send took, ms.
    pub took_ms: u64,
    /// 0 normal, 1 and 2 half and committed messages of transactions, 3 timed.
    pub kind: u8,
    /// Id that the server gave the message, empty if it was not stored.
    pub offset_message_id: &'a str,
    /// Whether it was stored.
    pub success: bool,
    /// Id of the client.
    pub client: &'a str,
}

/// A message that was handed out.
#[derive(Clone, Debug)]
pub struct ReceiveTrace<'a> {
    /// When, ms since 1970.
    pub at_ms: i64,
    /// Region of the server.
    pub region: &'a str,
    /// Group of the consumer.
    pub group: &'a str,
    /// Joins this record with that of the end of the consumption.
    pub request_id: &'a str,
    /// Id that the sender gave the message.
    pub message_id: &'a str,
    /// How often it was handed out before.
    pub retries: u32,
    /// Keys, separated by blanks.
    pub keys: &'a str,
}

/// The end of a consumption.
#[derive(Clone, Debug)]
pub struct ConsumeTrace<'a> {
    /// Joins this record with that of the receipt.
    pub request_id: &'a str,
    /// Id that the sender gave the message.
    pub message_id: &'a str,
    /// How long it took, ms.
    pub took_ms: u64,
    /// Whether it went well.
    pub success: bool,
    /// Keys, separated by blanks.
    pub keys: &'a str,
    /// When, ms since 1970.
    pub at_ms: i64,
    /// Group of the consumer.
    pub group: &'a str,
}

/// The end of a transaction.
#[derive(Clone, Debug)]
pub struct EndTransactionTrace<'a> {
    /// When, ms since 1970.
    pub at_ms: i64,
    /// Region of the server.
    pub region: &'a str,
    /// Group of the producer.
    pub group: &'a str,
    /// Topic.
    pub topic: &'a str,
    /// Id that the sender gave the half message.
    pub message_id: &'a str,
    /// Address of the server that has the half message.
    pub store_host: &'a str,
    /// Id of the transaction.
    pub transaction_id: &'a str,
    /// What became of it, in the words of SDKs: `COMMIT_MESSAGE`, `ROLLBACK_MESSAGE` or `UNKNOW`.
    pub state: &'a str,
    /// Whether the producer was asked for it.
    pub from_check: bool,
}

/// A timed message that was taken back.
#[derive(Clone, Debug)]
pub struct RecallTrace<'a> {
    /// When, ms since 1970.
    pub at_ms: i64,
    /// Region of the server.
    pub region: &'a str,
    /// Group of the producer.
    pub group: &'a str,
    /// Topic.
    pub topic: &'a str,
    /// Id that the sender gave the message.
    pub message_id: &'a str,
    /// Whether it was taken back.
    pub success: bool,
}

/// The type of a half message, as [`SendTrace::kind`] has it.
const HALF: u8 = 1;

/// `ConsumeReturnType` of the Java client: the first is success, the last failure.
const CONSUMED: u8 = 0;
const FAILED: u8 = 4;

impl SendTrace<'_> {
    /// Appends the record to a body.
    pub fn write(&self, body: &mut String) {
        record(
            body,
            &[
                &"Pub",
                &self.at_ms,
                &self.region,
                &self.group,
                &self.topic,
                &self.message_id,
                &self.tag,
                &self.keys,
                &self.store_host,
                &self.body_bytes,
                &self.took_ms,
                &self.kind,
                &self.offset_message_id,
                &self.success,
                &self.client,
            ],
        );
    }
}

impl ReceiveTrace<'_> {
    /// Appends the record to a body.
    pub fn write(&self, body: &mut String) {
        record(
            body,
            &[
                &"SubBefore",
                &self.at_ms,
                &self.region,
                &self.group,
                &self.request_id,
                &self.message_id,
                &self.retries,
                &self.keys,
            ],
        );
    }
}

impl ConsumeTrace<'_> {
    /// Appends the record to a body.
    pub fn write(&self, body: &mut String) {
        let code = if self.success { CONSUMED } else { FAILED };
        record(
            body,
            &[
                &"SubAfter",
                &self.request_id,
                &self.message_id,
                &self.took_ms,
                &self.success,
                &self.keys,
                &code,
                &self.at_ms,
                &self.group,
            ],
        );
    }
}

impl EndTransactionTrace<'_> {
    /// Appends the record to a body.
    pub fn write(&self, body: &mut String) {
        // Nobody tells tag and keys again.
        let none = "";
        record(
            body,
            &[
                &"EndTransaction",
                &self.at_ms,
                &self.region,
                &self.group,
                &self.topic,
                &self.message_id,
                &none,
                &none,
                &self.store_host,
                &HALF,
                &self.transaction_id,
                &self.state,
                &self.from_check,
            ],
        );
    }
}

impl RecallTrace<'_> {
    /// Appends the record to a body.
    pub fn write(&self, body: &mut String) {
        record(
            body,
            &[
                &"Recall",
                &self.at_ms,
                &self.region,
                &self.group,
                &self.topic,
                &self.message_id,
                &self.success,
            ],
        );
    }
}

fn record(body: &mut String, fields: &[&dyn Display]) {
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            body.push(FIELD_END);
        }
        let start = body.len();
        write!(body, "{field}").expect("writing to a string cannot fail");
        // What would end the field or the record is not of it.
        if body[start..].contains([FIELD_END, RECORD_END]) {
            let kept: String = body[start..]
                .chars()
                .filter(|c| ![FIELD_END, RECORD_END].contains(c))
                .collect();
            body.truncate(start);
            body.push_str(&kept);
        }
    }
    body.push(RECORD_END);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{TraceKind, trace_records};

    #[test]
    fn what_is_written_reads_back() {
        let mut body = String::new();
        SendTrace {
            at_ms: 1_000,
            region: "r",
            group: "g",
            topic: "orders",
            message_id: "id\u{1}-1\u{2}",
            tag: "t",
            keys: "k1 k2",
            store_host: "127.0.0.1:8080",
            body_bytes: 5,
            took_ms: 12,
            kind: 0,
            offset_message_id: "offset-id",
            success: true,
            client: "client@1",
        }
        .write(&mut body);
        ReceiveTrace {
            at_ms: 1_010,
            region: "r",
            group: "billing",
            request_id: "r1",
            message_id: "id-1",
            retries: 2,
            keys: "k1 k2",
        }
        .write(&mut body);
        ConsumeTrace {
            request_id: "r1",
            message_id: "id-1",
            took_ms: 7,
            success: false,
            keys: "",
            at_ms: 1_017,
            group: "billing",
        }
        .write(&mut body);
        EndTransactionTrace {
            at_ms: 1_020,
            region: "r",
            group: "g",
            topic: "orders",
            message_id: "id-1",
            store_host: "127.0.0.1:8080",
            transaction_id: "t1",
            state: "COMMIT_MESSAGE",
            from_check: true,
        }
        .write(&mut body);
        RecallTrace {
            at_ms: 1_030,
            region: "r",
            group: "g",
            topic: "orders",
            message_id: "id-1",
            success: true,
        }
        .write(&mut body);
        let read: Vec<_> = trace_records(&body).collect();
        assert_eq!(read.len(), 5);
        assert_eq!(
            (read[3].kind, read[3].topic, read[3].detail),
            (
                TraceKind::EndTransaction,
                Some("orders"),
                Some("COMMIT_MESSAGE")
            )
        );
        assert_eq!(
            (read[4].kind, read[4].at_ms, read[4].success),
            (TraceKind::Recall, Some(1_030), Some(true))
        );
        assert!(read.iter().all(|record| record.message_id == "id-1"));
        assert_eq!(
            (
                read[0].kind,
                read[0].topic,
                read[0].took_ms,
                read[0].success
            ),
            (TraceKind::Send, Some("orders"), Some(12), Some(true))
        );
        assert_eq!(
            (read[1].request_id, read[1].detail, read[1].keys),
            (Some("r1"), Some("2"), "k1 k2")
        );
        assert_eq!(
            (
                read[2].request_id,
                read[2].success,
                read[2].at_ms,
                read[2].group
            ),
            (Some("r1"), Some(false), Some(1_017), Some("billing"))
        );
    }
}
