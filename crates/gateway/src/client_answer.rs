//! What a client is asked and answers, in the form that tools read it: RocketMQ's JSON.

use broker::{ClientAnswer, ConsumeMode, ConsumerSubscription, Filter, Subscription};
use wire::{
    message::tags_code,
    remoting::body::{Body, ConsumeDirectlyResult, ConsumerRunningInfo, SubscriptionData},
};

/// A subscription as clients write it.
pub(crate) fn subscription_data(subscription: &Subscription, topic: String) -> SubscriptionData {
    let tags: Vec<String> = match &subscription.filter {
        Filter::Tags(tags) => tags.iter().cloned().collect(),
        Filter::All | Filter::Sql(_) => Vec::new(),
    };
    SubscriptionData {
        class_filter_mode: false,
        topic,
        expression: subscription.filter.expression(),
        codes: tags.iter().map(|tag| tags_code(tag)).collect(),
        tags,
        version: subscription.version,
        expression_type: match subscription.filter {
            Filter::All | Filter::Tags(_) => "TAG".to_owned(),
            Filter::Sql(_) => "SQL92".to_owned(),
        },
    }
}

/// What is known of a consumer of a protocol that does not say how it runs.
pub(crate) fn running_info(
    consumer: Option<&ConsumerSubscription>,
    version: Option<&str>,
    stacks: String,
) -> ConsumerRunningInfo {
    let mut info = ConsumerRunningInfo {
        stacks,
        ..ConsumerRunningInfo::default()
    };
    if let Some(consumer) = consumer {
        let kind = match consumer.mode {
            ConsumeMode::Push => "CONSUME_PASSIVELY",
            ConsumeMode::Pull => "CONSUME_ACTIVELY",
        };
        let kind = serde_json::Value::from(kind);
        info.properties.insert("PROP_CONSUME_TYPE".to_owned(), kind);
        let subscriptions = consumer.subscriptions.iter();
        let data = subscriptions.map(|it| subscription_data(it, it.topic.as_str().to_owned()));
        info.subscriptions = data.collect();
    }
    if let Some(version) = version {
        let version = serde_json::Value::from(version);
        info.properties
            .insert("PROP_CLIENT_VERSION".to_owned(), version);
    }
    info
}

/// What became of a message that a gRPC client was told to consume, in the words of Remoting.
pub(crate) fn consumed_directly(result: &str) -> ClientAnswer {
    let result = ConsumeDirectlyResult {
        order: false,
        auto_commit: true,
        consume_result: result.to_owned(),
        remark: "from gRPC client".to_owned(),
        spent_time_mills: 0,
    };
    ClientAnswer::Done(result.encode())
}
