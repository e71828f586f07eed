//! `cargo xtask differential`: the same seeded operations over Remoting against Apache RocketMQ
//! and against Carrack.
//!
//! Seeds run side by side, each with topics and groups of its own; the operations of a seed run one
//! after the other, so that what is to be seen of each is settled. It is compared operation by
//! operation. What differs is either an accepted difference (`differential/rules.rs`), or is run
//! again alone, for the original is not the same on a busy machine: it revives late, and a pop
//! finds fewer messages. What differs again fails the run, which then looks for fewer operations
//! that differ as well. What does not is named at the end.

mod driver;
mod operation;
mod outcome;
mod rules;
mod workload;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;

use self::driver::{Addresses, Driver, Fault};
use self::operation::Operation;
use self::outcome::Outcome;
use self::rules::{PROPERTY_RULES, RULES};
use self::workload::Workload;
use crate::conformance::deadline::{Deadline, START, STOP, Stopwatch};
use crate::conformance::process::Process;
use crate::oracle::{self, Oracle};
use crate::workspace;

/// Operations of a seed, unless it is said otherwise.
const OPERATIONS: usize = 120;

/// Differences of a seed that are printed, unless it is said otherwise.
const PRINTED: usize = 4;

/// Most runs in search of a shorter list of operations.
const SHRINKS_MAX: usize = 8;

/// Seeds of which one must find a planted fault.
const FAULT_SEEDS_MAX: usize = 3;

/// Seeds that may differ by accident; if more do, none gets a second attempt.
const ACCIDENTS_MAX: usize = 2;

/// Number of a second attempt, apart from the first ones, the search and the faults.
const SECOND_ATTEMPT: usize = 1_000;

/// Number of the first run with a planted fault, beyond those of the search for shorter lists.
const FIRST_FAULT: usize = 100;

/// Seeds that run at the same time, against one Apache; mostly they wait.
const SEEDS_AT_ONCE: usize = 16;

/// Command line of `cargo xtask differential`.
#[derive(Clone, clap::Args)]
pub(crate) struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 8)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Operations per seed.
    #[arg(long, default_value_t = OPERATIONS)]
    operations: usize,
    /// The server to test; by default the release build if there is one, else the debug build.
    #[arg(long, value_name = "PATH")]
    server_binary: Option<PathBuf>,
    /// Plant faults before Carrack as well: the run fails if one of them is not found.
    #[arg(long)]
    faults: bool,
    /// Print every operation with both outcomes.
    #[arg(long)]
    verbose: bool,
    /// Differences of a seed that are printed; later ones mostly follow from the first.
    #[arg(long, default_value_t = PRINTED)]
    printed: usize,
    /// Do not look for fewer operations that differ.
    #[arg(long)]
    no_shrink: bool,
}

/// Compares so many seeds on this server, and plants the faults.
pub(crate) fn run_seeds(binary: PathBuf, seeds: u64) -> Result<()> {
    run(&Arguments {
        seeds,
        seed: 1,
        operations: OPERATIONS,
        server_binary: Some(binary),
        faults: true,
        verbose: false,
        printed: PRINTED,
        no_shrink: false,
    })
}

/// The two servers.
struct Pair {
    apache: Addresses,
    carrack: Addresses,
}

/// What came of a seed.
struct Report {
    seed: u64,
    operations: Vec<Operation>,
    apache: Vec<Outcome>,
    carrack: Vec<Outcome>,
}

/// What Carrack seemed to do with a fault before it, at each of the first seeds.
struct Planted {
    fault: Fault,
    outcomes: Vec<Vec<Outcome>>,
}

