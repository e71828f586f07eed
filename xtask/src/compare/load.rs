//! Does what a scenario says to a server, and measures it.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::processors::{Place, anonymous_bytes};
use super::scenario::{Load, Metric, Reading, Scenario, Sending};
use super::server::{Programs, Server, Side};

/// Bytes of a MiB.
const MIB: f64 = 1024.0 * 1024.0;

/// How long anything may take that ends by itself.
const LONG: Duration = Duration::from_secs(600);

/// Connections that do nothing are looked at for so long.
const CONNECTIONS_HELD: Duration = Duration::from_secs(2);

/// How long and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Load before the first scenario on a server, for a JVM to compile what it runs.
    pub(super) warm_up_server: Duration,
    /// Load before each measurement.
    pub(super) warm_up: Duration,
    /// Time to measure.
    pub(super) measured: Duration,
    /// Messages stored for those who read.
    pub(super) stored: u64,
    /// Messages stored before a restart on much, of 64 KiB each.
    pub(super) stored_large: u64,
    /// How long a server is left alone before its memory is looked at.
    pub(super) idle: Duration,
}

impl Size {
    /// For figures that are to be told.
    pub(super) const FULL: Self = Self {
        warm_up_server: Duration::from_secs(15),
        warm_up: Duration::from_secs(3),
        measured: Duration::from_secs(10),
        stored: 400_000,
        // 20 GiB.
        stored_large: 20 * 1024 * 16,
        idle: Duration::from_secs(10),
    };

    /// For a look.
    pub(super) const SHORT: Self = Self {
        warm_up_server: Duration::from_secs(8),
        warm_up: Duration::from_secs(1),
        measured: Duration::from_secs(4),
        stored: 100_000,
        // 1 GiB.
        stored_large: 1024 * 16,
        idle: Duration::from_secs(3),
    };
}

/// What one scenario gave on one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// The figures.
    pub(super) figures: BTreeMap<Metric, f64>,
    /// Processor time of others meanwhile, in percent of all processors.
    pub(super) noise_percent: f64,
    /// Messages that failed, or that are missing: the figures of such a run say nothing.
    pub(super) failed: u64,
    /// The round that it is of.
    pub(super) round: u32,
}

impl Sample {
    /// The figures, on a line.
    pub(super) fn text(&self) -> String {
        let figures = self.figures.iter();
        let mut text: Vec<String> = figures
            .map(|(metric, value)| format!("{} {value:.2}", metric.title()))
            .collect();
        if self.failed > 0 {
            text.push(format!("{} FAILED", self.failed));
        }
        if self.noise_percent >= 1.0 {
            text.push(format!("noise {:.0} %", self.noise_percent));
        }
        text.join(", ")
    }
}

/// Runs load against one server.
pub(super) struct Loader<'a> {
    pub(super) programs: &'a Programs,
    pub(super) size: Size,
    /// Rates that Apache has reached, by scenario.
    pub(super) rates: &'a BTreeMap<&'static str, f64>,
}

