//! Subscription to LiteTopics: which of them a client of a group wants.

use std::{collections::BTreeSet, sync::Arc};

use base::{
    ErrorKind, GroupName, LiteTopicName, QueueId, QueueOffset, StreamKey, Timestamp, TopicName,
    limits,
};
use store::{
    kv::KvError,
    log::{AppendError, Urgency},
};
use tokio::sync::Notify;

use crate::{
    ClientCommand, Group, GroupNotFound, LiteTopicQuota, OffsetError, PullError, Shard,
    TimeBoundary, Topic, TopicNotFound,
    lite_subscriptions::{LiteSubscriptions, SubscriberId, SubscriberKey},
    lite_topic::{LiteTopic, LiteTopicError},
    pull::check_enabled,
    wait,
};

/// Which LiteTopics a client wants.
#[derive(Clone, Debug)]
pub struct SyncLiteSubscriptionRequest {
    /// The group, bound to the topic.
    pub group: GroupName,
    /// The parent topic, of type LITE.
    pub topic: TopicName,
    /// The client.
    pub client: String,
    /// What changes.
    pub change: LiteSubscriptionChange,
}

/// A change of what a client subscribes to.
#[derive(Clone, Debug)]
pub enum LiteSubscriptionChange {
    /// These too, created where they are not there yet; `from` sets where the group goes on in
    /// each.
    Add {
        /// Their names.
        names: Vec<LiteTopicName>,
        /// `None` for where it has come to.
        from: Option<LiteStart>,
    },
    /// These no more.
    Remove(Vec<LiteTopicName>),
    /// These and no others.
    Replace(Vec<LiteTopicName>),
    /// None.
    RemoveAll,
}

/// Where a group goes on in a LiteTopic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiteStart {
    /// The first message that is there.
    Min,
    /// Behind the last one.
    Max,
    /// An offset.
    Offset(QueueOffset),
    /// So many messages before where the group has come to, if it has come anywhere.
    Tail(u64),
    /// The first message stored at or after a time.
    Time(Timestamp),
}

/// A group and a topic do not go together in LiteTopics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiteBindingError {
    /// The topic has no LiteTopics.
    #[error("topic `{topic}` is not of type LITE")]
    NotLite {
        /// The topic.
        topic: TopicName,
    },
    /// The group is bound to another topic.
    #[error("group `{group}` is bound to topic `{bound}`, not to `{topic}`")]
    Elsewhere {
        /// The group.
        group: GroupName,
        /// The topic asked for.
        topic: TopicName,
        /// The topic it is bound to.
        bound: TopicName,
    },
    /// The group is bound to none.
    #[error(
        "group `{group}` is bound to no topic, so its members choose no LiteTopics of `{topic}`; \
         bind it with the attribute `lite.bind.topic`"
    )]
    Unbound {
        /// The group.
        group: GroupName,
        /// The topic asked for.
        topic: TopicName,
    },
    /// The group consumes all LiteTopics together, so that none of its members chooses.
    #[error("group `{group}` consumes every LiteTopic of `{topic}`, its members choose none")]
    Whole {
        /// The group.
        group: GroupName,
        /// The topic.
        topic: TopicName,
    },
    /// Members of the group choose LiteTopics, so none receives of all of them.
    #[error(
        "members of group `{group}` choose LiteTopics of `{topic}`; only a lite consumer receives"
    )]
    Selective {
        /// The group.
        group: GroupName,
        /// The topic.
        topic: TopicName,
    },
}

