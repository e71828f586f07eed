//! HTTP/2 connections whose clients do as no library does: frames are written by hand.

use bytes::{BufMut, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use wire::grpc_v2::QueryRouteRequest;

use crate::{
    grpc_v2::{Sdk, message, receive, resource},
    support::{PATIENCE, Server, soon},
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// More than any answer here.
const MUCH: u32 = 64 * 1024 * 1024;

/// A frame (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    frame.put_uint(payload.len() as u64, 3);
    frame.put_u8(kind);
    frame.put_u8(flags);
    frame.put_u32(stream);
    frame.put_slice(payload);
    frame.to_vec()
}

/// A client that reads when it is told to, and little ahead.
struct Client {
    socket: TcpStream,
}

impl Client {
    /// The windows of its streams are as small as that.
    async fn connect(server: &Server, window: u32) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        let socket = soon("connect", socket.connect(server.address)).await;
        Self::over(socket.unwrap(), window).await
    }

    async fn over(mut socket: TcpStream, window: u32) -> Self {
        let mut first = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        // SETTINGS_INITIAL_WINDOW_SIZE.
        let setting = [&[0, 4][..], &window.to_be_bytes()].concat();
        first.extend(frame(SETTINGS, 0, 0, &setting));
        first.extend(frame(WINDOW_UPDATE, 0, 0, &MUCH.to_be_bytes()));
        socket.write_all(&first).await.unwrap();
        Self { socket }
    }

    async fn write(&mut self, frames: &[u8]) {
        soon("write", self.socket.write_all(frames)).await.unwrap();
    }

    /// Begins a call of the 5.x protocol as its first stream.
    async fn call(&mut self, name: &str, request: &impl prost::Message) {
        let path = format!("/apache.rocketmq.v2.MessagingService/{name}");
        // Of the static table: POST, http, a path (RFC 7541, appendix A); then names in full.
        let mut headers = vec![0x83, 0x86, 0x04, path.len() as u8];
        headers.extend(path.as_bytes());
        for (name, value) in [
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("x-mq-client-id", "c"),
            ("x-mq-language", "JAVA"),
        ] {
            headers.extend([0, name.len() as u8]);
            headers.extend(name.as_bytes());
            headers.push(value.len() as u8);
            headers.extend(value.as_bytes());
        }
        let request = request.encode_to_vec();
        let mut body = vec![0];
        body.extend((request.len() as u32).to_be_bytes());
        body.extend(request);
        let mut frames = frame(HEADERS, END_HEADERS, 1, &headers);
        frames.extend(frame(DATA, END_STREAM, 1, &body));
        self.write(&frames).await;
    }

    /// The next frame: kind, flags and payload; `None` at the end of the connection.
    async fn read(&mut self) -> std::io::Result<Option<(u8, u8, Vec<u8>)>> {
        let mut head = [0; 9];
        match soon("frame", self.socket.read_exact(&mut head)).await {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        };
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        soon("frame", self.socket.read_exact(&mut payload)).await?;
        Ok(Some((head[3], head[4], payload)))
    }
}

#[tokio::test]
async fn an_answer_is_read_to_its_end_whatever_its_client_sends_meanwhile() {
    let mut server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let body = "x".repeat(2 * 1024 * 1024);
    let mut sent = message("orders", "id");
    sent.body = body.clone().into();
    sdk.send(vec![sent]).await;
    drop(sdk);

    // Its windows hold the answer back until the server stops.
    let mut client = Client::connect(&server, 1_024).await;
    client
        .call("ReceiveMessage", &receive("orders", "billing", 1))
        .await;
    let mut answer = 0;
    while answer < 1_024 {
        let (kind, _, payload) = client.read().await.unwrap().unwrap();
        answer += if kind == DATA { payload.len() } else { 0 };
    }
    let reading = async {
        let ping = loop {
            let read = client.read().await.unwrap();
            if let (PING, 0, payload) = read.expect("a ping first") {
                break payload;
            }
        };
        // All at once: the window for the rest, the answer to the ping, and what a client sends
        // while it reads.
        let mut frames = frame(WINDOW_UPDATE, 0, 1, &MUCH.to_be_bytes());
        frames.extend(frame(PING, ACK, 0, &ping));
        for _ in 0..8 * 1_024 {
            frames.extend(frame(PING, ACK, 0, &[0; 8]));
        }
        client.write(&frames).await;
        while let Some((kind, _, payload)) = client.read().await.expect("an end in order") {
            answer += if kind == DATA { payload.len() } else { 0 };
        }
    };
    let (drained, ()) = tokio::join!(server.drain(PATIENCE), reading);
    assert!(answer > body.len(), "{answer} bytes of the answer");
    assert_eq!(drained.cut, 0);
}

#[tokio::test]
async fn who_comes_as_the_server_stops_is_answered_and_told_to_go() {
    let mut server = Server::start().await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        // The system lets it in, before the server does.
        let socket = std::net::TcpStream::connect(server.address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut client = Client::over(TcpStream::from_std(socket).unwrap(), MUCH).await;
        let route = QueryRouteRequest {
            topic: resource("orders"),
            endpoints: None,
        };
        client.call("QueryRoute", &route).await;
        clients.push(client);
    }
    let reading = async {
        for mut client in clients {
            let (mut answer, mut is_told_to_go) = (0, false);
            while let Some((kind, flags, payload)) = client.read().await.unwrap() {
                match (kind, flags) {
                    (DATA, _) => answer += payload.len(),
                    (GOAWAY, _) => is_told_to_go = true,
                    (PING, 0) => client.write(&frame(PING, ACK, 0, &payload)).await,
                    _ => {}
                }
            }
            assert!(answer > 0 && is_told_to_go, "{answer} bytes");
        }
    };
    let (drained, ()) = tokio::join!(server.drain(PATIENCE), reading);
    assert_eq!(drained.cut, 0);
}
