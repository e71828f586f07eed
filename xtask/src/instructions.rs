//! `cargo xtask instructions`: how many instructions a message costs the server, counted by
//! valgrind.
//!
//! Counts hardly depend on what else the machine does, so they can be guarded in CI where times
//! cannot. They hold what the server's own code and its libraries do, not what the kernel does for
//! it. What may be spent stands here beside each way of a message, and is lowered when less is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::conformance::deadline::Deadline;
use crate::conformance::process::Process;
use crate::{oracle, workspace};

/// Where counts and logs are kept.
const FOLDER: &str = "target/instructions";

/// For a server to start under valgrind, which makes it some fifty times slower.
const BOOT: Duration = Duration::from_secs(120);

/// Longest time for a load.
const LOAD_SECONDS: &str = "120";

/// Messages of each load.
const MESSAGES: &str = "6000";

/// A way that messages take.
struct Way {
    name: &'static str,
    /// What is stored first, as `carrack bench` takes it; `None` stores nothing.
    before: Option<&'static str>,
    /// The load that is counted.
    load: &'static str,
    /// Settings of the server.
    settings: &'static [(&'static str, &'static str)],
    /// Most instructions that a message may cost.
    budget: u64,
}

/// Batches of 32, the quickest way to store messages.
const STORED: Option<&str> = Some("send --batch 32 --in-flight 4");

/// Budgets are a fifth above what was counted when they were last set: how many messages share a
/// commit depends somewhat on the machine.
const WAYS: &[Way] = &[
    Way {
        name: "send",
        before: None,
        load: "send --in-flight 64",
        settings: &[],
        budget: 30_000,
    },
    Way {
        name: "pull",
        before: STORED,
        load: "receive --until-end",
        settings: &[],
        budget: 3_500,
    },
    // Of 8 MB stored, memory keeps the last: the others are read from the page cache.
    Way {
        name: "pull-stored",
        before: STORED,
        load: "receive --until-end",
        settings: &[("CARRACK_RECENT_BYTES_MAX", "1048576")],
        budget: 6_000,
    },
    Way {
        name: "pop-ack",
        before: STORED,
        load: "receive --until-end --pop --in-flight 8",
        settings: &[],
        budget: 27_000,
    },
    Way {
        name: "grpc-send",
        before: None,
        load: "send --protocol grpc --in-flight 64",
        settings: &[],
        budget: 94_000,
    },
    Way {
        name: "grpc-receive-ack",
        before: STORED,
        load: "receive --until-end --protocol grpc --in-flight 8",
        settings: &[],
        budget: 50_000,
    },
];

/// Command line of `cargo xtask instructions`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The server to count; it is the load generator too [default: the release build]
    #[arg(long, value_name = "PATH")]
    server_binary: Option<PathBuf>,
    /// Count only these ways
    #[arg(long, value_name = "NAME")]
    way: Vec<String>,
}

/// Counts the release build, as a step of CI.
pub(crate) fn check(binary: PathBuf) -> Result<()> {
    run(&Arguments {
        server_binary: Some(binary),
        way: Vec::new(),
    })
}

/// Runs the command.
///
/// # Errors
/// When a message costs more than its budget, or cannot be counted.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let root = workspace::root();
    let binary = arguments.server_binary.clone();
    let binary = binary.unwrap_or_else(|| root.join("target/release/carrack"));
    ensure!(
        binary.exists(),
        "{} does not exist: build it with --release",
        binary.display()
    );
    let folder = root.join(FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder).context("remove what the last run left")?;
    }
    fs::create_dir_all(&folder).context("create the folder of counts")?;
    let wanted =
        |way: &&Way| arguments.way.is_empty() || arguments.way.iter().any(|n| n == way.name);
    let mut above = Vec::new();
    for way in WAYS.iter().filter(wanted) {
        let count = count(way, &binary, &folder).with_context(|| format!("count {}", way.name))?;
        println!(
            "{:<18} {count:>7} instructions per message, budget {}",
            way.name, way.budget
        );
        if count > way.budget {
            above.push(way.name);
        }
    }
    ensure!(
        above.is_empty(),
        "above their budget: {}; `callgrind_annotate` shows where, on the files in {FOLDER}",
        above.join(", ")
    );
    Ok(())
}

fn count(way: &Way, binary: &Path, folder: &Path) -> Result<u64> {
    let data = tempfile::tempdir().context("create the data folder")?;
    let address = format!("127.0.0.1:{}", oracle::free_ports()? + 2);
    let counts = folder.join(format!("{}.callgrind", way.name));
    let mut command = Command::new("valgrind");
    command
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(binary)
        .arg("server")
        .arg("--data")
        .arg(data.path())
        .args(["--listen", &address])
        .envs(way.settings.iter().copied());
    let log = folder.join(format!("{}.log", way.name));
    let mut server = Process::start("valgrind", &mut command, &log)?;
    let deadline = Deadline::after(BOOT);
    while !server.next_line(deadline)?.text.starts_with("ready") {}
    // The first messages of a kind pay for what is set up once.
    let first = way.before.unwrap_or(way.load);
    bench(binary, &address, first, &["--messages", MESSAGES])?;
    let pid = server.pid().as_raw_pid().to_string();
    control(&["--zero", &pid])?;
    let messages = if way.before.is_some() {
        bench(binary, &address, way.load, &[])?
    } else {
        bench(binary, &address, way.load, &["--messages", MESSAGES])?
    };
    control(&["--dump", &pid])?;
    let text = fs::read_to_string(counts.with_extension("callgrind.1")).context("read counts")?;
    let total = total(&text).context("no total in the counts")?;
    ensure!(messages > 0, "no message was counted");
    Ok(total / messages)
}

/// Puts a load on the server and says how many messages it was.
fn bench(binary: &Path, address: &str, load: &str, more: &[&str]) -> Result<u64> {
    let mut command = Command::new(binary);
    command
        .arg("bench")
        .args(load.split(' '))
        .args(["--server", address, "--warmup", "0"])
        .args(["--duration", LOAD_SECONDS, "--output", "json"])
        .args(more)
        .stdin(Stdio::null());
    let output = command.output().context("start the load generator")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {errors}",
        output.status
    );
    let report: Value = serde_json::from_slice(&output.stdout).context("read its report")?;
    let number = |name: &str| {
        report[name]
            .as_u64()
            .with_context(|| format!("no `{name}`"))
    };
    ensure!(number("failed")? == 0, "messages failed: {errors}");
    number("confirmed")
}

fn control(arguments: &[&str]) -> Result<()> {
    let output = Command::new("callgrind_control")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("start callgrind_control")?;
    if !output.status.success() {
        bail!(
            "callgrind_control {arguments:?} ended with {}",
            output.status
        );
    }
    Ok(())
}

/// The sum at the end of a file of counts.
fn total(counts: &str) -> Option<u64> {
    let line = counts.lines().rev();
    let mut totals = line.filter_map(|line| line.strip_prefix("totals: "));
    totals.next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_at_the_end_of_the_counts() {
        assert_eq!(
            total("events: Ir\nfn=(1) main\n1 7\ntotals: 1234\n"),
            Some(1_234)
        );
        assert_eq!(total("events: Ir\n"), None);
    }
}