impl Loader<'_> {
    /// Warms a server up that was just started.
    pub(super) fn warm_up(&self, server: &Server) -> Result<()> {
        let load = sends(Sending {
            connections: 1,
            in_flight: 64,
            batch: 1,
            message_type: "normal",
        });
        let seconds = self.size.warm_up_server.as_secs_f64().to_string();
        let times = ["--warmup", "0", "--duration", &seconds];
        self.bench(server, "warm-up", "send", &load, &times)?;
        Ok(())
    }

    /// Runs a scenario, for the first time on this server or again.
    pub(super) fn run(
        &self,
        scenario: &Scenario,
        server: &mut Server,
        start: Duration,
        attempt: u32,
    ) -> Result<Sample> {
        // Stores are filled anew for every attempt.
        let topic = &format!("{}-{attempt}", scenario.name);
        match scenario.load {
            Load::Start => Ok(one(Metric::FirstSend, start.as_secs_f64() * 1e3)),
            Load::Idle => {
                wait(self.size.idle);
                self.memory(server)
            }
            Load::Send(sending) => self.send(topic, server, sending, None),
            Load::SendAtShare { sending, of, share } => {
                let rate = self.rates.get(of).with_context(|| {
                    format!("no rate of `{of}`, which `{}` is a share of", scenario.name)
                })?;
                self.send(topic, server, sending, Some(rate * share))
            }
            Load::Consume(reading) => self.consume(topic, server, reading),
            Load::ColdQueue { queues } => self.cold_queue(topic, server, queues),
            Load::Connections(count) => self.connections(server, count),
            Load::Restart => restart(server),
            Load::RestartLarge => {
                let messages = self.size.stored_large;
                self.store(server, topic, 8, messages, &["--size", "65536"])?;
                restart(server)
            }
        }
    }

    fn send(
        &self,
        topic: &str,
        server: &Server,
        sending: Sending,
        rate: Option<f64>,
    ) -> Result<Sample> {
        let mut load = sends(sending);
        if let Some(rate) = rate {
            load.extend(["--rate".to_owned(), format!("{rate:.0}")]);
        }
        let seconds = |time: Duration| time.as_secs_f64().to_string();
        let (warm_up, measured) = (seconds(self.size.warm_up), seconds(self.size.measured));
        let times = ["--warmup", &warm_up, "--duration", &measured];
        self.bench(server, topic, "send", &load, &times)
    }

    fn consume(&self, topic: &str, server: &Server, reading: Reading) -> Result<Sample> {
        self.store(server, topic, 8, self.size.stored, &[])?;
        let mut load: Vec<String> = ["--receive-batch", "32", "--until-end"]
            .map(str::to_owned)
            .into();
        match reading {
            Reading::Pull => {}
            Reading::Pop => load.extend(["--pop", "--in-flight", "16"].map(str::to_owned)),
            Reading::Receive => load.extend(["--in-flight", "16"].map(str::to_owned)),
        }
        let long = LONG.as_secs().to_string();
        let mut read = |group: &str| {
            load.extend(["--group".to_owned(), group.to_owned()]);
            let sample = self.bench(server, topic, "receive", &load, &["--duration", &long]);
            load.truncate(load.len() - 2);
            sample
        };
        read("warm-up")?;
        read("measured")
    }

    fn cold_queue(&self, topic: &str, server: &mut Server, queues: u32) -> Result<Sample> {
        self.store(server, topic, queues, self.size.stored, &[])?;
        server.kill();
        server.cool()?;
        server.start()?;
        let queue = (queues / 2).to_string();
        let long = LONG.as_secs().to_string();
        let load = ["--receive-batch", "32", "--until-end", "--queue", &queue].map(str::to_owned);
        self.bench(server, topic, "receive", &load, &["--duration", &long])
    }

    fn connections(&self, server: &Server, count: usize) -> Result<Sample> {
        let before = anonymous_bytes(server.pid()?)?;
        let address = server.broker_address();
        let open: Vec<TcpStream> = (0..count)
            .map(|_| TcpStream::connect(&address))
            .collect::<Result<_, _>>()
            .with_context(|| format!("open {count} connections"))?;
        wait(CONNECTIONS_HELD);
        let after = anonymous_bytes(server.pid()?)?;
        drop(open);
        let bytes = after.saturating_sub(before) as f64;
        Ok(one(Metric::AnonymousMemory, bytes / MIB))
    }

    fn memory(&self, server: &Server) -> Result<Sample> {
        let bytes = anonymous_bytes(server.pid()?)? as f64;
        Ok(one(Metric::AnonymousMemory, bytes / MIB))
    }

    /// Fills a topic, one message of 1 KiB after the other into its queues, or batches of them
    /// where there are few queues: it goes faster and leaves the same.
    fn store(
        &self,
        server: &Server,
        topic: &str,
        queues: u32,
        messages: u64,
        more: &[&str],
    ) -> Result<()> {
        let mut load = vec![
            "--queues".to_owned(),
            queues.to_string(),
            "--batch".to_owned(),
            if queues > 100 { "1" } else { "32" }.to_owned(),
            "--messages".to_owned(),
            messages.to_string(),
        ];
        load.extend(more.iter().map(|&more| more.to_owned()));
        let long = LONG.as_secs().to_string();
        let times = ["--warmup", "0", "--duration", &long];
        let sample = self.bench(server, topic, "send", &load, &times)?;
        // Apache refuses some while it is busy. What is read is counted, so a few less do no harm.
        anyhow::ensure!(
            sample.failed <= messages / 100,
            "{} of {messages} messages were not stored",
            sample.failed
        );
        Ok(())
    }

    /// Runs `carrack bench` and takes the figures from what it says.
    fn bench(
        &self,
        server: &Server,
        topic: &str,
        what: &str,
        load: &[String],
        times: &[&str],
    ) -> Result<Sample> {
        let mut command = Command::new(&self.programs.carrack);
        command.args(["bench", what, "--topic", topic]);
        if server.is_grpc() {
            command
                .args(["--protocol", "grpc", "--server", &server.grpc_address()])
                .args(["--admin-server", &server.route_address()]);
        } else {
            command.args(["--server", &server.route_address()]);
        }
        command
            .args(["--server-pid", &server.pid()?.to_string()])
            .args(["--output", "json"])
            .args(load)
            .args(times)
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let output = self.programs.processors.within(Place::Generator, || {
            command.output().context("start the load generator")
        })?;
        let report: Value = serde_json::from_slice(&output.stdout).with_context(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            format!("{command:?} ended with {}: {errors}", output.status)
        })?;
        Ok(self.sample(&report))
    }

    fn sample(&self, report: &Value) -> Sample {
        let number = |path: &str| report.pointer(path).and_then(Value::as_f64);
        let mut figures = BTreeMap::new();
        let found = [
            (Metric::CpuSeconds, number("/server_cpu_us_per_message")),
            (Metric::Rate, number("/messages_per_second")),
            (Metric::P50, number("/latency/p50_ms")),
            (Metric::P99, number("/latency/p99_ms")),
            (
                Metric::AnonymousMemory,
                number("/usage/server_anonymous_memory_bytes").map(|bytes| bytes / MIB),
            ),
        ];
        for (metric, value) in found {
            if let Some(value) = value {
                figures.insert(metric, value);
            }
        }
        // The report counts in percent of one processor.
        let noise = number("/usage/others_cpu_percent").unwrap_or(0.0);
        let is_checked = report.pointer("/check/result").and_then(Value::as_str) != Some("failed");
        let failed = report
            .pointer("/failed")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        Sample {
            figures,
            noise_percent: noise / self.programs.processors.count() as f64,
            failed: failed + u64::from(!is_checked),
            round: 0,
        }
    }
}

