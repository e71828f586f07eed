//! Typed headers.

use wire::remoting::header::{
    GetMaxOffsetRequest, OffsetResponse, PullMessageRequest, SendMessageRequest,
    SendMessageRequestV2, SendMessageResponse, pull_sys_flag,
};
use wire::remoting::{ExtFields, Header};

use crate::frame::command;
use crate::golden;

fn fields<'a>(fields: &[(&'a str, &'a str)]) -> ExtFields {
    fields.iter().copied().collect()
}

#[test]
fn reads_a_send_in_both_forms() {
    for bytes in [
        golden::send_v2_request_json(),
        golden::send_v2_request_rocketmq(),
    ] {
        let command = command(&bytes);
        let short: SendMessageRequestV2<'_> = command.header().unwrap();
        let wanted = SendMessageRequest {
            producer_group: "group",
            topic: "orders",
            default_topic: "TBW102",
            default_topic_queue_count: 4,
            queue_id: 3,
            sys_flag: 0,
            born_timestamp: 1_700_000_000_123,
            flag: 0,
            properties: Some("KEYS\u{1}k1\u{2}TAGS\u{1}\"paid\\\"\u{2}"),
            reconsume_times: Some(0),
            unit_mode: Some(false),
            batch: Some(false),
            max_reconsume_times: None,
            broker_name: Some("broker-a"),
        };
        assert_eq!(SendMessageRequest::from(short), wanted);

        let mut long = ExtFields::new();
        wanted.encode(&mut long);
        assert_eq!(SendMessageRequest::decode(&long), Ok(wanted));
    }
}

#[test]
fn reads_a_send_answer() {
    let command = command(&golden::send_response_json());
    let wanted = SendMessageResponse {
        message_id: "7F00000100002A9F000500000012D687",
        queue_id: 3,
        queue_offset: 4_294_967_297,
        transaction_id: None,
        batch_unique_id: None,
        recall_handle: None,
        region: Some("DefaultRegion"),
        trace_on: Some(true),
    };
    assert_eq!(command.header(), Ok(wanted));
}

#[test]
fn reads_a_pull() {
    let command = command(&golden::pull_request_rocketmq());
    let header: PullMessageRequest<'_> = command.header().unwrap();
    assert_eq!(
        header.sys_flag,
        pull_sys_flag::SUSPEND | pull_sys_flag::SUBSCRIPTION
    );
    assert_eq!(header.suspend_timeout_ms, 15_000);
    assert_eq!(header.subscription, Some("paid || 付"));
    assert_eq!(header.max_message_bytes, Some(i32::MAX));
    assert_eq!(header.lite_topic, None);
    assert_eq!(header.broker_name, Some("broker-a"));
}

#[test]
fn errors_name_header_field_and_value() {
    let missing = OffsetResponse::decode(&ExtFields::new()).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "OffsetResponse lacks the field `offset`"
    );
    let fields = fields(&[("offset", "12x")]);
    let invalid = OffsetResponse::decode(&fields).unwrap_err();
    let wanted = "OffsetResponse field `offset` is `12x`, expected a whole number of 64 bits";
    assert_eq!(invalid.to_string(), wanted);
}

#[test]
fn long_values_are_cut_in_errors() {
    let long = "9".repeat(1_000);
    let fields = fields(&[("offset", &long)]);
    assert!(
        OffsetResponse::decode(&fields)
            .unwrap_err()
            .to_string()
            .len()
            < 200
    );
}

#[test]
fn defaults_and_absent_numbers() {
    let plain = fields(&[("topic", "t"), ("queueId", "0"), ("unknown", "?")]);
    assert!(GetMaxOffsetRequest::decode(&plain).unwrap().committed);
    let stated = fields(&[("topic", "t"), ("queueId", "0"), ("committed", "FALSE")]);
    assert!(!GetMaxOffsetRequest::decode(&stated).unwrap().committed);

    // The binary form cannot tell an empty text from none.
    let empty = fields(&[
        ("msgId", "m"),
        ("queueId", "1"),
        ("queueOffset", "2"),
        ("TRACE_ON", ""),
    ]);
    assert_eq!(SendMessageResponse::decode(&empty).unwrap().trace_on, None);
    let empty = fields(&[("offset", "")]);
    assert!(OffsetResponse::decode(&empty).is_err());
}

#[test]
fn last_of_equal_fields_counts() {
    let twice = fields(&[("offset", "1"), ("offset", "2")]);
    assert_eq!(OffsetResponse::decode(&twice).unwrap().offset, 2);
}
