//! One side of the comparison: a server, and the harness that drives tool and clients against it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::conformance::deadline::{Deadline, START, STOP, Stopwatch};
use crate::conformance::process::Process;
use crate::oracle::{self, Oracle};

/// For one step; the slowest wait for a client's next heartbeat.
const STEP: Duration = Duration::from_secs(90);

/// The broker's name on both sides, which is what Carrack calls its only shard.
const BROKER_NAME: &str = "default-0";

/// What a step printed.
pub(super) struct Output {
    /// The text.
    pub(super) text: String,
    /// How long the step took.
    pub(super) took: Duration,
}

/// A server with its harness.
pub(super) struct Target {
    harness: Process,
    server: Server,
    _data: tempfile::TempDir,
}

enum Server {
    Apache { _oracle: Oracle },
    Carrack(Process),
}

impl Target {
    /// Apache's name server and broker.
    pub(super) fn apache(products: &Path, logs: &Path) -> Result<Self> {
        let data = tempfile::tempdir().context("create the data folder")?;
        let oracle = Oracle::start(logs)?;
        let log = logs.join("apache-harness.log");
        let addresses = (oracle.name_server(), oracle.broker());
        let harness = harness(products, data.path(), &log, addresses)?;
        Ok(Self {
            harness,
            server: Server::Apache { _oracle: oracle },
            _data: data,
        })
    }

    /// Carrack, on an empty data folder.
    pub(super) fn carrack(binary: &Path, products: &Path, logs: &Path) -> Result<Self> {
        let data = tempfile::tempdir().context("create the data folder")?;
        let address = format!("127.0.0.1:{}", oracle::free_ports()?);
        let mut command = Command::new(binary);
        command
            .arg("server")
            .arg("--data")
            .arg(data.path().join("data"))
            .args(["--listen", &address]);
        let mut server = Process::start("carrack", &mut command, &logs.join("carrack.log"))?;
        ready(&mut server)?;
        let log = logs.join("carrack-harness.log");
        let harness = harness(products, data.path(), &log, (&address, &address))?;
        Ok(Self {
            harness,
            server: Server::Carrack(server),
            _data: data,
        })
    }

    /// Whether it is Carrack.
    pub(super) fn is_carrack(&self) -> bool {
        matches!(self.server, Server::Carrack(_))
    }

    /// Its name, for people.
    pub(super) fn name(&self) -> &'static str {
        if self.is_carrack() {
            "Carrack"
        } else {
            "Apache"
        }
    }

    /// Runs one step and returns what it printed.
    pub(super) fn run(&mut self, words: &[String]) -> Result<Output> {
        let watch = Stopwatch::start();
        self.harness.write(&format!("{}\n", words.join("\t")))?;
        let line = self.harness.next_line(Deadline::after(STEP))?;
        let bytes = STANDARD.decode(&line.text).context("decode the answer")?;
        Ok(Output {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            took: watch.elapsed(),
        })
    }

    /// Stops the server. Carrack must stop cleanly; Apache is ended.
    pub(super) fn stop(self) -> Result<()> {
        drop(self.harness);
        if let Server::Carrack(mut server) = self.server {
            server.terminate()?;
            server.wait_for_success(Deadline::after(STOP))?;
        }
        Ok(())
    }
}

fn harness(
    products: &Path,
    home: &Path,
    log: &Path,
    (name_server, broker): (&str, &str),
) -> Result<Process> {
    let files = home.join("files");
    fs::create_dir_all(&files).context("create the folder for files of the tool")?;
    let mut command = oracle::java(products, home, "-Xmx256m", "carrack.mqadmin.Harness");
    command
        .arg(format!("namesrv={name_server}"))
        .arg(format!("address={broker}"))
        .arg(format!("broker={BROKER_NAME}"))
        .arg(format!("files={}/", files.display()))
        .current_dir(&files);
    let mut harness = Process::start("harness", &mut command, log)?;
    ready(&mut harness)?;
    Ok(harness)
}

fn ready(process: &mut Process) -> Result<()> {
    let deadline = Deadline::after(START);
    while !process.next_line(deadline)?.text.starts_with("ready") {}
    Ok(())
}
