//! `carrack bench send`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use client::ClientError;
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use super::{
    Span,
    machine::Usage,
    meter::{Meter, Progress},
    options::{BenchOptions, Protocol},
    pace::Pace,
    report::{Check, Report},
    sender::Sender,
    target::{Target, prepare_grpc, remoting_options},
};
use crate::exit::Failure;

/// How long requests that are due or under way at the end may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause between two looks at what is in the queues.
const PAUSE_BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// How long a lane waits after a failed request, so that a server that refuses is not flooded.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);

/// The senders of a run, and what knows how much is in the queues.
pub(super) struct Senders {
    pub(super) senders: Vec<Arc<Sender>>,
    pub(super) target: Option<Target>,
}

impl Senders {
    /// Prepares the topic and connects.
    pub(super) async fn connect(options: &BenchOptions) -> Result<Self, ClientError> {
        let mut senders = Vec::new();
        let target = match options.protocol {
            Protocol::Remoting => {
                let target = Target::prepare(options, &remoting_options(options)).await?;
                for index in 0..options.connections {
                    let broker = &target.brokers[index % target.brokers.len()];
                    senders.push(Arc::new(Sender::remoting(options, broker).await?));
                }
                Some(target)
            }
            Protocol::Grpc => {
                let (queues, target) = prepare_grpc(options).await?;
                for index in 0..options.connections {
                    senders.push(Arc::new(Sender::grpc(options, &queues, index).await?));
                }
                target
            }
        };
        Ok(Self { senders, target })
    }

    /// Messages that are, or were, in the queues.
    pub(super) async fn found(&self, options: &BenchOptions) -> Result<u64, String> {
        let Some(target) = &self.target else {
            return Err("the server does not speak Remoting on this address".to_owned());
        };
        let offsets = target
            .end_offsets(&options.topic_names(), &remoting_options(options))
            .await;
        offsets.map_err(|error| error.to_string())
    }

    /// Messages that came on top of `before`: looked at again while they are fewer than `expected`
    /// and more keep coming, as some servers confirm messages long before they are in their queues.
    async fn added(
        &self,
        options: &BenchOptions,
        before: u64,
        expected: u64,
    ) -> Result<u64, String> {
        let mut deadline = Instant::now() + PATIENCE;
        let mut most = 0;
        loop {
            let added = self.found(options).await?.saturating_sub(before);
            if added >= expected || Instant::now() >= deadline {
                return Ok(added);
            }
            if added > most {
                most = added;
                deadline = Instant::now() + PATIENCE;
            }
            super::wait_until(Instant::now() + PAUSE_BETWEEN_LOOKS).await;
        }
    }
}

pub(super) async fn run(options: BenchOptions) -> Result<(), Failure> {
    let senders = Senders::connect(&options).await?;
    let before = senders.found(&options).await;
    let body = noise(options.size);
    let span = Span::from_now(&options);
    let meter = Meter::new(span);
    let (running, stopped) = oneshot::channel();
    let usage = tokio::spawn(Usage::watch(span, options.server_pid, stopped));
    let progress = Progress::start(&meter, &options);
    let not_begun = load(&options, &senders, span, &meter, move |_| body.clone()).await?;
    let finished = Instant::now().min(span.end);
    drop(running);
    drop(progress);

    let counts = meter.counts();
    let usage = usage.await.ok();
    let mut report = Report::new(
        "send",
        &options,
        finished
            .saturating_duration_since(span.measured)
            .as_secs_f64(),
        counts,
        meter.result(),
        usage,
    );
    report.not_begun = not_begun;
    let found = match before {
        Ok(before) => senders.added(&options, before, counts.messages_all).await,
        Err(reason) => Err(reason),
    };
    report.check = match found {
        Ok(found) => Check::of(counts.messages_all, found, counts.unknown),
        Err(reason) => Check::NotMade { reason },
    };
    report.of_server(senders.target.as_ref()).await.print()
}

/// Sends until the run is over, and says how many sends were due but never begun. `body` makes the
/// body of a send from the time at which it was due.
pub(super) async fn load(
    options: &BenchOptions,
    senders: &Senders,
    span: Span,
    meter: &Arc<Meter>,
    body: impl Fn(Instant) -> Bytes + Clone + Send + 'static,
) -> Result<u64, Failure> {
    // A request sends `batch` messages; requests are what falls due.
    let rate = options.rate.map(|rate| rate / options.batch as f64);
    let pace = Arc::new(Pace::start(span, rate)?);
    let left = Arc::new(AtomicU64::new(options.messages.unwrap_or(u64::MAX)));
    let mut lanes = JoinSet::new();
    for sender in &senders.senders {
        for _ in 0..options.in_flight {
            let (sender, pace, body) = (Arc::clone(sender), Arc::clone(&pace), body.clone());
            let (messages, mut lane) = (options.batch as u64, meter.lane());
            let left = Arc::clone(&left);
            lanes.spawn(async move {
                while take(&left, messages)
                    && let Some(due) = pace.next().await
                {
                    let body = body(due);
                    let bytes = body.len() as u64 * messages;
                    match sender.send(&body).await {
                        Ok(()) => lane.done(due, messages, bytes),
                        Err(error) => {
                            lane.failed(&error, messages);
                            super::wait_until(Instant::now() + PAUSE_AFTER_FAILURE).await;
                        }
                    }
                }
            });
        }
    }
    let all_ended = async { while lanes.join_next().await.is_some() {} };
    if timeout_at(span.end, all_ended).await.is_ok() {
        // As many messages as were asked for, before the time was over.
        return Ok(0);
    }
    let not_begun = pace.finish(PATIENCE).await;
    let all_ended = async { while lanes.join_next().await.is_some() {} };
    if timeout(PATIENCE, all_ended).await.is_err() {
        lanes.shutdown().await;
    }
    Ok(not_begun)
}

/// Takes a request of `messages` from what is left to send, unless there is nothing.
fn take(left: &AtomicU64, messages: u64) -> bool {
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        (left > 0).then(|| left.saturating_sub(messages))
    });
    taken.is_ok()
}

/// Bytes that no compression makes smaller, the same in every run.
pub(super) fn noise(size: usize) -> Bytes {
    let random = base::SeededRandom::new(7);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&base::Random::next(&random).to_ne_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}
