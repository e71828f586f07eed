//! The server, and the two instances that share it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::compare::processors::{Place, Processors};
use crate::conformance::deadline::{Deadline, START, STOP};
use crate::conformance::process::Process;
use crate::oracle;

/// The plan of both: 2,000 TPS, half of them for sends.
const PLAN: [&str; 4] = ["--edition", "standard", "--spec", "rmq.s2.2xlarge"];

/// Sends that the plan allows in a second.
pub(super) const SEND_TPS: f64 = 1_000.0;

/// A server with two instances.
pub(super) struct Tenants {
    /// The program, of which the load generator is a command.
    pub(super) binary: PathBuf,
    /// Where the server is.
    pub(super) address: String,
    /// Id of the instance whose latency is looked at.
    pub(super) victim: String,
    /// Id of the instance that sends too much.
    pub(super) flooder: String,
    server: Process,
    _data: tempfile::TempDir,
}

impl Tenants {
    /// Starts the server on an empty data folder, and creates the instances.
    pub(super) fn start(binary: &Path, folder: &Path, processors: &Processors) -> Result<Self> {
        if !binary.exists() {
            bail!("{} does not exist: build it first", binary.display());
        }
        let data = tempfile::Builder::new()
            .prefix("data-")
            .tempdir_in(folder)
            .context("create the data folder")?;
        let address = format!("127.0.0.1:{}", oracle::free_ports()?);
        let mut command = Command::new(binary);
        command
            .arg("server")
            .arg("--data")
            .arg(data.path())
            .args(["--listen", &address]);
        let log = folder.join("server.log");
        let mut server = processors.within(Place::Server, || {
            Process::start("carrack", &mut command, &log)
        })?;
        let deadline = Deadline::after(START);
        while !server.next_line(deadline)?.text.starts_with("ready") {}
        Ok(Self {
            victim: create(binary, &address)?,
            flooder: create(binary, &address)?,
            binary: binary.to_owned(),
            address,
            server,
            _data: data,
        })
    }

    /// The server's process id.
    pub(super) fn server_pid(&self) -> String {
        self.server.pid().as_raw_pid().to_string()
    }

    /// Stops the server, which must end well.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.server.terminate()?;
        self.server.wait_for_success(Deadline::after(STOP))
    }
}

/// Creates an instance with the plan; returns its id.
fn create(binary: &Path, address: &str) -> Result<String> {
    let output = Command::new(binary)
        .args(["instance", "create", "--server", address])
        .args(["--output", "json"])
        .args(PLAN)
        .stdin(Stdio::null())
        .output()
        .context("create an instance")?;
    let created: Value = serde_json::from_slice(&output.stdout).with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("create an instance: {errors}")
    })?;
    let id = created.pointer("/instance").and_then(Value::as_str);
    Ok(id.context("the new instance has no id")?.to_owned())
}
