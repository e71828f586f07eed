//! The nodes of a cluster, as administrators list them.

use serde::{Deserialize, Serialize};

use super::bodies;

/// A node of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Its number, that of its shards.
    pub number: u16,
    /// The instance that it is for; `None` for all that have no nodes of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The release that it runs.
    pub version: String,
    /// Where clients find it, `HOST:PORT` each.
    pub addresses: Vec<String>,
    /// Whether it is there now.
    pub is_live: bool,
    /// Whether it is in the routes for sends.
    pub sends: bool,
    /// Why changes of its topics and groups are refused, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// Of one that is out of the routes for sends: messages that are not consumed yet, once that is
    /// known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unconsumed: Option<u64>,
}

/// Answer to `ListNodes` (31021), by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeList(pub Vec<NodeInfo>);

bodies!(NodeList);
