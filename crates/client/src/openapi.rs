//! A client of the OpenAPI of the 5.x series and of our own operations beside it: paths, JSON, and
//! requests that are signed with ACS3-HMAC-SHA256.

use std::{sync::Arc, time::Duration};

use base::Clock;
use bytes::Bytes;
pub use http::Method;
use http::Request;
use ring::{
    digest, hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use serde_json::Value;
use wire::openapi::{
    Parameters,
    acs3::{
        ACTION_HEADER, ALGORITHM, CONTENT_HEADER, DATE_HEADER, NONCE_HEADER, VERSION_HEADER,
        canonical_request, hex, string_to_sign,
    },
    escaped, timestamp,
};

use crate::{ClientError, Credentials, http::exchange};

/// The version of the API.
const VERSION: &str = "2022-08-01";

/// Longest wait for an answer: to publish a release, the server reads and runs a large file.
const ANSWER_WAIT: Duration = Duration::from_secs(120);

/// The headers that are signed, in order.
const SIGNED_HEADERS: &str = "host;x-acs-action;x-acs-content-sha256;x-acs-date;\
                              x-acs-signature-nonce;x-acs-version";

/// One operation to be asked for.
#[derive(Clone, Debug)]
pub struct OpenApiCall {
    /// Its name.
    pub operation: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path, with names escaped.
    pub path: String,
    /// Parameters of the query by name.
    pub query: Vec<(&'static str, String)>,
    /// The JSON of the body.
    pub body: Option<Value>,
}

impl OpenApiCall {
    /// An operation at the path of these segments, which are escaped here.
    pub fn new(operation: &'static str, method: Method, segments: &[&str]) -> Self {
        let segments = segments
            .iter()
            .map(|segment| format!("/{}", escaped(segment)));
        Self {
            operation,
            method,
            path: segments.collect(),
            query: Vec::new(),
            body: None,
        }
    }

    fn query(&self) -> String {
        let pairs = self.query.iter();
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        pairs.join("&")
    }
}

/// Asks one server. Each call has a connection of its own.
#[derive(Clone)]
pub struct OpenApiClient {
    address: String,
    credentials: Option<Credentials>,
    clock: Arc<dyn Clock>,
}

impl OpenApiClient {
    /// A client of the server at `address`. Without `credentials` nothing is signed.
    pub fn new(address: &str, credentials: Option<Credentials>, clock: Arc<dyn Clock>) -> Self {
        Self {
            address: address.to_owned(),
            credentials,
            clock,
        }
    }

    /// Asks for an operation and gives the `data` of the answer, `null` where it has none.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses, or answers something else than JSON.
    pub async fn call(&self, call: &OpenApiCall) -> Result<Value, ClientError> {
        Ok(self.document(call).await?["data"].take())
    }

    /// The same with all of the answer: operations on inspections have no `data` around theirs.
    ///
    /// # Errors
    /// As [`OpenApiClient::call`].
    pub async fn document(&self, call: &OpenApiCall) -> Result<Value, ClientError> {
        let wrong = |reason: String| ClientError::Answer {
            address: self.address.clone(),
            request: call.operation,
            reason,
        };
        let request = self.request(call).map_err(wrong)?;
        let answer = exchange(&self.address, request, call.operation, ANSWER_WAIT).await?;
        let status = answer.status();
        let document = serde_json::from_slice::<Value>(answer.body());
        let document = document.map_err(|error| wrong(format!("status {status}: {error}")))?;
        if status.is_success() {
            return Ok(document);
        }
        let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        Err(ClientError::RefusedOpenApi {
            address: self.address.clone(),
            request: call.operation,
            status: status.as_u16(),
            code: text("code"),
            remark: text("message"),
        })
    }

    fn request(&self, call: &OpenApiCall) -> Result<Request<Bytes>, String> {
        let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
        let hash = hex(digest::digest(&digest::SHA256, body.as_bytes()).as_ref());
        let mut nonce = [0; 16];
        let random = SystemRandom::new().fill(&mut nonce);
        random.map_err(|_| "no random numbers to be had".to_owned())?;
        let headers = [
            ("host", self.address.clone()),
            (ACTION_HEADER, call.operation.to_owned()),
            (CONTENT_HEADER, hash.clone()),
            (DATE_HEADER, timestamp(self.clock.now().ms())),
            (NONCE_HEADER, hex(&nonce)),
            (VERSION_HEADER, VERSION.to_owned()),
        ];
        let query = call.query();
        let target = match query.as_str() {
            "" => call.path.clone(),
            query => format!("{}?{query}", call.path),
        };
        let mut request = Request::builder().method(&call.method).uri(target);
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        if call.body.is_some() {
            request = request.header("content-type", "application/json; charset=utf-8");
        }
        if let Some(credentials) = &self.credentials {
            let mut parameters = Parameters::default();
            let read = parameters.extend(&query);
            read.map_err(|error| error.to_string())?;
            let headers: Vec<(&str, &str)> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let canonical = canonical_request(
                call.method.as_str(),
                &call.path,
                &parameters,
                &headers,
                SIGNED_HEADERS,
                &hash,
            );
            request = request.header("authorization", authorization(credentials, &canonical));
        }
        let request = request.body(Bytes::from(body));
        request.map_err(|error| error.to_string())
    }
}

fn authorization(credentials: &Credentials, canonical: &str) -> String {
    let canonical = digest::digest(&digest::SHA256, canonical.as_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA256, credentials.secret_key.as_bytes());
    let signature = hmac::sign(&key, string_to_sign(canonical.as_ref()).as_bytes());
    format!(
        "{ALGORITHM} Credential={},SignedHeaders={SIGNED_HEADERS},Signature={}",
        credentials.access_key,
        hex(signature.as_ref())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> base::Timestamp {
            base::Timestamp::from_ms(1_767_323_045_000)
        }

        fn elapsed(&self) -> Duration {
            Duration::ZERO
        }

        fn sleep(&self, _: Duration) -> base::Sleep {
            Box::pin(std::future::ready(()))
        }
    }

    fn request_of(call: &OpenApiCall, secret_key: &str) -> Request<Bytes> {
        let credentials = Credentials {
            access_key: "ak".to_owned(),
            secret_key: secret_key.to_owned(),
        };
        let client = OpenApiClient::new("127.0.0.1:1", Some(credentials), Arc::new(Noon));
        client.request(call).unwrap()
    }

    #[test]
    fn what_is_sent_is_what_is_signed() {
        let mut call = OpenApiCall::new("GetTopic", Method::GET, &["instances", "rmq 1", "a/b"]);
        call.query = vec![("filter", "x y&z".to_owned())];
        let request = request_of(&call, "sk");
        assert_eq!(request.uri(), "/instances/rmq%201/a%2Fb?filter=x%20y%26z");
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header(DATE_HEADER), "2026-01-02T03:04:05Z");
        let headers: Vec<(String, String)> = request
            .headers()
            .keys()
            .map(|name| (name.as_str().to_owned(), header(name.as_str())))
            .collect();
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let given = header("authorization");
        let read = wire::openapi::acs3::Authorization::parse(&given).unwrap();
        assert_eq!(read.unsigned(&headers), None);
        let mut parameters = Parameters::default();
        parameters.extend(request.uri().query().unwrap()).unwrap();
        let canonical = canonical_request(
            "GET",
            request.uri().path(),
            &parameters,
            &headers,
            read.signed_headers,
            &header(CONTENT_HEADER),
        );
        let canonical = digest::digest(&digest::SHA256, canonical.as_bytes());
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"sk");
        let text = string_to_sign(canonical.as_ref());
        hmac::verify(&key, text.as_bytes(), &read.signature).unwrap();
        let other = hmac::Key::new(hmac::HMAC_SHA256, b"other");
        hmac::verify(&other, text.as_bytes(), &read.signature).unwrap_err();
    }

    #[test]
    fn no_request_is_made_twice() {
        let call = OpenApiCall::new("ListRegions", Method::GET, &["regions"]);
        let nonce = || request_of(&call, "sk").headers()[NONCE_HEADER].clone();
        assert_ne!(nonce(), nonce());
    }
}
