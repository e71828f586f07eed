//! What is compared: scenarios as data, with the ratio that each figure should reach.

use serde::Serialize;

use super::disk::RECORDS as DISK_RECORDS;

/// Servers that are started for a row of scenarios: both on empty stores, with the same ports open
/// and with the durability named here. Carrack always answers a send after `fdatasync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Setup {
    /// Apache answers from memory and flushes every 500 ms.
    Asynchronous,
    /// Apache answers after a flush.
    Synchronous,
    /// Apache with its proxy in the same process (local mode); answers from memory.
    Proxy,
    /// As asynchronous, but Apache keeps its log in files of 16 MiB. It reads the last three when
    /// it starts, which are then in memory; with files of 1 GiB that is all there is.
    Cold,
    /// As asynchronous, for many topics alone.
    Topics,
    /// As asynchronous, for transactions alone: after the first of them Apache is good for no other
    /// measurement.
    Transactions,
}

impl Setup {
    /// All, in the order in which they run.
    pub(super) const ALL: [Self; 6] = [
        Self::Asynchronous,
        Self::Synchronous,
        Self::Proxy,
        Self::Cold,
        Self::Topics,
        Self::Transactions,
    ];

    /// Whether the load speaks gRPC.
    pub(super) fn is_grpc(self) -> bool {
        self == Self::Proxy
    }
}

/// What is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// Nothing: how long the start took until a send was acknowledged.
    Start,
    /// Nothing for some seconds, then a look at the memory.
    Idle,
    /// Sends, as fast as they are acknowledged.
    Send(Sending),
    /// Sends at a fixed rate: a share of what Apache reached in another scenario.
    SendAtShare {
        /// How it sends.
        sending: Sending,
        /// The scenario that found the rate.
        of: &'static str,
        /// The share of it.
        share: f64,
    },
    /// Reading what was stored before, warm.
    Consume(Reading),
    /// Reading some queues of many, one after the other, after a restart and with the page cache
    /// emptied of the store.
    ColdQueue {
        /// Queues that the messages are spread over, one by one.
        queues: u32,
    },
    /// Connections that have asked one thing and do nothing from then on, and a look at the memory.
    Connections(usize),
    /// Killing the server, and starting it on what it stored until then.
    Restart,
    /// The same after more was stored, as much as [`super::load::Size`] says.
    RestartLarge,
}

impl Load {
    /// Whether code paths of the server should have been compiled before.
    pub(super) fn needs_warm_server(self) -> bool {
        match self {
            Self::Start | Self::Idle => false,
            Self::Send(_)
            | Self::SendAtShare { .. }
            | Self::Consume(_)
            | Self::ColdQueue { .. }
            | Self::Connections(_)
            | Self::Restart
            | Self::RestartLarge => true,
        }
    }
}

/// How to send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending {
    /// Connections.
    pub(super) connections: usize,
    /// Requests under way on each.
    pub(super) in_flight: usize,
    /// Messages per request.
    pub(super) batch: usize,
    /// Topics that the requests go to in turn; several have one queue each.
    pub(super) topics: usize,
    /// Type of the messages, as `carrack bench` takes it.
    pub(super) message_type: &'static str,
}

/// How to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Pull, one request under way per queue.
    Pull,
    /// Pop, and an ack per message.
    Pop,
    /// Receive over gRPC, and an ack per answer.
    Receive,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Metric {
    /// Processor time of the server per million messages, in s.
    CpuSeconds,
    /// Messages per second.
    Rate,
    /// 50th percentile of latency, in ms.
    P50,
    /// 99th percentile of latency, in ms.
    P99,
    /// The rate by what the disk takes if as many messages are written and synced at a time as are
    /// under way.
    DiskShare,
    /// The rate by what loopback takes if as many requests are answered at a time as are under way.
    LoopbackShare,
    /// Read from the disk, in MiB.
    DiskRead,
    /// Resident memory of the server that is no file, in MiB.
    AnonymousMemory,
    /// Resident memory of the server that is mapped files, in MiB.
    MappedMemory,
    /// Memory that a connection adds which is no file, in KiB.
    ConnectionMemory,
    /// Time from the start of the process to the first acknowledged send, in ms.
    FirstSend,
}

impl Metric {
    /// What it is called in tables, with its unit.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::CpuSeconds => "CPU s/M",
            Self::Rate => "msg/s",
            Self::P50 => "p50 ms",
            Self::P99 => "p99 ms",
            Self::DiskShare => "of disk",
            Self::LoopbackShare => "of loopback",
            Self::DiskRead => "disk MiB",
            Self::AnonymousMemory => "MiB",
            Self::MappedMemory => "mapped MiB",
            Self::ConnectionMemory => "KiB each",
            Self::FirstSend => "start ms",
        }
    }

    /// Whether it relates a figure to what the machine can do by itself.
    pub(super) fn is_distance(self) -> bool {
        matches!(self, Self::DiskShare | Self::LoopbackShare)
    }
}

