//! `cargo xtask lite-topics`: what very many LiteTopics cost, and how soon their consumers hear.
//!
//! LiteTopics are created by a message each; then consumers subscribe, each to some of its own, and
//! messages go to random LiteTopics while every consumer waits in a long poll. Memory, rates, the
//! time of a restart after `kill -9` and the time from send to receive are measured, and how soon
//! everybody is served again who comes back after another one. What must hold at any size is
//! checked: each message comes once, to the consumer that subscribed to its LiteTopic. Figures of
//! the product are for the full size on a quiet machine, so only memory and the restart have limits
//! here.

mod punctuality;
mod reconnect;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base::{Random as _, SeededRandom};
use bytes::Bytes;
use client::remoting::{NewTopic, OutgoingMessage};
use client::{ClientError, GrpcClient, RemotingClient, grpc::resource};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wire::grpc_v2::{
    self as v2, AckMessageEntry, AckMessageRequest, LiteSubscriptionAction, MessageQueue,
    OffsetOption, ReceiveMessageRequest, SyncLiteSubscriptionRequest, offset_option,
};
use wire::message::properties;
use wire::remoting::body::GroupConfig;

use self::punctuality::Punctuality;
use super::outlet;
use super::server::Server;
use super::{Options, runtime};

const TOPIC: &str = "sessions";
const GROUP: &str = "agents";

/// Creating sends under way at a time.
const IN_FLIGHT: u64 = 256;

/// Clients that share a connection, as those behind one proxy would.
const CLIENTS_PER_CONNECTION: u64 = 100;

/// Longest wait of a receive.
const LONG_POLL_SECONDS: i64 = 15;

/// Most memory of the server with a million LiteTopics and ten thousand consumers, in bytes.
const RESIDENT_BYTES_MAX: u64 = 500 * 1024 * 1024;

/// Longest restart with them.
const RESTART_MAX: Duration = Duration::from_secs(5);

/// Longest wait for the last message after the last send.
const LAST_ONE_MAX: Duration = Duration::from_secs(60);

/// How much of everything.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Sizes {
    /// LiteTopics.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) lite_topics: u64,
    /// Consumers; each subscribes to its share of the LiteTopics.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) consumers: u64,
    /// Messages per second.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) rate: u64,
    /// Seconds of messages.
    #[arg(long, default_value_t = 30)]
    pub(crate) seconds: u64,
}

