//! Who says to have signed a request, when, and what: the two signatures as one.

use base::limits;
use base64::{Engine, engine::general_purpose::STANDARD};
use broker::access::SignatureMethod;
use bytes::Bytes;
use http::{header, request::Parts};
use ring::digest;
use wire::openapi::{
    Parameters,
    acs3::{self, Authorization, CONTENT_HEADER, DATE_HEADER, NONCE_HEADER, TOKEN_HEADER},
    rpc, timestamp_ms,
};

use super::SignatureError;
use crate::http::header_text;

/// A request as it came, all of which may be signed.
pub(crate) struct Request<'a> {
    pub(crate) head: &'a Parts,
    pub(crate) body: &'a Bytes,
    /// The parameters of the target.
    pub(crate) query: &'a Parameters,
    /// Those and the ones of a form.
    pub(crate) parameters: &'a Parameters,
}

/// What a request says of its signature.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) access_key: String,
    pub(super) method: SignatureMethod,
    /// The text that is signed.
    pub(super) content: String,
    pub(super) signature: Vec<u8>,
    pub(super) nonce: String,
    /// Ms since 1970.
    pub(super) sent_ms: i64,
    /// Whether a token of temporary credentials came along.
    pub(super) has_token: bool,
}

/// Which signatures an API takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// That in the header, and that in parameters, which covers no path.
    Both,
    /// That in the header.
    Acs3,
}

/// Reads the signature of a request.
pub(super) fn read(request: &Request<'_>, taken: Taken) -> Result<Signed, SignatureError> {
    let authorization = header_text(request.head, header::AUTHORIZATION);
    let signed = match (authorization, taken) {
        ("", Taken::Both) => read_rpc(request)?,
        ("", Taken::Acs3) => {
            let name = "Authorization";
            return Err(SignatureError::Missing { name });
        }
        (text, _) => read_acs3(request, text)?,
    };
    let (length, max) = (signed.nonce.len(), limits::OPENAPI_NONCE_BYTES_MAX);
    if length > max {
        let expected = format!("at most {max} characters");
        return Err(SignatureError::invalid(
            "SignatureNonce",
            &signed.nonce,
            expected,
        ));
    }
    Ok(signed)
}

fn read_rpc(request: &Request<'_>) -> Result<Signed, SignatureError> {
    let parameter = |name: &'static str| {
        let value = request.parameters.get(name);
        value.ok_or(SignatureError::Missing { name })
    };
    let access_key = parameter("AccessKeyId")?.to_owned();
    let signature = parameter(rpc::SIGNATURE)?;
    match parameter("SignatureMethod")? {
        "HMAC-SHA1" => {}
        other => {
            return Err(SignatureError::invalid(
                "SignatureMethod",
                other,
                "HMAC-SHA1",
            ));
        }
    }
    match parameter("SignatureVersion")? {
        "1.0" => {}
        other => return Err(SignatureError::invalid("SignatureVersion", other, "1.0")),
    }
    let nonce = parameter("SignatureNonce")?.to_owned();
    let sent_ms = time(parameter("Timestamp")?)?;
    Ok(Signed {
        access_key,
        method: SignatureMethod::HmacSha1Ampersand,
        content: rpc::string_to_sign(request.head.method.as_str(), request.parameters),
        // What is no base64 is the signature of nothing.
        signature: STANDARD.decode(signature).unwrap_or_default(),
        nonce,
        sent_ms,
        has_token: request.parameters.get("SecurityToken").is_some(),
    })
}

fn read_acs3(request: &Request<'_>, authorization: &str) -> Result<Signed, SignatureError> {
    let Some(authorization) = Authorization::parse(authorization) else {
        return Err(SignatureError::NoAuthorization);
    };
    let head = request.head;
    let headers: Vec<(&str, &str)> = head
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    if let Some(name) = authorization.unsigned(&headers) {
        let header = name.to_owned();
        return Err(SignatureError::Uncovered { header });
    }
    let needed = |name: &'static str| match header_text(head, name) {
        "" => Err(SignatureError::Missing { name }),
        text => Ok(text),
    };
    let content_sha256 = needed(CONTENT_HEADER)?;
    let actual = acs3::hex(digest::digest(&digest::SHA256, request.body).as_ref());
    if !content_sha256.eq_ignore_ascii_case(&actual) {
        return Err(SignatureError::Content);
    }
    let canonical = acs3::canonical_request(
        head.method.as_str(),
        head.uri.path(),
        request.query,
        &headers,
        authorization.signed_headers,
        content_sha256,
    );
    let canonical = digest::digest(&digest::SHA256, canonical.as_bytes());
    Ok(Signed {
        access_key: authorization.access_key.to_owned(),
        method: SignatureMethod::HmacSha256,
        content: acs3::string_to_sign(canonical.as_ref()),
        signature: authorization.signature,
        nonce: needed(NONCE_HEADER)?.to_owned(),
        sent_ms: time(needed(DATE_HEADER)?)?,
        has_token: !header_text(head, TOKEN_HEADER).is_empty(),
    })
}

