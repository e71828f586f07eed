//! Three servers with one etcd.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::traffic::Kind;
use crate::conformance::deadline::{Deadline, START, STOP};
use crate::conformance::process::Process;

/// How many nodes.
const COUNT: usize = 3;

/// Queues of a topic at each node.
const QUEUES: &str = "2";

/// Nodes and their etcd.
pub(super) struct Nodes {
    folder: tempfile::TempDir,
    /// What administers.
    binary: PathBuf,
    etcd: String,
    _etcd: Process,
    nodes: Vec<Node>,
}

struct Node {
    name: String,
    address: String,
    log: PathBuf,
    process: Option<Process>,
}

impl Nodes {
    /// Starts etcd and nodes of this binary.
    pub(super) fn start(binary: &Path, logs: &Path) -> Result<Self> {
        let folder = tempfile::tempdir().context("create the folder of the nodes")?;
        let [client, peer] =
            [free_port()?, free_port()?].map(|it| format!("http://127.0.0.1:{it}"));
        let mut command = Command::new("etcd");
        command
            .arg("--data-dir")
            .arg(folder.path().join("etcd"))
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")])
            .args(["--logger", "zap", "--log-outputs", "stdout"]);
        let mut etcd = Process::start("etcd", &mut command, &logs.join("etcd.log"))?;
        let deadline = Deadline::after(START);
        while !etcd.next_line(deadline)?.text.contains("client traffic") {}
        let mut nodes = Self {
            folder,
            binary: binary.to_owned(),
            etcd: client,
            _etcd: etcd,
            nodes: Vec::new(),
        };
        for number in 0..COUNT {
            let name = format!("node-{number}");
            let address = format!("127.0.0.1:{}", free_port()?);
            let log = logs.join(format!("{name}.log"));
            let process = None;
            nodes.nodes.push(Node {
                name,
                address,
                log,
                process,
            });
            nodes.start_one(number, binary)?;
        }
        Ok(nodes)
    }

    /// How many nodes.
    pub(super) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Where clients connect to.
    pub(super) fn endpoint(&self) -> String {
        let addresses: Vec<&str> = self.nodes.iter().map(|it| it.address.as_str()).collect();
        addresses.join(";")
    }

    /// Creates topic and group of a client.
    pub(super) fn create(&self, kind: &Kind) -> Result<()> {
        let message_type = if kind.ordered { "fifo" } else { "normal" };
        let topic = ["topic", "create", kind.topic, "--type", message_type];
        self.administer(&[topic.as_slice(), &["--queues", QUEUES]].concat())?;
        let group = ["group", "create", kind.group];
        let fifo: &[&str] = if kind.ordered { &["--fifo"] } else { &[] };
        self.administer(&[group.as_slice(), fifo].concat())
    }

    /// Stops a node in order and starts it again with this binary.
    pub(super) fn restart(&mut self, number: usize, binary: &Path) -> Result<()> {
        self.stop_one(number)?;
        self.start_one(number, binary)
    }

    /// Stops all nodes in order.
    pub(super) fn stop(mut self) -> Result<()> {
        (0..self.count()).try_for_each(|number| self.stop_one(number))
    }

    fn start_one(&mut self, number: usize, binary: &Path) -> Result<()> {
        let node = &mut self.nodes[number];
        let mut command = Command::new(binary);
        command
            .arg("server")
            .arg("--data")
            .arg(self.folder.path().join(&node.name))
            .args(["--listen", &node.address, "--etcd", &self.etcd])
            .args(["--node-name", &node.name])
            .env("CARRACK_CREATE_AUTOMATICALLY", "false");
        let mut process = Process::start(&node.name, &mut command, &node.log)?;
        let deadline = Deadline::after(START);
        while !process.next_line(deadline)?.text.starts_with("ready") {}
        node.process = Some(process);
        Ok(())
    }

    fn stop_one(&mut self, number: usize) -> Result<()> {
        let process = self.nodes[number].process.take();
        let mut process = process.context("the node does not run")?;
        process.terminate()?;
        process.wait_for_success(Deadline::after(STOP))
    }

    fn administer(&self, arguments: &[&str]) -> Result<()> {
        let binary = &self.binary;
        let output = Command::new(binary)
            .args(arguments)
            .args(["--server", &self.nodes[0].address])
            .output()
            .with_context(|| format!("run {}", binary.display()))?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("`{}` failed: {}", arguments.join(" "), error.trim_end());
        }
        Ok(())
    }
}

/// A port that is free together with the one two below, which old clients may call.
fn free_port() -> Result<u16> {
    for _ in 0..100 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
        let port = listener.local_addr().context("find a free port")?.port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port - 2)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free pair of ports")
}
