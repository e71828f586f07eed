//! Instances, as administrators create, change and list them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bodies;

/// An instance: body of `CreateInstance` (31011) and `UpdateInstance` (31012), answer to the first
/// and to `GetInstance` (31014). Of a change, what is not there stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// How it stands, e.g. `RUNNING`; the server says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What it was ordered as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanInfo>,
}

/// What an instance is ordered as, and the body of `RenewInstance` (31016), where only the period
/// counts. Names and values are those of the service's OpenAPI of 2022-08-01. Of a change, what is
/// not there stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanInfo {
    /// Edition: `standard`, `professional`, `ultimate`, `shared` or `dedicated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series_code: Option<String>,
    /// Set-up: `cluster_ha`, `single_node` or `serverless`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_series_code: Option<String>,
    /// Specification, e.g. `rmq.p2.10xlarge`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg_process_spec: Option<String>,
    /// `PayAsYouGo` or `Subscription`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_type: Option<String>,
    /// For how many months or years it is subscribed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u32>,
    /// `Month` or `Year`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_unit: Option<String>,
    /// Whether the subscription is prolonged by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_renew: Option<bool>,
    /// By how many months.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_renew_period: Option<u32>,
    /// Of serverless instances: `provisioned` or `ondemand`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_type: Option<String>,
    /// Of serverless instances: reserved TPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioned_capacity: Option<u64>,
    /// Whether it may go past its TPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_scaling: Option<bool>,
    /// Of serverless instances: whether the limit follows the traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptive_elasticity: Option<bool>,
    /// The part of the TPS that sends have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_receive_ratio: Option<f64>,
    /// How long messages are kept, in hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_retention_time: Option<u32>,
    /// Whether messages are traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_on: Option<bool>,
    /// Whether the way from the Internet is open: `enable` or `disable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internet_spec: Option<String>,
    /// `payByBandwidth`, `payByTraffic`, or `uninvolved` where the way is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_out_type: Option<String>,
    /// Mbit/s out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_out_bandwidth: Option<u32>,
    /// Nodes of its own; only instances of a fleet and of the edition ultimate have any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_count: Option<u16>,
    /// When the subscription ends, ms since 1970; the server says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire_time_ms: Option<i64>,
    /// Messaging TPS that are paid for; the server says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_tps: Option<u64>,
    /// TPS beyond them that may be used; the server says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst_tps: Option<u64>,
}

/// What an instance used in one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsageInfo {
    /// The instance.
    pub instance_id: String,
    /// When the hour began, ms since 1970.
    pub hour_ms: i64,
    /// Sends, in units.
    pub send_units: u64,
    /// Deliveries, in units.
    pub receive_units: u64,
    /// Bytes stored at the start of the hour.
    pub storage_bytes: u64,
    /// Most TPS of the hour past those that are paid for.
    pub elastic_tps: u64,
}

/// Answer to `ListUsage` (31019), by instance and hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UsageList(pub Vec<UsageInfo>);

/// Answer to `ListInstances` (31015).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceList(pub Vec<InstanceInfo>);

bodies!(InstanceInfo, InstanceList, PlanInfo, UsageList);
