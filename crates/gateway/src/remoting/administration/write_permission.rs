//! Taking a broker out of the routes of producers, and back in (codes 205, 327). As on Apache's
//! name server it is about routes alone, and forgotten at a restart.

use std::sync::Arc;

use base::InstanceId;
use broker::Instance;
use wire::remoting::{
    Command,
    header::{AddWritePermissionResponse, BrokerNameRequest, WipeWritePermissionResponse},
};

use crate::{
    front::broker_name,
    remoting::{
        connection::Connection,
        reply::{Answer, Reply},
    },
};

/// Code 205.
pub(super) fn wipe(connection: &Connection, request: &Command) -> Answer {
    let topic_count = offer(connection, request, false)?;
    let header = WipeWritePermissionResponse { topic_count };
    Ok(Reply::header(request, &header))
}

/// Code 327.
pub(super) fn add(connection: &Connection, request: &Command) -> Answer {
    let topic_count = offer(connection, request, true)?;
    let header = AddWritePermissionResponse { topic_count };
    Ok(Reply::header(request, &header))
}

/// Returns the topics that it concerns; of a broker that is not here, none.
fn offer(
    connection: &Connection,
    request: &Command,
    offered: bool,
) -> Result<i32, crate::remoting::reply::Refusal> {
    let header: BrokerNameRequest<'_> = request.header()?;
    let Some(instance) = instance_of(connection, header.broker_name) else {
        return Ok(0);
    };
    instance.offer_writes(offered);
    Ok(i32::try_from(instance.topics().len()).unwrap_or(i32::MAX))
}

fn instance_of(connection: &Connection, name: &str) -> Option<Arc<Instance>> {
    let (id, _) = name.rsplit_once('-')?;
    let id = InstanceId::new(id).ok()?;
    let instance = connection.front.router.instance(&id).ok()?;
    let mut shards = instance.shards().into_iter();
    let is_here = shards.any(|shard| broker_name(instance.id(), shard.id()) == name);
    is_here.then_some(instance)
}
