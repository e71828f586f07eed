//! What templates look at of an instance as a whole.

use super::{
    InspectionResult::{Info, Risk},
    look::{Look, Said, Sight},
    seen::Seen,
};
use crate::plan::{InstanceStatus, Payment};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

pub(super) fn see_clients(look: &Look<'_>) -> Sight {
    // Each node keeps the limit for itself.
    Ok(Seen {
        most: look.instance.client_count() as u64,
        ..Seen::default()
    })
}

pub(super) fn quotas(look: &Look<'_>, seen: &Seen) -> Said {
    let Some(plan) = &look.record.plan else {
        return Ok(None);
    };
    let entitlement = plan.entitlement()?;
    let (topics, groups) = look.instance.application_counts();
    let clients = usize::try_from(seen.most).unwrap_or(usize::MAX);
    let percent = look.count("percent");
    let uses = [
        ("topics", topics, entitlement.topics),
        ("groups", groups, entitlement.groups),
        ("clients", clients, entitlement.connections),
    ];
    let near = uses.iter().filter(|(_, used, total)| {
        (*used as u64).saturating_mul(100) >= (*total as u64).saturating_mul(percent)
    });
    let near: Vec<_> = near.collect();
    if near.is_empty() {
        return Ok(None);
    }
    let is_full = near.iter().any(|(_, used, total)| used >= total);
    let texts = near
        .iter()
        .map(|(what, used, total)| format!("{used} of {total} {what}"));
    let text = texts.collect::<Vec<_>>().join(", ");
    Ok(Some((if is_full { Risk } else { Info }, text)))
}

pub(super) fn see_throttling(look: &Look<'_>) -> Sight {
    let counts = look.instance.quota_counts();
    Ok(Seen {
        count: counts.throttled_sends,
        others: counts.throttled_receives,
        above: look.instance.elastic_tps(),
        ..Seen::default()
    })
}

pub(super) fn throttling(_: &Look<'_>, seen: &Seen) -> Said {
    let (sends, receives) = (seen.count, seen.others);
    if sends + receives > 0 {
        let text = format!("{sends} sends and {receives} receives refused since the start");
        return Ok(Some((Risk, text)));
    }
    let elastic = seen.above;
    let text = format!("up to {elastic} TPS above the plan's in this hour");
    Ok((elastic > 0).then_some((Info, text)))
}

pub(super) fn see_transactions(look: &Look<'_>) -> Sight {
    let mut open = 0;
    for shard in look.instance.shards() {
        open += shard.half_message_count()?;
    }
    Ok(Seen::of_count(open))
}

pub(super) fn transactions(look: &Look<'_>, seen: &Seen) -> Said {
    let open = seen.count;
    let text = format!("{open} half messages wait for the end of their transactions");
    Ok((open >= look.count("messages")).then_some((Info, text)))
}

/// What the instance's record tells alone.
pub(super) fn see_nothing(_: &Look<'_>) -> Sight {
    Ok(Seen::default())
}

pub(super) fn subscription(look: &Look<'_>, _: &Seen) -> Said {
    if look.record.status == InstanceStatus::Stopped {
        return Ok(Some((Risk, "the instance is out of service".to_owned())));
    }
    let plan = look.record.plan.as_ref();
    let Some(Payment::Subscription(subscription)) = plan.map(|plan| &plan.payment) else {
        return Ok(None);
    };
    let left = subscription.expires_at.ms() - look.now.ms();
    if subscription.auto_renew_months.is_some() || left > look.number("days") * DAY_MS {
        return Ok(None);
    }
    let days = left.max(0) / DAY_MS;
    Ok(Some((
        Risk,
        format!("the subscription ends in {days} days"),
    )))
}
