//! `cargo xtask fulldisk`: a disk without space refuses sends, and nothing else.
//!
//! The disk is a small tmpfs. It is mounted in a mount namespace that ends with this command, so
//! that nothing is left behind however it ends; a user namespace makes that possible without being
//! root.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use base::SeededRandom;
use client::ClientError;
use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, fallocate};
use tokio::runtime::Runtime;

use super::ledger::{Ledger, verdict};
use super::message::body_of_len;
use super::outlet::{self, Outlet, Protocol};
use super::server::Server;
use super::{Options, reader, runtime};
use crate::conformance::deadline::Deadline;

const TOPIC: &str = "full-disk";
const GROUP: &str = "full-disk-group";
const QUEUES: u32 = 4;

/// Size of the disk; the server's own files and a few segments fit in.
const DISK: &str = "size=160m";

/// What is taken away at first and given back later.
const FILLER_BYTES: u64 = 80 * 1024 * 1024;

const BODY_BYTES: u64 = 16 * 1024;

/// Sends after which the disk should have been full long ago.
const SENDS_MAX: u32 = 20_000;

/// Refused sends that are looked at.
const REFUSALS: u32 = 50;

/// For sends to work again once there is space.
const RECOVERY: Duration = Duration::from_secs(60);

/// Segments small enough that several fill the disk.
const SETTINGS: &str = "segment_bytes_min = 4_194_304\nsegment_bytes_max = 16_777_216\n\
    checkpoint_interval_ms = 500\n";

/// Marks the process that runs inside the namespace.
const INSIDE: &str = "CARRACK_FULL_DISK_INSIDE";

/// Runs the test in a mount namespace of its own.
pub(crate) fn run(options: &Options) -> Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return run_inside(options);
    }
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command
        .arg(std::env::current_exe().context("find this program")?)
        .arg("fulldisk")
        .arg("--server-binary")
        .arg(&options.server_binary)
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        // If somebody interrupts us, this ends too.
        .process_group(rustix::process::getpgrp().as_raw_pid());
    if let Some(seed) = options.seed {
        command.arg("--seed").arg(seed.to_string());
    }
    let status = command
        .status()
        .context("start unshare, of the package util-linux")?;
    if !status.success() {
        bail!("the test in its namespace ended with {status}");
    }
    Ok(())
}

fn run_inside(options: &Options) -> Result<()> {
    let random = SeededRandom::new(options.seed());
    let runtime = runtime()?;
    let folder = tempfile::tempdir().context("create the folder of the disk")?;
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).context("create the folder of the disk")?;
    mount(&disk)?;
    let filler = disk.join("filler");
    fill(&filler)?;
    let mut server = Server::new(
        "full-disk",
        &options.server_binary,
        &disk.join("data"),
        1,
        &random,
    )?;
    server.configure(folder.path().join("settings.toml"), SETTINGS)?;
    server.start()?;
    let address = server.address();
    runtime.block_on(outlet::create_topic(&address, TOPIC, QUEUES))?;
    let mut test = Test {
        runtime,
        address,
        ledger: Arc::new(Mutex::new(Ledger::default())),
        sent: 0,
    };
    for protocol in Protocol::ALL {
        test.send_until_refused(protocol)?;
    }
    // Room that was too small for a segment is taken by somebody else: now there is none at all.
    let last = disk.join("last");
    fill_all(&last)?;
    test.check("with the disk full")?;
    let received = test.receive_some().context("receive with the disk full")?;
    // Checkpoints come due and fail meanwhile.
    server.let_run(Duration::from_secs(2))?;
    let more = test
        .receive_some()
        .context("receive with the disk full for a while")?;
    test.check("with the disk full for a while")?;
    println!("disk full: everything is readable, {received} + {more} received and acknowledged");

    fs::remove_file(&last).context("remove the last filler")?;
    fs::remove_file(&filler).context("remove the filler")?;
    for protocol in Protocol::ALL {
        test.send_again(protocol)?;
    }
    test.check("with space again")?;
    server.stop().context("stop the server")?;
    server.start()?;
    test.check("after a clean restart")?;
    println!(
        "space again: sends work, {} messages, none missing",
        test.ledger.lock().acknowledged()
    );
    server.stop()?;
    server.expect_no_panic()
}

struct Test {
    runtime: Runtime,
    address: String,
    ledger: Arc<Mutex<Ledger>>,
    sent: u32,
}

