//! With access control, a server serves who signs with the right secret and refuses everybody else.

use anyhow::{Result, bail};

use super::Round;
use crate::conformance::event::{ConsumerStart, Outgoing, ProducerStart, Session};
use crate::conformance::inbox::Inbox;
use crate::conformance::target::{ADMIN_ACCESS_KEY, ADMIN_SECRET_KEY, Setting};

/// A server with access control and one administrator.
pub(super) const SETTINGS: &[Setting] = &[
    ("access_control", "true"),
    ("admin_access_key", ADMIN_ACCESS_KEY),
    ("admin_secret_key", ADMIN_SECRET_KEY),
];

/// What a refusal must not look like: then the application would try again.
const NOT_REASONS: [&str; 3] = ["timeout", "timed out", "closed"];

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let session = |secret_key: &str| Session {
        access_key: Some(ADMIN_ACCESS_KEY.to_owned()),
        secret_key: Some(secret_key.to_owned()),
        ..Session::default()
    };
    let right = session(ADMIN_SECRET_KEY);
    let mut driver = round.start_driver()?;
    driver.start_producer_as(&ProducerStart {
        session: right.clone(),
        ..ProducerStart::of(&round.topic)
    })?;
    driver.start_consumer(&ConsumerStart {
        session: right.clone(),
        ..round.consumer()
    })?;
    driver.send(&message(round, "signed"))?.all()?;
    let mut inbox = Inbox::default();
    inbox.settle(&mut driver, ["signed"])?;

    let mut other = round.start_driver()?;
    for (key, session) in [
        ("wrong-secret", session("not-the-secret")),
        ("unsigned", Session::default()),
    ] {
        let start = ProducerStart {
            session,
            ..ProducerStart::of(&round.topic)
        };
        // Some libraries are refused at their start, some at the first message.
        let error = match other.try_start_producer(&start)? {
            Err(error) => error,
            Ok(()) => {
                let report = other.send(&message(round, key))?;
                other.stop_producer()?;
                match report.failed.into_iter().next() {
                    None => bail!("`{key}` was taken"),
                    Some((_, error)) => error,
                }
            }
        };
        let lower = error.to_lowercase();
        if NOT_REASONS.iter().any(|text| lower.contains(text)) {
            bail!("`{key}` fails without a reason: {error}");
        }
    }
    // It was not the driver.
    other.start_producer_as(&ProducerStart {
        session: right,
        ..ProducerStart::of(&round.topic)
    })?;
    other.send(&message(round, "signed-too"))?.all()?;
    other.stop_producer()?;
    other.exit()?;

    driver.send(&message(round, "last"))?.all()?;
    inbox.settle(&mut driver, ["signed-too", "last"])?;
    inbox.expect_exactly(["signed", "signed-too", "last"])?;
    round.finish(driver)
}

fn message(round: &Round<'_>, key: &str) -> Outgoing {
    Outgoing::keyed(&round.topic, key)
}
