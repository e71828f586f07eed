//! `cargo xtask rolling-update`: nodes are restarted one after the other while released clients
//! send and receive, and nobody loses anything.

mod builds;
mod ledger;
mod nodes;
mod report;
mod traffic;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use self::builds::Builds;
use self::nodes::Nodes;
use self::report::{Outcome, Report};
use self::traffic::{KINDS, Setting, Traffic};
use crate::conformance::build;
use crate::conformance::clients::Language;
use crate::conformance::deadline::Stopwatch;
use crate::conformance::event::Session;
use crate::workspace;

/// Messages of each client before anything is disturbed, and after it.
const UNDISTURBED_MESSAGES: u64 = 60;

/// Command line of `cargo xtask rolling-update`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Messages per second of each of the four clients.
    #[arg(long, default_value_t = 40)]
    rate: u32,
    /// Leave timeouts and polls of the clients at their libraries' defaults.
    #[arg(long)]
    library_times: bool,
    /// Take the two builds of the last run.
    #[arg(long)]
    keep_builds: bool,
    /// Where the results are written, as JSON.
    #[arg(long, value_name = "PATH")]
    results: Option<PathBuf>,
}

/// Lets time pass between two looks.
#[expect(
    clippy::disallowed_methods,
    reason = "a pause between looks at real processes, not what is waited for"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Runs the command. Fails if anything was lost, refused or overtaken.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let root = workspace::root();
    let folder = root.join("target/rolling-update");
    let logs = folder.join("logs");
    if logs.exists() {
        fs::remove_dir_all(&logs).context("remove the logs of the last run")?;
    }
    fs::create_dir_all(&logs).with_context(|| format!("create {}", logs.display()))?;
    let builds = Builds::make(&root, &folder, arguments.keep_builds)?;
    build::build(&root, Language::Java, "java")?;
    let outcome = restart_all(arguments, &root, &logs, &builds)?;
    let report = Report::of(vec![outcome]);
    let results = arguments.results.clone();
    report.write(&results.unwrap_or_else(|| folder.join("results.json")))?;
    println!("{}", report.table());
    report.verdict()
}

fn restart_all(
    arguments: &Arguments,
    root: &Path,
    logs: &Path,
    builds: &Builds,
) -> Result<Outcome> {
    let watch = Stopwatch::start();
    let mut nodes = Nodes::start(&builds.old, logs)?;
    for kind in KINDS {
        nodes.create(&kind)?;
    }
    let endpoint = nodes.endpoint();
    let setting = Setting {
        root,
        endpoint: &endpoint,
        session: Session {
            own_times: arguments.library_times,
            ..Session::default()
        },
        rate: arguments.rate,
        logs,
    };
    let traffic: Vec<Traffic> = KINDS
        .iter()
        .map(|kind| Traffic::start(*kind, &setting))
        .collect::<Result<_>>()?;
    let all_send = || {
        let mut traffic = traffic.iter();
        traffic.try_for_each(|client| client.wait_for_more(UNDISTURBED_MESSAGES))
    };
    all_send()?;
    for node in 0..nodes.count() {
        nodes.restart(node, &builds.new)?;
        all_send()?;
    }
    traffic.iter().for_each(Traffic::stop);
    let mut accounts = Vec::new();
    for client in traffic {
        accounts.push((client.kind, client.end()?));
    }
    nodes.stop()?;
    if accounts.is_empty() {
        bail!("nobody sent anything");
    }
    Ok(Outcome::of("restarts", accounts, watch.elapsed()))
}
