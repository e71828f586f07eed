//! `carrack group reset`.

use serde::Serialize;

use super::{
    servers::Servers,
    show::{self, Rows},
    time::Point,
};
use crate::{cli::ServerOptions, exit::Failure};

#[derive(Debug, Serialize)]
struct Reset {
    group: String,
    topic: String,
    queue_list: Vec<QueueReset>,
}

#[derive(Debug, Serialize)]
struct QueueReset {
    broker: String,
    queue: i32,
    offset: i64,
}

/// Sets how far a group has come in a topic, and tells its consumers.
pub(super) async fn run(
    group: &str,
    topic: &str,
    to: Point,
    options: &ServerOptions,
) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let (full_group, full_topic) = (servers.name(group), servers.name(topic));
    let timestamp = match to {
        Point::Earliest => 0,
        Point::Latest => -1,
        Point::At(ms) => ms,
    };
    let answers = servers
        .on_brokers(async |broker| {
            broker
                .reset_offset(&full_group, &full_topic, timestamp)
                .await
        })
        .await?;
    let mut queue_list: Vec<QueueReset> = answers
        .into_iter()
        .flat_map(|answer| answer.offset_table.0)
        .map(|(queue, offset)| QueueReset {
            broker: queue.broker_name,
            queue: queue.queue_id,
            offset,
        })
        .collect();
    queue_list.sort_by(|a, b| (&a.broker, a.queue).cmp(&(&b.broker, b.queue)));
    let reset = Reset {
        group: group.to_owned(),
        topic: topic.to_owned(),
        queue_list,
    };
    show::answer(options.output, &reset, || shown(&reset))
}

fn shown(reset: &Reset) -> String {
    let mut rows = Rows::new(&["BROKER", "QUEUE>", "NEXT>"]);
    for queue in &reset.queue_list {
        rows.push([
            queue.broker.clone(),
            queue.queue.to_string(),
            queue.offset.to_string(),
        ]);
    }
    let Reset { group, topic, .. } = reset;
    format!(
        "group {group} goes on in topic {topic} with\n\n{}",
        rows.text()
    )
}
