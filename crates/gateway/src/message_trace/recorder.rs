//! The task that takes events out of the queue and records them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use base::limits;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    Event, Subject, What,
    deliveries::{Begun, Deliveries},
    spans, topic,
};
use crate::front::{DrainPhase, Front};

/// An event, with what is known of the delivery that it ends.
pub(super) struct Happened {
    pub(super) event: Event,
    /// What the receipt said, of the end of a delivery.
    pub(super) begun: Option<Begun>,
}

impl Happened {
    /// The message. Who ends a delivery tells its id at most, so what the receipt said goes first.
    pub(super) fn message(&self) -> &Subject {
        let begun = self.begun.as_ref();
        begun.map_or(&self.event.message, |begun| &begun.message)
    }
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

fn remember(deliveries: &mut Deliveries, event: Event) -> Happened {
    let begun = match &event.what {
        What::Sent { .. } | What::TransactionEnded { .. } | What::Recalled => None,
        What::Received { delivery, .. } => {
            let begun = Begun {
                at: event.at,
                message: event.message.clone(),
            };
            deliveries.begin(*delivery, begun);
            None
        }
        What::Settled { delivery, .. } => deliveries.end(delivery),
    };
    Happened { event, begun }
}
