//! A fleet as an operator has it: one process that runs all others, and commands that ask it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use client::Credentials;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::builds::Builds;
use super::openapi;
use super::traffic::Kind;
use crate::conformance::deadline::{Deadline, START};
use crate::conformance::event::Session;
use crate::conformance::process::Process;

/// How many nodes the instance has.
const NODES: &str = "3";

/// Queues of a topic at each node.
const QUEUES: &str = "2";

/// The administrator.
const ACCESS_KEY: &str = "rolling-update";

/// The administrator's secret.
const SECRET_KEY: &str = "rolling-update-secret";

/// For an instance to have its nodes.
const CREATE: Duration = Duration::from_secs(90);

/// Between two looks at what goes on.
const LOOK: Duration = Duration::from_millis(200);

/// Ports tried: below those that the system gives to outgoing connections.
const PORTS: std::ops::Range<u16> = 21_000..31_000;

/// Ports for nodes, which take two each.
const PORTS_OF_NODES: u16 = 40;

/// A fleet with an instance of its own nodes. Dropping it kills all its processes.
pub(super) struct Fleet {
    folder: PathBuf,
    log: PathBuf,
    binary: PathBuf,
    arguments: Vec<String>,
    address: String,
    process: Option<Process>,
    instance: String,
}

/// A node of the instance.
struct Node {
    settings: PathBuf,
    address: String,
}

/// How far an update is.
pub(super) struct Progress {
    /// As the API calls it.
    pub(super) status: String,
    /// Steps that are done.
    pub(super) steps_done: u64,
    /// Why it failed.
    pub(super) reason: String,
    /// The step that is next, for people.
    pub(super) step: String,
}

