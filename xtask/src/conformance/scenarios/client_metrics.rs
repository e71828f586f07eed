//! What a library measures of its sends and of its consumer is shown by the server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::Round;
use crate::conformance::clients::ConsumerKind;
use crate::conformance::deadline::Deadline;
use crate::conformance::event::Outgoing;
use crate::conformance::features::Feature;
use crate::conformance::inbox::Inbox;

/// How many messages are sent and consumed.
const MESSAGES: usize = 5;

/// Longest wait for a library that reports at its own pace, and how often the page is looked at.
const REPORT: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    round.start_consumer(&mut driver, None)?;
    for number in 0..MESSAGES {
        let outgoing = Outgoing::keyed(&round.topic, &format!("measured-{number}"));
        driver.send(&outgoing)?.all()?;
    }
    let mut inbox = Inbox::default();
    inbox.wait(&mut driver, "the messages", |inbox| {
        inbox.received.len() >= MESSAGES
    })?;
    if round.lacks(Feature::LastReport) {
        let deadline = Deadline::after(REPORT);
        while let Err(missing) = check(round) {
            if deadline.remaining().is_zero() {
                return Err(missing);
            }
            pause();
        }
    }
    // What was not reported yet is reported when clients stop.
    driver.stop_consumer()?;
    driver.stop_producer()?;
    driver.exit()?;
    check(round)
}

/// Between two looks at the page.
#[expect(
    clippy::disallowed_methods,
    reason = "a server in another process shows nothing to wait for"
)]
fn pause() {
    std::thread::sleep(LOOK);
}

/// Checks that the page has what the client measured.
fn check(round: &Round<'_>) -> Result<()> {
    let page = metrics(round.target.address(round.client.protocol))?;
    let topic = &round.topic;
    let group = &round.group;
    let sent = format!("topic=\"{topic}\",invocation_status=\"success\"");
    expect(&page, "rocketmq_send_cost_time", &sent)?;
    if round.kind == ConsumerKind::Push {
        let consumed =
            format!("topic=\"{topic}\",consumer_group=\"{group}\",invocation_status=\"success\"");
        expect(&page, "rocketmq_process_time", &consumed)?;
        let awaited = format!("topic=\"{topic}\",consumer_group=\"{group}\"");
        expect(&page, "rocketmq_await_time", &awaited)?;
    }
    Ok(())
}

/// Checks that the histogram of that name and those labels has counted every message.
fn expect(page: &str, name: &str, labels: &str) -> Result<()> {
    let start = format!("{name}_count{{");
    let end = format!("{labels}}} {MESSAGES}");
    let mut lines = page.lines().filter(|line| line.starts_with(&start));
    if lines.any(|line| line.ends_with(&end)) {
        return Ok(());
    }
    let shown: Vec<&str> = page.lines().filter(|line| line.starts_with(name)).collect();
    bail!("no line `{start}..{end}`, but {shown:#?}")
}

/// The metrics page of the server there.
fn metrics(address: &str) -> Result<String> {
    let mut socket = TcpStream::connect(address).context("connect for metrics")?;
    socket
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: metrics\r\nconnection: close\r\n\r\n")
        .context("ask for metrics")?;
    let mut page = String::new();
    socket.read_to_string(&mut page).context("read metrics")?;
    Ok(page)
}
