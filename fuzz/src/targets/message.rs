//! The stored-message layout and its parts.

use bytes::Bytes;
use wire::message::{MessageId, Rewrite, StoredMessage, batch, properties, split};

use super::{note, note_count};

/// Most messages of a batch, as in the server.
const COUNT_MAX: usize = base::limits::SEND_BATCH_MESSAGES_MAX;

pub(super) fn stored_message(input: &[u8]) {
    let bytes = Bytes::copy_from_slice(input);
    match StoredMessage::parse(bytes.clone()) {
        Ok(message) => read(&message),
        Err(error) => note(error),
    }
    let mut length = 0;
    for message in split(bytes.clone()).flatten() {
        length += message.bytes().len();
        read(&message);
    }
    assert!(length <= bytes.len(), "split invented bytes");
}

fn read(message: &StoredMessage) {
    let view = message.view();
    note(format_args!(
        "{:?} {:?}",
        message.born_host().is_ipv4(),
        message.store_host().is_ipv4()
    ));
    note(message.verify_body_crc().is_ok());
    let count = message.properties().count();
    note_count(count);
    for (name, value) in message.properties() {
        assert!(!name.is_empty() && !value.is_empty(), "empty property");
        assert!(
            message.property(name).is_some(),
            "property {name:?} is lost"
        );
    }
    assert!(view.keys().all(|key| !key.is_empty()), "empty key");
    std::hint::black_box((view.tags(), view.unique_key(), message.body_crc()));

    let rewrite = Rewrite {
        topic: Some("shown"),
        store_timestamp: Some(1),
        set_properties: &[("A", "1")],
        remove_properties: &["B"],
        ..Rewrite::default()
    };
    match rewrite.apply(message) {
        Ok(rewritten) => {
            let shown = StoredMessage::parse(rewritten.to_bytes());
            let shown = shown.expect("a rewritten message must be readable");
            assert_eq!(shown.topic(), "shown");
            assert_eq!(shown.body(), message.body());
            assert_eq!(shown.property("A"), Some("1"));
            assert_eq!(shown.property("B"), None);
            assert_eq!(shown.queue_offset(), message.queue_offset());
            assert_eq!(shown.born_host(), message.born_host());
        }
        Err(error) => note(error),
    }
}

pub(super) fn batch_body(input: &[u8]) {
    match batch::decode(Bytes::copy_from_slice(input), COUNT_MAX) {
        Ok(messages) => {
            note_count(messages.len());
            let mut again = Vec::new();
            for message in &messages {
                batch::encode(
                    message.flag,
                    &message.body,
                    message.properties(),
                    &mut again,
                )
                .expect("what was read can be written");
            }
            assert_eq!(again.len(), input.len(), "bytes were skipped");
            assert_eq!(batch::decode(again.into(), COUNT_MAX), Ok(messages));
        }
        Err(error) => note(error),
    }
}

pub(super) fn message_id(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return note("not UTF-8");
    };
    match text.parse::<MessageId>() {
        Ok(id) => assert_eq!(id.to_string(), text.to_uppercase()),
        Err(_) => note_count(text.len() / 8),
    }
}

pub(super) fn properties(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return note("not UTF-8");
    };
    let names: Vec<&str> = properties::iterate(text)
        .map(|(name, _)| name)
        .take(64)
        .collect();
    note_count(names.len());
    for name in names {
        let mut changed = text.to_owned();
        assert!(properties::remove(&mut changed, name), "{name:?} was there");
        assert_eq!(properties::get(&changed, name), None);
        match properties::set(&mut changed, name, "new") {
            Ok(()) => assert_eq!(properties::get(&changed, name), Some("new")),
            Err(error) => panic!("a name that was read cannot be written: {error}"),
        }
    }
}