/// How an operation came out on both sides.
enum Verdict {
    /// The same but for these accepted differences, or none.
    Accepted(Vec<&'static str>),
    Different,
    /// Apache does not do what a rule says.
    Refuted(&'static str),
}

/// Runs the command. Fails if anything differs that is not an accepted difference.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let root = workspace::root();
    let binary = arguments
        .server_binary
        .clone()
        .unwrap_or_else(|| built(&root));
    if !binary.exists() {
        bail!("{} does not exist: build it first", binary.display());
    }
    let logs = root.join("target/differential");
    fs::create_dir_all(&logs).context("create the folder of logs")?;
    let watch = Stopwatch::start();
    let data = tempfile::tempdir().context("create the data folder")?;
    let (carrack, address) = start_carrack(&binary, data.path(), &logs)?;
    let servers = Servers { logs, address };
    let result = servers.compare(arguments);
    stop_carrack(carrack)?;
    println!("took {:.0} s", watch.elapsed().as_secs_f64());
    result
}

/// Carrack, and where Apache's logs go.
struct Servers {
    logs: PathBuf,
    address: String,
}

impl Servers {
    /// Does something with both, with an Apache of its own: the more transactions it has ended, the
    /// busier it is for nothing, until it asks nobody any more.
    fn with_apache<T>(&self, run: impl AsyncFnOnce(Pair) -> Result<T>) -> Result<T> {
        let oracle = Oracle::start(&self.logs).context("start Apache RocketMQ")?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("start the runtime of the clients")?;
        let pair = Pair {
            apache: Addresses {
                name_server: oracle.name_server().to_owned(),
                broker: oracle.broker().to_owned(),
            },
            carrack: Addresses {
                name_server: self.address.clone(),
                broker: self.address.clone(),
            },
        };
        runtime.block_on(async {
            driver::check_often(&pair.apache).await?;
            run(pair).await
        })
    }

    fn compare(&self, arguments: &Arguments) -> Result<()> {
        let seeds: Vec<u64> = (arguments.seed..arguments.seed + arguments.seeds).collect();
        let (mut reports, mut planted) = (Vec::new(), Vec::new());
        for seeds in seeds.chunks(SEEDS_AT_ONCE) {
            let with_faults = match arguments.faults && reports.is_empty() {
                true => &seeds[..seeds.len().min(FAULT_SEEDS_MAX)],
                false => &[],
            };
            let operations = arguments.operations;
            let (more, found) = self.with_apache(async |pair| {
                tokio::try_join!(
                    run_all(&pair, seeds, operations),
                    plant_faults(&pair, with_faults, operations),
                )
            })?;
            reports.extend(more);
            if !with_faults.is_empty() {
                planted = found;
            }
        }
        let accidents = self.try_again(&mut reports, arguments)?;
        let judged = judge(&reports, arguments);
        for accident in &accidents {
            println!("two attempts: {accident}");
        }
        let differing = reports.iter().find(|it| it.first_difference().is_some());
        if let Some(report) = differing
            && !arguments.no_shrink
        {
            self.with_apache(async |pair| shrink(&pair, report).await)?;
        }
        judged?;
        if arguments.faults {
            for planted in planted {
                planted.find(&reports)?;
            }
        }
        Ok(())
    }

