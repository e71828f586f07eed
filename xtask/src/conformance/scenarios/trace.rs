//! What a library traces of a send is found in its trace topic.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Round;
use crate::conformance::event::{ConsumerStart, Outgoing, ProducerStart, Received, Session};
use crate::conformance::inbox::Inbox;

const KEY: &str = "traced-order-4711";

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut driver = round.start_driver()?;
    driver.start_producer_as(&ProducerStart {
        session: Session {
            trace: true,
            ..Session::default()
        },
        ..ProducerStart::of(&round.topic)
    })?;
    driver.start_consumer(&ConsumerStart::of(
        round.kind,
        round.client.trace_topic,
        &round.group,
    ))?;
    driver.send(&Outgoing::keyed(&round.topic, KEY))?.all()?;
    let mut inbox = Inbox::default();
    inbox.wait(&mut driver, "the trace", |inbox| {
        inbox.received.iter().any(|one| names(one, KEY))
    })?;
    let trace = inbox.received.iter().find(|one| names(one, KEY));
    let trace = trace.context("the trace")?;
    anyhow::ensure!(
        trace.keys.iter().any(|key| key == KEY),
        "the trace cannot be found by the key of its message, only by {:?}",
        trace.keys
    );
    round.finish(driver)
}

/// Whether a trace is about this message.
fn names(trace: &Received, key: &str) -> bool {
    STANDARD
        .decode(&trace.body_base64)
        .is_ok_and(|body| String::from_utf8_lossy(&body).contains(key))
}
