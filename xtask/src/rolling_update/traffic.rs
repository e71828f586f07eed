//! Released clients that send and receive all the while.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use parking_lot::Mutex;

use super::ledger::{Account, Ledger};
use crate::conformance::clients::{CLIENTS, Client, ConsumerKind, Protocol};
use crate::conformance::deadline::{Deadline, unix_ms};
use crate::conformance::driver::Driver;
use crate::conformance::event::{ConsumerStart, ProducerStart, Session, StreamStart};

/// Between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Lanes of a client. Of an ordered one they are message groups: enough for some at every node.
const LANES: u32 = 12;

/// Tells a topic of type FIFO that a message is one, where the client has no message groups.
const GROUP_PROPERTY: &str = "__SHARDINGKEY";

/// For what was sent to be received once nothing disturbs it: libraries look for queues that came
/// back each 20 s, and ask for routes each 30 s.
const SETTLE: Duration = Duration::from_secs(120);

/// One client with its topic.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// The client's name in the conformance tests.
    client: &'static str,
    /// Its topic, and the start of its keys.
    pub(super) topic: &'static str,
    /// Its consumer group.
    pub(super) group: &'static str,
    /// Whether its messages are in message groups.
    pub(super) ordered: bool,
}

/// All clients.
pub(super) const KINDS: [Kind; 4] = [
    Kind {
        client: "java-remoting-5",
        topic: "remoting-normal",
        group: "remoting-normal-group",
        ordered: false,
    },
    Kind {
        client: "java-remoting-5",
        topic: "remoting-fifo",
        group: "remoting-fifo-group",
        ordered: true,
    },
    Kind {
        client: "java-grpc",
        topic: "grpc-normal",
        group: "grpc-normal-group",
        ordered: false,
    },
    Kind {
        client: "java-grpc",
        topic: "grpc-fifo",
        group: "grpc-fifo-group",
        ordered: true,
    },
];

impl Kind {
    /// The released client.
    pub(super) fn client(&self) -> Result<&'static Client> {
        let mut clients = CLIENTS.iter();
        let client = clients.find(|client| client.name == self.client);
        client.with_context(|| format!("no client `{}`", self.client))
    }
}

/// How clients are started.
pub(super) struct Setting<'a> {
    /// The top folder of the workspace.
    pub(super) root: &'a Path,
    /// Where clients of each protocol connect to.
    pub(super) endpoint: &'a str,
    /// Who they are.
    pub(super) session: Session,
    /// Messages per second of each client.
    pub(super) rate: u32,
    /// Where their errors are logged.
    pub(super) logs: &'a Path,
}

/// A client that sends and receives. Dropping it kills it.
pub(super) struct Traffic {
    pub(super) kind: Kind,
    ledger: Arc<Mutex<Ledger>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Traffic {
    /// Starts the client, its consumer first.
    pub(super) fn start(kind: Kind, setting: &Setting<'_>) -> Result<Self> {
        let client = kind.client()?;
        let is_remoting = client.protocol == Protocol::Remoting;
        let mut command = client.driver(setting.root, setting.endpoint);
        let log = setting.logs.join(format!("{}.log", kind.topic));
        let mut driver = Driver::start(kind.topic, &mut command, &log)?;
        driver.start_consumer(&ConsumerStart {
            // A gRPC client consumes in order because its group does.
            ordered: kind.ordered && is_remoting,
            session: setting.session.clone(),
            ..ConsumerStart::of(ConsumerKind::Push, kind.topic, kind.group)
        })?;
        driver.start_producer_as(&ProducerStart {
            session: setting.session.clone(),
            ..ProducerStart::of(kind.topic)
        })?;
        driver.start_stream(&StreamStart {
            topic: kind.topic,
            prefix: &format!("{}-", kind.topic),
            lanes: LANES,
            interval_ms: u64::from(LANES) * 1_000 / u64::from(setting.rate.max(1)),
            ordered: kind.ordered,
            group_property: (kind.ordered && is_remoting).then_some(GROUP_PROPERTY),
        })?;
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (ledger, stop) = (Arc::clone(&ledger), Arc::clone(&stop));
            move || follow(driver, &ledger, &stop)
        });
        Ok(Self {
            kind,
            ledger,
            stop,
            thread: Some(thread),
        })
    }

    /// Waits until `count` more messages were acknowledged.
    pub(super) fn wait_for_more(&self, count: u64) -> Result<()> {
        let deadline = Deadline::after(SETTLE);
        let target = self.ledger.lock().acknowledged() + count;
        while self.ledger.lock().acknowledged() < target {
            let has_ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            if has_ended || deadline.remaining().is_zero() {
                let shown = self.ledger.lock().account();
                bail!("{} sends nothing: {shown:?}", self.kind.topic);
            }
            super::pause(LOOK);
        }
        Ok(())
    }

    /// Tells it to stop sending, and to go on receiving until nothing is missing.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Waits for its end, once it was told to stop, and says what became of its messages.
    pub(super) fn end(mut self) -> Result<Account> {
        self.stop();
        let thread = self.thread.take().context("it has ended already")?;
        thread
            .join()
            .map_err(|_| anyhow!("the thread of {} panicked", self.kind.topic))?
            .with_context(|| self.kind.topic)?;
        Ok(self.ledger.lock().account())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Notes what the driver says, until told to stop and nothing is missing.
fn follow(mut driver: Driver, ledger: &Mutex<Ledger>, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Acquire) {
        if let Some(event) = driver.next_event_until(Deadline::after(LOOK))? {
            ledger.lock().note(event);
        }
    }
    let ended_at_ms = unix_ms();
    driver.stop_stream()?;
    let deadline = Deadline::after(SETTLE);
    loop {
        // Everything that was said before counts before anything is missed.
        while let Some(event) = driver.next_event_until(Deadline::after(Duration::ZERO))? {
            ledger.lock().note(event);
        }
        if ledger.lock().missing() == 0 || deadline.remaining().is_zero() {
            break;
        }
        if let Some(event) = driver.next_event_until(Deadline::after(LOOK))? {
            ledger.lock().note(event);
        }
    }
    ledger.lock().end_sending(ended_at_ms);
    driver.exit()
}
