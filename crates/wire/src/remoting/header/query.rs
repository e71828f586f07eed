//! Finding messages: codes 12 and 33.

use super::header;

header! {
    /// Request `QueryMessage` (12): by key or client-side id.
    pub struct QueryMessageRequest<'a> {
        /// The topic.
        topic: &'a str = "topic",
        /// Key or client-side id.
        key: &'a str = "key",
        /// Most messages wanted.
        max_count: i32 = "maxNum",
        /// Earliest store time, ms since 1970.
        begin_timestamp: i64 = "beginTimestamp",
        /// Latest store time, ms since 1970.
        end_timestamp: i64 = "endTimestamp",
        /// What `key` is: `K` a key, `U` a client-side id, `T` a tag; none is either of the first
        /// two.
        index_type: Option<&'a str> = "indexType",
        /// Where the last page ended.
        last_key: Option<&'a str> = "lastKey",
        /// `true` in clients that ask by client-side id, before `index_type` was there.
        is_unique_key: Option<bool> = "_UNIQUE_KEY_QUERY",
        /// Broker that the client means.
        broker_name: Option<&'a str> = "bname",
    }
}

header! {
    /// Answer to `QueryMessage`; the body is stored messages.
    pub struct QueryMessageResponse {
        /// When the index was last written, ms since 1970.
        index_last_update_timestamp: i64 = "indexLastUpdateTimestamp",
        /// Up to which physical offset the index goes.
        index_last_update_offset: i64 = "indexLastUpdatePhyoffset",
    }
}

header! {
    /// Request `ViewMessageById` (33); the answer's body is one stored message.
    pub struct ViewMessageRequest<'a> {
        /// The topic; sent by 5.x clients.
        topic: Option<&'a str> = "topic",
        /// Physical offset of the message.
        offset: i64 = "offset",
    }
}
