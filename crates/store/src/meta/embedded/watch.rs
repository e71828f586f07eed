//! Telling watchers of changes, with a bound on what a slow one can make us keep.

use std::{collections::VecDeque, sync::Arc};

use base::limits;
use futures::{FutureExt as _, StreamExt as _, future::Either};
use tokio::sync::mpsc;

use super::Inner;
use crate::meta::{Change, MetadataError, Revision, Watch};

/// Who watches, and the newest changes for those who start a little in the past.
#[derive(Default)]
pub(super) struct Watchers {
    list: Vec<Watcher>,
    history: VecDeque<Change>,
    history_bytes: usize,
    /// Changes after this one are all in the history.
    forgotten: Revision,
}

struct Watcher {
    prefix: String,
    events: mpsc::Sender<Event>,
}

enum Event {
    Change(Change),
    /// The time at which the next lease ends may be another one now.
    LeasesChanged,
}

fn size_of(change: &Change) -> usize {
    change.key.len() + change.value.as_ref().map_or(0, bytes::Bytes::len)
}

impl Watchers {
    /// Nobody watches yet; changes up to `revision` are not known any more.
    pub(super) fn starting_at(revision: Revision) -> Self {
        Self {
            forgotten: revision,
            ..Self::default()
        }
    }

    /// Tells those whom `change` concerns. Who has not taken in earlier ones is cut off.
    pub(super) fn tell(&mut self, change: Change) {
        self.list.retain(|watcher| {
            !change.key.starts_with(&watcher.prefix)
                || watcher
                    .events
                    .try_send(Event::Change(change.clone()))
                    .is_ok()
        });
        self.history_bytes += size_of(&change);
        self.history.push_back(change);
        while (self.history.len() > limits::METADATA_HISTORY_CHANGES_MAX
            || self.history_bytes > limits::METADATA_HISTORY_BYTES_MAX)
            && let Some(oldest) = self.history.pop_front()
        {
            self.history_bytes -= size_of(&oldest);
            self.forgotten = oldest.revision;
        }
    }

    /// Lets every watcher look anew when the next lease ends.
    pub(super) fn leases_changed(&mut self) {
        self.list.retain(|watcher| {
            // A full channel wakes its watcher anyway.
            !matches!(
                watcher.events.try_send(Event::LeasesChanged),
                Err(mpsc::error::TrySendError::Closed(_))
            )
        });
    }

    fn add(
        &mut self,
        prefix: &str,
        after: Revision,
    ) -> Result<(Vec<Change>, mpsc::Receiver<Event>), MetadataError> {
        if after < self.forgotten {
            return Err(MetadataError::Unavailable {
                operation: "watch",
                reason: format!(
                    "changes after revision {} are known only from {} on: read again",
                    after.0, self.forgotten.0
                ),
            });
        }
        let concerned =
            |change: &&Change| change.revision > after && change.key.starts_with(prefix);
        let missed = self.history.iter().filter(concerned).cloned().collect();
        let (events, received) = mpsc::channel(limits::METADATA_WATCH_CHANGES_MAX);
        self.list.push(Watcher {
            prefix: prefix.to_owned(),
            events,
        });
        Ok((missed, received))
    }
}

/// A watch: first what was missed, then what comes, and an error at the end if it fell behind.
pub(super) fn stream(inner: &Arc<Inner>, prefix: &str, after: Revision) -> Watch {
    let added = inner.state.write().watchers.add(prefix, after);
    let (missed, received) = match added {
        Ok(added) => added,
        Err(error) => return futures::stream::iter([Err(error)]).boxed(),
    };
    let live = Live {
        // A watch does not keep the store open.
        inner: Arc::downgrade(inner),
        received,
    };
    let live = futures::stream::unfold(Some(live), |live| async {
        let mut live = live?;
        let next = live.next().await;
        let rest = next.is_ok().then_some(live);
        Some((next, rest))
    });
    futures::stream::iter(missed.into_iter().map(Ok))
        .chain(live)
        .boxed()
}

struct Live {
    inner: std::sync::Weak<Inner>,
    received: mpsc::Receiver<Event>,
}

impl Live {
    async fn next(&mut self) -> Result<Change, MetadataError> {
        loop {
            let expiry = self.inner.upgrade().and_then(|inner| {
                let wait = inner.next_expiry()?;
                Some(inner.clock.sleep(wait))
            });
            let expiry = match expiry {
                Some(sleep) => sleep.left_future(),
                None => futures::future::pending().right_future(),
            };
            let received = self.received.recv().boxed();
            let event = match futures::future::select(received, expiry).await {
                Either::Left((event, _)) => event,
                Either::Right(_) => {
                    if let Some(inner) = self.inner.upgrade() {
                        inner.expire_leases()?;
                    }
                    continue;
                }
            };
            match event {
                Some(Event::Change(change)) => return Ok(change),
                Some(Event::LeasesChanged) => {}
                None => {
                    return Err(MetadataError::Unavailable {
                        operation: "watch",
                        reason: "the watch fell behind or the store was closed: read again"
                            .to_owned(),
                    });
                }
            }
        }
    }
}
