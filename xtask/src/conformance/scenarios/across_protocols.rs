//! Every client sends, every client receives: tags, keys, properties and body arrive intact
//! whatever the protocols are.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;

use crate::conformance::clients::Client;
use crate::conformance::deadline::{DELIVERY, Deadline};
use crate::conformance::driver::Driver;
use crate::conformance::event::{ConsumerStart, Event, Outgoing, Received};
use crate::conformance::target::Target;

/// A body that Remoting clients compress, since it is over 4 KiB.
const LARGE_BODY_REPEATS: usize = 1024;

/// No sample is larger, compressed or not.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// The value of a property.
const QUOTED: &str = "blue=#00f; \"quoted\"";

/// The same for clients that refuse to send quotes.
const UNQUOTED: &str = "blue=#00f; quoted";

/// What one receiver made of the messages of one sender.
pub(crate) struct PairResult {
    /// The client that sent.
    pub(crate) sender: &'static str,
    /// The client that received.
    pub(crate) receiver: &'static str,
    /// What went wrong, if anything.
    pub(crate) failure: Option<String>,
}

/// A driver with its consumer running.
struct Receiver {
    client: &'static Client,
    driver: Driver,
    /// Why it cannot be used any more.
    failure: Option<String>,
}

/// Runs all `clients` at once on one topic, each with a consumer group of its own.
pub(crate) fn across_protocols(
    root: &Path,
    logs: &Path,
    target: &Target,
    clients: &[&'static Client],
    run: &str,
) -> Result<Vec<PairResult>> {
    let topic = format!("{run}-across-protocols");
    target.create_topic(&topic, "normal")?;
    let mut receivers = Vec::new();
    for client in clients {
        receivers.push(start(root, logs, target, client, &topic, run).context(client.name)?);
    }
    let mut results = Vec::new();
    for sender in 0..receivers.len() {
        results.extend(send_to_all(&mut receivers, sender, &topic));
    }
    for receiver in receivers {
        // A receiver that failed has said so above, and is killed.
        if receiver.failure.is_none() {
            receiver.driver.exit().context(receiver.client.name)?;
        }
    }
    Ok(results)
}

fn start(
    root: &Path,
    logs: &Path,
    target: &Target,
    client: &'static Client,
    topic: &str,
    run: &str,
) -> Result<Receiver> {
    let group = format!("{run}-across-protocols-{}", client.name);
    target.create_group(&group)?;
    let log = logs.join(format!("across-protocols-{}.log", client.name));
    let mut command = client.driver(root, target.address(client.protocol));
    let mut driver = Driver::start(client.name, &mut command, &log)?;
    driver.start_producer(topic)?;
    let kind = *client
        .consumers
        .first()
        .context("a client without consumers")?;
    driver.start_consumer(&ConsumerStart::of(kind, topic, &group))?;
    Ok(Receiver {
        client,
        driver,
        failure: None,
    })
}

fn send_to_all(receivers: &mut [Receiver], sender: usize, topic: &str) -> Vec<PairResult> {
    let name = receivers[sender].client.name;
    let samples = samples(topic, receivers[sender].client);
    let sent = samples
        .iter()
        .try_for_each(|sample| receivers[sender].driver.send(sample)?.all().map(|_| ()));
    receivers
        .iter_mut()
        .map(|receiver| {
            let outcome = match (&sent, &receiver.failure) {
                (Err(reason), _) => Err(format!("{reason:#}")),
                (_, Some(reason)) => Err(format!("failed before: {reason}")),
                (Ok(()), None) => {
                    receive(receiver.client, &mut receiver.driver, &samples).map_err(|reason| {
                        let reason = format!("{reason:#}");
                        receiver.failure = Some(reason.clone());
                        reason
                    })
                }
            };
            let failure = outcome.and_then(|differences| {
                if differences.is_empty() {
                    Ok(())
                } else {
                    Err(differences.join("; "))
                }
            });
            PairResult {
                sender: name,
                receiver: receiver.client.name,
                failure: failure.err(),
            }
        })
        .collect()
}

/// Waits for all samples; returns what was not intact. Fails when one does not come.
fn receive(client: &Client, driver: &mut Driver, samples: &[Outgoing]) -> Result<Vec<String>> {
    let mut open: BTreeMap<&str, &Outgoing> = samples
        .iter()
        .map(|sample| (sample.keys[0].as_str(), sample))
        .collect();
    let mut unacked: BTreeSet<&str> = open.keys().copied().collect();
    let mut differences = Vec::new();
    let deadline = Deadline::after(DELIVERY);
    while !open.is_empty() || !unacked.is_empty() {
        match driver
            .next_event(deadline)
            .with_context(|| format!("still waiting for {unacked:?}"))?
        {
            Event::Received(mut received) => {
                let Some(sample) = received
                    .keys
                    .iter()
                    .find_map(|key| open.remove(key.as_str()))
                else {
                    bail!("a message that is not expected now was received: {received:?}");
                };
                if client.leaves_bodies_compressed {
                    received.body_base64 = decompressed(&received.body_base64)?;
                }
                if client.takes_text_only && !is_text(sample) {
                    received.body_base64.clone_from(&sample.body_base64);
                }
                differences.extend(differences_of(sample, &received));
            }
            Event::Acked { keys } => {
                for key in &keys {
                    unacked.remove(key.as_str());
                }
            }
            Event::AckFailed { keys, error } => bail!("acknowledging {keys:?} failed: {error}"),
            Event::Warning { .. } => {}
            other => bail!("unexpected event {other:?}"),
        }
    }
    Ok(differences)
}

/// What an application does with a client that leaves bodies compressed: look, and decompress.
fn decompressed(body_base64: &str) -> Result<String> {
    const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
    let body = STANDARD.decode(body_base64).context("decode body")?;
    if !body.starts_with(&GZIP_MAGIC) {
        return Ok(body_base64.to_owned());
    }
    let mut plain = Vec::new();
    GzDecoder::new(body.as_slice())
        .take(BODY_BYTES_MAX)
        .read_to_end(&mut plain)
        .context("decompress body")?;
    Ok(STANDARD.encode(plain))
}

/// Whether a client to which bodies are text can show this one.
fn is_text(sample: &Outgoing) -> bool {
    let body = STANDARD.decode(&sample.body_base64).unwrap_or_default();
    let text = str::from_utf8(&body);
    text.is_ok_and(|text| !text.contains(|one: char| one.is_control() && one != '\n'))
}

fn differences_of(sent: &Outgoing, received: &Received) -> Vec<String> {
    let key = &sent.keys[0];
    let mut differences = Vec::new();
    let mut compare = |part: &str, sent: &dyn std::fmt::Debug, received: &dyn std::fmt::Debug| {
        let (sent, received) = (format!("{sent:?}"), format!("{received:?}"));
        if sent != received {
            differences.push(format!(
                "`{key}`: {part} sent as {}, received as {}",
                shorten(&sent),
                shorten(&received)
            ));
        }
    };
    compare("topic", &sent.topic, &received.topic);
    compare("tag", &sent.tag, &received.tag);
    compare("keys", &sorted(&sent.keys), &sorted(&received.keys));
    for (name, value) in &sent.properties {
        compare(name, &Some(value), &received.properties.get(name));
    }
    compare("body", &sent.body_base64, &received.body_base64);
    differences
}

fn sorted(keys: &[String]) -> BTreeSet<&String> {
    keys.iter().collect()
}

fn shorten(text: &str) -> String {
    /// Enough to recognise a value.
    const CHARACTERS_MAX: usize = 60;
    if text.chars().count() <= CHARACTERS_MAX {
        return text.to_owned();
    }
    text.chars().take(CHARACTERS_MAX).chain(['…']).collect()
}

/// Messages with everything that all protocols can carry, and a body of bytes from those who can
/// send it.
fn samples(topic: &str, client: &Client) -> Vec<Outgoing> {
    let sender = client.name;
    let key = |sample: &str| format!("{sender}-{sample}");
    let every_byte: Vec<u8> = (u8::MIN..=u8::MAX).collect();
    let large = "one line of a long text\n".repeat(LARGE_BODY_REPEATS);
    let message = |keys, tag: Option<&str>, properties: &[(&str, &str)], body: &[u8]| Outgoing {
        topic: topic.to_owned(),
        keys,
        tag: tag.map(str::to_owned),
        properties: properties
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
        body_base64: STANDARD.encode(body),
        ..Outgoing::default()
    };
    let mut samples = vec![
        message(vec![key("plain")], None, &[], b"hello"),
        message(
            vec![
                key("rich"),
                format!("{sender}-order-4711"),
                "schlüssel-鍵".to_owned(),
            ],
            Some("tag-a"),
            &[
                ("city", "Zürich"),
                (
                    "colour",
                    if client.takes_text_only {
                        UNQUOTED
                    } else {
                        QUOTED
                    },
                ),
                ("喜", "😀"),
            ],
            "Grüße, 世界".as_bytes(),
        ),
        message(
            vec![key("binary")],
            Some("tag-b"),
            &[("kind", "binary")],
            &every_byte,
        ),
        message(
            vec![key("large")],
            Some("tag-c"),
            &[("kind", "large")],
            large.as_bytes(),
        ),
    ];
    samples.retain(|sample| !client.takes_text_only || is_text(sample));
    samples
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::read::GzEncoder;

    use super::*;
    use crate::conformance::clients::CLIENTS;

    #[test]
    fn only_gzip_is_decompressed() {
        let mut gzip = GzEncoder::new(b"a long text".as_slice(), Compression::default());
        let mut compressed = Vec::new();
        gzip.read_to_end(&mut compressed).expect("compress");
        let (plain, compressed) = (STANDARD.encode("a long text"), STANDARD.encode(compressed));
        assert_eq!(decompressed(&compressed).expect("gzip"), plain);
        assert_eq!(decompressed(&plain).expect("plain"), plain);
    }

    fn as_received(sent: &Outgoing) -> Received {
        Received {
            topic: sent.topic.clone(),
            keys: sent.keys.iter().rev().cloned().collect(),
            tag: sent.tag.clone(),
            properties: sent.properties.clone(),
            body_base64: sent.body_base64.clone(),
            attempt: 1,
            lite_topic: None,
            at_ms: 0,
        }
    }

    #[test]
    fn every_part_is_compared() {
        for sent in samples("t", &CLIENTS[0]) {
            assert_eq!(
                differences_of(&sent, &as_received(&sent)),
                Vec::<String>::new()
            );
            let mut other = as_received(&sent);
            other.topic.push('x');
            other.tag = Some("other".to_owned());
            other.keys.push("more".to_owned());
            other.properties.clear();
            other.body_base64.push('x');
            let differences = differences_of(&sent, &other);
            assert_eq!(
                differences.len(),
                4 + sent.properties.len(),
                "{differences:?}"
            );
        }
    }
}
