//! What a client is asked and answers, in the form that tools read it: RocketMQ's JSON.

use std::time::Duration;

use base::{GroupName, TopicName};
use broker::{
    AskError, ClientAnswer, ClientQuestion, ConsumeMode, ConsumerSubscription, Filter, Instance,
    Subscription,
};
use bytes::Bytes;
use wire::{
    message::{StoredMessage, tags_code},
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

/// How long a client may take to answer; Apache's broker waits as long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a member of a group did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskMemberError {
    /// It is no member, or says nothing.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It would not.
    #[error("client `{client}` refused: {remark}")]
    Refused {
        /// Its id.
        client: String,
        /// What it said.
        remark: String,
    },
    /// It did, and that failed.
    #[error("client `{client}`: {result} {remark}")]
    Failed {
        /// Its id.
        client: String,
        /// The result, in its word.
        result: String,
        /// What it said.
        remark: String,
    },
    /// What it said cannot be read.
    #[error("answer of client `{client}`: {reason}")]
    Answer {
        /// Its id.
        client: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Asks a client that must be a consumer of the group: rights are on the group.
async fn ask_member(
    instance: &Instance,
    group: &GroupName,
    client: &str,
    question: ClientQuestion,
) -> Result<Bytes, AskMemberError> {
    let members = instance.consumers(group);
    if !members.iter().any(|member| member.client.id == client) {
        let client = client.chars().take(128).collect();
        return Err(AskError::NotConnected { client }.into());
    }
    match instance.ask(client, question, PATIENCE).await? {
        ClientAnswer::Done(answer) => Ok(answer),
        ClientAnswer::Refused(remark) => {
            let client = client.to_owned();
            Err(AskMemberError::Refused { client, remark })
        }
    }
}

/// Has a member of a group consume a message.
pub(crate) async fn consume_directly(
    instance: &Instance,
    group: &GroupName,
    client: &str,
    topic: TopicName,
    message: StoredMessage,
) -> Result<(), AskMemberError> {
    let question = ClientQuestion::ConsumeDirectly {
        group: group.clone(),
        topic,
        message,
    };
    let answer = ask_member(instance, group, client, question).await?;
    let client = client.to_owned();
    match ConsumeDirectlyResult::decode(&answer) {
        Ok(result) if result.consume_result == "CR_SUCCESS" => Ok(()),
        Ok(ConsumeDirectlyResult {
            consume_result: result,
            remark,
            ..
        }) => Err(AskMemberError::Failed {
            client,
            result,
            remark,
        }),
        Err(error) => Err(AskMemberError::Answer {
            client,
            reason: error.to_string(),
        }),
    }
}

/// What the threads of a member do: each with the lines of its stack.
pub(crate) async fn stacks(
    instance: &Instance,
    group: &GroupName,
    client: &str,
) -> Result<Vec<(String, Vec<String>)>, AskMemberError> {
    let question = ClientQuestion::RunningInfo {
        group: group.clone(),
        with_stacks: true,
    };
    let answer = ask_member(instance, group, client, question).await?;
    match ConsumerRunningInfo::decode(&answer) {
        Ok(info) => Ok(threads(&info.stacks)),
        Err(error) => Err(AskMemberError::Answer {
            client: client.to_owned(),
            reason: error.to_string(),
        }),
    }
}

/// The threads of a text in which blank lines part them, and each line begins with the thread.
pub(crate) fn threads(stacks: &str) -> Vec<(String, Vec<String>)> {
    let mut threads = Vec::new();
    let mut lines = stacks.lines().peekable();
    while lines.peek().is_some() {
        let block = lines.by_ref().take_while(|line| !line.trim().is_empty());
        let block: Vec<&str> = block.collect();
        let Some(first) = block.first() else {
            continue;
        };
        let name = first.split("TID:").next().unwrap_or_default().trim();
        let track = block.iter().map(|line| line.trim().to_owned());
        threads.push((name.to_owned(), track.collect()));
    }
    threads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_parted_at_blank_lines() {
        let text = "main    TID: 1 STATE: WAITING\nmain    a.b.C.d\n\n\nother  TID: 2 STATE: X\n";
        let threads = threads(text);
        let names: Vec<&str> = threads.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["main", "other"]);
        assert_eq!(threads[0].1[1], "main    a.b.C.d");
    }
}
