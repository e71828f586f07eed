//! Operations on what nodes have, asked of a fleet: messages, and how far groups have come with
//! them.
//!
//! A fleet has checked who asks, that it is asked once, and that it is allowed. It sends the
//! request as it came to nodes of the instance, which check the signature again: they have the same
//! users, and nonces of their own. A signed request cannot be changed, so what else a node must
//! know is in a note beside it (`note.rs`). What several nodes answer is put together here.

mod note;
mod pages;
mod traces;

use std::time::Duration;

use base::{Timestamp, limits};
use broker::Peer;
use bytes::Bytes;
use client::{ClientError, http::exchange};
use futures::future::join_all;
use http::{Request, StatusCode, header, request::Parts};
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(super) use self::{
    note::{Note, TraceOf, Window},
    pages::STORED,
};
use super::{
    Outcome,
    call::{Call, GROUP, TOPIC},
    status::{Code, Refusal},
};

/// Headers that are about a connection and not about the request.
const OF_CONNECTION: [header::HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Between two looks for what a node is about to hear of.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// What the path of a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Known {
    Instance,
    Topic,
    Group,
}

impl Known {
    const ALL: [Self; 3] = [Self::Instance, Self::Topic, Self::Group];

    /// Whether it is named and there.
    fn is_here(self, call: &Call) -> bool {
        match self {
            Self::Instance => call.instance().is_ok(),
            Self::Topic => call.text(TOPIC).is_some() && call.topic().is_ok(),
            Self::Group => call.text(GROUP).is_some() && call.group().is_ok(),
        }
    }
}

/// Waits, for a bounded time, until what a fleet knows has come here too: who has just made a topic
/// there may send to it at once.
pub(super) async fn await_known(call: &Call) {
    let clock = &call.front.clock;
    let end = clock.elapsed() + Duration::from_millis(limits::FORWARDED_WAIT_MS_MAX);
    while call.note.known.iter().any(|it| !it.is_here(call)) && clock.elapsed() < end {
        clock.sleep(LOOK_PAUSE).await;
    }
}

/// Which nodes are asked, and what becomes of their answers.
#[derive(Clone, Copy)]
pub(super) enum Ask {
    /// Any one that is there.
    One,
    /// One after the other, until one has what is asked for.
    Finder,
    /// All of them; the `data` of each but the first is put into that of the first.
    Each(fn(&mut Value, Value)),
    /// All of them, for their parts of a page of messages.
    Pages,
    /// All of them, for what they were told of one message.
    Traces,
}

/// What a node answered.
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) document: Value,
}

impl Told {
    fn is_found(&self) -> bool {
        self.status != StatusCode::NOT_FOUND
    }
}

/// The nodes that have what the request is about; `None` if it is here.
pub(super) fn nodes(call: &Call) -> Result<Option<Vec<Peer>>, Refusal> {
    let instance = call.instance()?;
    let Some(nodes) = &call.front.nodes else {
        return Ok(None);
    };
    if !instance.shards().is_empty() {
        return Ok(None);
    }
    let of = instance.settings().has_own_nodes.then(|| instance.id());
    let peers = nodes.peers(of, false);
    if peers.is_empty() {
        let text = format!("no node of instance `{}` is there", instance.id());
        return Err(Refusal::new(Code::ServiceUnavailable, text));
    }
    Ok(Some(peers))
}

/// A request that is sent on.
struct Asked<'a> {
    call: &'a Call,
    head: &'a Parts,
    body: &'a Bytes,
    /// What notes are signed with; `None` while it cannot be had.
    key: Option<hmac::Key>,
    now: Timestamp,
    /// When whoever asks is answered at the latest, on the monotonic clock.
    end: Duration,
}

