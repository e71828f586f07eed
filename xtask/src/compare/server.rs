//! The servers that are compared, as processes on data folders and ports of their own.
//!
//! Apache runs as released, with the settings it has by default except for addresses and what the
//! setup asks for: name server and broker (and proxy) share one process, which costs it less than
//! the two or three of a usual installation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use client::remoting::{NewTopic, OutgoingMessage, RemotingClient, RemotingOptions};
use rustix::fs::{Advice, fadvise, fsync};
use serde::Serialize;

use super::processors::{Noise, Place, Processors};
use super::scenario::Setup;
use crate::conformance::deadline::{Deadline, Stopwatch};
use crate::conformance::process::Process;
use crate::{oracle, workspace};

/// For a server to be up; a JVM on a busy machine is the slowest.
const BOOT: Duration = Duration::from_secs(240);

/// For a server to write out what it has, and to stop.
const STOP: Duration = Duration::from_secs(120);

/// Where the first message goes; the topic is there from then on.
pub(super) const FIRST_TOPIC: &str = "first";

/// For one attempt to send the first message.
const FIRST_SEND: Duration = Duration::from_secs(2);

/// Pause between two attempts.
const FIRST_SEND_PAUSE: Duration = Duration::from_millis(2);

/// Who is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    /// Apache RocketMQ 5.5.0.
    Apache,
    /// The server of this repository.
    Carrack,
}

/// What servers are started from.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    /// `carrack`, which is the load generator too.
    pub(super) carrack: PathBuf,
    /// The folder with Apache's artifacts.
    apache: PathBuf,
    /// Memory of Apache's heap, as the JVM takes it.
    heap: String,
    /// Folder of stores and logs.
    pub(super) folder: PathBuf,
    /// Where everything runs.
    pub(super) processors: Processors,
}

/// A server that runs.
pub(super) struct Server {
    side: Side,
    setup: Setup,
    programs: Programs,
    data: tempfile::TempDir,
    ports: Ports,
    process: Option<Process>,
}

/// How a server started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started {
    /// Until a send was acknowledged.
    pub(super) took: Duration,
    /// Processor time of others meanwhile, in percent of all processors.
    pub(super) noise_percent: f64,
}

/// The first ports of runs that nobody else uses.
#[derive(Clone, Copy, Debug)]
struct Ports {
    broker: u16,
    proxy: u16,
}

impl Programs {
    /// Builds or finds the programs, and empties `folder`.
    pub(super) fn prepare(
        carrack: PathBuf,
        heap: String,
        folder: PathBuf,
        processors: Processors,
    ) -> Result<Self> {
        if !carrack.exists() {
            bail!(
                "{} does not exist: build it with --release",
                carrack.display()
            );
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).context("remove what the last run left")?;
        }
        fs::create_dir_all(&folder).context("create the folder of the run")?;
        Ok(Self {
            carrack,
            apache: oracle::build()?,
            heap,
            folder,
            processors,
        })
    }

    /// Starts a server on an empty store.
    pub(super) fn start(&self, side: Side, setup: Setup) -> Result<(Server, Started)> {
        let data = tempfile::Builder::new()
            .prefix("store-")
            .tempdir_in(&self.folder)
            .context("create the data folder")?;
        let ports = Ports {
            broker: oracle::free_ports()?,
            proxy: oracle::free_ports()?,
        };
        let mut server = Server {
            side,
            setup,
            programs: self.clone(),
            data,
            ports,
            process: None,
        };
        let started = server.start()?;
        Ok((server, started))
    }
}