/// Why a subscription was not changed.
#[derive(Debug, thiserror::Error)]
pub enum SyncLiteSubscriptionError {
    /// No such topic.
    #[error(transparent)]
    TopicNotFound(#[from] TopicNotFound),
    /// No such group.
    #[error(transparent)]
    GroupNotFound(#[from] GroupNotFound),
    /// Topic or group have no LiteTopics.
    #[error(transparent)]
    Binding(#[from] LiteBindingError),
    /// The topic is not readable, the group switched off, or the state could not be read.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// The client would subscribe to more than it may.
    #[error(
        "client `{client}` would subscribe to {count} LiteTopics of topic `{topic}`, limit {limit}"
    )]
    ClientQuota {
        /// The client.
        client: String,
        /// The topic.
        topic: TopicName,
        /// LiteTopics it would subscribe to.
        count: usize,
        /// LiteTopics it may.
        limit: usize,
    },
    /// There are as many subscriptions as there may be.
    #[error("there are {count} subscriptions to LiteTopics, limit {limit}")]
    Quota {
        /// Subscriptions there are.
        count: usize,
        /// Subscriptions there may be.
        limit: usize,
    },
    /// A LiteTopic could not be created.
    #[error(transparent)]
    LiteTopicQuota(#[from] LiteTopicQuota),
    /// The log took no new LiteTopic.
    #[error("LiteTopics of `{topic}` not created")]
    Log {
        /// The topic.
        topic: TopicName,
        /// What the log said.
        #[source]
        source: AppendError,
    },
    /// The group's offset could not be set.
    #[error(transparent)]
    Offset(#[from] OffsetError),
}

impl SyncLiteSubscriptionError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TopicNotFound(_) | Self::GroupNotFound(_) => ErrorKind::NotFound,
            Self::Binding(_) => ErrorKind::Request,
            Self::Pull(error) => error.kind(),
            Self::ClientQuota { .. } | Self::Quota { .. } | Self::LiteTopicQuota(_) => {
                ErrorKind::Limit
            }
            Self::Log { source, .. } => source.kind(),
            Self::Offset(error) => error.kind(),
        }
    }
}

/// LiteTopics looked up, and created, while nobody else may touch the state.
const NAMES_PER_LOCK: usize = 32;

impl Shard {
    /// Changes which LiteTopics a client wants. The server forgets them when the client goes, and
    /// at a restart; clients say them again every 30 s.
    ///
    /// # Errors
    /// When the group is not bound to the topic, a quota is reached, or the log takes no new
    /// LiteTopic. The client then has at most a part of what it asked for.
    pub async fn sync_lite_subscription(
        &self,
        request: SyncLiteSubscriptionRequest,
    ) -> Result<(), SyncLiteSubscriptionError> {
        let topic = self.readable_topic(&request.topic)?;
        let group = self.catalogue.known_group(&request.group)?;
        check_enabled(&group)?;
        check_binding(&topic, &group)?;
        let is_whole = group.spec.consumes_every_lite_topic();
        let key = SubscriberKey {
            topic: topic.id,
            group: group.id,
            client: Some(request.client.as_str().into()),
        };
        let now = self.clock.now();
        match request.change {
            // A member of a group that consumes all of them has nothing to say.
            LiteSubscriptionChange::Replace(_) if is_whole => Ok(()),
            LiteSubscriptionChange::Add { .. } if is_whole => Err(LiteBindingError::Whole {
                group: request.group,
                topic: request.topic,
            }
            .into()),
            LiteSubscriptionChange::Add { names, from } => {
                let names: BTreeSet<LiteTopicName> = names.into_iter().collect();
                let (id, _) = self.join(&key, now)?;
                let wanted = self.wanted_with(&topic, id, &names)?;
                self.check_quota(&group, &request.topic, &key, wanted)?;
                let streams = self.lite_streams(&topic, names).await?;
                for stream in &streams {
                    if let Some(from) = from {
                        self.start_at(&topic, &group, *stream, from).await?;
                    }
                }
                self.subscribe(&topic, &group, id, &streams, true).await;
                Ok(())
            }
            LiteSubscriptionChange::Remove(names) => {
                for names in names.chunks(NAMES_PER_LOCK) {
                    let mut state = self.state.lock();
                    for name in names {
                        let queue = state.lite_queue(topic.id, name);
                        let queue = queue.map_err(|source| self.state_failed(&topic, source))?;
                        let subscriptions = &mut state.lite.subscriptions;
                        if let (Some(queue), Some(id)) = (queue, subscriptions.id(&key)) {
                            subscriptions.remove(id, Self::stream(&topic, queue));
                        }
                    }
                }
                Ok(())
            }
            LiteSubscriptionChange::Replace(names) => {
                let names: BTreeSet<LiteTopicName> = names.into_iter().collect();
                self.check_quota(&group, &request.topic, &key, names.len())?;
                let (id, _) = self.join(&key, now)?;
                let streams = self.lite_streams(&topic, names).await?;
                self.with_subscriptions(|all| {
                    let wanted: BTreeSet<StreamKey> = streams.iter().copied().collect();
                    for stream in all.streams(id) {
                        if !wanted.contains(&stream) {
                            all.remove(id, stream);
                        }
                    }
                });
                self.subscribe(&topic, &group, id, &streams, false).await;
                Ok(())
            }
            LiteSubscriptionChange::RemoveAll => {
                self.with_subscriptions(|all| {
                    if let Some(id) = all.id(&key) {
                        all.leave(id);
                    }
                });
                Ok(())
            }
        }
    }

