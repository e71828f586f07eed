//! Which topic and group a request means. The parameter `ns` names the instance (`instance.rs`).

use base::{GroupName, TopicName};
use broker::{Place, ShardHandle};

use super::{
    call::Call,
    status::{Code, Refusal},
};
use crate::system_names::{is_system_group, is_system_topic};

/// The topic of that name, which is not the system's own.
pub(super) fn topic(name: &str) -> Result<TopicName, Refusal> {
    let topic = TopicName::new(name)?;
    if is_system_topic(name) {
        let text = format!("topic `{topic}` is the system's own");
        return Err(Refusal::new(Code::InvalidArgument, text));
    }
    Ok(topic)
}

/// The group of that name, which is not the system's own.
pub(super) fn group(name: &str) -> Result<GroupName, Refusal> {
    let group = GroupName::new(name)?;
    if is_system_group(name) {
        let text = format!("group `{group}` is the system's own");
        return Err(Refusal::new(Code::InvalidArgument, text));
    }
    Ok(group)
}

/// The shard that takes and gives messages.
pub(super) fn any_shard(call: &Call<'_>) -> Result<ShardHandle, Refusal> {
    let shards = call.instance.shards();
    let first = shards.first().ok_or_else(|| {
        let text = format!("instance `{}` has no shard here", call.instance.id());
        Refusal::new(Code::InternalError, text)
    })?;
    shard(call, first.id())
}

/// The shard of that number.
pub(super) fn shard(call: &Call<'_>, shard: base::ShardId) -> Result<ShardHandle, Refusal> {
    let instance = call.instance.id().clone();
    let place = Place { instance, shard };
    Ok(call.front.router.shard(&place)?)
}
