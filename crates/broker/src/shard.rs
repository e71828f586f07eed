//! A shard: one log, the state derived from it, and the verbs on both.

use std::sync::Arc;

use base::{Clock, Random, ShardId};
use store::{kv::StateKv, log::SharedLog};

/// What a shard is made of.
pub struct ShardParts {
    /// Its number.
    pub id: ShardId,
    /// Its log.
    pub log: SharedLog,
    /// Its derived state.
    pub kv: Arc<dyn StateKv>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
}

/// Why a shard did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenShardError {}

/// One shard of one instance.
pub struct Shard;

#[expect(clippy::unused_self, reason = "being written")]
impl Shard {
    /// Its number.
    pub fn id(&self) -> ShardId {
        unimplemented!()
    }
}
