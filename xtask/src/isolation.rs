//! `cargo xtask isolation`: what one tenant feels of another that floods the server.
//!
//! Two instances of one server have the same plan. One, the *victim*, sends and receives at half of
//! its quota; the other floods: it sends at ten times its own. Runs of the victim alone and under
//! the flood alternate. The server and the victim have one processor, the flooder has another of
//! its own, so that what the victim feels comes through the server.
//!
//! Whatever the machine does, every run must show that the victim loses nothing and is never
//! throttled, and that the flooder gets its budget and no more. What the victim's p99 becomes is
//! judged by the medians over all rounds, and only where it is asked for: a machine that others use
//! says little about single runs.
//!
//! ```text
//! tenants.rs   the server and its two instances     load.rs   what a run gives
//! report.rs    all runs, and what they mean
//! ```

mod load;
mod report;
mod tenants;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use self::load::{Loader, Protocol, Run};
use self::report::Report;
use self::tenants::Tenants;
use crate::compare::processors::Processors;
use crate::conformance::deadline::Stopwatch;
use crate::workspace;

/// Where results and logs are kept.
const FOLDER: &str = "target/isolation";

/// Processor time of other processes, in percent of all processors, that a run may have.
const NOISE_PERCENT_MAX: f64 = 10.0;

/// How often a run is made again because of others, before it is kept as it is.
const ATTEMPTS_MAX: u32 = 3;

/// By how much the victim's p99 may grow under the flood.
const RATIO_MAX: f64 = 2.0;

/// How much is measured.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Sizes {
    /// Pairs of runs, alone and under the flood, per protocol
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Seconds that each run is measured
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=600))]
    pub(crate) seconds: u32,
    /// Report by how much the victim's p99 grows, and do not fail because of it
    #[arg(long)]
    pub(crate) no_ratio: bool,
}

/// Command line of `cargo xtask isolation`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The server to measure; it is the load generator too [default: the release build]
    #[arg(long, value_name = "PATH")]
    server_binary: Option<PathBuf>,
    /// Only this protocol [default: all]
    #[arg(long, value_enum)]
    protocol: Option<Protocol>,
    #[command(flatten)]
    sizes: Sizes,
}

/// Runs the command.
///
/// # Errors
/// When a tenant gets less or more than its own, or the victim's p99 grows too much.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let release = || workspace::root().join("target/release/carrack");
    let binary = arguments.server_binary.clone().unwrap_or_else(release);
    let protocols = match arguments.protocol {
        Some(protocol) => vec![protocol],
        None => Protocol::ALL.to_vec(),
    };
    measure(binary, &protocols, arguments.sizes)
}

/// The same over all protocols, as a step of other commands.
///
/// # Errors
/// As [`run`].
pub(crate) fn check(binary: PathBuf, sizes: Sizes) -> Result<()> {
    measure(binary, &Protocol::ALL, sizes)
}

fn measure(binary: PathBuf, protocols: &[Protocol], sizes: Sizes) -> Result<()> {
    let watch = Stopwatch::start();
    let folder = workspace::root().join(FOLDER);
    fs::create_dir_all(&folder).context("create the folder of results")?;
    let loader = Loader {
        processors: Processors::share(true)?,
        seconds: sizes.seconds,
    };
    let mut runs = Vec::new();
    for protocol in protocols {
        // Anew for each, so that neither finds what the other has left.
        let mut tenants = Tenants::start(&binary, &folder, &loader.processors)?;
        for round in 0..sizes.rounds {
            // Who goes first alternates, as a server may grow faster or slower with time.
            let alone_first = round % 2 == 0;
            for is_flooded in [!alone_first, alone_first] {
                let mut made = attempt(&loader, &tenants, *protocol, is_flooded)?;
                made.round = round;
                println!("{}", made.text());
                runs.push(made);
            }
        }
        tenants.stop()?;
    }
    let report = Report::of(runs);
    let json = serde_json::to_string_pretty(&report)?;
    fs::write(folder.join("result.json"), json).context("write the result")?;
    fs::write(folder.join("result.txt"), report.text()).context("write the result")?;
    println!("\n{}", report.text());
    let seconds = watch.elapsed().as_secs_f64();
    println!("{seconds:.0} s; the result is in {FOLDER}/result.json");
    let faults = report.faults(!sizes.no_ratio);
    ensure!(faults.is_empty(), "not isolated: {}", faults.join("; "));
    Ok(())
}

/// Measures until others keep still; what they never do is kept and marked.
fn attempt(
    loader: &Loader,
    tenants: &Tenants,
    protocol: Protocol,
    is_flooded: bool,
) -> Result<Run> {
    let mut attempts = 0;
    loop {
        let run = loader.run(tenants, protocol, is_flooded)?;
        attempts += 1;
        if run.noise_percent <= NOISE_PERCENT_MAX || attempts == ATTEMPTS_MAX {
            return Ok(run);
        }
    }
}
