//! What templates look at of a topic.

use super::{
    InspectionResult::{Info, Risk},
    look::{Look, Said, Sight},
    on_groups::stored,
    seen::Seen,
};
use crate::{ProgressOf, Topic};

pub(super) fn see_use(look: &Look<'_>, topic: &Topic) -> Sight {
    Ok(Seen::of_count(stored(look, topic.name())?))
}

pub(super) fn idle(look: &Look<'_>, topic: &Topic, seen: &Seen) -> Said {
    let created = topic.description.created_at;
    // A new one has had no time yet.
    let is_new = created.is_some_and(|created| created > look.from());
    if is_new || seen.count > 0 || look.is_partial {
        return Ok(None);
    }
    let hours = look.now.since(look.from()).as_secs() / 3_600;
    Ok(Some((Info, format!("no message for {hours} hours"))))
}

pub(super) fn see_consumption(look: &Look<'_>, topic: &Topic) -> Sight {
    let mut in_use = !look.instance.subscribed_groups(topic.name()).is_empty();
    for shard in look.instance.shards() {
        in_use = in_use || !shard.progress(ProgressOf::Topic(topic.name()))?.is_empty();
    }
    Ok(Seen {
        count: stored(look, topic.name())?,
        in_use,
        ..Seen::default()
    })
}

pub(super) fn unconsumed(look: &Look<'_>, topic: &Topic, seen: &Seen) -> Said {
    let messages = seen.count;
    if messages == 0 || seen.in_use || look.is_partial {
        return Ok(None);
    }
    let bound = look.instance.groups().into_iter();
    let mut bound = bound.filter_map(|group| group.spec.lite_topic.clone());
    if bound.any(|bound| bound == *topic.name()) {
        return Ok(None);
    }
    let text = format!("{messages} messages came, and no group consumes them");
    Ok(Some((Risk, text)))
}