impl Test {
    /// Sends one message and notes what was said.
    fn send(&mut self, outlet: &Outlet) -> Result<(), ClientError> {
        self.sent += 1;
        let key = format!("full-disk-{}", self.sent);
        self.ledger.lock().attempt(&key);
        let body = body_of_len(&key, BODY_BYTES);
        let place = self.runtime.block_on(outlet.send(TOPIC, &key, body))?;
        self.ledger.lock().acknowledge(&key, place);
        Ok(())
    }

    /// Fills the disk with messages, then sends more: each must be refused with the reason.
    fn send_until_refused(&mut self, protocol: Protocol) -> Result<()> {
        let outlet = self
            .runtime
            .block_on(Outlet::connect(protocol, &self.address))?;
        let before = self.ledger.lock().acknowledged();
        let mut refused = Vec::new();
        for _ in 0..SENDS_MAX {
            if let Err(error) = self.send(&outlet) {
                ensure!(
                    is_clear(&error),
                    "a full disk must be told of clearly, not: {error:?}"
                );
                refused.push(error.to_string());
            }
            if refused.len() >= usize::try_from(REFUSALS)? {
                let accepted = self.ledger.lock().acknowledged() - before;
                println!("{protocol:?}: {accepted} accepted, then: {}", refused[0]);
                return Ok(());
            }
        }
        bail!("{SENDS_MAX} sends, and the disk is not full")
    }

    /// Waits until sends work again.
    fn send_again(&mut self, protocol: Protocol) -> Result<()> {
        let outlet = self
            .runtime
            .block_on(Outlet::connect(protocol, &self.address))?;
        let deadline = Deadline::after(RECOVERY);
        loop {
            match self.send(&outlet) {
                Ok(()) => break,
                Err(error) if deadline.remaining() == Duration::ZERO => {
                    return Err(error).context("sends do not work again in time");
                }
                Err(error) => ensure!(is_clear(&error), "while space returns: {error:?}"),
            }
        }
        for _ in 0..REFUSALS {
            self.send(&outlet).context("send with space again")?;
        }
        Ok(())
    }

    fn check(&self, when: &'static str) -> Result<()> {
        let stored = self
            .runtime
            .block_on(reader::pull_all(&self.address, TOPIC, QUEUES))
            .context(when)?;
        let body = |key: &str| body_of_len(key, BODY_BYTES);
        verdict(&self.ledger.lock().check(&stored, body)).context(when)
    }

    /// Receives and acknowledges a few messages of each queue.
    fn receive_some(&self) -> Result<usize> {
        let received = self.runtime.block_on(async {
            let client = outlet::grpc(&self.address).await?;
            let route = client.query_route(TOPIC).await?;
            let mut received = 0;
            for queue in &route.message_queues {
                received += reader::receive_once(&client, TOPIC, GROUP, queue)
                    .await?
                    .len();
            }
            Ok::<_, ClientError>(received)
        })?;
        ensure!(received > 0, "nothing was received");
        Ok(received)
    }
}

/// Whether an error says what is wrong: the server refused, and speaks of the disk or of space.
fn is_clear(error: &ClientError) -> bool {
    let text = error.to_string().to_lowercase();
    let refused = matches!(
        error,
        ClientError::Refused { .. } | ClientError::RefusedGrpc { .. }
    );
    refused && ["disk", "space"].iter().any(|word| text.contains(word))
}

fn mount(disk: &Path) -> Result<()> {
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "-o", DISK, "tmpfs"])
        .arg(disk)
        .stdin(Stdio::null())
        .status()
        .context("start mount")?;
    ensure!(
        status.success(),
        "mount of a small disk ended with {status}"
    );
    Ok(())
}

fn fill(path: &Path) -> Result<()> {
    let file = fs::File::create(path).context("create the filler")?;
    fallocate(&file, FallocateFlags::empty(), 0, FILLER_BYTES).context("reserve the filler")
}

/// Takes all space that is left.
fn fill_all(path: &Path) -> Result<()> {
    let mut file = fs::File::create(path).context("create the last filler")?;
    let chunk = [0; 64 * 1024];
    loop {
        match file.write_all(&chunk) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error).context("fill the disk"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(remark: &str) -> ClientError {
        ClientError::Refused {
            address: "127.0.0.1:1".to_owned(),
            request: "send",
            code: 1,
            remark: remark.to_owned(),
        }
    }

    #[test]
    fn only_refusals_that_name_the_reason_are_clear() {
        assert!(is_clear(&refused("no space left on the disk")));
        assert!(!is_clear(&refused("system busy")));
        assert!(!is_clear(&ClientError::Timeout {
            address: "127.0.0.1:1".to_owned(),
            request: "send to a full disk",
            after: Duration::ZERO,
        }));
    }
}
