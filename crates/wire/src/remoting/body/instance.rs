//! Instances, as administrators create, change and list them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bodies;

/// An instance: body of `CreateInstance` (31011) and `UpdateInstance` (31012), answer to the first
/// and to `GetInstance` (31014). Of a change, what is not there stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceInfo {
    /// Its id; the server gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Its series: `4.x` or `5.x`, and `any` where the default instance takes all clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// Its name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What somebody noted about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// Labels by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// When it was created, ms since 1970; the server says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at_ms: Option<i64>,
    /// Topics that it has; the server says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_count: Option<u64>,
    /// Groups that it has; the server says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_count: Option<u64>,
}

/// Answer to `ListInstances` (31015).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceList(pub Vec<InstanceInfo>);

bodies!(InstanceInfo, InstanceList);
