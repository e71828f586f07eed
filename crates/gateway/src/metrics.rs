//! What the front ends count, and the page that shows it with what the core counts.
//!
//! Names and labels are those of RocketMQ 5.x's Prometheus exporter, so that dashboards made for it
//! work. Text format: OpenMetrics, which Prometheus reads.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use broker::Instance;
use parking_lot::RwLock;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use crate::{
    front::{CLUSTER_NAME, Front},
    sniff::Protocol,
};

/// Content type of [`Front::scrape`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of `rocketmq_rpc_latency`, in milliseconds, as in RocketMQ's exporter.
const LATENCY_BOUNDS_MS: [f64; 9] = [1.0, 3.0, 5.0, 7.0, 10.0, 100.0, 1_000.0, 2_000.0, 3_000.0];

/// Upper bounds of `rocketmq_message_size`, in bytes, as in RocketMQ's exporter.
const SIZE_BOUNDS: [f64; 6] = [
    1_024.0,
    4_096.0,
    524_288.0,
    1_048_576.0,
    2_097_152.0,
    4_194_304.0,
];

/// What a call is counted under. All texts are constants, which bounds their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RpcKey {
    /// Protocol: `remoting` or `grpc_v2`.
    pub protocol: &'static str,
    /// What was asked, as the protocol names it.
    pub request: &'static str,
    /// How it went, as the protocol names it.
    pub response: &'static str,
    /// Whether the call may wait for messages.
    pub long_polling: bool,
    /// `success`, `oneway`, `cancelled`, `process_request_failed` or `write_channel_failed`.
    pub result: &'static str,
}

/// Counts by size class; never locks.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    buckets: Vec<AtomicU64>,
    /// In thousandths of the unit.
    sum_milli: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self {
            bounds,
            buckets,
            sum_milli: AtomicU64::new(0),
        }
    }

    /// Counts a duration, in milliseconds.
    pub fn observe(&self, duration: Duration) {
        self.add(duration.as_secs_f64() * 1_000.0);
    }

    fn add(&self, value: f64) {
        let index = self.bounds.iter().position(|bound| value <= *bound);
        self.buckets[index.unwrap_or(self.bounds.len())].fetch_add(1, Ordering::Relaxed);
        self.sum_milli
            .fetch_add((value * 1_000.0) as u64, Ordering::Relaxed);
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts: Vec<u64> = self
            .buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .collect();
        let bounds = self.bounds.iter().copied().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
        let sum = self.sum_milli.load(Ordering::Relaxed) as f64 / 1_000.0;
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// What the front ends count since start.
#[derive(Debug)]
pub struct FrontMetrics {
    latencies: RwLock<HashMap<RpcKey, Arc<Histogram>>>,
    message_size: Histogram,
    accepted: [AtomicU64; 4],
    refused: AtomicU64,
    garbage: AtomicU64,
}

impl Default for FrontMetrics {
    fn default() -> Self {
        Self {
            latencies: RwLock::default(),
            message_size: Histogram::new(&SIZE_BOUNDS),
            accepted: Default::default(),
            refused: AtomicU64::new(0),
            garbage: AtomicU64::new(0),
        }
    }
}

const PROTOCOLS: [Protocol; 4] = [
    Protocol::Tls,
    Protocol::Http2,
    Protocol::Http1,
    Protocol::Remoting,
];

impl FrontMetrics {
    /// Where the latency of such calls is counted. Worth keeping: finding it takes a lock.
    pub fn latency(&self, key: RpcKey) -> Arc<Histogram> {
        if let Some(found) = self.latencies.read().get(&key) {
            return Arc::clone(found);
        }
        let mut latencies = self.latencies.write();
        let histogram = || Arc::new(Histogram::new(&LATENCY_BOUNDS_MS));
        Arc::clone(latencies.entry(key).or_insert_with(histogram))
    }

    /// Counts a message that was stored, by the bytes of its body and properties.
    pub fn message_stored(&self, bytes: usize) {
        self.message_size.add(bytes as f64);
    }

    pub(crate) fn spoken(&self, protocol: Protocol) {
        let index = PROTOCOLS.iter().position(|p| *p == protocol).unwrap_or(0);
        self.accepted[index].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn garbage(&self) {
        self.garbage.fetch_add(1, Ordering::Relaxed);
    }
}

impl Front {
    /// The metrics page.
    pub(crate) fn scrape(self: &Arc<Self>) -> String {
        // What clients of deleted instances measured goes with them.
        let is_here = |instance: &_| self.router.instance(instance).is_ok();
        self.client_metrics.keep(is_here);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape(Arc::clone(self))));
        let mut page = String::new();
        text::encode(&mut page, &registry).expect("writing to a string cannot fail");
        page
    }
}

struct Scrape(Arc<Front>);

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

type Labels<'a> = Vec<(&'a str, &'a str)>;

/// One metric with a sample for each label set.
struct Samples<'a> {
    name: &'static str,
    help: &'static str,
    samples: Vec<(Labels<'a>, u64)>,
}

