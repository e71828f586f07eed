//! Nodes that are real processes, of programs that are small scripts.

use std::{fs, future::ready, num::NonZeroUsize, time::Duration};

use base::Sleep;
use futures::future::{Either, select};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;
use crate::{
    NewRelease, Outcome, Rollout, TaskState, TrustedKeys, UpdateRecord, Updates, Zone,
    release::test_key::TestKey,
    test_world::{MemoryMetadata, NEW, OLD, RealClock, TestClock, instance, version},
};

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

/// Nodes that have no protocol. They refuse to drain once their data is raised.
struct NoCalls;

impl NodeCalls for NoCalls {
    fn is_healthy<'a>(&'a self, _: &'a NodeRecord) -> BoxFuture<'a, Result<bool, String>> {
        async { Ok(true) }.boxed()
    }

    fn drain<'a>(&'a self, node: &'a NodeRecord) -> BoxFuture<'a, Result<(), String>> {
        let refused = read_data_version(&node.folder).unwrap().is_some();
        let answer = if refused {
            Err("connection refused".to_owned())
        } else {
            Ok(())
        };
        async { answer }.boxed()
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

impl World {
    /// With two releases that run `program`, and a node that is on record.
    async fn new(program: &str) -> Self {
        Self::with_nodes(program, 1).await
    }

    async fn with_nodes(program: &str, count: usize) -> Self {
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
                key: None,
            };
            catalogue.publish(release).await.unwrap();
        }
        let pipe = world.folder.path().join("pipe");
        let (kind, mode) = (FileType::Fifo, Mode::RUSR | Mode::WUSR);
        mknodat(CWD, &pipe, kind, mode, 0).unwrap();
        let supervisor = world.open().await;
        for number in 0..count {
            let folder = world.folder.path().join(format!("n{number}"));
            fs::create_dir(&folder).unwrap();
            let record = NodeRecord {
                name: NodeName::new(format!("n{number}")),
                instance: Some(instance()),
                folder,
                port: 0,
                arguments: vec!["server".to_owned(), pipe.display().to_string()],
                output: world.folder.path().join(format!("log/n{number}.log")),
                wanted: None,
            };
            supervisor.add(record).await.unwrap();
        }
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
        self.process_of(0)
    }

    fn process_of(&self, number: usize) -> Option<Process> {
        let name = NodeName::new(format!("n{number}"));
        let folder = self.folder.path().join(name.as_str());
        Process::find(&name, &folder).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Nothing that a failed test started goes on.
        for number in 0..3 {
            while let Some(process) = self.process_of(number) {
                process.kill();
            }
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
    assert!(first.remove(&node).await.unwrap_err().again);
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
    second.start(&node, version(NEW)).await.unwrap();
    assert_eq!(halt(world.folder.path(), &*world.clock).await.unwrap(), 1);
    for _ in 0..2 {
        second.remove(&node).await.unwrap();
    }
    assert!(second.node(&node).is_none() && world.open().await.nodes().is_empty());
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

/// One life of a control process, to the end of its update or until `limit` says so: whether the
/// update is over.
async fn life(world: &World, limit: impl Future<Output = ()>) -> bool {
    let metadata = Arc::clone(&world.metadata) as Arc<dyn MetadataStore>;
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let newest = world.catalogue().await.newest().unwrap();
    let updates = Updates::open(Arc::clone(&metadata), Arc::clone(&clock), Some(&newest)).await;
    let rollout = Rollout {
        metadata,
        clock,
        updates: Arc::new(updates.unwrap()),
        nodes: Arc::new(world.open().await),
        batch_size: NonZeroUsize::MIN,
    };
    let instance = instance();
    for due in rollout.updates.due() {
        rollout.updates.start(&due, ready(())).await.unwrap();
    }
    // The one before may have died when it had noted the end.
    if rollout
        .updates
        .describe(&instance)
        .unwrap()
        .running()
        .is_none()
    {
        return true;
    }
    let work = Box::pin(rollout.carry_out(&instance));
    match select(work, Box::pin(limit)).await {
        Either::Left((outcome, _)) => {
            assert_eq!(outcome.unwrap(), Outcome::Succeeded);
            true
        }
        Either::Right(_) => false,
    }
}

#[tokio::test]
async fn real_processes_are_updated_by_control_processes_that_die() {
    let world = World::with_nodes(SLEEPER, 3).await;
    let supervisor = world.open().await;
    let mut before = Vec::new();
    for number in 0..3 {
        let name = NodeName::new(format!("n{number}"));
        supervisor.start(&name, version(OLD)).await.unwrap();
        before.push(world.process_of(number).unwrap().number());
    }
    drop(supervisor);
    let metadata = Arc::clone(&world.metadata) as Arc<dyn MetadataStore>;
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let updates = Updates::open(metadata, clock, None).await.unwrap();
    let record = UpdateRecord::new(instance(), true, version(OLD), Zone::utc());
    updates.register(record).await.unwrap();
    drop(updates);
    let newest = world.catalogue().await.newest().unwrap();
    world
        .clock
        .0
        .set(newest.announced_at.after(Duration::from_secs(30 * 86_400)));

    let mut pauses = 1;
    loop {
        // Each lives a little longer than the one before it.
        let mut left = pauses;
        let limit = std::future::poll_fn(|context| {
            if left == 0 {
                return std::task::Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        });
        if life(&world, limit).await {
            break;
        }
        pauses += 7;
        let away = (0..3).filter(|number| world.process_of(*number).is_none());
        assert!(away.count() <= 1);
    }
    assert!(pauses > 20, "no control process died");
    let supervisor = world.open().await;
    for (number, before) in before.into_iter().enumerate() {
        let name = NodeName::new(format!("n{number}"));
        let seen = supervisor.look(&name).await.unwrap();
        assert_eq!(
            (seen.version, seen.format),
            (version(NEW), Some(version(NEW)))
        );
        assert_ne!(world.process_of(number).unwrap().number(), before);
        assert_eq!(supervisor.record(&name).unwrap().wanted, Some(version(NEW)));
    }
    let updates = Updates::open(
        Arc::clone(&world.metadata) as Arc<dyn MetadataStore>,
        Arc::clone(&world.clock) as Arc<dyn Clock>,
        Some(&newest),
    );
    let record = updates.await.unwrap().describe(&instance()).unwrap();
    assert_eq!(record.ended[0].state, TaskState::Succeeded);
    assert_eq!((record.version, &record.open), (version(NEW), &None));
}