/// Measures.
pub(crate) fn run(options: &Options, sizes: Sizes) -> Result<()> {
    let random = SeededRandom::new(options.seed());
    let runtime = runtime()?;
    let folder = tempfile::tempdir().context("create the data folder")?;
    let data = folder.path().join("data");
    let mut server = Server::new("lite-topics", &options.server_binary, &data, 1, &random)?;
    server.start()?;
    let address = server.address();
    let idle = server.resident_bytes()?;
    let count = sizes.lite_topics;
    let took = runtime.block_on(create_all(&address, count))?;
    println!(
        "{count} LiteTopics created by a message each over Remoting, {IN_FLIGHT} in flight: {:.1} s \
         ({:.0}/s), memory {} -> {} MiB",
        took.as_secs_f64(),
        count as f64 / took.as_secs_f64(),
        idle >> 20,
        server.resident_bytes()? >> 20
    );

    server.kill();
    let began = Instant::now();
    server.start()?;
    let restart = began.elapsed();
    println!(
        "restart after kill -9: ready in {:.2} s, memory {} MiB",
        restart.as_secs_f64(),
        server.resident_bytes()? >> 20
    );
    ensure!(restart < RESTART_MAX, "the restart took {restart:?}");

    let load = Arc::new(Load::new(sizes));
    runtime.block_on(async {
        let began = Instant::now();
        let clients = subscribe_all(&address, sizes).await?;
        println!(
            "{} consumers subscribed to {} LiteTopics each: {:.1} s, memory {} MiB",
            sizes.consumers,
            sizes.lite_topics / sizes.consumers,
            began.elapsed().as_secs_f64(),
            server.resident_bytes()? >> 20
        );
        let mut receiving = JoinSet::new();
        for (number, client) in clients.into_iter().enumerate() {
            let load = Arc::clone(&load);
            receiving.spawn(async move { load.receive(&client, number as u64).await });
        }
        let punctuality = Punctuality::start()?;
        let sent = load.send(&address, &random).await;
        load.wait_for_all().await;
        let late = Spread::of(punctuality.stop()?);
        println!(
            "meanwhile memory {} MiB with everybody waiting; a thread that only sleeps ran late by \
             {late}",
            server.resident_bytes()? >> 20
        );
        load.ends.store(true, Ordering::Relaxed);
        receiving.abort_all();
        sent
    })?;
    load.report()?;

    // Once more for long polls of clients that are gone, which would take the messages with them.
    server.kill();
    server.start()?;
    runtime.block_on(reconnect::send_one_each(&address, sizes))?;
    server.kill();
    server.start()?;
    runtime.block_on(reconnect::run(&address, sizes, Instant::now()))?;
    let (now, peak) = (server.resident_bytes()?, server.resident_bytes_peak()?);
    println!("memory {} MiB, at most {} MiB", now >> 20, peak >> 20);
    ensure!(
        peak < RESIDENT_BYTES_MAX,
        "the server took {peak} bytes of memory, expected fewer than {RESIDENT_BYTES_MAX}"
    );
    server.expect_no_panic()?;
    server.stop()
}

fn name(n: u64) -> String {
    format!("session-{n}")
}

/// Creates topic, group and LiteTopics; how long the LiteTopics took.
async fn create_all(address: &str, count: u64) -> Result<Duration> {
    let client = outlet::remoting(address).await?;
    let topic = NewTopic {
        name: TOPIC,
        queues: 1,
        message_type: Some("LITE"),
        lite_topic_expiration_minutes: None,
    };
    client
        .create_topic(topic)
        .await
        .context("create the topic")?;
    let mut group = GroupConfig {
        group_name: GROUP.to_owned(),
        ..GroupConfig::default()
    };
    let bound = ("+lite.bind.topic".to_owned(), TOPIC.to_owned());
    let quota = ("+lite.sub.client.quota".to_owned(), "-1".to_owned());
    group.attributes.extend([bound, quota]);
    client
        .create_group(&group)
        .await
        .context("create the group")?;
    let began = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let mut senders = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (client, next) = (client.clone(), Arc::clone(&next));
        senders.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return Ok(());
                }
                send(&client, n, Bytes::from_static(b"first")).await?;
            }
        });
    }
    while let Some(done) = senders.join_next().await {
        let done: Result<()> = done.context("create LiteTopics")?;
        done?;
    }
    Ok(began.elapsed())
}

async fn send(client: &RemotingClient, n: u64, body: Bytes) -> Result<()> {
    let raw = properties::encode([(properties::LITE_TOPIC, name(n).as_str())])?;
    let message = OutgoingMessage {
        producer_group: "lite-topics",
        topic: TOPIC,
        queue: Some(0),
        automatic_queues: 1,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 0,
        properties: &raw,
        body,
    };
    let sent = client.send(message).await;
    sent.context("send to a LiteTopic")?;
    Ok(())
}