/// Asks nodes, and gives the one answer that theirs amount to.
pub(super) async fn ask(
    call: &Call,
    (head, body): (&Parts, &Bytes),
    ask: Ask,
    nodes: &[Peer],
) -> Result<Outcome, Refusal> {
    let clock = &call.front.clock;
    let asked = Asked {
        call,
        head,
        body,
        end: clock.elapsed() + Duration::from_millis(limits::FORWARD_MS_MAX),
        key: note::key(&call.front).await,
        now: clock.now(),
    };
    let told = match ask {
        Ask::One => asked.one(nodes).await,
        Ask::Finder => asked.finder(nodes).await,
        Ask::Each(put) => each(join_all(nodes.iter().map(|it| asked.told(it))).await, put),
        Ask::Pages => return pages::ask(&asked, nodes).await,
        Ask::Traces => return traces::ask(&asked, nodes).await,
    };
    told.map(Outcome::Relayed)
}

impl Asked<'_> {
    async fn one(&self, nodes: &[Peer]) -> Result<Told, Refusal> {
        let mut last = None;
        for node in nodes {
            match self.told(node).await {
                // It never came there, so another one may do it.
                Err(error @ (ClientError::Connect { .. } | ClientError::ConnectTimeout { .. })) => {
                    last = Some(unreachable(&error));
                }
                told => return told.map_err(|error| unreachable(&error)),
            }
        }
        Err(last.unwrap_or_else(nobody))
    }

    async fn finder(&self, nodes: &[Peer]) -> Result<Told, Refusal> {
        let mut last = None;
        for node in nodes {
            match self.told(node).await {
                Ok(told) if told.is_found() => return Ok(told),
                // That a node did not answer weighs more than that others have nothing.
                Ok(told) => last = last.or(Some(Ok(told))),
                Err(error) => last = Some(Err(unreachable(&error))),
            }
        }
        last.unwrap_or_else(|| Err(nobody()))
    }

    /// What a node answers to the request as it came.
    async fn told(&self, node: &Peer) -> Result<Told, ClientError> {
        self.exchange(node, Note::default()).await
    }

    /// What a node answers to the request with a note, without which its answer is of no use.
    async fn with_note(&self, node: &Peer, note: Note) -> Result<Told, Refusal> {
        if self.key.is_none() {
            let text = "key of the cluster not read, nodes cannot be asked for their parts";
            return Err(Refusal::new(Code::ServiceUnavailable, text));
        }
        let told = self.exchange(node, note).await;
        told.map_err(|error| unreachable(&error))
    }

    async fn exchange(&self, node: &Peer, note: Note) -> Result<Told, ClientError> {
        let address = node.record.addresses.first();
        let address = address.map(String::as_str).unwrap_or_default();
        let request = self.call.operation.name;
        let wrong = |reason: String| ClientError::Answer {
            address: address.to_owned(),
            request,
            reason,
        };
        let head = self.head;
        let mut forwarded = Request::builder().method(&head.method).uri(target(head));
        for (name, value) in &head.headers {
            if !OF_CONNECTION.contains(name) && name != note::HEADER {
                forwarded = forwarded.header(name, value);
            }
        }
        if let (false, Some(host)) = (
            head.headers.contains_key(header::HOST),
            head.uri.authority(),
        ) {
            forwarded = forwarded.header(header::HOST, host.as_str());
        }
        if let Some(key) = &self.key {
            let known = Known::ALL.into_iter();
            let note = Note {
                known: known.filter(|it| it.is_here(self.call)).collect(),
                ..note
            };
            forwarded = forwarded.header(note::HEADER, note.signed(key, head));
        }
        let forwarded = forwarded.body(self.body.clone());
        let forwarded = forwarded.map_err(|error| wrong(error.to_string()))?;
        let wait = self.end.saturating_sub(self.call.front.clock.elapsed());
        let answer = exchange(address, forwarded, request, wait).await?;
        let document = serde_json::from_slice(answer.body());
        Ok(Told {
            status: answer.status(),
            document: document.map_err(|error| wrong(error.to_string()))?,
        })
    }
}

/// Path and query of a request, as they came.
fn target(head: &Parts) -> &str {
    head.uri.path_and_query().map_or("/", |it| it.as_str())
}

