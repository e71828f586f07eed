//! One run: the victim's load, alone or with the flooder's, and what came of both.

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

use super::tenants::{SEND_TPS, Tenants};
use crate::compare::processors::{Place, Processors};

/// What the victim sends, and receives, in a second: half of what it may.
const VICTIM_RATE: f64 = SEND_TPS / 2.0;

/// What the flooder wants to send in a second.
const FLOOD_RATE: f64 = SEND_TPS * 10.0;

/// Load before the victim is measured, in seconds: the flood is at work then.
const WARM_UP: u32 = 2;

/// Connections of the flooder, and requests under way on each: so many that it does send at its
/// rate though refusals are answered late.
const FLOOD_CONNECTIONS: usize = 8;

/// See [`FLOOD_CONNECTIONS`].
const FLOOD_IN_FLIGHT: usize = 256;

/// What the load speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    /// That of 3.x to 5.x clients.
    Remoting,
    /// That of 5.x gRPC clients.
    Grpc,
}

impl Protocol {
    /// All that are measured.
    pub(super) const ALL: [Self; 2] = [Self::Remoting, Self::Grpc];

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Remoting => "remoting",
            Self::Grpc => "grpc",
        }
    }
}

/// What a run gave.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    pub(super) protocol: Protocol,
    pub(super) round: u32,
    /// 99 of 100 sends of the victim were confirmed after so many ms at most, counted from when
    /// they were due.
    pub(super) send_p99_ms: f64,
    /// 99 of 100 messages of the victim were received after so many ms at most, counted likewise.
    pub(super) receive_p99_ms: f64,
    /// Messages of the victim that were sent, and confirmed.
    pub(super) confirmed: u64,
    /// Messages of the victim that were refused, not begun, or not received.
    pub(super) lost: u64,
    /// Why, in words.
    pub(super) failures: Vec<String>,
    /// What the flooder got; `None` where the victim was alone.
    pub(super) flood: Option<Flood>,
    /// Processor time of the server per second.
    pub(super) server_cpu_seconds: f64,
    /// Processor time of others meanwhile, in percent of all processors.
    pub(super) noise_percent: f64,
}

/// What the flooder got.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Flood {
    /// Messages that it wanted to send, a second.
    pub(super) wanted: f64,
    /// Sends that reached the server, a second.
    pub(super) sent: f64,
    /// Messages that it was confirmed, a second.
    pub(super) confirmed: f64,
    /// Sends that were throttled, a second.
    pub(super) throttled: f64,
    /// Failures that were no throttling.
    pub(super) failures: Vec<String>,
}

impl Run {
    /// The run, on a line.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "round {} {} {}: p99 send {:.2} ms, receive {:.2} ms, {} confirmed",
            self.round,
            self.protocol.name(),
            if self.flood.is_some() {
                "flooded"
            } else {
                "alone"
            },
            self.send_p99_ms,
            self.receive_p99_ms,
            self.confirmed,
        );
        if let Some(flood) = &self.flood {
            text.push_str(&format!(
                "; flood of {:.0}/s: {:.0}/s confirmed, {:.0}/s throttled",
                flood.sent, flood.confirmed, flood.throttled
            ));
        }
        if self.noise_percent >= 1.0 {
            text.push_str(&format!(", noise {:.0} %", self.noise_percent));
        }
        text
    }
}

/// Makes runs.
pub(super) struct Loader {
    pub(super) processors: Processors,
    /// How long the victim is measured.
    pub(super) seconds: u32,
}

impl Loader {
    /// Makes one run.
    pub(super) fn run(
        &self,
        tenants: &Tenants,
        protocol: Protocol,
        is_flooded: bool,
    ) -> Result<Run> {
        let flooder = match is_flooded {
            true => Some(self.start_flood(tenants, protocol)?),
            false => None,
        };
        let mut victim = bench(tenants, "e2e", protocol, &tenants.victim);
        victim
            .args(["--rate", &VICTIM_RATE.to_string()])
            .args(["--warmup", &WARM_UP.to_string()])
            .args(["--duration", &self.seconds.to_string()])
            .args(["--server-pid", &tenants.server_pid()]);
        // The victim shares the server's processor: the other one is the flooder's alone.
        let victim = self
            .processors
            .within(Place::Server, || victim.spawn().context("start the victim"));
        let victim = answer(victim?)?;
        let flood = flooder.map(answer).transpose()?;
        self.judge(protocol, &victim, flood.as_ref())
    }