impl Server {
    /// Starts the process and waits until a send was acknowledged.
    pub(super) fn start(&mut self) -> Result<Started> {
        let mut command = match self.side {
            Side::Apache => self.apache()?,
            Side::Carrack => self.carrack(),
        };
        let log = self.programs.folder.join(format!("{:?}.log", self.side));
        let (watch, noise) = (Stopwatch::start(), Noise::watch()?);
        let processors = &self.programs.processors;
        let process = processors.within(Place::Server, || {
            Process::start("server", &mut command, &log)
        })?;
        let process = self.process.insert(process);
        let deadline = Deadline::after(BOOT);
        while !process.next_line(deadline)?.text.starts_with("ready") {}
        let address = self.broker_address();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(first_send(&address, deadline))?;
        let took = watch.elapsed();
        let noise_percent = noise.percent(self.pid()?, 0, self.programs.processors.count())?;
        Ok(Started {
            took,
            noise_percent,
        })
    }

    /// Asks it to stop, and waits until it has; its store stays.
    pub(super) fn stop(&mut self) -> Result<()> {
        let process = self.process.take().context("the server does not run")?;
        process.terminate()?;
        // A JVM that was asked to stop says so with its status.
        anyhow::ensure!(process.ends_within(STOP), "the server did not stop");
        Ok(())
    }

    /// Kills it; its store stays.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    /// Writes out what the page cache holds of the store, and empties it of that. The server must
    /// not run: what a process has mapped stays.
    pub(super) fn cool(&self) -> Result<()> {
        for file in files(self.data.path())? {
            let file = fs::File::open(&file).with_context(|| format!("open {}", file.display()))?;
            fsync(&file).context("write out the store")?;
            fadvise(&file, 0, None, Advice::DontNeed).context("empty the page cache")?;
        }
        Ok(())
    }

    /// Whether the load on it speaks gRPC.
    pub(super) fn is_grpc(&self) -> bool {
        self.setup.is_grpc()
    }

    /// Its process id.
    pub(super) fn pid(&self) -> Result<u32> {
        let process = self.process.as_ref().context("the server does not run")?;
        Ok(process.pid().as_raw_pid().cast_unsigned())
    }

    /// Where load generators ask for routes over Remoting.
    pub(super) fn route_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.broker)
    }

    /// Where Remoting requests go.
    pub(super) fn broker_address(&self) -> String {
        match self.side {
            Side::Apache => format!("127.0.0.1:{}", self.ports.broker + 3),
            Side::Carrack => self.route_address(),
        }
    }

    /// Where gRPC requests go.
    pub(super) fn grpc_address(&self) -> String {
        match self.side {
            Side::Apache => format!("127.0.0.1:{}", self.ports.proxy),
            Side::Carrack => self.route_address(),
        }
    }

    fn carrack(&self) -> Command {
        let mut command = Command::new(&self.programs.carrack);
        command
            .arg("server")
            .arg("--data")
            .arg(self.data.path())
            .args(["--listen", &self.route_address()]);
        command
    }

    fn apache(&self) -> Result<Command> {
        let home = self.data.path();
        let write = |name: &str, text: String| {
            let path = home.join(name);
            fs::write(&path, text).with_context(|| format!("write {name}"))?;
            Ok::<_, anyhow::Error>(path)
        };
        let name_port = self.ports.broker;
        let names = write(
            "name-server.conf",
            format!("listenPort={name_port}\nbindAddress=127.0.0.1\n"),
        )?;
        let broker = write("broker.conf", self.broker_settings())?;
        let mut command = Command::new("java");
        command
            .args([
                format!("-Xms{}", self.programs.heap),
                format!("-Xmx{}", self.programs.heap),
            ])
            .args(JVM)
            .arg(format!("-Duser.home={}", home.display()))
            .arg(format!("-Djava.io.tmpdir={}", home.display()))
            .args([
                "-cp",
                &format!("{0}/classes:{0}/lib/*", self.programs.apache.display()),
                "carrack.apache.Apache",
            ])
            .arg(&names)
            .arg(&broker)
            .env("ROCKETMQ_HOME", home)
            .env("RMQ_PROXY_HOME", home);
        if self.setup == Setup::Proxy {
            fs::create_dir_all(home.join("conf")).context("create the proxy's folder")?;
            command.arg(write("proxy.json", self.proxy_settings())?);
        }
        Ok(command)
    }

    fn broker_settings(&self) -> String {
        let flush = match self.setup {
            Setup::Synchronous => "SYNC_FLUSH",
            Setup::Asynchronous
            | Setup::Proxy
            | Setup::Cold
            | Setup::Topics
            | Setup::Transactions => "ASYNC_FLUSH",
        };
        let log_file_bytes: u64 = match self.setup {
            Setup::Cold => 16 << 20,
            Setup::Asynchronous
            | Setup::Synchronous
            | Setup::Proxy
            | Setup::Topics
            | Setup::Transactions => 1 << 30,
        };
        // It refuses sends that waited for 200 ms by default, which would count as failed.
        format!(
            "brokerClusterName=DefaultCluster\n\
             brokerName=default-0\n\
             brokerId=0\n\
             brokerIP1=127.0.0.1\n\
             bindAddress=127.0.0.1\n\
             listenPort={}\n\
             namesrvAddr=127.0.0.1:{}\n\
             autoCreateTopicEnable=true\n\
             waitTimeMillsInSendQueue=20000\n\
             storePathRootDir={}\n\
             diskMaxUsedSpaceRatio=99\n\
             mappedFileSizeCommitLog={log_file_bytes}\n\
             flushDiskType={flush}\n",
            self.ports.broker + 3,
            self.ports.broker,
            self.data.path().join("store").display(),
        )
    }

    fn proxy_settings(&self) -> String {
        let settings = serde_json::json!({
            "rocketMQClusterName": "DefaultCluster",
            "namesrvAddr": self.route_address(),
            "localServeAddr": "127.0.0.1",
            "remotingAccessAddr": "127.0.0.1",
            "grpcServerPort": self.ports.proxy,
            "remotingListenPort": self.ports.proxy + 1,
            "proxyMode": "LOCAL",
        });
        settings.to_string()
    }
}

