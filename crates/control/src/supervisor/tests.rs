//! Nodes that are real processes, of programs that are small scripts.

use std::{fs, time::Duration};

use base::Sleep;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;
use crate::{
    NewRelease, TrustedKeys,
    release::test_key::TestKey,
    test_world::{MemoryMetadata, RealClock, TestClock},
};

const OLD: &str = "5.0-rmq-20230329";
const NEW: &str = "5.0-rmq-20230411";

/// Sleeps a little for each pause, so that processes have time to do something.
#[derive(Default)]
struct PatientClock(TestClock);

impl Clock for PatientClock {
    fn now(&self) -> base::Timestamp {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is a clock")]
    fn sleep(&self, duration: Duration) -> Sleep {
        let virtually = self.0.sleep(duration);
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            virtually.await;
        })
    }
}

/// Nodes that have no protocol.
struct NoCalls;

impl NodeCalls for NoCalls {
    fn is_healthy<'a>(&'a self, _: &'a NodeRecord) -> BoxFuture<'a, Result<bool, String>> {
        async { Ok(true) }.boxed()
    }

    fn drain<'a>(&'a self, _: &'a NodeRecord) -> BoxFuture<'a, Result<(), String>> {
        async { Err("connection refused".to_owned()) }.boxed()
    }

    fn admit<'a>(&'a self, _: &'a NodeRecord) -> BoxFuture<'a, Result<(), String>> {
        async { Ok(()) }.boxed()
    }

    fn lock<'a>(&'a self, _: &'a NodeRecord, _: bool) -> BoxFuture<'a, Result<(), String>> {
        async { Ok(()) }.boxed()
    }
}

struct World {
    folder: TempDir,
    metadata: Arc<MemoryMetadata>,
    clock: Arc<PatientClock>,
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

impl World {
    /// With two releases that run `program`, and a node that is on record.
    async fn new(program: &str) -> Self {
        let world = Self {
            folder: TempDir::new().unwrap(),
            metadata: Arc::default(),
            clock: Arc::default(),
        };
        let catalogue = world.catalogue().await;
        for text in [OLD, NEW] {
            let binary = world.folder.path().join("carrack");
            let program = format!(
                "#!/bin/sh\nif [ \"$1\" = --version ]; then echo carrack {text}; exit; fi\n{program}\n"
            );
            fs::write(&binary, &program).unwrap();
            let release = NewRelease {
                version: version(text),
                released_on: "2026-03-11".parse().unwrap(),
                notes: String::new(),
                binary,
                signature: TestKey::new(1).sign(program.as_bytes()),
            };
            catalogue.publish(release).await.unwrap();
        }
        let pipe = world.folder.path().join("pipe");
        let (kind, mode) = (FileType::Fifo, Mode::RUSR | Mode::WUSR);
        mknodat(CWD, &pipe, kind, mode, 0).unwrap();
        let record = NodeRecord {
            name: world.node(),
            instance: InstanceId::new("rmq-cn-1").unwrap(),
            folder: world.folder.path().join("n0"),
            arguments: vec!["server".to_owned(), pipe.display().to_string()],
            output: world.folder.path().join("log/n0.log"),
            wanted: None,
        };
        fs::create_dir(&record.folder).unwrap();
        world.open().await.add(record).await.unwrap();
        world
    }

    fn node(&self) -> NodeName {
        NodeName::new("n0")
    }

    async fn catalogue(&self) -> Catalogue {
        let keys = TrustedKeys::parse(&TestKey::new(1).public()).unwrap();
        let metadata = Arc::clone(&self.metadata) as Arc<dyn MetadataStore>;
        let folder = self.folder.path().join("releases");
        Catalogue::open(metadata, Arc::new(RealClock), &folder, keys)
            .await
            .unwrap()
    }

    /// As the next control process has it.
    async fn open(&self) -> Supervisor {
        let metadata = Arc::clone(&self.metadata) as Arc<dyn MetadataStore>;
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let catalogue = Arc::new(self.catalogue().await);
        Supervisor::open(metadata, clock, catalogue, Arc::new(NoCalls))
            .await
            .unwrap()
    }

