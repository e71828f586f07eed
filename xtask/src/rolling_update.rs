//! `cargo xtask rolling-update`: an instance with three nodes is updated to a new binary while
//! released clients send and receive, and nothing is lost.

mod builds;
mod fleet;
mod ledger;
mod openapi;
mod report;
#[path = "../../crates/control/src/release/test_key.rs"]
#[expect(dead_code, reason = "the tests of `control` sign in the old way too")]
mod test_key;
mod traffic;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use self::builds::Builds;
use self::fleet::Fleet;
use self::report::{Outcome, Report};
use self::traffic::{KINDS, Setting, Traffic};
use crate::conformance::build;
use crate::conformance::clients::Language;
use crate::conformance::deadline::{Deadline, Stopwatch};
use crate::workspace;

/// Messages of each client before anything is disturbed, and after it.
const UNDISTURBED_MESSAGES: u64 = 60;

/// Command line of `cargo xtask rolling-update`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Messages per second of each of the four clients.
    #[arg(long, default_value_t = 40)]
    rate: u32,
    /// Leave timeouts of the clients, and how often they ask for routes, at their libraries'
    /// defaults.
    #[arg(long)]
    library_times: bool,
    /// Take the two builds of the last run.
    #[arg(long)]
    keep_builds: bool,
    /// What goes wrong during updates, one update each; by default everything.
    #[arg(long, value_enum, value_delimiter = ',')]
    scenarios: Vec<Scenario>,
    /// Seconds that clients have to go to other nodes before a node is stopped.
    #[arg(long, default_value_t = 15)]
    drain_seconds: u64,
    /// Where the results are written, as JSON.
    #[arg(long, value_name = "PATH")]
    results: Option<PathBuf>,
}

impl Arguments {
    /// What CI runs: Remoting clients look at routes often, and nodes wait for senders but shortly.
    /// That must be well above the 10 s after which a gRPC client tries a node again that was away:
    /// it asks for routes every 30 s, so that it may know of the two other nodes only, and has none
    /// left when the second of these is stopped before it has tried the first one again.
    pub(crate) const CI: Self = Self {
        rate: 40,
        library_times: false,
        keep_builds: false,
        scenarios: Vec::new(),
        drain_seconds: 15,
        results: None,
    };

    /// What an operator has: clients and nodes with their defaults, but that consumers look for
    /// queues that came back more often.
    pub(crate) const VERIFY: Self = Self {
        rate: 100,
        library_times: true,
        keep_builds: false,
        scenarios: Vec::new(),
        drain_seconds: 35,
        results: None,
    };
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
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let builds = Builds::make(&root, &folder, arguments.keep_builds)?;
    build::build(&root, Language::Java, "java")?;
    let mut outcomes = Vec::new();
    let scenarios = match arguments.scenarios.as_slice() {
        [] => Scenario::ALL.as_slice(),
        some => some,
    };
    for scenario in scenarios {
        println!("{}", scenario.name());
        let once = || {
            let outcome = update(*scenario, arguments, &root, &folder, &builds);
            outcome.with_context(|| scenario.name())
        };
        let mut outcome = once()?;
        // The clients are not ours, and give up or wait by themselves where a machine is busy. What
        // is the server's fault shows itself again; a lost message needs no second look.
        if outcome.is_late_only() {
            println!(
                "once more, as {}",
                outcome.problems().collect::<Vec<_>>().join("; ")
            );
            outcome = once()?;
        }
        outcomes.push(outcome);
    }
    let report = Report::of(outcomes);
    let results = arguments.results.clone();
    report.write(&results.unwrap_or_else(|| folder.join("results.json")))?;
    println!("{}", report.table());
    report.verdict()
}

/// What goes wrong during the update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Scenario {
    /// Nothing.
    Undisturbed,
    /// The control process is killed while a node is stopped.
    ControlKilled,
    /// The last node is killed while the first one is drained. Later, a gRPC client may have no
    /// node left to try: it leaves one that failed out until a heartbeat gets through, every 10 s,
    /// and the first node may just have come back.
    NodeKilled,
}

