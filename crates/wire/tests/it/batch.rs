//! The body of a batch send.

use bytes::Bytes;
use proptest::prelude::*;
use wire::message::{MessageError, batch};

use crate::golden;

#[test]
fn reads_and_writes_apaches_bytes() {
    let bytes = golden::batch();
    let messages = batch::decode(bytes.clone(), 3).unwrap();
    let fields: Vec<_> = messages
        .iter()
        .map(|message| (message.flag, &message.body[..], message.properties()))
        .collect();
    let wanted: [(i32, &[u8], &str); 3] = [
        (1, b"first", "a\u{1}1\u{2}"),
        (0, b"", ""),
        (0, "第三".as_bytes(), "KEYS\u{1}k\u{2}"),
    ];
    assert_eq!(fields, wanted);
    assert!(
        bytes.as_ptr_range().contains(&messages[0].body.as_ptr()),
        "body was copied"
    );

    let mut out = Vec::new();
    for (flag, body, properties) in wanted {
        batch::encode(flag, body, properties, &mut out).unwrap();
    }
    assert_eq!(out, bytes);
}

#[test]
fn the_count_is_limited() {
    let error = batch::decode(golden::batch(), 2).unwrap_err();
    assert_eq!(error, MessageError::BatchCount { max: 2 });
    assert_eq!(
        batch::decode(Bytes::new(), 2),
        Err(MessageError::BatchEmpty)
    );
}

#[test]
fn every_cut_is_refused() {
    let whole = golden::batch();
    let ends = [0, 31, 53];
    for length in 0..whole.len() {
        let result = batch::decode(whole.slice(..length), 3);
        assert_eq!(
            result.is_ok(),
            length > 0 && ends.contains(&length),
            "{length} bytes"
        );
    }
}

#[test]
fn too_long_properties_are_refused() {
    let mut out = Vec::new();
    let error = batch::encode(0, b"", &"p".repeat(32_768), &mut out).unwrap_err();
    assert_eq!(
        error.to_string(),
        "properties has 32768 bytes, expected at most 32767"
    );
    assert!(out.is_empty());
}

proptest! {
    #[test]
    fn round_trip(messages in proptest::collection::vec((any::<i32>(), any::<Vec<u8>>(), "\\PC{0,50}"), 1..10)) {
        let mut out = Vec::new();
        for (flag, body, properties) in &messages {
            batch::encode(*flag, body, properties, &mut out).unwrap();
        }
        let read = batch::decode(out.into(), messages.len()).unwrap();
        let read: Vec<_> = read.iter()
            .map(|m| (m.flag, m.body.to_vec(), m.properties().to_owned())).collect();
        prop_assert_eq!(read, messages);
    }
}
