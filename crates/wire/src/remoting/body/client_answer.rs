//! What clients answer when they are asked.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Body, BodyError, QueueTable, SubscriptionData, bodies, value};

/// Answer of a client to `GetConsumerRunningInfo` (307).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerRunningInfo {
    /// What it says of itself, by names of its own.
    #[serde(default, deserialize_with = "value::or_default")]
    pub properties: BTreeMap<String, serde_json::Value>,
    /// What it subscribes to.
    #[serde(
        rename = "subscriptionSet",
        default,
        deserialize_with = "value::or_default"
    )]
    pub subscriptions: Vec<SubscriptionData>,
    /// What it keeps of each queue.
    #[serde(rename = "mqTable", default)]
    pub queues: QueueTable<ProcessQueueInfo>,
    /// How consumption goes, by topic.
    #[serde(
        rename = "statusTable",
        default,
        deserialize_with = "value::or_default"
    )]
    pub statuses: BTreeMap<String, ConsumeStatus>,
    /// What its threads do.
    #[serde(rename = "jstack", default, deserialize_with = "value::or_default")]
    pub stacks: String,
}

impl Body for ConsumerRunningInfo {
    const NAME: &'static str = "ConsumerRunningInfo";

    fn decode(body: &[u8]) -> Result<Self, BodyError> {
        super::read(body, Self::NAME)
    }

    fn encode(&self) -> Bytes {
        let mut json = b"{\"mqTable\":".to_vec();
        self.queues.write(&mut json);
        let rest = Rest {
            properties: &self.properties,
            subscription_set: &self.subscriptions,
            status_table: &self.statuses,
            jstack: &self.stacks,
        };
        let rest = serde_json::to_vec(&rest).expect("maps of texts and numbers are JSON");
        json.push(b',');
        json.extend_from_slice(&rest[1..]);
        json.into()
    }
}

/// All of it that is plain JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rest<'a> {
    properties: &'a BTreeMap<String, serde_json::Value>,
    subscription_set: &'a [SubscriptionData],
    status_table: &'a BTreeMap<String, ConsumeStatus>,
    jstack: &'a str,
}

/// What a client keeps of one queue that it consumes. Offsets are those of the queue, times ms
/// since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProcessQueueInfo {
    /// How far it has come.
    pub commit_offset: i64,
    /// First message that it holds.
    pub cached_msg_min_offset: i64,
    /// Last message that it holds.
    pub cached_msg_max_offset: i64,
    /// Messages that it holds.
    pub cached_msg_count: i32,
    /// Their size in MiB.
    #[serde(rename = "cachedMsgSizeInMiB")]
    pub cached_msg_size_in_mib: i32,
    /// First message that is being consumed in order.
    pub transaction_msg_min_offset: i64,
    /// Last message that is being consumed in order.
    pub transaction_msg_max_offset: i64,
    /// Messages that are being consumed in order.
    pub transaction_msg_count: i32,
    /// Whether it has the queue's lock.
    pub locked: bool,
    /// How often it tried to give the lock back.
    pub try_unlock_times: i64,
    /// When it last took the lock.
    pub last_lock_timestamp: i64,
    /// Whether it has given the queue up.
    #[serde(rename = "droped")]
    pub dropped: bool,
    /// When it last asked for messages.
    pub last_pull_timestamp: i64,
    /// When it last consumed.
    pub last_consume_timestamp: i64,
}

/// How a client's consumption of one topic goes. Times in ms, rates per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsumeStatus {
    /// Time that a pull takes.
    #[serde(rename = "pullRT")]
    pub pull_rt: f64,
    /// Messages pulled.
    #[serde(rename = "pullTPS")]
    pub pull_tps: f64,
    /// Time that one message takes.
    #[serde(rename = "consumeRT")]
    pub consume_rt: f64,
    /// Messages consumed.
    #[serde(rename = "consumeOKTPS")]
    pub consume_ok_tps: f64,
    /// Messages failed.
    #[serde(rename = "consumeFailedTPS")]
    pub consume_failed_tps: f64,
    /// Messages failed in the last hour.
    #[serde(rename = "consumeFailedMsgs")]
    pub consume_failed_msgs: i64,
}

/// Answer of a client to `ConsumeMessageDirectly` (309).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumeDirectlyResult {
    /// Whether its group consumes in order.
    #[serde(default)]
    pub order: bool,
    /// Whether it commits offsets by itself.
    #[serde(default)]
    pub auto_commit: bool,
    /// How it went: `CR_SUCCESS`, `CR_LATER`, `CR_ROLLBACK`, `CR_COMMIT`, `CR_THROW_EXCEPTION` or
    /// `CR_RETURN_NULL`.
    #[serde(default, deserialize_with = "value::or_default")]
    pub consume_result: String,
    /// Words on it.
    #[serde(default, deserialize_with = "value::or_default")]
    pub remark: String,
    /// How long it took, ms.
    #[serde(default, deserialize_with = "value::number")]
    pub spent_time_mills: i64,
}

bodies!(ConsumeDirectlyResult);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_info_reads_back() {
        let text = "{\"jstack\":\"main\",\"mqTable\":{{\"brokerName\":\"b\",\"queueId\":1,\
                    \"topic\":\"t\"}:{\"commitOffset\":7,\"droped\":true}},\
                    \"properties\":{\"PROP_CONSUME_TYPE\":\"CONSUME_PASSIVELY\"},\
                    \"statusTable\":{\"t\":{\"pullRT\":1.5,\"consumeOKTPS\":2}},\
                    \"subscriptionSet\":[{\"topic\":\"t\",\"subString\":\"*\"}]}";
        let info = ConsumerRunningInfo::decode(text.as_bytes()).unwrap();
        assert_eq!(info.stacks, "main");
        assert_eq!(info.queues.0[0].0.queue_id, 1);
        assert!(info.queues.0[0].1.dropped);
        assert_eq!(info.statuses["t"].consume_ok_tps, 2.0);
        assert_eq!(ConsumerRunningInfo::decode(&info.encode()).unwrap(), info);
        let empty = ConsumerRunningInfo::default();
        assert_eq!(ConsumerRunningInfo::decode(&empty.encode()).unwrap(), empty);
    }
}
