//! What templates look at of a group.

use std::collections::BTreeSet;

use base::{Timestamp, TopicName};

use super::{
    InspectionResult::{Info, Risk},
    look::{CheckError, Look, Said, Sight},
    seen::Seen,
};
use crate::{Group, Shard, TrendRequest, group_lag};

/// Pages of LiteTopics that are looked at in one topic.
const LITE_PAGES_MAX: usize = 64;

/// How far a group is behind in all that it consumes: messages, and when the oldest was stored.
fn behind(look: &Look<'_>, group: &Group) -> Result<(u64, Option<Timestamp>), CheckError> {
    let (mut messages, mut oldest) = (0, None::<Timestamp>);
    for shard in look.instance.shards() {
        for topic in group_lag::topics(look.instance, &shard, group)? {
            let known = look.instance.topic(&topic);
            let found = match known.is_some_and(|topic| topic.spec.is_lite()) {
                true => behind_in_lite_topics(&shard, group, &topic)?,
                false => {
                    let backlog = shard.backlog(group.name(), &topic)?;
                    (backlog.messages, backlog.oldest)
                }
            };
            messages += found.0;
            oldest = [oldest, found.1].into_iter().flatten().min();
        }
    }
    Ok((messages, oldest))
}

fn behind_in_lite_topics(
    shard: &Shard,
    group: &Group,
    topic: &TopicName,
) -> Result<(u64, Option<Timestamp>), CheckError> {
    let (mut messages, mut oldest, mut from) = (0, None::<Timestamp>, None);
    for _ in 0..LITE_PAGES_MAX {
        let page = shard.lite_accumulations(group.name(), topic, from)?;
        for found in &page.lite_topics {
            messages += found.behind();
            oldest = [oldest, found.oldest].into_iter().flatten().min();
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    Ok((messages, oldest))
}

pub(super) fn see_lag(look: &Look<'_>, group: &Group) -> Sight {
    let (messages, oldest) = behind(look, group)?;
    Ok(Seen {
        count: messages,
        oldest_ms: oldest.map(Timestamp::ms),
        ..Seen::default()
    })
}

pub(super) fn lag(look: &Look<'_>, _: &Group, seen: &Seen) -> Said {
    let (messages, oldest) = (seen.count, seen.oldest_ms.map(Timestamp::from_ms));
    let waited = oldest.map_or(0, |oldest| look.now.since(oldest).as_secs());
    let is_late = messages > 0 && waited >= look.count("delaySeconds");
    let is_long = messages >= look.count("messages");
    let text = format!("{messages} messages behind, the oldest for {waited} s");
    Ok((is_long || is_late).then_some((Risk, text)))
}

pub(super) fn see_offline(look: &Look<'_>, group: &Group) -> Sight {
    Ok(Seen {
        count: behind(look, group)?.0,
        in_use: !look.instance.consumers(group.name()).is_empty(),
        ..Seen::default()
    })
}

pub(super) fn offline(look: &Look<'_>, _: &Group, seen: &Seen) -> Said {
    if seen.in_use || look.is_partial {
        return Ok(None);
    }
    Ok(Some(match seen.count {
        0 => (Info, "no member, and nothing waits".to_owned()),
        messages => (Risk, format!("no member, and {messages} messages wait")),
    }))
}

pub(super) fn see_subscriptions(look: &Look<'_>, group: &Group) -> Sight {
    let members = look.instance.consumers(group.name());
    let mut seen = Seen::of_members(&members);
    for member in &members {
        seen.subscribed(member);
    }
    Ok(seen)
}

pub(super) fn consistency(_: &Look<'_>, _: &Group, seen: &Seen) -> Said {
    let all = &seen.subscriptions;
    let topics: BTreeSet<&String> = all.iter().flat_map(|one| one.keys()).collect();
    let differs = |topic: &&String| {
        let filters: BTreeSet<Option<&u64>> = all.iter().map(|one| one.get(*topic)).collect();
        filters.len() > 1
    };
    let different: Vec<&String> = topics.into_iter().filter(differs).collect();
    let Some(first) = different.first() else {
        return Ok(None);
    };
    let (count, members) = (different.len(), seen.members.len());
    let text = format!("{members} members differ in {count} topics, such as `{first}`");
    Ok(Some((Risk, text)))
}

pub(super) fn see_versions(look: &Look<'_>, group: &Group) -> Sight {
    let members = look.instance.consumers(group.name());
    let releases = members.iter().map(|member| {
        let client = &member.client;
        format!("{} {}", client.language, client.version)
    });
    Ok(Seen {
        releases: releases.collect(),
        ..Seen::default()
    })
}

pub(super) fn versions(_: &Look<'_>, _: &Group, seen: &Seen) -> Said {
    let releases = &seen.releases;
    if releases.len() < 2 {
        return Ok(None);
    }
    let shown: Vec<&str> = releases.iter().take(4).map(String::as_str).collect();
    let text = format!("{} releases: {}", releases.len(), shown.join(", "));
    Ok(Some((Info, text)))
}

/// Messages that were stored in a topic in the time that is looked at.
pub(super) fn stored(look: &Look<'_>, topic: &TopicName) -> Result<u64, CheckError> {
    if look.instance.topic(topic).is_none() {
        return Ok(0);
    }
    let mut stored = 0;
    for shard in look.instance.shards() {
        let points = shard.trend(&TrendRequest {
            topic: topic.clone(),
            group: None,
            from: look.from(),
            // Those of this minute too.
            to: Timestamp::from_ms(look.now.ms() + 1),
            minutes_per_point: 60,
        })?;
        stored += points.iter().map(|point| point.messages).sum::<u64>();
    }
    Ok(stored)
}

pub(super) fn see_dead_letters(look: &Look<'_>, group: &Group) -> Sight {
    // Others may use the topic of its own choice too: there only what this process has put counts.
    let letters = match group.spec.dead_letter_target() {
        None => stored(look, &TopicName::dead_letter_of(group.name()))?,
        Some(_) => {
            let shards = look.instance.shards();
            let counts = shards
                .iter()
                .map(|shard| shard.dead_letters_since_start(group));
            counts.sum()
        }
    };
    Ok(Seen::of_count(letters))
}

pub(super) fn dead_letters(look: &Look<'_>, group: &Group, seen: &Seen) -> Said {
    let letters = seen.count;
    let since = match group.spec.dead_letter_target() {
        None => "in the time looked at",
        Some(_) => "since the server started",
    };
    let text = format!("{letters} dead letters {since}");
    Ok((letters >= look.count("messages")).then_some((Risk, text)))
}

pub(super) fn see_retries(look: &Look<'_>, group: &Group) -> Sight {
    let given_back = stored(look, &TopicName::retry_of(group.name()))?;
    Ok(Seen::of_count(given_back))
}

pub(super) fn retries(look: &Look<'_>, _: &Group, seen: &Seen) -> Said {
    let given_back = seen.count;
    let text = format!("{given_back} messages given back for another attempt");
    Ok((given_back >= look.count("messages")).then_some((Risk, text)))
}
