//! The result of a run, for people and for scripts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    machine::{Machine, Usage},
    meter::{Counts, Latencies},
    options::BenchOptions,
    target::{Target, remoting_options},
};
use crate::{admin, cli::Output, exit::Failure};

/// The result. Fields stay as they are; new ones may come.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    /// What was measured: `send`, `receive` or `e2e`.
    pub(super) bench: &'static str,
    pub(super) generator_version: &'static str,
    /// What the server says it is, if it speaks Remoting.
    pub(super) server_version: Option<String>,
    pub(super) machine: Machine,
    pub(super) options: &'a BenchOptions,
    /// Seconds that were measured.
    pub(super) seconds: f64,
    pub(super) messages: u64,
    pub(super) messages_per_second: f64,
    pub(super) body_bytes_per_second: f64,
    pub(super) requests: u64,
    pub(super) requests_per_second: f64,
    /// Of `send`: until the server confirmed. Of `receive`: until a request was answered with
    /// messages. Of `e2e`: from when a send was due until its message was received.
    pub(super) latency: Latencies,
    /// Of `receive` over gRPC or with pop: until acks were confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ack_latency: Option<Latencies>,
    /// Of `e2e`: until the server confirmed sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) send_latency: Option<Latencies>,
    /// Messages done in the whole run, warm-up and end included.
    pub(super) confirmed: u64,
    /// Messages whose request failed, in the whole run.
    pub(super) failed: u64,
    /// Why, by number of messages.
    pub(super) failures: BTreeMap<String, u64>,
    /// At a fixed rate: sends that were due but never begun, as all requests were still under way.
    pub(super) not_begun: u64,
    pub(super) usage: Option<Usage>,
    pub(super) server_cpu_us_per_message: Option<f64>,
    pub(super) generator_cpu_us_per_message: Option<f64>,
    /// What the queues say of the messages that were confirmed.
    pub(super) check: Check,
}

/// Whether what was confirmed is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub(super) enum Check {
    /// It is.
    Passed {
        /// Messages confirmed in the whole run.
        confirmed: u64,
        /// Messages found: in the queues, or received.
        found: u64,
    },
    /// It is not: messages are missing, or too many.
    Failed {
        /// Messages confirmed in the whole run.
        confirmed: u64,
        /// Messages found: in the queues, or received.
        found: u64,
    },
    /// It could not be told.
    NotMade {
        /// Why.
        reason: String,
    },
}

impl Check {
    /// Compares messages that were confirmed with those found. Of `unknown` further ones nobody
    /// knows.
    pub(super) fn of(confirmed: u64, found: u64, unknown: u64) -> Self {
        if (confirmed..=confirmed + unknown).contains(&found) {
            Self::Passed { confirmed, found }
        } else {
            Self::Failed { confirmed, found }
        }
    }
}

impl<'a> Report<'a> {
    /// A report of what was counted in `seconds`.
    pub(super) fn new(
        bench: &'static str,
        options: &'a BenchOptions,
        seconds: f64,
        counts: Counts,
        (latency, failures): (Latencies, BTreeMap<String, u64>),
        usage: Option<Usage>,
    ) -> Self {
        let per_second = |count: u64| (count as f64 / seconds.max(1e-9) * 10.0).round() / 10.0;
        let per_message = |cpu_seconds: f64| {
            (counts.messages > 0)
                .then(|| (cpu_seconds * 1e8 / counts.messages as f64).round() / 100.0)
        };
        Self {
            bench,
            generator_version: env!("CARGO_PKG_VERSION"),
            server_version: None,
            machine: Machine::this(),
            options,
            seconds: (seconds * 1_000.0).round() / 1_000.0,
            messages: counts.messages,
            messages_per_second: per_second(counts.messages),
            body_bytes_per_second: per_second(counts.bytes),
            requests: counts.requests,
            requests_per_second: per_second(counts.requests),
            latency,
            ack_latency: None,
            send_latency: None,
            confirmed: counts.messages_all,
            failed: counts.failed,
            failures,
            not_begun: 0,
            server_cpu_us_per_message: usage
                .as_ref()
                .and_then(|usage| per_message(usage.server_cpu_seconds?)),
            generator_cpu_us_per_message: usage
                .as_ref()
                .and_then(|usage| per_message(usage.generator_cpu_seconds)),
            usage,
            check: Check::NotMade {
                reason: "nothing to compare".to_owned(),
            },
        }
    }

