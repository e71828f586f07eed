//! The server under test, as a process.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base::{Random as _, SeededRandom};

use crate::conformance::deadline::{Deadline, START, STOP};
use crate::conformance::process::Process;
use crate::workspace;

/// Ports tried for a free pair.
const PORT_ATTEMPTS_MAX: u32 = 200;

/// Ports below those that the system gives to outgoing connections: a client that calls a server
/// that is down must not be given the very port it calls, and talk to itself.
const PORTS: std::ops::Range<u64> = 21_000..31_000;

/// A server on a data folder and ports of its own.
pub(super) struct Server {
    binary: PathBuf,
    data: PathBuf,
    settings: Option<PathBuf>,
    ports: Vec<u16>,
    log: PathBuf,
    process: Option<Process>,
}

impl Server {
    /// A server that is not started yet. Its log is kept in the folder of target for crash tests.
    pub(super) fn new(
        name: &str,
        binary: &Path,
        data: &Path,
        listeners: usize,
        random: &SeededRandom,
    ) -> Result<Self> {
        if !binary.exists() {
            bail!("{} does not exist: build it first", binary.display());
        }
        let logs = workspace::root().join("target/crash");
        fs::create_dir_all(&logs).context("create the folder of logs")?;
        let log = logs.join(format!("{name}.log"));
        // What an earlier run left must not be taken for this one's.
        fs::write(&log, "").with_context(|| format!("empty {}", log.display()))?;
        let mut ports = Vec::new();
        while ports.len() < listeners {
            let port = free_port(random)?;
            if ports.iter().all(|taken: &u16| taken.abs_diff(port) > 2) {
                ports.push(port);
            }
        }
        Ok(Self {
            binary: binary.to_owned(),
            data: data.to_owned(),
            settings: None,
            ports,
            log,
            process: None,
        })
    }

    /// Makes every start use these settings, in TOML.
    pub(super) fn configure(&mut self, path: PathBuf, settings: &str) -> Result<()> {
        fs::write(&path, settings).with_context(|| format!("write {}", path.display()))?;
        self.settings = Some(path);
        Ok(())
    }

    /// Where the first listener is.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Every port that the server opens: those it was given, and two below each.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        self.ports.iter().flat_map(|port| [*port, *port - 2])
    }

    /// Starts the process without waiting for it.
    pub(super) fn spawn(&mut self) -> Result<()> {
        let mut command = Command::new(&self.binary);
        command.arg("server").arg("--data").arg(&self.data);
        if let Some(settings) = &self.settings {
            command.arg("--config").arg(settings);
        }
        for port in &self.ports {
            command.args(["--listen", &format!("127.0.0.1:{port}")]);
        }
        self.process = Some(Process::start("carrack", &mut command, &self.log)?);
        Ok(())
    }

    /// Starts the process and waits until it accepts requests.
    pub(super) fn start(&mut self) -> Result<()> {
        self.spawn()?;
        let deadline = Deadline::after(START);
        let log = self.log.clone();
        let process = self.running()?;
        loop {
            let line = process
                .next_line(deadline)
                .with_context(|| format!("its log is {}", log.display()))?;
            if line.text.starts_with("ready") {
                return Ok(());
            }
        }
    }

    /// Lets time pass while the server runs.
    ///
    /// # Errors
    /// When it ends by itself meanwhile.
    pub(super) fn let_run(&mut self, time: Duration) -> Result<()> {
        let log = self.log.clone();
        let ended = self.running()?.ends_within(time);
        if ended {
            bail!("the server ended by itself; its log is {}", log.display());
        }
        Ok(())
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    /// Stops the server as an operator would, and expects a clean end.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.running()?.terminate()?;
        self.running()?.wait_for_success(Deadline::after(STOP))?;
        self.process = None;
        Ok(())
    }

    /// Its process id.
    pub(super) fn pid(&mut self) -> Result<i32> {
        Ok(self.running()?.pid().as_raw_pid())
    }

    /// Memory in use now, in bytes.
    pub(super) fn resident_bytes(&mut self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// Most memory that was in use so far, in bytes.
    pub(super) fn resident_bytes_peak(&mut self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&mut self, field: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid()?);
        let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib: u64 = line
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .with_context(|| format!("no {field} in {path}"))?
            .parse()
            .with_context(|| format!("read {field} in {path}"))?;
        Ok(kib * 1024)
    }

    /// Files and sockets that the server has open.
    pub(super) fn open_files(&mut self) -> Result<usize> {
        let path = format!("/proc/{}/fd", self.pid()?);
        Ok(fs::read_dir(&path)
            .with_context(|| format!("list {path}"))?
            .count())
    }

    /// Fails if the server's log tells of a panic.
    pub(super) fn expect_no_panic(&self) -> Result<()> {
        let log = fs::read_to_string(&self.log).context("read the server's log")?;
        if let Some(line) = log.lines().find(|line| line.contains("panicked at")) {
            bail!(
                "the server's log {} tells of a panic: {line}",
                self.log.display()
            );
        }
        Ok(())
    }

    fn running(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the server does not run")
    }
}

/// A port that is free together with the one two below, which the server opens too.
fn free_port(random: &SeededRandom) -> Result<u16> {
    for _ in 0..PORT_ATTEMPTS_MAX {
        let port = PORTS.start + random.below(PORTS.end - PORTS.start);
        let port = u16::try_from(port).context("a port has 16 bits")?;
        let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if free(port) && free(port - 2) {
            return Ok(port);
        }
    }
    bail!("no free pair of ports after {PORT_ATTEMPTS_MAX} attempts")
}
