//! What the engine does in the background, and how little of it anybody should feel.
//!
//! It merges tables when four batches have come. On its own it would merge nearly all there is each
//! time, into tables of 64 MiB: seconds of a processor, and then a sync that every commit of the
//! log on the same disk waits behind. Both are told by the slowest hundredth of the messages.

use std::{sync::Arc, thread};

use fjall::compaction::Leveled;

/// Size of a table that a merge makes, and so of what is synced at a time: some tens of
/// milliseconds of a common disk. A quarter of what the first level has, so that is small too. The
/// price is one level more per factor of ten, which a filter in memory answers for most reads.
const TABLE_BYTES: u64 = 8 * 1024 * 1024;

/// Nice value of the engine's thread: nobody waits for what is merged, and a request that comes
/// meanwhile is to have the processor at once. With all of them busy it still has a tenth of one.
const NICE: i32 = 10;

/// How tables are merged, of keyspaces made from now on. Those that are there keep their way.
pub(super) fn merging() -> Arc<Leveled> {
    Arc::new(Leveled::default().with_table_target_size(TABLE_BYTES))
}

/// Does what starts threads of the engine, which are to let everybody else go first.
pub(super) fn starting<T: Send>(start: impl FnOnce() -> T + Send) -> T {
    // A thread gets the nice value of the one that starts it, and none may go back to a better one.
    let started = thread::scope(|scope| {
        let start = || {
            if let Err(error) = give_way() {
                tracing::debug!(%error, "merging of the state KV goes on at the usual priority");
            }
            start()
        };
        scope.spawn(start).join()
    });
    started.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn give_way() -> rustix::io::Result<()> {
    // To Linux the process `None` is this thread.
    let now = rustix::process::getpriority_process(None)?;
    rustix::process::setpriority_process(None, now.max(NICE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_gives_way_and_who_starts_it_does_not() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let started = starting(|| thread::spawn(nice).join().unwrap());
        assert_eq!((started, nice()), (before.max(NICE), before));
    }
}