    /// Runs the seeds that differ again, each alone, and says which of them differ no more.
    fn try_again(&self, reports: &mut [Report], arguments: &Arguments) -> Result<Vec<String>> {
        let differing = |report: &&mut Report| report.first_difference().is_some();
        let differing: Vec<&mut Report> = reports.iter_mut().filter(differing).collect();
        let mut accidents = Vec::new();
        if differing.len() > ACCIDENTS_MAX {
            return Ok(accidents);
        }
        for report in differing {
            let Some(first) = report.first_difference() else {
                continue;
            };
            report.print(arguments.printed);
            println!("seed {} once more, alone", report.seed);
            let operations = report.operations.clone();
            let again = self.with_apache(async |pair| {
                run_seed(&pair, report.seed, operations, SECOND_ATTEMPT).await
            })?;
            if again.first_difference().is_none() {
                let operation = &report.operations[first];
                accidents.push(format!(
                    "seed {} differed once, at operation {first}: {operation:?}",
                    report.seed
                ));
            }
            *report = again;
        }
        Ok(accidents)
    }
}

/// Says what differs and which rules were needed. Fails if anything differs.
fn judge(reports: &[Report], arguments: &Arguments) -> Result<()> {
    let (mut compared, mut differing, mut refuted) = (0, Vec::new(), BTreeSet::new());
    let mut used = BTreeSet::new();
    for report in reports {
        if arguments.verbose {
            report.print_all();
        }
        compared += report.operations.len();
        for verdict in report.verdicts() {
            match verdict {
                Verdict::Different => {}
                Verdict::Accepted(rules) => used.extend(rules),
                Verdict::Refuted(rule) => _ = refuted.insert(rule),
            }
        }
        if report.first_difference().is_some() {
            report.print(arguments.printed);
            differing.push(report);
        }
    }
    println!(
        "{compared} operations of {} seeds compared, {} seeds differ",
        reports.len(),
        differing.len()
    );
    let answers = RULES.iter().map(|rule| (rule.name, rule.reason));
    let messages = PROPERTY_RULES.iter().map(|rule| (rule.name, rule.reason));
    for (name, reason) in answers.chain(messages) {
        let state = if used.contains(name) {
            ""
        } else {
            " (NEVER USED)"
        };
        println!("accepted{state}: {name}: {reason}");
    }
    if !differing.is_empty() || !refuted.is_empty() {
        bail!(
            "{} seeds differ, rules refuted: {refuted:?}",
            differing.len()
        );
    }
    Ok(())
}

async fn run_all(pair: &Pair, seeds: &[u64], operations: usize) -> Result<Vec<Report>> {
    let runs = seeds.iter().map(|seed| {
        let operations = Workload::generate(*seed, operations);
        run_seed(pair, *seed, operations, 0)
    });
    futures_all(runs).await.into_iter().collect()
}

/// Runs every fault with all these seeds. Carrack alone is asked, with the fault between: what
/// Apache answers is known from the runs without.
async fn plant_faults(pair: &Pair, seeds: &[u64], operations: usize) -> Result<Vec<Planted>> {
    let runs = Fault::value_variants().iter().enumerate();
    let runs = runs.map(|(number, fault)| async move {
        let runs = seeds.iter().map(|seed| {
            let operations = Workload::generate(*seed, operations);
            let attempt = FIRST_FAULT + number;
            async move { run_side(&pair.carrack, *seed, &operations, attempt, Some(*fault)).await }
        });
        let outcomes = futures_all(runs).await.into_iter().collect::<Result<_>>()?;
        Ok(Planted {
            fault: *fault,
            outcomes,
        })
    });
    futures_all(runs).await.into_iter().collect()
}

impl Planted {
    /// It must differ from what Apache does, at one of the seeds.
    fn find(self, reports: &[Report]) -> Result<()> {
        for (carrack, report) in self.outcomes.into_iter().zip(reports) {
            let report = Report {
                seed: report.seed,
                operations: report.operations.clone(),
                apache: report.apache.clone(),
                carrack,
            };
            if let Some(index) = report.first_difference() {
                println!(
                    "planted fault {:?}: found at seed {} operation {index}, {:?}",
                    self.fault, report.seed, report.operations[index]
                );
                return Ok(());
            }
        }
        bail!("the planted fault {:?} was not found", self.fault);
    }
}

/// Runs all at the same time.
async fn futures_all<F: Future>(runs: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut runs: Vec<_> = runs.map(|run| (Box::pin(run), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (run, output) in &mut runs {
            if output.is_none() {
                match run.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => is_done = false,
                }
            }
        }
        if is_done {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    runs.into_iter().filter_map(|(_, output)| output).collect()
}

/// Runs the operations against both servers. `attempt` keeps the names of repeated runs apart.
async fn run_seed(
    pair: &Pair,
    seed: u64,
    operations: Vec<Operation>,
    attempt: usize,
) -> Result<Report> {
    let (apache, carrack) = tokio::try_join!(
        run_side(&pair.apache, seed, &operations, attempt, None),
        run_side(&pair.carrack, seed, &operations, attempt, None),
    )?;
    Ok(Report {
        seed,
        operations,
        apache,
        carrack,
    })
}

async fn run_side(
    addresses: &Addresses,
    seed: u64,
    operations: &[Operation],
    attempt: usize,
    fault: Option<Fault>,
) -> Result<Vec<Outcome>> {
    let name = format!("s{seed}-{attempt}");
    let mut driver = Driver::start(addresses, name.clone(), seed, fault)
        .await
        .with_context(|| format!("prepare seed {seed} at {}", addresses.broker))?;
    let mut outcomes = Vec::with_capacity(operations.len());
    for (index, operation) in operations.iter().enumerate() {
        let mut outcome = driver.run(index, operation).await;
        // The same in every attempt.
        for line in &mut outcome.lines {
            *line = line.replace(&name, &format!("s{seed}"));
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// Looks for a shorter list that differs at the same operation: what comes after it goes, then
/// halves, quarters and so on of what came before.
async fn shrink(pair: &Pair, report: &Report) -> Result<()> {
    let Some(last) = report.first_difference() else {
        return Ok(());
    };
    let mut keep: Vec<usize> = (0..=last).collect();
    let mut size = last / 2;
    let mut attempt = 0;
    while size > 0 && attempt < SHRINKS_MAX {
        let mut start = 0;
        while start < keep.len().saturating_sub(1) && attempt < SHRINKS_MAX {
            let end = (start + size).min(keep.len() - 1);
            let shorter: Vec<usize> = [&keep[..start], &keep[end..]].concat();
            attempt += 1;
            let again = report.again(pair, &shorter, attempt).await?;
            if again.is_different_at(last) {
                keep = shorter;
            } else {
                start = end;
            }
        }
        size /= 2;
    }
    println!(
        "\nseed {} differs with these operations alone:",
        report.seed
    );
    for index in &keep {
        println!("{index:>4} {:?}", report.operations[*index]);
    }
    Ok(())
}

impl Report {
    fn verdict(&self, index: usize) -> Verdict {
        let operation = &self.operations[index];
        let (apache, carrack) = (&self.apache[index], &self.carrack[index]);
        let mut rules = RULES.iter().filter(|rule| (rule.speaks_of)(operation));
        if let Some(rule) = rules.clone().find(|rule| !(rule.apache)(apache)) {
            return Verdict::Refuted(rule.name);
        }
        let reconciled = rules::reconcile(operation, apache, carrack);
        if let Some(rule) = reconciled.refuted.first() {
            return Verdict::Refuted(rule);
        }
        let mut used = reconciled.used;
        let apache = Outcome {
            reaction: apache.reaction,
            lines: reconciled.apache,
        };
        let carrack = Outcome {
            reaction: carrack.reaction,
            lines: reconciled.carrack,
        };
        if apache != carrack {
            match rules.find(|rule| (rule.accepts)(&apache, &carrack)) {
                Some(rule) => used.push(rule.name),
                None => return Verdict::Different,
            }
        }
        Verdict::Accepted(used)
    }

    fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        (0..self.operations.len()).map(|index| self.verdict(index))
    }

    fn is_different_at(&self, index: usize) -> bool {
        matches!(
            self.verdict(index),
            Verdict::Different | Verdict::Refuted(_)
        )
    }

    fn first_difference(&self) -> Option<usize> {
        (0..self.operations.len()).find(|index| self.is_different_at(*index))
    }

    /// The same run with some operations only; the others count as not asked.
    async fn again(&self, pair: &Pair, keep: &[usize], attempt: usize) -> Result<Self> {
        let nothing = Operation::Raw {
            code: 9_999,
            fields: Vec::new(),
        };
        let mut operations = vec![nothing; self.operations.len()];
        for index in keep {
            operations[*index] = self.operations[*index].clone();
        }
        let end = keep.last().map_or(0, |last| last + 1);
        operations.truncate(end);
        run_seed(pair, self.seed, operations, attempt).await
    }

    fn print(&self, printed_max: usize) {
        let differences = (0..self.operations.len()).filter(|index| self.is_different_at(*index));
        for index in differences.clone().take(printed_max) {
            println!(
                "\nseed {} operation {index}: {:?}",
                self.seed, self.operations[index]
            );
            if let Verdict::Refuted(rule) = self.verdict(index) {
                println!("  Apache does not do what the rule `{rule}` says");
            }
            let (apache, carrack) = (
                self.apache[index].to_string(),
                self.carrack[index].to_string(),
            );
            for line in apache
                .lines()
                .filter(|line| !carrack.lines().any(|other| other == *line))
            {
                println!("  Apache  {line}");
            }
            for line in carrack
                .lines()
                .filter(|line| !apache.lines().any(|other| other == *line))
            {
                println!("  Carrack {line}");
            }
        }
        let more = differences.count().saturating_sub(printed_max);
        if more > 0 {
            println!("  and {more} more in seed {}", self.seed);
        }
    }

    fn print_all(&self) {
        for (index, operation) in self.operations.iter().enumerate() {
            println!("\nseed {} operation {index}: {operation:?}", self.seed);
            println!(
                "Apache: {}\nCarrack: {}",
                self.apache[index], self.carrack[index]
            );
        }
    }
}

fn built(root: &Path) -> PathBuf {
    let built = |profile: &str| root.join("target").join(profile).join("carrack");
    if built("release").exists() {
        return built("release");
    }
    built("debug")
}

fn start_carrack(binary: &Path, data: &Path, logs: &Path) -> Result<(Process, String)> {
    let address = format!("127.0.0.1:{}", oracle::free_ports()? + 3);
    let mut command = Command::new(binary);
    command
        .args(["server", "--data"])
        .arg(data.join("data"))
        .args(["--listen", &address]);
    let mut process = Process::start("carrack", &mut command, &logs.join("carrack.log"))?;
    let deadline = Deadline::after(START);
    while !process.next_line(deadline)?.text.starts_with("ready") {}
    Ok((process, address))
}

fn stop_carrack(mut process: Process) -> Result<()> {
    process.terminate()?;
    process.wait_for_success(Deadline::after(STOP))
}
