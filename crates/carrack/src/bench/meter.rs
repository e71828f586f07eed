//! Counting what was done, and how long it took.

use std::{collections::BTreeMap, sync::Arc, sync::Mutex, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::Instant;

use super::Span;
use crate::bench::options::BenchOptions;

/// Latencies that a lane keeps before it adds them to the shared histogram.
const KEPT: usize = 64;

/// Longest time that a lane keeps them while it is busy.
const FLUSH_INTERVAL: Duration = Duration::from_millis(250);

/// Shortest and longest latency that can be told, in ns: 1 us and 10 min.
const NANOS_MIN: u64 = 1_000;
const NANOS_MAX: u64 = 600_000_000_000;

/// Reasons of failures that are told apart.
const REASONS_MAX: usize = 8;

/// What all lanes of a run count together.
#[derive(Debug)]
pub(super) struct Meter {
    span: Span,
    totals: Mutex<Totals>,
}

#[derive(Debug)]
struct Totals {
    latencies: Histogram<u64>,
    counts: Counts,
    failures: BTreeMap<String, u64>,
}

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Messages done in the measured time.
    pub(super) messages: u64,
    /// Bytes of their bodies.
    pub(super) bytes: u64,
    /// Requests done in the measured time.
    pub(super) requests: u64,
    /// Messages done at any time of the run.
    pub(super) messages_all: u64,
    /// Messages whose request failed, at any time.
    pub(super) failed: u64,
    /// Of these, messages of which nobody knows whether they were stored.
    pub(super) unknown: u64,
}

impl Meter {
    /// A meter for a run.
    pub(super) fn new(span: Span) -> Arc<Self> {
        let latencies = Histogram::new_with_bounds(NANOS_MIN, NANOS_MAX, 3)
            .expect("the bounds are in order and three digits are allowed");
        Arc::new(Self {
            span,
            totals: Mutex::new(Totals {
                latencies,
                counts: Counts::default(),
                failures: BTreeMap::new(),
            }),
        })
    }

    /// A part of the meter for one lane.
    pub(super) fn lane(self: &Arc<Self>) -> Lane {
        Lane {
            meter: Arc::clone(self),
            kept: Vec::with_capacity(KEPT),
            counts: Counts::default(),
            flushed: self.span.start,
        }
    }

