//! What the clients are run against: a server of our own, or one that runs already.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::clients::Protocol;
use super::deadline::{Deadline, START, STOP};
use super::process::Process;

/// Queues of every topic; more than one, so that nothing relies on a single queue's order.
const QUEUES: &str = "8";

/// Name and value of a setting of the server.
pub(crate) type Setting = (&'static str, &'static str);

/// The administrator of servers with access control.
pub(crate) const ADMIN_ACCESS_KEY: &str = "conformance";

/// The secret of the administrator.
pub(crate) const ADMIN_SECRET_KEY: &str = "conformance-secret";

/// How often a pair of free ports is looked for.
const PORT_ATTEMPTS_MAX: u32 = 100;

/// Ports of a fleet for its nodes, each of which takes the port two below its own too.
const NODE_PORTS: u16 = 16;

/// A server that clients connect to.
pub(crate) struct Target {
    remoting: String,
    grpc: String,
    messages: String,
    administration: PathBuf,
    own: Option<Own>,
}

/// What was started.
#[derive(Clone, Copy)]
enum Kind {
    Server,
    /// With the first port for its nodes.
    Fleet(u16),
}

/// A server that was started here: its own data folder, one port for all protocols.
struct Own {
    kind: Kind,
    process: Option<Process>,
    binary: PathBuf,
    data: tempfile::TempDir,
    log: PathBuf,
    settings: Vec<Setting>,
}

/// Part of the name of the topic where ONS clients write traces.
const REGION: &str = "conformance";

impl Target {
    /// A server that runs already; `administration` takes the command line of `carrack`.
    pub(crate) fn running(remoting: &str, grpc: &str, administration: &Path) -> Self {
        Self {
            remoting: remoting.to_owned(),
            grpc: grpc.to_owned(),
            messages: remoting.to_owned(),
            administration: administration.to_owned(),
            own: None,
        }
    }

    /// Starts a server on an empty data folder and waits until it is ready. Settings are names and
    /// values as in its settings file.
    pub(crate) fn start(binary: &Path, log: &Path, settings: &[Setting]) -> Result<Self> {
        Self::start_as(Kind::Server, binary, log, settings)
    }

    /// Starts a fleet with one node that all instances share, and waits until both are ready.
    pub(crate) fn start_fleet(binary: &Path, log: &Path, settings: &[Setting]) -> Result<Self> {
        let ports = free_ports(NODE_PORTS)?;
        let target = Self::start_as(Kind::Fleet(ports), binary, log, settings)?;
        let deadline = Deadline::after(START);
        while let Err(error) = target.administer_at(&target.messages, &["topic", "list"]) {
            if deadline.remaining().is_zero() {
                return Err(error.context("wait for the node of the fleet"));
            }
        }
        Ok(target)
    }