/// What Apache's start scripts give the JVM, save the sizes (they would take 8 GB at once) and
/// touching all of the heap, which would spoil the comparison of memory in our favour.
const JVM: [&str; 9] = [
    "-XX:+UseG1GC",
    "-XX:G1ReservePercent=25",
    "-XX:InitiatingHeapOccupancyPercent=30",
    "-XX:MaxDirectMemorySize=2g",
    "-Djava.net.preferIPv4Stack=true",
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
];

/// The release build of `carrack` unless another is named.
pub(super) fn release_binary() -> PathBuf {
    workspace::root().join("target/release/carrack")
}

/// Creates a topic and sends to it, again and again until that is acknowledged.
async fn first_send(address: &str, deadline: Deadline) -> Result<()> {
    loop {
        let attempt = tokio::time::timeout(FIRST_SEND, send_one(address)).await;
        match attempt {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if deadline.remaining().is_zero() => {
                return Err(error).context("send the first message");
            }
            Err(_) if deadline.remaining().is_zero() => bail!("the first send has no answer"),
            _ => tokio::time::sleep_until(tokio::time::Instant::now() + FIRST_SEND_PAUSE).await,
        }
    }
}

async fn send_one(address: &str) -> Result<()> {
    let client = RemotingClient::connect(address, RemotingOptions::default()).await?;
    let topic = NewTopic {
        name: FIRST_TOPIC,
        queues: 1,
        message_type: Some("NORMAL"),
        lite_topic_expiration_minutes: None,
    };
    client.create_topic(topic).await?;
    let message = OutgoingMessage {
        producer_group: "first",
        topic: FIRST_TOPIC,
        queue: Some(0),
        automatic_queues: 1,
        flag: 0,
        sys_flag: 0,
        born_timestamp: i64::try_from(crate::conformance::deadline::unix_ms())?,
        properties: "WAIT\u{1}true\u{2}",
        body: Bytes::from_static(b"first"),
    };
    client.send(message).await?;
    Ok(())
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let list = fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
        for entry in list {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}
