//! The front door: tells each new connection's protocol by its first bytes and hands it over.

use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};

use base::limits;
use bytes::{Bytes, BytesMut};
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tower::Service;
use wire::{
    grpc_v1::messaging_service_server::MessagingServiceServer as MessagingServiceV1,
    grpc_v2::{
        admin_server::AdminServer,
        messaging_service_server::MessagingServiceServer as MessagingServiceV2,
    },
    otlp::collector::{
        metrics::v1::metrics_service_server::MetricsServiceServer,
        trace::v1::trace_service_server::TraceServiceServer,
    },
};

use crate::{
    front::{ConnectionInfo, DrainPhase, Front},
    grpc, grpc_v1, grpc_v2, http as plain_http,
    http2_requests::Http2Requests,
    hyper_clock::HyperClock,
    linger::linger,
    ons_http, ons_openapi, openapi,
    prefixed::Prefixed,
    remoting,
    sniff::{Protocol, Sniffed, sniff},
};

/// What HTTP/2 clients send first (RFC 9113, 3.4).
const HTTP2_PREFACE_BYTES: usize = 24;

/// Room for the first bytes; more than any protocol needs to be told, less than a page.
const FIRST_BYTES_ROOM: usize = 1_024;

/// Lets connections in.
pub(crate) struct Door {
    front: Arc<Front>,
    tls: TlsAcceptor,
    timer: HyperClock,
}

/// Anything that connections are read from and written to.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

impl Door {
    pub(crate) fn new(front: Arc<Front>, tls: Arc<rustls::ServerConfig>) -> Self {
        let timer = HyperClock::new(Arc::clone(&front.clock));
        Self {
            front,
            tls: TlsAcceptor::from(tls),
            timer,
        }
    }

    /// Serves one connection to its end, or until the drain's time is over.
    pub(crate) async fn enter(&self, stream: TcpStream, connection: ConnectionInfo) {
        let closed = self.front.drain.reached(DrainPhase::Closed);
        tokio::select! {
            () = self.let_in(stream, connection) => {}
            () = closed => {}
        }
    }

    async fn let_in(&self, mut stream: TcpStream, connection: ConnectionInfo) {
        let Some((protocol, first)) = self.look(&mut stream, &connection).await else {
            return;
        };
        if protocol != Protocol::Tls {
            return self.speak(protocol, first, stream, connection).await;
        }
        // Put aside, as those without it would keep room for it.
        Box::pin(self.let_in_encrypted(first, stream, connection)).await;
    }

    async fn let_in_encrypted(
        &self,
        first: BytesMut,
        stream: TcpStream,
        mut connection: ConnectionInfo,
    ) {
        let handshake = self.tls.accept(Prefixed::new(first.freeze(), stream));
        let mut stream = match self.within(limits::TLS_HANDSHAKE_MS_MAX, handshake).await {
            Some(Ok(stream)) => stream,
            Some(Err(error)) => {
                tracing::debug!(peer = %connection.peer, %error, "tls handshake failed");
                return;
            }
            None => {
                tracing::debug!(peer = %connection.peer, "tls handshake took too long");
                return;
            }
        };
        connection.tls = true;
        match self.look(&mut stream, &connection).await {
            Some((Protocol::Tls, _)) => {
                self.front.metrics.garbage();
                tracing::debug!(peer = %connection.peer, "tls inside tls");
            }
            Some((protocol, first)) => self.speak(protocol, first, stream, connection).await,
            None => {}
        }
    }

    /// Reads until the protocol is told. `None` if the connection ends, takes too long, speaks
    /// none that is known, or nothing came by the time the process is stopping.
    async fn look(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        connection: &ConnectionInfo,
    ) -> Option<(Protocol, BytesMut)> {
        let mut first = BytesMut::with_capacity(FIRST_BYTES_ROOM);
        let reading = self.within(
            limits::FIRST_BYTES_WAIT_MS_MAX,
            read_first(stream, &mut first),
        );
        let stopping = async {
            self.front.drain.reached(DrainPhase::Draining).await;
            // What it has said already is on its way here.
            let wait = Duration::from_millis(limits::LAST_FIRST_BYTES_WAIT_MS_MAX);
            self.front.clock.sleep(wait).await;
        };
        let protocol = tokio::select! {
            protocol = reading => protocol,
            () = stopping => return None,
        };
        match protocol {
            Some(Ok(protocol)) => {
                self.front.metrics.spoken(protocol);
                return Some((protocol, first));
            }
            // Health checks of load balancers connect and leave: nothing to tell anybody.
            Some(Err(First::Ended)) => {}
            Some(Err(First::Garbage)) => {
                self.front.metrics.garbage();
                tracing::debug!(peer = %connection.peer, ?first, "first bytes tell no protocol");
            }
            None => {
                self.front.metrics.garbage();
                tracing::debug!(peer = %connection.peer, "first bytes took too long");
            }
        }
        None
    }