impl Fleet {
    /// Starts a fleet of the old binary on an empty folder.
    pub(super) fn start(builds: &Builds, folder: &Path, drain_seconds: u64) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let folder = fs::canonicalize(folder).context("find the folder of the fleet")?;
        let ports = free_ports()?;
        let address = format!("127.0.0.1:{ports}");
        let first = ports + 1;
        let arguments = [
            "fleet",
            "--data",
            &folder.join("data").display().to_string(),
            "--listen",
            &address,
            "--node-ports",
            &format!("{first}-{}", first + PORTS_OF_NODES),
            "--release-keys",
            &builds.key.display().to_string(),
            "--platinum-nodes",
            NODES,
            "--shared-nodes",
            "0",
            "--node-drain-seconds-max",
            &drain_seconds.to_string(),
        ];
        let mut fleet = Self {
            log: folder.join("fleet.log"),
            binary: builds.old.clone(),
            arguments: arguments.map(str::to_owned).to_vec(),
            folder,
            address,
            process: None,
            instance: String::new(),
        };
        fleet.run()?;
        Ok(fleet)
    }

    fn run(&mut self) -> Result<()> {
        let mut command = self.command();
        command.args(&self.arguments);
        let mut process = Process::start("fleet", &mut command, &self.log)?;
        let deadline = Deadline::after(START);
        loop {
            let line = process.next_line(deadline);
            let line = line.with_context(|| format!("its log is {}", self.log.display()))?;
            if line.text.starts_with("ready") {
                break;
            }
        }
        self.process = Some(process);
        Ok(())
    }

    /// Kills the control process and starts it again.
    pub(super) fn kill_control(&mut self) -> Result<()> {
        self.process = None;
        self.run()
    }

    /// Orders an instance with nodes of its own and waits until it runs.
    pub(super) fn create_instance(&mut self) -> Result<()> {
        let plan = ["--edition", "ultimate", "--spec", "rmq.u2.10xlarge"];
        let order = ["--payment", "Subscription", "--months", "1"];
        let create = ["instance", "create"].as_slice();
        let made = self.ask(&[create, &plan, &order].concat())?;
        let id = made["instance"].as_str();
        id.context("an instance without id")?
            .clone_into(&mut self.instance);
        let deadline = Deadline::after(CREATE);
        loop {
            let described = self.ask(&["instance", "describe", &self.instance])?;
            let status = described["status"].as_str().unwrap_or_default();
            if status.eq_ignore_ascii_case("running") {
                return Ok(());
            }
            if deadline.remaining().is_zero() {
                bail!("the instance is not there in time: {described}");
            }
            super::pause(LOOK);
        }
    }

    /// Creates topic and group of a client.
    pub(super) fn create(&self, kind: &Kind) -> Result<()> {
        let message_type = if kind.ordered { "fifo" } else { "normal" };
        let topic = ["topic", "create", kind.topic, "--type", message_type];
        self.ask_of_instance(&[topic.as_slice(), &["--queues", QUEUES]].concat())?;
        let group = ["group", "create", kind.group];
        let fifo: &[&str] = if kind.ordered { &["--fifo"] } else { &[] };
        self.ask_of_instance(&[group.as_slice(), fifo].concat())?;
        Ok(())
    }

    /// Where clients connect to.
    pub(super) fn endpoint(&self) -> Result<String> {
        let nodes = self.nodes()?;
        let addresses: Vec<&str> = nodes.iter().map(|it| it.address.as_str()).collect();
        Ok(addresses.join(";"))
    }

    /// Who clients are.
    pub(super) fn session(&self, own_times: bool) -> Session {
        Session {
            access_key: Some(ACCESS_KEY.to_owned()),
            secret_key: Some(SECRET_KEY.to_owned()),
            own_times,
            ..Session::default()
        }
    }

    /// Publishes the new binary and moves the update that is made by it to now.
    pub(super) fn update(&self, builds: &Builds) -> Result<()> {
        let binary = builds.new.display().to_string();
        let version = super::builds::NEW;
        self.ask(&[
            "release",
            "publish",
            "--version",
            version,
            "--binary",
            &binary,
        ])?;
        let pending = self.progress()?;
        if pending.status != "PENDING" {
            bail!("the update is {}, expected PENDING", pending.status);
        }
        self.ask(&["update", "reschedule", &self.instance, "--to", "now"])?;
        Ok(())
    }

    /// How far the update is.
    pub(super) fn progress(&self) -> Result<Progress> {
        let described = self.ask(&["update", "describe", &self.instance])?;
        let task = &described["task"];
        let text = |name: &str| task[name].as_str().unwrap_or_default().to_owned();
        let status = text("status");
        if status.is_empty() {
            bail!("there is no update: {described}");
        }
        let steps_done = task["stepsDone"].as_u64().unwrap_or(0);
        let next = usize::try_from(steps_done)?;
        let step = task["steps"][next]["step"].as_str();
        Ok(Progress {
            status,
            steps_done,
            reason: text("reason"),
            step: step.unwrap_or("none").to_owned(),
        })
    }

    /// What version the instance runs.
    pub(super) fn version(&self) -> Result<String> {
        let described = self.ask(&["update", "describe", &self.instance])?;
        let version = described["version"]["softwareVersion"].as_str();
        Ok(version.unwrap_or_default().to_owned())
    }

    /// Expects that changes of resources are refused because of the update, and that a renewal is
    /// not.
    pub(super) fn expect_locked(&self) -> Result<()> {
        let create = ["topic", "create", "refused"];
        for server in [self.address.clone(), self.nodes()?.remove(0).address] {
            let refused = self.run_command(&create, &server, true)?;
            match refused {
                Ok(made) => bail!("{server} created a topic during the update: {made}"),
                Err(error) if error.contains("update task") => {}
                Err(error) => bail!("{server} refused a topic without naming the task: {error}"),
            }
        }
        let credentials = Credentials {
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
        };
        openapi::expect_topic_refused(&self.address, &self.instance, credentials)?;
        self.ask(&["instance", "renew", &self.instance, "--months", "1"])?;
        Ok(())
    }

    /// Expects that changes of resources are taken again.
    pub(super) fn expect_unlocked(&self) -> Result<()> {
        self.ask_of_instance(&["topic", "create", "taken"])?;
        Ok(())
    }

    /// `kill -9` of the last node.
    pub(super) fn kill_last_node(&self) -> Result<()> {
        let mut nodes = self.nodes()?;
        let node = nodes.pop().context("no nodes")?;
        let settings = node.settings.display().to_string();
        let processes = processes_of(&settings)?;
        let process = processes.first();
        let process = process.with_context(|| format!("no process of {settings}"))?;
        kill_process(*process, Signal::KILL).with_context(|| format!("kill {settings}"))
    }

    /// Stops everything in order.
    pub(super) fn halt(mut self) -> Result<()> {
        let mut process = self.process.take().context("the fleet does not run")?;
        process.terminate()?;
        process.wait_for_success(Deadline::after(START))?;
        let mut command = self.command();
        command.args(&self.arguments).arg("--halt");
        let output = command.output().context("run the fleet")?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("the fleet does not halt: {}", error.trim_end());
        }
        let left = processes_of(&self.folder.display().to_string())?;
        if !left.is_empty() {
            bail!("{} processes go on after the fleet was halted", left.len());
        }
        // Only what failed is worth its place on the disk.
        let data = self.folder.join("data");
        fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))
    }

    /// The nodes of the instance, by their settings, in the order of their names.
    fn nodes(&self) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        let folder = self.folder.join("data/nodes");
        let entries =
            fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
        for entry in entries {
            let settings = entry.context("list nodes")?.path().join("node.toml");
            let text = fs::read_to_string(&settings);
            let text = text.with_context(|| format!("read {}", settings.display()))?;
            let table: toml::Table = text.parse().context("read the settings of a node")?;
            let address = table["listen"][0].as_str();
            nodes.push(Node {
                address: address.context("a node without address")?.to_owned(),
                settings,
            });
        }
        nodes.sort_by(|a, b| a.settings.cmp(&b.settings));
        Ok(nodes)
    }

    fn ask(&self, arguments: &[&str]) -> Result<Value> {
        let answer = self.run_command(arguments, &self.address, false)?;
        answer.map_err(|error| anyhow!("`{}` failed: {error}", arguments.join(" ")))
    }

    fn ask_of_instance(&self, arguments: &[&str]) -> Result<Value> {
        let answer = self.run_command(arguments, &self.address, true)?;
        answer.map_err(|error| anyhow!("`{}` failed: {error}", arguments.join(" ")))
    }

    /// What a command answers, or the error that it shows.
    fn run_command(
        &self,
        arguments: &[&str],
        server: &str,
        of_instance: bool,
    ) -> Result<Result<Value, String>> {
        let mut command = self.command();
        command
            .args(arguments)
            .args(["--server", server, "--output", "json"]);
        if of_instance {
            command.args(["--instance", &self.instance]);
        }
        let output = command.output().context("run a command")?;
        if !output.status.success() {
            return Ok(Err(String::from_utf8_lossy(&output.stderr)
                .trim_end()
                .to_owned()));
        }
        // Some commands have nothing to say.
        Ok(Ok(
            serde_json::from_slice(&output.stdout).unwrap_or_default()
        ))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .stdin(Stdio::null())
            .env("CARRACK_ADMIN_ACCESS_KEY", ACCESS_KEY)
            .env("CARRACK_ADMIN_SECRET_KEY", SECRET_KEY)
            .env("CARRACK_ACCESS_KEY", ACCESS_KEY)
            .env("CARRACK_SECRET_KEY", SECRET_KEY);
        command
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.process = None;
        // Nodes outlive the process that started them.
        let left = processes_of(&self.folder.display().to_string()).unwrap_or_default();
        for process in left {
            // It may have ended meanwhile.
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

/// Processes that were started with this path.
fn processes_of(path: &str) -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("list processes")? {
        let name = entry.context("list processes")?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            continue;
        };
        // Most processes are others', or end meanwhile.
        let line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_pid())).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(path) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// A port of which it and enough behind it are free.
fn free_ports() -> Result<u16> {
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let mut port = PORTS.start;
    while port < PORTS.end {
        let wanted = port - 2..=port + PORTS_OF_NODES + 1;
        match wanted.rev().find(|port| !is_free(*port)) {
            None => return Ok(port),
            Some(taken) => port = taken + 3,
        }
    }
    bail!("no free ports")
}
