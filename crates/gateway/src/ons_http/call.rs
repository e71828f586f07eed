//! One request as every verb sees it: what it asks, of what, and over which connection.

use std::sync::Arc;

use base::{GroupName, Timestamp, TopicName, limits};
use broker::{Instance, Resolution};
use http::{Method, header, request::Parts};
use wire::ons_http::{Target, VERSION, VERSION_HEADER, date_ms};

use super::{
    names,
    status::{Code, Refusal},
};
use crate::{ConnectionInfo, Front, access::is_guarded, http::header_text, series::Family};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Send,
    Receive { in_order: bool },
    ReceiveHalf,
    Ack,
    EndTransaction(Resolution),
}

impl Verb {
    /// What method and parameter `trans` ask for.
    pub(super) fn of(head: &Parts) -> Result<Self, Refusal> {
        // An escape in it makes it another word, as none of the words needs any.
        let query = head.uri.query().unwrap_or_default();
        let mut parts = query.split('&');
        let trans = parts.find_map(|part| part.strip_prefix("trans="));
        match (&head.method, trans.filter(|trans| !trans.is_empty())) {
            (&Method::POST, None) => Ok(Self::Send),
            (&Method::GET, None) => Ok(Self::Receive { in_order: false }),
            (&Method::GET, Some("order")) => Ok(Self::Receive { in_order: true }),
            (&Method::GET, Some("pop")) => Ok(Self::ReceiveHalf),
            (&Method::DELETE, None) => Ok(Self::Ack),
            (&Method::DELETE, Some("commit")) => Ok(Self::EndTransaction(Resolution::Commit)),
            (&Method::DELETE, Some("rollback")) => Ok(Self::EndTransaction(Resolution::Rollback)),
            (&Method::POST | &Method::GET | &Method::DELETE, Some(trans)) => {
                let (method, trans) = (&head.method, shortened(trans));
                let text = format!(
                    "parameter `trans` is `{trans}`, which {method} does not have, expected order \
                     or pop with GET, commit or rollback with DELETE"
                );
                Err(Refusal::new(Code::InvalidQueryString, text))
            }
            (method, _) => {
                let method = shortened(method.as_str());
                let text = format!("method is `{method}`, expected GET, POST or DELETE");
                Err(Refusal::new(Code::InvalidRequestUrl, text))
            }
        }
    }

    /// The name in measurements.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Send => "send_message",
            Self::Receive { .. } => "receive_message",
            Self::ReceiveHalf => "receive_half_message",
            Self::Ack => "ack_message",
            Self::EndTransaction(_) => "end_transaction",
        }
    }

    /// Whether the answer may come late because there is nothing yet.
    pub(super) fn may_wait(self) -> bool {
        matches!(self, Self::Receive { .. } | Self::ReceiveHalf)
    }

    /// Whether the request must name a group.
    fn names_group(self) -> bool {
        self != Self::Send
    }
}

/// One request, without its body.
pub(super) struct Call<'a> {
    /// What all front ends share.
    pub(super) front: &'a Arc<Front>,
    /// Where the request came in.
    pub(super) connection: &'a ConnectionInfo,
    /// What is asked.
    pub(super) verb: Verb,
    /// The instance that it is about.
    pub(super) instance: Arc<Instance>,
    /// The topic that it is about.
    pub(super) topic: TopicName,
    /// The group that asks; `None` for sends.
    pub(super) group: Option<GroupName>,
    target: Target,
}

impl<'a> Call<'a> {
    /// Checks target, version and date.
    pub(super) fn new(
        front: &'a Arc<Front>,
        connection: &'a ConnectionInfo,
        verb: Verb,
        head: &Parts,
    ) -> Result<Self, Refusal> {
        let target = resource(head);
        let (length, max) = (target.len(), limits::ONS_HTTP_TARGET_BYTES_MAX);
        if length > max {
            let text = format!("request target has {length} bytes, expected at most {max}");
            return Err(Refusal::new(Code::InvalidRequestUrl, text));
        }
        let query = head.uri.query().unwrap_or_default();
        let target = Target::parse(head.uri.path(), query)?;
        check_version(head)?;
        let is_guarded = is_guarded(front, connection);
        check_date(head, front.clock.now(), is_guarded)?;
        let namespace = target.parameter("ns").unwrap_or_default();
        let (by_topic, topic) = front.name_in(namespace, &target.topic);
        let topic = names::topic(&topic)?;
        let (mut by_group, mut group) = (None, None);
        if verb.names_group() {
            let name = target.parameter("consumer").unwrap_or_default();
            if name.is_empty() {
                let text = "parameter `consumer` is missing, expected a group";
                return Err(Refusal::new(Code::InvalidQueryString, text));
            }
            let (named, plain) = front.name_in(namespace, name);
            by_group = named;
            group = Some(names::group(&plain)?);
        }
        Ok(Self {
            front,
            connection,
            verb,
            instance: front.settle([by_topic, by_group])?,
            topic,
            group,
            target,
        })
    }

