//! `carrack bench e2e`: sends carry the time at which they were due, receivers look at it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::{sync::oneshot, time::Instant};

use super::{
    Span,
    machine::Usage,
    meter::{Meter, Progress},
    options::{BenchOptions, Protocol},
    receive::{Receivers, Start},
    report::{Check, Report},
    send::{Senders, load, noise},
    sender::run_number,
    target::{prepare_grpc, remoting_options},
};
use crate::exit::Failure;

/// Bytes of a body that hold run and time.
const STAMP_BYTES: usize = 16;

/// How long messages may take to arrive after the last send.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause between two looks at whether all have arrived.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn run(options: BenchOptions) -> Result<(), Failure> {
    if options.size < STAMP_BYTES {
        return Err(Failure::Usage(anyhow::anyhow!(
            "--size is {}, expected at least {STAMP_BYTES}: a message carries its time",
            options.size
        )));
    }
    let options = BenchOptions {
        until_end: false,
        ..options
    };
    let senders = Senders::connect(&options).await?;
    let queues = match options.protocol {
        Protocol::Remoting => Vec::new(),
        Protocol::Grpc => prepare_grpc(&options).await?.0,
    };
    let target = senders.target.as_ref();
    if let Some(target) = target {
        target
            .ensure_group(&options.group, &remoting_options(&options))
            .await?;
    }
    let receivers = Receivers::connect(&options, target, &queues, Start::End).await?;

    let span = Span::from_now(&options);
    let (arrivals, acks, sent) = (Meter::new(span), Meter::new(span), Meter::new(span));
    // Messages of earlier runs may still be on their way.
    let run = run_number();
    let received = Arc::new(AtomicU64::new(0));
    let mut lanes = receivers.start(&arrivals, &acks, {
        let received = Arc::clone(&received);
        move |bodies, _, lane| {
            let now = Instant::now();
            for body in bodies {
                if let Some((of_run, due)) = read_stamp(body)
                    && of_run == run
                {
                    received.fetch_add(1, Ordering::Relaxed);
                    lane.latency(span.start + due, now);
                }
            }
        }
    });
    let (_running, stopped) = oneshot::channel();
    let usage = tokio::spawn(Usage::watch(span, options.server_pid, stopped));
    let progress = Progress::start(&sent, &options);
    let filling = noise(options.size - STAMP_BYTES);
    let body = move |due: Instant| stamped(run, due - span.start, &filling);
    let not_begun = load(&options, &senders, span, &sent, body).await?;
    let counts = sent.counts();
    let deadline = Instant::now() + PATIENCE;
    while received.load(Ordering::Relaxed) < counts.messages_all && Instant::now() < deadline {
        super::wait_until(Instant::now() + LOOK_PAUSE).await;
    }
    lanes.shutdown().await;
    drop(progress);

    let usage = usage.await.ok();
    let (latency, mut failures) = arrivals.result();
    let (send_latency, send_failures) = sent.result();
    failures.extend(send_failures);
    failures.extend(acks.result().1);
    let mut report = Report::new(
        "e2e",
        &options,
        span.seconds(),
        counts,
        (latency, failures),
        usage,
    );
    report.send_latency = Some(send_latency);
    report.not_begun = not_begun;
    let (confirmed, found) = (counts.messages_all, received.load(Ordering::Relaxed));
    // At least once: more is no fault, fewer is.
    report.check = if found >= confirmed {
        Check::Passed { confirmed, found }
    } else {
        Check::Failed { confirmed, found }
    };
    report.of_server(senders.target.as_ref()).await.print()
}

/// A body that says of which run it is and when it was due, counted from the start of the run.
fn stamped(run: u64, due: Duration, filling: &Bytes) -> Bytes {
    let mut body = BytesMut::with_capacity(STAMP_BYTES + filling.len());
    body.put_u64(run);
    body.put_u64(u64::try_from(due.as_nanos()).unwrap_or(u64::MAX));
    body.put_slice(filling);
    body.freeze()
}

fn read_stamp(body: &Bytes) -> Option<(u64, Duration)> {
    let run = u64::from_be_bytes(*body.first_chunk()?);
    let nanos = u64::from_be_bytes(*body.get(8..)?.first_chunk()?);
    Some((run, Duration::from_nanos(nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let due = Duration::from_nanos(1_234_567_890_123);
        let body = stamped(7, due, &noise(100));
        assert_eq!(body.len(), 116);
        assert_eq!(read_stamp(&body), Some((7, due)));
        assert_eq!(read_stamp(&body.slice(..15)), None);
    }
}
