//! Does what a scenario says to a server, and measures it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use client::{GrpcClient, GrpcOptions, RemotingClient, RemotingOptions};
use serde_json::Value;

use super::processors::{Memory, Noise, Place, disk_read_bytes, process_ticks};
use super::scenario::{Load, Metric, Preset, Reading, Scenario, Sending};
use super::server::{FIRST_TOPIC, Programs, Server, Side, Started};
use super::{disk, loopback};

/// Bytes of a MiB.
const MIB: f64 = 1024.0 * 1024.0;

/// How long anything may take that ends by itself.
const LONG: Duration = Duration::from_secs(600);

/// Queues that are read of those that are interleaved, far from each other: what is read ahead for
/// one holds little of the next.
const COLD_QUEUES_READ: u32 = 8;

/// Connections that do nothing are left alone for so long before the memory is looked at: Carrack
/// takes up to 10 s to give back what a connection needed while it was busy.
const CONNECTIONS_HELD: Duration = Duration::from_secs(12);

/// Bytes of a KiB.
const KIB: f64 = 1024.0;

/// How long and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Load before the first scenario on a server, for a JVM to compile what it runs.
    pub(super) warm_up_server: Duration,
    /// Load before each measurement.
    pub(super) warm_up: Duration,
    /// Time to measure.
    pub(super) measured: Duration,
    /// Messages stored for those who pull.
    pub(super) pulled: u64,
    /// Messages stored for those who acknowledge each, which takes some ten times as long.
    pub(super) acknowledged: u64,
    /// Messages stored in many queues, of which few are read.
    pub(super) interleaved: u64,
    /// Messages stored before a restart on much, of 64 KiB each.
    pub(super) stored_large: u64,
    /// How long a server is left alone before its memory is looked at.
    pub(super) idle: Duration,
}

impl Size {
    /// What goes with a preset.
    pub(super) fn of(preset: Preset) -> Self {
        match preset {
            Preset::Full => Self::FULL,
            Preset::Headline => Self::HEADLINE,
            Preset::Look => Self::LOOK,
        }
    }

    const FULL: Self = Self {
        warm_up_server: Duration::from_secs(15),
        warm_up: Duration::from_secs(3),
        measured: Duration::from_secs(10),
        pulled: 400_000,
        acknowledged: 400_000,
        interleaved: 400_000,
        // 20 GiB.
        stored_large: 20 * 1024 * 16,
        idle: Duration::from_secs(10),
    };

    /// Times are counted in ticks of 10 ms, so half a second of the quicker server is the least.
    const HEADLINE: Self = Self {
        warm_up_server: Duration::from_secs(12),
        warm_up: Duration::from_secs(2),
        measured: Duration::from_secs(5),
        pulled: 400_000,
        acknowledged: 100_000,
        interleaved: 200_000,
        stored_large: 1024 * 16,
        idle: Duration::from_secs(5),
    };

    const LOOK: Self = Self {
        warm_up_server: Duration::from_secs(8),
        warm_up: Duration::from_secs(1),
        measured: Duration::from_secs(4),
        pulled: 100_000,
        acknowledged: 50_000,
        interleaved: 100_000,
        // 1 GiB.
        stored_large: 1024 * 16,
        idle: Duration::from_secs(3),
    };

    /// What a table says of it.
    pub(super) fn text(&self) -> String {
        format!(
            "bodies of 1 KiB; servers warmed up for {} s, each load for {} s and measured for {} s; \
             {} messages pulled, {} popped or received",
            self.warm_up_server.as_secs(),
            self.warm_up.as_secs(),
            self.measured.as_secs(),
            self.pulled,
            self.acknowledged,
        )
    }
}