    async fn speak<S: Stream>(
        &self,
        protocol: Protocol,
        first: BytesMut,
        stream: S,
        connection: ConnectionInfo,
    ) {
        // Put aside: a connection would keep room for the largest of all protocols.
        if protocol == Protocol::Remoting {
            let front = Arc::clone(&self.front);
            return Box::pin(remoting::serve(front, connection, stream, first)).await;
        }
        let mut stream = Prefixed::new(first.freeze(), stream);
        let ended = match protocol {
            Protocol::Http1 => Box::pin(self.http1(&mut stream, connection)).await,
            Protocol::Http2 => Box::pin(self.http2(&mut stream, connection)).await,
            Protocol::Remoting | Protocol::Tls => unreachable!("taken off before"),
        };
        if let Err(error) = ended {
            tracing::debug!(peer = %connection.peer, %error, "http connection ended");
        }
        linger(&*self.front.clock, stream).await;
    }

    async fn http1(
        &self,
        stream: &mut impl Stream,
        connection: ConnectionInfo,
    ) -> Result<(), hyper::Error> {
        let front = &self.front;
        let service = service_fn(|request: Request<Incoming>| async move {
            Ok::<_, Infallible>(http_answer(front, &connection, request).await)
        });
        let serving = conn::http1::Builder::new()
            .timer(self.timer.clone())
            .header_read_timeout(Duration::from_millis(limits::HTTP_HEADER_WAIT_MS_MAX))
            .max_buf_size(limits::HTTP_HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut serving = pin!(serving);
        tokio::select! {
            // First of all, as what it was told to stop before its first request is never begun.
            biased;
            ended = serving.as_mut() => return ended,
            () = front.drain.reached(DrainPhase::Draining) => {}
        }
        serving.as_mut().graceful_shutdown();
        serving.await
    }

    async fn http2(
        &self,
        stream: &mut impl Stream,
        connection: ConnectionInfo,
    ) -> Result<(), hyper::Error> {
        let front_ends = Arc::new(HttpRequests::new(Arc::clone(&self.front), connection));
        let service = service_fn(move |request: Request<Incoming>| {
            let front_ends = Arc::clone(&front_ends);
            async move { Ok::<_, Infallible>(front_ends.answer(request).await) }
        });
        let mut requests = Http2Requests::default();
        let header_bytes = limits::HTTP_HEADER_BYTES_MAX as u32;
        let serving = conn::http2::Builder::new(requests.executor())
            .timer(self.timer.clone())
            .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
            .max_header_list_size(header_bytes)
            .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW_BYTES)
            .keep_alive_interval(Duration::from_millis(limits::HTTP2_PING_INTERVAL_MS))
            .keep_alive_timeout(Duration::from_millis(limits::HTTP2_PING_WAIT_MS_MAX))
            .serve_connection(TokioIo::new(requests.read_in_turns(stream)), service);
        let mut serving = pin!(serving);
        tokio::select! {
            ended = requests.drive(serving.as_mut()) => return ended,
            () = self.front.drain.reached(DrainPhase::Draining) => {}
        }
        serving.as_mut().graceful_shutdown();
        requests.drive(serving.as_mut()).await
    }

    /// The outcome of `work`, `None` if it takes longer than that many milliseconds.
    async fn within<T>(&self, limit_ms: u64, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            outcome = work => Some(outcome),
            () = self.front.clock.sleep(Duration::from_millis(limit_ms)) => None,
        }
    }
}

/// HTTP requests of one connection, each taken to its front end. Clones share the connection.
///
/// A connection has one of these behind its socket; without a socket it answers requests that are
/// made in the process, as fuzzing does.
#[derive(Clone)]
pub struct HttpRequests {
    front: Arc<Front>,
    connection: ConnectionInfo,
    grpc_v1: MessagingServiceV1<grpc_v1::Messaging>,
    traces: TraceServiceServer<grpc_v1::traces::Traces>,
    grpc_v2: MessagingServiceV2<grpc_v2::Messaging>,
    admin: AdminServer<grpc_v2::admin::Admin>,
    reports: MetricsServiceServer<grpc_v2::client_metrics::Reports>,
}

