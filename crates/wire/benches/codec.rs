//! What the codecs cost per message: encode and parse of the stored layout, frames and headers.

use std::hint::black_box;
use std::net::SocketAddr;

use base::limits::REMOTING_FRAME_BYTES_MAX;
use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wire::message::{MessageView, NewMessage, Placement, Rewrite, StoredMessage};
use wire::remoting::header::{SendMessageRequestV2, SendMessageResponse};
use wire::remoting::{Command, Header, RequestCode, ResponseCode, SerializeType, frame};

const BODY: [u8; 1024] = [7; 1024];
const PROPERTIES: &str = "KEYS\u{1}order-4711\u{2}UNIQ_KEY\u{1}7F0000010BC018B4AAC203BCAF130000\u{2}WAIT\u{1}true\u{2}TAGS\u{1}paid\u{2}";
const HOST: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 10_911);
const PLACEMENT: Placement = Placement {
    queue_offset: 1,
    physical_offset: 2,
    store_timestamp: 3,
};

fn new_message() -> NewMessage<'static> {
    NewMessage {
        topic: "orders",
        queue_id: 3,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_123,
        born_host: HOST,
        store_host: HOST,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: &BODY,
        properties: PROPERTIES.as_bytes(),
    }
}

fn message(criterion: &mut Criterion) {
    let new = new_message();
    let mut stored = Vec::new();
    new.encode(PLACEMENT, &mut stored);

    let mut group = criterion.benchmark_group("message");
    group.throughput(Throughput::Bytes(stored.len() as u64));
    let mut out = Vec::with_capacity(stored.len());
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            let new = black_box(&new);
            let length = new.encoded_len().expect("within the limits");
            new.encode(PLACEMENT, &mut out);
            black_box((length, &out));
        });
    });
    group.bench_function("view and index fields", |bencher| {
        bencher.iter(|| {
            let view = MessageView::parse(black_box(&stored)).expect("just encoded");
            black_box((
                view.tags(),
                view.unique_key(),
                view.keys().count(),
                view.queue_offset(),
            ));
        });
    });
    let message = StoredMessage::parse(Bytes::from(stored)).expect("just encoded");
    let rewrite = Rewrite {
        topic: Some("MQ_INST_1%orders"),
        set_properties: &[("POP_CK", "0 1700000000000 60000 0 0 broker-a 3 1")],
        ..Rewrite::default()
    };
    group.bench_function("rewrite topic and a property", |bencher| {
        bencher.iter(|| black_box(rewrite.apply(black_box(&message))));
    });
    group.finish();
}

fn command(serialize_type: SerializeType) -> Command {
    let header = SendMessageRequestV2 {
        producer_group: "group",
        topic: "orders",
        default_topic: "TBW102",
        default_topic_queue_count: 4,
        queue_id: 3,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_123,
        flag: 0,
        properties: Some(PROPERTIES),
        reconsume_times: Some(0),
        unit_mode: Some(false),
        max_reconsume_times: None,
        batch: Some(false),
        broker_name: Some("broker-a"),
    };
    Command {
        serialize_type,
        ..Command::request(RequestCode::SendMessageV2, &header).with_body(&BODY[..])
    }
}

fn remoting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("remoting");
    for (serialize_type, name) in [
        (SerializeType::Json, "JSON"),
        (SerializeType::RocketMq, "binary"),
    ] {
        let request = command(serialize_type);
        let mut bytes = BytesMut::new();
        frame::encode(&request, &mut bytes).expect("a small command");
        group.bench_function(format!("decode send, {name}"), |bencher| {
            bencher.iter(|| {
                let mut buffer = BytesMut::from(black_box(&bytes[..]));
                let command = frame::decode(&mut buffer, REMOTING_FRAME_BYTES_MAX);
                let command = command.expect("just encoded").expect("a whole frame");
                let header = SendMessageRequestV2::decode(&command.fields).expect("just encoded");
                black_box(header.queue_id);
            });
        });
        let mut out = BytesMut::with_capacity(4096);
        group.bench_function(format!("encode answer, {name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                let answer = black_box(&request).response(ResponseCode::Success);
                let answer = answer.with_header(&SendMessageResponse {
                    message_id: "7F00000100002A9F000500000012D687",
                    queue_id: 3,
                    queue_offset: 4_294_967_297,
                    transaction_id: None,
                    batch_unique_id: None,
                    recall_handle: None,
                    region: Some("DefaultRegion"),
                    trace_on: Some(true),
                });
                frame::encode(&answer, &mut out).expect("a small command");
                black_box(&out);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, message, remoting);
criterion_main!(benches);
