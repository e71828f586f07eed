//! Stopping in order.

use std::{collections::BTreeSet, io::Write as _, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wire::remoting::{
    RequestCode, ResponseCode, frame,
    header::{PullMessageRequest, PullMessageResponse},
};

use crate::{
    remoting::{pull_header, send_header, send_some, tell_subscription},
    support::{PATIENCE, Peer, Server, soon},
};

#[tokio::test]
async fn a_long_poll_ends_empty_and_its_connection_in_order() {
    let mut server = Server::start().await;
    send_some(&server, "orders", 1).await;
    let mut peer = server.peer().await;
    tell_subscription(&mut peer, "billing", "orders", "*").await;
    let header = PullMessageRequest {
        suspend_timeout_ms: 60_000,
        ..pull_header("billing", "orders", 0, 1)
    };
    let poll = peer.command(RequestCode::PullMessage, &header);
    peer.send(&poll).await;
    // The answer to a later request shows that the poll was taken up and waits.
    peer.call(RequestCode::GetBrokerClusterInfo, &()).await;

    let (drained, answer) = {
        let drain = server.drain(Duration::from_secs(10));
        tokio::join!(drain, async {
            let answer = peer.receive().await.expect("the poll is answered");
            assert!(peer.receive().await.is_none(), "then the connection ends");
            drop(peer);
            answer
        })
    };
    assert_eq!(drained.cut, 0);
    assert_eq!(answer.opaque, poll.opaque);
    assert_eq!(answer.response_code(), Some(ResponseCode::PullNotFound));
    let header: PullMessageResponse = answer.header().unwrap();
    assert_eq!(header.next_begin_offset, 1);
}

#[tokio::test]
async fn whoever_does_not_leave_is_cut_and_nobody_comes_in() {
    let mut server = Server::start().await;
    let address = server.address;
    // An HTTP request of which the end never comes.
    let mut stuck = server.connect().await;
    stuck
        .write_all(b"POST /healthz HTTP/1.1\r\ncontent-length: 100\r\n")
        .await
        .unwrap();
    server.until_connections(1).await;
    let drained = server.drain(Duration::from_millis(50)).await;
    assert!(drained.cut <= 1);
    let mut rest = Vec::new();
    let _ = soon("close", stuck.read_to_end(&mut rest)).await;
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn what_came_before_the_stop_is_answered() {
    let mut server = Server::start().await;
    let mut peer = server.peer().await;
    peer.call(RequestCode::GetBrokerClusterInfo, &()).await;
    let (mut bytes, mut asked) = (BytesMut::new(), BTreeSet::new());
    for index in 0..200 {
        let send = peer.command(RequestCode::SendMessageV2, &send_header("orders", ""));
        asked.insert(send.opaque);
        frame::encode(&send.with_body(index.to_string()), &mut bytes).unwrap();
    }
    peer.socket.write_all(&bytes).await.unwrap();
    let answers = async {
        while let Some(answer) = peer.receive().await {
            assert_eq!(answer.response_code(), Some(ResponseCode::Success));
            assert!(asked.remove(&answer.opaque), "{answer:?}");
        }
        drop(peer);
    };
    let (drained, ()) = tokio::join!(server.drain(PATIENCE), answers);
    assert_eq!(asked.len(), 0, "not answered");
    assert_eq!(drained.cut, 0);
}

/// Connections that the system has let in and the server has not.
fn who_has_just_come(server: &Server, first: &[u8]) -> Vec<TcpStream> {
    let sockets = (0..8).map(|_| {
        let mut socket = std::net::TcpStream::connect(server.address).unwrap();
        socket.write_all(first).unwrap();
        socket.set_nonblocking(true).unwrap();
        TcpStream::from_std(socket).unwrap()
    });
    sockets.collect()
}

#[tokio::test]
async fn who_has_just_come_is_answered_over_remoting() {
    let mut server = Server::start().await;
    let mut first = BytesMut::new();
    let ask = Peer::over(tokio::io::empty()).command(RequestCode::GetBrokerClusterInfo, &());
    frame::encode(&ask, &mut first).unwrap();
    let sockets = who_has_just_come(&server, &first);
    let answers = async {
        for socket in sockets {
            let answer = Peer::over(socket).receive().await.expect("an answer");
            assert_eq!(answer.response_code(), Some(ResponseCode::Success));
        }
    };
    let (drained, ()) = tokio::join!(server.drain(PATIENCE), answers);
    assert_eq!(drained.cut, 0);
}

#[tokio::test]
async fn who_has_just_come_is_answered_over_http() {
    let mut server = Server::start().await;
    let sockets = who_has_just_come(&server, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    let answers = async {
        for mut socket in sockets {
            let mut answer = String::new();
            let read = soon("answer", socket.read_to_string(&mut answer)).await;
            read.unwrap();
            assert!(answer.ends_with("draining\n"), "{answer}");
        }
    };
    let (drained, ()) = tokio::join!(server.drain(PATIENCE), answers);
    assert_eq!(drained.cut, 0);
}
