//! A watch on etcd that outlives its connections: it goes on behind the last change that it told,
//! and ends only when what comes next is known no more.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use tonic::{Request, Status, Streaming, metadata::MetadataValue};

use super::{
    ANSWER_BYTES_MAX, Inner, end_of,
    endpoints::reason,
    proto::{
        Event, WatchCreateRequest, WatchRequest, WatchResponse, event::EventType,
        watch_client::WatchClient, watch_request::RequestUnion,
    },
    unavailable,
};
use crate::meta::{Change, MetadataError, Revision, Watch};

/// How long it is waited before the next attempt; each one that fails doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Changes under `prefix` after `after`.
pub(super) fn stream(inner: Arc<Inner>, prefix: &str, after: Revision) -> Watch {
    let live = Live {
        key: inner.full_key(prefix),
        inner,
        after,
        stream: None,
        ready: VecDeque::new(),
        pause: FIRST_PAUSE,
    };
    stream::unfold(Some(live), |live| async {
        let mut live = live?;
        let next = live.next().await;
        let rest = next.is_ok().then_some(live);
        Some((next, rest))
    })
    .boxed()
}

struct Live {
    inner: Arc<Inner>,
    key: Vec<u8>,
    /// All changes up to this one have been told or are `ready`.
    after: Revision,
    stream: Option<Streaming<WatchResponse>>,
    ready: VecDeque<Change>,
    pause: Duration,
}

/// What became of an attempt to read on.
enum Failed {
    /// Another attempt may work.
    ForNow(String),
    /// The changes that come next are gone.
    Compacted(i64),
}

impl Live {
    async fn next(&mut self) -> Result<Change, MetadataError> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(change);
            }
            match self.read().await {
                Ok(()) => self.pause = FIRST_PAUSE,
                Err(Failed::ForNow(reason)) => {
                    self.stream = None;
                    if self.pause == FIRST_PAUSE {
                        tracing::warn!(reason, "watch of metadata interrupted");
                    }
                    self.inner.clock.sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
                Err(Failed::Compacted(first)) => {
                    let after = self.after.0;
                    let reason = format!(
                        "changes after revision {after} are known only from {first} on: read again"
                    );
                    return Err(unavailable("watch", reason));
                }
            }
        }
    }

    /// Makes one more answer ready, whole.
    async fn read(&mut self) -> Result<(), Failed> {
        let mut events = Vec::new();
        loop {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                None => {
                    // What a broken answer brought comes again.
                    events.clear();
                    let begun = self.begin().await?;
                    self.stream.insert(begun)
                }
            };
            let answer = match stream.next().await {
                Some(Ok(answer)) => answer,
                Some(Err(status)) => return Err(Failed::ForNow(reason(&status))),
                None => return Err(Failed::ForNow("etcd ended the watch".to_owned())),
            };
            if answer.compact_revision > 0 {
                return Err(Failed::Compacted(answer.compact_revision));
            }
            if answer.canceled {
                return Err(Failed::ForNow(answer.cancel_reason));
            }
            events.extend(answer.events);
            if !answer.fragment {
                break;
            }
        }
        for event in events {
            self.take(event);
        }
        Ok(())
    }

    fn take(&mut self, event: Event) {
        let is_put = event.r#type() == EventType::Put;
        let Some(kv) = event.kv else {
            return;
        };
        let revision = Revision(kv.mod_revision.cast_unsigned());
        self.after = self.after.max(revision);
        let Some(key) = self.inner.own_key(&kv.key) else {
            tracing::warn!(?revision, "a key in etcd is not text, left out");
            return;
        };
        self.ready.push_back(Change {
            key,
            value: is_put.then_some(kv.value),
            revision,
        });
    }

    async fn begin(&self) -> Result<Streaming<WatchResponse>, Failed> {
        let create = WatchCreateRequest {
            key: self.key.clone(),
            range_end: end_of(&self.key),
            start_revision: self.after.0.cast_signed() + 1,
            fragment: true,
        };
        let create = WatchRequest {
            request_union: Some(RequestUnion::CreateRequest(create)),
        };
        let member = self.inner.endpoints.current();
        // The requests do not end: that would end the watch.
        let requests = stream::iter([create]).chain(stream::pending());
        let mut request = Request::new(requests);
        // A member cut off from the others ends the watch instead of keeping silent.
        let key = "hasleader";
        request
            .metadata_mut()
            .insert(key, MetadataValue::from_static("true"));
        let mut client =
            WatchClient::new(member.channel()).max_decoding_message_size(ANSWER_BYTES_MAX);
        let begin = client.watch(request);
        let limit = self.inner.clock.sleep(self.inner.request_time_max);
        futures::pin_mut!(begin);
        let begun = match futures::future::select(begin, limit).await {
            futures::future::Either::Left((begun, _)) => begun,
            futures::future::Either::Right(_) => Err(Status::deadline_exceeded("no answer")),
        };
        begun.map(tonic::Response::into_inner).map_err(|status| {
            self.inner.endpoints.leave(&member);
            Failed::ForNow(reason(&status))
        })
    }
}
