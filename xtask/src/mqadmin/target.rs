//! One side of the comparison: a server, and the harness that drives tool and clients against it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::conformance::deadline::{Deadline, START, STOP};
use crate::conformance::process::Process;

/// For one step; the slowest wait for a client's next heartbeat.
const STEP: Duration = Duration::from_secs(90);

/// Ports that must be free side by side: the broker's, that of its fast listener two below, and
/// room on either side.
const PORTS: u16 = 4;

/// How often such ports are looked for.
const PORT_ATTEMPTS_MAX: u32 = 100;

/// The broker's name on both sides, which is what Carrack calls its only shard.
const BROKER_NAME: &str = "default-0";

/// What the JVMs need: little memory, and a look into the JDK that RocketMQ has on any version.
const JVM: [&str; 7] = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.net.preferIPv4Stack=true",
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
];

/// A server with its harness.
pub(super) struct Target {
    harness: Process,
    server: Process,
    is_carrack: bool,
    _data: tempfile::TempDir,
}

impl Target {
    /// Apache's name server and broker, on the loopback address only.
    pub(super) fn apache(products: &Path, logs: &Path) -> Result<Self> {
        let data = tempfile::tempdir().context("create the data folder")?;
        let broker = free_ports()?;
        let name_server = free_ports()?;
        let names = data.path().join("name-server.conf");
        fs::write(
            &names,
            format!("listenPort={name_server}\nbindAddress=127.0.0.1\n"),
        )?;
        let settings = data.path().join("broker.conf");
        fs::write(&settings, broker_settings(broker, name_server, data.path()))?;
        let memory = ["-Xmx384m", "-XX:MaxDirectMemorySize=512m"];
        let mut command = java(products, data.path(), &memory, "carrack.mqadmin.Apache");
        command
            .arg(&names)
            .arg(&settings)
            .env("ROCKETMQ_HOME", data.path());
        let mut server = Process::start("apache", &mut command, &logs.join("apache.log"))?;
        ready(&mut server)?;
        let address = |port: u16| format!("127.0.0.1:{port}");
        Self::new(
            products,
            &logs.join("apache-harness.log"),
            data,
            server,
            (&address(name_server), &address(broker)),
            false,
        )
    }

    /// Carrack, on an empty data folder.
    pub(super) fn carrack(binary: &Path, products: &Path, logs: &Path) -> Result<Self> {
        let data = tempfile::tempdir().context("create the data folder")?;
        let address = format!("127.0.0.1:{}", free_ports()?);
        let mut command = Command::new(binary);
        command
            .arg("server")
            .arg("--data")
            .arg(data.path().join("data"))
            .args(["--listen", &address]);
        let mut server = Process::start("carrack", &mut command, &logs.join("carrack.log"))?;
        ready(&mut server)?;
        Self::new(
            products,
            &logs.join("carrack-harness.log"),
            data,
            server,
            (&address, &address),
            true,
        )
    }

    fn new(
        products: &Path,
        log: &Path,
        data: tempfile::TempDir,
        server: Process,
        (name_server, broker): (&str, &str),
        is_carrack: bool,
    ) -> Result<Self> {
        let files = data.path().join("files");
        fs::create_dir_all(&files).context("create the folder for files of the tool")?;
        let memory = ["-Xmx256m"];
        let mut command = java(products, data.path(), &memory, "carrack.mqadmin.Harness");
        command
            .arg(format!("namesrv={name_server}"))
            .arg(format!("address={broker}"))
            .arg(format!("broker={BROKER_NAME}"))
            .arg(format!("files={}/", files.display()))
            .current_dir(&files);
        let mut harness = Process::start("harness", &mut command, log)?;
        ready(&mut harness)?;
        Ok(Self {
            harness,
            server,
            is_carrack,
            _data: data,
        })
    }

    /// Its name, for people.
    pub(super) fn name(&self) -> &'static str {
        if self.is_carrack { "Carrack" } else { "Apache" }
    }

    /// Runs one step and returns what it printed.
    pub(super) fn run(&mut self, words: &[String]) -> Result<String> {
        self.harness.write(&format!("{}\n", words.join("\t")))?;
        let line = self.harness.next_line(Deadline::after(STEP))?;
        let bytes = STANDARD.decode(&line.text).context("decode the answer")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Stops the server. Carrack must stop cleanly; Apache is ended.
    pub(super) fn stop(mut self) -> Result<()> {
        drop(self.harness);
        if self.is_carrack {
            self.server.terminate()?;
            self.server.wait_for_success(Deadline::after(STOP))?;
        }
        Ok(())
    }
}

fn java(products: &Path, home: &Path, memory: &[&str], class: &str) -> Command {
    let folder = products.join("java");
    let mut command = Command::new("java");
    command
        .args(JVM)
        .args(memory)
        .arg(format!("-Duser.home={}", home.display()))
        .arg(format!("-Drocketmq.home.dir={}", home.display()))
        .args(["-cp", &format!("{0}/classes:{0}/lib/*", folder.display())])
        .arg(class);
    command
}

fn ready(process: &mut Process) -> Result<()> {
    let deadline = Deadline::after(START);
    while !process.next_line(deadline)?.text.starts_with("ready") {}
    Ok(())
}

/// As Carrack is: what it creates has 8 queues, and it keeps nothing waiting.
fn broker_settings(port: u16, name_server: u16, folder: &Path) -> String {
    format!(
        "brokerClusterName=DefaultCluster\n\
         brokerName={BROKER_NAME}\n\
         brokerId=0\n\
         brokerIP1=127.0.0.1\n\
         bindAddress=127.0.0.1\n\
         listenPort={port}\n\
         namesrvAddr=127.0.0.1:{name_server}\n\
         defaultTopicQueueNums=8\n\
         enablePropertyFilter=true\n\
         traceTopicEnable=true\n\
         autoCreateTopicEnable=true\n\
         storePathRootDir={}\n\
         mappedFileSizeCommitLog=16777216\n\
         mappedFileSizeConsumeQueue=60000\n\
         maxHashSlotNum=50000\n\
         maxIndexNum=200000\n\
         diskMaxUsedSpaceRatio=99\n\
         flushDiskType=ASYNC_FLUSH\n",
        folder.join("store").display()
    )
}

/// The middle of a run of free ports.
fn free_ports() -> Result<u16> {
    for _ in 0..PORT_ATTEMPTS_MAX {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
        let port = listener.local_addr().context("find a free port")?.port();
        let is_free = |near| near == port || TcpListener::bind((Ipv4Addr::LOCALHOST, near)).is_ok();
        if (port - PORTS / 2..=port + PORTS / 2).all(is_free) {
            return Ok(port);
        }
    }
    bail!("no run of {PORTS} free ports after {PORT_ATTEMPTS_MAX} attempts")
}
