//! Expiry: LiteTopics that nothing was written to for their topic's time to live go, with all their
//! messages. Looked for page by page; a write has nothing to do with it.

use std::time::Duration;

use base::{StreamKey, Timestamp, limits};
use store::{
    kv::KvError,
    log::{NewRecord, Urgency},
};

use crate::{RetainError, Shard, keys, lite_topic::LiteTopic, records, state::State};

/// LiteTopics looked at while nobody else may touch the state.
const LITE_TOPICS_PER_LOCK: usize = 256;

/// Such pages that one run looks at: a quarter of a million LiteTopics take one second of every
/// minute or less.
const PAGES_PER_RUN: usize = 128;

impl Shard {
    /// Ends LiteTopics whose time is over, and forgets clients that subscribed to some and are
    /// gone. Looks at a bounded number of them and goes on from there the next time. Returns how
    /// many have ended.
    ///
    /// # Errors
    /// When the KV or the log fail; nothing is half done.
    pub fn expire_lite_topics(&self) -> Result<usize, RetainError> {
        let mut upkeep = self.upkeep.lock();
        let mut ended = 0;
        for _ in 0..PAGES_PER_RUN {
            let mut state = self.state.lock();
            let to = [keys::LITE_TOPIC + 1];
            let from = keys::lite_topic(upkeep.expire_from);
            let page = state.range(&from, &to, LITE_TOPICS_PER_LOCK)?;
            for (key, value) in &page {
                if let (Some(stream), Some(lite)) = (keys::stream_of(key), LiteTopic::decode(value))
                    && self.is_over(&mut state, stream, &lite)?
                {
                    self.end(&mut state, stream, &lite)?;
                    ended += 1;
                }
            }
            let last = page.last().and_then(|(key, _)| keys::stream_of(key));
            let next = last.filter(|_| page.len() == LITE_TOPICS_PER_LOCK);
            let next = next.map(|last| StreamKey::new(last.get().saturating_add(1)));
            upkeep.expire_from = next.unwrap_or_default();
            if next.is_none() {
                break;
            }
        }
        self.forget_gone_subscribers();
        Ok(ended)
    }

    /// Whether a LiteTopic has outlived its last message by its topic's time to live.
    fn is_over(
        &self,
        state: &mut State,
        stream: StreamKey,
        lite: &LiteTopic,
    ) -> Result<bool, KvError> {
        let (topic, _) = stream.queue();
        let Some(topic) = self.catalogue.topic_by_id(topic) else {
            // The sweep takes it.
            return Ok(false);
        };
        let Some(expiration) = topic.spec.lite_topic_expiration() else {
            return Ok(false);
        };
        let now = self.clock.now();
        let is_past = |written: Timestamp| written.after(expiration) <= now;
        if !is_past(lite.created) {
            return Ok(false);
        }
        // One that is ending already.
        if state.lite_queue(topic.id, &lite.name)? != Some(stream.queue().1) {
            return Ok(false);
        }
        let queue = state.queue(stream)?;
        let (next, end) = (queue.next, queue.tail.end());
        // A message is on its way to the disk.
        if next != end {
            return Ok(false);
        }
        let last = match end.checked_sub(1) {
            Some(last) => state.entry(stream, last)?,
            None => None,
        };
        Ok(last.is_none_or(|last| is_past(last.stored)))
    }

    /// Ends a LiteTopic. Those who subscribe to it are on at once for what comes next under its
    /// name.
    fn end(
        &self,
        state: &mut State,
        stream: StreamKey,
        lite: &LiteTopic,
    ) -> Result<(), RetainError> {
        let (topic, _) = stream.queue();
        state.lite_counts(topic)?;
        let dropped = NewRecord {
            kind: records::LITE_TOPIC_DROPPED,
            stream,
            payload_len: 0,
        };
        let subscribers = state.lite.subscriptions.subscribers(stream);
        let successor = match subscribers.is_empty() {
            true => None,
            false => state.free_lite_queue(topic)?,
        };
        let successor = successor.map(|queue| StreamKey::of_queue(topic, queue));
        let mut new = vec![dropped];
        new.extend(successor.map(|stream| LiteTopic::record(stream, &lite.name)));
        let now = self.clock.now();
        self.log.append(&new, Urgency::Ride, &mut |index, _, out| {
            if index == 1 {
                LiteTopic::encode(&lite.name, now, out);
            }
        })?;
        state.lite_topic_goes(stream, &lite.name);
        for group in self.catalogue.groups() {
            state.consumptions.remove(&(stream, group.id));
        }
        if let Some(successor) = successor {
            state.new_queue(successor, 0, 0);
            state.lite_topic_comes(successor, &lite.name);
        }
        let all = &mut state.lite.subscriptions;
        for id in subscribers {
            all.remove(id, stream);
            if let Some(successor) = successor {
                all.add(id, successor, true);
            }
        }
        Ok(())
    }

    /// Forgets subscribers that have neither received nor said anything for as long as a client may
    /// be silent.
    fn forget_gone_subscribers(&self) {
        let silence = Duration::from_millis(limits::CLIENT_EXPIRY_MS);
        let now = self.clock.now();
        let silent = self.state.lock().lite.subscriptions.silent(now, silence);
        for id in silent {
            // One at a time: each may have many LiteTopics.
            self.state.lock().lite.subscriptions.leave(id);
        }
    }
}
