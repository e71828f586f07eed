//! Apache RocketMQ 5.5.0, as released, beside which Carrack is judged: its name server and its
//! broker, on the loopback address, with small heaps and a data folder that goes with them.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::conformance::deadline::Deadline;
use crate::conformance::process::Process;
use crate::workspace;

/// Where runs of free ports are looked for: below those that the system gives to connections.
const PORTS: std::ops::Range<u16> = 21_500..21_600;

/// The name server's port, then those of the broker: the fast listener two below its own, and the
/// one for replicas above it.
const PORTS_NEEDED: u16 = 5;

/// For a JVM to be up; two cores that also compile are slow.
const BOOT: Duration = Duration::from_secs(240);

/// What the JVMs need: little memory, and a look into the JDK that RocketMQ has on any version.
const JVM: [&str; 6] = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.net.preferIPv4Stack=true",
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
];

/// A running name server and broker. Dropping it kills both.
pub(crate) struct Oracle {
    name_server: String,
    broker: String,
    _processes: [Process; 2],
    _data: tempfile::TempDir,
}

impl Oracle {
    /// Fetches the artifacts if they are not here yet, starts both and waits until they are up.
    /// Standard error of both goes to files in `logs`.
    pub(crate) fn start(logs: &Path) -> Result<Self> {
        let libraries = fetch()?;
        let data = tempfile::tempdir().context("create the data folder")?;
        let first = free_ports()?;
        let (name_port, broker_port) = (first, first + 3);
        let names = data.path().join("name-server.conf");
        fs::write(
            &names,
            format!("listenPort={name_port}\nbindAddress=127.0.0.1\n"),
        )
        .context("write the name server's settings")?;
        let settings = data.path().join("broker.conf");
        fs::write(
            &settings,
            broker_settings(broker_port, name_port, data.path()),
        )
        .context("write the broker's settings")?;
        let start = |name: &str, class: &str, heap: &str, settings: &Path| {
            let mut command = Command::new("java");
            command
                .args(JVM)
                .args([heap, "-XX:MaxDirectMemorySize=512m"])
                .arg(format!("-Duser.home={}", data.path().display()))
                .args(["-cp", &format!("{}/*", libraries.display()), class, "-c"])
                .arg(settings)
                .env("ROCKETMQ_HOME", data.path());
            Process::start(name, &mut command, &logs.join(format!("{name}.log")))
        };
        let mut name_server = start(
            "apache-name-server",
            "org.apache.rocketmq.namesrv.NamesrvStartup",
            "-Xmx128m",
            &names,
        )?;
        let mut broker = start(
            "apache-broker",
            "org.apache.rocketmq.broker.BrokerStartup",
            "-Xmx512m",
            &settings,
        )?;
        booted(&mut name_server)?;
        booted(&mut broker)?;
        Ok(Self {
            name_server: format!("127.0.0.1:{name_port}"),
            broker: format!("127.0.0.1:{broker_port}"),
            _processes: [name_server, broker],
            _data: data,
        })
    }

    /// Where the name server listens.
    pub(crate) fn name_server(&self) -> &str {
        &self.name_server
    }

    /// Where the broker listens.
    pub(crate) fn broker(&self) -> &str {
        &self.broker
    }
}

/// Fetches the artifacts through Maven and returns their folder.
fn fetch() -> Result<PathBuf> {
    let root = workspace::root();
    let libraries = root.join("target/apache/lib");
    let maven = |extra: &[&str]| {
        let mut command = Command::new("mvn");
        command
            .args(["--quiet", "--batch-mode"])
            .args(extra)
            .arg("dependency:copy-dependencies")
            .arg(format!("-DoutputDirectory={}", libraries.display()))
            .current_dir(root.join("conformance/apache"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    };
    if libraries.join("rocketmq-broker-5.5.0.jar").exists() {
        return Ok(libraries);
    }
    // Without the network first: it is faster, and works where everything was fetched once.
    let offline = maven(&["--offline"]).stderr(Stdio::null()).status();
    if offline.context("start Maven")?.success() {
        return Ok(libraries);
    }
    let status = maven(&[]).stdout(Stdio::inherit()).status()?;
    if !status.success() {
        bail!("fetching Apache RocketMQ ended with {status}");
    }
    Ok(libraries)
}

fn booted(process: &mut Process) -> Result<()> {
    let deadline = Deadline::after(BOOT);
    while !process.next_line(deadline)?.text.contains("boot success") {}
    Ok(())
}

/// As Carrack is: the same names, filters by property, recall, eight queues for what it creates.
fn broker_settings(port: u16, name_server: u16, folder: &Path) -> String {
    format!(
        "brokerClusterName=DefaultCluster\n\
         brokerName=default-0\n\
         brokerId=0\n\
         brokerIP1=127.0.0.1\n\
         bindAddress=127.0.0.1\n\
         listenPort={port}\n\
         namesrvAddr=127.0.0.1:{name_server}\n\
         defaultTopicQueueNums=8\n\
         enablePropertyFilter=true\n\
         recallMessageEnable=true\n\
         autoCreateTopicEnable=true\n\
         waitTimeMillsInSendQueue=20000\n\
         storePathRootDir={}\n\
         mappedFileSizeCommitLog=67108864\n\
         mappedFileSizeConsumeQueue=60000\n\
         maxHashSlotNum=50000\n\
         maxIndexNum=200000\n\
         diskMaxUsedSpaceRatio=99\n\
         flushDiskType=ASYNC_FLUSH\n",
        folder.join("store").display()
    )
}

/// The first of a run of free ports.
pub(crate) fn free_ports() -> Result<u16> {
    let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    PORTS
        .step_by(usize::from(PORTS_NEEDED))
        .find(|first| (*first..first + PORTS_NEEDED).all(is_free))
        .with_context(|| format!("no run of {PORTS_NEEDED} free ports in {PORTS:?}"))
}
