//! What the load generator can be asked.

use anyhow::ensure;
use base::limits;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use wire::remoting::SerializeType;

use crate::cli::{Keys, Output};

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Send messages; latency runs until the server confirms them
    Send(BenchOptions),
    /// Receive messages that are there, and those that come
    Receive(BenchOptions),
    /// Send and receive; latency runs from when a send was due until the message is received
    E2e(BenchOptions),
}

impl BenchCommand {
    pub(super) fn options(&self) -> &BenchOptions {
        match self {
            Self::Send(options) | Self::Receive(options) | Self::E2e(options) => options,
        }
    }
}

/// How to load the server.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct BenchOptions {
    /// Server to load: one that answers route requests of the protocol
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    pub(super) server: String,
    /// Protocol to speak
    #[arg(long, value_enum, default_value_t = Protocol::Remoting)]
    pub(super) protocol: Protocol,
    /// When loading gRPC: where Remoting requests go that create topic and group and count what is
    /// in the queues [default: the server, if it takes them]
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) admin_server: Option<String>,
    /// Topic to use; created where the server allows it
    #[arg(long, default_value = "carrack-bench")]
    pub(super) topic: String,
    /// When sending over Remoting: topics to send to in turn, named after --topic with a number
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) topics: usize,
    /// Queues of the topic, if it is created
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) queues: u32,
    /// Group to receive in; over gRPC it goes on where it stopped
    #[arg(long, default_value = "carrack-bench")]
    pub(super) group: String,
    /// Size of a message body in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    pub(super) size: usize,
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) connections: usize,
    /// Requests under way per connection
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(super) in_flight: usize,
    /// Messages per second, over all connections [default: as many as the server takes]
    #[arg(long, value_name = "N")]
    pub(super) rate: Option<f64>,
    /// Seconds to measure
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(super) duration: f64,
    /// Seconds of load before measuring
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub(super) warmup: f64,
    /// Messages per send request
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) batch: usize,
    /// Type of the messages sent, and of the topic, if it is created
    #[arg(long, value_enum, default_value_t = MessageKind::Normal)]
    pub(super) message_type: MessageKind,
    /// Most messages per receive request
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub(super) receive_batch: u32,
    /// Form of Remoting headers
    #[arg(long, value_enum, default_value_t = Headers::Binary)]
    pub(super) headers: Headers,
    /// Encrypt; any certificate is taken
    #[arg(long)]
    pub(super) tls: bool,
    #[command(flatten)]
    #[serde(skip)]
    pub(super) keys: Keys,
    /// When receiving over Remoting: pop and ack instead of pulling
    #[arg(long)]
    pub(super) pop: bool,
    /// When pulling: only this queue [default: all]
    #[arg(long, value_name = "N")]
    pub(super) queue: Option<u32>,
    /// When sending: stop after so many messages, if the time is not over before
    #[arg(long, value_name = "N")]
    pub(super) messages: Option<u64>,
    /// When receiving, stop at the messages that were there at the start
    #[arg(long)]
    pub(super) until_end: bool,
    /// Threads of the load generator
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) threads: usize,
    /// Process on this machine whose CPU time and memory to report: the server's
    #[arg(long, value_name = "PID")]
    pub(super) server_pid: Option<u32>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Output::Table)]
    #[serde(skip)]
    pub(super) output: Output,
}

/// Protocols of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    /// That of 3.x to 5.x clients
    Remoting,
    /// That of 5.x gRPC clients
    Grpc,
}

/// Types of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum MessageKind {
    /// Neither of the others
    Normal,
    /// In 64 message groups, each of which has one queue
    Fifo,
    /// Half messages, each committed at once; confirmed when both are (Remoting only)
    Transaction,
}

impl MessageKind {
    /// As topics name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Fifo => "FIFO",
            Self::Transaction => "TRANSACTION",
        }
    }
}

/// Forms of Remoting headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Headers {
    /// As Java clients write by default
    Json,
    /// RocketMQ's binary form
    Binary,
}

impl From<Headers> for SerializeType {
    fn from(headers: Headers) -> Self {
        match headers {
            Headers::Json => Self::Json,
            Headers::Binary => Self::RocketMq,
        }
    }
}

impl BenchOptions {
    /// The topics to send to.
    pub(super) fn topic_names(&self) -> Vec<String> {
        if self.topics == 1 {
            return vec![self.topic.clone()];
        }
        let numbers = 0..self.topics;
        numbers.map(|n| format!("{}-{n}", self.topic)).collect()
    }

    /// Refuses what makes no sense.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let within = |name: &str, value: usize, max: usize| {
            ensure!(
                (1..=max).contains(&value),
                "--{name} is {value}, expected 1 to {max}"
            );
            Ok(())
        };
        within("size", self.size, limits::MESSAGE_BODY_BYTES_MAX)?;
        within("connections", self.connections, 10_000)?;
        within("in-flight", self.in_flight, 10_000)?;
        within("batch", self.batch, limits::SEND_BATCH_MESSAGES_MAX)?;
        within(
            "receive-batch",
            self.receive_batch as usize,
            limits::PULL_MESSAGES_MAX,
        )?;
        within("threads", self.threads, 1_024)?;
        within("topics", self.topics, limits::TOPICS_PER_INSTANCE_MAX)?;
        ensure!(
            self.topics == 1 || self.protocol == Protocol::Remoting,
            "--topics goes with --protocol remoting"
        );
        ensure!(
            self.size * self.batch <= limits::MESSAGE_BODY_BYTES_MAX,
            "--batch {} of --size {} has {} bytes, expected at most {}",
            self.batch,
            self.size,
            self.size * self.batch,
            limits::MESSAGE_BODY_BYTES_MAX
        );
        ensure!(
            self.message_type != MessageKind::Transaction
                || (self.batch == 1 && self.protocol == Protocol::Remoting),
            "--message-type transaction goes with --protocol remoting and without --batch"
        );
        let seconds = |name: &str, value: f64, min: f64| {
            ensure!(
                value.is_finite() && value >= min && value <= 1e6,
                "--{name} is {value}, expected {min} to 1000000"
            );
            Ok(())
        };
        seconds("duration", self.duration, 0.1)?;
        seconds("warmup", self.warmup, 0.0)?;
        if let Some(rate) = self.rate {
            ensure!(
                rate.is_finite() && (0.01..=1e8).contains(&rate),
                "--rate is {rate}, expected 0.01 to 100000000"
            );
        }
        Ok(())
    }
}