    /// The flood begins before the victim's load and ends after it.
    fn start_flood(&self, tenants: &Tenants, protocol: Protocol) -> Result<Child> {
        let mut flooder = bench(tenants, "send", protocol, &tenants.flooder);
        flooder
            .args(["--rate", &FLOOD_RATE.to_string()])
            .args(["--warmup", "1"])
            .args(["--duration", &(WARM_UP + self.seconds).to_string()])
            .args(["--connections", &FLOOD_CONNECTIONS.to_string()])
            .args(["--in-flight", &FLOOD_IN_FLIGHT.to_string()]);
        self.processors.within(Place::Generator, || {
            flooder.spawn().context("start the flooder")
        })
    }

    fn judge(&self, protocol: Protocol, victim: &Value, flood: Option<&Value>) -> Result<Run> {
        let seconds = number(victim, "/seconds")?.max(0.1);
        let cpu = |report: &Value| number(report, "/usage/generator_cpu_seconds");
        let mut others = number(victim, "/usage/others_cpu_percent")?;
        if let Some(flood) = flood {
            others -= cpu(flood)? / number(flood, "/seconds")?.max(0.1) * 100.0;
        }
        let (confirmed, failed) = (count(victim, "/confirmed")?, count(victim, "/failed")?);
        let found = count(victim, "/check/found")?;
        Ok(Run {
            protocol,
            round: 0,
            send_p99_ms: number(victim, "/send_latency/p99_ms")?,
            receive_p99_ms: number(victim, "/latency/p99_ms")?,
            confirmed,
            lost: failed + count(victim, "/not_begun")? + confirmed.saturating_sub(found),
            failures: failures(victim).into_iter().map(|(why, _)| why).collect(),
            flood: flood.map(Flood::of).transpose()?,
            server_cpu_seconds: number(victim, "/usage/server_cpu_seconds")? / seconds,
            noise_percent: others.max(0.0) / self.processors.count() as f64,
        })
    }
}

impl Flood {
    fn of(report: &Value) -> Result<Self> {
        // Failures are counted over the whole run, with the second that it warms up.
        let seconds = number(report, "/seconds")?.max(0.1) + 1.0;
        let per_second = |count: u64| count as f64 / seconds;
        let failures = failures(report);
        let (throttled, other): (Vec<_>, Vec<_>) = failures
            .into_iter()
            .partition(|(why, _)| why.contains("messages flow control"));
        let throttled: u64 = throttled.iter().map(|(_, count)| count).sum();
        let sent = count(report, "/confirmed")? + count(report, "/failed")?;
        Ok(Self {
            wanted: per_second(sent + count(report, "/not_begun")?),
            sent: per_second(sent),
            confirmed: per_second(count(report, "/confirmed")?),
            throttled: per_second(throttled),
            failures: other.into_iter().map(|(why, _)| why).collect(),
        })
    }
}

/// The load generator, for a topic and a group of an instance.
fn bench(tenants: &Tenants, what: &str, protocol: Protocol, instance: &str) -> Command {
    let mut command = Command::new(&tenants.binary);
    command
        .args(["bench", what, "--server", &tenants.address])
        .args(["--protocol", protocol.name()])
        .args(["--topic", &format!("{instance}%orders")])
        .args(["--group", &format!("{instance}%billing")])
        .args(["--output", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What the load generator says in the end. That messages are missing is in it, and no error here.
fn answer(child: Child) -> Result<Value> {
    let output = child
        .wait_with_output()
        .context("wait for the load generator")?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("the load generator ended with {}: {errors}", output.status)
    })
}

fn number(report: &Value, path: &str) -> Result<f64> {
    let number = report.pointer(path).and_then(Value::as_f64);
    number.with_context(|| format!("the load generator tells no `{path}`: {report}"))
}

fn count(report: &Value, path: &str) -> Result<u64> {
    let count = report.pointer(path).and_then(Value::as_u64);
    count.with_context(|| format!("the load generator tells no `{path}`: {report}"))
}

/// Why requests failed, and how many messages did.
fn failures(report: &Value) -> Vec<(String, u64)> {
    let failures = report.pointer("/failures").and_then(Value::as_object);
    let failures = failures.into_iter().flatten();
    failures
        .map(|(why, count)| (why.clone(), count.as_u64().unwrap_or(0)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_throttled_is_told_from_what_failed() {
        let flood = Flood::of(&json!({
            "seconds": 9.0, "confirmed": 10_000, "failed": 80_010, "not_begun": 9_990,
            "failures": {
                "refused: messages flow control: sends are limited": 80_000,
                "connection lost": 10,
            },
        }))
        .unwrap();
        assert_eq!((flood.wanted, flood.sent), (10_000.0, 9_001.0));
        assert_eq!((flood.confirmed, flood.throttled), (1_000.0, 8_000.0));
        assert_eq!(flood.failures, ["connection lost"]);
    }
}
