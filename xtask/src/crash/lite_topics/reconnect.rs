//! Everybody comes back at once: the server was killed, its clients say again what they subscribe
//! to, and each looks for what came meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use client::{ClientError, GrpcClient, grpc::resource};
use tokio::task::JoinSet;
use tokio::time::Instant;
use wire::grpc_v2::{LiteSubscriptionAction, SyncLiteSubscriptionRequest};

use super::{CLIENTS_PER_CONNECTION, GROUP, IN_FLIGHT, Load, Sizes, TOPIC, name, send};
use crate::crash::outlet::{self, Outlet, Protocol};

/// What somebody else sends to meanwhile.
const OTHER_TOPIC: &str = "orders";

/// Between two sends to it.
const OTHER_INTERVAL: Duration = Duration::from_millis(10);

/// Number of the first message, higher than any before.
const FIRST: u64 = 1 << 32;

/// Longest time until everybody has a message again.
const SERVED_MAX: Duration = Duration::from_secs(120);

/// The last LiteTopic of a consumer: it finds the message only when it has looked at all others.
fn last_of(consumer: u64, sizes: Sizes) -> u64 {
    let share = sizes.lite_topics / sizes.consumers;
    consumer * share + share - 1
}

/// A message for each consumer, while none is there.
pub(super) async fn send_one_each(address: &str, sizes: Sizes) -> Result<()> {
    let client = outlet::remoting(address).await?;
    outlet::create_topic(address, OTHER_TOPIC, 1).await?;
    let next = Arc::new(AtomicU64::new(0));
    let mut senders = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (client, next) = (client.clone(), Arc::clone(&next));
        senders.spawn(async move {
            loop {
                let consumer = next.fetch_add(1, Ordering::Relaxed);
                if consumer >= sizes.consumers {
                    return Ok(());
                }
                let lite_topic = last_of(consumer, sizes);
                let body = format!("{} {lite_topic} 0", FIRST + consumer);
                send(&client, lite_topic, body.into()).await?;
            }
        });
    }
    while let Some(done) = senders.join_next().await {
        let done: Result<()> = done.context("send one each")?;
        done?;
    }
    Ok(())
}

/// Has all consumers come back to a server that was ready at `ready`, and waits until each has its
/// message.
pub(super) async fn run(address: &str, sizes: Sizes, ready: Instant) -> Result<()> {
    let one_each = Sizes {
        rate: sizes.consumers,
        seconds: 1,
        ..sizes
    };
    let mut load = Load::new(one_each);
    load.first = FIRST;
    let load = Arc::new(load);
    load.sent.store(sizes.consumers, Ordering::Relaxed);
    let ends = Arc::new(AtomicBool::new(false));
    let other = tokio::spawn(send_elsewhere(address.to_owned(), Arc::clone(&ends)));
    let mut coming = JoinSet::new();
    let subscribed = Arc::new(AtomicU64::new(0));
    for first in (0..sizes.consumers).step_by(CLIENTS_PER_CONNECTION as usize) {
        let connection = outlet::grpc(address).await?;
        for number in first..sizes.consumers.min(first + CLIENTS_PER_CONNECTION) {
            let client = connection.for_client(&format!("consumer-{number}"))?;
            let (load, subscribed) = (Arc::clone(&load), Arc::clone(&subscribed));
            coming.spawn(async move {
                if let Err(error) = subscribe(&client, number, sizes).await {
                    load.arrived.lock().wrong.push(format!("{error:#}"));
                    return;
                }
                if subscribed.fetch_add(1, Ordering::Relaxed) + 1 == sizes.consumers {
                    println!(
                        "all said again what they subscribe to: {:.1} s",
                        seconds(ready)
                    );
                }
                load.receive(&client, number).await;
            });
        }
    }
    let all = tokio::time::timeout(SERVED_MAX, load.has_all.notified()).await;
    let took = seconds(ready);
    load.ends.store(true, Ordering::Relaxed);
    coming.abort_all();
    ends.store(true, Ordering::Relaxed);
    let (sends, longest) = other.await.context("send elsewhere")??;
    load.check()?;
    ensure!(all.is_ok(), "not everybody had a message after {took:.1} s");
    println!(
        "after kill -9, {} consumers came back at once: each had the message that waited for it \
         {took:.1} s after the server was ready; of {sends} sends to another topic meanwhile the \
         longest took {:.1} ms",
        sizes.consumers,
        longest.as_secs_f64() * 1_000.0
    );
    Ok(())
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

/// All that the consumer subscribes to, as SDKs say it when they connect.
async fn subscribe(client: &GrpcClient, number: u64, sizes: Sizes) -> Result<()> {
    let share = sizes.lite_topics / sizes.consumers;
    loop {
        let names = (number * share..(number + 1) * share).map(name);
        let request = SyncLiteSubscriptionRequest {
            action: LiteSubscriptionAction::CompleteAdd.into(),
            topic: Some(resource(TOPIC)),
            group: Some(resource(GROUP)),
            lite_topic_set: names.collect(),
            version: None,
            offset_option: None,
        };
        match client.sync_lite_subscription(request).await {
            Ok(_) => return Ok(()),
            // It says so again, as SDKs do.
            Err(ClientError::Timeout { .. }) => {}
            Err(error) => return Err(error).context("subscribe again"),
        }
    }
}

/// Sends to another topic, one message after the other; how many, and the longest time of one.
async fn send_elsewhere(address: String, ends: Arc<AtomicBool>) -> Result<(u64, Duration)> {
    let outlet = Outlet::connect(Protocol::Remoting, &address).await?;
    let (mut sends, mut longest) = (0, Duration::ZERO);
    while !ends.load(Ordering::Relaxed) {
        let began = Instant::now();
        outlet
            .send(OTHER_TOPIC, "other", Bytes::from_static(b"other"))
            .await
            .context("send elsewhere")?;
        longest = longest.max(began.elapsed());
        sends += 1;
        tokio::time::sleep_until(began + OTHER_INTERVAL).await;
    }
    Ok((sends, longest))
}
