//! Events as OpenTelemetry spans, with the semantic conventions for messaging.
//!
//! A message that brings a trace context (W3C `traceparent`, as a property of that name or as the
//! trace context of gRPC) has its spans in that trace, if its sender records it. For the others
//! the id of the message makes the trace's id, so that all servers and all its deliveries agree on
//! it, and on whether it is one of those that are recorded.
//!
//! `send` takes as long as the send, `receive` none, and `process` goes from the receipt to the
//! end of the delivery, as the server sees it. `settle` is what the producer decides of a message
//! later: how its transaction ended, or that it is taken back; it takes no time.

use broker::Resolution;
use md5::{Digest as _, Md5};
use wire::otlp::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{
        Span, Status,
        span::{Link, SpanKind},
        status::StatusCode,
    },
};

use super::{Delivery, Event, Outcome, Subject, What, kind_name, recorder::Happened};

/// Where a message says that it belongs: a trace, and the span in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    trace: [u8; 16],
    span: [u8; 8],
    /// Whether the trace is recorded.
    is_sampled: bool,
}

impl Parent {
    /// Reads a `traceparent` of W3C Trace Context: version, trace, span, flags, in hexadecimal.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version = parts
            .next()
            .filter(|text| text.len() == 2 && *text != "ff")?;
        u8::from_str_radix(version, 16).ok()?;
        let trace = bytes::<16>(parts.next()?)?;
        let span = bytes::<8>(parts.next()?)?;
        let [flags] = bytes::<1>(parts.next()?)?;
        // Later versions may have more parts; this one has none.
        if version == "00" && parts.next().is_some() {
            return None;
        }
        (trace != [0; 16] && span != [0; 8]).then_some(Self {
            trace,
            span,
            is_sampled: flags & 1 == 1,
        })
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// What stands for a text, never zero.
fn hash<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut digest = Md5::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let mut bytes = [0; N];
    for (byte, from) in bytes.iter_mut().zip(digest.finalize().iter()) {
        *byte = *from;
    }
    bytes[N - 1] |= u8::from(bytes == [0; N]);
    bytes
}

/// The trace of a message, if it is recorded.
fn trace(message: &Subject, sampled_percent: u64) -> Option<[u8; 16]> {
    if let Some(parent) = message.parent {
        return parent.is_sampled.then_some(parent.trace);
    }
    let trace = hash::<16>(&[&message.id]);
    let choice = u64::from_be_bytes(hash(&["sampled", &message.id])) % 100;
    (choice < sampled_percent).then_some(trace)
}

/// The span of what happened, if it is recorded.
pub(super) fn span(happened: &Happened, sampled_percent: u64) -> Option<Span> {
    let Event {
        message, at, what, ..
    } = &happened.event;
    let trace = trace(message, sampled_percent)?;
    let sending = hash::<8>(&["send", &message.id]).to_vec();
    let receipt = |delivery: &Delivery| hash::<8>(&["receive", &delivery.id()]).to_vec();
    let (begin_ms, end_ms) = match what {
        What::Sent { took, .. } => (at.ms(), at.after(*took).ms()),
        What::Received { .. } | What::TransactionEnded { .. } | What::Recalled => {
            (at.ms(), at.ms())
        }
        // Without its receipt nothing is known of it.
        What::Settled { .. } => (happened.begun_at?.ms(), at.ms()),
    };
    let (operation, kind, id, parent) = match what {
        What::Sent { .. } => {
            let parent = message.parent.map(|parent| parent.span.to_vec());
            (
                "send",
                SpanKind::Server,
                sending,
                parent.unwrap_or_default(),
            )
        }
        What::Received { delivery, .. } => {
            ("receive", SpanKind::Server, receipt(delivery), sending)
        }
        What::Settled { delivery, .. } => {
            let id = hash::<8>(&["process", &delivery.id()]).to_vec();
            ("process", SpanKind::Consumer, id, receipt(delivery))
        }
        What::TransactionEnded { .. } | What::Recalled => {
            // A producer may say more than once that it does not know yet.
            let id = hash::<8>(&["settle", &message.id, &at.to_string()]).to_vec();
            ("settle", SpanKind::Server, id, sending)
        }
    };
    // The consumer's own spans hang below the message's context too.
    let link = message.parent.filter(|_| operation != "send");
    let links = link.map(|parent| Link {
        trace_id: parent.trace.to_vec(),
        span_id: parent.span.to_vec(),
        attributes: Vec::new(),
    });
    Some(Span {
        trace_id: trace.to_vec(),
        span_id: id,
        parent_span_id: parent,
        name: format!("{operation} {}", happened.event.topic),
        kind: kind.into(),
        start_time_unix_nano: nanos(begin_ms),
        end_time_unix_nano: nanos(end_ms),
        attributes: attributes(&happened.event, message, operation),
        links: links.into_iter().collect(),
        status: failure(what).map(|failure| Status {
            message: failure.to_owned(),
            code: StatusCode::Error.into(),
        }),
    })
}