    fn with_subscriptions<T>(&self, use_them: impl FnOnce(&mut LiteSubscriptions) -> T) -> T {
        use_them(&mut self.state.lock().lite.subscriptions)
    }

    fn state_failed(&self, topic: &Topic, source: KvError) -> PullError {
        PullError::State {
            topic: topic.name().clone(),
            source,
        }
    }

    /// The subscriber of that key, new if need be and there is room, and what wakes its receives.
    pub(crate) fn join(
        &self,
        key: &SubscriberKey,
        now: Timestamp,
    ) -> Result<(SubscriberId, Arc<Notify>), SyncLiteSubscriptionError> {
        self.with_subscriptions(|all| {
            let (count, limit) = (all.subscriber_count(), limits::LITE_SUBSCRIBERS_MAX);
            if all.id(key).is_none() && count >= limit {
                return Err(SyncLiteSubscriptionError::Quota { count, limit });
            }
            let (id, subscriber) = all.join(key, now);
            Ok((id, subscriber.notify.clone()))
        })
    }

    /// LiteTopics that a subscriber has with `names`, of which it may have some already.
    fn wanted_with(
        &self,
        topic: &Topic,
        id: SubscriberId,
        names: &BTreeSet<LiteTopicName>,
    ) -> Result<usize, PullError> {
        let mut wanted = self.with_subscriptions(|all| all.get(id).map_or(0, |it| it.count));
        for name in names {
            let state = self.state.lock();
            let queue = state.lite_queue(topic.id, name);
            let queue = queue.map_err(|source| self.state_failed(topic, source))?;
            let stream = queue.map(|queue| Self::stream(topic, queue));
            let has = stream.is_some_and(|stream| state.lite.subscriptions.has(id, stream));
            wanted += usize::from(!has);
        }
        Ok(wanted)
    }

    fn check_quota(
        &self,
        group: &Group,
        topic: &TopicName,
        key: &SubscriberKey,
        wanted: usize,
    ) -> Result<(), SyncLiteSubscriptionError> {
        let limit = group.spec.lite_subscriptions_per_client();
        if wanted > limit {
            return Err(SyncLiteSubscriptionError::ClientQuota {
                client: key.client.as_deref().unwrap_or_default().to_owned(),
                topic: topic.clone(),
                count: wanted,
                limit,
            });
        }
        let (count, limit) = (
            self.with_subscriptions(|all| all.len()),
            limits::LITE_SUBSCRIPTIONS_MAX,
        );
        if count.saturating_add(wanted) > limit {
            return Err(SyncLiteSubscriptionError::Quota { count, limit });
        }
        Ok(())
    }

    /// The queues of LiteTopics. Those that are not there are created: who subscribes is then
    /// called by number when their first message comes. Not waited for: after a crash that loses
    /// them the client subscribes again.
    async fn lite_streams(
        &self,
        topic: &Topic,
        names: BTreeSet<LiteTopicName>,
    ) -> Result<Vec<StreamKey>, SyncLiteSubscriptionError> {
        let mut streams = Vec::with_capacity(names.len());
        let names: Vec<LiteTopicName> = names.into_iter().collect();
        let _look = self.lite_look().await;
        for names in names.chunks(NAMES_PER_LOCK) {
            wait::a_turn().await;
            let mut state = self.state.lock();
            for name in names {
                let found = self.lite_queue_or_new(&mut state, topic, name);
                let (queue, is_new) = found.map_err(|error| match error {
                    LiteTopicError::Quota(error) => error.into(),
                    LiteTopicError::State(source) => {
                        SyncLiteSubscriptionError::from(self.state_failed(topic, source))
                    }
                })?;
                let stream = Self::stream(topic, queue);
                if is_new {
                    let created = self.clock.now();
                    let record = LiteTopic::record(stream, name);
                    let appended = self.log.append(&[record], Urgency::Ride, &mut |_, _, out| {
                        LiteTopic::encode(name, created, out);
                    });
                    appended.map_err(|source| SyncLiteSubscriptionError::Log {
                        topic: topic.name().clone(),
                        source,
                    })?;
                    state.lite_topic_comes(stream, name);
                }
                streams.push(stream);
            }
        }
        Ok(streams)
    }

