//! `cargo xtask kill`: `kill -9` at random moments under load, and nothing acknowledged is lost.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use base::{Random as _, SeededRandom};
use parking_lot::Mutex;
use tokio::runtime::Runtime;

use super::chance::milliseconds;
use super::ledger::{Ledger, verdict};
use super::load::Load;
use super::message::body_of;
use super::server::Server;
use super::{Options, outlet, reader, runtime};
use crate::conformance::deadline::Stopwatch;

const TOPIC: &str = "crash";
const QUEUES: u32 = 4;

/// Settings that make the rounds meet more: checkpoints and new segments come often.
const SETTINGS: &str = "checkpoint_interval_ms = 300\nsegment_bytes_min = 1_048_576\n\
    segment_bytes_max = 16_777_216\n";

/// Kills a server `rounds` times and checks after each what it still holds; at the end also over
/// gRPC, and once more after a clean restart.
pub(crate) fn run(options: &Options, rounds: u32) -> Result<()> {
    let random = SeededRandom::new(options.seed());
    let runtime = runtime()?;
    let data = tempfile::tempdir().context("create the data folder")?;
    let store = data.path().join("store");
    let mut server = Server::new("kill", &options.server_binary, &store, 1, &random)?;
    server.configure(data.path().join("settings.toml"), SETTINGS)?;
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    server.start()?;
    let address = server.address();
    runtime.block_on(outlet::create_topic(&address, TOPIC, QUEUES))?;
    for round in 1..=rounds {
        kill_once(&mut server, &runtime, round, &ledger, &random)?;
        // A server may die again while it recovers.
        if random.below(2) == 0 {
            server.spawn()?;
            server.let_run(milliseconds(&random, 0, 60))?;
            server.kill();
            println!("  killed once more while starting");
        }
        let watch = Stopwatch::start();
        server.start()?;
        let ready = watch.elapsed();
        let stored = check(&runtime, &address, &ledger)?;
        println!(
            "  ready after {} ms with {stored} messages, none missing",
            ready.as_millis()
        );
    }
    receive_everything(&runtime, &address, &ledger).context("receive over gRPC")?;
    server.stop()?;
    server.start()?;
    check(&runtime, &address, &ledger).context("after a clean restart")?;
    server.stop()?;
    server.expect_no_panic()
}

fn kill_once(
    server: &mut Server,
    runtime: &Runtime,
    round: u32,
    ledger: &Arc<Mutex<Ledger>>,
    random: &SeededRandom,
) -> Result<()> {
    let before = counts(ledger);
    let prefix = format!("round-{round}");
    let address = server.address();
    let start = Load::start(&address, TOPIC, QUEUES, &prefix, ledger);
    let load = runtime.block_on(start)?;
    let moment = milliseconds(random, 200, 2_000);
    let ran = server.let_run(moment);
    server.kill();
    runtime.block_on(load.end())?;
    ran?;
    let after = counts(ledger);
    let (acknowledged, seen) = (after.0 - before.0, after.1 - before.1);
    println!(
        "round {round}: killed after {} ms, {acknowledged} acknowledged, {seen} consumed",
        moment.as_millis()
    );
    if acknowledged == 0 || seen == 0 {
        bail!("round {round} proves nothing: nothing was acknowledged, or nothing consumed");
    }
    Ok(())
}

/// How many messages were acknowledged so far, and how many were seen by consumers.
fn counts(ledger: &Mutex<Ledger>) -> (usize, usize) {
    let ledger = ledger.lock();
    (ledger.acknowledged(), ledger.seen())
}

/// Reads every queue and compares; how many messages there are.
fn check(runtime: &Runtime, address: &str, ledger: &Mutex<Ledger>) -> Result<usize> {
    let stored = runtime.block_on(reader::pull_all(address, TOPIC, QUEUES))?;
    verdict(&ledger.lock().check(&stored, body_of))?;
    Ok(stored.len())
}

fn receive_everything(runtime: &Runtime, address: &str, ledger: &Mutex<Ledger>) -> Result<()> {
    let group = "crash-group";
    let received = runtime.block_on(reader::receive_all(address, TOPIC, group, QUEUES))?;
    let mut problems = Vec::new();
    for key in ledger.lock().acknowledged_keys() {
        match received.get(key) {
            None => problems.push(format!("`{key}` was not received")),
            Some(body) if *body != body_of(key) => {
                problems.push(format!("`{key}` was received with another body"));
            }
            Some(_) => {}
        }
    }
    println!(
        "received {} messages over gRPC, none missing",
        received.len()
    );
    verdict(&problems)
}