fn nanos(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000)
}

/// What went wrong, if anything did.
fn failure(what: &What) -> Option<&'static str> {
    match what {
        What::Sent { stored: None, .. } => Some("not_stored"),
        What::Sent { .. }
        | What::Received { .. }
        | What::TransactionEnded { .. }
        | What::Recalled => None,
        What::Settled { outcome, .. } => match outcome {
            Outcome::Acked => None,
            Outcome::Failed => Some("not_consumed"),
            Outcome::DeadLettered => Some("dead_letter"),
        },
    }
}

fn attributes(event: &Event, message: &Subject, operation: &str) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(12);
    let mut put = |key: &str, value: Value| {
        attributes.push(KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
        });
    };
    let text = |text: &str| Value::StringValue(text.to_owned());
    put("messaging.system", text("rocketmq"));
    put("messaging.operation.type", text(operation));
    put("messaging.destination.name", text(event.topic.as_str()));
    put(
        "messaging.rocketmq.namespace",
        text(event.instance.id().as_str()),
    );
    put("messaging.client.id", text(&event.client));
    put(
        "client.address",
        text(&event.host.ip().to_canonical().to_string()),
    );
    put("messaging.message.id", text(&message.id));
    if message.body_bytes > 0 {
        let bytes = i64::try_from(message.body_bytes).unwrap_or(i64::MAX);
        put("messaging.message.body.size", Value::IntValue(bytes));
    }
    if !message.tag.is_empty() {
        put("messaging.rocketmq.message.tag", text(&message.tag));
    }
    match &event.what {
        What::Sent { kind, .. } => {
            put("messaging.operation.name", text("send"));
            put("messaging.rocketmq.message.type", text(kind_name(*kind)));
        }
        What::Received { group, delivery } => {
            put("messaging.operation.name", text("receive"));
            put("messaging.consumer.group.name", text(group.as_str()));
            let retries = i64::from(delivery.retries());
            put("carrack.message.retries", Value::IntValue(retries));
        }
        What::Settled { group, outcome, .. } => {
            let name = match outcome {
                Outcome::Acked => "ack",
                Outcome::Failed => "nack",
                Outcome::DeadLettered => "forward_to_dead_letter",
            };
            put("messaging.operation.name", text(name));
            put("messaging.consumer.group.name", text(group.as_str()));
        }
        What::TransactionEnded { resolution, .. } => {
            let name = match resolution {
                Resolution::Commit => "commit",
                Resolution::Rollback => "rollback",
                Resolution::Unknown => "unknown",
            };
            put("messaging.operation.name", text(name));
        }
        What::Recalled => put("messaging.operation.name", text("recall")),
    }
    if let Some(failure) = failure(&event.what) {
        put("error.type", text(failure));
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_or_refused() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = Parent::read(text).unwrap();
        assert_eq!((parent.trace[0], parent.span[7]), (0x0a, 0x31));
        assert!(parent.is_sampled);
        assert!(
            !Parent::read(&text.replace("-01", "-00"))
                .unwrap()
                .is_sampled
        );
        assert!(Parent::read(&text.replacen("00", "01", 1)).is_some());
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-\u{e9}f7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(Parent::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn as_many_messages_are_recorded_as_are_asked_for() {
        let recorded = |percent| {
            let messages = (0..10_000).map(|number| Subject::named(&format!("id-{number}")));
            messages
                .filter_map(|message| trace(&message, percent))
                .count()
        };
        assert_eq!((recorded(0), recorded(100)), (0, 10_000));
        assert!((800..1_200).contains(&recorded(10)), "{}", recorded(10));
        let mut told = Subject::named("id");
        told.parent = Parent::read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
        assert_eq!(trace(&told, 100), None, "its sender does not record it");
    }
}
