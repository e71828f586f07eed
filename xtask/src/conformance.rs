//! `cargo xtask conformance`: released clients, unmodified, against a real server over real
//! sockets.
//!
//! Builds the drivers, starts a server per client on an empty data folder, runs the scenarios, and
//! says what passed. The drivers and their line protocol are described in `conformance/README.md`.

pub(crate) mod build;
mod class_archive;
pub(crate) mod clients;
pub(crate) mod deadline;
pub(crate) mod driver;
pub(crate) mod event;
mod features;
mod inbox;
mod ledger;
mod openapi;
pub(crate) mod process;
mod report;
mod scenarios;
mod second_attempt;
mod target;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, bail};
use clap::builder::PossibleValuesParser;

use self::clients::{CLIENTS, Client, ConsumerKind};
use self::deadline::Stopwatch;
use self::report::{Line, Outcome};
use self::scenarios::{Round, SCENARIOS, Scenario, across_protocols};
use self::target::{Setting, Target};
use crate::workspace;

/// The selection of all clients together.
const CROSS: &str = "cross";

/// The selection of everything.
const ALL: &str = "all";

/// Command line of `cargo xtask conformance`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to run: clients one by one, `cross` for all of them together, `openapi` for those
    /// that administer, or `all`.
    #[arg(default_value = ALL, value_parser = selections())]
    selections: Vec<String>,
    /// Only the scenario of this name, for clients one by one.
    #[arg(long, value_parser = PossibleValuesParser::new(SCENARIOS.iter().map(|scenario| scenario.name)))]
    scenario: Option<String>,
    /// The server to test; by default the release build if there is one, else the debug build.
    #[arg(long, value_name = "PATH")]
    server_binary: Option<PathBuf>,
    /// Test a server that runs already. It cannot be restarted, so scenarios stop short of that.
    #[arg(long, value_name = "HOST:PORT")]
    against: Option<String>,
    /// Where that server speaks gRPC, if it is not the same address.
    #[arg(long, value_name = "HOST:PORT", requires = "against")]
    against_grpc: Option<String>,
    /// A program that creates topics and groups there, called with the command line of `carrack`.
    #[arg(long, value_name = "PATH", requires = "against")]
    administration: Option<PathBuf>,
    /// Scenarios to run at the same time, each with a server of its own; mostly they wait.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// Messages behind the one that fails in the scenario of a poisoned message group.
    #[arg(long, default_value_t = 2_000)]
    backlog: u32,
    /// Only build the drivers.
    #[arg(long)]
    build_only: bool,
    /// Write COMPAT.md from the results; needs a run of everything.
    #[arg(long)]
    write_compat: bool,
}

fn selections() -> PossibleValuesParser {
    let clients = CLIENTS.iter().map(|client| client.name);
    PossibleValuesParser::new(clients.chain([CROSS, openapi::SELECTION, ALL]))
}

/// What a run needs to know everywhere.
#[derive(Clone)]
struct Run {
    root: PathBuf,
    logs: PathBuf,
    binary: PathBuf,
    against: Option<(String, String)>,
    scenario: Option<String>,
    backlog: u32,
    /// Makes the names of topics and groups unique on a server that runs already.
    name: String,
}

