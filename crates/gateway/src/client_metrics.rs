//! Metrics that clients report of themselves, added up over all clients of an instance.
//!
//! Clients report what they have counted since they began. Here only what is new in a report is
//! added, so that a sum goes on when clients come and go, and nothing is shown per client: their
//! number has no bound, that of topics and groups has. What exceeds a limit is left out and
//! counted. Names, labels and bounds are those of the Java SDK 5.2.0 (`HistogramEnum`,
//! `GaugeEnum`, `MetricLabels`), without `client_id`.

mod histogram;
mod page;

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use base::{GroupName, InstanceId, Timestamp, TopicName, limits};
use parking_lot::Mutex;

pub(crate) use self::histogram::{Counts, Reported};

/// What clients measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ClientMetric {
    SendCostTime,
    DeliveryLatency,
    AwaitTime,
    ProcessTime,
    CachedMessages,
    CachedBytes,
}

impl ClientMetric {
    const ALL: [Self; 6] = [
        Self::SendCostTime,
        Self::DeliveryLatency,
        Self::AwaitTime,
        Self::ProcessTime,
        Self::CachedMessages,
        Self::CachedBytes,
    ];

    /// The name under which clients report it, and under which it is shown.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SendCostTime => "rocketmq_send_cost_time",
            Self::DeliveryLatency => "rocketmq_delivery_latency",
            Self::AwaitTime => "rocketmq_await_time",
            Self::ProcessTime => "rocketmq_process_time",
            Self::CachedMessages => "rocketmq_consumer_cached_messages",
            Self::CachedBytes => "rocketmq_consumer_cached_bytes",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Upper bounds of a histogram, in milliseconds; none for what is no histogram.
    const fn bounds(self) -> &'static [f64] {
        match self {
            Self::SendCostTime | Self::DeliveryLatency => {
                &[1.0, 5.0, 10.0, 20.0, 50.0, 200.0, 500.0]
            }
            Self::AwaitTime => &[1.0, 5.0, 20.0, 100.0, 1_000.0, 5_000.0, 10_000.0],
            Self::ProcessTime => &[1.0, 5.0, 10.0, 100.0, 1_000.0, 10_000.0, 60_000.0],
            Self::CachedMessages | Self::CachedBytes => &[],
        }
    }

    pub(crate) const fn is_histogram(self) -> bool {
        !self.bounds().is_empty()
    }
}

/// What a value is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Series {
    pub(crate) metric: ClientMetric,
    pub(crate) topic: TopicName,
    pub(crate) group: Option<GroupName>,
    /// Whether what was measured went well, where that is said.
    pub(crate) success: Option<bool>,
}

/// One value of a report.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Point {
    /// As much as there is now.
    Gauge(f64),
    /// How many there were between which bounds.
    Histogram(Reported),
}

/// Why a value is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// A metric that is not known here, or no metric at all.
    Unknown,
    /// Its topic or group is not there.
    NoSuchThing,
    /// There are too many of them.
    Limit,
}

impl LeftOut {
    const ALL: [Self; 3] = [Self::Unknown, Self::NoSuchThing, Self::Limit];

    const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown_metric",
            Self::NoSuchThing => "unknown_topic_or_group",
            Self::Limit => "limit",
        }
    }
}

/// All that clients have reported.
#[derive(Debug)]
pub(crate) struct ClientMetrics {
    since: Timestamp,
    tables: Mutex<HashMap<InstanceId, Table>>,
    left_out: [AtomicU64; 3],
}

