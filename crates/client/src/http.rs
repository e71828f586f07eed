//! One request over HTTP/1.1, on a connection of its own.

use std::{io, time::Duration};

use base::limits::OPENAPI_ANSWER_BYTES_MAX;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::ClientError;

/// Longest wait for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(3);

/// Sends `request`, called `name` in errors, to the server at `address`, and waits at most `wait`
/// for all of its answer.
///
/// # Errors
/// When there is no connection, or no answer in time, or it is longer than
/// [`OPENAPI_ANSWER_BYTES_MAX`]. What the answer says is no error here.
pub async fn exchange(
    address: &str,
    request: Request<Bytes>,
    name: &'static str,
    wait: Duration,
) -> Result<Response<Bytes>, ClientError> {
    let connected = timeout(CONNECT_WAIT, TcpStream::connect(address)).await;
    let connected = connected.map_err(|_| ClientError::ConnectTimeout {
        address: address.to_owned(),
        after: CONNECT_WAIT,
    })?;
    let stream = connected.map_err(|source| ClientError::Connect {
        address: address.to_owned(),
        source,
    })?;
    let answered = timeout(wait, send(stream, request.map(Full::new))).await;
    let answered = answered.map_err(|_| ClientError::Timeout {
        address: address.to_owned(),
        request: name,
        after: wait,
    })?;
    answered.map_err(|error| ClientError::Closed {
        address: address.to_owned(),
        reason: error.to_string(),
    })
}

async fn send(stream: TcpStream, request: Request<Full<Bytes>>) -> io::Result<Response<Bytes>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let exchange = async {
        let answer = sender.send_request(request).await;
        let (head, body) = answer.map_err(io::Error::other)?.into_parts();
        let body = Limited::new(body, OPENAPI_ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(io::Error::other)?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => match ended {
            // What was read before the end may be the answer.
            Ok(()) => exchange.await,
            Err(error) => Err(io::Error::other(error)),
        },
    }
}
