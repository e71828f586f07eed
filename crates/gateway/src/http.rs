//! HTTP/1.1, and what is not gRPC on HTTP/2: health, metrics, and the address for name-server
//! lookups.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use broker::access::UserStatus;
use bytes::Bytes;
use http::{
    Method, Request, Response, StatusCode,
    header::{self, AsHeaderName},
    request::Parts,
};
use http_body_util::Full;

use crate::{
    front::{ConnectionInfo, Front},
    metrics,
};

/// The value of a header, empty where it is not there or no text.
pub(crate) fn header_text(head: &Parts, name: impl AsHeaderName) -> &str {
    let value = head.headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

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
        "/metrics" if !may_see_metrics(front, connection, request) => {
            let mut refused = refuse(
                StatusCode::UNAUTHORIZED,
                "metrics are shown to loopback clients, on administration listeners, and to super \
                 users who give access key and secret key as user and password (Basic)",
            );
            let challenge = header::HeaderValue::from_static("Basic realm=\"carrack\"");
            refused
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
            refused
        }
        "/metrics" => page(StatusCode::OK, metrics::CONTENT_TYPE, front.scrape()),
        "/rocketmq/nsaddr" => text(StatusCode::OK, front.advertised(connection).to_string()),
        _ => refuse(
            StatusCode::NOT_FOUND,
            &format!("path {path} is not served here"),
        ),
    }
}

fn may_see_metrics<B>(front: &Front, connection: &ConnectionInfo, request: &Request<B>) -> bool {
    connection.admin
        || connection.peer.ip().to_canonical().is_loopback()
        || is_administrator(front, request).unwrap_or(false)
}

/// Whether the request has the keys of an administrator, as user and password (RFC 7617).
fn is_administrator<B>(front: &Front, request: &Request<B>) -> Option<bool> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, keys) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let keys = STANDARD.decode(keys.trim()).ok()?;
    let (access_key, secret_key) = str::from_utf8(&keys).ok()?.split_once(':')?;
    let user = front.account().ok()?.access().user(access_key)?;
    let enabled = user.status() == UserStatus::Enabled;
    Some(user.secret().is(secret_key.as_bytes()) && user.is_super() && enabled)
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
        let settings = FrontSettings::default();
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
        assert_eq!(status("10.0.0.2:5000", false), StatusCode::UNAUTHORIZED);
        assert_eq!(status("10.0.0.2:5000", true), StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_are_for_who_shows_the_keys_of_an_administrator() {
        use broker::access::{Secret, UserChange, UserType};
        let folder = tempfile::tempdir().unwrap();
        let disk = store::fs::FolderDisk::open(folder.path()).unwrap();
        let metadata = store::meta::EmbeddedMetadata::open(disk, Arc::new(StoppedClock)).unwrap();
        let id = InstanceId::default_instance();
        let settings = broker::InstanceSettings::default();
        let instance = broker::Instance::open(
            id.clone(),
            settings,
            metadata.clone(),
            Arc::new(StoppedClock),
        );
        let instance = instance.await.unwrap();
        for (name, user_type) in [("root", UserType::Super), ("alice", UserType::Normal)] {
            let change = UserChange {
                secret: Some(Secret::new("s:1")),
                user_type: Some(user_type),
                status: None,
                remark: None,
            };
            instance.access().create_user(name, change).await.unwrap();
        }
        let router = broker::Router::default();
        router.add(instance.clone());
        let settings = FrontSettings {
            advertise: None,
            default_instance: id,
            ..FrontSettings::default()
        };
        let front = Arc::new(Front::new(
            Arc::new(router),
            Arc::new(StoppedClock),
            settings,
        ));
        let connection = ConnectionInfo {
            id: 1,
            peer: "10.0.0.2:5000".parse().unwrap(),
            local: "10.0.0.1:8080".parse().unwrap(),
            tls: false,
            admin: false,
            trusted: false,
        };
        let status = |authorization: &str| {
            let request = Request::get("/metrics").header("authorization", authorization);
            answer(&front, &connection, &request.body(()).unwrap()).status()
        };
        let basic = |keys: &str| format!("Basic {}", STANDARD.encode(keys));
        assert_eq!(status(&basic("root:s:1")), StatusCode::OK);
        // Who may do everything in one instance sees nothing of the others.
        let tenant = broker::Instance::open(
            InstanceId::new("tenant").unwrap(),
            broker::InstanceSettings::default(),
            metadata,
            Arc::new(StoppedClock),
        );
        let tenant = tenant.await.unwrap();
        let change = UserChange {
            secret: Some(Secret::new("s:1")),
            user_type: Some(UserType::Super),
            ..UserChange::default()
        };
        tenant.access().create_user("owner", change).await.unwrap();
        front.router.add(tenant);
        assert_eq!(status(&basic("owner:s:1")), StatusCode::UNAUTHORIZED);
        let wrong = ["root:s:2", "root:", "root", "alice:s:1", "eve:s:1"].map(basic);
        for wrong in wrong
            .iter()
            .map(String::as_str)
            .chain(["Basic ?", "Bearer x", ""])
        {
            assert_eq!(status(wrong), StatusCode::UNAUTHORIZED, "{wrong}");
        }
        let disabled = UserChange {
            status: Some(UserStatus::Disabled),
            ..UserChange::default()
        };
        instance
            .access()
            .update_user("root", disabled)
            .await
            .unwrap();
        assert_eq!(status(&basic("root:s:1")), StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn a_draining_server_is_not_healthy() {
        let settings = FrontSettings::default();
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
