//! Apache RocketMQ 5.5.0, as released, beside which Carrack is judged: its name server and its
//! broker, on the loopback address, with small heaps and a data folder that goes with them.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::conformance::deadline::Deadline;
use crate::conformance::process::Process;
use crate::{maven, workspace};

/// Where runs of free ports are looked for: below those that the system gives to connections.
const PORTS: std::ops::Range<u16> = 21_500..31_500;

/// The name server's port, then those of the broker: the fast listener two below its own, and one
/// above it that only replicas use.
const PORTS_NEEDED: u16 = 5;

/// For a JVM to be up; two cores that also compile are slow.
const BOOT: Duration = Duration::from_secs(240);

/// What every JVM needs that holds parts of RocketMQ: little memory, and a look into the JDK.
const JVM: [&str; 8] = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.net.preferIPv4Stack=true",
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "-XX:MaxDirectMemorySize=512m",
];

/// Where Apache keeps users and policies; without them it knows no such commands.
const AUTHENTICATION: &str =
    "org.apache.rocketmq.auth.authentication.provider.LocalAuthenticationMetadataProvider";
const AUTHORIZATION: &str =
    "org.apache.rocketmq.auth.authorization.provider.LocalAuthorizationMetadataProvider";

/// A running name server and broker. Dropping it kills both.
pub(crate) struct Oracle {
    name_server: String,
    broker: String,
    _process: Process,
    _data: tempfile::TempDir,
}

impl Oracle {
    /// Builds what starts it, fetches the artifacts if they are not here yet, starts it and waits
    /// until it is up. Its standard error goes to a file in `logs`.
    pub(crate) fn start(logs: &Path) -> Result<Self> {
        let products = build()?;
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
        let mut command = java(&products, data.path(), "-Xmx512m", "carrack.apache.Apache");
        command.arg(&names).arg(&settings);
        let mut process = Process::start("apache", &mut command, &logs.join("apache.log"))?;
        let deadline = Deadline::after(BOOT);
        while process.next_line(deadline)?.text != "ready" {}
        Ok(Self {
            name_server: format!("127.0.0.1:{name_port}"),
            broker: format!("127.0.0.1:{broker_port}"),
            _process: process,
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

/// A JVM with what was built in `products`, that takes `home` for the user's and for RocketMQ's.
pub(crate) fn java(products: &Path, home: &Path, heap: &str, class: &str) -> Command {
    let mut command = Command::new("java");
    command
        .args(JVM)
        .arg(heap)
        .arg(format!("-Duser.home={}", home.display()))
        .arg(format!("-Djava.io.tmpdir={}", home.display()))
        .args([
            "-cp",
            &format!("{0}/classes:{0}/lib/*", products.display()),
            class,
        ])
        .env("ROCKETMQ_HOME", home);
    command
}

/// Builds what starts Apache and returns the folder with it and with Apache's artifacts.
pub(crate) fn build() -> Result<PathBuf> {
    let root = workspace::root();
    maven::package(&root.join("conformance/apache"))?;
    Ok(root.join("target/apache"))
}

/// As Carrack is: the same names, filters by property, trace, recall, LiteTopics, users and
/// policies, eight queues for what it creates.
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
         traceTopicEnable=true\n\
         recallMessageEnable=true\n\
         enableLmq=true\n\
         enableMultiDispatch=true\n\
         autoCreateTopicEnable=true\n\
         waitTimeMillsInSendQueue=20000\n\
         storePathRootDir={}\n\
         mappedFileSizeCommitLog=67108864\n\
         mappedFileSizeConsumeQueue=60000\n\
         maxHashSlotNum=50000\n\
         maxIndexNum=200000\n\
         diskMaxUsedSpaceRatio=99\n\
         flushDiskType=ASYNC_FLUSH\n\
         authenticationMetadataProvider={AUTHENTICATION}\n\
         authorizationMetadataProvider={AUTHORIZATION}\n",
        folder.join("store").display()
    )
}

/// The first of a run of free ports, another one at each call: it may take a while until somebody
/// listens there. Where the search starts depends on the process, so that runs side by side keep
/// out of each other's way.
pub(crate) fn free_ports() -> Result<u16> {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    let runs = (PORTS.end - PORTS.start) / PORTS_NEEDED;
    let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    // Neighbours in time are far from each other: their process ids differ by little.
    let start = u64::from(std::process::id()) * 61 % u64::from(runs);
    let start = u16::try_from(start).context("a run of ports")?;
    for _ in 0..runs {
        let run = (start + CALLS.fetch_add(1, Ordering::Relaxed) % runs) % runs;
        let first = PORTS.start + run * PORTS_NEEDED;
        if (first..first + PORTS_NEEDED).all(is_free) {
            return Ok(first);
        }
    }
    bail!("no run of {PORTS_NEEDED} free ports in {PORTS:?}")
}