    fn process(&self) -> Option<Process> {
        Process::find(&self.node(), &self.folder.path().join("n0")).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Nothing that a failed test started goes on.
        while let Ok(Some(process)) = Process::find(&self.node(), &self.folder.path().join("n0")) {
            process.kill();
        }
    }
}

/// Waits in the shell itself: a command of its own would have the same environment.
const SLEEPER: &str = "exec 3<>\"$2\"; echo started; read line <&3";

#[tokio::test]
async fn a_node_outlives_the_control_process_and_is_found_by_the_next() {
    let world = World::new(SLEEPER).await;
    let node = world.node();
    let first = world.open().await;
    let error = first.look(&node).await.unwrap_err();
    assert!(error.again && error.reason == "does not run", "{error}");
    first.start(&node, version(OLD)).await.unwrap();
    let process = world.process().unwrap();
    // Asked again, it leaves the process alone.
    first.start(&node, version(OLD)).await.unwrap();
    drop(first);

    let second = world.open().await;
    let seen = second.look(&node).await.unwrap();
    assert_eq!(
        (seen.version, seen.format, seen.healthy),
        (version(OLD), None, true)
    );
    second.start(&node, version(OLD)).await.unwrap();
    assert_eq!(world.process().unwrap().number(), process.number());
    let error = second.start(&node, version(NEW)).await.unwrap_err();
    assert!(!error.again && error.reason.contains(OLD), "{error}");
    let other = NodeName::new("n1");
    let folder = world.folder.path().join("n0");
    assert!(Process::find(&other, &folder).unwrap().is_none());

    second.stop(&node).await.unwrap();
    assert!(world.process().is_none() && process.has_ended());
    second.stop(&node).await.unwrap();
    second.start(&node, version(NEW)).await.unwrap();
    assert_eq!(second.look(&node).await.unwrap().version, version(NEW));
    second.stop(&node).await.unwrap();
    let output = fs::read_to_string(world.folder.path().join("log/n0.log")).unwrap();
    assert!(output.contains("started"), "{output:?}");
}

#[tokio::test]
async fn a_node_that_should_run_is_started_again() {
    let world = World::new(SLEEPER).await;
    let node = world.node();
    let supervisor = world.open().await;
    assert_eq!(supervisor.keep_running().await, []);
    supervisor.start(&node, version(OLD)).await.unwrap();
    assert_eq!(supervisor.keep_running().await, []);
    let process = world.process().unwrap();
    process.kill();
    while !process.has_ended() {
        world.clock.sleep(Duration::from_millis(1)).await;
    }
    // Also by one that was not there when it ended.
    let next = world.open().await;
    assert_eq!(next.keep_running().await, std::slice::from_ref(&node));
    assert_eq!(next.look(&node).await.unwrap().version, version(OLD));
    next.stop(&node).await.unwrap();
    assert_eq!(world.open().await.keep_running().await, []);
}

#[tokio::test]
async fn a_node_that_does_not_stop_is_killed() {
    let world =
        World::new("trap '' TERM; exec 3<>\"$2\"; echo deaf; while :; do read line <&3; done")
            .await;
    let node = world.node();
    let supervisor = world.open().await;
    supervisor.start(&node, version(OLD)).await.unwrap();
    let output = world.folder.path().join("log/n0.log");
    while !fs::read_to_string(&output).unwrap().contains("deaf") {
        world.clock.sleep(Duration::from_millis(1)).await;
    }
    let before = world.clock.elapsed();
    supervisor.stop(&node).await.unwrap();
    assert!(world.process().is_none());
    let waited = world.clock.elapsed() - before;
    assert!(waited >= Duration::from_secs(120), "{waited:?}");
}

#[tokio::test]
async fn data_that_was_raised_runs_no_older_binary() {
    let world = World::new(SLEEPER).await;
    let node = world.node();
    let supervisor = world.open().await;
    supervisor.precheck(&node, version(OLD)).await.unwrap();
    supervisor.finalise(&node, version(NEW)).await.unwrap();
    for refused in [
        supervisor.precheck(&node, version(OLD)).await,
        supervisor.start(&node, version(OLD)).await,
    ] {
        let error = refused.unwrap_err();
        assert!(
            !error.again && error.reason.contains("cannot open it"),
            "{error}"
        );
    }
    assert!(world.process().is_none());
    let error = supervisor
        .precheck(&node, version("9.9-rmq-20300101"))
        .await
        .unwrap_err();
    assert!(
        !error.again && error.reason.contains("is not published"),
        "{error}"
    );
    supervisor.start(&node, version(NEW)).await.unwrap();
    let seen = supervisor.look(&node).await.unwrap();
    assert_eq!(seen.format, Some(version(NEW)));
    // Refusing to drain is an error only of a node that runs.
    assert!(supervisor.drain(&node).await.unwrap_err().again);
    supervisor.stop(&node).await.unwrap();
    supervisor.drain(&node).await.unwrap();
}
