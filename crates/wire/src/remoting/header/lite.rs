//! LiteTopics as tools ask about them: codes 200074 to 200079.

use super::header;

header! {
    /// Request `GetParentTopicInfo` (200075).
    pub struct GetParentTopicInfoRequest<'a> {
        /// Topic of type LITE.
        topic: &'a str = "topic",
    }
}

header! {
    /// Request `GetLiteTopicInfo` (200076).
    pub struct GetLiteTopicInfoRequest<'a> {
        /// Topic of type LITE.
        parent_topic: &'a str = "parentTopic",
        /// LiteTopic of it.
        lite_topic: &'a str = "liteTopic",
    }
}

header! {
    /// Request `GetLiteClientInfo` (200077).
    pub struct GetLiteClientInfoRequest<'a> {
        /// Topic of type LITE.
        parent_topic: &'a str = "parentTopic",
        /// Group that is bound to it.
        group: &'a str = "group",
        /// Client of the group.
        client_id: &'a str = "clientId",
        /// LiteTopics that the answer may name.
        max_count: i32 = "maxCount" or 0,
    }
}

header! {
    /// Request `GetLiteGroupInfo` (200078).
    pub struct GetLiteGroupInfoRequest<'a> {
        /// Group that is bound to a topic of type LITE.
        group: &'a str = "group",
        /// LiteTopic of that topic; none or empty for all.
        lite_topic: Option<&'a str> = "liteTopic",
        /// LiteTopics that the answer may name.
        top_k: i32 = "topK" or 0,
    }
}

header! {
    /// Request `TriggerLiteDispatch` (200079).
    pub struct TriggerLiteDispatchRequest<'a> {
        /// Group that is bound to a topic of type LITE.
        group: &'a str = "group",
        /// Client of the group; none or empty for all.
        client_id: Option<&'a str> = "clientId",
    }
}