impl HttpRequests {
    /// Of that connection, which may be none that is open.
    pub fn new(front: Arc<Front>, connection: ConnectionInfo) -> Self {
        Self {
            grpc_v1: grpc_v1::service(Arc::clone(&front), connection),
            traces: grpc_v1::traces::service(Arc::clone(&front), connection),
            grpc_v2: grpc_v2::service(Arc::clone(&front), connection),
            admin: grpc_v2::admin::service(Arc::clone(&front), connection),
            reports: grpc_v2::client_metrics::service(Arc::clone(&front), connection),
            front,
            connection,
        }
    }

    /// Answers one request, gRPC or not.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        if !is_grpc(&request) {
            let plain = http_answer(&self.front, &self.connection, request).await;
            return plain.map(Body::new);
        }
        let path = request.uri().path();
        let Ok(answer) = if path.starts_with(grpc_v2::admin::PATH) {
            self.admin.clone().call(request).await
        } else if path.starts_with(grpc_v2::client_metrics::PATH) {
            self.reports.clone().call(request).await
        } else if path.starts_with(grpc_v1::traces::PATH) {
            self.traces.clone().call(request).await
        } else if path.starts_with(grpc_v1::PATH) {
            let answer = self.grpc_v1.clone().call(request).await;
            answer.map(grpc::unread::keep)
        } else {
            let answer = self.grpc_v2.clone().call(request).await;
            answer.map(grpc::unread::keep)
        };
        answer
    }
}

/// What is not gRPC.
async fn http_answer<B>(
    front: &Arc<Front>,
    connection: &ConnectionInfo,
    request: Request<B>,
) -> Response<Full<Bytes>>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    // Put aside: every connection and every request over HTTP/2, gRPC's too, would keep room for
    // the largest of them, and be copied with it.
    if ons_http::is_ours(&request) {
        return Box::pin(ons_http::answer(front, connection, request)).await;
    }
    if ons_openapi::is_ours(&request) {
        return Box::pin(ons_openapi::answer(front, connection, request)).await;
    }
    if openapi::is_ours(&request) {
        return Box::pin(openapi::answer(front, connection, request)).await;
    }
    plain_http::answer(front, connection, &request)
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

enum First {
    Ended,
    Garbage,
}

impl From<io::Error> for First {
    fn from(_: io::Error) -> Self {
        Self::Ended
    }
}

async fn read_first(
    stream: &mut (impl AsyncRead + Unpin),
    first: &mut BytesMut,
) -> Result<Protocol, First> {
    let protocol = loop {
        match sniff(first) {
            Sniffed::Is(protocol) => break protocol,
            Sniffed::Garbage => return Err(First::Garbage),
            Sniffed::More => {}
        }
        if stream.read_buf(first).await? == 0 {
            return Err(First::Ended);
        }
    };
    // hyper waits for the rest of the preface without a limit of its own, so it is waited for here.
    while protocol == Protocol::Http2 && first.len() < HTTP2_PREFACE_BYTES {
        if stream.read_buf(first).await? == 0 {
            return Err(First::Ended);
        }
    }
    Ok(protocol)
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;

    use super::*;
    use crate::{FrontSettings, test_clock::StoppedClock};

    /// A connection that has not said yet what it speaks keeps no room for what it may speak.
    #[test]
    fn a_connection_at_the_door_keeps_little() {
        fn bytes<'a, F>(_: fn(&'a Door, TcpStream, ConnectionInfo) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = bytes(Door::enter);
        assert!(bytes <= 1_280, "{bytes} bytes");
    }

    /// hyper makes a task of it and copies that a dozen times.
    #[test]
    fn a_request_over_http_2_keeps_little() {
        let settings = FrontSettings::default();
        let front = Arc::new(Front::new(Arc::default(), Arc::new(StoppedClock), settings));
        let address = "127.0.0.1:1".parse().unwrap();
        let connection = ConnectionInfo {
            id: 1,
            peer: address,
            local: address,
            tls: false,
            admin: false,
            trusted: false,
        };
        let requests = HttpRequests::new(front, connection);
        let answer = requests.answer(Request::new(Empty::<Bytes>::new()));
        let bytes = size_of_val(&answer);
        assert!(bytes <= 2_048, "{bytes} bytes");
    }
}
