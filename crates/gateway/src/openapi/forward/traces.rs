//! The trace of one message, parts of which any node of its instance may have: clients write traces
//! to whatever node they like.
//!
//! Nodes are asked one after the other. Those asked once the message is found are told the id that
//! its sender gave it, by which traces know it; an id of where it is stored names its node, which
//! is asked first.

use base::{PhysicalOffset, limits};
use broker::Peer;
use serde::Deserialize;
use wire::message::MessageId;

use super::{Asked, Note, Outcome, TraceOf, field, nobody};
use crate::openapi::{
    status::{Code, Refusal},
    trace::{Traced, not_found},
};

pub(super) async fn ask(asked: &Asked<'_>, nodes: &[Peer]) -> Result<Outcome, Refusal> {
    let call = asked.call;
    let id = call.text("messageId").unwrap_or_default();
    let stored_at: Option<MessageId> = id.parse().ok();
    let first = stored_at.map(|id| PhysicalOffset::from_wire(id.physical_offset).shard());
    let mut nodes: Vec<&Peer> = nodes.iter().collect();
    nodes.sort_by_key(|node| Some(node.record.number) != first);
    let (mut whole, mut unknown) = (None::<Traced>, None);
    for node in nodes {
        let found = whole.as_ref().and_then(|whole| whole.message.as_ref());
        let found = found.map(|message| &message.id);
        // A longer one is the sender's odd choice, of which this node alone tells.
        let id = found.filter(|id| id.len() <= limits::FORWARDED_ID_BYTES_MAX);
        let trace = TraceOf { id: id.cloned() };
        let note = Note {
            trace: Some(trace),
            ..Note::default()
        };
        let mut told = asked.with_note(node, note).await?;
        if !told.status.is_success() {
            if told.is_found() {
                return Ok(Outcome::Relayed(told));
            }
            unknown = Some(told);
            continue;
        }
        let part = Traced::deserialize(field(&mut told.document, "data").take());
        let part = part.map_err(|error| {
            let name = &node.record.name;
            let text = format!("node `{name}` told something else than a part of a trace: {error}");
            Refusal::new(Code::ServiceUnavailable, text)
        })?;
        whole.get_or_insert_default().add(part);
    }
    match (whole, unknown) {
        (Some(whole), _) => match whole.answer(call)? {
            Some(answer) => Ok(Outcome::Done(answer)),
            None => Err(not_found(call)),
        },
        (None, Some(told)) => Ok(Outcome::Relayed(told)),
        (None, None) => Err(nobody()),
    }
}
