//! HTTP/1.1, and what is not gRPC on HTTP/2: health, metrics, and the address for name-server
//! lookups.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;

use crate::{
    front::{ConnectionInfo, Front},
    metrics,
};

/// Answers one request. The body is never read: no path here takes one.
pub(crate) fn answer<B>(
    front: &Arc<Front>,
    connection: &ConnectionInfo,
    request: &Request<B>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let known = matches!(path, "/healthz" | "/metrics" | "/rocketmq/nsaddr");
    if known && !matches!(*request.method(), Method::GET | Method::HEAD) {
        return refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            &format!(
                "method {} on {path} is not allowed, expected GET",
                request.method()
            ),
        );
    }
    match path {
        "/healthz" if front.drain.is_draining() => {
            text(StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned())
        }
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/metrics" if !(connection.admin || connection.peer.ip().to_canonical().is_loopback()) => {
            refuse(
                StatusCode::FORBIDDEN,
                "metrics are shown to loopback clients and on administration listeners only",
            )
        }
        "/metrics" => page(StatusCode::OK, metrics::CONTENT_TYPE, front.scrape()),
        "/rocketmq/nsaddr" => text(StatusCode::OK, front.advertised(connection).to_string()),
        _ => refuse(
            StatusCode::NOT_FOUND,
            &format!("path {path} is not served here"),
        ),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    page(status, "text/plain; charset=utf-8", body)
}

fn refuse(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    // Whatever the path holds, it stays one JSON text, and a short one.
    let message: String = message.chars().take(512).collect();
    let code = status
        .canonical_reason()
        .unwrap_or("Error")
        .replace(' ', "");
    let body = serde_json::json!({ "code": code, "message": message }).to_string();
    page(status, "application/json", body)
}

fn page(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let content_type = header::HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use base::InstanceId;

    use super::*;
    use crate::{FrontSettings, test_clock::StoppedClock};

    #[test]
    fn metrics_are_for_this_machine_and_for_administrators() {
        let settings = FrontSettings {
            advertise: None,
            default_instance: InstanceId::default_instance(),
        };
        let front = Arc::new(Front::new(Arc::default(), Arc::new(StoppedClock), settings));
        let status = |peer: &str, admin| {
            let connection = ConnectionInfo {
                id: 1,
                peer: peer.parse().unwrap(),
                local: "10.0.0.1:8080".parse().unwrap(),
                tls: false,
                admin,
                trusted: false,
            };
            let request = Request::get("/metrics").body(()).unwrap();
            answer(&front, &connection, &request).status()
        };
        assert_eq!(status("127.0.0.1:5000", false), StatusCode::OK);
        assert_eq!(status("[::ffff:127.0.0.1]:5000", false), StatusCode::OK);
        assert_eq!(status("10.0.0.2:5000", false), StatusCode::FORBIDDEN);
        assert_eq!(status("10.0.0.2:5000", true), StatusCode::OK);
    }

    #[test]
    fn a_draining_server_is_not_healthy() {
        let settings = FrontSettings {
            advertise: None,
            default_instance: InstanceId::default_instance(),
        };
        let front = Arc::new(Front::new(Arc::default(), Arc::new(StoppedClock), settings));
        let connection = ConnectionInfo {
            id: 1,
            peer: "10.0.0.2:5000".parse().unwrap(),
            local: "10.0.0.1:8080".parse().unwrap(),
            tls: false,
            admin: false,
            trusted: false,
        };
        let request = Request::get("/healthz").body(()).unwrap();
        assert_eq!(
            answer(&front, &connection, &request).status(),
            StatusCode::OK
        );
        front.drain.advance(crate::DrainPhase::Draining);
        let status = answer(&front, &connection, &request).status();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