impl Samples<'_> {
    fn counter(self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut metric =
            encoder.encode_descriptor(self.name, self.help, None, MetricType::Counter)?;
        for (labels, value) in self.samples {
            ConstCounter::new(value).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn gauge(self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut metric =
            encoder.encode_descriptor(self.name, self.help, None, MetricType::Gauge)?;
        for (labels, value) in self.samples {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

const fn yes_no(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn is_retry_or_dead_letter(topic: &base::TopicName) -> bool {
    topic.retry_group().is_some() || topic.dead_letter_group().is_some()
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let front = &self.0;
        let instances: Vec<(Arc<Instance>, broker::InstanceMetrics)> = front
            .router
            .instances()
            .into_iter()
            .map(|instance| {
                let metrics = instance.metrics();
                (instance, metrics)
            })
            .collect();
        topics(&instances, &mut encoder)?;
        groups(&instances, &mut encoder)?;
        counts(&instances, &mut encoder)?;
        storage(&instances, &mut encoder)?;
        quotas(&instances, &mut encoder)?;
        let now = front.clock.now();
        front.client_metrics.encode(&mut encoder, now)?;
        let [lost, written, spans_lost] = front.message_traces.counts();
        for (name, help, count) in [
            (
                "carrack_message_traces_lost",
                "Traces of gRPC clients' messages that found no room or could not be written",
                lost,
            ),
            (
                "carrack_message_traces_written",
                "Traces of gRPC clients' messages in the trace topic",
                written,
            ),
            (
                "carrack_spans_lost",
                "Spans of gRPC clients' messages that their exporter had no room for",
                spans_lost,
            ),
        ] {
            Samples {
                name,
                help,
                samples: vec![(Vec::new(), count)],
            }
            .counter(&mut encoder)?;
        }
        front.metrics.encode(&mut encoder, front.connections())
    }
}

type Measured = [(Arc<Instance>, broker::InstanceMetrics)];

fn node(instance: &Instance) -> Labels<'_> {
    vec![
        ("cluster", CLUSTER_NAME),
        ("node_type", "broker"),
        ("node_id", instance.id().as_str()),
    ]
}

fn topics(instances: &Measured, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let of = |value: fn(&broker::TopicMetrics) -> u64| {
        let mut samples = Vec::new();
        for (instance, metrics) in instances {
            for topic in metrics
                .topics
                .iter()
                .filter(|t| !is_retry_or_dead_letter(&t.topic))
            {
                let mut labels = node(instance);
                labels.push(("topic", topic.topic.as_str()));
                labels.push(("message_type", topic.topic_type));
                labels.push(("is_system", "false"));
                samples.push((labels, value(topic)));
            }
        }
        samples
    };
    Samples {
        name: "rocketmq_messages_in",
        help: "Messages stored",
        samples: of(|topic| topic.messages_in),
    }
    .counter(encoder)?;
    Samples {
        name: "rocketmq_throughput_in",
        help: "Bytes of messages stored",
        samples: of(|topic| topic.bytes_in),
    }
    .counter(encoder)
}

fn groups(instances: &Measured, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let of = |value: fn(&broker::GroupMetrics) -> u64| {
        let mut samples = Vec::new();
        for (instance, metrics) in instances {
            for group in &metrics.groups {
                let mut labels = node(instance);
                labels.push(("topic", group.topic.as_str()));
                labels.push(("consumer_group", group.group.as_str()));
                labels.push(("is_retry", yes_no(group.topic.retry_group().is_some())));
                labels.push(("is_system", "false"));
                samples.push((labels, value(group)));
            }
        }
        samples
    };
    for (name, help, value) in [
        (
            "rocketmq_messages_out",
            "Messages handed out",
            (|group| group.messages_out) as fn(&broker::GroupMetrics) -> u64,
        ),
        (
            "rocketmq_throughput_out",
            "Bytes of messages handed out",
            |group| group.bytes_out,
        ),
        (
            "rocketmq_send_to_dlq_messages",
            "Messages sent to dead-letter topics",
            |group| group.dead_letters,
        ),
    ] {
        Samples {
            name,
            help,
            samples: of(value),
        }
        .counter(encoder)?;
    }
    for (name, help, value) in [
        (
            "rocketmq_consumer_lag_messages",
            "Messages stored that the group has not finished",
            (|group| group.lag) as fn(&broker::GroupMetrics) -> u64,
        ),
        (
            "rocketmq_consumer_inflight_messages",
            "Messages handed out and not settled",
            |group| group.in_flight,
        ),
        (
            "rocketmq_consumer_ready_messages",
            "Messages that could be handed out now",
            |group| group.ready,
        ),
    ] {
        Samples {
            name,
            help,
            samples: of(value),
        }
        .gauge(encoder)?;
    }
    Ok(())
}

fn counts(instances: &Measured, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let of = |value: &dyn Fn(&Instance, &broker::InstanceMetrics) -> usize| {
        let mut samples = Vec::new();
        for (instance, metrics) in instances {
            samples.push((node(instance), value(instance, metrics) as u64));
        }
        samples
    };
    for (name, help, samples) in [
        (
            "rocketmq_producer_connections",
            "Connected producers",
            of(&|_, metrics| metrics.producers),
        ),
        (
            "rocketmq_consumer_connections",
            "Connected consumers",
            of(&|_, metrics| metrics.consumers),
        ),
        (
            "rocketmq_topic_number",
            "Topics",
            of(&|instance, _| instance.topics().len()),
        ),
        (
            "rocketmq_consumer_group_number",
            "Consumer groups",
            of(&|instance, _| instance.groups().len()),
        ),
    ] {
        Samples {
            name,
            help,
            samples,
        }
        .gauge(encoder)?;
    }
    Ok(())
}

fn storage(instances: &Measured, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let of = |value: fn(&broker::InstanceMetrics) -> u64| {
        let mut samples = Vec::new();
        for (instance, metrics) in instances {
            let mut labels = node(instance);
            labels.push(("storage_type", "local"));
            labels.push(("storage_medium", "disk"));
            samples.push((labels, value(metrics)));
        }
        samples
    };
    Samples {
        name: "rocketmq_storage_size",
        help: "Bytes of log on disk",
        samples: of(|metrics| metrics.log_disk_bytes),
    }
    .gauge(encoder)?;
    Samples {
        name: "rocketmq_storage_flush_behind_bytes",
        help: "Bytes appended to the log and not yet durable",
        samples: of(|metrics| metrics.log_pending_bytes),
    }
    .gauge(encoder)?;
    Samples {
        name: "rocketmq_timing_messages",
        help: "Timed messages that wait for their time",
        samples: of(|metrics| metrics.timed_messages),
    }
    .gauge(encoder)?;
    Samples {
        name: "rocketmq_half_messages",
        help: "Half messages whose transactions are open",
        samples: of(|metrics| metrics.half_messages),
    }
    .gauge(encoder)
}

/// Not of RocketMQ's exporter, which knows no quotas.
fn quotas(instances: &Measured, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let of = |value: fn(&broker::InstanceMetrics) -> u64| {
        let samples = instances.iter();
        let samples = samples.map(|(instance, metrics)| (node(instance), value(metrics)));
        samples.collect()
    };
    for (name, help, samples) in [
        (
            "carrack_send_units",
            "Units of sends of instances with a plan",
            of(|metrics| metrics.send_units),
        ),
        (
            "carrack_receive_units",
            "Units of deliveries of instances with a plan",
            of(|metrics| metrics.receive_units),
        ),
        (
            "carrack_throttled_sends",
            "Sends refused as a quota was used up",
            of(|metrics| metrics.throttled_sends),
        ),
        (
            "carrack_throttled_receives",
            "Requests for messages refused as a quota was used up",
            of(|metrics| metrics.throttled_receives),
        ),
    ] {
        Samples {
            name,
            help,
            samples,
        }
        .counter(encoder)?;
    }
    Ok(())
}

impl FrontMetrics {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>, connections: usize) -> fmt::Result {
        let mut sizes = encoder.encode_descriptor(
            "rocketmq_message_size",
            "Bytes of body and properties of stored messages",
            None,
            MetricType::Histogram,
        )?;
        self.message_size
            .encode(sizes.encode_family(&[("cluster", CLUSTER_NAME)])?)?;

        let mut latencies = encoder.encode_descriptor(
            "rocketmq_rpc_latency",
            "Time from a request to its answer, in milliseconds",
            None,
            MetricType::Histogram,
        )?;
        for (key, histogram) in &*self.latencies.read() {
            let labels = [
                ("cluster", CLUSTER_NAME),
                ("node_type", "broker"),
                ("protocol_type", key.protocol),
                ("request_code", key.request),
                ("response_code", key.response),
                ("is_long_polling", yes_no(key.long_polling)),
                ("result", key.result),
            ];
            histogram.encode(latencies.encode_family(&labels)?)?;
        }

        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let spoken = PROTOCOLS.iter().zip(&self.accepted);
        Samples {
            name: "carrack_connections_accepted",
            help: "Connections accepted, by the protocol that their first bytes told",
            samples: spoken
                .map(|(p, n)| (vec![("protocol", p.name())], load(n)))
                .collect(),
        }
        .counter(encoder)?;
        Samples {
            name: "carrack_connections_refused",
            help: "Connections closed at once because too many were open",
            samples: vec![(Vec::new(), load(&self.refused))],
        }
        .counter(encoder)?;
        Samples {
            name: "carrack_connections_garbage",
            help: "Connections closed because their first bytes told no protocol, or came too late",
            samples: vec![(Vec::new(), load(&self.garbage))],
        }
        .counter(encoder)?;
        Samples {
            name: "carrack_connections",
            help: "Open connections",
            samples: vec![(Vec::new(), connections as u64)],
        }
        .gauge(encoder)
    }
}