/// Runs the command. Fails if any scenario failed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let all = arguments
        .selections
        .iter()
        .any(|selection| selection == ALL);
    let is_whole = all && arguments.scenario.is_none() && arguments.against.is_none();
    if arguments.write_compat && !is_whole {
        bail!("--write-compat needs a run of everything, against servers started here");
    }
    let chosen = |name: &str| {
        all || arguments
            .selections
            .iter()
            .any(|selection| selection == name)
    };
    let root = workspace::root();
    let single: Vec<&'static Client> = CLIENTS
        .iter()
        .filter(|client| chosen(client.name))
        .collect();
    let together: Vec<&'static Client> = if chosen(CROSS) {
        CLIENTS.iter().collect()
    } else {
        Vec::new()
    };
    build_drivers(&root, single.iter().chain(&together).copied())?;
    // They need keys that a server which runs already may not have.
    let administers =
        chosen(openapi::SELECTION) && arguments.scenario.is_none() && arguments.against.is_none();
    if administers {
        openapi::build(&root)?;
    }
    if arguments.build_only {
        return Ok(());
    }

    let run = Run::new(root, arguments)?;
    let cases: Vec<Case> = single
        .iter()
        .flat_map(|client| cases(&run, client))
        .collect();
    class_archive::make_all(&run, single.iter().chain(&together).copied());
    let mut lines = run_cases(&run, &cases, arguments.jobs);
    let mut pairs = Vec::new();
    if !together.is_empty() && arguments.scenario.is_none() {
        pairs = run_together(&run, &together)?;
    }
    second_attempt::of_all(&run, &cases, &mut lines, &together, &mut pairs)?;
    lines.extend(pairs);
    if administers {
        lines.extend(openapi::run(&run));
    }
    println!("{}", report::table(&lines));
    report::write_results(&run.root.join("target/conformance/results.json"), &lines)?;
    let path = run.root.join("COMPAT.md");
    let shown = report::compat(&lines);
    if arguments.write_compat {
        fs::write(&path, &shown).context("write COMPAT.md")?;
    }
    let failed = lines.iter().filter(|line| line.failed()).count();
    println!("{} passed, {failed} failed", lines.len() - failed);
    print!("{}", report::unsteady(&lines));
    if failed > 0 {
        print!("{}", report::failures(&lines, &run.logs)?);
        bail!(
            "{failed} of {} failed; the logs are in {}",
            lines.len(),
            run.logs.display()
        );
    }
    if is_whole && fs::read_to_string(&path).context("read COMPAT.md")? != shown {
        // So that whoever finds the run right need not repeat it.
        let beside = run.root.join("target/conformance/COMPAT.md");
        fs::write(&beside, &shown).with_context(|| format!("write {}", beside.display()))?;
        bail!(
            "COMPAT.md is not what this run shows, which is in {}",
            beside.display()
        );
    }
    Ok(())
}

impl Run {
    fn new(root: PathBuf, arguments: &Arguments) -> Result<Self> {
        let logs = root.join("target/conformance/logs");
        if logs.exists() {
            fs::remove_dir_all(&logs).context("remove the logs of the last run")?;
        }
        let built = |profile: &str| root.join("target").join(profile).join("carrack");
        let binary = match (&arguments.administration, &arguments.server_binary) {
            (Some(path), _) | (None, Some(path)) => path.clone(),
            (None, None) if built("release").exists() => built("release"),
            (None, None) => built("debug"),
        };
        if !binary.exists() {
            bail!(
                "{} does not exist: build it first, or name one with --server-binary",
                binary.display()
            );
        }
        let against = arguments.against.clone().map(|remoting| {
            let grpc = arguments
                .against_grpc
                .clone()
                .unwrap_or_else(|| remoting.clone());
            (remoting, grpc)
        });
        let name = match against {
            Some(_) => format!("run{}", std::process::id()),
            None => "conformance".to_owned(),
        };
        Ok(Self {
            root,
            logs,
            binary,
            against,
            scenario: arguments.scenario.clone(),
            backlog: arguments.backlog,
            name,
        })
    }

    /// The same for second attempts, which leave the logs and names of the first alone.
    fn again(&self) -> Result<Self> {
        let logs = self.logs.join("second-attempt");
        fs::create_dir_all(&logs).with_context(|| format!("create {}", logs.display()))?;
        Ok(Self {
            logs,
            name: format!("{}-again", self.name),
            ..self.clone()
        })
    }

    fn fleet(&self, name: &str, settings: &[Setting]) -> Result<Target> {
        let log = self.logs.join(format!("{name}-server.log"));
        Target::start_fleet(&self.binary, &log, settings)
    }

    fn target(&self, name: &str, settings: &[Setting]) -> Result<Target> {
        match &self.against {
            Some((remoting, grpc)) => Ok(Target::running(remoting, grpc, &self.binary)),
            None => {
                let log = self.logs.join(format!("{name}-server.log"));
                Target::start(&self.binary, &log, settings)
            }
        }
    }
}

