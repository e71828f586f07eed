//! Administration of topics.

use wire::remoting::{
    Command, RequestCode,
    body::{
        Body as _, ParentTopicInfo, TopicConfig, TopicConfigList, TopicFilterType, TopicStatsTable,
    },
    header::{CreateTopicRequest, GetParentTopicInfoRequest, TopicRequest, permission},
};

use super::RemotingClient;
use crate::ClientError;

/// What a topic is to be.
#[derive(Clone, Debug)]
pub struct NewTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// Queues per broker.
    pub queues: u32,
    /// Value of the attribute `message.type`, such as `NORMAL`; `None` declares none.
    pub message_type: Option<&'a str>,
    /// Minutes after its last message at which a LiteTopic of it ends; `None` declares none.
    pub lite_topic_expiration_minutes: Option<u32>,
}

impl NewTopic<'_> {
    /// Attributes as changes of them are written: with a plus before the name of what is set.
    fn attributes(&self) -> impl Iterator<Item = (String, String)> {
        let message_type = self.message_type.map(str::to_owned);
        let minutes = self.lite_topic_expiration_minutes;
        [
            ("+message.type", message_type),
            ("+lite.topic.expiration", minutes.map(|m| m.to_string())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    }
}

impl RemotingClient {
    /// Creates a topic, or changes one to be so (17).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn create_topic(&self, topic: NewTopic<'_>) -> Result<(), ClientError> {
        let attributes: Vec<String> = topic
            .attributes()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let attributes = Some(attributes.join(",")).filter(|text| !text.is_empty());
        let header = CreateTopicRequest {
            topic: topic.name,
            default_topic: "TBW102",
            read_queue_count: topic.queues.cast_signed(),
            write_queue_count: topic.queues.cast_signed(),
            permission: permission::READ | permission::WRITE,
            topic_filter_type: "SINGLE_TAG",
            topic_sys_flag: Some(0),
            order: false,
            attributes: attributes.as_deref(),
            force: false,
        };
        self.call(Command::request(RequestCode::UpdateAndCreateTopic, &header))
            .await?;
        Ok(())
    }

    /// Creates topics, or changes them to be so, with one request (18).
    ///
    /// # Errors
    /// When the server refuses or does not answer; some may have been created.
    pub async fn create_topics(&self, topics: &[NewTopic<'_>]) -> Result<(), ClientError> {
        let config = |topic: &NewTopic<'_>| TopicConfig {
            attributes: topic.attributes().collect(),
            order: false,
            permission: permission::READ | permission::WRITE,
            read_queue_count: topic.queues.cast_signed(),
            topic_filter_type: TopicFilterType::SingleTag,
            topic_name: topic.name.to_owned(),
            topic_sys_flag: 0,
            write_queue_count: topic.queues.cast_signed(),
        };
        let list = TopicConfigList {
            topics: topics.iter().map(config).collect(),
        };
        let command = Command::request(RequestCode::UpdateAndCreateTopicList, &());
        self.call(command.with_body(list.encode())).await?;
        Ok(())
    }

    /// Deletes a topic and its messages (215).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn delete_topic(&self, topic: &str) -> Result<(), ClientError> {
        self.call(topic_request(RequestCode::DeleteTopicInBroker, topic))
            .await?;
        Ok(())
    }

    /// Deletes what a name server knows of a topic (216).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn delete_topic_in_name_server(&self, topic: &str) -> Result<(), ClientError> {
        self.call(topic_request(RequestCode::DeleteTopicInNameServer, topic))
            .await?;
        Ok(())
    }

    /// Settings of a topic (351).
    ///
    /// # Errors
    /// When there is no such topic, or the server does not answer.
    pub async fn topic_config(&self, topic: &str) -> Result<TopicConfig, ClientError> {
        self.body(topic_request(RequestCode::GetTopicConfig, topic))
            .await
    }

    /// LiteTopics of a topic, and who is bound to it (200075).
    ///
    /// # Errors
    /// When there is no such topic, it is not of type LITE, or the server does not answer.
    pub async fn parent_topic_info(&self, topic: &str) -> Result<ParentTopicInfo, ClientError> {
        let header = GetParentTopicInfoRequest { topic };
        self.body(Command::request(RequestCode::GetParentTopicInfo, &header))
            .await
    }

    /// First offsets and ends of the queues of a topic (202).
    ///
    /// # Errors
    /// When there is no such topic, or the server does not answer.
    pub async fn topic_stats(&self, topic: &str) -> Result<TopicStatsTable, ClientError> {
        self.body(topic_request(RequestCode::GetTopicStatsInfo, topic))
            .await
    }
}

fn topic_request(code: RequestCode, topic: &str) -> Command {
    Command::request(
        code,
        &TopicRequest {
            topic,
            is_logical: None,
        },
    )
}
