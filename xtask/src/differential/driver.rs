//! Runs operations against one server, one after the other, and says what is to be seen of each.

mod check;
mod find;
mod member;
mod offset;
mod pop;
mod pull;
mod send;
mod timed;

use std::collections::HashMap;
use std::time::Duration;

use client::{ClientError, RemotingClient, RemotingOptions};
use tokio::sync::mpsc;
use wire::message::StoredMessage;
use wire::remoting::{
    Command, Header, RequestCode, ResponseCode, SerializeType,
    header::{GetMaxOffsetRequest, OffsetResponse},
};

use anyhow::{Context as _, Result};

pub(super) use self::check::check_often;
pub(super) use self::pull::TOLD;

use super::operation::{Client, Group, Operation, Topic};
use super::outcome::{Outcome, Reaction};
use super::workload::{PLAIN_QUEUES, SINK_QUEUES, TIMED_QUEUES};
use crate::conformance::deadline::Deadline;

/// For an answer; a busy machine is slow.
const REQUEST: Duration = Duration::from_secs(30);

/// For an answer that may not come.
const SILENCE: Duration = Duration::from_secs(2);

/// Between two looks at something that is to happen.
const PAUSE: Duration = Duration::from_millis(20);

/// For what was stored to be readable: the original indexes behind its answers.
const SETTLED: Duration = Duration::from_secs(10);

/// How often a server that is too busy is asked again.
const BUSY_MAX: u32 = 5;

/// Commands of a server that wait to be looked at; what comes beyond them is lost.
const PUSHED_MAX: usize = 1_024;

/// The broker's name on both sides.
const BROKER_NAME: &str = "default-0";

/// A fault planted between the driver and the server, to see it caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Fault {
    /// Acknowledgements do not reach the server.
    AckIgnored,
    /// Timed messages come a second and a half early.
    DelayEarly,
    /// Commits of offsets do not reach the server.
    CommitDropped,
    /// Heartbeats do not reach the server.
    HeartbeatDropped,
    /// Locks are granted without asking the server.
    LockForged,
    /// Changes of the time at which a message becomes visible do not reach the server.
    ChangeIgnored,
}

/// Addresses of a server.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// Where routes are asked for.
    pub(super) name_server: String,
    /// Where all else is.
    pub(super) broker: String,
}

/// What the driver remembers of a send.
#[derive(Clone, Debug)]
struct Sent {
    topic: Topic,
    queue: i32,
    queue_offset: i64,
    physical_offset: i64,
    recall_handle: Option<String>,
    unique_key: String,
    /// When it is due, and when it was sent, ms since 1970.
    due_ms: i64,
}

/// What the driver remembers of a message of a pop.
#[derive(Clone, Debug)]
struct Taken {
    topic: Topic,
    group: Group,
    queue: i32,
    offset: i64,
    extra_info: String,
    unique_key: String,
    is_settled: bool,
}

/// Where a message that was sent back will be: queue 0 of either topic, from these offsets.
#[derive(Clone, Copy, Debug)]
struct Return {
    group: Group,
    retry: i64,
    dead: i64,
}

/// The connections of a seed to one server, and what it learned there.
pub(super) struct Driver {
    /// Part of every name, so that seeds do not meet.
    name: String,
    seed: u64,
    fault: Option<Fault>,
    clients: [RemotingClient; 2],
    /// What the server tells the first of them.
    pushed: mpsc::Receiver<Command>,
    name_server: RemotingClient,
    sent: HashMap<usize, Sent>,
    pulled: HashMap<usize, Vec<StoredMessage>>,
    popped: HashMap<usize, Vec<Taken>>,
    returns: HashMap<usize, Return>,
    ends: HashMap<(Topic, i32), i64>,
    keys: HashMap<String, usize>,
}

/// JSON headers: binary ones have no room for the codes of receiving with receipts.
fn options() -> RemotingOptions {
    RemotingOptions {
        serialize_type: SerializeType::Json,
        request_timeout: REQUEST,
        connect_timeout: REQUEST,
        ..RemotingOptions::default()
    }
}

impl Driver {
    /// Connects, and creates the topics and groups of the seed.
    pub(super) async fn start(
        addresses: &Addresses,
        name: String,
        seed: u64,
        fault: Option<Fault>,
    ) -> Result<Self> {
        let connect = |address: &str| {
            let address = address.to_owned();
            async move { RemotingClient::connect(&address, options()).await }
        };
        let (sender, pushed) = mpsc::channel(PUSHED_MAX);
        let options = RemotingOptions {
            pushed: Some(sender),
            ..options()
        };
        let first = RemotingClient::connect(&addresses.broker, options).await?;
        let driver = Self {
            name,
            seed,
            fault,
            clients: [first, connect(&addresses.broker).await?],
            pushed,
            name_server: connect(&addresses.name_server).await?,
            sent: HashMap::new(),
            pulled: HashMap::new(),
            popped: HashMap::new(),
            returns: HashMap::new(),
            ends: HashMap::new(),
            keys: HashMap::new(),
        };
        driver.create().await?;
        Ok(driver)
    }

