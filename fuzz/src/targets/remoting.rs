//! Remoting frames, headers and bodies.

use base::limits::REMOTING_FRAME_BYTES_MAX;
use bytes::BytesMut;
use wire::remoting::body::{self, Body};
use wire::remoting::{Command, ExtFields, Header, LanguageCode, SerializeType, frame, header};

use super::note;

/// A connection that sends these bytes.
pub(super) fn frame(input: &[u8]) {
    let mut buffer = BytesMut::from(input);
    loop {
        match frame::decode(&mut buffer, REMOTING_FRAME_BYTES_MAX) {
            Ok(Some(command)) => read(command),
            Ok(None) => return,
            Err(error) => return note(error),
        }
    }
}

pub(super) fn json_header(input: &[u8]) {
    frame(&framed(0, input));
}

pub(super) fn binary_header(input: &[u8]) {
    frame(&framed(1, input));
}

fn framed(serialize_type: u32, header: &[u8]) -> Vec<u8> {
    let length = header.len() as u32;
    let mut frame = Vec::with_capacity(8 + header.len());
    frame.extend_from_slice(&(4 + length).to_be_bytes());
    frame.extend_from_slice(&((serialize_type << 24) | length).to_be_bytes());
    frame.extend_from_slice(header);
    frame
}

fn read(command: Command) {
    note(command.request_code().is_some());
    note(command.remark.is_some());
    headers(&command.fields);

    let mut expected = command;
    // JSON has no name for a language that has none.
    if expected.serialize_type == SerializeType::Json
        && matches!(expected.language, LanguageCode::Unknown(_))
    {
        expected.language = LanguageCode::Other;
    }
    let mut again = BytesMut::new();
    frame::encode(&expected, &mut again).expect("what was read can be written");
    let read = frame::decode(&mut again, REMOTING_FRAME_BYTES_MAX * 8);
    assert_eq!(read, Ok(Some(expected)));
}

macro_rules! headers {
    ($($header:ident),* $(,)?) => {
        fn headers(fields: &ExtFields) {
            $(match header::$header::decode(fields) {
                Ok(header) => {
                    note(stringify!($header));
                    let mut again = ExtFields::new();
                    header.encode(&mut again);
                    assert_eq!(header::$header::decode(&again), Ok(header));
                }
                Err(error) => note(error.to_string().len() > 100),
            })*
        }
    };
}

headers!(
    AckMessageRequest,
    ChangeInvisibleDurationRequest,
    CheckTransactionStateRequest,
    ConsumerSendMessageBackRequest,
    CreateTopicRequest,
    EndTransactionRequest,
    GetMaxOffsetRequest,
    GetRouteRequest,
    NotificationRequest,
    OffsetResponse,
    PopMessageRequest,
    PullMessageRequest,
    PullMessageResponse,
    QueryConsumerOffsetRequest,
    QueryMessageRequest,
    RequestContext,
    ResetOffsetRequest,
    SearchOffsetRequest,
    SendMessageRequest,
    SendMessageRequestV2,
    SendMessageResponse,
    UnregisterClientRequest,
    UpdateConsumerOffsetRequest,
    ViewMessageRequest,
);

macro_rules! bodies {
    ($($body:ident),* $(,)?) => {
        /// The first byte chooses the type, `A` the first one.
        pub(super) fn body(input: &[u8]) {
            let Some((choice, json)) = input.split_first() else {
                return;
            };
            let runs: &[fn(&[u8])] = &[$(one_body::<body::$body>),*];
            if let Some(run) = runs.get(usize::from(choice.wrapping_sub(b'A'))) {
                note(char::from(*choice));
                run(json);
            }
        }
    };
}

bodies!(
    HeartbeatData,
    TopicRouteData,
    LockQueuesRequest,
    BatchAckRequest,
    QueryAssignmentRequest,
    SetMessageRequestMode,
    GroupConfig,
    CheckClientRequest,
    ClusterInfo,
    TopicStatsTable,
    ConsumeStats,
    ResetOffsetBody,
    TopicConfigTable,
    GroupConfigTable,
    ConsumerConnections,
    TextTable,
    ConsumerList,
);

fn one_body<T: Body>(json: &[u8]) {
    match T::decode(json) {
        Ok(body) => {
            let written = body.encode();
            let again = T::decode(&written).expect("what was written can be read");
            // Not of `json`: defaults are written out. Not of the values: rates are rounded.
            assert_eq!(again.encode().len(), written.len());
        }
        Err(error) => note(error),
    }
}
