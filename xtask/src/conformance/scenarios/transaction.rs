//! Half messages: commit makes them visible, rollback never does, an answer that is missing is
//! asked for, and any producer of the group may give it.

use anyhow::Result;

use super::Round;
use crate::conformance::event::{Outgoing, ProducerStart};
use crate::conformance::inbox::Inbox;
use crate::conformance::target::Setting;

/// A server that asks soon.
pub(super) const SETTINGS: &[Setting] = &[
    ("transaction_timeout_ms", "1000"),
    ("transaction_check_interval_ms", "1000"),
];

/// The property that a checker answers by.
const CHECK: &str = "check";

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let group = format!("{}-producers", round.topic);
    let start = ProducerStart::of_transactions(&round.topic, &group);
    let message = |key: &str| Outgoing::keyed(&round.topic, key);
    // First, so that it is gone before anybody is asked about the messages of the other.
    leave_undecided(round, &start, &message("orphan").property(CHECK, "commit"))?;
    let mut driver = round.start_driver()?;
    driver.start_producer_as(&start)?;
    driver.start_consumer(&round.consumer())?;
    let commit = message("checked-commit").property(CHECK, "commit");
    let rollback = message("checked-rollback").property(CHECK, "rollback");
    for (outgoing, local) in [
        (&message("committed"), "commit"),
        (&message("rolled-back"), "rollback"),
        (&commit, "unknown"),
        (&rollback, "unknown"),
    ] {
        driver.send_transaction(outgoing, local)?.all()?;
    }

    let mut inbox = Inbox::default();
    for key in ["checked-commit", "checked-rollback", "orphan"] {
        inbox.wait(&mut driver, &format!("the check of `{key}`"), |inbox| {
            inbox.checked.iter().any(|checked| checked == key)
        })?;
    }
    inbox.settle(&mut driver, ["committed", "checked-commit", "orphan"])?;
    driver.send_transaction(&message("last"), "commit")?.all()?;
    inbox.settle(&mut driver, ["last"])?;
    inbox.expect_exactly(["committed", "checked-commit", "orphan", "last"])?;
    round.finish(driver)
}

/// Another producer of the group that is gone before it is asked.
fn leave_undecided(
    round: &Round<'_>,
    start: &ProducerStart<'_>,
    outgoing: &Outgoing,
) -> Result<()> {
    let mut other = round.start_driver()?;
    other.start_producer_as(start)?;
    other.send_transaction(outgoing, "unknown")?.all()?;
    other.exit()
}