    /// Subscribes to LiteTopics. In a group whose members share none, one that another member has
    /// goes to the one that asks for it now (`takes`) or stays there, and the member that does not
    /// have it any more is told.
    async fn subscribe(
        &self,
        topic: &Topic,
        group: &Group,
        id: SubscriberId,
        streams: &[StreamKey],
        takes: bool,
    ) {
        let mut ends: Vec<(Arc<str>, QueueId)> = Vec::new();
        let look = self.lite_look().await;
        for streams in streams.chunks(NAMES_PER_LOCK) {
            wait::a_turn().await;
            let mut state = self.state.lock();
            for stream in streams {
                // Ten thousand clients that come back at once would else look at a million.
                let is_done = state.is_known_to_be_done(*stream, group.id);
                let all = &mut state.lite.subscriptions;
                let mut is_theirs = false;
                if group.spec.is_exclusive() {
                    for other in all.subscribers(*stream) {
                        let is_rival = |it: &&crate::lite_subscriptions::Subscriber| {
                            other != id && it.key.group == group.id
                        };
                        let rival = all.get(other).filter(is_rival);
                        let Some(rival) = rival.and_then(|it| it.key.client.clone()) else {
                            continue;
                        };
                        if takes {
                            all.remove(other, *stream);
                            ends.push((rival, stream.queue().1));
                        } else {
                            is_theirs = true;
                        }
                    }
                }
                if is_theirs {
                    let me = all.get(id).and_then(|it| it.key.client.clone());
                    all.remove(id, *stream);
                    ends.extend(me.map(|me| (me, stream.queue().1)));
                } else {
                    all.add(id, *stream, is_done);
                }
            }
        }
        drop(look);
        for (client, queue) in ends {
            let name = self.lite_topic_name(topic, queue);
            let Some(lite_topic) = name else { continue };
            let command = ClientCommand::UnsubscribeLite {
                group: group.name().clone(),
                lite_topic,
            };
            // One that does not hear of it finds out with its next word: it says all that it has.
            if let Err(error) = self.clients.tell(&client, Some(group.name()), command) {
                tracing::debug!(shard = %self.id, %error, "end of a subscription not told");
            }
        }
    }

    /// The name of the LiteTopic that has a queue.
    pub fn lite_topic_name(&self, topic: &Topic, queue: QueueId) -> Option<LiteTopicName> {
        let state = self.state.lock();
        let found = state.lite_topic(Self::stream(topic, queue)).ok()?;
        found.map(|lite| lite.name)
    }

    /// Sets where a group goes on in a LiteTopic.
    async fn start_at(
        &self,
        topic: &Topic,
        group: &Group,
        stream: StreamKey,
        from: LiteStart,
    ) -> Result<(), SyncLiteSubscriptionError> {
        let (topic, group, queue) = (topic.name(), group.name(), stream.queue().1);
        let range = self.queue_range(topic, queue)?;
        let offset = match from {
            LiteStart::Min => range.min,
            LiteStart::Max => range.max,
            LiteStart::Offset(offset) => offset.clamp(range.min, range.max),
            LiteStart::Tail(count) => {
                let Some(committed) = self.committed_offset(group, topic, queue)? else {
                    return Ok(());
                };
                QueueOffset::new(committed.get().saturating_sub(count)).max(range.min)
            }
            LiteStart::Time(time) => {
                self.offset_by_time(topic, queue, time, TimeBoundary::Lower)?
            }
        };
        Ok(self.commit_offset(group, topic, queue, offset).await?)
    }
}

/// Whether members of the group may choose LiteTopics of the topic.
pub(crate) fn check_binding(topic: &Topic, group: &Group) -> Result<(), LiteBindingError> {
    let (name, topic_name) = (group.name().clone(), topic.name().clone());
    if !topic.spec.is_lite() {
        return Err(LiteBindingError::NotLite { topic: topic_name });
    }
    match &group.spec.lite_topic {
        Some(bound) if bound == topic.name() => Ok(()),
        Some(bound) => Err(LiteBindingError::Elsewhere {
            group: name,
            topic: topic_name,
            bound: bound.clone(),
        }),
        None => Err(LiteBindingError::Unbound {
            group: name,
            topic: topic_name,
        }),
    }
}
