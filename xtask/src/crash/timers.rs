//! `cargo xtask timers`: what pending timers cost, and how punctual many at once are.
//!
//! Timers spread over 40 days are sent and stay pending: memory and the time of a restart after
//! `kill -9` are measured with them there. Then many messages are due in one and the same second:
//! none may come early, and all within two seconds. The time limits are those of the product; a
//! stated smaller number is enough for CI.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use base::SeededRandom;
use client::RemotingClient;
use client::remoting::{NewTopic, OutgoingMessage, PullQueue};
use tokio::task::JoinSet;
use wire::message::properties;

use super::message::body_of_len;
use super::outlet;
use super::server::Server;
use super::{Options, runtime};

const TOPIC: &str = "timers";

/// Queues of the topic, so that reading them is not what is measured.
const QUEUES: u32 = 4;

/// Sends under way at a time.
const IN_FLIGHT: u64 = 256;

/// Bytes of each body.
const BODY_BYTES: u64 = 256;

/// Longest delay that a default instance takes.
const DAYS_40: Duration = Duration::from_secs(40 * 24 * 3_600);

/// Most memory that a million pending timers may take, in bytes.
const PENDING_BYTES_MAX: u64 = 200 * 1024 * 1024;

/// Longest restart with them pending.
const RESTART_MAX: Duration = Duration::from_secs(5);

/// From the due time to the last message of the many.
const LATE_MAX: Duration = Duration::from_secs(2);

/// Measures.
pub(crate) fn run(options: &Options, pending: u64, due: u64) -> Result<()> {
    let random = SeededRandom::new(options.seed());
    let runtime = runtime()?;
    let folder = tempfile::tempdir().context("create the data folder")?;
    let data = folder.path().join("data");
    let mut server = Server::new("timers", &options.server_binary, &data, 1, &random)?;
    server.start()?;
    let address = server.address();
    runtime.block_on(create_topic(&address))?;

    let idle = server.resident_bytes()?;
    let began = now_ms();
    let step_ms = (DAYS_40.as_millis() as u64 - 7_200_000) / pending.max(1);
    let first_ms = now_ms() + 3_600_000;
    runtime.block_on(send_all(&address, "pending", pending, move |n| {
        first_ms + n * step_ms
    }))?;
    let took = since(began);
    let loaded = server.resident_bytes()?;
    println!(
        "{pending} timers over 40 days: sent in {:.1} s ({:.0}/s), memory {} -> {} MiB",
        took.as_secs_f64(),
        pending as f64 / took.as_secs_f64(),
        idle >> 20,
        loaded >> 20
    );

    server.kill();
    let began = now_ms();
    server.start()?;
    let restart = since(began);
    let after = server.resident_bytes()?;
    println!(
        "restart after kill -9: ready in {:.2} s, memory {} MiB",
        restart.as_secs_f64(),
        after >> 20
    );
    ensure!(restart < RESTART_MAX, "the restart took {restart:?}");
    for (when, bytes) in [("after sending", loaded), ("after the restart", after)] {
        let over = bytes.saturating_sub(idle);
        ensure!(
            over < PENDING_BYTES_MAX,
            "{pending} pending timers take {over} bytes of memory {when}, expected fewer than \
             {PENDING_BYTES_MAX}"
        );
    }

    // Time enough to send them all before they are due.
    let at_ms = now_ms() + 5_000 + due / 5;
    runtime.block_on(async {
        let reading = tokio::spawn(read_all(address.clone(), due, at_ms));
        let sent = send_all(&address, "due", due, move |n| at_ms + n * 1_000 / due).await;
        let left = at_ms.saturating_sub(now_ms());
        sent?;
        ensure!(
            left > 0,
            "sending took longer than the time until they are due"
        );
        reading.await.context("read the timers")?
    })?;
    server.expect_no_panic()?;
    server.stop()
}

async fn create_topic(address: &str) -> Result<()> {
    let new = NewTopic {
        name: TOPIC,
        queues: QUEUES,
        message_type: Some("DELAY"),
        lite_topic_expiration_minutes: None,
    };
    let client = outlet::remoting(address).await?;
    client.create_topic(new).await.context("create the topic")
}