impl Scenario {
    const ALL: [Self; 3] = [Self::Undisturbed, Self::ControlKilled, Self::NodeKilled];

    fn name(self) -> &'static str {
        match self {
            Self::Undisturbed => "undisturbed",
            Self::ControlKilled => "control-killed",
            Self::NodeKilled => "node-killed",
        }
    }
}

/// For an update to be done, besides what nodes wait for clients.
const UPDATE: Duration = Duration::from_secs(150);

/// Between two looks at an update.
const LOOK: Duration = Duration::from_millis(200);

/// Steps of an update that are done when the first node is about to be drained: lock, precheck.
const STEPS_BEFORE_DRAIN: u64 = 2;

/// Steps of an update that are done when the first node is stopped: lock, precheck, drain.
const STEPS_BEFORE_STOP: u64 = 3;

/// One update of an instance of three nodes, with clients that send and receive throughout.
fn update(
    scenario: Scenario,
    arguments: &Arguments,
    root: &Path,
    folder: &Path,
    builds: &Builds,
) -> Result<Outcome> {
    let watch = Stopwatch::start();
    let folder = folder.join(scenario.name());
    let mut fleet = Fleet::start(builds, &folder, arguments.drain_seconds)?;
    fleet.create_instance()?;
    for kind in KINDS {
        fleet.create(&kind)?;
    }
    let setting = Setting {
        root,
        endpoint: &fleet.endpoint()?,
        session: fleet.session(arguments.library_times),
        rate: arguments.rate,
        logs: &folder,
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
    let updating = Stopwatch::start();
    fleet.update(builds)?;
    let drains = Duration::from_secs(4 * arguments.drain_seconds);
    follow(scenario, &mut fleet, Deadline::after(UPDATE + drains))?;
    let update = updating.elapsed();
    all_send()?;
    traffic.iter().for_each(Traffic::stop);
    let mut accounts = Vec::new();
    for client in traffic {
        accounts.push((client.kind, client.end()?));
    }
    let version = fleet.version()?;
    if version != builds::NEW {
        bail!(
            "the instance runs `{version}` after the update, expected `{}`",
            builds::NEW
        );
    }
    fleet.expect_unlocked()?;
    fleet.halt()?;
    Ok(Outcome::of(
        scenario.name(),
        accounts,
        update,
        watch.elapsed(),
    ))
}

/// Follows the update to its end, and does what the scenario says in between.
fn follow(scenario: Scenario, fleet: &mut Fleet, deadline: Deadline) -> Result<()> {
    let (mut is_checked, mut is_disturbed, mut shown) = (false, false, String::new());
    loop {
        let progress = fleet.progress()?;
        let now = format!(
            "{}, {} steps done, then {}",
            progress.status, progress.steps_done, progress.step
        );
        if now != shown {
            println!("  {now}");
            shown = now;
        }
        match progress.status.as_str() {
            "PENDING" | "RUNNING" => {}
            "SUCCEEDED" => break,
            other => bail!("the update is {other}: {}", progress.reason),
        }
        if deadline.remaining().is_zero() {
            bail!("the update is not done in time, it is at {}", progress.step);
        }
        // From the moment in which it runs, before any step is done.
        if progress.status == "RUNNING" && !is_checked {
            fleet.expect_locked()?;
            is_checked = true;
        }
        let is_due = match scenario {
            Scenario::Undisturbed => false,
            Scenario::ControlKilled => progress.steps_done >= STEPS_BEFORE_STOP,
            Scenario::NodeKilled => progress.steps_done >= STEPS_BEFORE_DRAIN,
        };
        if is_due && !is_disturbed {
            println!("  {}", scenario.name());
            match scenario {
                Scenario::NodeKilled => fleet.kill_last_node()?,
                _ => fleet.kill_control()?,
            }
            is_disturbed = true;
        }
        pause(LOOK);
    }
    if !is_checked || (is_disturbed != (scenario != Scenario::Undisturbed)) {
        bail!("the update was over before anything was tried");
    }
    Ok(())
}
