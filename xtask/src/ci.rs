//! `cargo xtask ci` and `cargo xtask verify`: every check there is, in order, up to the first
//! failure.
//!
//! Both run the same steps. CI's sizes fit two cores and less than 45 minutes from an empty target
//! folder; `verify` takes the time it needs and asks `cargo deny` too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::crash;
use crate::differential;
use crate::instructions;
use crate::isolation;
use crate::mqadmin;
use crate::rolling_update;
use crate::setup;
use crate::steps::Steps;
use crate::tidy;
use crate::workspace;

/// How much of everything.
struct Sizes {
    kill_rounds: u32,
    fuzz_seconds: u32,
    simulation_seeds: u32,
    bad_client_seconds: u32,
    differential_seeds: u64,
    timers_pending: u64,
    timers_due: u64,
    lite_topics: crash::LiteTopicSizes,
    rolling_update: rolling_update::Arguments,
    isolation: isolation::Sizes,
    deny: bool,
}

/// What fits into CI. The tests themselves run the fixed seeds of the simulation.
const CI: Sizes = Sizes {
    kill_rounds: 3,
    fuzz_seconds: 20,
    simulation_seeds: 0,
    bad_client_seconds: 10,
    differential_seeds: 16,
    timers_pending: 100_000,
    timers_due: 10_000,
    lite_topics: crash::LiteTopicSizes {
        lite_topics: 50_000,
        consumers: 500,
        rate: 500,
        seconds: 10,
    },
    rolling_update: rolling_update::Arguments::CI,
    // One pair of runs shows who gets what; a p99 of a busy machine shows nothing.
    isolation: isolation::Sizes {
        rounds: 1,
        seconds: 3,
        no_ratio: true,
    },
    deny: false,
};

const VERIFY: Sizes = Sizes {
    kill_rounds: 10,
    fuzz_seconds: 300,
    simulation_seeds: 5_000,
    bad_client_seconds: 60,
    differential_seeds: 64,
    timers_pending: 1_000_000,
    timers_due: 50_000,
    lite_topics: crash::LiteTopicSizes {
        lite_topics: 1_000_000,
        consumers: 10_000,
        rate: 1_000,
        seconds: 30,
    },
    rolling_update: rolling_update::Arguments::VERIFY,
    isolation: isolation::Sizes {
        rounds: 5,
        seconds: 10,
        no_ratio: false,
    },
    deny: true,
};

/// Version of `cargo deny` that `verify` installs.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// Runs what CI runs.
pub(crate) fn ci() -> Result<()> {
    run(&CI, None)
}

/// Runs everything at full size, or what is left of it.
#[derive(clap::Args)]
pub(crate) struct VerifyArguments {
    /// Begin with this step, after those before it have passed
    #[arg(long, value_name = "STEP")]
    from: Option<String>,
}

/// Runs everything at full size.
pub(crate) fn verify(arguments: &VerifyArguments) -> Result<()> {
    run(&VERIFY, arguments.from.as_deref())
}

fn run(sizes: &Sizes, from: Option<&str>) -> Result<()> {
    let mut steps = Steps::new(from);
    let result = run_steps(&mut steps, sizes).and_then(|()| steps.check_begun());
    steps.report();
    result
}