    /// The report with the server's release.
    pub(super) async fn of_server(mut self, target: Option<&Target>) -> Self {
        if let Some(target) = target {
            self.server_version = target.server_version(&remoting_options(self.options)).await;
        }
        self
    }

    /// Prints the report. A failed check is a failure of the command.
    pub(super) fn print(&self) -> Result<(), Failure> {
        match self.options.output {
            Output::Json => admin::json(self)?,
            Output::Table => admin::print(&self.text())?,
        }
        match self.check {
            Check::Failed { confirmed, found } => Err(Failure::Refused(anyhow::anyhow!(
                "{confirmed} messages were confirmed, but {found} were found"
            ))),
            Check::Passed { .. } | Check::NotMade { .. } => Ok(()),
        }
    }

    fn text(&self) -> String {
        let mut facts = vec![
            (
                "server",
                self.server_version
                    .clone()
                    .unwrap_or_else(|| "unknown".to_owned()),
            ),
            (
                "throughput",
                format!(
                    "{:.0} messages/s, {:.2} MB/s in {:.0} requests/s",
                    self.messages_per_second,
                    self.body_bytes_per_second / 1e6,
                    self.requests_per_second
                ),
            ),
            (
                "messages",
                format!("{} in {:.1} s", self.messages, self.seconds),
            ),
            ("failed", self.failed.to_string()),
        ];
        if self.not_begun > 0 {
            facts.push((
                "not begun",
                format!("{} due sends: the rate was not reached", self.not_begun),
            ));
        }
        facts.push(("latency", latency_text(&self.latency)));
        if let Some(latency) = &self.send_latency {
            facts.push(("send latency", latency_text(latency)));
        }
        if let Some(latency) = &self.ack_latency {
            facts.push(("ack latency", latency_text(latency)));
        }
        if let (Some(usage), Some(own)) = (&self.usage, self.generator_cpu_us_per_message) {
            let mut text = format!("load generator {own:.1} us per message");
            if let Some(server) = self.server_cpu_us_per_message {
                text = format!("server {server:.1} us per message, {text}");
            }
            if let Some(others) = usage.others_cpu_percent {
                text.push_str(&format!(", others {others:.0} % of one CPU"));
            }
            facts.push(("CPU", text));
            if let Some(bytes) = usage.server_memory_bytes {
                let anonymous = usage.server_anonymous_memory_bytes.unwrap_or(0);
                let mib = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
                let text = format!(
                    "server {:.1} MiB, {:.1} anonymous",
                    mib(bytes),
                    mib(anonymous)
                );
                facts.push(("memory", text));
            }
        }
        facts.push((
            "check",
            match &self.check {
                Check::Passed { confirmed, found } => {
                    format!("passed: {confirmed} confirmed, {found} found")
                }
                Check::Failed { confirmed, found } => {
                    format!("FAILED: {confirmed} confirmed, {found} found")
                }
                Check::NotMade { reason } => format!("not made: {reason}"),
            },
        ));
        let mut text = admin::facts(&facts);
        for (reason, count) in &self.failures {
            text.push_str(&format!("  {count} failed: {reason}\n"));
        }
        text
    }
}

fn latency_text(latency: &Latencies) -> String {
    if latency.count == 0 {
        return "nothing measured".to_owned();
    }
    format!(
        "p50 {} ms, p90 {}, p99 {}, p99.9 {}, max {} (mean {})",
        latency.p50_ms,
        latency.p90_ms,
        latency.p99_ms,
        latency.p999_ms,
        latency.max_ms,
        latency.mean_ms
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_confirmed_must_be_found() {
        assert!(matches!(Check::of(10, 10, 0), Check::Passed { .. }));
        assert!(matches!(Check::of(10, 9, 5), Check::Failed { .. }));
        assert!(matches!(Check::of(10, 12, 2), Check::Passed { .. }));
        assert!(matches!(Check::of(10, 13, 2), Check::Failed { .. }));
    }
}
