//! What the first bytes of a connection decide.

use std::{sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use wire::remoting::{RequestCode, ResponseCode, header::GetRouteRequest};

use crate::support::{Peer, Server, soon};

async fn until_closed(mut socket: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is as closed as an orderly end.
    let _ = soon("close", socket.read_to_end(&mut rest)).await;
    rest
}

const GET_HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn one_port_speaks_remoting_and_http() {
    let server = Server::start().await;
    let mut socket = server.connect().await;
    socket.write_all(GET_HEALTH).await.unwrap();
    let answer = String::from_utf8(until_closed(socket).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");

    let mut peer = server.peer().await;
    let answer = peer.call(RequestCode::GetBrokerClusterInfo, &()).await;
    assert_eq!(answer.response_code(), Some(ResponseCode::Success));
}

#[tokio::test]
async fn plain_paths_are_served_over_http2_too() {
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let server = Server::start().await;
    let io = TokioIo::new(server.connect().await);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (mut sender, connection) = soon("handshake", handshake).await.unwrap();
    tokio::spawn(connection);
    for (path, status) in [("/healthz", 200), ("/nothing", 404)] {
        let body = http_body_util::Empty::<bytes::Bytes>::new();
        let request = http::Request::get(format!("http://x{path}"))
            .body(body)
            .unwrap();
        let answer = soon("answer", sender.send_request(request)).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
}

#[tokio::test]
async fn first_bytes_may_come_one_by_one() {
    let server = Server::start().await;
    let mut socket = server.connect().await;
    socket.set_nodelay(true).unwrap();
    for byte in GET_HEALTH {
        socket.write_all(&[*byte]).await.unwrap();
    }
    let answer = String::from_utf8(until_closed(socket).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn garbage_is_closed_and_others_are_served() {
    let server = Server::start().await;
    for garbage in [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        &[0xff; 64],
        &[0x16, 0x99, 0, 0],
        // A Remoting frame longer than any may be.
        &[1, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 1, 0],
    ] {
        let mut socket = server.connect().await;
        socket.write_all(garbage).await.unwrap();
        assert!(until_closed(socket).await.is_empty(), "{garbage:?}");
    }
    let mut peer = server.peer().await;
    let answer = peer.call(RequestCode::GetBrokerClusterInfo, &()).await;
    assert_eq!(answer.response_code(), Some(ResponseCode::Success));
}

#[tokio::test]
async fn who_says_nothing_is_closed_in_time() {
    let server = Server::start().await;
    let silent = server.connect().await;
    let mut half = server.connect().await;
    half.write_all(&[0, 0]).await.unwrap();
    let mut preface = server.connect().await;
    preface.write_all(b"PRI * HTTP").await.unwrap();
    server.until_connections(3).await;
    // Time passes step by step, since each wait begins when its connection is looked at.
    let push = async {
        loop {
            server.clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    let closed = async {
        for socket in [silent, half, preface] {
            assert!(until_closed(socket).await.is_empty());
        }
    };
    tokio::select! {
        () = closed => {}
        () = push => {}
    }
    server.until_connections(0).await;
}

mod trust {
    //! As the SDKs do: any certificate will do.

    use rustls::{
        DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        pki_types::{CertificateDer, ServerName, UnixTime},
    };

    #[derive(Debug)]
    pub(super) struct Anybody;

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            rustls::crypto::ring::default_provider()
                .signature_verification_algorithms
                .supported_schemes()
        }
    }
}

async fn tls(server: &Server, alpn: &[&[u8]]) -> tokio_rustls::client::TlsStream<TcpStream> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust::Anybody))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, server.connect().await);
    soon("tls handshake", connecting).await.unwrap()
}

#[tokio::test]
async fn inside_tls_the_bytes_decide_again_whatever_alpn_says() {
    let server = Server::start().await;
    for alpn in [
        &[][..],
        &[&b"h2"[..]],
        &[&b"http/1.1"[..]],
        &[&b"h2"[..], b"http/1.1"],
    ] {
        let mut peer = Peer::over(tls(&server, alpn).await);
        let header = GetRouteRequest {
            topic: "nowhere",
            accept_standard_json_only: None,
        };
        let answer = peer.call(RequestCode::GetRouteByTopic, &header).await;
        assert_eq!(answer.response_code(), Some(ResponseCode::TopicNotExist));

        let mut http = tls(&server, alpn).await;
        http.write_all(GET_HEALTH).await.unwrap();
        let mut answer = Vec::new();
        let _ = soon("answer", http.read_to_end(&mut answer)).await;
        assert!(
            answer.starts_with(b"HTTP/1.1 200 OK"),
            "{}",
            answer.escape_ascii()
        );
    }
}

#[tokio::test]
async fn the_vip_channel_tells_clients_the_port_of_its_listener() {
    let server = Server::start().await;
    // The port two below a free one is nearly always free; where it is not there is nothing to see.
    let Some(vip) = server.vip_address else {
        return;
    };
    assert_eq!(vip.port(), server.address.port() - 2);
    let mut socket = soon("connect", TcpStream::connect(vip)).await.unwrap();
    let request = b"GET /rocketmq/nsaddr HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let answer = String::from_utf8(until_closed(socket).await).unwrap();
    assert!(
        answer.ends_with(&format!("\r\n\r\n{}", server.address)),
        "{answer}"
    );
}
