//! The one list of scenarios that every client goes through. One file per scenario.

mod across_protocols;
mod batch;
mod broadcasting;
mod client_metrics;
mod dead_letter;
mod filters;
mod invisible_duration;
mod large_message;
mod lite_topics;
mod live_restart;
mod namespace;
mod ordered;
mod poisoned_message_group;
mod priority;
mod redelivery;
mod request_reply;
mod seek;
mod thousand_messages;
mod timed;
mod trace;
mod transaction;
mod type_mismatch;
mod wrong_secret;

use std::path::{Path, PathBuf};

use anyhow::Result;

pub(crate) use across_protocols::{PairResult, across_protocols};

use super::clients::{Client, ConsumerKind, Protocol};
use super::driver::Driver;
use super::event::ConsumerStart;
use super::features::Feature;
use super::target::{Setting, Target};

/// What one client has to show with each of its consumers.
pub(crate) struct Scenario {
    /// The name on the command line and in results.
    pub(crate) name: &'static str,
    /// One sentence for readers of the results.
    pub(crate) shows: &'static str,
    /// Whether it says something about this kind of consumer.
    pub(crate) applies: fn(&Client, ConsumerKind) -> bool,
    /// What it needs of the client library.
    pub(crate) needs: &'static [Feature],
    /// The types of messages that its topic takes.
    pub(crate) messages: Messages,
    /// Settings of its server that differ from the defaults.
    pub(crate) settings: &'static [Setting],
    /// Whether it says nothing where the server cannot be restarted.
    pub(crate) needs_restart: bool,
    /// Carries it out.
    pub(crate) run: fn(&mut Round<'_>) -> Result<()>,
}

impl Scenario {
    /// A scenario for all messages, consumers and libraries; the others differ from it.
    const PLAIN: Self = Self {
        name: "",
        shows: "",
        applies: |_, _| true,
        needs: &[],
        messages: Messages::both("normal"),
        settings: &[],
        needs_restart: false,
        run: |_| Ok(()),
    };

    /// Whether it says something about this consumer. What a library cannot do is said in the
    /// results.
    pub(crate) fn asks(&self, client: &Client, kind: ConsumerKind) -> bool {
        (self.applies)(client, kind)
    }
}

/// The type of a topic, which the protocols name differently.
#[derive(Clone, Copy)]
pub(crate) struct Messages {
    remoting: &'static str,
    grpc: &'static str,
}

impl Messages {
    const fn both(name: &'static str) -> Self {
        Self {
            remoting: name,
            grpc: name,
        }
    }

    /// Over Remoting nothing tells such a message from a normal one, and timed ones go beside
    /// them; nor do clients over gRPC v1 expect topics of one type.
    const fn mixed_or(grpc: &'static str) -> Self {
        Self {
            remoting: "mixed",
            grpc,
        }
    }

    /// The type in the words of the command line.
    pub(crate) fn over(self, protocol: Protocol) -> &'static str {
        match protocol {
            Protocol::Remoting | Protocol::GrpcV1 => self.remoting,
            Protocol::Grpc | Protocol::OnsHttp => self.grpc,
        }
    }
}

