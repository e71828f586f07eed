//! `cargo xtask compare`: Carrack and Apache RocketMQ 5.5.0, measured side by side.
//!
//! Both are started in turn on empty stores, get the same load from `carrack bench`, and are
//! measured in several rounds that alternate who goes first. A figure of a server alone says little
//! on a machine that others use as well; the ratio of two in one run says more, and of all figures
//! the processor time of the server depends least on what else goes on. What each figure means is
//! in `docs/operations/performance.md`.
//!
//! ```text
//! scenario.rs   what is measured, and the ratios wanted     processors.rs   pinning
//! server.rs     both servers as processes                   disk.rs         what the disk can do
//! load.rs       a scenario on a server                      report.rs       the result
//! ```

mod disk;
mod load;
mod processors;
mod report;
mod scenario;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use self::load::{Loader, Sample, Size};
use self::processors::Processors;
use self::report::{Report, Samples};
use self::scenario::{Metric, Scenario, Setup};
use self::server::{Programs, Side};
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
    /// Measure only these scenarios, and those that they take figures from
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// How often each is measured on each side
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Shorter measurements: for a look, not for figures to be told
    #[arg(long)]
    short: bool,
    /// Keep measurements during which others used the processors, and mark them
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
/// When a server does not start or the load cannot be run.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let scenarios = scenario::chosen(&arguments.scenario)?;
    let folder = workspace::root().join(FOLDER);
    let binary = arguments.server_binary.clone();
    let programs = Programs::prepare(
        binary.unwrap_or_else(server::release_binary),
        arguments.heap.clone(),
        folder.clone(),
        Processors::share(!arguments.unpinned)?,
    )?;
    let mut comparison = Comparison {
        size: if arguments.short {
            Size::SHORT
        } else {
            Size::FULL
        },
        allow_noise: arguments.allow_noise,
        programs,
        samples: Samples::new(),
        rates: BTreeMap::new(),
    };
    let watch = Stopwatch::start();
    let mut disk = Vec::new();
    for round in 0..arguments.rounds {
        disk.push(disk::write_seconds(&folder)?);
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
                comparison.measure(round, side, setup, &of_setup)?;
            }
        }
        // A run that is cut short leaves what it has.
        let report = Report::of(&scenarios, &comparison.samples, &disk, &comparison.programs);
        let json = serde_json::to_string_pretty(&report)?;
        fs::write(folder.join("result.json"), json).context("write the result")?;
        fs::write(folder.join("result.txt"), report.text()).context("write the result")?;
    }
    let report = Report::of(&scenarios, &comparison.samples, &disk, &comparison.programs);
    println!("\n{}", report.text());
    let minutes = watch.elapsed().as_secs_f64() / 60.0;
    println!("{minutes:.0} min; the result is in {FOLDER}/result.json");
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
}

impl Comparison {
    /// Starts a server and measures scenarios on it, one after the other.
    fn measure(
        &mut self,
        round: u32,
        side: Side,
        setup: Setup,
        scenarios: &[Scenario],
    ) -> Result<()> {
        let (mut server, start) = self.programs.start(side, setup)?;
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
            let Some(mut sample) = sample else {
                println!(
                    "round {round} {} {side:?}: given up, too noisy",
                    scenario.name
                );
                continue;
            };
            sample.round = round;
            println!(
                "round {round} {} {side:?}: {}",
                scenario.name,
                sample.text()
            );
            if side == Side::Apache
                && let Some(rate) = sample.figures.get(&Metric::Rate)
            {
                self.rates.entry(scenario.name).or_insert(*rate);
            }
            let of_scenario = self.samples.entry((scenario.name, side));
            of_scenario.or_default().push(sample);
        }
        Ok(())
    }

    /// Measures until others kept still, or nothing if they never do.
    fn attempt(
        &self,
        loader: &Loader<'_>,
        scenario: &Scenario,
        server: &mut server::Server,
        start: std::time::Duration,
    ) -> Result<Option<Sample>> {
        for attempt in 0..ATTEMPTS_MAX {
            let sample = loader
                .run(scenario, server, start, attempt)
                .with_context(|| format!("run scenario {}", scenario.name))?;
            if sample.noise_percent <= NOISE_PERCENT_MAX || self.allow_noise {
                return Ok(Some(sample));
            }
        }
        Ok(None)
    }
}
