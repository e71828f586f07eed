//! Two broadcasting consumers of one group get every message each.

use std::time::Duration;

use anyhow::{Result, bail};

use super::Round;
use crate::conformance::deadline::{DELIVERY, Deadline};
use crate::conformance::driver::Driver;
use crate::conformance::event::{ConsumerStart, Outgoing};
use crate::conformance::inbox::Inbox;

/// Enough for every queue.
const MESSAGES: u32 = 20;

/// Between two probes, until each consumer has got one.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut drivers = [round.start_driver()?, round.start_driver()?];
    let mut inboxes = [Inbox::default(), Inbox::default()];
    let start = ConsumerStart {
        broadcasting: true,
        ..round.consumer()
    };
    drivers[0].start_producer(&round.topic)?;
    for driver in &mut drivers {
        driver.start_consumer(&start)?;
    }
    find_consumers(round, &mut drivers, &mut inboxes)?;
    let keys = drivers[0]
        .send_many(&round.topic, "all-", MESSAGES)?
        .all()?;
    for (mut driver, mut inbox) in drivers.into_iter().zip(inboxes) {
        inbox.settle(&mut driver, keys.iter().map(String::as_str))?;
        for key in &keys {
            let deliveries = inbox.of(key).count();
            if deliveries != 1 {
                bail!("`{key}` was delivered {deliveries} times to one consumer");
            }
        }
        driver.stop_consumer()?;
        driver.exit()?;
    }
    Ok(())
}

/// A broadcasting consumer may start behind the last message: probes tell when it has started.
fn find_consumers(
    round: &Round<'_>,
    drivers: &mut [Driver; 2],
    inboxes: &mut [Inbox; 2],
) -> Result<()> {
    let deadline = Deadline::after(DELIVERY);
    let mut probe = 0;
    while inboxes.iter().any(|inbox| inbox.received.is_empty()) {
        if deadline.remaining().is_zero() {
            bail!("a broadcasting consumer got none of {probe} probes");
        }
        let message = Outgoing::keyed(&round.topic, &format!("probe-{probe}"));
        drivers[0].send(&message)?.all()?;
        probe += 1;
        for (driver, inbox) in drivers.iter_mut().zip(inboxes.iter_mut()) {
            inbox.observe(driver, Deadline::after(PROBE_INTERVAL), |inbox| {
                !inbox.received.is_empty()
            })?;
        }
    }
    Ok(())
}