fn run_steps(steps: &mut Steps, sizes: &Sizes) -> Result<()> {
    steps.run("setup", setup::run)?;
    steps.program("fmt", &mut cargo(&["fmt", "--all", "--check"]))?;
    steps.run("tidy", || tidy::run(false))?;
    if sizes.deny {
        steps.run("deny", deny)?;
    }
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    steps.program("clippy", &mut cargo(&clippy))?;
    let doc = ["doc", "--workspace", "--no-deps", "--locked"];
    steps.program("doc", cargo(&doc).env("RUSTDOCFLAGS", "-D warnings"))?;
    steps.tests("test", &mut cargo(&["test", "--workspace", "--locked"]))?;
    if sizes.simulation_seeds > 0 {
        let seeds = sizes.simulation_seeds.to_string();
        let simulate = ["run", "--locked", "-p", "sim", "--", "--seeds", &seeds];
        steps.program("simulation", &mut cargo(&simulate))?;
        let tenants = [
            "run",
            "--locked",
            "-p",
            "sim",
            "--",
            "--tenants",
            "100",
            "--seeds",
            "200",
        ];
        steps.program("tenants", &mut cargo(&tenants))?;
    }
    let seconds = sizes.fuzz_seconds.to_string();
    let fuzz = [
        "run",
        "--locked",
        "-p",
        "fuzz",
        "--",
        "--target",
        "all",
        "--seconds",
        &seconds,
    ];
    steps.program("fuzz", &mut cargo(&fuzz))?;
    steps.program(
        "release build",
        &mut cargo(&["build", "--release", "--locked", "-p", "carrack"]),
    )?;
    let binary = workspace::root().join("target/release/carrack");
    steps.test("generated documents", || generated_documents(&binary))?;
    let crash = crash::Options::new(binary.clone());
    steps.test("system calls", || crash::system_calls(&crash))?;
    steps.test("instructions", || instructions::check(binary.clone()))?;
    steps.test("kill -9", || crash::kill(&crash, sizes.kill_rounds))?;
    steps.test("full disk", || crash::full_disk(&crash))?;
    steps.test("bad clients", || {
        crash::bad_clients(&crash, sizes.bad_client_seconds)
    })?;
    steps.test("timers", || {
        crash::timers(&crash, sizes.timers_pending, sizes.timers_due)
    })?;
    steps.test("LiteTopics", || {
        crash::lite_topics(&crash, sizes.lite_topics)
    })?;
    steps.test("isolation", || {
        isolation::check(binary.clone(), sizes.isolation)
    })?;
    steps.test("differential", || {
        differential::run_seeds(binary.clone(), sizes.differential_seeds)
    })?;
    steps.test("mqadmin", || mqadmin::check(binary.clone()))?;
    steps.test("conformance", || conformance(&binary))?;
    steps.test("rolling update", || {
        rolling_update::run(&sizes.rolling_update)
    })
}

/// The cargo that runs this program.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments);
    command
}

/// Released clients, in a process of their own: that command ends with an exit code.
fn conformance(binary: &Path) -> Result<()> {
    let status = Command::new(std::env::current_exe().context("find this program")?)
        .args(["conformance", "all", "--server-binary"])
        .arg(binary)
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .status()
        .context("start the conformance tests")?;
    if !status.success() {
        bail!("the conformance tests ended with {status}");
    }
    Ok(())
}

/// Checked-in documents are what the binary would write today.
fn generated_documents(binary: &Path) -> Result<()> {
    for (document, path) in [
        ("reference", "docs/reference/settings.md"),
        ("api", "docs/reference/openapi.json"),
    ] {
        let output = Command::new(binary)
            .args(["config", document])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("run carrack config {document}"))?;
        if !output.status.success() {
            bail!("carrack config {document} ended with {}", output.status);
        }
        let kept =
            fs::read(workspace::root().join(path)).with_context(|| format!("read {path}"))?;
        if kept != output.stdout {
            bail!("{path} is not what `carrack config {document}` writes: write it again");
        }
    }
    Ok(())
}

/// Checks licences, duplicates and sources, and known vulnerabilities where their list can be had.
fn deny() -> Result<()> {
    let program = install_cargo_deny()?;
    run_deny(&program, &["licenses", "bans", "sources"])?;
    let output = Command::new(&program)
        .current_dir(workspace::root())
        .args(["check", "advisories"])
        .stdin(Stdio::null())
        .output()
        .context("run cargo deny")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(());
    }
    if said.contains("failed to fetch advisory database") {
        println!("advisories: NOT CHECKED, their list cannot be fetched from this machine");
        return Ok(());
    }
    bail!("cargo deny check advisories: {said}");
}

fn run_deny(program: &Path, checks: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .current_dir(workspace::root())
        .args(["check", "--hide-inclusion-graph"])
        .args(checks)
        .stdin(Stdio::null())
        .status()
        .context("run cargo deny")?;
    if !status.success() {
        bail!("cargo deny check ended with {status}");
    }
    Ok(())
}

/// `cargo deny` in a folder of its own: nothing on the machine changes.
fn install_cargo_deny() -> Result<PathBuf> {
    let root = workspace::root().join("target/tools");
    let program = root.join("bin/cargo-deny");
    if !program.exists() {
        let status = Command::new(env!("CARGO"))
            .args(["install", "--locked", CARGO_DENY, "--root"])
            .arg(&root)
            .arg("--target-dir")
            .arg(root.join("build"))
            .stdin(Stdio::null())
            .status()
            .context("install cargo-deny")?;
        if !status.success() {
            bail!("cargo install {CARGO_DENY} ended with {status}");
        }
    }
    Ok(program)
}
