//! Pages of messages, of which each node has a part.
//!
//! A signed request is taken once, so each node is asked once. What is found by time is told node
//! after node, each being asked for what those before it left over of the page: a page costs no
//! more than its own entries. What is found by id or key is told by the time of storing, the newest
//! first: any node may have the first ones, so each is asked for as many as there are up to the
//! page's end, of which a query finds a few dozen at most.

use base::limits;
use broker::Peer;
use futures::future::try_join_all;
use serde_json::Value;

use super::{Asked, Note, Outcome, Told, Window, field};
use crate::openapi::{
    message_query,
    page::Page,
    status::{Code, Refusal},
};

/// What a node adds to the answer to a request with a window: when each entry was stored, in ms
/// since 1970.
pub(in super::super) const STORED: &str = "storedMs";

pub(super) async fn ask(asked: &Asked<'_>, nodes: &[Peer]) -> Result<Outcome, Refusal> {
    let page = message_query::page(asked.call);
    let told = match message_query::is_by_time(asked.call) {
        true => in_turn(asked, nodes, page).await?,
        false => newest_first(asked, nodes, page).await?,
    };
    Ok(Outcome::Relayed(told))
}

/// A part as its node told it.
struct Part {
    told: Told,
    entries: Vec<(i64, Value)>,
    total: u64,
}

/// What one node has in the window. `Err` is what it refuses with.
async fn part(
    asked: &Asked<'_>,
    node: &Peer,
    window: Window,
) -> Result<Result<Part, Told>, Refusal> {
    let note = Note {
        window: Some(window),
        ..Note::default()
    };
    let mut told = asked.with_note(node, note).await?;
    if !told.status.is_success() {
        return Ok(Err(told));
    }
    let data = field(&mut told.document, "data");
    let stored = data.as_object_mut().and_then(|data| data.remove(STORED));
    let (Some(Value::Array(stored)), Value::Array(list)) = (stored, field(data, "list").take())
    else {
        let text = format!(
            "node `{}` told a page, expected a part of one",
            node.record.name
        );
        return Err(Refusal::new(Code::ServiceUnavailable, text));
    };
    let total = data["totalCount"].as_u64().unwrap_or(0);
    let stored = stored.iter().map(|ms| ms.as_i64().unwrap_or(0));
    let entries = stored.zip(list).take(window.count).collect();
    Ok(Ok(Part {
        told,
        entries,
        total,
    }))
}

/// The answer that parts amount to. A node that has nothing of it adds nothing; one that refuses
/// leaves no answer.
struct Whole {
    told: Option<Told>,
    total: u64,
}

impl Whole {
    /// Takes a part in, and gives its entries; `None` where it is refused for good.
    fn add(&mut self, part: Result<Part, Told>) -> Option<Vec<(i64, Value)>> {
        match part {
            Ok(part) => {
                self.total = self.total.saturating_add(part.total);
                if self.told.as_ref().is_none_or(|told| !told.is_found()) {
                    self.told = Some(part.told);
                }
                Some(part.entries)
            }
            Err(refused) if refused.is_found() => {
                self.told = Some(refused);
                None
            }
            Err(refused) => {
                self.told.get_or_insert(refused);
                Some(Vec::new())
            }
        }
    }

    fn told(self, list: Vec<Value>) -> Result<Told, Refusal> {
        let told = self.told.ok_or_else(super::nobody);
        let mut told = told?;
        if told.status.is_success() {
            let data = field(&mut told.document, "data");
            *field(data, "totalCount") = self.total.into();
            *field(data, "list") = list.into();
        }
        Ok(told)
    }
}

async fn in_turn(asked: &Asked<'_>, nodes: &[Peer], page: Page) -> Result<Told, Refusal> {
    let mut whole = Whole {
        told: None,
        total: 0,
    };
    let mut list = Vec::new();
    let size = usize::try_from(page.size).unwrap_or(0);
    for node in nodes {
        let window = Window {
            skip: page.skipped().saturating_sub(whole.total),
            count: size - list.len(),
            now_ms: asked.now.ms(),
        };
        match whole.add(part(asked, node, window).await?) {
            Some(entries) => list.extend(entries.into_iter().map(|(_, entry)| entry)),
            None => break,
        }
    }
    whole.told(list)
}

async fn newest_first(asked: &Asked<'_>, nodes: &[Peer], page: Page) -> Result<Told, Refusal> {
    let skipped = usize::try_from(page.skipped()).unwrap_or(usize::MAX);
    let size = usize::try_from(page.size).unwrap_or(0);
    let window = Window {
        skip: 0,
        count: skipped.saturating_add(size).min(limits::QUERY_MESSAGES_MAX),
        now_ms: asked.now.ms(),
    };
    let parts = nodes.iter().map(|node| part(asked, node, window));
    let mut whole = Whole {
        told: None,
        total: 0,
    };
    let mut lists = Vec::new();
    for part in try_join_all(parts).await? {
        match whole.add(part) {
            Some(entries) => lists.push(entries),
            None => return whole.told(Vec::new()),
        }
    }
    let merged = merged(lists).into_iter();
    whole.told(merged.skip(skipped).take(size).collect())
}

/// Lists of entries put together, the newest first where all are so. Each keeps its own order, and
/// of those of one time the first list's come first.
fn merged(lists: Vec<Vec<(i64, Value)>>) -> Vec<Value> {
    let mut lists: Vec<_> = lists
        .into_iter()
        .map(|list| list.into_iter().peekable())
        .collect();
    let mut all = Vec::new();
    loop {
        let heads = lists.iter_mut().enumerate();
        let heads = heads.filter_map(|(index, list)| Some((list.peek()?.0, index)));
        let newest = heads.max_by_key(|(stored, index)| (*stored, std::cmp::Reverse(*index)));
        let Some((_, index)) = newest else {
            return all;
        };
        all.extend(lists[index].next().map(|(_, entry)| entry));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_merged_by_time_and_keep_their_own_order() {
        let list = |entries: &[(i64, &str)]| {
            let entries = entries.iter();
            entries.map(|(at, name)| (*at, json!(name))).collect()
        };
        let lists = vec![
            list(&[(9, "a"), (5, "b"), (5, "c")]),
            list(&[]),
            list(&[(7, "d"), (5, "e"), (6, "f")]),
        ];
        assert_eq!(merged(lists), ["a", "d", "b", "c", "e", "f"]);
    }
}
