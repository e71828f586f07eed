//! Feeds every decoder of outside bytes with broken input, on the stable toolchain.
//!
//! `cargo run -p fuzz -- --target all --seconds 20 --seed N`. Inputs are mutations of the files in
//! `fuzz/corpus/TARGET/`; those that lead to an outcome not seen before (another error, see
//! [`targets::note`]) are mutated further. The same seed gives the same inputs in the same order.
//!
//! A target fails when it panics, takes longer than `INPUT_SECONDS_MAX`, or holds more memory than
//! a fixed multiple of its input. The input is then written to `target/fuzz/`, to be run again with
//! `--input FILE`; once the decoder is repaired it belongs into the corpus, which every run begins
//! with.
//!
//! To add a target: one line in `targets.rs`.

mod corpus;
mod memory;
mod mutate;
mod run;
mod targets;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;

use targets::{TARGETS, Target};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting::new();

/// Feeds decoders with broken input.
#[derive(Parser)]
struct Arguments {
    /// One target, or all.
    #[arg(long, default_value = "all")]
    target: String,
    /// How long to go on, shared by all targets.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Inputs per target, in place of a time.
    #[arg(long)]
    iterations: Option<u64>,
    /// Where the sequence of inputs starts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs one file only.
    #[arg(long)]
    input: Option<PathBuf>,
    /// Lists the targets.
    #[arg(long)]
    list: bool,
}

#[expect(
    clippy::print_stdout,
    reason = "a developer command talks to the developer"
)]
fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.list {
        for target in TARGETS {
            println!("{}", target.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen: Vec<&'static Target> = TARGETS
        .iter()
        .filter(|target| arguments.target == "all" || arguments.target == target.name)
        .collect();
    if chosen.is_empty() {
        bail!("no target `{}`, see --list", arguments.target);
    }
    if let Some(path) = &arguments.input {
        let input = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        for target in chosen {
            run::one(target, &input)?;
            println!("{}: passed", target.name);
        }
        return Ok(ExitCode::SUCCESS);
    }

    println!("seed {}", arguments.seed);
    let mut exit = ExitCode::SUCCESS;
    for target in &chosen {
        let budget = match arguments.iterations {
            Some(count) => run::Budget::Inputs(count),
            None => run::Budget::millis(arguments.seconds * 1_000 / chosen.len() as u64),
        };
        match run::many(target, arguments.seed, budget) {
            Ok(report) => println!("{report}"),
            Err(failure) => {
                println!("{}: FAILED: {failure:#}", target.name);
                exit = ExitCode::FAILURE;
            }
        }
    }
    Ok(exit)
}