/// What one scenario gave on one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// The figures.
    pub(super) figures: BTreeMap<Metric, f64>,
    /// Messages that were measured.
    pub(super) messages: u64,
    /// Processor time of others meanwhile, in percent of all processors.
    pub(super) noise_percent: f64,
    /// Messages that failed, or that are missing: the figures of such a run say nothing.
    pub(super) failed: u64,
    /// Why, as the load generator says it.
    pub(super) failures: String,
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
            text.push(format!("{} FAILED: {}", self.failed, self.failures));
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
            topics: 1,
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
        start: Started,
        attempt: u32,
    ) -> Result<Sample> {
        // Stores are filled anew for every attempt.
        let topic = &format!("{}-{attempt}", scenario.name);
        match scenario.load {
            Load::Start => Ok(start.sample()),
            Load::Idle => self.idle(server),
            Load::Send(sending) if scenario.has_target(Metric::DiskShare) => {
                self.beside_limits(|| self.send(topic, server, sending, None))
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
                // 8 requests of 2 MiB under way: of what waits for the disk, 64 MiB are taken.
                let more = ["--size", "65536", "--in-flight", "8"];
                self.store(server, topic, 8, messages, &more)?;
                restart(server)
            }
        }
    }

    /// Measures something, and what the machine can do by itself right before and after it, and
    /// relates them.
    fn beside_limits(&self, measure: impl FnOnce() -> Result<Sample>) -> Result<Sample> {
        let limits = || -> Result<(f64, f64)> {
            let disk = disk::write_seconds(&self.programs.folder)?;
            let loopback = loopback::messages_per_second(&self.programs.processors)?;
            Ok((disk, loopback))
        };
        let before = limits()?;
        let mut sample = measure()?;
        let after = limits()?;
        let disk = disk::messages_per_second(f64::midpoint(before.0, after.0));
        let loopback = f64::midpoint(before.1, after.1);
        if let Some(&rate) = sample.figures.get(&Metric::Rate) {
            sample.figures.insert(Metric::DiskShare, rate / disk);
            sample
                .figures
                .insert(Metric::LoopbackShare, rate / loopback);
        }
        Ok(sample)
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
        let messages = match reading {
            Reading::Pull => self.size.pulled,
            Reading::Pop | Reading::Receive => self.size.acknowledged,
        };
        self.store(server, topic, 8, messages, &[])?;
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

    /// The server is stopped, not killed: what it reads to recover would no more be cold.
    fn cold_queue(&self, topic: &str, server: &mut Server, queues: u32) -> Result<Sample> {
        let more = ["--connections", "16"];
        self.store(server, topic, queues, self.size.interleaved, &more)?;
        server.stop()?;
        server.cool()?;
        server.start()?;
        let read_before = disk_read_bytes(server.pid()?)?;
        let long = LONG.as_secs().to_string();
        let mut all = Sample::default();
        // No processor time: a quick server is done before it has used a tick of it.
        let (mut seconds, mut noise) = (0.0, 0.0_f64);
        for number in 0..COLD_QUEUES_READ {
            let queue = (queues / COLD_QUEUES_READ * number + queues / 16).to_string();
            let load = ["--receive-batch", "32", "--until-end", "--queue", &queue];
            let load = load.map(str::to_owned);
            let one = self.bench(server, topic, "receive", &load, &["--duration", &long])?;
            let rate = one.figures.get(&Metric::Rate).copied().unwrap_or(f64::NAN);
            seconds += one.messages as f64 / rate;
            noise = noise.max(one.noise_percent);
            all.messages += one.messages;
            all.failed += one.failed;
        }
        anyhow::ensure!(all.messages > 0, "the queues that were read are empty");
        let messages = all.messages as f64;
        let read = disk_read_bytes(server.pid()?)?.saturating_sub(read_before);
        all.figures = BTreeMap::from([
            (Metric::Rate, messages / seconds),
            (Metric::DiskRead, read as f64 / MIB),
        ]);
        all.noise_percent = noise;
        Ok(all)
    }

    /// Each connection asks something once, so that the server knows what it speaks and has set up
    /// all that an idle one keeps.
    fn connections(&self, server: &Server, count: usize) -> Result<Sample> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let before = Memory::of(server.pid()?)?;
        let (after, noise_percent) = self.quiet(server, || {
            runtime.block_on(async {
                let mut open = Vec::with_capacity(count);
                for number in 0..count {
                    let client = Idle::open(server, number).await;
                    open.push(client.with_context(|| format!("connection {number} of {count}"))?);
                }
                // Who is asked whether it is still there must answer meanwhile.
                tokio::time::sleep_until(tokio::time::Instant::now() + CONNECTIONS_HELD).await;
                Memory::of(server.pid()?)
            })
        })?;
        let bytes = after.anonymous.saturating_sub(before.anonymous) as f64;
        Ok(Sample {
            figures: BTreeMap::from([
                (Metric::AnonymousMemory, after.anonymous as f64 / MIB),
                (Metric::ConnectionMemory, bytes / KIB / count as f64),
            ]),
            noise_percent,
            ..Sample::default()
        })
    }

    fn idle(&self, server: &Server) -> Result<Sample> {
        let (memory, noise_percent) = self.quiet(server, || {
            wait(self.size.idle);
            Memory::of(server.pid()?)
        })?;
        let mib = |bytes: u64| bytes as f64 / MIB;
        Ok(Sample {
            figures: BTreeMap::from([
                (Metric::AnonymousMemory, mib(memory.anonymous)),
                (Metric::MappedMemory, mib(memory.mapped)),
            ]),
            noise_percent,
            ..Sample::default()
        })
    }

    /// Does something without a load generator, and says how much others used the processors.
    fn quiet<T>(&self, server: &Server, act: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
        let pid = server.pid()?;
        let (noise, before) = (Noise::watch()?, process_ticks(&pid.to_string())?);
        let result = act()?;
        let percent = noise.percent(pid, before, self.programs.processors.count())?;
        Ok((result, percent))
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
            "{} of {messages} messages were not stored: {}",
            sample.failed,
            sample.failures
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
        let resident = number("/usage/server_memory_bytes");
        let anonymous = number("/usage/server_anonymous_memory_bytes");
        let found = [
            (Metric::CpuSeconds, number("/server_cpu_us_per_message")),
            (Metric::Rate, number("/messages_per_second")),
            (Metric::P50, number("/latency/p50_ms")),
            (Metric::P99, number("/latency/p99_ms")),
            (Metric::AnonymousMemory, anonymous.map(|bytes| bytes / MIB)),
            (
                Metric::MappedMemory,
                resident.zip(anonymous).map(|(all, of)| (all - of) / MIB),
            ),
        ];
        for (metric, value) in found {
            if let Some(value) = value {
                figures.insert(metric, value);
            }
        }
        // The report counts in percent of one processor.
        let noise = number("/usage/others_cpu_percent").unwrap_or(0.0);
        let check = report.pointer("/check").filter(|check| {
            let result = check.get("result").and_then(Value::as_str);
            result == Some("failed")
        });
        let failed = report
            .pointer("/failed")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        let messages = report.pointer("/messages").and_then(Value::as_u64);
        let failures = report.pointer("/failures").filter(|_| failed > 0);
        let failures: Vec<String> = failures
            .into_iter()
            .chain(check)
            .map(Value::to_string)
            .collect();
        Sample {
            figures,
            messages: messages.unwrap_or(0),
            noise_percent: noise / self.programs.processors.count() as f64,
            failed: failed + u64::from(check.is_some()),
            failures: failures.join(" "),
            round: 0,
        }
    }
}