    /// What was counted so far, lanes' last few aside.
    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Latencies and failures of the run.
    pub(super) fn result(&self) -> (Latencies, BTreeMap<String, u64>) {
        let totals = self.lock();
        (Latencies::of(&totals.latencies), totals.failures.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Totals> {
        self.totals
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One lane's part of a meter. What it has counted is added when it is dropped at the latest.
pub(super) struct Lane {
    meter: Arc<Meter>,
    kept: Vec<u64>,
    counts: Counts,
    flushed: Instant,
}

impl Lane {
    /// A request was due at `due` and is done now. It counts for throughput if it is done in the
    /// measured time, and for latency if it was due then.
    pub(super) fn done(&mut self, due: Instant, messages: u64, bytes: u64) {
        let now = Instant::now();
        self.done_at(now, messages, bytes);
        self.latency(due, now);
    }

    /// Messages are done now, whose latency is counted elsewhere.
    pub(super) fn done_at(&mut self, now: Instant, messages: u64, bytes: u64) {
        self.counts.messages_all += messages;
        let span = self.meter.span;
        if now >= span.measured && now < span.end {
            self.counts.messages += messages;
            self.counts.bytes += bytes;
            self.counts.requests += 1;
        }
    }

    /// Something that was due at `due` is done at `now`.
    pub(super) fn latency(&mut self, due: Instant, now: Instant) {
        let span = self.meter.span;
        if due >= span.measured && due < span.end {
            let nanos = now.saturating_duration_since(due).as_nanos();
            self.kept.push(
                u64::try_from(nanos)
                    .unwrap_or(NANOS_MAX)
                    .clamp(NANOS_MIN, NANOS_MAX),
            );
        }
        if self.kept.len() >= KEPT || now.saturating_duration_since(self.flushed) >= FLUSH_INTERVAL
        {
            self.flushed = now;
            self.flush();
        }
    }

    /// A request failed.
    pub(super) fn failed(&mut self, error: &client::ClientError, messages: u64) {
        self.counts.failed += messages;
        if error.is_unreachable() {
            self.counts.unknown += messages;
        }
        let reason = error.to_string();
        let mut totals = self.meter.lock();
        let known = totals.failures.len();
        let reason = if totals.failures.contains_key(&reason) || known < REASONS_MAX {
            reason
        } else {
            "other reasons".to_owned()
        };
        *totals.failures.entry(reason).or_default() += messages;
        drop(totals);
        self.flush();
    }

    fn flush(&mut self) {
        let mut totals = self.meter.lock();
        for nanos in self.kept.drain(..) {
            totals.latencies.saturating_record(nanos);
        }
        let (own, all) = (std::mem::take(&mut self.counts), &mut totals.counts);
        all.messages += own.messages;
        all.bytes += own.bytes;
        all.requests += own.requests;
        all.messages_all += own.messages_all;
        all.failed += own.failed;
        all.unknown += own.unknown;
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.flush();
    }
}

/// How long requests took, in ms.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Latencies {
    pub(super) count: u64,
    pub(super) mean_ms: f64,
    pub(super) min_ms: f64,
    pub(super) p50_ms: f64,
    pub(super) p90_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) p9999_ms: f64,
    pub(super) max_ms: f64,
}

impl Latencies {
    fn of(histogram: &Histogram<u64>) -> Self {
        // Rounded to the us, which is what the histogram can tell.
        let ms = |nanos: f64| (nanos / 1_000.0).round() / 1_000.0;
        let at = |quantile: f64| ms(histogram.value_at_quantile(quantile) as f64);
        let is_empty = histogram.is_empty();
        let unless_empty = |value: f64| if is_empty { 0.0 } else { value };
        Self {
            count: histogram.len(),
            mean_ms: unless_empty(ms(histogram.mean())),
            min_ms: unless_empty(ms(histogram.min() as f64)),
            p50_ms: unless_empty(at(0.5)),
            p90_ms: unless_empty(at(0.9)),
            p99_ms: unless_empty(at(0.99)),
            p999_ms: unless_empty(at(0.999)),
            p9999_ms: unless_empty(at(0.9999)),
            max_ms: unless_empty(ms(histogram.max() as f64)),
        }
    }
}

/// Shows on a terminal how a run goes, until it is dropped.
pub(super) struct Progress {
    task: tokio::task::JoinHandle<()>,
    bar: indicatif::ProgressBar,
}

impl Progress {
    /// Begins to show what `meter` counts. Shows nothing where standard error is no terminal.
    pub(super) fn start(meter: &Arc<Meter>, options: &BenchOptions) -> Self {
        let span = meter.span;
        let bar = indicatif::ProgressBar::new((span.end - span.start).as_millis() as u64);
        if let Ok(style) = indicatif::ProgressStyle::with_template("{bar:30} {elapsed} {msg}") {
            bar.set_style(style);
        }
        let (meter, shown, warmup) = (Arc::clone(meter), bar.clone(), options.warmup > 0.0);
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(500));
            let (mut before, mut at) = (0, Instant::now());
            loop {
                let now = ticks.tick().await;
                let counts = meter.counts();
                let rate = (counts.messages_all - before) as f64
                    / now.saturating_duration_since(at).as_secs_f64().max(0.001);
                (before, at) = (counts.messages_all, now);
                shown.set_position(now.saturating_duration_since(span.start).as_millis() as u64);
                let phase = if warmup && now < span.measured {
                    "warm-up, "
                } else {
                    ""
                };
                let failed = counts.failed;
                shown.set_message(format!("{phase}{rate:.0} messages/s, {failed} failed"));
            }
        });
        Self { task, bar }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_measured_time_counts() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let span = Span {
            start: now - second,
            measured: now,
            end: now + 60 * second,
        };
        let meter = Meter::new(span);
        let mut lane = meter.lane();
        // Due in the warm-up: counts for throughput, not for latency.
        lane.done(now - second, 2, 20);
        lane.done(Instant::now(), 3, 30);
        lane.done_at(now + 61 * second, 5, 50);
        drop(lane);
        let counts = meter.counts();
        assert_eq!((counts.messages, counts.bytes, counts.requests), (5, 50, 2));
        assert_eq!(counts.messages_all, 10);
        assert_eq!(meter.result().0.count, 1);
    }

    #[test]
    fn an_empty_run_has_zeros() {
        let now = Instant::now();
        let meter = Meter::new(Span {
            start: now,
            measured: now,
            end: now,
        });
        let latencies = meter.result().0;
        assert_eq!(
            (latencies.count, latencies.min_ms, latencies.p50_ms),
            (0, 0.0, 0.0)
        );
    }
}
