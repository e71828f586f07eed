//! The one list of scenarios that every client goes through. One file per scenario.

mod across_protocols;
mod live_restart;
mod redelivery;
mod thousand_messages;

use std::path::{Path, PathBuf};

use anyhow::Result;

pub(crate) use across_protocols::{PairResult, across_protocols};

use super::clients::{Client, ConsumerKind};
use super::driver::Driver;
use super::target::Target;

/// What one client has to show with each of its consumers.
pub(crate) struct Scenario {
    /// The name on the command line and in results.
    pub(crate) name: &'static str,
    /// One sentence for readers of the results.
    pub(crate) shows: &'static str,
    /// Whether it says something about this kind of consumer.
    pub(crate) applies: fn(ConsumerKind) -> bool,
    /// Whether it says nothing where the server cannot be restarted.
    pub(crate) needs_restart: bool,
    /// Carries it out.
    pub(crate) run: fn(&mut Round<'_>) -> Result<()>,
}

/// Every scenario for one client; the order is the order of the run.
pub(crate) const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "thousand-messages",
        shows: "1,000 messages arrive exactly once and stay acknowledged when client and server restart",
        applies: |_| true,
        needs_restart: false,
        run: thousand_messages::run,
    },
    Scenario {
        name: "redelivery",
        shows: "a message that is not acknowledged comes back as the second attempt, the others do not",
        applies: ConsumerKind::retries,
        needs_restart: false,
        run: redelivery::run,
    },
    Scenario {
        name: "live-restart",
        shows: "a running producer and consumer carry on when the server restarts under them",
        applies: |_| true,
        needs_restart: true,
        run: live_restart::run,
    },
];

/// One scenario with one consumer of one client.
pub(crate) struct Round<'a> {
    /// The client.
    pub(crate) client: &'a Client,
    /// Its consumer.
    pub(crate) kind: ConsumerKind,
    /// The server.
    pub(crate) target: &'a mut Target,
    /// The topic, which exists.
    pub(crate) topic: String,
    /// The consumer group, which exists.
    pub(crate) group: String,
    /// The workspace.
    pub(crate) root: &'a Path,
    /// Where the drivers log to.
    pub(crate) log: PathBuf,
}

impl Round<'_> {
    /// Starts a driver of the client: a new process each time.
    pub(crate) fn start_driver(&self) -> Result<Driver> {
        let mut command = self
            .client
            .driver(self.root, self.target.address(self.client.protocol));
        Driver::start(self.client.name, &mut command, &self.log)
    }

    /// Starts the consumer of this round.
    pub(crate) fn start_consumer(&self, driver: &mut Driver, hold: Option<&str>) -> Result<()> {
        driver.start_consumer(self.kind, &self.topic, &self.group, hold)
    }
}