fn time(text: &str) -> Result<i64, SignatureError> {
    timestamp_ms(text).ok_or_else(|| SignatureError::Time {
        time: text.chars().take(64).collect(),
    })
}

#[cfg(test)]
mod tests {
    use broker::access::Secret;

    use super::*;

    fn read_of(request: http::request::Builder, form: &str) -> Result<Signed, SignatureError> {
        let (head, ()) = request.body(()).unwrap().into_parts();
        let mut query = Parameters::default();
        query.extend(head.uri.query().unwrap_or_default()).unwrap();
        let mut parameters = query.clone();
        parameters.extend(form).unwrap();
        let request = Request {
            head: &head,
            body: &Bytes::copy_from_slice(form.as_bytes()),
            query: &query,
            parameters: &parameters,
        };
        read(&request, Taken::Both)
    }

    fn is_of(signed: &Signed, secret: &str) -> bool {
        let content = [signed.content.as_bytes()];
        Secret::new(secret).signed_by(signed.method, content, &signed.signature)
    }

    const QUERY: &str = "Action=OnsTopicList&Version=2019-02-14&Format=JSON&AccessKeyId=testak\
                         &SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&SignatureNonce=n1\
                         &Timestamp=2026-01-02T03%3A04%3A05Z&InstanceId=MQ_INST_1_a";

    #[test]
    fn signatures_of_the_older_clients_are_read() {
        for (method, signature) in [
            ("GET", "zBLq0TBXBUWds0koze7ZxnlhpKE%3D"),
            ("POST", "fjiEuZBb7alZd7dz%2Fi4MSOD0dkM%3D"),
        ] {
            let uri = format!("/?{QUERY}&Signature={signature}");
            let signed = read_of(http::Request::builder().method(method).uri(uri), "").unwrap();
            assert_eq!(signed.access_key, "testak");
            assert_eq!(
                (signed.nonce.as_str(), signed.sent_ms),
                ("n1", 1_767_323_045_000)
            );
            assert!(is_of(&signed, "testsk"), "{method}");
            assert!(!is_of(&signed, "other"), "{method}");
        }
        // The same with everything in a form.
        let form = format!("{QUERY}&Signature=fjiEuZBb7alZd7dz%2Fi4MSOD0dkM%3D");
        let signed = read_of(http::Request::builder().method("POST").uri("/"), &form).unwrap();
        assert!(is_of(&signed, "testsk"));
        let uri = format!("/?{QUERY}&Topic=t&Signature=zBLq0TBXBUWds0koze7ZxnlhpKE%3D");
        let more = read_of(http::Request::builder().uri(uri), "").unwrap();
        assert!(!is_of(&more, "testsk"));
    }

    /// Made by alibabacloud-tea-openapi 0.4.6, as the one below.
    fn listing() -> http::request::Builder {
        let host = "rocketmq.cn-hangzhou.aliyuncs.com";
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let query = "pageNumber=1&pageSize=10&seriesCodes=standard%2Cultimate";
        http::Request::builder()
            .uri(format!("/instances?{query}"))
            .header("accept", "application/json")
            .header("host", host)
            .header("x-acs-action", "ListInstances")
            .header("x-acs-content-sha256", empty)
            .header("x-acs-date", "2026-01-02T03:04:05Z")
            .header("x-acs-signature-nonce", "00000000000000000000000000000001")
            .header("x-acs-version", "2022-08-01")
    }

    const SIGNED_HEADERS: &str = "accept;host;x-acs-action;x-acs-content-sha256;x-acs-date;\
                                  x-acs-signature-nonce;x-acs-version";