impl Side {
    /// Both, those that go first in a round first: Apache in the first round, as the rate of its
    /// sends is needed, then in turn.
    pub(super) fn in_round(round: u32) -> [Self; 2] {
        if round.is_multiple_of(2) {
            [Self::Apache, Self::Carrack]
        } else {
            [Self::Carrack, Self::Apache]
        }
    }
}

fn sends(sending: Sending) -> Vec<String> {
    let Sending {
        connections,
        in_flight,
        batch,
        message_type,
    } = sending;
    let of = |name: &str, value: usize| [name.to_owned(), value.to_string()];
    [
        of("--connections", connections),
        of("--in-flight", in_flight),
        of("--batch", batch),
        ["--message-type".to_owned(), message_type.to_owned()],
    ]
    .concat()
}

/// Kills the server and starts it on what it has stored.
fn restart(server: &mut Server) -> Result<Sample> {
    server.kill();
    let took = server.start()?;
    Ok(one(Metric::FirstSend, took.as_secs_f64() * 1e3))
}

fn one(metric: Metric, value: f64) -> Sample {
    Sample {
        figures: BTreeMap::from([(metric, value)]),
        ..Sample::default()
    }
}

/// Lets time pass in which a server is left alone.
#[expect(
    clippy::disallowed_methods,
    reason = "real processes are watched over real time, which no simulated clock can do"
)]
fn wait(time: Duration) {
    std::thread::sleep(time);
}
