//! Settings: what a client says of itself when it starts, and what it is told to do.
//!
//! The answer repeats the client's settings with the server's word on limits, retries and batch
//! sizes, as Apache's `GrpcClientSettingsManager` does; SDKs take over what is there.

use std::{sync::Arc, time::Duration};

use base::{GroupName, limits};
use broker::{
    ConsumeFrom, ConsumeMode, ConsumerSubscription, Filter, GroupSpec, Instance, MessageModel,
    RetryPolicy, Subscription,
};
use wire::grpc_v2::{self as v2, ClientType, Code, FilterType, retry_policy, settings::PubSub};

use super::{
    call::Call, clients::Role, names, route::endpoints, status::Refusal, time::from_duration,
};

/// How often a producer tries to send one message. Apache's proxy `grpcClientProducerMaxAttempts`.
const SEND_ATTEMPTS: i32 = 3;
/// Pause before a producer's second attempt; doubles up to the second value. Apache's defaults.
const SEND_PAUSE: Duration = Duration::from_millis(10);
const SEND_PAUSE_MAX: Duration = Duration::from_secs(1);
const SEND_PAUSE_MULTIPLIER: f32 = 2.0;

/// Roughly how the default pauses of a group grow, for SDKs that know exponential ones only.
const RETRY_PAUSE_MULTIPLIER: f32 = 2.0;

/// Messages that a push consumer asks for at once. Apache's proxy
/// `grpcClientConsumerLongPollingBatchSize`.
const RECEIVE_BATCH_SIZE: i32 = 32;
/// How long a push consumer's receive waits. Apache's proxy
/// `grpcClientConsumerMaxLongPollingTimeoutMillis`.
const LONG_POLL: Duration = Duration::from_secs(20);

/// What a client's settings come to.
pub(super) struct Settled {
    /// The instance that the client works in.
    pub(super) instance: Arc<Instance>,
    /// What the client does.
    pub(super) role: Role,
    /// What the client is told.
    pub(super) settings: v2::Settings,
}

/// Checks a client's settings and completes them. The group of a consumer is created where the
/// instance allows it.
pub(super) async fn settle(call: &Call, settings: v2::Settings) -> Result<Settled, Refusal> {
    let (bytes, max) = (
        v2::encoded_len(&settings),
        limits::CLIENT_SETTINGS_BYTES_MAX,
    );
    if bytes > max {
        return Err(Refusal::new(
            Code::BadRequest,
            format!("settings have {bytes} bytes, expected at most {max}"),
        ));
    }
    match &settings.pub_sub {
        Some(PubSub::Publishing(publishing)) => {
            let role = producer_role(call, publishing)?;
            let instance = match publishing.topics.first() {
                Some(topic) => names::topic(call, Some(topic))?.0,
                None => names::instance(call)?,
            };
            Ok(Settled {
                instance,
                role,
                settings: with_metric(call, for_producer(settings)),
            })
        }
        Some(PubSub::Subscription(subscription)) => {
            let (instance, name) = names::group(call, subscription.group.as_ref())?;
            let consumer = consumer(call, &settings, subscription, name.clone())?;
            let mode = consumer.mode;
            let group = instance.group_or_create(&name).await?;
            let (spec, consumers) = match &group {
                Some(group) => (group.spec.clone(), vec![consumer]),
                None => (missing_group(&instance, name, mode)?, Vec::new()),
            };
            Ok(Settled {
                instance,
                role: Role {
                    producer_groups: Vec::new(),
                    consumers,
                },
                settings: with_metric(call, for_consumer(settings, &spec)),
            })
        }
        None => Err(Refusal::new(
            Code::BadRequest,
            "settings hold neither publishing nor subscription",
        )),
    }
}

/// What becomes of a consumer whose group is not there.
///
/// An application that receives by itself hears of it from its first receive, whichever SDK it
/// uses. One that only listens would never hear of it: there the stream ends with the reason, which
/// stops the SDK from starting.
fn missing_group(
    instance: &Instance,
    name: GroupName,
    mode: ConsumeMode,
) -> Result<GroupSpec, Refusal> {
    match mode {
        ConsumeMode::Pull => Ok(GroupSpec::new(name)),
        ConsumeMode::Push => Err(Refusal::new(
            Code::ConsumerGroupNotFound,
            format!(
                "consumer group `{name}` not found in instance `{}`, create it first",
                instance.id()
            ),
        )),
    }
}

/// A role of a client of which only group and type are known.
pub(super) fn role_of_heartbeat(kind: ClientType, group: Option<GroupName>) -> Role {
    let consumers = group.into_iter().map(|group| ConsumerSubscription {
        group,
        model: MessageModel::Clustering,
        mode: consume_mode(kind),
        from: ConsumeFrom::LastOffset,
        subscriptions: Vec::new(),
    });
    Role {
        producer_groups: Vec::new(),
        consumers: consumers.collect(),
    }
}

fn producer_role(call: &Call, publishing: &v2::Publishing) -> Result<Role, Refusal> {
    check_count("topics", publishing.topics.len())?;
    let mut role = Role::default();
    for topic in &publishing.topics {
        let (_, topic) = names::topic(call, Some(topic))?;
        // A topic may have a longer name than a group: such a producer is not listed.
        if let Ok(group) = GroupName::new(topic.as_str()) {
            role.producer_groups.push(group);
        }
    }
    Ok(role)
}

