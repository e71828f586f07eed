//! Stopping in order.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::remoting::{
    RequestCode, ResponseCode,
    header::{PullMessageRequest, PullMessageResponse},
};

use crate::{
    remoting::{pull_header, send_some, tell_subscription},
    support::{Server, soon},
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
        tokio::net::TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}
