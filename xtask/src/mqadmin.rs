//! `cargo xtask mqadmin`: Apache's administration tool against Carrack and against Apache.
//!
//! Starts Apache RocketMQ (name server and broker) and Carrack side by side, takes both through the
//! same steps of clients and of the tool (`conformance/mqadmin/commands.toml`), and compares what
//! the tool printed, with addresses, times and the like masked. What differs must be in that file,
//! by name and with its reason, and must be seen at every run. Every command of the tool must be in
//! a step or be left out with a reason; what is left out because the server cannot do it is tried.
//! `docs/reference/mqadmin.md` is written from the same file and checked against it.

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
use self::target::{Output, Target};
use crate::conformance::deadline::Stopwatch;
use crate::{maven, workspace};

/// The steps, the differences and what is left out.
const PLAN: &str = "conformance/mqadmin/commands.toml";

/// A step that takes longer than this is mentioned: the run must stay short.
const SLOW: Duration = Duration::from_secs(4);

/// What the tool prints of a request that the server does not know.
const REFUSED: &str = "CODE: 3  DESC: request code";

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

/// Compares the server `binary`, as a step of CI.
pub(crate) fn check(binary: PathBuf) -> Result<()> {
    run(&Arguments {
        server_binary: Some(binary),
        write: false,
    })
}

/// Runs the command. Fails if anything differs that is not an accepted difference.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let root = workspace::root();
    let plan = Plan::read(&root.join(PLAN))?;
    if arguments.write {
        fs::write(root.join(PAGE), page::text(&plan)).with_context(|| format!("write {PAGE}"))?;
    }
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
    let (commands, not_refused) = (apache.commands, carrack.not_refused);
    let outputs = apache.steps.into_iter().zip(carrack.steps);
    for (step, (apache, carrack)) in plan.steps.iter().zip(outputs) {
        comparison.step(step, apache, carrack);
    }
    comparison.write(&products.join("differences"))?;
    println!("{}", comparison.table());
    check_complete(&plan, &commands)?;
    println!("took {:.0} s", watch.elapsed().as_secs_f64());
    let failed = comparison.count(|outcome| matches!(outcome, Outcome::Different { .. }));
    if failed > 0 {
        bail!("{failed} steps differ; see target/mqadmin/differences");
    }
    let unseen = comparison.unseen();
    if !unseen.is_empty() {
        bail!("accepted differences not seen:\n{}", unseen.join("\n"));
    }
    if !not_refused.is_empty() {
        bail!("not refused: {not_refused:#?}");
    }
    check_page(&root, &plan)
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
    /// One per step of the plan.
    steps: Vec<Output>,
    /// Commands that should have been refused.
    not_refused: Vec<String>,
}

fn run_steps(plan: &Plan, mut target: Target) -> Result<Outputs> {
    let commands = target.run(&["!commands".to_owned()])?;
    let mut steps = Vec::new();
    for step in &plan.steps {
        let output = target
            .run(&step.words())
            .with_context(|| format!("step `{}`", step.run))?;
        if output.took > SLOW {
            let (name, took) = (target.name(), output.took.as_secs_f64());
            println!("{name}: {took:.1} s for `{}`", step.run);
        }
        steps.push(output);
    }
    let mut not_refused = Vec::new();
    if target.is_carrack() {
        for left_out in &plan.left_out {
            let Some(words) = left_out.words() else {
                continue;
            };
            let output = target.run(&words)?;
            if !output
                .text
                .contains(left_out.prints.as_deref().unwrap_or(REFUSED))
            {
                not_refused.push(format!("{}: {}", left_out.command, output.text));
            }
        }
    }
    target.stop()?;
    Ok(Outputs {
        commands: command_list(&commands.text),
        steps,
        not_refused,
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

fn check_page(root: &Path, plan: &Plan) -> Result<()> {
    let page = fs::read_to_string(root.join(PAGE)).ok();
    if page != Some(page::text(plan)) {
        bail!("{PAGE} is not what {PLAN} says: write it with `cargo xtask mqadmin --write`");
    }
    Ok(())
}
