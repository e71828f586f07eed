//! All offsets of all groups (code 43).

use broker::ProgressOf;
use wire::remoting::{Command, body::ConsumerOffsets};

use crate::remoting::{
    connection::Connection,
    reply::{Answer, Reply},
};

/// Code 43.
pub(super) fn all(connection: &Connection, request: &Command) -> Answer {
    let instance = connection.front.settle([])?;
    let mut offsets = ConsumerOffsets::default();
    for progress in connection.shard(instance.id())?.progress(ProgressOf::All)? {
        let pair = format!("{}@{}", progress.topic, progress.group);
        let queue = progress.queue.get().cast_signed();
        let committed = progress.committed.get().cast_signed();
        let queues = offsets.offset_table.entry(pair).or_default();
        queues.insert(queue, committed);
    }
    Ok(Reply::body(request, &offsets))
}
