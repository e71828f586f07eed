//! What SDKs tell of a message's way: the records in the bodies of the trace topic.
//!
//! A body is records that end with character 2, a record is fields separated by character 1, the
//! first of which is its kind. Older SDKs leave out the last fields. Source: `TraceDataEncoder` of
//! the Java client 5.5.0.

use serde::{Deserialize, Serialize};

/// Ends a record.
pub(super) const RECORD_END: char = '\u{2}';

/// Separates the fields of a record.
pub(super) const FIELD_END: char = '\u{1}';

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TraceKind {
    /// A producer sent the message.
    Send,
    /// A consumer got it.
    Receive,
    /// A consumer was done with it.
    Consume,
    /// A transaction ended.
    EndTransaction,
    /// A timed message was recalled.
    Recall,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceRecord<'a> {
    /// What happened.
    pub kind: TraceKind,
    /// When, ms since 1970; older SDKs do not say it of the end of a consumption.
    pub at_ms: Option<i64>,
    /// The group of the producer or consumer.
    pub group: Option<&'a str>,
    /// Topic of the message; consumers do not say it.
    pub topic: Option<&'a str>,
    /// Id that the sender gave the message.
    pub message_id: &'a str,
    /// Tag of the message; only its producer says it.
    pub tag: &'a str,
    /// Keys, separated by blanks.
    pub keys: &'a str,
    /// How long it took, ms.
    pub took_ms: Option<i64>,
    /// Whether it went well; a receipt and the end of a transaction always do.
    pub success: Option<bool>,
    /// Joins the receipt of a message with the end of its consumption.
    pub request_id: Option<&'a str>,
    /// What became of a transaction, or how often the delivery was repeated.
    pub detail: Option<&'a str>,
}

/// The records of a body. What is no record is passed over: the topic is open to everybody.
pub fn trace_records(body: &str) -> impl Iterator<Item = TraceRecord<'_>> {
    body.split(RECORD_END).filter_map(record)
}

fn record(text: &str) -> Option<TraceRecord<'_>> {
    let fields: Vec<&str> = text.split(FIELD_END).collect();
    let field = |index: usize| fields.get(index).copied();
    let number = |index: usize| field(index)?.parse::<i64>().ok();
    let truth = |text: &str| text.eq_ignore_ascii_case("true");
    let kind = match field(0)? {
        "Pub" => TraceKind::Send,
        "SubBefore" => TraceKind::Receive,
        "SubAfter" => TraceKind::Consume,
        "EndTransaction" => TraceKind::EndTransaction,
        "Recall" => TraceKind::Recall,
        _ => return None,
    };
    let begun = TraceRecord {
        kind,
        at_ms: number(1),
        group: field(3),
        topic: field(4),
        message_id: field(5).unwrap_or_default(),
        tag: "",
        keys: field(7).unwrap_or_default(),
        took_ms: None,
        success: None,
        request_id: None,
        detail: None,
    };
    Some(match kind {
        TraceKind::Send => TraceRecord {
            tag: field(6).unwrap_or_default(),
            took_ms: number(10),
            // Before 4.4 there was no id of the server in front of it.
            success: field(if fields.len() == 13 { 12 } else { 13 }).map(truth),
            ..begun
        },
        TraceKind::Receive => TraceRecord {
            topic: None,
            request_id: field(4),
            detail: field(6),
            ..begun
        },
        TraceKind::Consume => TraceRecord {
            at_ms: number(7),
            group: field(8),
            topic: None,
            message_id: field(2)?,
            keys: field(5).unwrap_or_default(),
            took_ms: number(3),
            success: field(4).map(truth),
            request_id: field(1),
            ..begun
        },
        TraceKind::EndTransaction => TraceRecord {
            detail: field(11),
            ..begun
        },
        TraceKind::Recall => TraceRecord {
            keys: "",
            success: field(6).map(truth),
            ..begun
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(records: &[&[&str]]) -> String {
        records
            .iter()
            .map(|fields| fields.join("\u{1}") + "\u{2}")
            .collect()
    }

    #[test]
    fn a_message_is_followed_from_send_to_consumption() {
        let text = body(&[
            &[
                "Pub",
                "1000",
                "region",
                "shop",
                "orders",
                "id-1",
                "tag",
                "k1 k2",
                "host:1",
                "5",
                "12",
                "0",
                "offset-id",
                "true",
                "client:2",
            ],
            &[
                "SubBefore",
                "1010",
                "region",
                "billing",
                "r1",
                "id-1",
                "0",
                "k1 k2",
            ],
            &[
                "SubAfter", "r1", "id-1", "7", "true", "k1 k2", "0", "1017", "billing",
            ],
        ]);
        let found: Vec<TraceRecord<'_>> = trace_records(&text).collect();
        assert_eq!(found.len(), 3);
        assert_eq!(
            (found[0].kind, found[0].topic),
            (TraceKind::Send, Some("orders"))
        );
        assert_eq!((found[0].took_ms, found[0].success), (Some(12), Some(true)));
        assert_eq!((found[0].tag, found[1].tag), ("tag", ""));
        assert_eq!(found[1].request_id, found[2].request_id);
        assert_eq!(
            (found[2].at_ms, found[2].group),
            (Some(1017), Some("billing"))
        );
        assert!(found.iter().all(|record| record.message_id == "id-1"));
    }

    #[test]
    fn older_and_broken_records_are_read_as_far_as_they_go() {
        let text = body(&[
            &[
                "Pub", "1", "r", "g", "t", "id", "", "", "h", "5", "12", "0", "false",
            ],
            &["SubAfter", "r1", "id", "7", "true", "k"],
            &["Pub"],
            &["nonsense", "1"],
        ]) + "SubAfter";
        let found: Vec<TraceRecord<'_>> = trace_records(&text).collect();
        assert_eq!(found[0].success, Some(false));
        assert_eq!((found[1].at_ms, found[1].group), (None, None));
        assert_eq!(
            found.len(),
            3,
            "a kind without fields has no message, an unknown one nothing"
        );
    }
}
