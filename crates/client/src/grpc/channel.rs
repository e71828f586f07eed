//! One HTTP/2 connection for the generated stubs. Unlike tonic's own it never reconnects: a lost
//! connection is an error that the caller sees.

use std::{
    io,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::body::Body;
use tower::Service;

use crate::tls;

/// Bytes that one answer may have under way.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// Bytes that all answers together may have under way.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// A connection; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Channel(SendRequest<Body>);

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Response<Incoming>, hyper::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Connects, and says what requests are to be addressed to.
pub(super) async fn connect(address: &str, encrypt: bool) -> io::Result<(Channel, Uri)> {
    let scheme = if encrypt { "https" } else { "http" };
    let origin: Uri = format!("{scheme}://{address}")
        .parse()
        .map_err(io::Error::other)?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let channel = if encrypt {
        begin(TokioIo::new(tls::connect(stream, address, &[b"h2"]).await?)).await?
    } else {
        begin(TokioIo::new(stream)).await?
    };
    Ok((channel, origin))
}

async fn begin<S>(stream: S) -> io::Result<Channel>
where
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // Whoever waits for an answer hears of it too.
            tracing::debug!(%error, "connection ended");
        }
    });
    Ok(Channel(sender))
}
