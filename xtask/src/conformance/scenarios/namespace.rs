//! Clients of two namespaces use the same names and see nothing of each other.

use anyhow::{Result, bail};

use super::Round;
use crate::conformance::driver::Driver;
use crate::conformance::event::{ConsumerStart, Outgoing, ProducerStart, Session};
use crate::conformance::features::Feature;
use crate::conformance::inbox::Inbox;

/// The name in both.
const TOPIC: &str = "mixed-up";

const NAMESPACES: [&str; 2] = ["MQ_INST_first_1", "MQ_INST_second_2"];

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    // A queue of its own each, so that what must not come would come before what is sent last.
    for namespace in NAMESPACES {
        let inside = |name: &str| format!("{namespace}%{name}");
        let topic = inside(TOPIC);
        round.target.create_topic_of_one_queue(&topic)?;
        round.target.create_group(&inside(&round.group))?;
    }
    let mut drivers = [start(round, NAMESPACES[0])?, start(round, NAMESPACES[1])?];
    let mut inboxes = [Inbox::default(), Inbox::default()];
    for step in ["1", "2", "last"] {
        for ((driver, inbox), namespace) in
            drivers.iter_mut().zip(inboxes.iter_mut()).zip(NAMESPACES)
        {
            let key = format!("{namespace}-{step}");
            driver.send(&Outgoing::keyed(TOPIC, &key))?.all()?;
            inbox.settle(driver, [key.as_str()])?;
        }
    }
    for ((driver, inbox), namespace) in drivers.into_iter().zip(inboxes).zip(NAMESPACES) {
        let keys = ["1", "2", "last"].map(|step| format!("{namespace}-{step}"));
        inbox.expect_exactly(keys.iter().map(String::as_str))?;
        let hidden = !round.lacks(Feature::NamespaceHidden);
        let seen = if hidden {
            TOPIC.to_owned()
        } else {
            format!("{namespace}%{TOPIC}")
        };
        if let Some(other) = inbox.received.iter().find(|one| one.topic != seen) {
            bail!("the application sees topic `{}`, not `{seen}`", other.topic);
        }
        round.finish(driver)?;
    }
    Ok(())
}

fn start(round: &Round<'_>, namespace: &str) -> Result<Driver> {
    let session = Session {
        namespace: Some(namespace.to_owned()),
        ..Session::default()
    };
    let mut driver = round.start_driver()?;
    driver.start_producer_as(&ProducerStart {
        session: session.clone(),
        ..ProducerStart::of(TOPIC)
    })?;
    driver.start_consumer(&ConsumerStart {
        topic: TOPIC,
        session,
        ..round.consumer()
    })?;
    Ok(driver)
}