    fn authorization(signed_headers: &str) -> String {
        let signature = "41b9e79cee246e5798abf0f77dcf2b4c51d71c27ced6b447918cae044419377c";
        format!(
            "ACS3-HMAC-SHA256 Credential=testak,SignedHeaders={signed_headers},\
             Signature={signature}"
        )
    }

    #[test]
    fn signatures_of_the_newer_clients_are_read() {
        let signed = listing().header("authorization", authorization(SIGNED_HEADERS));
        let signed = read_of(signed, "").unwrap();
        assert_eq!(signed.access_key, "testak");
        assert_eq!(signed.nonce, "00000000000000000000000000000001");
        assert!(is_of(&signed, "testsk"));
        assert!(!is_of(&signed, "testsK"));
        // A header more than once is signed with all its values.
        let other = listing()
            .header("accept", "text/xml")
            .header("authorization", authorization(SIGNED_HEADERS));
        assert!(!is_of(&read_of(other, "").unwrap(), "testsk"));
    }

    #[test]
    fn what_is_not_signed_is_refused() {
        let fewer = SIGNED_HEADERS.replace("x-acs-date;", "");
        let refused = read_of(listing().header("authorization", authorization(&fewer)), "");
        let header = "x-acs-date".to_owned();
        assert_eq!(refused.unwrap_err(), SignatureError::Uncovered { header });
        let body = read_of(
            listing().header("authorization", authorization(SIGNED_HEADERS)),
            "a=b",
        );
        assert_eq!(body.unwrap_err(), SignatureError::Content);
        let basic = read_of(listing().header("authorization", "Basic YTpi"), "");
        assert_eq!(basic.unwrap_err(), SignatureError::NoAuthorization);
        let unsigned = read_of(http::Request::builder().uri("/?Action=OnsTopicList"), "");
        let name = "AccessKeyId";
        assert_eq!(unsigned.unwrap_err(), SignatureError::Missing { name });
    }

    #[test]
    fn a_body_is_signed_by_its_hash() {
        let body = r#"{"messageType":"NORMAL","remark":"r"}"#;
        let hash = "a10248063c6954b5fd358279c56c89c0bcbe72607f57349e2e4cec1fadc89f09";
        let signature = "071594cfed6f387e14b27175f8005661b5732c6dc404d19f9b01834c3738dbf5";
        let names = SIGNED_HEADERS.replace("accept;", "accept;content-type;");
        let authorization = format!(
            "ACS3-HMAC-SHA256 Credential=testak,SignedHeaders={names},Signature={signature}"
        );
        let request = http::Request::builder()
            .method("POST")
            .uri("/instances/rmq-cn-x/topics/t1")
            .header("accept", "application/json")
            .header("content-type", "application/json; charset=utf-8")
            .header("host", "rocketmq.cn-hangzhou.aliyuncs.com")
            .header("x-acs-action", "CreateTopic")
            .header("x-acs-content-sha256", hash)
            .header("x-acs-date", "2026-01-02T03:04:05Z")
            .header("x-acs-signature-nonce", "00000000000000000000000000000001")
            .header("x-acs-version", "2022-08-01")
            .header("authorization", authorization);
        let (head, ()) = request.body(()).unwrap().into_parts();
        let none = Parameters::default();
        let request = Request {
            head: &head,
            body: &Bytes::from_static(body.as_bytes()),
            query: &none,
            parameters: &none,
        };
        let signed = read(&request, Taken::Acs3).unwrap();
        assert!(is_of(&signed, "testsk"));
        assert!(!is_of(&signed, "testsk2"));
    }

    #[test]
    fn an_api_with_paths_takes_no_signature_without_one() {
        let uri = format!("/?{QUERY}&Signature=zBLq0TBXBUWds0koze7ZxnlhpKE%3D");
        let (head, ()) = http::Request::builder()
            .uri(uri)
            .body(())
            .unwrap()
            .into_parts();
        let mut query = Parameters::default();
        query.extend(head.uri.query().unwrap()).unwrap();
        let request = Request {
            head: &head,
            body: &Bytes::new(),
            query: &query,
            parameters: &query,
        };
        let name = "Authorization";
        assert_eq!(
            read(&request, Taken::Acs3).unwrap_err(),
            SignatureError::Missing { name }
        );
    }
}
