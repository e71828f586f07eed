//! `carrack bench receive`, and receiving for `e2e`.

mod grpc;
mod pop;
mod pull;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use client::ClientError;
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, timeout_at},
};
use wire::grpc_v2::MessageQueue;

use super::{
    Span,
    machine::Usage,
    meter::{Lane, Meter, Progress},
    options::{BenchOptions, Protocol},
    report::Report,
    target::{Target, prepare_grpc, remoting_options},
};
use crate::exit::Failure;

/// How long the server may hold a request for which there is no message.
const LONG_POLL: Duration = Duration::from_secs(15);

/// The same where an empty answer means the end.
const SHORT_POLL: Duration = Duration::from_secs(1);

/// How long a message that was received stays invisible to others.
const INVISIBLE: Duration = Duration::from_secs(60);

/// How long to wait after a failed request.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// How long a receive may wait for messages.
fn poll(options: &BenchOptions) -> Duration {
    if options.until_end {
        SHORT_POLL
    } else {
        LONG_POLL
    }
}

pub(super) async fn run(options: BenchOptions) -> Result<(), Failure> {
    let options = BenchOptions {
        // What is there may be received before a warm-up is over.
        warmup: if options.until_end {
            0.0
        } else {
            options.warmup
        },
        ..options
    };
    let (target, queues) = match options.protocol {
        Protocol::Remoting => (
            Some(Target::prepare(&options, &remoting_options(&options)).await?),
            Vec::new(),
        ),
        Protocol::Grpc => {
            let (queues, target) = prepare_grpc(&options).await?;
            (target, queues)
        }
    };
    if let Some(target) = &target {
        target
            .ensure_group(&options.group, &remoting_options(&options))
            .await?;
    }
    let receivers = Receivers::connect(&options, target.as_ref(), &queues, Start::First).await?;

    let span = Span::from_now(&options);
    let (meter, acks) = (Meter::new(span), Meter::new(span));
    let (running, stopped) = oneshot::channel();
    let usage = tokio::spawn(Usage::watch(span, options.server_pid, stopped));
    let progress = Progress::start(&meter, &options);
    let mut lanes = receivers.start(&meter, &acks, |bodies, began, lane| {
        let bytes = bodies.iter().map(|body| body.len() as u64).sum();
        lane.done(began, bodies.len() as u64, bytes);
    });
    let all_ended = async { while lanes.join_next().await.is_some() {} };
    // At the end requests are still waiting for messages: nobody needs their answers.
    let _ = timeout_at(span.end, all_ended).await;
    let finished = Instant::now().min(span.end);
    drop(running);
    lanes.shutdown().await;
    drop(progress);

    let seconds = finished
        .saturating_duration_since(span.measured)
        .as_secs_f64();
    let usage = usage.await.ok();
    let mut report = Report::new(
        "receive",
        &options,
        seconds,
        meter.counts(),
        meter.result(),
        usage,
    );
    if options.protocol == Protocol::Grpc || options.pop {
        let (latency, failures) = acks.result();
        report.ack_latency = Some(latency);
        report.failed += acks.counts().failed;
        report.failures.extend(failures);
    }
    report.of_server(target.as_ref()).await.print()
}

/// Where receiving begins in a queue. Over gRPC and with pop the server keeps that, so it has no
/// effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// At the first message there.
    First,
    /// Behind the last one.
    End,
}

/// Receivers that are connected and have not begun.
pub(super) enum Receivers {
    /// One per queue.
    Pull(Vec<pull::Pull>),
    /// One per request under way.
    Pop(Vec<pop::Pop>),
    /// One per request under way.
    Grpc(Vec<grpc::Receive>),
}

impl Receivers {
    /// Connects over the protocol of the run.
    pub(super) async fn connect(
        options: &BenchOptions,
        target: Option<&Target>,
        queues: &[MessageQueue],
        start: Start,
    ) -> Result<Self, ClientError> {
        match (options.protocol, target) {
            (Protocol::Remoting, Some(target)) if options.pop => {
                Ok(Self::Pop(pop::connect(options, target).await?))
            }
            (Protocol::Remoting, Some(target)) => {
                Ok(Self::Pull(pull::connect(options, target, start).await?))
            }
            _ => Ok(Self::Grpc(grpc::connect(options, queues).await?)),
        }
    }

    /// Lets all receivers begin. `arrived` sees the bodies of each answer, and when it was asked
    /// for.
    pub(super) fn start(
        self,
        meter: &Arc<Meter>,
        acks: &Arc<Meter>,
        arrived: impl Fn(&[Bytes], Instant, &mut Lane) + Clone + Send + 'static,
    ) -> JoinSet<()> {
        let mut lanes = JoinSet::new();
        match self {
            Self::Pull(pulls) => {
                for pull in pulls {
                    lanes.spawn(pull.run(meter.lane(), arrived.clone()));
                }
            }
            Self::Pop(pops) => {
                for pop in pops {
                    lanes.spawn(pop.run(meter.lane(), acks.lane(), arrived.clone()));
                }
            }
            Self::Grpc(receives) => {
                for receive in receives {
                    lanes.spawn(receive.run(meter.lane(), acks.lane(), arrived.clone()));
                }
            }
        }
        lanes
    }
}
