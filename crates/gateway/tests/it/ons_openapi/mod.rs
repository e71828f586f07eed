//! The OpenAPI over real sockets: clients that write what the vendor's SDKs write, of both ages.

mod access;
mod bad_input;
mod consumers;
mod messages;
mod tags;
mod topics;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{digest, hmac};
use serde_json::Value;

use crate::{calendar::Civil, support::Server};

/// Keys of a user.
pub(crate) type Keys = (&'static str, &'static str);

pub(crate) const ROOT: Keys = ("root", "root-secret");
pub(crate) const ALICE: Keys = ("alice", "alice-secret");

/// A request as the older clients make it, parameters and signature in the query.
#[derive(Clone)]
pub(crate) struct Rpc {
    method: &'static str,
    pub(crate) parameters: Vec<(String, String)>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The fields of an answer that is good.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        let json = self.json();
        assert_eq!(
            json["RequestId"].as_str().map(str::len),
            Some(36),
            "{self:?}"
        );
        json
    }

    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> String {
        let json = self.json();
        assert_eq!(
            (self.status, json["Code"].as_str()),
            (status, Some(code)),
            "{self:?}"
        );
        for field in ["RequestId", "HostId", "Message", "Recommend"] {
            assert!(
                json[field].as_str().is_some_and(|text| !text.is_empty()),
                "{self:?}"
            );
        }
        json["Message"].as_str().unwrap_or_default().to_owned()
    }
}