/// What the clients of an instance have reported.
#[derive(Debug, Default)]
struct Table {
    /// Sums over all clients.
    histograms: HashMap<Series, Histogram>,
    clients: HashMap<String, Client>,
    /// Values remembered of all clients.
    reported: usize,
    swept_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Histogram {
    counts: Counts,
    changed_at: Timestamp,
}

#[derive(Debug)]
struct Client {
    last_seen: Timestamp,
    histograms: HashMap<Series, Reported>,
    gauges: HashMap<Series, f64>,
}

impl Client {
    fn len(&self) -> usize {
        self.histograms.len() + self.gauges.len()
    }
}

impl ClientMetrics {
    /// Nothing reported yet, to a server that starts now.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            tables: Mutex::default(),
            left_out: Default::default(),
        }
    }

    /// Forgets what was reported for other instances than these.
    pub(crate) fn keep(&self, is_here: impl Fn(&InstanceId) -> bool) {
        self.tables.lock().retain(|instance, _| is_here(instance));
    }

    /// Counts a value that is left out.
    pub(crate) fn leave_out(&self, reason: LeftOut) {
        self.left_out[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a client's report. What is left out is counted; the answer says how much that is.
    pub(crate) fn report(
        &self,
        instance: &InstanceId,
        client: &str,
        points: Vec<(Series, Point)>,
        now: Timestamp,
    ) -> usize {
        if points.is_empty() {
            return 0;
        }
        let mut tables = self.tables.lock();
        let table = tables.entry(instance.clone()).or_default();
        let mut left_out = 0;
        let is_known = table.hear_of(client, now);
        for (series, point) in points {
            // What a client counted before this server knew it, was counted by the server before.
            let began = match &point {
                Point::Histogram(reported) => reported.began,
                Point::Gauge(_) => None,
            };
            let expiry_ms = i64::try_from(limits::CLIENT_METRICS_EXPIRY_MS).unwrap_or(i64::MAX);
            let is_new = began.is_none_or(|began| {
                began >= self.since && began.ms() >= now.ms().saturating_sub(expiry_ms)
            });
            if !table.take(client, series, point, is_known || is_new, now) {
                self.leave_out(LeftOut::Limit);
                left_out += 1;
            }
        }
        if table.clients.get(client).is_some_and(|it| it.len() == 0) {
            table.clients.remove(client);
        }
        left_out
    }
}

impl Table {
    /// Begins a client's report; its gauges are only what this report says. Whether it is known.
    fn hear_of(&mut self, client: &str, now: Timestamp) -> bool {
        if let Some(known) = self.clients.get_mut(client) {
            let is_known = !is_expired(known.last_seen, now);
            self.reported -= known.gauges.len();
            known.gauges.clear();
            known.last_seen = now;
            return is_known;
        }
        let new = Client {
            last_seen: now,
            histograms: HashMap::new(),
            gauges: HashMap::new(),
        };
        self.clients.insert(client.to_owned(), new);
        false
    }

    /// Takes one value, and adds it to the sums if it `counts`. `false` if there is no room.
    fn take(
        &mut self,
        client: &str,
        series: Series,
        point: Point,
        counts: bool,
        now: Timestamp,
    ) -> bool {
        if self.reported >= limits::CLIENT_METRICS_REPORTED_MAX {
            self.sweep(now);
        }
        let has_room = self.reported < limits::CLIENT_METRICS_REPORTED_MAX;
        let Some(known) = self.clients.get_mut(client) else {
            return false;
        };
        match point {
            Point::Gauge(value) => {
                if !has_room {
                    return false;
                }
                if known.gauges.insert(series, value).is_none() {
                    self.reported += 1;
                }
                true
            }
            Point::Histogram(reported) => {
                let before = known.histograms.get(&series);
                if before.is_none() && !has_room {
                    return false;
                }
                let more = match before {
                    Some(before) => reported.since(before),
                    None if counts => reported.counts.clone(),
                    None => Counts::none(series.metric),
                };
                if known.histograms.insert(series.clone(), reported).is_none() {
                    self.reported += 1;
                }
                self.add(series, &more, now)
            }
        }
    }

    fn add(&mut self, series: Series, more: &Counts, now: Timestamp) -> bool {
        if !self.histograms.contains_key(&series) {
            if self.histograms.len() >= limits::CLIENT_METRICS_SERIES_MAX {
                self.sweep(now);
            }
            if self.histograms.len() >= limits::CLIENT_METRICS_SERIES_MAX {
                return false;
            }
        }
        let none = || Histogram {
            counts: Counts::none(series.metric),
            changed_at: now,
        };
        let histogram = self.histograms.entry(series.clone()).or_insert_with(none);
        histogram.counts.add(more);
        histogram.changed_at = now;
        true
    }

    /// Makes room: forgets clients that have gone silent, and sums that no client reports any
    /// more. At most once a minute, since it looks at everything.
    fn sweep(&mut self, now: Timestamp) {
        const INTERVAL_MS: u128 = 60_000;
        let is_recent = |at: Timestamp| now.since(at).as_millis() < INTERVAL_MS;
        if self.swept_at.is_some_and(is_recent) {
            return;
        }
        self.swept_at = Some(now);
        self.clients
            .retain(|_, client| !is_expired(client.last_seen, now));
        self.reported = self.clients.values().map(Client::len).sum();
        self.histograms
            .retain(|_, histogram| !is_expired(histogram.changed_at, now));
    }
}

fn is_expired(last_seen: Timestamp, now: Timestamp) -> bool {
    now.since(last_seen).as_millis() > u128::from(limits::CLIENT_METRICS_EXPIRY_MS)
}

#[cfg(test)]
mod tests;
