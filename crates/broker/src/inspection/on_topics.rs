//! What templates look at of a topic.

use super::{
    InspectionResult::{Info, Risk},
    look::{Look, Said},
    on_groups::stored,
};
use crate::{ProgressOf, Topic};

pub(super) fn idle(look: &Look<'_>, topic: &Topic) -> Said {
    let created = topic.description.created_at;
    // A new one has had no time yet.
    if created.is_some_and(|created| created > look.from()) || stored(look, topic.name())? > 0 {
        return Ok(None);
    }
    let hours = look.now.since(look.from()).as_secs() / 3_600;
    Ok(Some((Info, format!("no message for {hours} hours"))))
}

pub(super) fn unconsumed(look: &Look<'_>, topic: &Topic) -> Said {
    let messages = stored(look, topic.name())?;
    if messages == 0 || !look.instance.subscribed_groups(topic.name()).is_empty() {
        return Ok(None);
    }
    for shard in look.instance.shards() {
        if !shard.progress(ProgressOf::Topic(topic.name()))?.is_empty() {
            return Ok(None);
        }
    }
    let bound = look.instance.groups().into_iter();
    let mut bound = bound.filter_map(|group| group.spec.lite_topic.clone());
    if bound.any(|bound| bound == *topic.name()) {
        return Ok(None);
    }
    let text = format!("{messages} messages came, and no group consumes them");
    Ok(Some((Risk, text)))
}
