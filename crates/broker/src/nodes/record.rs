//! What is known of a node, and how it is stored. Fields are only ever added, with a default.

use base::{InstanceId, ShardId};
use serde::{Deserialize, Serialize};

use super::KNOWN;

/// What is known of a node, whether it is there or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its name, that of nobody else.
    pub name: String,
    /// Its number, that of its shards.
    pub number: ShardId,
    /// Its data folder: who starts with another one is another node.
    pub folder: String,
    /// How often it has started.
    pub epoch: u64,
    /// The release that it runs.
    pub version: String,
    /// Where clients find it, `HOST:PORT` each.
    pub addresses: Vec<String>,
    /// The instance that it is for; `None` where it is for all that have no nodes of their own.
    pub instance: Option<InstanceId>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    number: u16,
    folder: String,
    epoch: u64,
    #[serde(default)]
    version: String,
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
}

impl NodeRecord {
    pub(super) fn key(&self) -> String {
        format!("{KNOWN}{}", self.name)
    }

    pub(super) fn stored(&self) -> Vec<u8> {
        let stored = Stored {
            number: self.number.get(),
            folder: self.folder.clone(),
            epoch: self.epoch,
            version: self.version.clone(),
            addresses: self.addresses.clone(),
            instance: self.instance.as_ref().map(InstanceId::to_string),
        };
        serde_json::to_vec(&stored).expect("plain data becomes JSON")
    }

    pub(super) fn read(name: &str, value: &[u8]) -> Result<Self, serde_json::Error> {
        let stored: Stored = serde_json::from_slice(value)?;
        let instance = stored.instance.as_deref().map(InstanceId::new);
        let instance = instance.transpose().map_err(serde::de::Error::custom)?;
        Ok(Self {
            name: name.to_owned(),
            number: ShardId::new(stored.number),
            folder: stored.folder,
            epoch: stored.epoch,
            version: stored.version,
            addresses: stored.addresses,
            instance,
        })
    }
}