fn build_drivers(root: &Path, clients: impl Iterator<Item = &'static Client>) -> Result<()> {
    let mut folders: Vec<_> = clients
        .map(|client| (client.language, client.folder))
        .collect();
    folders.sort();
    folders.dedup();
    for (language, folder) in folders {
        println!("building what is in {folder}");
        build::build(root, language, folder).with_context(|| format!("build {folder}"))?;
    }
    Ok(())
}

/// One scenario with one consumer of one client.
struct Case {
    client: &'static Client,
    kind: ConsumerKind,
    scenario: &'static Scenario,
}

/// Runs these, `jobs` at a time; the lines keep their order.
fn run_cases(run: &Run, cases: &[Case], jobs: usize) -> Vec<Line> {
    let next = AtomicUsize::new(0);
    let lines = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    let Some(case) = cases.get(index) else { return };
                    let line = run_case(run, case);
                    println!("{}", report::progress(&line));
                    lines
                        .lock()
                        .expect("no holder of this lock panics")
                        .push((index, line));
                }
            });
        }
    });
    let mut lines = lines.into_inner().expect("no holder of this lock panics");
    lines.sort_by_key(|(index, _)| *index);
    lines.into_iter().map(|(_, line)| line).collect()
}

fn cases(run: &Run, client: &'static Client) -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in client.consumers {
        for scenario in SCENARIOS {
            let asked = run
                .scenario
                .as_ref()
                .is_none_or(|name| name == scenario.name);
            if asked && scenario.asks(client, *kind) {
                cases.push(Case {
                    client,
                    kind: *kind,
                    scenario,
                });
            }
        }
    }
    cases
}

fn run_case(run: &Run, case: &Case) -> Line {
    let watch = Stopwatch::start();
    let mut note = None;
    let outcome = match case.client.lack(case.kind, case.scenario.needs) {
        Some(reason) => Outcome::NotApplicable { reason },
        None => match try_case(run, case) {
            Ok(Ran::Through { measured }) => {
                note = measured;
                Outcome::Passed
            }
            Ok(Ran::Not) => Outcome::NotRun,
            Err(reason) => Outcome::Failed {
                reason: format!("{reason:#}"),
            },
        },
    };
    let line = Line {
        client: case.client.name,
        consumer: case.kind.name(),
        scenario: case.scenario.name,
        outcome,
        first_failure: None,
        milliseconds: 0,
        note,
    };
    line.took(watch.elapsed())
}

/// How a case ended that did not fail.
enum Ran {
    /// It showed what it should, and may have measured something.
    Through { measured: Option<String> },
    /// It cannot run against this server.
    Not,
}

/// A server of its own for each case: a failure leaves nothing behind.
fn try_case(run: &Run, case: &Case) -> Result<Ran> {
    let Case {
        client,
        kind,
        scenario,
    } = case;
    let name = report::log_name(client.name, scenario.name, kind.name());
    let mut target = run.target(&name, scenario.settings)?;
    if scenario.needs_restart && !target.can_restart() {
        return Ok(Ran::Not);
    }
    let topic = format!("{}-{name}", run.name);
    let group = format!("{topic}-group");
    target.create_topic(&topic, scenario.messages.over(client.protocol))?;
    target.create_group(&group)?;
    let mut round = Round {
        client,
        kind: *kind,
        target: &mut target,
        topic,
        group,
        root: &run.root,
        log: run.logs.join(format!("{name}.log")),
        backlog: run.backlog,
        note: None,
    };
    (scenario.run)(&mut round)?;
    let measured = round.note;
    target.stop().context("stop the server")?;
    Ok(Ran::Through { measured })
}

fn run_together(run: &Run, clients: &[&'static Client]) -> Result<Vec<Line>> {
    let watch = Stopwatch::start();
    let target = run.target(report::ACROSS_PROTOCOLS, &[])?;
    let pairs = across_protocols(&run.root, &run.logs, &target, clients, &run.name)?;
    target.stop().context("stop the server")?;
    let time = watch.elapsed();
    Ok(pairs
        .into_iter()
        .map(|pair| Line::of_pair(pair).took(time))
        .collect())
}
