//! Queues as clients name them, and tables by queue.

use std::{fmt, marker::PhantomData};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};

use super::{bodies, value};

/// A queue of a topic on a broker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, DeriveDeserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageQueue {
    /// The broker, which is a shard.
    pub broker_name: String,
    /// Queue within the topic.
    #[serde(deserialize_with = "value::number")]
    pub queue_id: i32,
    /// The topic.
    pub topic: String,
}

/// A map from queues. On the wire its keys are objects without quotes, which no standard reader
/// takes: only clients and tools in Java exchange it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueTable<V>(pub Vec<(MessageQueue, V)>);

impl<V> Default for QueueTable<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V: Serialize> QueueTable<V> {
    /// Appends the table as fastjson writes it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let fits = "queues and offsets have text keys only and no failing field";
        out.push(b'{');
        for (index, (queue, value)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            serde_json::to_writer(&mut *out, queue).expect(fits);
            out.push(b':');
            serde_json::to_writer(&mut *out, value).expect(fits);
        }
        out.push(b'}');
    }
}

/// Reads what `super::lenient` makes of the table: the keys are texts that hold JSON.
impl<'de, V: Deserialize<'de>> Deserialize<'de> for QueueTable<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Table<V> {
            type Value = QueueTable<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object whose keys are queues")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    let queue = serde_json::from_str(&key).map_err(A::Error::custom)?;
                    entries.push((queue, map.next_value()?));
                }
                Ok(QueueTable(entries))
            }
        }
        deserializer.deserialize_map(Table(PhantomData))
    }
}

/// Body of `LockQueues` (41) and `UnlockQueues` (42).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, DeriveDeserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockQueuesRequest {
    /// Group that wants the queues.
    pub consumer_group: String,
    /// Client that wants the queues.
    pub client_id: String,
    /// Whether other brokers are left out; always so here.
    #[serde(default)]
    pub only_this_broker: bool,
    /// The queues.
    #[serde(rename = "mqSet", default, deserialize_with = "value::or_default")]
    pub queues: Vec<MessageQueue>,
}

/// Answer to `LockQueues`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, DeriveDeserialize)]
pub struct LockQueuesResponse {
    /// The queues that the client now holds.
    #[serde(
        rename = "lockOKMQSet",
        default,
        deserialize_with = "value::or_default"
    )]
    pub locked_queues: Vec<MessageQueue>,
}

bodies!(LockQueuesRequest, LockQueuesResponse);