/// Has every consumer subscribe to its share, from behind what is there.
async fn subscribe_all(address: &str, sizes: Sizes) -> Result<Vec<GrpcClient>> {
    let share = sizes.lite_topics / sizes.consumers;
    let mut clients = Vec::new();
    let mut subscribing = JoinSet::new();
    for first in (0..sizes.consumers).step_by(CLIENTS_PER_CONNECTION as usize) {
        let connection = outlet::grpc(address).await?;
        for number in first..sizes.consumers.min(first + CLIENTS_PER_CONNECTION) {
            let client = connection.for_client(&format!("consumer-{number}"))?;
            clients.push(client.clone());
            let names = (number * share..(number + 1) * share).map(name);
            let request = SyncLiteSubscriptionRequest {
                action: LiteSubscriptionAction::PartialAdd.into(),
                topic: Some(resource(TOPIC)),
                group: Some(resource(GROUP)),
                lite_topic_set: names.collect(),
                version: None,
                offset_option: Some(OffsetOption {
                    offset_type: Some(offset_option::OffsetType::Policy(
                        offset_option::Policy::Max.into(),
                    )),
                }),
            };
            subscribing.spawn(async move { client.sync_lite_subscription(request).await });
        }
        while let Some(done) = subscribing.join_next().await {
            done.context("subscribe")?.context("subscribe")?;
        }
    }
    Ok(clients)
}

/// Messages to random LiteTopics, and what became of them.
struct Load {
    sizes: Sizes,
    /// Numbers before this are those of an earlier load.
    first: u64,
    began: Instant,
    ends: AtomicBool,
    has_all: Notify,
    /// Messages whose sends were confirmed, or are under way.
    sent: AtomicU64,
    /// Receives that this machine was too busy to see answered in time.
    timeouts: AtomicU64,
    arrived: Mutex<Arrived>,
}

#[derive(Default)]
struct Arrived {
    /// How often each message came, by its number.
    times: HashMap<u64, u32>,
    latencies_us: Vec<u64>,
    wrong: Vec<String>,
}

impl Load {
    fn new(sizes: Sizes) -> Self {
        Self {
            sizes,
            first: 0,
            began: Instant::now(),
            ends: AtomicBool::new(false),
            has_all: Notify::new(),
            sent: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            arrived: Mutex::default(),
        }
    }

    fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// Sends at a steady rate, each when it is due, whether those before it are confirmed or not.
    async fn send(self: &Arc<Self>, address: &str, random: &SeededRandom) -> Result<()> {
        let client = outlet::remoting(address).await?;
        let count = self.sizes.rate * self.sizes.seconds;
        let began = Instant::now();
        let mut sends = JoinSet::new();
        for number in 0..count {
            let due = Duration::from_micros(number * 1_000_000 / self.sizes.rate);
            tokio::time::sleep_until(began + due).await;
            let lite_topic = random.next() % self.sizes.lite_topics;
            let (client, load) = (client.clone(), Arc::clone(self));
            sends.spawn(async move {
                let body = format!("{number} {lite_topic} {}", load.now_us());
                send(&client, lite_topic, body.into()).await
            });
            self.sent.fetch_add(1, Ordering::Relaxed);
            while let Some(done) = sends.try_join_next() {
                done.context("send")??;
            }
        }
        while let Some(done) = sends.join_next().await {
            done.context("send")??;
        }
        Ok(())
    }

    /// Waits until everything has come; a bounded time, after which the report says what has not.
    async fn wait_for_all(&self) {
        let _ = tokio::time::timeout(LAST_ONE_MAX, self.has_all.notified()).await;
    }

