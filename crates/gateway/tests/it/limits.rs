//! What bounds a connection: requests under way, answers waiting, frames, time.

use std::{collections::BTreeSet, time::Duration};

use base::limits;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::remoting::{
    RequestCode, ResponseCode, frame,
    header::{PullMessageRequest, SendMessageRequestV2, SendMessageResponse, pull_sys_flag},
};

use crate::{
    remoting::{pull_header, send_header, send_some},
    support::{Peer, Server, soon},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_are_under_way_on_one_connection() {
    const COUNT: usize = 3 * limits::REMOTING_REQUESTS_IN_FLIGHT_MAX;
    let server = Server::start().await;
    let mut peer = server.peer().await;
    let mut bytes = BytesMut::new();
    let mut asked = BTreeSet::new();
    for index in 0..COUNT {
        let header = SendMessageRequestV2 {
            queue_id: (index % 4) as i32,
            ..send_header("orders", "TAGS\u{1}a\u{2}")
        };
        let command = peer
            .command(RequestCode::SendMessageV2, &header)
            .with_body(index.to_string());
        asked.insert(command.opaque);
        frame::encode(&command, &mut bytes).unwrap();
    }
    let (reader, mut writer) = peer.socket.into_split();
    let written = tokio::spawn(async move {
        writer.write_all(&bytes).await.unwrap();
        writer
    });
    let mut answers = Peer::over(tokio::io::join(reader, tokio::io::sink()));
    let mut places = BTreeSet::new();
    for _ in 0..COUNT {
        let answer = answers.receive().await.expect("every request is answered");
        assert_eq!(
            answer.response_code(),
            Some(ResponseCode::Success),
            "{answer:?}"
        );
        assert!(asked.remove(&answer.opaque), "one answer each");
        let sent: SendMessageResponse<'_> = answer.header().unwrap();
        assert!(
            places.insert((sent.queue_id, sent.queue_offset)),
            "one place each"
        );
    }
    written.await.unwrap();
    assert_eq!(
        server.instance.metrics().topics[0].messages_in,
        COUNT as u64
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_up_nobody_else_and_little_memory() {
    let server = Server::start().await;
    let mut producer = server.peer().await;
    let body = vec![b'x'; 1024 * 1024];
    let command = producer
        .command(RequestCode::SendMessageV2, &send_header("orders", ""))
        .with_body(body);
    producer.ask(&command).await;

    // Asks for far more than it is willing to take: 2,000 times 1 MiB.
    let mut slow = server.peer().await;
    let header = PullMessageRequest {
        sys_flag: pull_sys_flag::SUBSCRIPTION | pull_sys_flag::COMMIT_OFFSET,
        subscription: Some("*"),
        ..pull_header("billing", "orders", 0, 0)
    };
    let mut bytes = BytesMut::new();
    for _ in 0..2_000 {
        let pull = slow.command(RequestCode::PullMessage, &header);
        frame::encode(&pull, &mut bytes).unwrap();
    }
    slow.socket.write_all(&bytes).await.unwrap();
    // The server has filled what it may queue once others see it no further.
    send_some(&server, "others", 100).await;
    let handed_out = || {
        let groups = server.instance.metrics().groups;
        groups.first().map_or(0, |group| group.messages_out)
    };
    let mut seen = 0;
    soon("the server to stop handing out", async {
        // Three looks in a row that see nothing new, with other work in between.
        let mut same = 0;
        while same < 3 {
            send_some(&server, "others", 10).await;
            let now = handed_out();
            // On a busy machine it may take a while to begin.
            same = if now == seen && now > 0 { same + 1 } else { 0 };
            seen = now;
        }
    })
    .await;
    let bound = (limits::REMOTING_RESPONSE_BYTES_QUEUED_MAX / (1024 * 1024)) as u64;
    // The system's own socket buffers take some megabytes besides.
    assert!(
        (1..bound + 16).contains(&seen),
        "{seen} answers of 1 MiB made for a slow reader"
    );

    // It is not lost: reading on gets every answer.
    for _ in 0..2_000 {
        let answer = slow.receive().await.expect("every pull is answered");
        assert_eq!(answer.response_code(), Some(ResponseCode::Success));
    }
}

#[tokio::test]
async fn who_reads_nothing_for_long_is_closed() {
    let server = Server::start().await;
    let mut producer = server.peer().await;
    let command = producer
        .command(RequestCode::SendMessageV2, &send_header("orders", ""))
        .with_body(vec![b'x'; 4 * 1024 * 1024]);
    producer.ask(&command).await;
    drop(producer);
    server.until_connections(0).await;
    let mut slow = server.peer().await;
    let header = PullMessageRequest {
        sys_flag: pull_sys_flag::SUBSCRIPTION,
        subscription: Some("*"),
        ..pull_header("billing", "orders", 0, 0)
    };
    for _ in 0..8 {
        let pull = slow.command(RequestCode::PullMessage, &header);
        slow.send(&pull).await;
    }
    server.until_connections(1).await;
    pass_time_until(&server, server.until_connections(0)).await;
}

/// Time passes in small steps, as the server looks at its clock, until `end`.
async fn pass_time_until(server: &Server, end: impl Future<Output = ()>) {
    let push = async {
        loop {
            server.clock.advance(Duration::from_secs(5));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = end => {}
        () = push => {}
    }
}

#[tokio::test]
async fn a_half_frame_ends_its_connection_in_time() {
    let server = Server::start().await;
    let mut half = server.connect().await;
    half.write_all(&[0, 0, 1, 0, 0, 0, 0, 50]).await.unwrap();
    server.until_connections(1).await;
    pass_time_until(&server, server.until_connections(0)).await;
    drop(half);
}

#[tokio::test]
async fn bad_frames_end_their_connection_only() {
    let server = Server::start().await;
    let mut other = server.peer().await;
    for bad in [
        // A header longer than its frame, an unknown serialization, headers that are none.
        &[0, 0, 0, 8, 0, 0, 0, 50, 1, 2, 3, 4][..],
        &[0, 0, 0, 8, 9, 0, 0, 4, 1, 2, 3, 4],
        &[0, 0, 0, 8, 0, 0, 0, 4, b'{', b'{', b'{', b'{'],
        &[0, 0, 0, 8, 1, 0, 0, 4, 1, 2, 3, 4],
    ] {
        let mut socket = server.connect().await;
        socket.write_all(bad).await.unwrap();
        let mut rest = Vec::new();
        let _ = soon("close", socket.read_to_end(&mut rest)).await;
        assert!(rest.is_empty());
        let answer = other.call(RequestCode::GetBrokerClusterInfo, &()).await;
        assert_eq!(answer.response_code(), Some(ResponseCode::Success));
    }
    // A good frame first, then a too long one: the first is still answered or the connection ends.
    let mut socket = server.peer().await;
    let good = socket.command(RequestCode::GetBrokerClusterInfo, &());
    socket.ask(&good).await;
    socket
        .socket
        .write_all(&[0x7f, 0xff, 0xff, 0xff])
        .await
        .unwrap();
    assert!(socket.receive().await.is_none());
}

#[tokio::test]
async fn a_client_that_leaves_has_its_last_words_heard() {
    let server = Server::start().await;
    send_some(&server, "orders", 2).await;
    let group = base::GroupName::new("billing").unwrap();
    server.instance.group_or_create(&group).await.unwrap();
    let mut peer = server.peer().await;
    let commit = wire::remoting::header::UpdateConsumerOffsetRequest {
        consumer_group: "billing",
        topic: "orders",
        queue_id: 0,
        commit_offset: 2,
        broker_name: None,
    };
    let commit = peer
        .command(RequestCode::UpdateConsumerOffset, &commit)
        .as_oneway();
    peer.send(&commit).await;
    drop(peer);
    server.until_connections(0).await;
    let shard = server.instance.shards()[0].clone();
    let topic = base::TopicName::new("orders").unwrap();
    let committed = shard
        .committed_offset(&group, &topic, base::QueueId::new(0))
        .unwrap();
    assert_eq!(committed.map(base::QueueOffset::get), Some(2));
}