impl Rpc {
    pub(crate) fn new(action: &str, parameters: &[(&str, &str)]) -> Self {
        let common = [
            ("Action", action),
            ("Version", "2019-02-14"),
            ("Format", "JSON"),
        ];
        let parameters = common.iter().chain(parameters);
        Self {
            method: "POST",
            parameters: parameters
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.parameters.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.parameters.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Signed as the SDKs do. Written here once more, so that the server is not held against
    /// itself.
    pub(crate) fn signed(self, keys: Keys) -> Self {
        self.signed_at(keys, &iso(now()), &nonce())
    }

    pub(crate) fn signed_at(self, (access_key, secret): Keys, time: &str, nonce: &str) -> Self {
        let request = self
            .with("AccessKeyId", access_key)
            .with("SignatureMethod", "HMAC-SHA1")
            .with("SignatureVersion", "1.0")
            .with("SignatureNonce", nonce)
            .with("Timestamp", time);
        let mut sorted = request.parameters.clone();
        sorted.sort();
        let text = format!("{}&%2F&{}", request.method, escaped(&joined(&sorted)));
        let key = format!("{secret}&");
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
        let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
        request.with("Signature", &signature)
    }

    pub(crate) async fn call(&self, server: &Server) -> Answer {
        let target = format!("/?{}", joined(&self.parameters));
        call(server, self.method, &target, &[], "").await
    }

    /// The same with all parameters in a form.
    pub(crate) async fn post(&self, server: &Server) -> Answer {
        let kind = ("content-type", "application/x-www-form-urlencoded");
        call(server, "POST", "/", &[kind], &joined(&self.parameters)).await
    }
}

/// A request as the newer clients make it: signed in headers, parameters in the query of a POST.
#[derive(Clone)]
pub(crate) struct Acs3 {
    method: String,
    path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Acs3 {
    pub(crate) fn new(action: &str, parameters: &[(&str, &str)]) -> Self {
        let mut query: Vec<_> = parameters
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        query.sort();
        let headers = [
            ("accept", "application/json"),
            ("host", "ons.example"),
            ("user-agent", "a test"),
            ("x-acs-action", action),
            ("x-acs-version", "2019-02-14"),
        ];
        let headers = headers.map(|(k, v)| (k.to_owned(), v.to_owned()));
        let (headers, body) = (headers.into(), String::new());
        Self {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query,
            headers,
            body,
        }
    }

    /// A request of the API of the 5.x series, whose operations are paths.
    pub(crate) fn of_path(method: &str, path: &str) -> Self {
        let request = Self::new("", &[])
            .header("x-acs-action", "")
            .header("x-acs-version", "2022-08-01");
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            ..request
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub(crate) fn signed(self, (access_key, secret): Keys) -> Self {
        let hash = |text: &str| hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        let content = hash(&self.body);
        let mut request = self
            .header("x-acs-content-sha256", &content)
            .header("x-acs-date", &iso(now()))
            .header("x-acs-signature-nonce", &nonce());
        request.headers.sort();
        let names: Vec<&str> = request
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let names = names.join(";");
        let lines: String = request
            .headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let canonical = format!(
            "{}\n{}\n{}\n{lines}\n{names}\n{content}",
            request.method,
            request.path,
            joined(&request.query)
        );
        let text = format!("ACS3-HMAC-SHA256\n{}", hash(&canonical));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = hex(hmac::sign(&key, text.as_bytes()).as_ref());
        let credential = format!("ACS3-HMAC-SHA256 Credential={access_key}");
        let authorization = format!("{credential},SignedHeaders={names},Signature={signature}");
        request.header("authorization", &authorization)
    }

    pub(crate) async fn call(&self, server: &Server) -> Answer {
        let target = match self.query.is_empty() && self.path != "/" {
            true => self.path.clone(),
            false => format!("{}?{}", self.path, joined(&self.query)),
        };
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        call(server, &self.method, &target, &headers, &self.body).await
    }
}

/// Asks without a signature.
pub(crate) async fn ask(server: &Server, action: &str, parameters: &[(&str, &str)]) -> Answer {
    Rpc::new(action, parameters).call(server).await
}

async fn call(
    server: &Server,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut text = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        text.push_str("host: ons.example\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = body.len();
    text.push_str(&format!(
        "content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ));
    let answer = server.over_http(&text).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

fn joined(parameters: &[(String, String)]) -> String {
    let pairs = parameters.iter();
    let pairs = pairs.map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let bytes = text.bytes().map(|byte| match is_plain(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    bytes.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn nonce() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("nonce-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[expect(clippy::disallowed_methods, reason = "a client has a clock of its own")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// The time as the vendor's clients write it.
pub(crate) fn iso(time: SystemTime) -> String {
    let civil = Civil::of(time);
    format!(
        "{}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        civil.year,
        civil.month + 1,
        civil.day,
        civil.hour,
        civil.minute,
        civil.second
    )
}

#[tokio::test]
async fn answers_come_in_the_format_that_is_asked_for() {
    let server = Server::start().await;
    let json = ask(&server, "OnsRegionList", &[]).await;
    assert!(
        json.head
            .contains("content-type: application/json;charset=utf-8"),
        "{json:?}"
    );
    assert_eq!(
        json.ok()["Data"]["RegionDo"][0]["OnsRegionId"],
        "DefaultRegion"
    );
    let xml = Rpc::new("OnsRegionList", &[])
        .with("Format", "")
        .call(&server)
        .await;
    assert_eq!(xml.status, 200);
    assert!(
        xml.head.contains("content-type: text/xml;charset=utf-8"),
        "{xml:?}"
    );
    let region = "<Data><RegionDo><ChannelName>CLOUD</ChannelName>";
    assert!(
        xml.body.contains("<OnsRegionListResponse><RequestId>"),
        "{xml:?}"
    );
    assert!(xml.body.contains(region), "{xml:?}");
    let newer = Acs3::new("OpenOnsService", &[]).call(&server).await;
    assert_eq!(newer.ok()["OrderId"], "0");
    let error = Rpc::new("OnsNothing", &[])
        .with("Format", "")
        .call(&server)
        .await;
    assert_eq!(error.status, 404);
    assert!(error.body.contains("<Error><RequestId>"), "{error:?}");
    assert!(
        error.body.contains("<Code>InvalidAction.NotFound</Code>"),
        "{error:?}"
    );
    assert_eq!(
        iso(UNIX_EPOCH + Duration::from_secs(1_767_323_045)),
        "2026-01-02T03:04:05Z"
    );
}
