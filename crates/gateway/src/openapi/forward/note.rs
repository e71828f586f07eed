//! What a fleet says beside a request that it sends on.
//!
//! ```text
//! x-carrack-forwarded: <JSON of a [`Note`]>.<HMAC-SHA256>       both in base64, for URLs
//! ```
//!
//! A node answers a request with a note as one of several whose answers are put together, and tells
//! what it would not tell the client, such as traces of a message that another node has. So a note
//! counts only if it is signed with the key that the nodes of a cluster share
//! ([`broker::Nodes::key`]), and only beside the request that it was made for: the signature covers
//! its method, its target and its `Authorization`. Any other header of that name is as none.

use base::limits;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{header, request::Parts};
use ring::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use serde::{Deserialize, Serialize};

use super::Known;
use crate::{Front, http::header_text};

/// The header.
pub(super) const HEADER: &str = "x-carrack-forwarded";

/// Bytes of the key.
const KEY_BYTES: usize = 32;

/// What a fleet says to a node; the default is what a client's own request says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in super::super) struct Note {
    /// What of the request's path the fleet has: a node that does not have it yet is about to hear
    /// of it.
    pub(super) known: Vec<Known>,
    /// The part of the node's list that is asked for, instead of the request's page.
    pub(in super::super) window: Option<Window>,
    /// The trace is told for a whole of several nodes.
    pub(in super::super) trace: Option<TraceOf>,
}

/// A part of the list that a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Window {
    /// Entries before it.
    pub(in super::super) skip: u64,
    /// Most entries in it.
    pub(in super::super) count: usize,
    /// What counts as now, in ms since 1970: the same for all nodes.
    pub(in super::super) now_ms: i64,
}

/// The message whose trace is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct TraceOf {
    /// The id that its sender gave it, once a node has found it.
    pub(in super::super) id: Option<String>,
}

/// The key of the cluster, which is made if there is none; `None` while it cannot be had.
pub(super) async fn key(front: &Front) -> Option<hmac::Key> {
    let make = || {
        let mut key = [0; KEY_BYTES];
        let filled = SystemRandom::new().fill(&mut key);
        filled.ok().map(|()| key.to_vec())
    };
    read_key(front, Some(&make)).await
}

async fn read_key(
    front: &Front,
    make: Option<&(dyn Fn() -> Option<Vec<u8>> + Sync)>,
) -> Option<hmac::Key> {
    let nodes = front.nodes.as_ref()?;
    match nodes.key(make).await {
        Ok(key) => Some(hmac::Key::new(hmac::HMAC_SHA256, &key?)),
        Err(error) => {
            tracing::warn!(%error, "key of the cluster not read");
            None
        }
    }
}

impl Note {
    /// The value of the header beside the request of `head`.
    pub(super) fn signed(&self, key: &hmac::Key, head: &Parts) -> String {
        let text = serde_json::to_vec(self).expect("plain data becomes JSON");
        let text = URL_SAFE_NO_PAD.encode(text);
        let signature = hmac::sign(key, &covered(&text, head));
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn read(value: &str, key: &hmac::Key, head: &Parts) -> Option<Self> {
        let (text, signature) = value.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(key, &covered(text, head), &signature).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }

    /// What was said beside a request; the default where nothing was, or nothing that counts.
    pub(in super::super) async fn of(front: &Front, head: &Parts) -> Self {
        let value = header_text(head, HEADER);
        if value.is_empty() || value.len() > limits::FORWARDED_BYTES_MAX {
            return Self::default();
        }
        let key = read_key(front, None).await;
        let note = key.and_then(|key| Self::read(value, &key, head));
        note.unwrap_or_default()
    }
}

/// What is signed. None of its parts has a line feed.
fn covered(text: &str, head: &Parts) -> Vec<u8> {
    let authorization = head.headers.get(header::AUTHORIZATION);
    let parts = [
        text.as_bytes(),
        head.method.as_str().as_bytes(),
        super::target(head).as_bytes(),
        authorization.map_or(&[][..], |value| value.as_bytes()),
    ];
    parts.join(&b'\n')
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(target: &str, authorization: &str) -> Parts {
        let request = Request::get(target).header(header::AUTHORIZATION, authorization);
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_note_counts_with_its_key_and_its_request_only() {
        let key = |text: &str| hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
        let note = Note {
            known: vec![Known::Topic],
            window: Some(Window {
                skip: 3,
                count: 2,
                now_ms: 1,
            }),
            trace: None,
        };
        let made_for = head("/instances/a/topics/b/messages?pageNumber=2", "x");
        let value = note.signed(&key("k"), &made_for);
        let read = |value: &str, head: &Parts| Note::read(value, &key("k"), head);
        assert_eq!(read(&value, &made_for), Some(note.clone()));
        assert_eq!(Note::read(&value, &key("l"), &made_for), None);
        let others = [
            head("/instances/a/topics/b/messages?pageNumber=3", "x"),
            head("/instances/a/topics/b/messages?pageNumber=2", "y"),
        ];
        for other in &others {
            assert_eq!(read(&value, other), None);
        }
        // The text of one note under the signature of another.
        let other = Note::default().signed(&key("k"), &made_for);
        let mixed = [
            &other[..other.find('.').unwrap()],
            &value[value.find('.').unwrap()..],
        ];
        assert_eq!(read(&mixed.concat(), &made_for), None);
        for wrong in [
            "",
            ".",
            "instance topic",
            "e30",
            "e30.",
            "e30.AAAA",
            &value[1..],
        ] {
            assert_eq!(read(wrong, &made_for), None, "{wrong}");
        }
    }
}