fn consumer(
    call: &Call,
    settings: &v2::Settings,
    subscription: &v2::Subscription,
    group: GroupName,
) -> Result<ConsumerSubscription, Refusal> {
    check_count("subscriptions", subscription.subscriptions.len())?;
    let mut subscriptions = Vec::with_capacity(subscription.subscriptions.len());
    for entry in &subscription.subscriptions {
        let (_, topic) = names::topic(call, entry.topic.as_ref())?;
        subscriptions.push(Subscription {
            topic,
            filter: filter(entry.expression.as_ref())?,
            // The protocol has none. The same every time, so that a heartbeat changes nothing.
            version: 0,
        });
    }
    Ok(ConsumerSubscription {
        group,
        model: MessageModel::Clustering,
        mode: consume_mode(settings.client_type()),
        from: ConsumeFrom::LastOffset,
        subscriptions,
    })
}

fn consume_mode(kind: ClientType) -> ConsumeMode {
    match kind {
        ClientType::PushConsumer | ClientType::LitePushConsumer => ConsumeMode::Push,
        ClientType::Unspecified
        | ClientType::Producer
        | ClientType::SimpleConsumer
        | ClientType::PullConsumer
        | ClientType::LiteSimpleConsumer => ConsumeMode::Pull,
    }
}

/// The filter that a client asks for. None is every message.
pub(super) fn filter(expression: Option<&v2::FilterExpression>) -> Result<Filter, Refusal> {
    let Some(expression) = expression else {
        return Ok(Filter::All);
    };
    match expression.r#type() {
        FilterType::Tag | FilterType::Unspecified => Ok(Filter::tags(&expression.expression)?),
        FilterType::Sql => Ok(Filter::sql(&expression.expression)?),
    }
}

fn check_count(what: &str, count: usize) -> Result<(), Refusal> {
    let max = limits::CLIENT_SETTINGS_ENTRIES_MAX;
    if count > max {
        return Err(Refusal::new(
            Code::BadRequest,
            format!("settings name {count} {what}, expected at most {max}"),
        ));
    }
    Ok(())
}

fn for_producer(mut settings: v2::Settings) -> v2::Settings {
    if let Some(PubSub::Publishing(publishing)) = &mut settings.pub_sub {
        publishing.max_body_size =
            i32::try_from(limits::MESSAGE_BODY_BYTES_MAX).expect("the largest body is a few MiB");
        publishing.validate_message_type = true;
    }
    settings.backoff_policy = Some(v2::RetryPolicy {
        max_attempts: SEND_ATTEMPTS,
        strategy: Some(retry_policy::Strategy::ExponentialBackoff(
            v2::ExponentialBackoff {
                initial: Some(from_duration(SEND_PAUSE)),
                max: Some(from_duration(SEND_PAUSE_MAX)),
                multiplier: SEND_PAUSE_MULTIPLIER,
            },
        )),
    });
    settings
}

fn for_consumer(mut settings: v2::Settings, group: &GroupSpec) -> v2::Settings {
    let is_lite = matches!(
        settings.client_type(),
        ClientType::LitePushConsumer | ClientType::LiteSimpleConsumer
    );
    if let Some(PubSub::Subscription(subscription)) = &mut settings.pub_sub {
        // A LiteTopic is in order for every group. SDKs for Java and Go know that without being
        // told; those for Node.js and Python call their listener for several messages at once.
        subscription.fifo = Some(group.fifo || is_lite);
        subscription.receive_batch_size = Some(RECEIVE_BATCH_SIZE);
        subscription.long_polling_timeout = Some(from_duration(LONG_POLL));
        let quota = group.lite_subscriptions_per_client();
        subscription.lite_subscription_quota = Some(i32::try_from(quota).unwrap_or(i32::MAX));
        subscription.max_lite_topic_size = i32::try_from(limits::LITE_TOPIC_NAME_BYTES_MAX).ok();
    }
    let agent = settings.user_agent.as_ref();
    let language = agent.map_or(v2::Language::Unspecified, v2::Ua::language);
    settings.backoff_policy = Some(v2::RetryPolicy {
        max_attempts: i32::try_from(group.max_attempts).unwrap_or(i32::MAX),
        strategy: Some(strategy(&group.retry, language)),
    });
    settings
}

/// Retries of a group. SDKs take the last pause for every further attempt.
fn strategy(policy: &RetryPolicy, language: v2::Language) -> retry_policy::Strategy {
    let pauses = policy.pauses();
    // Compat: Node.js (1.0.8) passes over a policy that lists its pauses, the attempts included,
    // and then makes the first message that fails in order a dead letter.
    if language == v2::Language::NodeJs {
        return retry_policy::Strategy::ExponentialBackoff(v2::ExponentialBackoff {
            initial: pauses.first().copied().map(from_duration),
            max: pauses.last().copied().map(from_duration),
            multiplier: RETRY_PAUSE_MULTIPLIER,
        });
    }
    let next = pauses.into_iter().map(from_duration).collect();
    retry_policy::Strategy::CustomizedBackoff(v2::CustomizedBackoff { next })
}

/// Asks the client for what it measures, at the address that it is told for everything else.
fn with_metric(call: &Call, mut settings: v2::Settings) -> v2::Settings {
    let agent = settings.user_agent.as_ref();
    let language = agent.map_or(v2::Language::Unspecified, v2::Ua::language);
    let on = call.front.settings.client_metrics && reports_in_otlp(language);
    let endpoints = on.then(|| endpoints(call.front.advertised(&call.connection)));
    settings.metric = Some(v2::Metric { on, endpoints });
    settings
}

/// Whether SDKs of that language report in the protocol that is understood here.
///
/// Compat: those of Go (5.1.4) and C++ (5.0) report in that of OpenCensus, on a stream which the
/// former does not even sign, and would try for ever.
fn reports_in_otlp(language: v2::Language) -> bool {
    !matches!(language, v2::Language::Golang | v2::Language::Cpp)
}
