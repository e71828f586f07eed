//! The state of the broker in numbers (code 28).
//!
//! Tools read the names without asking whether they are there, so all that `mqadmin`, the dashboard
//! and the exporter read are given. What has no counterpart here, such as the queues of thread
//! pools, is 0.

use std::collections::BTreeMap;

use base::{Timestamp, limits};
use broker::{Counter, Instance, Window};
use wire::remoting::{Command, body::TextTable};

use crate::{
    DiskSpace,
    remoting::{
        connection::Connection,
        reply::{Answer, Reply},
    },
};

/// Thread pools of Apache's broker. Here requests wait nowhere but at their connection.
const POOLS: [&str; 5] = ["ack", "litePull", "pull", "query", "send"];

/// Bounds of the times of a send, as Apache prints them.
const SEND_TIMES: [&str; 13] = [
    "<=0ms",
    "0~10ms",
    "10~50ms",
    "50~100ms",
    "100~200ms",
    "200~500ms",
    "500ms~1s",
    "1~2s",
    "2~3s",
    "3~4s",
    "4~5s",
    "5~10s",
    "10s~",
];

/// Code 28.
pub(super) fn get(connection: &Connection, request: &Command) -> Answer {
    let instance = connection.front.settle([])?;
    let mut table = BTreeMap::new();
    let mut put = |name: &str, value: String| {
        table.insert(name.to_owned(), value);
    };
    process(connection, &mut put);
    messages(&instance, &mut put);
    log(connection, &instance, &mut put);
    let capacity = limits::REMOTING_REQUESTS_IN_FLIGHT_MAX.to_string();
    for pool in POOLS {
        put(&format!("{pool}ThreadPoolQueueSize"), "0".to_owned());
        let head = format!("{pool}ThreadPoolQueueHeadWaitTimeMills");
        put(&head, "0".to_owned());
        let name = format!("{pool}ThreadPoolQueueCapacity");
        put(&name, capacity.clone());
    }
    put("EndTransactionThreadPoolQueueCapacity", capacity);
    for zero in [
        "EndTransactionQueueSize",
        "dispatchBehindBytes",
        "dispatchMaxBuffer",
        "getMessageEntireTimeMax",
        "pageCacheLockTimeMills",
        "putMessageEntireTimeMax",
        "putMessageFailedTimes",
        "remainTransientStoreBufferNumbs",
        "startAcceptSendRequestTimeStamp",
        "timerCongestNum",
        "timerOffsetBehind",
        "timerReadBehind",
    ] {
        put(zero, "0".to_owned());
    }
    for zero in ["timerDequeueTps", "timerEnqueueTps"] {
        put(zero, "0.0".to_owned());
    }
    Ok(Reply::body(request, &TextTable { table }))
}

fn process(connection: &Connection, put: &mut impl FnMut(&str, String)) {
    let front = &connection.front;
    let uptime = front.uptime();
    let uptime_ms = i64::try_from(uptime.as_millis()).unwrap_or(i64::MAX);
    let seconds = uptime.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    put(
        "bootTimestamp",
        (front.clock.now().ms() - uptime_ms).to_string(),
    );
    put("brokerActive", (!front.drain.is_draining()).to_string());
    put("brokerVersion", "0".to_owned());
    let version = format!("Carrack {}", front.version);
    put("brokerVersionDesc", version);
    let runtime = format!("[ {days} days, {hours} hours, {minutes} minutes, {seconds} seconds ]");
    put("runtime", runtime);
}

fn messages(instance: &Instance, put: &mut impl FnMut(&str, String)) {
    let rates = |counter: &Counter| {
        let of = |window| instance.rate(counter, window).per_second;
        let all = [Window::TenSeconds, Window::Minute, Window::TenMinutes].map(of);
        format!("{:?} {:?} {:?}", all[0], all[1], all[2])
    };
    let (sent, got) = (Counter::AllMessagesIn, Counter::AllMessagesOut);
    put("putTps", rates(&sent));
    let got_rates = rates(&got);
    for name in [
        "getFoundTps",
        "getTotalTps",
        "getTransferredTps",
        "getTransferedTps",
    ] {
        put(name, got_rates.clone());
    }
    put("getMissTps", "0.0 0.0 0.0".to_owned());
    for (counter, name) in [(&sent, "msgPutTotal"), (&got, "msgGetTotal")] {
        let daily = instance.daily(counter);
        put(&format!("{name}TodayNow"), daily.now.to_string());
        let (today, yesterday) = (daily.this_morning, daily.yesterday_morning);
        put(&format!("{name}TodayMorning"), today.to_string());
        put(&format!("{name}YesterdayMorning"), yesterday.to_string());
    }
    let metrics = instance.metrics();
    let count: u64 = metrics.topics.iter().map(|topic| topic.messages_in).sum();
    let bytes: u64 = metrics.topics.iter().map(|topic| topic.bytes_in).sum();
    put("putMessageTimesTotal", count.to_string());
    put("putMessageSizeTotal", bytes.to_string());
    let average = if count == 0 {
        0.0
    } else {
        bytes as f64 / count as f64
    };
    put("putMessageAverageSize", format!("{average:?}"));
    let times = SEND_TIMES.map(|bound| format!("[{bound}]:0 "));
    put("putMessageDistributeTime", times.concat());
    put("putLatency99", "0.00".to_owned());
    put("putLatency999", "0.00".to_owned());
}

fn log(connection: &Connection, instance: &Instance, put: &mut impl FnMut(&str, String)) {
    let metrics = instance.metrics();
    let (mut first, mut end) = (0, 0);
    if let Ok(shard) = connection.shard(instance.id()) {
        let log = shard.log();
        (first, end) = (log.start().get(), log.durable_end().get());
    }
    put("commitLogMinOffset", first.to_string());
    put("commitLogMaxOffset", end.to_string());
    put(
        "remainHowManyDataToFlush",
        format!("{} B", metrics.log_pending_bytes),
    );
    let earliest = earliest_message(connection, instance).map_or(-1, Timestamp::ms);
    put("earliestMessageTimeStamp", earliest.to_string());
    let surroundings = connection.front.surroundings.as_ref();
    let disk = surroundings.and_then(|surroundings| (surroundings.disk_space)());
    let ratio = format!("{:?}", disk.map_or(0.0, DiskSpace::used_ratio));
    put("commitLogDiskRatio", ratio.clone());
    put("consumeQueueDiskRatio", ratio);
    let gibibytes = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let (total, free) = disk.map_or((0, 0), |disk| (disk.total, disk.free));
    let (total, free) = (gibibytes(total), gibibytes(free));
    let capacity = format!("Total : {total:.1} GiB, Free : {free:.1} GiB.");
    put("commitLogDirCapacity", capacity);
}

/// When the oldest message was stored that is still in a queue. Not known of a broker of very many
/// queues, each of which has to be asked.
fn earliest_message(connection: &Connection, instance: &Instance) -> Option<Timestamp> {
    let shard = connection.shard(instance.id()).ok()?;
    let topics = instance.topics();
    let count: usize = topics.iter().map(|topic| topic.spec.queues as usize).sum();
    if count > limits::EARLIEST_QUEUES_MAX {
        return None;
    }
    let queues = topics
        .iter()
        .flat_map(|topic| topic.queues().map(move |queue| (topic.name(), queue)));
    // A queue that cannot be read has worse to tell than this.
    let times = queues.filter_map(|(topic, queue)| shard.earliest_store_time(topic, queue).ok());
    times.flatten().min()
}