    fn start_as(kind: Kind, binary: &Path, log: &Path, settings: &[Setting]) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let messages = match kind {
            Kind::Server => address.clone(),
            // The first port of a fleet is the one two below its first node's.
            Kind::Fleet(ports) => format!("127.0.0.1:{}", ports + 2),
        };
        let data = tempfile::tempdir().context("create the data folder")?;
        let mut own = Own {
            kind,
            process: None,
            binary: binary.to_owned(),
            data,
            log: log.to_owned(),
            settings: settings.to_vec(),
        };
        own.start(&address)?;
        Ok(Self {
            remoting: address.clone(),
            grpc: address,
            messages,
            administration: binary.to_owned(),
            own: Some(own),
        })
    }

    /// Where a client of this protocol connects to.
    pub(crate) fn address(&self, protocol: Protocol) -> &str {
        match protocol {
            Protocol::Remoting | Protocol::OnsHttp => &self.remoting,
            Protocol::Grpc | Protocol::GrpcV1 => &self.grpc,
        }
    }

    /// Where messages of the default instance are: elsewhere than at a fleet itself.
    pub(crate) fn messages(&self) -> &str {
        &self.messages
    }

    /// Creates a topic for messages of a type.
    pub(crate) fn create_topic(&self, name: &str, message_type: &str) -> Result<()> {
        self.create_topic_with_queues(name, message_type, QUEUES)
    }

    /// Creates a topic of a single queue, in which every message has its place.
    pub(crate) fn create_topic_of_one_queue(&self, name: &str) -> Result<()> {
        self.create_topic_with_queues(name, "normal", "1")
    }

    fn create_topic_with_queues(&self, name: &str, kind: &str, queues: &str) -> Result<()> {
        self.administer(&["topic", "create", name, "--type", kind, "--queues", queues])
    }

    /// Creates a consumer group.
    pub(crate) fn create_group(&self, name: &str) -> Result<()> {
        self.administer(&["group", "create", name])
    }

    /// Creates a consumer group that gets the messages of a message group in order.
    pub(crate) fn create_fifo_group(&self, name: &str) -> Result<()> {
        self.administer(&["group", "create", name, "--fifo"])
    }

    /// Creates a consumer group that gives up on a message after some deliveries.
    pub(crate) fn create_group_with_attempts(&self, name: &str, attempts: u32) -> Result<()> {
        self.administer(&[
            "group",
            "create",
            name,
            "--max-attempts",
            &attempts.to_string(),
        ])
    }

    /// Creates a consumer group whose members choose LiteTopics of a topic.
    pub(crate) fn create_lite_group(&self, name: &str, topic: &str) -> Result<()> {
        self.administer(&["group", "create", name, "--lite-topic", topic])
    }

    /// The same, where a LiteTopic has one consumer at a time and a client chooses so many.
    pub(crate) fn create_exclusive_lite_group(
        &self,
        name: &str,
        topic: &str,
        quota: u32,
    ) -> Result<()> {
        let quota = quota.to_string();
        let create = ["group", "create", name, "--lite-topic", topic];
        let options = ["--exclusive", "--lite-topics-per-client", &quota];
        self.administer(&[create.as_slice(), options.as_slice()].concat())
    }

    /// Creates a user who may do nothing yet.
    pub(crate) fn create_user(&self, name: &str, secret_key: &str) -> Result<()> {
        self.administer(&["user", "create", name, "--user-secret-key", secret_key])
    }

    /// Creates a RAM-style policy and attaches it to a user.
    pub(crate) fn create_policy(&self, name: &str, document: &str, user: &str) -> Result<()> {
        let mut file = tempfile::NamedTempFile::new().context("create a file for a policy")?;
        file.write_all(document.as_bytes())
            .context("write a policy")?;
        let path = file.path().to_string_lossy();
        self.administer(&["policy", "create", name, "--document", &path])?;
        self.administer(&["policy", "attach", name, user])
    }

    /// Whether this server can be restarted here.
    pub(crate) fn can_restart(&self) -> bool {
        self.own.is_some()
    }

    /// Stops the server cleanly and starts it again: same data, same port.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let own = self
            .own
            .as_mut()
            .context("a server that runs elsewhere cannot be restarted")?;
        own.stop()?;
        own.start(&self.remoting)
    }

    /// Stops the server cleanly, where it was started here.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.own.as_mut().map_or(Ok(()), Own::stop)
    }

    fn administer(&self, arguments: &[&str]) -> Result<()> {
        self.administer_at(&self.remoting, arguments)
    }

    fn administer_at(&self, server: &str, arguments: &[&str]) -> Result<()> {
        let output = Command::new(&self.administration)
            .args(arguments)
            .args(["--server", server])
            // Servers without access control ignore them.
            .env("CARRACK_ACCESS_KEY", ADMIN_ACCESS_KEY)
            .env("CARRACK_SECRET_KEY", ADMIN_SECRET_KEY)
            .output()
            .with_context(|| format!("run {}", self.administration.display()))?;
        if !output.status.success() {
            bail!(
                "`{}` ended with {}: {}",
                arguments.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        Ok(())
    }
}

impl Own {
    fn start(&mut self, address: &str) -> Result<()> {
        let mut command = self.command();
        command
            .args(["--listen", address])
            // ONS clients write no traces to a server of the default region.
            .env("CARRACK_REGION", REGION)
            // HTTP clients cannot say that they want it shorter.
            .env("CARRACK_HTTP_INVISIBLE_MS", "10000");
        for (name, value) in &self.settings {
            command.env(format!("CARRACK_{}", name.to_uppercase()), value);
        }
        let mut process = Process::start("carrack", &mut command, &self.log)?;
        let deadline = Deadline::after(START);
        while !process.next_line(deadline)?.text.starts_with("ready") {}
        self.process = Some(process);
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        match self.kind {
            Kind::Server => _ = command.arg("server"),
            Kind::Fleet(first) => {
                let ports = format!("{first}-{}", first + NODE_PORTS - 1);
                command.args(["fleet", "--node-ports", &ports]);
            }
        }
        command.arg("--data").arg(self.data.path());
        command
    }

    fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the server does not run")?;
        process.terminate()?;
        process.wait_for_success(Deadline::after(STOP))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        drop(self.process.take());
        // Nodes outlive their fleet.
        if matches!(self.kind, Kind::Fleet(_)) {
            let halted = self.command().arg("--halt").output();
            if !halted.is_ok_and(|output| output.status.success()) {
                eprintln!(
                    "processes of the fleet in {} go on",
                    self.data.path().display()
                );
            }
        }
    }
}

/// The first of so many ports of which the first few are free.
fn free_ports(count: u16) -> Result<u16> {
    for _ in 0..PORT_ATTEMPTS_MAX {
        let first = free_port()?;
        let mut ports = first..first.saturating_add(count.min(4));
        if first < u16::MAX - count
            && ports.all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        {
            return Ok(first);
        }
    }
    bail!("no free ports in a row after {PORT_ATTEMPTS_MAX} attempts")
}

/// A port that is free together with the one two below, which old clients may call.
fn free_port() -> Result<u16> {
    for _ in 0..PORT_ATTEMPTS_MAX {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
        let port = listener.local_addr().context("find a free port")?.port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port - 2)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free pair of ports after {PORT_ATTEMPTS_MAX} attempts")
}
