//! Runs seeds from the command line: `cargo run -p sim -- --seeds 200`, `--seed 17`, `--seed 17
//! --twice`.

use std::io::Write;

use anyhow::{Result, bail};
use clap::Parser;
use sim::{Options, Outcome, Planted, TenantOptions, run, run_tenants};

/// Runs the simulator.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to run, from --seed on
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Most scheduler steps in each life of the node
    #[arg(long, default_value_t = Options::of_seed(0).steps)]
    steps: u64,
    /// Run each seed twice and compare the traces line by line
    #[arg(long)]
    twice: bool,
    /// Go on after a seed that fails, and fail at the end
    #[arg(long)]
    keep_going: bool,
    /// Print the whole trace
    #[arg(long)]
    trace: bool,
    /// Plant a bug: any of them, by a name that a wrong one is answered with
    #[arg(long, value_parser = planted)]
    plant: Option<Planted>,
    /// Run two tenants, one of which floods, for so many virtual seconds instead
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["plant", "twice", "trace"])]
    tenants: Option<u64>,
    /// Let the tenants do without quotas, which must be found
    #[arg(long, requires = "tenants")]
    no_quotas: bool,
    /// The revision that is run, printed with a failure
    #[arg(long, env = "CARRACK_REVISION", default_value = "unknown")]
    revision: String,
}

fn planted(text: &str) -> Result<Planted, String> {
    let named = Planted::ALL
        .into_iter()
        .find(|planted| planted.name() == text);
    named.ok_or_else(|| {
        format!(
            "expected one of {}",
            Planted::ALL.map(Planted::name).join(", ")
        )
    })
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    let end = arguments.seed.saturating_add(arguments.seeds);
    let mut failures = Vec::new();
    if let Some(seconds) = arguments.tenants {
        for seed in arguments.seed..end {
            failures.extend(tenants(&mut out, seed, seconds, !arguments.no_quotas)?);
        }
        return match failures.is_empty() {
            true => Ok(()),
            false => bail!("{}", failures.join("\n")),
        };
    }
    for seed in arguments.seed..end {
        let options = Options {
            seed,
            steps: arguments.steps,
            planted: arguments.plant.unwrap_or_default(),
            keep_trace: arguments.twice || arguments.trace,
        };
        let outcome = run(options);
        if arguments.twice {
            compare(seed, &outcome, &run(options))?;
        }
        report(&mut out, &arguments, seed, &outcome)?;
        let Some(violation) = outcome.violation else {
            continue;
        };
        let (steps, revision) = (arguments.steps, &arguments.revision);
        failures.push(format!(
            "seed {seed}, steps {steps}, revision {revision}: {violation}"
        ));
        if !arguments.keep_going {
            break;
        }
    }
    match failures.is_empty() {
        true => Ok(()),
        false => bail!("{}", failures.join("\n")),
    }
}

/// What a tenant feels of another that floods; returns what is wrong with it.
fn tenants(out: &mut impl Write, seed: u64, seconds: u64, quotas: bool) -> Result<Option<String>> {
    let run = |flood| {
        run_tenants(TenantOptions {
            seed,
            seconds,
            flood,
            quotas,
        })
    };
    let (alone, flooded) = (run(false).calm.p99_ms(), run(true));
    let (p99, taken) = (flooded.calm.p99_ms(), flooded.flooder.taken_per_second_max);
    let refused = flooded.flooder.refused;
    let line = format!(
        "seed {seed}: p99 {alone} ms alone, {p99} ms flooded; {refused} sends of the flooder \
         refused, {taken} taken in a second at most"
    );
    writeln!(out, "{line}")?;
    let is_isolated = p99 <= 2 * alone && taken <= sim::tenants::QUOTA;
    Ok((!is_isolated || flooded.calm.refused > 0).then_some(line))
}

fn report(
    out: &mut impl Write,
    arguments: &Arguments,
    seed: u64,
    outcome: &Outcome,
) -> std::io::Result<()> {
    let lines = &outcome.trace;
    let shown = match (arguments.trace, &outcome.violation) {
        (true, _) => lines.len(),
        (false, Some(_)) => lines.len().min(60),
        (false, None) => 0,
    };
    for line in &lines[lines.len() - shown..] {
        writeln!(out, "{line}")?;
    }
    writeln!(
        out,
        "seed {seed}: trace {:016x} of {} lines, {} lives, {:?}",
        outcome.trace_hash, outcome.trace_count, outcome.lives, outcome.figures
    )
}

fn compare(seed: u64, first: &Outcome, second: &Outcome) -> Result<()> {
    for (number, (first, second)) in first.trace.iter().zip(&second.trace).enumerate() {
        if first != second {
            bail!("seed {seed} differs at line {number}:\n{first}\n{second}");
        }
    }
    if first.trace_hash != second.trace_hash {
        bail!("seed {seed}: one of two traces is longer");
    }
    Ok(())
}
