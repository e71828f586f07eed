//! Frames that released clients and a released server exchanged (`conformance/captures`).

use std::fs;
use std::path::Path;

use base::limits::REMOTING_FRAME_BYTES_MAX;
use bytes::BytesMut;
use wire::message::{properties, split};
use wire::remoting::body::{Body, ConsumerList, HeartbeatData, TopicRouteData};
use wire::remoting::header::*;
use wire::remoting::{Command, Header, RequestCode, SerializeType, frame};

use crate::golden;

/// Name without folder and ending, and the one frame.
fn captures() -> Vec<(String, BytesMut)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/captures");
    let mut captures = Vec::new();
    for folder in fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let bytes = golden::bytes(&fs::read_to_string(file).unwrap());
            captures.push((name, BytesMut::from(&bytes[..])));
        }
    }
    assert!(captures.len() >= 80, "captures are missing");
    captures
}

fn header<'a, H: Header<'a>>(name: &str, command: &'a Command) -> H {
    let header = command.header();
    header.unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_frame_is_read_and_written_back() {
    for (name, mut bytes) in captures() {
        let original = bytes.clone();
        let command = frame::decode(&mut bytes, REMOTING_FRAME_BYTES_MAX)
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .expect("a whole frame");
        assert!(bytes.is_empty(), "{name}");
        assert_eq!(command.is_response(), name.ends_with("-response"), "{name}");
        // The client marks only some of its one-way requests, the server all.
        let is_oneway = name.ends_with("-oneway") || name.ends_with("-from-server");
        assert_eq!(command.is_oneway(), is_oneway, "{name}");

        let mut again = BytesMut::new();
        frame::encode(&command, &mut again).unwrap();
        let read = frame::decode(&mut again.clone(), REMOTING_FRAME_BYTES_MAX).unwrap();
        assert_eq!(read.as_ref(), Some(&command), "{name}");
        // Java writes `"extFields":{}` for a header without fields, we leave it out.
        if !(command.serialize_type == SerializeType::Json && command.fields.is_empty()) {
            assert_eq!(again, original, "{name}");
        }
    }
}

#[test]
fn every_header_and_body_is_understood() {
    for (name, mut bytes) in captures() {
        let command = frame::decode(&mut bytes, REMOTING_FRAME_BYTES_MAX)
            .unwrap()
            .unwrap();
        match name.as_str() {
            "consumer-list-request" | "consumers-changed-from-server" => {
                let header: ConsumerGroupRequest<'_> = header(&name, &command);
                assert!(header.consumer_group.starts_with("capture-group"));
            }
            "consumer-list-response" => {
                assert_eq!(
                    ConsumerList::decode(&command.body)
                        .unwrap()
                        .client_ids
                        .len(),
                    1
                );
            }
            "heartbeat-request" | "heartbeat-consumer-request" => {
                let heartbeat = HeartbeatData::decode(&command.body).unwrap();
                assert_eq!(heartbeat.consumers.is_empty(), name == "heartbeat-request");
                assert!(
                    heartbeat
                        .consumers
                        .iter()
                        .all(|c| !c.subscriptions.is_empty())
                );
            }
            "pull-request" | "lite-pull-request" => {
                let header: PullMessageRequest<'_> = header(&name, &command);
                assert_eq!(header.topic, "CaptureTopic");
                assert!(header.sys_flag & pull_sys_flag::SUSPEND != 0);
                let is_lite = header.sys_flag & pull_sys_flag::LITE_PULL != 0;
                assert_eq!(is_lite, name.starts_with("lite"));
                assert_eq!(
                    command.request_code() == Some(RequestCode::LitePullMessage),
                    is_lite
                );
            }
            "pull-response" | "lite-pull-response" => {
                let header: PullMessageResponse = header(&name, &command);
                let messages: Vec<_> = split(command.body.clone()).map(Result::unwrap).collect();
                assert_eq!(messages.len(), 1);
                assert_eq!(messages[0].queue_offset() + 1, header.next_begin_offset);
                assert_eq!(messages[0].topic(), "CaptureTopic");
                let keys: Vec<_> = messages[0].view().keys().collect();
                assert!(
                    keys == ["held-1"] || keys == ["order-4711", "second"],
                    "{keys:?}"
                );
                messages[0].verify_body_crc().unwrap();
            }
            "query-offset-request" | "query-offset-code-22-request" => {
                let header: QueryConsumerOffsetRequest<'_> = header(&name, &command);
                assert_eq!(header.broker_name, Some("broker-a"));
            }
            "query-offset-response" => {
                let header: OffsetResponse = header(&name, &command);
                assert_eq!(header.offset, 0);
            }
            "route-request" => {
                let _: GetRouteRequest<'_> = header(&name, &command);
            }
            "route-response" => {
                let route = TopicRouteData::decode(&command.body).unwrap();
                assert_eq!(route.encode(), command.body);
            }
            "send-back-request" => {
                let header: ConsumerSendMessageBackRequest<'_> = header(&name, &command);
                assert_eq!(header.origin_topic, Some("CaptureTopic"));
                assert!(header.offset > 0);
            }
            "send-v2-request" => {
                let header: SendMessageRequestV2<'_> = header(&name, &command);
                assert_eq!(header.topic, "CaptureTopic");
                assert_eq!(header.broker_name, Some("broker-a"));
                // 4.x leaves out the last separator.
                let keys = properties::get(header.properties.unwrap(), properties::KEYS);
                assert!(
                    matches!(keys, Some("held-1" | "order-4711 second")),
                    "{keys:?}"
                );
            }
            "send-v2-response" => {
                let header: SendMessageResponse<'_> = header(&name, &command);
                let id: wire::message::MessageId = header.message_id.parse().unwrap();
                assert!(id.store_host.ip().is_loopback());
                assert_eq!(
                    (header.region, header.trace_on),
                    (Some("DefaultRegion"), Some(true))
                );
            }
            "unregister-request" => {
                let header: UnregisterClientRequest<'_> = header(&name, &command);
                assert!(header.consumer_group.is_some());
            }
            "update-offset-oneway" => {
                let header: UpdateConsumerOffsetRequest<'_> = header(&name, &command);
                assert_eq!(header.commit_offset, 1);
            }
            "heartbeat-response"
            | "heartbeat-consumer-response"
            | "query-offset-code-22-response"
            | "send-back-response"
            | "unregister-response" => assert!(command.body.is_empty()),
            other => panic!("capture `{other}` is not checked here"),
        }
    }
}
