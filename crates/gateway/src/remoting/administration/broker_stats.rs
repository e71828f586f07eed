//! Rates and progress of a whole broker (codes 315, 317).

use std::collections::BTreeMap;

use broker::{Counter, Instance, ProgressOf, Rate, Window};
use wire::remoting::{
    Command, ResponseCode,
    body::{BrokerStatsData, BrokerStatsItem, ConsumeStats, ConsumeStatsList},
    header::{GetBrokerConsumeStatsRequest, ViewBrokerStatsRequest},
};

use crate::remoting::{
    connection::Connection,
    group,
    reply::{Answer, Refusal, Reply},
};

/// Code 315. What was never counted is not there, as on Apache.
pub(super) fn view(connection: &Connection, request: &Command) -> Answer {
    let header: ViewBrokerStatsRequest<'_> = request.header()?;
    let not_there = || {
        let remark = format!(
            "nothing is counted as `{}` of `{}`",
            header.name, header.key
        );
        Refusal::new(ResponseCode::SystemError, remark)
    };
    let (instance, counter) = counter(connection, &header)?.ok_or_else(not_there)?;
    if instance.daily(&counter).now == 0 {
        return Err(not_there());
    }
    let item = |window| item(instance.rate(&counter, window));
    let answer = BrokerStatsData {
        stats_minute: item(Window::Minute),
        stats_hour: item(Window::Hour),
        stats_day: item(Window::Day),
    };
    Ok(Reply::body(request, &answer))
}

type Counted = (std::sync::Arc<Instance>, Counter);

fn counter(
    connection: &Connection,
    header: &ViewBrokerStatsRequest<'_>,
) -> Result<Option<Counted>, Refusal> {
    let of_topic = |counter: fn(base::TopicName) -> Counter| {
        let named = connection.topic(header.key)?;
        Ok(Some((named.instance, counter(named.topic))))
    };
    let of_pair = |counter: fn(base::TopicName, base::GroupName) -> Counter| {
        let Some((topic, group)) = header.key.split_once('@') else {
            let remark = format!("field `statsKey` is `{}`, expected topic@group", header.key);
            return Err(Refusal::new(ResponseCode::InvalidParameter, remark));
        };
        let names = connection.topic_and_group(topic, group)?;
        Ok(Some((names.instance, counter(names.topic, names.group))))
    };
    let of_all = |counter| Ok(Some((connection.front.settle([])?, counter)));
    match header.name {
        "TOPIC_PUT_NUMS" => of_topic(Counter::MessagesIn),
        "TOPIC_PUT_SIZE" => of_topic(Counter::BytesIn),
        "GROUP_GET_NUMS" => of_pair(Counter::MessagesOut),
        "GROUP_GET_SIZE" => of_pair(Counter::BytesOut),
        "BROKER_PUT_NUMS" => of_all(Counter::AllMessagesIn),
        "BROKER_GET_NUMS" => of_all(Counter::AllMessagesOut),
        _ => Ok(None),
    }
}

fn item(rate: Rate) -> BrokerStatsItem {
    BrokerStatsItem {
        average: 0.0,
        sum: i64::try_from(rate.sum).unwrap_or(i64::MAX),
        per_second: rate.per_second,
    }
}

/// Code 317: of every group, the progress on every topic that it has committed on.
pub(super) fn consume(connection: &Connection, request: &Command) -> Answer {
    let header: GetBrokerConsumeStatsRequest = request.header()?;
    let instance = connection.front.settle([])?;
    let shard = connection.shard(instance.id())?;
    let mut groups: BTreeMap<String, Vec<ConsumeStats>> = BTreeMap::new();
    for group in instance.groups() {
        groups.insert(group.name().to_string(), Vec::new());
    }
    let mut seen = std::collections::BTreeSet::new();
    let (mut total_diff, mut total_inflight_diff) = (0i64, 0i64);
    for progress in shard.progress(ProgressOf::All)? {
        if !seen.insert((progress.topic.clone(), progress.group.clone())) {
            continue;
        }
        let Some(topic) = instance.topic(&progress.topic) else {
            continue;
        };
        // No topic is declared to be ordered: the order is in the messages.
        if header.is_order {
            continue;
        }
        let shown = progress.topic.as_str();
        let stats = group::topic_stats(&instance, &shard, &progress.group, &topic, shown)?;
        for (_, offsets) in &stats.offset_table.0 {
            total_diff += offsets.broker_offset - offsets.consumer_offset;
            total_inflight_diff += offsets.pull_offset - offsets.consumer_offset;
        }
        let name = progress.group.to_string();
        groups.entry(name).or_default().push(stats);
    }
    let list = groups
        .into_iter()
        .map(|(group, stats)| BTreeMap::from([(group, stats)]));
    let answer = ConsumeStatsList {
        broker_address: connection.front.advertised(&connection.info).to_string(),
        consume_stats_list: list.collect(),
        total_diff,
        total_inflight_diff,
    };
    Ok(Reply::body(request, &answer))
}
