//! Bodies, targets and headers of the ONS HTTP plane.

use wire::ons_http::{
    Target, credential, date_ms, iterate_properties, parse_message, parse_receipt_handles,
};

use super::{note, note_count};

/// A body, as a message and as receipt handles.
pub(super) fn body(input: &[u8]) {
    match parse_message(input) {
        Ok(message) => {
            assert!(!message.body.is_empty(), "a message without a body");
            note(message.tag.is_some());
            note_count(iterate_properties(&message.properties).count());
        }
        Err(error) => note(error),
    }
    match parse_receipt_handles(input) {
        Ok(handles) => {
            assert!(!handles.is_empty(), "no handles");
            note_count(handles.len());
        }
        Err(error) => note(error),
    }
}

/// A path with its query, and the values of headers.
pub(super) fn head(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (path, query) = text.split_once('?').unwrap_or((&text, ""));
    match Target::parse(path, query) {
        Ok(target) => note(target.parameter("consumer").is_some()),
        Err(error) => note(error),
    }
    note(credential(&text).is_some());
    note(date_ms(&text).is_some());
}
