//! What a request's sender signs: `Authorization: MQ <access key>:<base64 HMAC-SHA1>`.

use std::time::UNIX_EPOCH;

use base64::{Engine, engine::general_purpose::STANDARD};

/// The text that is signed. `headers` are all of the request, with names in lower case; `resource`
/// is path and query exactly as they stand in the request: neither sorted nor decoded.
pub fn string_to_sign(method: &str, headers: &[(&str, &str)], resource: &str) -> String {
    let find = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| *name == wanted);
        found.map_or("", |(_, value)| value)
    };
    let mut out = String::with_capacity(256);
    for part in [
        method,
        find("content-md5"),
        find("content-type"),
        find("date"),
    ] {
        out.push_str(part);
        out.push('\n');
    }
    let own = |(name, _): &(&str, &str)| name.starts_with(super::SIGNED_HEADER_PREFIX);
    let mut signed: Vec<(&str, &str)> = headers.iter().copied().filter(own).collect();
    signed.sort_unstable();
    for (name, value) in signed {
        for part in [name, ":", value, "\n"] {
            out.push_str(part);
        }
    }
    out.push_str(resource);
    out
}

/// Who says to have signed, and what they say is their signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential<'a> {
    /// The access key.
    pub access_key: &'a str,
    /// The HMAC.
    pub signature: Vec<u8>,
}

/// Reads the value of an `Authorization` header; `None` if it has another shape.
pub fn credential(authorization: &str) -> Option<Credential<'_>> {
    let (access_key, signature) = authorization.strip_prefix("MQ ")?.rsplit_once(':')?;
    let signature = STANDARD.decode(signature.trim()).ok()?;
    (!access_key.is_empty()).then_some(Credential {
        access_key,
        signature,
    })
}

/// The time in a `Date` header, ms since 1970; `None` if it is none (RFC 9110, 5.6.7).
pub fn date_ms(text: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(text).ok()?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// Whether `content_md5`, the value of a `Content-MD5` header, is that of a body with this digest.
///
/// Compat: the header is base64 of the digest (RFC 1864), but mq-http-sdk 1.0.4 for Node.js takes
/// base64 of its hexadecimal form.
pub fn is_digest_form(content_md5: &str, digest: &[u8; 16]) -> bool {
    let Ok(value) = STANDARD.decode(content_md5.trim()) else {
        return false;
    };
    if value == digest {
        return true;
    }
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    value.eq_ignore_ascii_case(hex.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Fri, 02 Jan 2026 03:04:05 GMT";

    #[test]
    fn the_text_to_sign_has_every_part_on_its_line() {
        let headers = [
            ("host", "a"),
            ("x-mq-version", "2015-06-06"),
            ("date", DATE),
            ("content-type", "text/xml;charset=UTF-8"),
            ("x-mq-a", "1"),
        ];
        let resource = "/topics/t1/messages?ns=MQ_INST_1_a&tag=A%7C%7CB";
        assert_eq!(
            string_to_sign("POST", &headers, resource),
            format!(
                "POST\n\ntext/xml;charset=UTF-8\n{DATE}\nx-mq-a:1\nx-mq-version:2015-06-06\n\
                 {resource}"
            )
        );
    }

    #[test]
    fn an_authorization_has_a_key_and_a_signature() {
        let read = credential("MQ testak:7k9AAvD8nkllbGrV7qd/JoUHj0c=").unwrap();
        assert_eq!((read.access_key, read.signature.len()), ("testak", 20));
        for wrong in ["", "MQ", "MQ a", "MQ :YQ==", "Basic a:YQ==", "MQ a:*"] {
            assert_eq!(credential(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(date_ms(DATE), Some(1_767_323_045_000));
        for wrong in ["", "2026-01-02T03:04:05Z", "Fri, 32 Jan 2026 03:04:05 GMT"] {
            assert_eq!(date_ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_digest_is_taken_in_both_forms() {
        // MD5 of nothing.
        let digest = *b"\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e";
        assert!(is_digest_form("1B2M2Y8AsgTpgAmY7PhCfg==", &digest));
        let hex = "ZDQxZDhjZDk4ZjAwYjIwNGU5ODAwOTk4ZWNmODQyN2U=";
        assert!(is_digest_form(hex, &digest));
        for wrong in ["", "*", "1B2M2Y8AsgTpgAmY7PhCfw=="] {
            assert!(!is_digest_form(wrong, &digest), "{wrong}");
        }
    }
}