    /// Checks that the instance takes requests from there, and of this protocol. Only who may know
    /// of the instance is told.
    pub(super) fn enter(&self) -> Result<(), Refusal> {
        let instance = Some(Arc::clone(&self.instance));
        self.front.admit(self.connection, [instance])?;
        match Family::OnsHttp.refusal(&self.instance) {
            Some(refusal) => Err(Refusal::new(Code::AccessDenied, refusal)),
            None => Ok(()),
        }
    }

    /// The group that asks.
    pub(super) fn group(&self) -> &GroupName {
        let group = self.group.as_ref();
        group.expect("every verb that has a group was refused without one")
    }

    /// Now.
    pub(super) fn now(&self) -> Timestamp {
        self.front.clock.now()
    }

    /// The value of a parameter; `None` if it is not there or empty.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let value = self.target.parameter(name);
        value.filter(|value| !value.is_empty())
    }

    /// The value of a parameter that is a number from `least` to `most`.
    pub(super) fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.parameter(name) else {
            return Ok(None);
        };
        let number = value.parse().ok();
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let value = shortened(value);
                let text = format!("parameter `{name}` is `{value}`, expected {least} to {most}");
                Err(Refusal::new(Code::InvalidArgument, text))
            }
        }
    }
}

/// Path and query exactly as they were sent, which is what is signed.
pub(super) fn resource(head: &Parts) -> &str {
    let target = head.uri.path_and_query();
    target.map_or("/", |target| target.as_str())
}

/// How answers name the server.
pub(super) fn host_id(front: &Front, connection: &ConnectionInfo, head: &Parts) -> String {
    let scheme = if connection.tls { "https" } else { "http" };
    match header_text(head, header::HOST) {
        "" => format!("{scheme}://{}", front.advertised(connection)),
        host => format!("{scheme}://{}", host.chars().take(256).collect::<String>()),
    }
}

fn check_version(head: &Parts) -> Result<(), Refusal> {
    match header_text(head, VERSION_HEADER) {
        VERSION => Ok(()),
        "" => {
            let text = format!("header `{VERSION_HEADER}` is missing, expected {VERSION}");
            Err(Refusal::new(Code::MissingVersionHeader, text))
        }
        other => {
            let other = shortened(other);
            let text = format!("header `{VERSION_HEADER}` is `{other}`, expected {VERSION}");
            Err(Refusal::new(Code::InvalidVersionHeader, text))
        }
    }
}

/// The date is part of what is signed; where nothing need be signed, it may be missing.
fn check_date(head: &Parts, now: Timestamp, is_guarded: bool) -> Result<(), Refusal> {
    let date = header_text(head, header::DATE);
    if date.is_empty() {
        if !is_guarded {
            return Ok(());
        }
        let text = "header `date` is missing, expected the time of the request";
        return Err(Refusal::new(Code::MissingDateHeader, text));
    }
    let Some(ms) = date_ms(date) else {
        let date = shortened(date);
        let text = format!(
            "header `date` is `{date}`, expected a time like `Fri, 02 Jan 2026 03:04:05 GMT`"
        );
        return Err(Refusal::new(Code::InvalidDateHeader, text));
    };
    let off_ms = ms.abs_diff(now.ms());
    if off_ms > limits::ONS_HTTP_DATE_MS_OFF_MAX {
        let (off, max) = (off_ms / 1_000, limits::ONS_HTTP_DATE_MS_OFF_MAX / 1_000);
        let text = format!("header `date` is {off} s off the time here, expected at most {max} s");
        return Err(Refusal::new(Code::TimeExpired, text));
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
