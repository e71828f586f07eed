//! The task that takes events out of the queue and records them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use base::{Timestamp, limits};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    Event, What,
    deliveries::{Begun, Deliveries},
    spans, topic,
};
use crate::front::{DrainPhase, Front};

/// An event, about the message as the server knows it.
pub(super) struct Happened {
    pub(super) event: Event,
    /// When the delivery that it ends began, if that is known.
    pub(super) begun_at: Option<Timestamp>,
}

/// Starts the recorder, where anybody asks for what happens. It ends once the process has stopped
/// serving, when everything in the queue is recorded.
pub(crate) fn start(front: &Arc<Front>) -> Option<JoinHandle<()>> {
    if !front.message_traces.is_on() {
        return None;
    }
    let queue = front.message_traces.queue.lock().take()?;
    Some(tokio::spawn(record(Arc::clone(front), queue)))
}

async fn record(front: Arc<Front>, mut queue: mpsc::Receiver<Event>) {
    let mut deliveries = Deliveries::default();
    let mut events = Vec::new();
    loop {
        let is_over = tokio::select! {
            biased;
            () = front.drain.reached(DrainPhase::Closed) => true,
            _ = queue.recv_many(&mut events, limits::TRACE_EVENTS_PER_BATCH_MAX) => {
                let linger = Duration::from_millis(limits::TRACE_LINGER_MS);
                tokio::select! {
                    () = front.clock.sleep(linger) => {}
                    () = front.drain.reached(DrainPhase::Closed) => {}
                }
                false
            }
        };
        while events.len() < limits::TRACE_EVENTS_PER_BATCH_MAX
            && let Ok(event) = queue.try_recv()
        {
            events.push(event);
        }
        if events.is_empty() && is_over {
            return;
        }
        let happened = events
            .drain(..)
            .map(|event| remember(&mut deliveries, event));
        let mut happened: Vec<Happened> = happened.collect();
        give_spans(&front, &happened);
        happened.retain(|happened| happened.event.instance.is_traced());
        if front.message_traces.has_topic {
            topic::write(&front, happened).await;
        }
    }
}

/// Gives spans to whoever asks for them, and does not wait for room there.
fn give_spans(front: &Front, happened: &[Happened]) {
    let traces = &front.message_traces;
    let Some(asked) = &traces.spans else {
        return;
    };
    let spans = happened.iter();
    let spans: Vec<_> = spans
        .filter_map(|happened| spans::span(happened, asked.sampled_percent))
        .collect();
    let count = spans.len() as u64;
    if count > 0 && asked.out.try_send(spans).is_err() {
        traces.spans_lost.fetch_add(count, Ordering::Relaxed);
    }
}

fn remember(deliveries: &mut Deliveries, mut event: Event) -> Happened {
    let mut begun_at = None;
    match &event.what {
        What::Sent { .. } | What::TransactionEnded { .. } | What::Recalled => {}
        What::Received { delivery, .. } => {
            let begun = Begun {
                at: event.at,
                message: event.message.clone(),
            };
            deliveries.begin(*delivery, begun);
        }
        What::Settled { delivery, .. } => {
            if let Some(begun) = deliveries.end(delivery) {
                // Who ends a delivery tells an id at most. The receipt told the message.
                event.message = begun.message;
                begun_at = Some(begun.at);
            }
        }
    }
    Happened { event, begun_at }
}
