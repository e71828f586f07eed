//! `cargo xtask compare`: Carrack and Apache RocketMQ 5.5.0, measured side by side.
//!
//! Both are started in turn on empty stores, get the same load from `carrack bench`, and are
//! measured in several rounds that alternate who goes first. A figure of a server alone says little
//! on a machine that others use as well; the ratio of two in one run says more, and of all figures
//! the processor time of the server depends least on what else goes on. What each figure means is
//! in `docs/operations/performance.md`.
//!
//! ```text
//! scenario.rs   what is measured, and the ratios wanted   processors.rs   pinning, times, memory
//! server.rs     both servers as processes                 disk.rs         what the disk can do
//! load.rs       a scenario on a server                    loopback.rs     what loopback can do
//! schedule.rs   how long it takes                         report.rs       the result
//! ```

mod disk;
mod load;
mod loopback;
pub(crate) mod processors;
mod report;
mod scenario;
mod schedule;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use self::load::{Loader, Sample, Size};
use self::processors::Processors;
use self::report::{Limits, Report, Samples};
use self::scenario::{Load, Metric, Preset, Scenario, Setup};
use self::schedule::Schedule;
use self::server::{Programs, Server, Side, Started};
use crate::conformance::deadline::Stopwatch;
use crate::workspace;

/// Where results and logs are kept.
const FOLDER: &str = "target/compare";

/// Processor time of other processes, in percent of all processors, that a measurement may have.
const NOISE_PERCENT_MAX: f64 = 10.0;

/// How often a scenario is measured again on a server because of others.
const ATTEMPTS_MAX: u32 = 3;

/// Command line of `cargo xtask compare`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to measure, and for how long
    #[arg(long, value_enum, default_value_t = Preset::Full)]
    preset: Preset,
    /// Measure only these scenarios, and those that they take figures from
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// How often each is measured on each side
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// For a trial: keep measurements during which others used the processors, and mark them
    #[arg(long)]
    allow_noise: bool,
    /// Let servers and load generator use the same processors
    #[arg(long)]
    unpinned: bool,
    /// Heap of Apache's JVM
    #[arg(long, value_name = "SIZE", default_value = "1g")]
    heap: String,
    /// The server to measure; it is the load generator too [default: the release build]
    #[arg(long, value_name = "PATH")]
    server_binary: Option<PathBuf>,
}

/// Runs the command. That a target is missed is no error: it is what the table is for.
///
/// # Errors
/// When a server did not start or a load could not be run. What could is in the result.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let scenarios = scenario::chosen(&arguments.scenario, arguments.preset)?;
    let size = Size::of(arguments.preset);
    let folder = workspace::root().join(FOLDER);
    let binary = arguments.server_binary.clone();
    let programs = Programs::prepare(
        binary.unwrap_or_else(server::release_binary),
        arguments.heap.clone(),
        folder.clone(),
        Processors::share(!arguments.unpinned)?,
    )?;
    let schedule = Schedule::of(&scenarios, size, arguments.rounds);
    println!(
        "{} scenarios, {} rounds: about {}, and longer while others use the processors",
        scenarios.len(),
        arguments.rounds,
        schedule.expected()
    );
    let mut comparison = Comparison {
        size,
        allow_noise: arguments.allow_noise,
        programs,
        samples: Samples::new(),
        rates: BTreeMap::new(),
        given_up: Vec::new(),
        failures: Vec::new(),
        schedule,
    };
    let watch = Stopwatch::start();
    let mut limits = Limits::default();
    let mut text = String::new();
    for round in 0..arguments.rounds {
        limits
            .disk_write_seconds
            .push(disk::write_seconds(&folder)?);
        let loopback = loopback::messages_per_second(&comparison.programs.processors)?;
        limits.loopback_messages_per_second.push(loopback);
        for setup in Setup::ALL {
            let of_setup: Vec<Scenario> = scenarios
                .iter()
                .copied()
                .filter(|scenario| scenario.setup == setup)
                .collect();
            if of_setup.is_empty() {
                continue;
            }
            for side in Side::in_round(round) {
                comparison.measure(round, side, setup, &of_setup);
            }
        }
        // A run that is cut short leaves what it has.
        let report = Report::of(&scenarios, &comparison, &limits);
        let json = serde_json::to_string_pretty(&report)?;
        text = report.text();
        fs::write(folder.join("result.json"), json).context("write the result")?;
        fs::write(folder.join("result.txt"), &text).context("write the result")?;
    }
    println!("\n{text}");
    let minutes = watch.elapsed().as_secs_f64() / 60.0;
    println!("{minutes:.0} min; the result is in {FOLDER}/result.json");
    ensure!(
        comparison.failures.is_empty(),
        "{} rows of scenarios were not run to their end: {}",
        comparison.failures.len(),
        comparison.failures.join("; ")
    );
    Ok(())
}

