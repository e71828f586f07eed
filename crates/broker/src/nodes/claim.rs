//! A node's claim to its name and number.

use base::{InstanceId, ShardId, limits};
use store::meta::{Expected, MetadataError, MetadataStore};

use super::{KNOWN, NodeRecord};

/// Where the number is that was given out last.
const LAST_NUMBER: &str = "nodes/last-number";

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Its name.
    pub name: String,
    /// What tells its data folder from all others.
    pub folder: String,
    /// The number that it has, by what is in its data folder; `None` before its first start in a
    /// cluster.
    pub number: Option<ShardId>,
    /// The instance that it is for; `None` for all that have no nodes of their own.
    pub instance: Option<InstanceId>,
}

/// Why a node cannot join a cluster.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The name cannot be one.
    #[error(
        "node name `{name}` is not 1 to {max} letters, digits, `-`, `_` or `.`",
        max = limits::NODE_NAME_BYTES_MAX
    )]
    Name {
        /// The name, shortened.
        name: String,
    },
    /// Another data folder has the name.
    #[error(
        "node name `{name}` belongs to node {number} with another data folder: choose another name"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Whose it is.
        number: ShardId,
    },
    /// The cluster does not know a node that says it is one of its.
    #[error(
        "node `{name}` with number {number} is not known to the cluster: it was taken out, or this is \
         another etcd or prefix"
    )]
    Unknown {
        /// The name.
        name: String,
        /// The number in its data folder.
        number: ShardId,
    },
    /// It stored the messages of other instances until now.
    #[error("node `{name}` is for {known}, expected that as before and not {asked}")]
    Instance {
        /// The name.
        name: String,
        /// What it was for.
        known: String,
        /// What it is started for.
        asked: String,
    },
    /// There are as many nodes as there may be.
    #[error("cluster has {count} nodes, limit {limit}")]
    TooMany {
        /// Nodes there are.
        count: usize,
        /// Nodes there may be.
        limit: usize,
    },
    /// All numbers have been given out.
    #[error("all {limit} numbers for nodes are used up")]
    NoNumber {
        /// Numbers there are.
        limit: u16,
    },
    /// The store cannot be asked.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

/// Claims name and number, and counts the start.
pub(super) async fn claim(
    metadata: &dyn MetadataStore,
    identity: &NodeIdentity,
    version: &str,
) -> Result<NodeRecord, JoinError> {
    check_name(&identity.name)?;
    let key = format!("{KNOWN}{}", identity.name);
    loop {
        let found = metadata.get(&key).await?;
        let (expected, record) = match &found {
            Some(entry) => {
                let known = NodeRecord::read(&identity.name, &entry.value)
                    .map_err(|error| entry.unreadable(error))?;
                let number = known.number;
                if known.folder != identity.folder {
                    let name = identity.name.clone();
                    return Err(JoinError::NameTaken { name, number });
                }
                if let Some(number) = identity.number.filter(|own| *own != number) {
                    let name = identity.name.clone();
                    return Err(JoinError::Unknown { name, number });
                }
                if known.instance != identity.instance {
                    return Err(JoinError::Instance {
                        name: identity.name.clone(),
                        known: shown(known.instance.as_ref()),
                        asked: shown(identity.instance.as_ref()),
                    });
                }
                let epoch = known.epoch + 1;
                (Expected::At(entry.revision), NodeRecord { epoch, ..known })
            }
            None => {
                if let Some(number) = identity.number {
                    let name = identity.name.clone();
                    return Err(JoinError::Unknown { name, number });
                }
                let count = metadata.range(KNOWN).await?.0.len();
                let limit = limits::NODES_MAX;
                if count >= limit {
                    return Err(JoinError::TooMany { count, limit });
                }
                let record = NodeRecord {
                    name: identity.name.clone(),
                    number: next_number(metadata).await?,
                    folder: identity.folder.clone(),
                    epoch: 1,
                    version: String::new(),
                    addresses: Vec::new(),
                    instance: identity.instance.clone(),
                };
                (Expected::Absent, record)
            }
        };
        let record = NodeRecord {
            version: version.to_owned(),
            ..record
        };
        let value = Some(record.stored().into());
        match metadata.compare_and_set(&key, expected, value, None).await {
            Ok(_) => return Ok(record),
            // Somebody else claims it: look who.
            Err(MetadataError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A number that no node has had.
async fn next_number(metadata: &dyn MetadataStore) -> Result<ShardId, JoinError> {
    loop {
        let found = metadata.get(LAST_NUMBER).await?;
        let (expected, number) = match &found {
            None => (Expected::Absent, 0),
            Some(entry) => {
                let text = str::from_utf8(&entry.value).ok();
                let last: Option<u16> = text.and_then(|text| text.parse().ok());
                let last = last.ok_or_else(|| entry.unreadable("not a number"))?;
                (Expected::At(entry.revision), last.saturating_add(1))
            }
        };
        let limit = limits::NODE_NUMBERS_MAX;
        if number >= limit {
            return Err(JoinError::NoNumber { limit });
        }
        let value = Some(number.to_string().into_bytes().into());
        let put = metadata.compare_and_set(LAST_NUMBER, expected, value, None);
        match put.await {
            Ok(_) => return Ok(ShardId::new(number)),
            Err(MetadataError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn shown(instance: Option<&InstanceId>) -> String {
    instance.map_or_else(
        || "instances that share nodes".to_owned(),
        |instance| format!("instance `{instance}`"),
    )
}

fn check_name(name: &str) -> Result<(), JoinError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_right = !name.is_empty() && name.chars().all(fits);
    if is_right && name.len() <= limits::NODE_NAME_BYTES_MAX {
        return Ok(());
    }
    let name = name.chars().take(limits::NODE_NAME_BYTES_MAX).collect();
    Err(JoinError::Name { name })
}
