//! Who sends a gRPC request, and whether they may.
//!
//! Every call carries `authorization: MQv2-HMAC-SHA1 Credential=<access key>[/...],
//! SignedHeaders=x-mq-date-time, Signature=<hex>`; the signature is HMAC-SHA1 over the value of
//! `x-mq-date-time`. How old that is says nothing: SDKs write local times as universal ones.
//! Source: `DefaultAuthenticationContextBuilder` and `DefaultAuthorizationContextBuilder` of
//! RocketMQ 5.5.0, which answer UNAUTHORIZED to everything; here a known user who may not do what
//! it asks is told FORBIDDEN, which SDKs tell apart.

use broker::access::{Action, ActionSet, NotAuthenticated, ResourceKind, Wanted};
use wire::grpc_v2::{self as v2, settings::PubSub};

use super::{call::Call, heartbeat, names, status::Refusal};
use crate::access::{Caller, is_guarded};

const AUTHORIZATION: &str = "authorization";
const DATE_TIME: &str = "x-mq-date-time";

const PUB: ActionSet = ActionSet::of(&[Action::Pub]);
const SUB: ActionSet = ActionSet::of(&[Action::Sub]);
const SUB_GET: ActionSet = ActionSet::of(&[Action::Sub, Action::Get]);
const ROUTE: ActionSet = ActionSet::of(&[Action::Pub, Action::Sub, Action::Get]);
const GET: ActionSet = ActionSet::of(&[Action::Get]);
const UPDATE: ActionSet = ActionSet::of(&[Action::Update]);
const PUB_SUB: ActionSet = ActionSet::of(&[Action::Pub, Action::Sub]);

/// Bytes of an HMAC-SHA1.
const SIGNATURE_BYTES: usize = 20;

/// One thing that a request needs.
pub(super) struct Need<'r> {
    kind: ResourceKind,
    resource: Option<&'r v2::Resource>,
    any_of: ActionSet,
}

fn topic(resource: Option<&v2::Resource>, any_of: ActionSet) -> Need<'_> {
    Need {
        kind: ResourceKind::Topic,
        resource,
        any_of,
    }
}

fn group(resource: Option<&v2::Resource>) -> Need<'_> {
    Need {
        kind: ResourceKind::Group,
        resource,
        any_of: SUB,
    }
}

fn group_to(resource: Option<&v2::Resource>, any_of: ActionSet) -> Need<'_> {
    Need {
        any_of,
        ..group(resource)
    }
}

/// The server as a whole.
fn cluster(any_of: ActionSet) -> Need<'static> {
    Need {
        kind: ResourceKind::Cluster,
        resource: None,
        any_of,
    }
}

/// Topics and groups where there are any.
fn group_and_topics<'r>(
    named: Option<&'r v2::Resource>,
    topics: impl IntoIterator<Item = &'r v2::Resource>,
) -> Vec<Need<'r>> {
    let topics = topics.into_iter().map(|name| topic(Some(name), GET));
    [group_to(named, GET)].into_iter().chain(topics).collect()
}

fn topic_of(queue: Option<&v2::MessageQueue>) -> Option<&v2::Resource> {
    queue.and_then(|queue| queue.topic.as_ref())
}

/// A request that can say what it needs.
pub(super) trait Guarded {
    /// What it needs, besides a sender. What names nothing is refused by its verb.
    fn needs(&self) -> Vec<Need<'_>>;
}

macro_rules! guarded {
    ($($request:ident($this:ident) => $needs:expr;)*) => {
        $(impl Guarded for v2::$request {
            fn needs(&self) -> Vec<Need<'_>> {
                let $this = self;
                $needs
            }
        })*
    };
}

guarded! {
    QueryRouteRequest(r) => vec![topic(r.topic.as_ref(), PUB_SUB)];
    QueryAssignmentRequest(r) => vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)];
    HeartbeatRequest(r) => match heartbeat::consumes(r.client_type()) {
        true => vec![group(r.group.as_ref())],
        false => Vec::new(),
    };
    NotifyClientTerminationRequest(r) => vec![group(r.group.as_ref())];
    SendMessageRequest(r) => r.messages.iter().map(|m| topic(m.topic.as_ref(), PUB)).collect();
    ReceiveMessageRequest(r) => {
        vec![group(r.group.as_ref()), topic(topic_of(r.message_queue.as_ref()), SUB)]
    };
    PullMessageRequest(r) => {
        vec![group(r.group.as_ref()), topic(topic_of(r.message_queue.as_ref()), SUB)]
    };
    UpdateOffsetRequest(r) => {
        vec![group(r.group.as_ref()), topic(topic_of(r.message_queue.as_ref()), SUB)]
    };
    GetOffsetRequest(r) => {
        vec![group(r.group.as_ref()), topic(topic_of(r.message_queue.as_ref()), SUB)]
    };
    QueryOffsetRequest(r) => vec![topic(topic_of(r.message_queue.as_ref()), SUB)];
    AckMessageRequest(r) => vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)];
    ChangeInvisibleDurationRequest(r) => {
        vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)]
    };
    ForwardMessageToDeadLetterQueueRequest(r) => {
        vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)]
    };
    EndTransactionRequest(r) => vec![topic(r.topic.as_ref(), PUB)];
    RecallMessageRequest(r) => vec![topic(r.topic.as_ref(), PUB)];
    SyncLiteSubscriptionRequest(r) => vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)];
    ChangeLogLevelRequest(_r) => vec![cluster(UPDATE)];
    GetProxyRuntimeStatsRequest(_r) => vec![cluster(GET)];
    DescribeTopicStatusRequest(r) => vec![topic(r.topic.as_ref(), GET)];
    GetTopicRouteRequest(r) => vec![topic(r.topic.as_ref(), ROUTE)];
    ListSubscriptionRequest(r) => group_and_topics(r.group.as_ref(), &r.topic);
    DescribeSubscriptionRequest(r) => group_and_topics(r.group.as_ref(), &r.topic);
    DeleteSubscriptionRequest(r) => {
        vec![group_to(r.group.as_ref(), UPDATE), topic(r.topic.as_ref(), UPDATE)]
    };
    ListConsumerConnectionRequest(r) => group_and_topics(r.group.as_ref(), &r.topic);
    DescribeGroupAccumulationRequest(r) => group_and_topics(r.group.as_ref(), &r.topics);
    QueryTimeSpanRequest(r) => group_and_topics(r.group.as_ref(), &r.topics);
    ResetGroupOffsetRequest(r) => {
        vec![group_to(r.group.as_ref(), UPDATE), topic(r.topic.as_ref(), UPDATE)]
    };
    ListMessageRequest(r) => vec![topic(r.topic.as_ref(), SUB_GET)];
    PrintThreadStackTraceRequest(r) => vec![group_to(r.group.as_ref(), GET)];
    GetConsumerRunningInfoRequest(r) => vec![group_to(r.group.as_ref(), GET)];
    VerifyMessageRequest(r) => vec![group(r.group.as_ref()), topic(r.topic.as_ref(), SUB)];
    AdminSendMessageRequest(r) => vec![topic(r.topic.as_ref(), PUB)];
    Settings(r) => match &r.pub_sub {
        Some(PubSub::Publishing(publishing)) => {
            publishing.topics.iter().map(|name| topic(Some(name), PUB)).collect()
        }
        Some(PubSub::Subscription(subscription)) => {
            let entries = subscription.subscriptions.iter();
            let topics = entries.map(|entry| topic(entry.topic.as_ref(), SUB));
            [group(subscription.group.as_ref())].into_iter().chain(topics).collect()
        }
        None => Vec::new(),
    };
}