    async fn create(&self) -> Result<()> {
        let topics = [
            (Topic::Plain, PLAIN_QUEUES),
            (Topic::Timed, TIMED_QUEUES),
            (Topic::Popped, 1),
            (Topic::Ordered, 1),
            (Topic::Sink, SINK_QUEUES),
        ];
        for (topic, queues) in topics {
            let name = self.topic(topic);
            self.clients[0]
                .create_topic(client::remoting::NewTopic {
                    name: &name,
                    queues: queues.cast_unsigned(),
                    message_type: None,
                    lite_topic_expiration_minutes: None,
                })
                .await
                .with_context(|| format!("create topic {name}"))?;
        }
        for group in [
            Group::First,
            Group::Second,
            Group::Careless,
            Group::Popping,
            Group::Ordering,
        ] {
            let name = self.group(group);
            let config = wire::remoting::body::GroupConfig {
                group_name: name.clone(),
                ..Default::default()
            };
            self.clients[0]
                .create_group(&config)
                .await
                .with_context(|| format!("create group {name}"))?;
        }
        // A connection that says nothing at first is not kept by everybody.
        self.clients[1]
            .topic_config(&self.topic(Topic::Plain))
            .await?;
        // The name server learns of topics behind the broker's answer.
        let deadline = Deadline::after(REQUEST);
        for (topic, _) in topics {
            while self.name_server.route(&self.topic(topic)).await.is_err() {
                if deadline.remaining().is_zero() {
                    anyhow::bail!("no route of {} in time", self.topic(topic));
                }
                pause(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Runs an operation.
    pub(super) async fn run(&mut self, index: usize, operation: &Operation) -> Outcome {
        match operation {
            Operation::Send { content, is_short } => self.send(index, content, *is_short).await,
            Operation::SendBatch { content, count } => {
                self.send_batch(index, content, *count).await
            }
            Operation::SendHalf {
                content,
                is_checked,
            } => self.send_half(index, content, *is_checked).await,
            Operation::AwaitCheck { half, decision } => self.await_check(*half, *decision).await,
            Operation::EndTransaction {
                half,
                decision,
                is_right_group,
                shift,
                ..
            } => {
                self.end_transaction(*half, *decision, *is_right_group, *shift)
                    .await
            }
            Operation::SendTimed { content, delay } => {
                self.send_timed(index, content, *delay).await
            }
            Operation::Await { send, is_expected } => self.await_timed(*send, *is_expected).await,
            Operation::Recall { send, is_genuine } => self.recall(*send, *is_genuine).await,
            Operation::Pull { .. } => self.pull(index, operation).await,
            Operation::SendBack {
                pull,
                group,
                delay_level,
                retries_max,
            } => {
                self.send_back(index, *pull, *group, *delay_level, *retries_max)
                    .await
            }
            Operation::AwaitSentBack { send_back } => self.await_sent_back(*send_back).await,
            Operation::Commit { .. }
            | Operation::Committed { .. }
            | Operation::Search { .. }
            | Operation::MaxOffset { .. }
            | Operation::MinOffset { .. }
            | Operation::EarliestStoreTime { .. }
            | Operation::AllCommitted
            | Operation::ConsumeStats { .. }
            | Operation::Reset { .. } => self.offset(operation).await,
            Operation::Pop { .. } => self.pop(index, operation).await,
            Operation::PopAgain { pop } => self.pop_again(*pop).await,
            Operation::PopOrderedAgain { pop } => self.pop_ordered_again(index, *pop).await,
            Operation::Ack {
                pop,
                message,
                receipt,
            } => self.ack(*pop, *message, *receipt).await,
            Operation::AckAll { pop } => self.ack_all(*pop).await,
            Operation::ChangeInvisible {
                pop,
                message,
                invisible_ms,
                receipt,
            } => {
                self.change_invisible(*pop, *message, *invisible_ms, *receipt)
                    .await
            }
            Operation::Lock { .. }
            | Operation::Unlock { .. }
            | Operation::Heartbeat { .. }
            | Operation::Unregister { .. }
            | Operation::Consumers { .. } => self.member(operation).await,
            Operation::QueryKey { send, is_unique } => self.query_key(*send, *is_unique).await,
            Operation::ViewById { send, shift } => self.view_by_id(*send, *shift).await,
            Operation::Route { topic } => self.route(*topic).await,
            Operation::Raw { code, fields } => self.raw(*code, fields).await,
        }
    }

    fn topic(&self, topic: Topic) -> String {
        let name = &self.name;
        match topic {
            Topic::Plain => format!("{name}-plain"),
            Topic::Timed => format!("{name}-timed"),
            Topic::Popped => format!("{name}-popped"),
            Topic::Ordered => format!("{name}-ordered"),
            Topic::Sink => format!("{name}-sink"),
            Topic::Automatic => format!("{name}-automatic"),
            Topic::Retry(group) => format!("%RETRY%{}", self.group(group)),
            Topic::DeadLetter(group) => format!("%DLQ%{}", self.group(group)),
            Topic::Missing => format!("{name}-missing"),
            Topic::OverLong => format!("{name}-{}", "x".repeat(127)),
            Topic::OddName => format!("{name}-a b$"),
        }
    }

    fn group(&self, group: Group) -> String {
        let name = &self.name;
        match group {
            Group::First => format!("{name}-first"),
            Group::Second => format!("{name}-second"),
            Group::Careless => format!("{name}-careless"),
            Group::Popping => format!("{name}-popping"),
            Group::Ordering => format!("{name}-ordering"),
            Group::Missing => format!("{name}-nobody"),
        }
    }

    /// The group of the seed's producers.
    fn producers(&self) -> String {
        format!("{}-producers", self.name)
    }

    fn client(&self, client: Client) -> &RemotingClient {
        match client {
            Client::One => &self.clients[0],
            Client::Two => &self.clients[1],
        }
    }

    /// Asks the broker; again if it is too busy.
    async fn ask(&self, command: Command) -> Asked {
        self.ask_through(&self.clients[0], command, REQUEST).await
    }

    async fn ask_through(
        &self,
        client: &RemotingClient,
        command: Command,
        limit: Duration,
    ) -> Asked {
        for _ in 0..BUSY_MAX {
            match client.request_within(command.clone(), limit).await {
                Ok(answer) if answer.response_code() == Some(ResponseCode::SystemBusy) => {
                    pause(PAUSE * 10).await;
                }
                Ok(answer) => return Asked::Answer(answer),
                Err(ClientError::Timeout { .. }) => return Asked::Nothing(Reaction::Silence),
                Err(_) => return Asked::Nothing(Reaction::Broken),
            }
        }
        Asked::Nothing(Reaction::Code(ResponseCode::SystemBusy.into()))
    }

    async fn raw(&self, code: i32, fields: &[(&'static str, String)]) -> Outcome {
        let mut command = Command {
            code,
            version: wire::remoting::SERVER_VERSION,
            ..Command::default()
        };
        for (name, value) in fields {
            command.fields.push_str(name, value);
        }
        let at = match RequestCode::from_i32(code) {
            Some(RequestCode::GetRouteByTopic) => &self.name_server,
            _ => &self.clients[0],
        };
        self.ask_through(at, command, SILENCE * 5).await.outcome()
    }

    /// Where the queue ends, or none.
    async fn end(&self, topic: Topic, queue: i32) -> Option<i64> {
        let topic = self.topic(topic);
        let header = GetMaxOffsetRequest {
            topic: &topic,
            queue_id: queue,
            committed: true,
            broker_name: None,
        };
        let request = Command::request(RequestCode::GetMaxOffset, &header);
        let asked = self.ask(request).await;
        asked.header::<OffsetResponse>().map(|header| header.offset)
    }

    /// Waits until the queue ends there; true if it does in time.
    async fn settle(&self, topic: Topic, queue: i32, end: i64) -> bool {
        let deadline = Deadline::after(SETTLED);
        while self.end(topic, queue).await < Some(end) {
            if deadline.remaining().is_zero() {
                return false;
            }
            pause(PAUSE).await;
        }
        true
    }
}

/// What came of a request.
enum Asked {
    Answer(Command),
    Nothing(Reaction),
}

impl Asked {
    fn outcome(&self) -> Outcome {
        Outcome::new(match self {
            Self::Answer(answer) => Reaction::Code(answer.code),
            Self::Nothing(reaction) => *reaction,
        })
    }

    /// The header of a successful answer.
    fn header<'a, H: Header<'a>>(&'a self) -> Option<H> {
        match self {
            Self::Answer(answer) if answer.response_code() == Some(ResponseCode::Success) => {
                answer.header().ok()
            }
            _ => None,
        }
    }

    fn answer(&self) -> Option<&Command> {
        match self {
            Self::Answer(answer) => Some(answer),
            Self::Nothing(_) => None,
        }
    }
}

/// What a refused or forged request looks like when a fault keeps it from the server.
fn forged_success() -> Outcome {
    Outcome::new(Reaction::Code(ResponseCode::Success.into()))
}

fn not_asked() -> Outcome {
    Outcome::new(Reaction::NotAsked)
}

#[expect(
    clippy::disallowed_methods,
    reason = "real processes are looked at again and again, which no simulated clock can do"
)]
async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
