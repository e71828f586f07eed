//! What clients reported, on the metrics page.

use std::{collections::BTreeMap, fmt, sync::atomic::Ordering};

use base::{InstanceId, Timestamp};
use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{ClientMetric, ClientMetrics, Counts, LeftOut, Series, Table, is_expired};
use crate::front::CLUSTER_NAME;

const fn help(metric: ClientMetric) -> &'static str {
    match metric {
        ClientMetric::SendCostTime => "Time that sending a message took its client, ms",
        ClientMetric::DeliveryLatency => "Time from delivery to arrival at the client, ms",
        ClientMetric::AwaitTime => "Time that messages waited in their client, ms",
        ClientMetric::ProcessTime => "Time that consuming a message took its client, ms",
        ClientMetric::CachedMessages => "Messages that wait in push consumers",
        ClientMetric::CachedBytes => "Bytes of messages that wait in push consumers",
    }
}

/// One histogram to be shown.
struct Shown<'a> {
    metric: ClientMetric,
    counts: &'a Counts,
}

impl EncodeMetric for Shown<'_> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts = self.counts.buckets();
        let bounds = self.metric.bounds().iter().copied().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
        let all = counts
            .iter()
            .fold(0_u64, |all, one| all.saturating_add(*one));
        encoder.encode_histogram::<NoLabelSet>(self.counts.sum(), all, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn labels<'a>(instance: &'a InstanceId, series: &'a Series) -> Vec<(&'a str, &'a str)> {
    let mut labels = vec![
        ("cluster", CLUSTER_NAME),
        ("node_type", "client"),
        ("node_id", instance.as_str()),
        ("topic", series.topic.as_str()),
    ];
    if let Some(group) = &series.group {
        labels.push(("consumer_group", group.as_str()));
    }
    match series.success {
        Some(true) => labels.push(("invocation_status", "success")),
        Some(false) => labels.push(("invocation_status", "failure")),
        None => {}
    }
    labels
}

impl Table {
    /// Sums over the clients that are there.
    pub(super) fn gauges(&self, metric: ClientMetric, now: Timestamp) -> BTreeMap<&Series, f64> {
        let mut sums = BTreeMap::new();
        let live = self
            .clients
            .values()
            .filter(|client| !is_expired(client.last_seen, now));
        for (series, value) in live.flat_map(|client| &client.gauges) {
            if series.metric == metric {
                *sums.entry(series).or_insert(0.0) += value;
            }
        }
        sums
    }
}

impl ClientMetrics {
    pub(crate) fn encode(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        now: Timestamp,
    ) -> fmt::Result {
        let tables = self.tables.lock();
        for metric in ClientMetric::ALL {
            let kind = if metric.is_histogram() {
                MetricType::Histogram
            } else {
                MetricType::Gauge
            };
            let mut family = encoder.encode_descriptor(metric.name(), help(metric), None, kind)?;
            for (instance, table) in &*tables {
                for (series, histogram) in &table.histograms {
                    if series.metric == metric {
                        let counts = &histogram.counts;
                        let labels = labels(instance, series);
                        Shown { metric, counts }.encode(family.encode_family(&labels)?)?;
                    }
                }
                for (series, value) in table.gauges(metric, now) {
                    let labels = labels(instance, series);
                    ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        drop(tables);
        let mut family = encoder.encode_descriptor(
            "carrack_client_metrics_left_out",
            "Values in reports of clients that are not shown, by the reason",
            None,
            MetricType::Counter,
        )?;
        for reason in LeftOut::ALL {
            let count = self.left_out[reason as usize].load(Ordering::Relaxed);
            let labels = [("reason", reason.name())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
