//! Archives of the classes that Java clients load.
//!
//! Half of the time that a scenario with a Java client takes is spent on loading the classes of its
//! library, in every process anew. So one process of each client sends and receives a little first,
//! and leaves an archive (JEP 350) that all others map. The virtual machine ignores an archive that
//! does not fit the class path, so a stale one costs time and nothing else.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::SystemTime;

use anyhow::{Context as _, Result};

use super::Run;
use super::clients::{Client, Language};
use super::driver::Driver;
use super::event::ConsumerStart;
use super::ledger::Ledger;

/// Messages that are sent and received.
const MESSAGES: u32 = 20;

/// Makes the archives that are missing or older than the client's classes.
pub(super) fn make_all(run: &Run, clients: impl Iterator<Item = &'static Client>) {
    let mut clients: Vec<&'static Client> = clients
        .filter(|client| client.language == Language::Java)
        .collect();
    clients.sort_by_key(|client| client.name);
    clients.dedup_by_key(|client| client.name);
    clients.retain(|client| !is_fresh(client, &run.root));
    thread::scope(|scope| {
        for client in clients {
            scope.spawn(move || match make(run, client) {
                Ok(()) => println!("archived the classes of {}", client.name),
                // The scenarios will say what is wrong, if it is not the archive.
                Err(error) => println!("no archive of the classes of {}: {error:#}", client.name),
            });
        }
    });
}

fn is_fresh(client: &Client, root: &Path) -> bool {
    let changed = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let (archive, classes) = (client.class_archive(root), client.classes(root));
    changed(&archive).is_some_and(|made| Some(made) > changed(&classes))
}

fn make(run: &Run, client: &'static Client) -> Result<()> {
    let name = format!("{}-classes", client.name);
    let target = run.target(&name, &[])?;
    let topic = format!("{}-{name}", run.name);
    let group = format!("{topic}-group");
    target.create_topic(&topic, "normal")?;
    target.create_group(&group)?;
    let archive = client.class_archive(&run.root);
    if archive.exists() {
        fs::remove_file(&archive).with_context(|| format!("remove {}", archive.display()))?;
    }
    let mut command = client.recorder(&run.root, target.address(client.protocol));
    let log = run.logs.join(format!("{name}.log"));
    let mut driver = Driver::start(client.name, &mut command, &log)?;
    driver.start_producer(&topic)?;
    let kind = *client.consumers.first().context("it has no consumer")?;
    driver.start_consumer(&ConsumerStart::of(kind, &topic, &group))?;
    let mut ledger = Ledger::default();
    ledger.sent(driver.send_many(&topic, "", MESSAGES)?.all()?)?;
    ledger.settle(&mut driver)?;
    // Written when the process ends, which the driver does without stopping anything.
    driver.exit()?;
    target.stop().context("stop the server")
}
