//! The name-server role: codes 105, 106, 206, 224, 100 to 102.

use super::header;

header! {
    /// Request `GetRouteByTopic` (105).
    pub struct GetRouteRequest<'a> {
        /// The topic.
        topic: &'a str = "topic",
        /// Whether the client reads standard JSON only; none is no.
        accept_standard_json_only: Option<bool> = "acceptStandardJsonOnly",
    }
}

header! {
    /// Request `GetTopicsByCluster` (224).
    pub struct GetTopicsByClusterRequest<'a> {
        /// The cluster.
        cluster: &'a str = "cluster",
    }
}

header! {
    /// Request `GetKvConfig` (101) and `DeleteKvConfig` (102).
    pub struct KvConfigRequest<'a> {
        /// Namespace of the key.
        namespace: &'a str = "namespace",
        /// The key.
        key: &'a str = "key",
    }
}

header! {
    /// Request `PutKvConfig` (100).
    pub struct PutKvConfigRequest<'a> {
        /// Namespace of the key.
        namespace: &'a str = "namespace",
        /// The key.
        key: &'a str = "key",
        /// The value.
        value: &'a str = "value",
    }
}

header! {
    /// Answer to `GetKvConfig`.
    pub struct GetKvConfigResponse<'a> {
        /// The value.
        value: Option<&'a str> = "value",
    }
}
