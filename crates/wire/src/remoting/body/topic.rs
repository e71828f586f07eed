//! Settings and offsets of topics.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Body, BodyError, QueueTable, bodies, value};

/// Settings of a topic, answer to `GetTopicConfig` (351).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicConfig {
    /// Attributes, `message.type` among them. Stored without the `+` of a change.
    #[serde(default, deserialize_with = "value::or_default")]
    pub attributes: BTreeMap<String, String>,
    /// Whether clients must see its queues in a fixed order.
    #[serde(default)]
    pub order: bool,
    /// Bits of [`crate::remoting::header::permission`].
    #[serde(rename = "perm", deserialize_with = "value::number")]
    pub permission: i32,
    /// Queues to read from.
    #[serde(rename = "readQueueNums", deserialize_with = "value::number")]
    pub read_queue_count: i32,
    /// Whether messages have one tag or several.
    #[serde(default)]
    pub topic_filter_type: TopicFilterType,
    /// The topic.
    pub topic_name: String,
    /// System flag of the topic.
    #[serde(default, deserialize_with = "value::number")]
    pub topic_sys_flag: i32,
    /// Queues to write to.
    #[serde(rename = "writeQueueNums", deserialize_with = "value::number")]
    pub write_queue_count: i32,
}

value::lenient_enum! {
    /// Whether the messages of a topic have one tag or several.
    pub enum TopicFilterType {
        /// One tag.
        SingleTag = "0" "SINGLE_TAG",
        /// Several tags.
        MultiTag = "1" "MULTI_TAG",
    } else SingleTag
}

/// Version of a table of settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataVersion {
    /// Changes since then.
    #[serde(default, deserialize_with = "value::number")]
    pub counter: i64,
    /// Epoch of the master.
    #[serde(default, deserialize_with = "value::number")]
    pub state_version: i64,
    /// When the table was last changed, ms since 1970.
    #[serde(default, deserialize_with = "value::number")]
    pub timestamp: i64,
}

/// Answer to `GetAllTopicConfig` (21).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicConfigTable {
    /// Version of the table.
    #[serde(default, deserialize_with = "value::or_default")]
    pub data_version: DataVersion,
    /// Settings by topic.
    #[serde(
        rename = "topicConfigTable",
        default,
        deserialize_with = "value::or_default"
    )]
    pub topics: BTreeMap<String, TopicConfig>,
}

/// Body of `UpdateAndCreateTopicList` (18).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicConfigList {
    /// The topics.
    #[serde(
        rename = "topicConfigList",
        default,
        deserialize_with = "value::or_default"
    )]
    pub topics: Vec<TopicConfig>,
}

/// Offsets of one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicOffset {
    /// When the queue was last written, ms since 1970; 0 if never.
    #[serde(default, deserialize_with = "value::number")]
    pub last_update_timestamp: i64,
    /// Offset that the next message will have.
    #[serde(deserialize_with = "value::number")]
    pub max_offset: i64,
    /// Offset of the first message.
    #[serde(deserialize_with = "value::number")]
    pub min_offset: i64,
}

/// Answer to `GetTopicStatsInfo` (202).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicStatsTable {
    /// Offsets by queue.
    #[serde(default)]
    pub offset_table: QueueTable<TopicOffset>,
    /// Messages written per second.
    #[serde(default)]
    pub topic_put_tps: f64,
}

impl Body for TopicStatsTable {
    const NAME: &'static str = "TopicStatsTable";

    fn decode(body: &[u8]) -> Result<Self, BodyError> {
        super::read(body, Self::NAME)
    }

    fn encode(&self) -> Bytes {
        let mut json = b"{\"offsetTable\":".to_vec();
        self.offset_table.write(&mut json);
        let tps = value::finite(self.topic_put_tps);
        json.extend_from_slice(format!(",\"topicPutTps\":{tps:?}}}").as_bytes());
        json.into()
    }
}

bodies!(TopicConfig, TopicConfigList, TopicConfigTable);
