//! OnsTrendTopicInputTps and OnsTrendGroupOutputTps: messages in and out over time.

use base::{GroupName, Timestamp};
use broker::TrendRequest;
use serde_json::{Value, json};

use super::{Fields, call::Call, message, message_pages::times, status::Refusal};

/// OnsTrendTopicInputTps.
pub(super) async fn topic_input(call: &Call) -> Result<Fields, Refusal> {
    answer(call, None, "messages stored")
}

/// OnsTrendGroupOutputTps.
pub(super) async fn group_output(call: &Call) -> Result<Fields, Refusal> {
    let group = call.group()?;
    answer(call, Some(group.name().clone()), "messages handed out")
}

fn answer(call: &Call, group: Option<GroupName>, what: &str) -> Result<Fields, Refusal> {
    let topic = call.topic()?;
    let (from, to) = times(call)?;
    let minutes_per_point = match call.integer("Period")? {
        None | Some(1) => 1,
        Some(5) => 5,
        Some(10) => 10,
        Some(other) => {
            let reason = format!("{other}, expected 1, 5 or 10 minutes");
            return Err(Refusal::field("Period", reason));
        }
    };
    let seconds_per_point = f64::from(minutes_per_point) * 60.0;
    let (divisor, unit) = match call.required_integer("Type")? {
        0 => (1.0, "messages"),
        1 => (seconds_per_point, "messages per second"),
        other => {
            let reason = format!("{other}, expected 0 for numbers or 1 for rates");
            return Err(Refusal::field("Type", reason));
        }
    };
    let points = call.shard()?.trend(&TrendRequest {
        topic: topic.name().clone(),
        group,
        from: Timestamp::from_ms(from),
        to: Timestamp::from_ms(to),
        minutes_per_point,
    })?;
    let records = points.into_iter().map(|point| {
        let y = point.messages as f64 / divisor;
        json!({ "X": point.at.ms(), "Y": y })
    });
    let records: Vec<Value> = records.collect();
    Ok(message::data(json!({
        "Title": format!("{what}, topic {}", topic.name()),
        "XUnit": "ms",
        "YUnit": unit,
        "Records": { "StatsDataDo": records },
    })))
}