/// A client that has asked one thing, and keeps its connection.
#[expect(dead_code, reason = "held, so that the connection stays open")]
enum Idle {
    Remoting(RemotingClient),
    Grpc(Box<GrpcClient>),
}

impl Idle {
    async fn open(server: &Server, number: usize) -> Result<Self> {
        if server.is_grpc() {
            let options = GrpcOptions {
                client_id: format!("idle@{number}"),
                ..GrpcOptions::default()
            };
            let client = GrpcClient::connect(&server.grpc_address(), options).await?;
            client.query_route(FIRST_TOPIC).await?;
            return Ok(Self::Grpc(Box::new(client)));
        }
        let options = RemotingOptions::default();
        let client = RemotingClient::connect(&server.broker_address(), options).await?;
        client.max_offset(FIRST_TOPIC, 0).await?;
        Ok(Self::Remoting(client))
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
        topics,
        message_type,
    } = sending;
    let of = |name: &str, value: usize| [name.to_owned(), value.to_string()];
    [
        of("--connections", connections),
        of("--in-flight", in_flight),
        of("--batch", batch),
        of("--topics", topics),
        of("--queues", if topics == 1 { 8 } else { 1 }),
        ["--message-type".to_owned(), message_type.to_owned()],
    ]
    .concat()
}

impl Started {
    fn sample(self) -> Sample {
        Sample {
            noise_percent: self.noise_percent,
            ..one(Metric::FirstSend, self.took.as_secs_f64() * 1e3)
        }
    }
}

/// Kills the server and starts it on what it has stored.
fn restart(server: &mut Server) -> Result<Sample> {
    server.kill();
    Ok(server.start()?.sample())
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