/// What is wanted of Carrack's figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    /// At most `1/n` of Apache's.
    OneIn(f64),
    /// At least `n` times Apache's.
    Times(f64),
    /// At least so much, whatever Apache's is.
    AtLeast(f64),
}

impl Target {
    /// Whether it is reached: by the ratio of Carrack's figure to Apache's, or by the figure
    /// itself. `None` if what it needs was not measured.
    pub(super) fn is_met(self, figure: Option<f64>, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::OneIn(n) => ratio.map(|ratio| ratio <= 1.0 / n),
            Self::Times(n) => ratio.map(|ratio| ratio >= n),
            Self::AtLeast(least) => figure.map(|figure| figure >= least),
        }
    }

    /// As it stands in tables.
    pub(super) fn text(self) -> String {
        match self {
            Self::OneIn(n) => format!("<= 1/{n} = {:.3}", 1.0 / n),
            Self::Times(n) => format!(">= {n}"),
            Self::AtLeast(least) => format!("Carrack >= {least}"),
        }
    }
}

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// Servers it runs against.
    pub(super) setup: Setup,
    /// What is done.
    pub(super) load: Load,
    /// Figures that have a target; others are shown without.
    pub(super) targets: &'static [(Metric, Target)],
}

impl Scenario {
    /// Whether something is wanted of a figure.
    pub(super) fn has_target(&self, metric: Metric) -> bool {
        self.targets.iter().any(|(of, _)| *of == metric)
    }
}

const fn sending(connections: usize, in_flight: usize, batch: usize) -> Sending {
    Sending {
        connections,
        in_flight,
        batch,
        topics: 1,
        message_type: "normal",
    }
}

/// 64 under way on one connection, of messages of a type.
const fn sending_of(message_type: &'static str) -> Sending {
    Sending {
        message_type,
        ..sending(1, 64, 1)
    }
}

const fn scenario(
    name: &'static str,
    setup: Setup,
    load: Load,
    targets: &'static [(Metric, Target)],
) -> Scenario {
    Scenario {
        name,
        setup,
        load,
        targets,
    }
}

use Load::{
    ColdQueue, Connections, Consume, Idle, Restart, RestartLarge, Send, SendAtShare, Start,
};
use Metric::{AnonymousMemory, CpuSeconds, DiskShare, FirstSend, P99, Rate};
use Setup::{Asynchronous, Cold, Proxy, Synchronous, Topics, Transactions};
use Target::{AtLeast, OneIn, Times};

/// All scenarios; those of one setup run in this order on the same servers.
pub(super) const SCENARIOS: &[Scenario] = &[
    scenario("start", Asynchronous, Start, &[(FirstSend, OneIn(20.0))]),
    scenario(
        "idle",
        Asynchronous,
        Idle,
        &[(AnonymousMemory, OneIn(20.0))],
    ),
    scenario("send-1", Asynchronous, Send(sending(1, 1, 1)), &[]),
    scenario("send-16", Asynchronous, Send(sending(1, 16, 1)), &[]),
    scenario(
        "send-64",
        Asynchronous,
        Send(sending(1, 64, 1)),
        &[(CpuSeconds, OneIn(6.0)), (AnonymousMemory, OneIn(5.0))],
    ),
    scenario("send-512", Asynchronous, Send(sending(1, 512, 1)), &[]),
    scenario(
        "send-16x64",
        Asynchronous,
        Send(sending(16, 64, 1)),
        &[(Rate, Times(4.0))],
    ),
    scenario("batch-32", Asynchronous, Send(sending(1, 16, 32)), &[]),
    scenario("fifo-send-64", Asynchronous, Send(sending_of("fifo")), &[]),
    scenario(
        "latency",
        Asynchronous,
        SendAtShare {
            sending: sending(1, 512, 1),
            of: "send-64",
            share: 0.5,
        },
        &[(P99, OneIn(3.0))],
    ),
    scenario(
        "pull",
        Asynchronous,
        Consume(Reading::Pull),
        &[(CpuSeconds, OneIn(6.0))],
    ),
    scenario(
        "pop-ack",
        Asynchronous,
        Consume(Reading::Pop),
        &[(CpuSeconds, OneIn(10.0))],
    ),
    scenario("connections", Asynchronous, Connections(10_000), &[]),
    scenario("restart", Asynchronous, Restart, &[]),
    scenario("restart-large", Asynchronous, RestartLarge, &[]),
    scenario("sync-send-1", Synchronous, Send(sending(1, 1, 1)), &[]),
    scenario("sync-send-16", Synchronous, Send(sending(1, 16, 1)), &[]),
    scenario(
        "sync-send-64",
        Synchronous,
        Send(sending(1, DISK_RECORDS, 1)),
        &[(Rate, Times(4.0)), (DiskShare, AtLeast(0.8))],
    ),
    scenario(
        "sync-send-16x64",
        Synchronous,
        Send(sending(16, 64, 1)),
        &[(Rate, Times(10.0))],
    ),
    scenario("grpc-send-1", Proxy, Send(sending(1, 1, 1)), &[]),
    scenario("grpc-send-16", Proxy, Send(sending(1, 16, 1)), &[]),
    scenario(
        "grpc-send-64",
        Proxy,
        Send(sending(1, 64, 1)),
        &[(CpuSeconds, OneIn(10.0))],
    ),
    scenario(
        "grpc-receive-ack",
        Proxy,
        Consume(Reading::Receive),
        &[(CpuSeconds, OneIn(10.0))],
    ),
    scenario("grpc-connections", Proxy, Connections(2_000), &[]),
    scenario(
        "cold-queue",
        Cold,
        ColdQueue { queues: 1_000 },
        &[(Rate, Times(2.0))],
    ),
    scenario(
        "topics-10000",
        Topics,
        Send(Sending {
            topics: 10_000,
            ..sending(1, 64, 1)
        }),
        &[],
    ),
    scenario(
        "transaction-64",
        Transactions,
        Send(sending_of("transaction")),
        &[],
    ),
];

