//! The encoded form of properties.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wire::message::properties::{self, PropertyError};

#[test]
fn reads_as_apache_does() {
    // Without the last separator, with entries that have no name, no value or no separator, with a
    // value that holds the name separator, and with a name twice.
    let raw = "a\u{1}1\u{2}\u{2}\u{1}x\u{2}b\u{1}\u{2}c\u{2}d\u{1}=\u{1}=\u{2}a\u{1}2";
    let all: Vec<_> = properties::iterate(raw).collect();
    assert_eq!(all, [("a", "1"), ("d", "=\u{1}="), ("a", "2")]);
    assert_eq!(properties::get(raw, "a"), Some("2"));
    assert_eq!(properties::get(raw, "b"), None);
    assert_eq!(properties::get("", "a"), None);
}

#[test]
fn set_replaces_every_entry() {
    let mut raw = String::from("a\u{1}1\u{2}b\u{1}2\u{2}a\u{1}3");
    properties::set(&mut raw, "a", "4").unwrap();
    assert_eq!(raw, "b\u{1}2\u{2}a\u{1}4\u{2}");
    assert!(properties::remove(&mut raw, "b"));
    assert!(!properties::remove(&mut raw, "b"));
    assert_eq!(raw, "a\u{1}4\u{2}");
}

#[test]
fn push_ends_an_open_entry() {
    let mut raw = String::from("a\u{1}1");
    properties::push(&mut raw, "b", "2").unwrap();
    assert_eq!(raw, "a\u{1}1\u{2}b\u{1}2\u{2}");
}

#[test]
fn what_could_not_be_read_back_is_refused() {
    let mut raw = String::from("a\u{1}1\u{2}");
    for (name, value) in [
        ("", "v"),
        ("n", ""),
        ("n\u{1}", "v"),
        ("n", "v\u{2}"),
        ("n", "\u{1}"),
    ] {
        assert!(
            properties::push(&mut raw, name, value).is_err(),
            "{name:?} {value:?}"
        );
        assert!(
            properties::set(&mut raw, name, value).is_err(),
            "{name:?} {value:?}"
        );
    }
    assert_eq!(raw, "a\u{1}1\u{2}");
    let error = properties::encode([("n", "")]).unwrap_err();
    assert_eq!(error, PropertyError::Empty { name: "n".into() });
}

#[test]
fn keys_are_separated_by_spaces() {
    assert_eq!(properties::keys(" a  b ").collect::<Vec<_>>(), ["a", "b"]);
}

proptest! {
    #[test]
    fn round_trip(map in proptest::collection::btree_map("[^\u{1}\u{2}]{1,20}", "[^\u{1}\u{2}]{1,20}", 0..10)) {
        let raw = properties::encode(map.iter().map(|(n, v)| (n.as_str(), v.as_str()))).unwrap();
        let read: BTreeMap<String, String> =
            properties::iterate(&raw).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        prop_assert_eq!(read, map);
    }

    #[test]
    fn set_then_get(raw in "[ab\u{1}\u{2}]{0,40}", name in "[ab]{1,2}", value in "[ab]{1,2}") {
        let mut changed = raw.clone();
        properties::set(&mut changed, &name, &value).unwrap();
        prop_assert_eq!(properties::get(&changed, &name), Some(value.as_str()));
        let others = |raw: &str| properties::iterate(raw).filter(|(n, _)| *n != name)
            .map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<Vec<_>>();
        prop_assert_eq!(others(&changed), others(&raw));
    }
}
