//! What a driver said of deliveries, in order, for scenarios that ask for more than "every one,
//! exactly once".

use anyhow::{Result, bail};

use super::deadline::{DELIVERY, Deadline};
use super::driver::Driver;
use super::event::{Event, Received};

/// The events of one driver.
#[derive(Default)]
pub(crate) struct Inbox {
    /// Deliveries in the order in which the application saw them.
    pub(crate) received: Vec<Received>,
    /// First keys of what was acknowledged.
    pub(crate) acked: Vec<String>,
    /// Keys that the checker of transactions was asked about.
    pub(crate) checked: Vec<String>,
    /// Keys and bodies of the replies to requests.
    pub(crate) replies: Vec<(String, String)>,
    last_warning: Option<String>,
}

impl Inbox {
    /// Reads events until `complete`; `what` says in an error what was waited for.
    pub(crate) fn wait(
        &mut self,
        driver: &mut Driver,
        what: &str,
        complete: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        let deadline = Deadline::after(DELIVERY);
        while !complete(self) {
            match driver.next_event_until(deadline)? {
                Some(event) => self.note(event)?,
                None => bail!(
                    "{what} did not come in time; received: {:?}, last warning: {:?}",
                    self.keys(),
                    self.last_warning
                ),
            }
        }
        Ok(())
    }

    /// Reads events until `complete`, but not for longer than until `deadline`.
    pub(crate) fn observe(
        &mut self,
        driver: &mut Driver,
        deadline: Deadline,
        complete: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        while !complete(self)
            && let Some(event) = driver.next_event_until(deadline)?
        {
            self.note(event)?;
        }
        Ok(())
    }

    /// Waits until each of these keys was received and acknowledged.
    pub(crate) fn settle<'a>(
        &mut self,
        driver: &mut Driver,
        keys: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Result<()> {
        for key in keys {
            self.wait(driver, &format!("`{key}`"), |inbox| {
                inbox.acked.iter().any(|acked| acked == key)
            })?;
        }
        Ok(())
    }

    /// The deliveries of one message.
    pub(crate) fn of<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Received> {
        self.received.iter().filter(move |one| one.key() == key)
    }

    /// Every delivery's key, in order.
    pub(crate) fn keys(&self) -> Vec<&str> {
        self.received.iter().map(Received::key).collect()
    }

    /// Fails unless exactly these keys were received, each once, in any order.
    pub(crate) fn expect_exactly<'a>(
        &self,
        expected: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        let mut expected: Vec<&str> = expected.into_iter().collect();
        let mut received = self.keys();
        expected.sort_unstable();
        received.sort_unstable();
        if expected != received {
            bail!("expected {expected:?}, received {received:?}");
        }
        Ok(())
    }

    fn note(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Received(received) => self.received.push(received),
            Event::Acked { keys } => self.acked.extend(keys.into_iter().take(1)),
            Event::Replied { key, body_base64 } => self.replies.push((key, body_base64)),
            Event::TransactionChecked { key } => self.checked.push(key),
            Event::AckFailed { keys, error } => bail!("acknowledging {keys:?} failed: {error}"),
            Event::Warning { error } => self.last_warning = Some(error),
            other => bail!("unexpected event {other:?}"),
        }
        Ok(())
    }
}
