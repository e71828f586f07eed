//! A server whose every answer the test writes.

use base::limits;
use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use wire::remoting::{Command, frame};

/// Listens on a port of its own.
pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// One accepted connection.
pub(crate) struct Peer {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Peer {
    /// Waits for the client.
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    /// The next request; `None` when the client has closed.
    pub(crate) async fn next(&mut self) -> Option<Command> {
        loop {
            let decoded = frame::decode(&mut self.buffer, limits::REMOTING_FRAME_BYTES_MAX);
            if let Some(command) = decoded.unwrap() {
                return Some(command);
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap() == 0 {
                return None;
            }
        }
    }

    /// Writes a command.
    pub(crate) async fn write(&mut self, command: &Command) {
        let mut out = BytesMut::new();
        frame::encode(command, &mut out).unwrap();
        self.write_bytes(&out).await;
    }

    /// Writes anything.
    pub(crate) async fn write_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }
}