    async fn receive(&self, client: &GrpcClient, number: u64) {
        let share = self.sizes.lite_topics / self.sizes.consumers;
        let mine = number * share..(number + 1) * share;
        while !self.ends.load(Ordering::Relaxed) {
            let received = client.receive(request()).await;
            let now = self.now_us();
            let messages = match received {
                Ok(messages) => messages,
                // Ten thousand clients on a busy machine: what counts is that every message comes.
                Err(ClientError::Timeout { .. }) => {
                    self.timeouts.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                Err(error) => {
                    self.arrived.lock().wrong.push(format!("{error:#}"));
                    return;
                }
            };
            let mut entries = Vec::new();
            for message in messages {
                let text = String::from_utf8_lossy(&message.body).into_owned();
                let mut parts = text.split(' ').map(str::parse::<u64>);
                let mut arrived = self.arrived.lock();
                match (parts.next(), parts.next(), parts.next()) {
                    // An ack that the crash undid.
                    (Some(Ok(n)), ..) if n < self.first => {}
                    (Some(Ok(n)), Some(Ok(lite_topic)), Some(Ok(at)))
                        if mine.contains(&lite_topic) =>
                    {
                        *arrived.times.entry(n).or_default() += 1;
                        if arrived.times.len() as u64 == self.sizes.rate * self.sizes.seconds {
                            self.has_all.notify_one();
                        }
                        arrived.latencies_us.push(now.saturating_sub(at));
                    }
                    _ => arrived
                        .wrong
                        .push(format!("consumer {number} got `{text}`")),
                }
                let system = message.system_properties.unwrap_or_default();
                entries.push(AckMessageEntry {
                    message_id: system.message_id,
                    receipt_handle: system.receipt_handle.unwrap_or_default(),
                    lite_topic: system.lite_topic,
                });
            }
            if !entries.is_empty() {
                let acked = client.ack(AckMessageRequest {
                    group: Some(resource(GROUP)),
                    topic: Some(resource(TOPIC)),
                    entries,
                });
                if let Err(error) = acked.await {
                    self.arrived.lock().wrong.push(format!("{error:#}"));
                }
            }
        }
    }

    /// Checks that each message that was sent came once, and nothing else.
    fn check(&self) -> Result<()> {
        let arrived = self.arrived.lock();
        let sent = self.sent.load(Ordering::Relaxed);
        if let Some(first) = arrived.wrong.first() {
            let count = arrived.wrong.len();
            anyhow::bail!("{count} answers are wrong, the first: {first}");
        }
        let came = arrived.times.len() as u64;
        ensure!(came == sent, "{came} of {sent} messages came");
        let twice = arrived.times.values().filter(|times| **times > 1).count();
        ensure!(twice == 0, "{twice} messages came more than once");
        Ok(())
    }

    fn report(&self) -> Result<()> {
        self.check()?;
        let sent = self.sent.load(Ordering::Relaxed);
        let latencies = std::mem::take(&mut self.arrived.lock().latencies_us);
        println!(
            "{sent} messages at {}/s to random LiteTopics, each received once by its consumer; {} \
             receives without an answer in time; from send to receive: {}",
            self.sizes.rate,
            self.timeouts.load(Ordering::Relaxed),
            Spread::of(latencies)
        );
        Ok(())
    }
}

/// How times are spread.
struct Spread {
    sorted_us: Vec<u64>,
}

impl Spread {
    fn of(mut times_us: Vec<u64>) -> Self {
        times_us.sort_unstable();
        Self {
            sorted_us: times_us,
        }
    }

    /// The time that this part of them does not exceed, in milliseconds.
    fn at(&self, part: f64) -> f64 {
        let index = (self.sorted_us.len().saturating_sub(1)) as f64 * part;
        self.sorted_us.get(index as usize).copied().unwrap_or(0) as f64 / 1_000.0
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (half, slow, longest) = (self.at(0.5), self.at(0.99), self.at(1.0));
        write!(
            f,
            "p50 {half:.1} ms, p99 {slow:.1} ms, the longest {longest:.1} ms"
        )
    }
}

fn request() -> ReceiveMessageRequest {
    let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
    ReceiveMessageRequest {
        group: Some(resource(GROUP)),
        message_queue: Some(MessageQueue {
            topic: Some(resource(TOPIC)),
            ..MessageQueue::default()
        }),
        filter_expression: Some(v2::FilterExpression {
            r#type: v2::FilterType::Tag.into(),
            expression: "*".to_owned(),
        }),
        batch_size: 16,
        invisible_duration: Some(seconds(60)),
        auto_renew: false,
        long_polling_timeout: Some(seconds(LONG_POLL_SECONDS)),
        attempt_id: None,
    }
}
