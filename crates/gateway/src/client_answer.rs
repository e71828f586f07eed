//! What a client is asked and answers, in the form that tools read it: RocketMQ's JSON.

use broker::{Filter, Subscription};
use wire::{message::tags_code, remoting::body::SubscriptionData};

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