/// A comparison under way.
struct Comparison {
    size: Size,
    allow_noise: bool,
    programs: Programs,
    samples: Samples,
    /// The most that Apache took per second, by scenario, from the first round.
    rates: BTreeMap<&'static str, f64>,
    /// Scenarios during which others did not keep still, with their round and side.
    given_up: Vec<(u32, &'static str, Side)>,
    /// What could not be run, and why.
    failures: Vec<String>,
    schedule: Schedule,
}

impl Comparison {
    /// Measures scenarios on a server. If one fails, those behind it are not run, but all others:
    /// half an hour of figures is not lost for one that is missing.
    fn measure(&mut self, round: u32, side: Side, setup: Setup, scenarios: &[Scenario]) {
        if let Err(error) = self.measure_all(round, side, setup, scenarios) {
            let failure = format!("round {round} {side:?}: {error:#}");
            println!("{failure}");
            self.failures.push(failure);
        }
    }

    /// Starts a server and measures scenarios on it, one after the other.
    fn measure_all(
        &mut self,
        round: u32,
        side: Side,
        setup: Setup,
        scenarios: &[Scenario],
    ) -> Result<()> {
        let is_start_measured = scenarios.iter().any(|s| matches!(s.load, Load::Start));
        let (mut server, start) = self.start(side, setup, is_start_measured)?;
        let mut is_warm = false;
        for scenario in scenarios {
            let loader = Loader {
                programs: &self.programs,
                size: self.size,
                rates: &self.rates,
            };
            if !is_warm && scenario.load.needs_warm_server() {
                loader.warm_up(&server)?;
                is_warm = true;
            }
            let sample = self.attempt(&loader, scenario, &mut server, start)?;
            self.schedule.has_measured(scenario.load, side);
            let (progress, name) = (self.schedule.progress(), scenario.name);
            let Some(mut sample) = sample else {
                println!("{progress} round {round} {name} {side:?}: given up, too noisy");
                self.given_up.push((round, name, side));
                continue;
            };
            sample.round = round;
            println!(
                "{progress} round {round} {name} {side:?}: {}",
                sample.text()
            );
            if side == Side::Apache
                && let Some(rate) = sample.figures.get(&Metric::Rate)
            {
                self.rates.entry(name).or_insert(*rate);
            }
            self.samples.entry((name, side)).or_default().push(sample);
        }
        self.schedule.has_started(side, is_warm);
        Ok(())
    }

    /// Starts a server; again, if the start is measured and others did not keep still.
    fn start(&self, side: Side, setup: Setup, is_measured: bool) -> Result<(Server, Started)> {
        let mut started = self.programs.start(side, setup)?;
        for _ in 1..ATTEMPTS_MAX {
            if !is_measured || self.is_quiet(started.1.noise_percent) {
                break;
            }
            drop(started);
            started = self.programs.start(side, setup)?;
        }
        Ok(started)
    }

    /// Measures until others kept still, or nothing if they never do, or never did while the
    /// scenario was measured that this one takes its rate from.
    fn attempt(
        &self,
        loader: &Loader<'_>,
        scenario: &Scenario,
        server: &mut Server,
        start: Started,
    ) -> Result<Option<Sample>> {
        if let Load::SendAtShare { of, .. } = scenario.load
            && !self.rates.contains_key(of)
        {
            return Ok(None);
        }
        for attempt in 0..ATTEMPTS_MAX {
            let sample = loader
                .run(scenario, server, start, attempt)
                .with_context(|| format!("run scenario {}", scenario.name))?;
            if self.is_quiet(sample.noise_percent) {
                return Ok(Some(sample));
            }
        }
        Ok(None)
    }

    fn is_quiet(&self, noise_percent: f64) -> bool {
        noise_percent <= NOISE_PERCENT_MAX || self.allow_noise
    }
}