async fn send_all(
    address: &str,
    prefix: &'static str,
    count: u64,
    due_ms: impl Fn(u64) -> u64 + Copy + Send + Sync + 'static,
) -> Result<()> {
    let client = outlet::remoting(address).await?;
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
                send(&client, &format!("{prefix}-{n}"), n, due_ms(n)).await?;
            }
        });
    }
    while let Some(done) = senders.join_next().await {
        let done: Result<()> = done.context("send timers")?;
        done?;
    }
    Ok(())
}

async fn send(client: &RemotingClient, key: &str, n: u64, due_ms: u64) -> Result<()> {
    let due = due_ms.to_string();
    let raw = properties::encode([
        (properties::KEYS, key),
        (properties::TIMER_DELIVER_MS, due.as_str()),
    ])?;
    let message = OutgoingMessage {
        producer_group: "timers",
        topic: TOPIC,
        queue: Some((n % u64::from(QUEUES)) as u32),
        automatic_queues: QUEUES,
        flag: 0,
        sys_flag: 0,
        born_timestamp: now_ms().cast_signed(),
        properties: &raw,
        body: body_of_len(key, BODY_BYTES),
    };
    client.send(message).await.context("send a timer")?;
    Ok(())
}

/// Reads until everything that is due has come, and looks at when it did.
async fn read_all(address: String, due: u64, at_ms: u64) -> Result<()> {
    let mut readers = JoinSet::new();
    let seen = Arc::new(AtomicU64::new(0));
    for queue in 0..QUEUES {
        let (address, seen) = (address.clone(), Arc::clone(&seen));
        readers.spawn(async move { read(&address, queue, due, at_ms, &seen).await });
    }
    let (mut keys, mut last_ms, mut worst_ms) = (BTreeSet::new(), 0, 0);
    while let Some(read) = readers.join_next().await {
        let read: Read = read.context("read timers")??;
        keys.extend(read.keys);
        last_ms = last_ms.max(read.last_ms);
        worst_ms = worst_ms.max(read.worst_ms);
    }
    let expected: BTreeSet<String> = (0..due).map(|n| format!("due-{n}")).collect();
    ensure!(keys == expected, "{} of {due} timers came", keys.len());
    let end_ms = at_ms + 1_000;
    let behind = last_ms.saturating_sub(end_ms);
    println!(
        "{due} timers due within one second: none early, the last {behind} ms after that second, \
         the latest of all {worst_ms} ms after its own time"
    );
    ensure!(
        Duration::from_millis(behind) <= LATE_MAX,
        "the last timer came {behind} ms after the second in which they were due"
    );
    Ok(())
}

struct Read {
    keys: Vec<String>,
    last_ms: u64,
    worst_ms: u64,
}

async fn read(address: &str, queue: u32, due: u64, at_ms: u64, seen: &AtomicU64) -> Result<Read> {
    let client = outlet::remoting(address).await?;
    let mut read = Read {
        keys: Vec::new(),
        last_ms: 0,
        worst_ms: 0,
    };
    let mut offset = 0;
    while seen.load(Ordering::Relaxed) < due {
        let pulled = client
            .pull(PullQueue {
                group: "timers",
                topic: TOPIC,
                queue,
                offset,
                max_messages: 1_000,
                commit: None,
                expression: "*",
                wait: Duration::from_secs(1),
            })
            .await
            .context("pull timers")?;
        let now = now_ms();
        offset = pulled.next;
        for message in &pulled.messages {
            let text = message.property(properties::TIMER_DELIVER_MS);
            let mine: u64 = text.context("no due time")?.parse()?;
            let key = message.property(properties::KEYS).context("no key")?;
            let stored = message.store_timestamp().cast_unsigned();
            if now < mine || stored < mine {
                bail!("{key} was due at {mine} and came at {now}, stored at {stored}");
            }
            ensure!(
                message.body() == body_of_len(key, BODY_BYTES),
                "the body of {key} was changed"
            );
            read.worst_ms = read.worst_ms.max(now - mine);
            read.last_ms = now;
            read.keys.push(key.to_owned());
        }
        let before = seen.fetch_add(pulled.messages.len() as u64, Ordering::Relaxed);
        ensure!(
            now < at_ms + 60_000,
            "{before} of {due} timers came within a minute"
        );
    }
    Ok(read)
}

fn since(began_ms: u64) -> Duration {
    Duration::from_millis(now_ms().saturating_sub(began_ms).max(1))
}

#[expect(
    clippy::disallowed_methods,
    reason = "timers are due by the real clock of the machine"
)]
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_millis() as u64
}