/// Every scenario for one client; the order is the order of the run.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "thousand-messages",
        shows: "1,000 messages arrive exactly once and stay acknowledged when client and server restart",
        run: thousand_messages::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "redelivery",
        shows: "a message that is not acknowledged comes back as the second attempt, the others do not",
        applies: |_, kind| kind.retries(),
        run: redelivery::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "live-restart",
        shows: "a running producer and consumer carry on when the server restarts under them",
        needs_restart: true,
        run: live_restart::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "tag-filter",
        shows: "a tag expression lets its tags through and nothing else",
        needs: &[Feature::TagFilter],
        run: filters::by_tag,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "sql-filter",
        shows: "an SQL92 filter lets through what matches and nothing else",
        needs: &[Feature::SqlFilter],
        run: filters::by_sql,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "ordered",
        shows: "messages of a sharding key arrive in order, and wait behind one that fails",
        applies: |_, kind| kind.retries(),
        needs: &[Feature::Ordered],
        messages: Messages::mixed_or("fifo"),
        run: ordered::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "poisoned-message-group",
        shows: "of 100 message groups one fails and has a long backlog: the others finish as fast as without it, each in order",
        applies: |client, _| client.protocol == Protocol::Grpc,
        needs: &[Feature::Ordered],
        messages: Messages::both("fifo"),
        run: poisoned_message_group::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "transaction",
        shows: "commit shows a half message, rollback never, a missing answer is asked for at any producer of the group",
        applies: once,
        needs: &[Feature::Transactions],
        messages: Messages::both("transaction"),
        settings: transaction::SETTINGS,
        run: transaction::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "delay-level",
        shows: "messages with a delay level come when it is over",
        applies: once,
        needs: &[Feature::DelayLevels],
        messages: Messages::mixed_or("delay"),
        run: timed::by_level,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "delivery-time",
        shows: "messages for an exact time come then, none early",
        applies: once,
        needs: &[Feature::DeliveryTime],
        messages: Messages::mixed_or("delay"),
        run: timed::at_time,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "recall",
        shows: "a timed message that is taken back never comes",
        applies: once,
        needs: &[Feature::Recall],
        messages: Messages::mixed_or("delay"),
        run: timed::recall,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "priority",
        shows: "of the messages that wait, those of a higher priority come first, each priority in order",
        applies: |_, kind| kind == ConsumerKind::Simple,
        needs: &[Feature::Priority],
        messages: Messages::both("priority"),
        run: priority::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "lite-topics",
        shows: "a lite consumer gets what is in its LiteTopics, each in order: at once, when it subscribes to one later, and no more when it has unsubscribed",
        applies: |client, kind| client.protocol == Protocol::Grpc && once(client, kind),
        needs: &[Feature::LiteTopics],
        messages: Messages::both("lite"),
        run: lite_topics::chosen,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "lite-exclusive",
        shows: "the last consumer of an exclusive group to subscribe has a LiteTopic, the one before is told; beyond its quota it is refused with a reason",
        applies: |client, kind| client.protocol == Protocol::Grpc && once(client, kind),
        needs: &[Feature::LiteTopics],
        messages: Messages::both("lite"),
        run: lite_topics::exclusive,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "lite-clustering",
        shows: "a consumer of a group that chooses no LiteTopics gets the messages of all of them, those of new ones too",
        applies: |client, _| client.protocol == Protocol::Grpc,
        needs: &[Feature::LiteTopics],
        messages: Messages::both("lite"),
        run: lite_topics::clustering,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "broadcasting",
        shows: "two broadcasting consumers of a group get every message each",
        applies: once,
        needs: &[Feature::Broadcasting],
        run: broadcasting::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "seek",
        shows: "a consumer that polls goes to the beginning, to a point in time and to the end",
        applies: |_, kind| kind == ConsumerKind::LitePull,
        needs: &[Feature::Seek],
        run: seek::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "dead-letter",
        shows: "a message that fails comes back as often as its group allows, then is a dead letter",
        applies: once,
        needs: &[Feature::DeadLetter],
        run: dead_letter::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "batch",
        shows: "several messages in one request arrive one by one",
        applies: once,
        needs: &[Feature::Batch],
        run: batch::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "large-message",
        shows: "a body of 4 MiB is taken, one byte more refused with a reason, and the producer goes on",
        applies: once,
        needs: &[Feature::Uncompressed],
        run: large_message::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "request-reply",
        shows: "a request is answered by a consumer; without an answer it fails in time",
        applies: once,
        needs: &[Feature::RequestReply],
        run: request_reply::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "trace",
        shows: "the trace of a send is found in the trace topic by the key of its message",
        applies: once,
        needs: &[Feature::Trace],
        run: trace::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "wrong-secret",
        shows: "with access control, a producer with a wrong secret or none is refused with a reason",
        applies: once,
        needs: &[Feature::Credentials],
        settings: wrong_secret::SETTINGS,
        run: wrong_secret::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "namespace",
        shows: "clients of two namespaces use the same names and see nothing of each other",
        applies: once,
        needs: &[Feature::Namespace],
        run: namespace::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "invisible-duration",
        shows: "a simple consumer gives a message back early, keeps another for longer, and acknowledges what it kept",
        applies: |_, kind| kind == ConsumerKind::Simple,
        needs: &[Feature::InvisibleDuration],
        run: invisible_duration::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "type-mismatch",
        shows: "a topic takes messages of its own type and refuses each other type with a reason",
        applies: |client, kind| client.protocol == Protocol::Grpc && once(client, kind),
        run: type_mismatch::run,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "client-metrics",
        shows: "what a client measures of its sends and its consumer is on the server's metrics page, at the latest once it stops",
        applies: |client, kind| client.protocol == Protocol::Grpc && once(client, kind),
        needs: &[Feature::ClientMetrics],
        // The metrics are those of a server that nobody else uses.
        needs_restart: true,
        run: client_metrics::run,
        ..Scenario::PLAIN
    },
];

/// Applies to one consumer of each client: the one with a listener, where there is one.
fn once(client: &Client, kind: ConsumerKind) -> bool {
    client.main_consumer() == Some(kind)
}

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
    /// Messages that wait behind one that fails, where a scenario is about that.
    pub(crate) backlog: u32,
    /// What was measured, for the results.
    pub(crate) note: Option<String>,
}

impl Round<'_> {
    /// Starts a driver of the client: a new process each time.
    pub(crate) fn start_driver(&self) -> Result<Driver> {
        let mut command = self
            .client
            .driver(self.root, self.target.address(self.client.protocol));
        Driver::start(self.client.name, &mut command, &self.log)
    }

    /// Whether the library lacks something that only a part of the scenario needs.
    pub(crate) fn lacks(&self, feature: Feature) -> bool {
        self.client.lack(self.kind, &[feature]).is_some()
    }

    /// Ends a driver in the orderly way, but for consumers that take very long to stop: the first
    /// scenario has shown that they do.
    pub(crate) fn finish(&self, mut driver: Driver) -> Result<()> {
        if !self.client.stops_slowly(self.kind) {
            driver.stop_consumer()?;
        }
        driver.stop_producer()?;
        driver.exit()
    }

    /// Starts the consumer of this round.
    pub(crate) fn start_consumer(&self, driver: &mut Driver, hold: Option<&str>) -> Result<()> {
        driver.start_consumer(&ConsumerStart {
            hold,
            ..self.consumer()
        })
    }

    /// The consumer of this round, to be changed by scenarios.
    pub(crate) fn consumer(&self) -> ConsumerStart<'_> {
        ConsumerStart::of(self.kind, &self.topic, &self.group)
    }
}