/// Checks that the request comes from somebody who may ask it.
pub(super) fn check(call: &Call, request: &impl Guarded) -> Result<(), Refusal> {
    if !is_guarded(&call.front, &call.connection) {
        return Ok(());
    }
    let needs = request.needs();
    let mut instance = None;
    let mut named = Vec::with_capacity(needs.len());
    for need in &needs {
        let (named_instance, name) = names::parse(call, need.resource);
        match call
            .front
            .settle([instance.clone(), named_instance.clone()])
        {
            Ok(settled) if named_instance.is_some() => instance = Some(settled),
            Ok(_) => {}
            Err(error) => {
                // Told to those who are believed.
                check_believed(call)?;
                return Err(error.into());
            }
        }
        named.push(name);
    }
    let instance = match instance {
        Some(instance) => instance,
        None => names::instance(call)?,
    };
    let Some(caller) = caller(call, &instance)? else {
        return Ok(());
    };
    let mut group = "";
    for (need, name) in needs.iter().zip(&named) {
        if need.kind == ResourceKind::Cluster {
            caller.may_cluster(need.any_of)?;
            continue;
        }
        if name.is_empty() {
            continue;
        }
        let wanted = Wanted {
            kind: need.kind,
            name,
            any_of: need.any_of,
        };
        if need.kind == ResourceKind::Group {
            group = name;
            caller.may(wanted)?;
        } else {
            caller.may_topic_of(group, wanted)?;
        }
    }
    Ok(())
}

/// Checks that the request comes from somebody whom the default instance knows.
pub(super) fn check_believed(call: &Call) -> Result<(), Refusal> {
    if is_guarded(&call.front, &call.connection) {
        caller(call, &*call.front.settle([])?)?;
    }
    Ok(())
}

fn caller(call: &Call, instance: &broker::Instance) -> Result<Option<Caller>, NotAuthenticated> {
    let (name, signature) = credential(call.text(AUTHORIZATION));
    let content = call.text(DATE_TIME).as_bytes();
    Caller::of(instance, &call.connection, name, [content], &signature)
}

/// Access key and signature of an authorization; empty where it has none.
fn credential(authorization: &str) -> (&str, Vec<u8>) {
    let (mut name, mut signature) = ("", Vec::new());
    let (_, parts) = authorization.split_once(' ').unwrap_or_default();
    for (key, value) in parts
        .split(',')
        .filter_map(|part| part.trim().split_once('='))
    {
        match key {
            "Credential" => name = value.split('/').next().unwrap_or_default(),
            "Signature" => signature = from_hex(value).unwrap_or_default(),
            _ => {}
        }
    }
    (name, signature)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 2 * SIGNATURE_BYTES || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let bytes = (0..SIGNATURE_BYTES).map(|at| {
        let digits = text.get(2 * at..2 * at + 2)?;
        u8::from_str_radix(digits, 16).ok()
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorizations_are_read_as_sdks_write_them() {
        let hex = "00FF".repeat(10);
        let signature = [0x00, 0xff].repeat(10);
        for credential_text in ["ak", "ak/cn-test/RocketMQ"] {
            let text = format!(
                "MQv2-HMAC-SHA1 Credential={credential_text}, SignedHeaders=x-mq-date-time, \
                 Signature={hex}"
            );
            assert_eq!(credential(&text), ("ak", signature.clone()));
        }
        for wrong in [
            "",
            "MQv2-HMAC-SHA1",
            "x y z",
            "x Credential=,Signature=00",
            "x Signature=\u{e9}",
        ] {
            assert_eq!(credential(wrong), ("", Vec::new()), "{wrong}");
        }
        assert_eq!(from_hex(&"+1".repeat(20)), None);
    }
}
