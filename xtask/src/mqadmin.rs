//! `cargo xtask mqadmin`: Apache's administration tool against Carrack and against Apache.
//!
//! Starts Apache RocketMQ (name server and broker) and Carrack side by side, takes both through the
//! same steps of clients and of the tool (`conformance/mqadmin/commands.toml`), and compares what
//! the tool printed, with addresses, times and the like masked. What differs must be in that file,
//! by name and with its reason; every command of the tool must be in a step or be left out with a
//! reason. `docs/reference/mqadmin.md` is written from the same file and checked against it.

mod compare;
mod page;
mod plan;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use self::compare::{Comparison, Outcome};
use self::plan::{Plan, Step};
use self::target::Target;
use crate::conformance::deadline::Stopwatch;
use crate::{maven, workspace};

/// The steps, the differences and what is left out.
const PLAN: &str = "conformance/mqadmin/commands.toml";

/// A step that takes longer than this is mentioned: the run must stay short.
const SLOW: Duration = Duration::from_secs(4);

/// The page that is written from it.
const PAGE: &str = "docs/reference/mqadmin.md";

/// Command line of `cargo xtask mqadmin`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The server to test; by default the release build if there is one, else the debug build.
    #[arg(long, value_name = "PATH")]
    server_binary: Option<PathBuf>,
    /// Write the reference page anew.
    #[arg(long)]
    write: bool,
}

/// Runs the command. Fails if anything differs that is not an accepted difference.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let root = workspace::root();
    let plan = Plan::read(&root.join(PLAN))?;
    let binary = arguments
        .server_binary
        .clone()
        .unwrap_or_else(|| built(&root));
    if !binary.exists() {
        bail!("{} does not exist: build it first", binary.display());
    }
    let products = root.join("target/mqadmin");
    maven::package(&root.join("conformance/mqadmin"))?;
    let (java, logs) = (products.join("java"), products.join("logs"));
    if logs.exists() {
        fs::remove_dir_all(&logs).context("remove the logs of the last run")?;
    }
    fs::create_dir_all(&logs).context("create the folder of logs")?;

    let watch = Stopwatch::start();
    let (apache, carrack) = thread::scope(|scope| {
        let apache = scope.spawn(|| {
            let target = Target::apache(&java, &logs).context("start Apache RocketMQ")?;
            run_steps(&plan, target)
        });
        let carrack = scope.spawn(|| {
            let target = Target::carrack(&binary, &java, &logs).context("start Carrack")?;
            run_steps(&plan, target)
        });
        let join = |handle: thread::ScopedJoinHandle<'_, Result<Outputs>>| {
            handle
                .join()
                .unwrap_or_else(|_| bail!("a thread of the run panicked"))
        };
        (join(apache), join(carrack))
    });
    let (apache, carrack) = (
        apache.context("Apache RocketMQ")?,
        carrack.context("Carrack")?,
    );
    let mut comparison = Comparison::new(&plan);
    for (number, step) in plan.steps.iter().enumerate() {
        comparison.step(step, &apache.steps[number], &carrack.steps[number]);
    }
    comparison.write(&products.join("differences"))?;
    println!("{}", comparison.table());
    check_complete(&plan, &apache.commands)?;
    println!("took {:.0} s", watch.elapsed().as_secs_f64());
    check_page(&root, &plan, arguments.write)?;
    let unused = comparison.unused_differences();
    if !unused.is_empty() {
        bail!("accepted differences that are none any more: {unused:?}");
    }
    let failed = comparison.count(|outcome| matches!(outcome, Outcome::Different { .. }));
    if failed > 0 {
        bail!("{failed} steps differ; see target/mqadmin/differences");
    }
    Ok(())
}

fn built(root: &Path) -> PathBuf {
    let built = |profile: &str| root.join("target").join(profile).join("carrack");
    if built("release").exists() {
        return built("release");
    }
    built("debug")
}

/// What one target printed.
struct Outputs {
    /// Commands of the tool, with their descriptions.
    commands: BTreeMap<String, String>,
    /// One text per step of the plan.
    steps: Vec<String>,
}

fn run_steps(plan: &Plan, mut target: Target) -> Result<Outputs> {
    let commands = target.run(&["!commands".to_owned()])?;
    let mut steps = Vec::new();
    for step in &plan.steps {
        let words = step.words();
        let watch = Stopwatch::start();
        let output = target
            .run(&words)
            .with_context(|| format!("step `{}`", step.run))?;
        let took = watch.elapsed();
        if took > SLOW {
            println!(
                "{}: {:.1} s for `{}`",
                target.name(),
                took.as_secs_f64(),
                step.run
            );
        }
        steps.push(output);
    }
    target.stop()?;
    Ok(Outputs {
        commands: command_list(&commands),
        steps,
    })
}

/// The commands in the tool's own overview: lines of three blanks, name, description.
fn command_list(overview: &str) -> BTreeMap<String, String> {
    overview
        .lines()
        .filter_map(|line| line.strip_prefix("   "))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, text)| (name.to_owned(), text.trim().to_owned()))
        .collect()
}

/// Every command of the tool is in a step or is left out with a reason, and never both.
fn check_complete(plan: &Plan, commands: &BTreeMap<String, String>) -> Result<()> {
    let done: BTreeSet<&str> = plan.steps.iter().filter_map(Step::command).collect();
    let left_out: BTreeSet<&str> = plan.left_out.iter().map(|l| l.command.as_str()).collect();
    let missing: Vec<&String> = commands
        .keys()
        .filter(|name| !done.contains(name.as_str()) && !left_out.contains(name.as_str()))
        .collect();
    let unknown: Vec<&&str> = done
        .union(&left_out)
        .filter(|name| !commands.contains_key(**name))
        .collect();
    let both: Vec<&&str> = done.intersection(&left_out).collect();
    if commands.is_empty() || !missing.is_empty() || !unknown.is_empty() || !both.is_empty() {
        bail!(
            "of {} commands: {missing:?} are neither run nor left out, {unknown:?} are none, \
             {both:?} are run and left out",
            commands.len()
        );
    }
    Ok(())
}

fn check_page(root: &Path, plan: &Plan, write: bool) -> Result<()> {
    let path = root.join(PAGE);
    let page = page::text(plan);
    if write {
        return fs::write(&path, page).with_context(|| format!("write {PAGE}"));
    }
    if fs::read_to_string(&path).ok().as_deref() != Some(page.as_str()) {
        bail!("{PAGE} is not what {PLAN} says: write it with `cargo xtask mqadmin --write`");
    }
    Ok(())
}
