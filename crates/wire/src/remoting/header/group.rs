//! Administration of groups: codes 201, 207, 208, 343, 352, 222.

use super::header;

header! {
    /// Request `DeleteGroup` (207).
    pub struct DeleteGroupRequest<'a> {
        /// The group.
        group: &'a str = "groupName",
        /// Whether its offsets go too.
        clean_offset: bool = "cleanOffset" or false,
    }
}

header! {
    /// Request `GetGroupConfig` (352), `QueryTopicsByConsumer` (343).
    pub struct GroupRequest<'a> {
        /// The group.
        group: &'a str = "group",
    }
}

header! {
    /// Request `GetAllGroupConfig` (201); 5.3 and later ask in pages.
    pub struct GetAllGroupConfigRequest<'a> {
        /// First group of the page.
        first_group: Option<i32> = "groupSeq",
        /// Version that the pages so far had.
        data_version: Option<&'a str> = "dataVersion",
        /// Most groups in the page.
        max_group_count: Option<i32> = "maxGroupNum",
    }
}

header! {
    /// Answer to `GetAllGroupConfig`.
    pub struct GetAllGroupConfigResponse {
        /// Groups altogether.
        total_group_count: i32 = "totalGroupNum",
    }
}

header! {
    /// Request `GetConsumeStats` (208).
    pub struct GetConsumeStatsRequest<'a> {
        /// The group.
        consumer_group: &'a str = "consumerGroup",
        /// One topic only; none or empty is all.
        topic: Option<&'a str> = "topic",
        /// Some topics only, separated by `;`; goes before `topic`.
        topic_list: Option<&'a str> = "topicList",
    }
}

header! {
    /// Request `InvokeBrokerToResetOffset` (222), and `ResetConsumerClientOffset` (220) from server
    /// to client.
    pub struct ResetOffsetRequest<'a> {
        /// The group.
        group: &'a str = "group",
        /// The topic.
        topic: &'a str = "topic",
        /// One queue only; negative or none is all.
        queue_id: Option<i32> = "queueId",
        /// Offset to reset to; none or negative is by time.
        offset: Option<i64> = "offset",
        /// Store time to reset to, ms since 1970; -1 is the end.
        timestamp: i64 = "timestamp" or -1,
        /// Whether offsets may go forward as well.
        is_force: bool = "isForce" or false,
    }
}