/// Which scenarios run if none is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Preset {
    /// All, for 10 s each
    Full,
    /// Those that have a target, as short as their figures allow
    Headline,
    /// All, too short for figures that are to be told
    Look,
}

impl Preset {
    fn has(self, scenario: &Scenario) -> bool {
        match self {
            Self::Full | Self::Look => true,
            Self::Headline => !scenario.targets.is_empty(),
        }
    }
}

/// The scenarios to run: those named, or those of the preset, and those that they take figures
/// from.
pub(super) fn chosen(names: &[String], preset: Preset) -> anyhow::Result<Vec<Scenario>> {
    for name in names {
        if SCENARIOS.iter().all(|scenario| scenario.name != name) {
            let all: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            anyhow::bail!("no scenario `{name}`, expected one of {}", all.join(", "));
        }
    }
    let wanted = |scenario: &Scenario| {
        if names.is_empty() {
            preset.has(scenario)
        } else {
            names.iter().any(|name| name == scenario.name)
        }
    };
    let needed = |name: &str| {
        SCENARIOS.iter().any(|scenario| {
            matches!(scenario.load, SendAtShare { of, .. } if of == name) && wanted(scenario)
        })
    };
    let chosen = SCENARIOS.iter().copied();
    Ok(chosen
        .filter(|scenario| wanted(scenario) || needed(scenario.name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: &[&str], preset: Preset) -> Vec<&'static str> {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let chosen = chosen(&wanted, preset).unwrap();
        chosen.iter().map(|scenario| scenario.name).collect()
    }

    #[test]
    fn a_scenario_brings_those_it_takes_figures_from() {
        assert_eq!(names(&["latency"], Preset::Full), ["send-64", "latency"]);
        assert_eq!(names(&["pull", "start"], Preset::Full), ["start", "pull"]);
        assert_eq!(names(&[], Preset::Full).len(), SCENARIOS.len());
        assert!(chosen(&["pul".to_owned()], Preset::Full).is_err());
    }

    #[test]
    fn the_headline_is_what_has_a_target() {
        let headline = names(&[], Preset::Headline);
        assert!(headline.contains(&"pull") && headline.contains(&"cold-queue"));
        assert!(!headline.contains(&"send-1") && !headline.contains(&"restart-large"));
        assert_eq!(names(&["send-1"], Preset::Headline), ["send-1"]);
    }

    #[test]
    fn a_rate_is_found_before_it_is_used() {
        for (index, scenario) in SCENARIOS.iter().enumerate() {
            if let SendAtShare { of, .. } = scenario.load {
                let before = &SCENARIOS[..index];
                assert!(
                    before
                        .iter()
                        .any(|b| b.name == of && b.setup == scenario.setup)
                );
            }
        }
    }

    #[test]
    fn targets_are_reached_from_their_side() {
        let by_ratio = |target: Target, ratio| target.is_met(None, Some(ratio));
        assert_eq!(by_ratio(OneIn(6.0), 0.16), Some(true));
        assert_eq!(by_ratio(OneIn(6.0), 0.17), Some(false));
        assert_eq!(by_ratio(Times(4.0), 4.0), Some(true));
        assert_eq!(by_ratio(Times(4.0), 3.9), Some(false));
        assert_eq!(by_ratio(AtLeast(0.8), 9.0), None);
        assert_eq!(AtLeast(0.8).is_met(Some(0.8), None), Some(true));
        assert_eq!(AtLeast(0.8).is_met(Some(0.7), Some(9.0)), Some(false));
    }
}