/// Puts the answers of all nodes together. One that has nothing adds nothing; one that refuses or
/// does not answer leaves no answer at all, as it would be wrong.
fn each(
    answers: Vec<Result<Told, ClientError>>,
    put: fn(&mut Value, Value),
) -> Result<Told, Refusal> {
    let mut whole: Option<Told> = None;
    for answer in answers {
        let mut told = answer.map_err(|error| unreachable(&error))?;
        whole = Some(match whole {
            None => told,
            Some(whole) if !whole.status.is_success() && whole.is_found() => whole,
            Some(_) if !told.status.is_success() && told.is_found() => told,
            Some(whole) if !told.is_found() => whole,
            Some(whole) if !whole.is_found() => told,
            Some(mut whole) => {
                let more = field(&mut told.document, "data").take();
                put(field(&mut whole.document, "data"), more);
                whole
            }
        });
    }
    whole.ok_or_else(nobody)
}

/// A field of an object, and of what is none as of an empty one: nodes may answer anything.
fn field<'a>(value: &'a mut Value, name: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    &mut value[name]
}

fn nobody() -> Refusal {
    Refusal::new(Code::InternalError, "no node was asked")
}

fn unreachable(error: &ClientError) -> Refusal {
    Refusal::of(Code::ServiceUnavailable, error)
}

/// How far a group is behind, for each topic and in all.
pub(super) fn lags(all: &mut Value, mut more: Value) {
    lag(field(all, "totalLag"), &more["totalLag"]);
    for map in ["topicLagMap", "liteTopicLagMap"] {
        let Value::Object(more) = field(&mut more, map).take() else {
            continue;
        };
        for (name, told) in more {
            let all = field(all, map);
            match all.get_mut(&name) {
                Some(known) => lag(known, &told),
                None => *field(all, &name) = told,
            }
        }
    }
}

fn lag(all: &mut Value, more: &Value) {
    for name in ["inflightCount", "readyCount"] {
        combine(all, more, name, i64::saturating_add);
    }
    for name in ["deliveryDuration", "lastConsumeTimestamp"] {
        combine(all, more, name, i64::max);
    }
}

/// The times between which there are messages, and until which they are consumed.
pub(super) fn time_spans(all: &mut Value, more: Value) {
    for name in ["consumeTimestamp", "maxTimestamp"] {
        combine(all, &more, name, i64::max);
    }
    // None is told as 0.
    combine(all, &more, "minTimestamp", |one, other| {
        match (one, other) {
            (0, time) | (time, 0) => time,
            (one, other) => one.min(other),
        }
    });
}

fn combine(all: &mut Value, more: &Value, name: &str, of: fn(i64, i64) -> i64) {
    let number = |value: &Value| value[name].as_i64().unwrap_or(0);
    let combined = of(number(all), number(more));
    *field(all, name) = combined.into();
}

/// Clients: one that is connected to several nodes is there once.
pub(super) fn connections(all: &mut Value, mut more: Value) {
    let more = field(&mut more, "connections").take();
    let same = |one: &Value, other: &Value| one["clientId"] == other["clientId"];
    append(field(all, "connections"), more, same);
}

/// What clients say that they subscribe to.
pub(super) fn said(all: &mut Value, more: Value) {
    append(all, more, |one, other| {
        one["connectionDTO"]["clientId"] == other["connectionDTO"]["clientId"]
    });
}

/// Subscriptions of groups to topics: online where they are on any node.
pub(super) fn subscriptions(all: &mut Value, mut more: Value) {
    let same = |one: &Value, other: &Value| {
        ["consumerGroupId", "topicName"]
            .iter()
            .all(|name| one[name] == other[name])
    };
    let known = all.as_array_mut().into_iter().flatten();
    for known in known.filter(|known| known["subscriptionStatus"] != "ONLINE") {
        let mut more = more.as_array_mut().into_iter().flatten();
        let told = more.find(|told| same(told, known)).map(Value::take);
        *known = told.unwrap_or_else(|| known.take());
    }
    append(all, more, same);
}

/// Every node does it; what one answers is what all answer.
pub(super) fn nothing(_: &mut Value, _: Value) {}

/// Adds what is not there yet.
fn append(all: &mut Value, more: Value, same: fn(&Value, &Value) -> bool) {
    let (Some(all), Value::Array(more)) = (all.as_array_mut(), more) else {
        return;
    };
    for told in more {
        if !told.is_null() && !all.iter().any(|known| same(known, &told)) {
            all.push(told);
        }
    }
}

#[cfg(test)]
mod tests;
