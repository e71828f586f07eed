//! Showing a message with other fields.

use proptest::prelude::*;
use wire::message::{Rewrite, StoredMessage};

use crate::golden;

fn stored() -> StoredMessage {
    StoredMessage::parse(golden::message_v6()).unwrap()
}

#[test]
fn nothing_to_change_gives_the_same_bytes() {
    let rewritten = Rewrite::default().apply(&stored()).unwrap();
    assert_eq!(rewritten.to_bytes(), golden::message_v6());
    assert_eq!(rewritten.len(), golden::message_v6().len());
}

#[test]
fn every_field_can_change() {
    let message = stored();
    let rewrite = Rewrite {
        topic: Some("MQ_INST_1%orders"),
        queue_id: Some(9),
        queue_offset: Some(10),
        physical_offset: Some(11),
        sys_flag: Some(0x8 | 0x1),
        store_timestamp: Some(12),
        reconsume_times: Some(13),
        prepared_transaction_offset: Some(14),
        set_properties: &[("TAGS", "late"), ("POP_CK", "0 1 2")],
        remove_properties: &["KEYS"],
    };
    let rewritten = rewrite.apply(&message).unwrap();
    assert!(
        message
            .bytes()
            .as_ptr_range()
            .contains(&rewritten.body.as_ptr()),
        "body was copied"
    );

    let shown = StoredMessage::parse(rewritten.to_bytes()).unwrap();
    assert_eq!(shown.topic(), "MQ_INST_1%orders");
    assert_eq!(shown.queue_id(), 9);
    assert_eq!(shown.queue_offset(), 10);
    assert_eq!(shown.physical_offset(), 11);
    assert_eq!(shown.sys_flag(), 0x30 | 0x9, "the address bits stay");
    assert_eq!(shown.store_timestamp(), 12);
    assert_eq!(shown.reconsume_times(), 13);
    assert_eq!(shown.prepared_transaction_offset(), 14);
    assert_eq!(shown.property("TAGS"), Some("late"));
    assert_eq!(shown.property("POP_CK"), Some("0 1 2"));
    assert_eq!(shown.property("KEYS"), None);
    assert_eq!(shown.property("名"), Some("值"));
    assert_eq!(shown.flag(), message.flag());
    assert_eq!(shown.born_host(), message.born_host());
    assert_eq!(shown.born_timestamp(), message.born_timestamp());
    assert_eq!(shown.store_host(), message.store_host());
    shown.verify_body_crc().unwrap();
}

#[test]
fn the_layout_follows_the_topic() {
    let long = "t".repeat(128);
    let rewrite = |message: &StoredMessage, topic| {
        let rewrite = Rewrite {
            topic: Some(topic),
            ..Rewrite::default()
        };
        StoredMessage::parse(rewrite.apply(message).unwrap().to_bytes()).unwrap()
    };
    let lengthened = rewrite(&stored(), &long);
    assert_eq!(lengthened.topic(), long);
    assert_eq!(rewrite(&lengthened, "orders").bytes(), stored().bytes());
}

#[test]
fn limits_hold() {
    let long_topic = "t".repeat(513);
    let long_value = "v".repeat(32_767);
    for (rewrite, wanted) in [
        (
            Rewrite {
                topic: Some(""),
                ..Rewrite::default()
            },
            "topic is empty",
        ),
        (
            Rewrite {
                topic: Some(&long_topic),
                ..Rewrite::default()
            },
            "topic has 513 bytes, expected at most 512",
        ),
        (
            Rewrite {
                queue_id: Some(u32::MAX),
                ..Rewrite::default()
            },
            "queue id is 4294967295, expected at most 2147483647",
        ),
        (
            Rewrite {
                set_properties: &[("a", "")],
                ..Rewrite::default()
            },
            "property `a` has an empty name or value",
        ),
        (
            Rewrite {
                set_properties: &[("a", &long_value)],
                ..Rewrite::default()
            },
            "properties has 32841 bytes, expected at most 32767",
        ),
    ] {
        assert_eq!(rewrite.apply(&stored()).unwrap_err().to_string(), wanted);
    }
}

proptest! {
    #[test]
    fn rewriting_back_restores(topic in "[a-z]{1,300}", queue_offset in any::<i64>(), tag in "[a-z]{1,9}") {
        let message = stored();
        let there = Rewrite {
            topic: Some(&topic),
            queue_offset: Some(queue_offset),
            set_properties: &[("EXTRA", &tag)],
            ..Rewrite::default()
        };
        let shown = StoredMessage::parse(there.apply(&message).unwrap().to_bytes()).unwrap();
        prop_assert_eq!(shown.topic(), &topic);
        prop_assert_eq!(shown.queue_offset(), queue_offset);
        let back = Rewrite {
            topic: Some(message.topic()),
            queue_offset: Some(message.queue_offset()),
            remove_properties: &["EXTRA"],
            ..Rewrite::default()
        };
        prop_assert_eq!(&back.apply(&shown).unwrap().to_bytes(), message.bytes());
    }
}
