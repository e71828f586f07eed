//! The signature `ACS3-HMAC-SHA256`: a canonical form of the request is hashed, and the hash is
//! signed. Which headers are in it, the request says itself.
//!
//! Hashes are the caller's business: nothing here has a cipher.

use super::{Parameters, push_escaped};

/// The name of the signature, first word of the header and first line of what is signed.
pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// The header with the operation.
pub const ACTION_HEADER: &str = "x-acs-action";
/// The header with the version of the API.
pub const VERSION_HEADER: &str = "x-acs-version";
/// The header with the time of the request.
pub const DATE_HEADER: &str = "x-acs-date";
/// The header with what makes the request the only one of its kind.
pub const NONCE_HEADER: &str = "x-acs-signature-nonce";
/// The header with the SHA-256 of the body, hexadecimal.
pub const CONTENT_HEADER: &str = "x-acs-content-sha256";
/// The header with the token of temporary credentials.
pub const TOKEN_HEADER: &str = "x-acs-security-token";

/// What headers start with that a signature must cover.
const OWN_PREFIX: &str = "x-acs-";

/// An `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// The access key.
    pub access_key: &'a str,
    /// The names of the headers that are signed, in lower case, in order, joined by `;`.
    pub signed_headers: &'a str,
    /// The HMAC.
    pub signature: Vec<u8>,
}

impl<'a> Authorization<'a> {
    /// Reads `ACS3-HMAC-SHA256 Credential=...,SignedHeaders=...,Signature=...`; `None` if it has
    /// another shape.
    pub fn parse(header: &'a str) -> Option<Self> {
        let fields = header.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
        let field = |name: &str| {
            let mut fields = fields.split(',').map(str::trim);
            fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        let access_key = field("Credential").filter(|key| !key.is_empty())?;
        Some(Self {
            access_key,
            signed_headers: field("SignedHeaders")?,
            signature: unhex(field("Signature")?)?,
        })
    }

    /// The first of `headers` (names in lower case) that a request needs signed and has not: the
    /// host and all of the API's own.
    pub fn unsigned<'h>(&self, headers: &[(&'h str, &str)]) -> Option<&'h str> {
        let is_signed = |name: &str| self.signed_headers.split(';').any(|signed| signed == name);
        let names = headers.iter().map(|(name, _)| *name);
        let mut needed = names.filter(|name| *name == "host" || name.starts_with(OWN_PREFIX));
        needed.find(|name| !is_signed(name))
    }
}

/// The canonical form of a request, whose hash is signed. `headers` are all of the request, with
/// names in lower case; `query` are the parameters of its target only, and `content_sha256` is the
/// value of [`CONTENT_HEADER`].
pub fn canonical_request(
    method: &str,
    path: &str,
    query: &Parameters,
    headers: &[(&str, &str)],
    signed_headers: &str,
    content_sha256: &str,
) -> String {
    let mut out = String::with_capacity(1_024);
    for part in [method, "\n", path, "\n"] {
        out.push_str(part);
    }
    for (index, (name, value)) in query.iter().enumerate() {
        if index > 0 {
            out.push('&');
        }
        // Compat: alibabacloud-tea-openapi 0.4.6 for Python escapes values only. No parameter of
        // the APIs has a name in which that shows.
        push_escaped(&mut out, name);
        out.push('=');
        push_escaped(&mut out, value);
    }
    out.push('\n');
    for signed in signed_headers.split(';') {
        let values = headers.iter().filter(|(name, _)| *name == signed);
        let mut values: Vec<&str> = values.map(|(_, value)| value.trim()).collect();
        values.sort_unstable();
        for part in [signed, ":", &values.join(","), "\n"] {
            out.push_str(part);
        }
    }
    for part in ["\n", signed_headers, "\n", content_sha256] {
        out.push_str(part);
    }
    out
}

/// The text that is signed, from the hash of [`canonical_request`].
pub fn string_to_sign(canonical_sha256: &[u8]) -> String {
    format!("{ALGORITHM}\n{}", hex(canonical_sha256))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    let pairs = pairs.map(|pair| match pair {
        [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_three_fields() {
        let read = Authorization::parse(
            "ACS3-HMAC-SHA256 Credential=testak,SignedHeaders=host;x-acs-action,Signature=0aFF",
        );
        let expected = Authorization {
            access_key: "testak",
            signed_headers: "host;x-acs-action",
            signature: vec![0x0a, 0xff],
        };
        assert_eq!(read, Some(expected));
        for wrong in [
            "",
            "ACS3-HMAC-SHA256",
            "ACS3-HMAC-SHA256 Credential=,SignedHeaders=host,Signature=00",
            "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host",
            "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=0",
            "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=0g",
            "ACS3-HMAC-SM3 Credential=a,SignedHeaders=host,Signature=00",
            "acs a:b",
        ] {
            assert_eq!(Authorization::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_must_be_signed_is_missed() {
        let authorization = Authorization {
            access_key: "a",
            signed_headers: "host;x-acs-action",
            signature: Vec::new(),
        };
        let headers = [("accept", "*/*"), ("host", "h"), ("x-acs-action", "a")];
        assert_eq!(authorization.unsigned(&headers), None);
        let more = [("x-acs-action", "a"), ("x-acs-date", "d")];
        assert_eq!(authorization.unsigned(&more), Some("x-acs-date"));
    }

    #[test]
    fn the_canonical_form_has_a_blank_line_behind_its_headers() {
        let mut query = Parameters::default();
        query.extend("b=2&a=x%2Cy+z").unwrap();
        let headers = [
            ("host", " h "),
            ("x-acs-a", "2"),
            ("x-acs-a", "1"),
            ("accept", "*"),
        ];
        let form = canonical_request("GET", "/", &query, &headers, "host;x-acs-a", "00");
        let expected = "GET\n/\na=x%2Cy%20z&b=2\nhost:h\nx-acs-a:1,2\n\nhost;x-acs-a\n00";
        assert_eq!(form, expected);
        assert_eq!(string_to_sign(&[0xab, 1]), "ACS3-HMAC-SHA256\nab01");
    }
}
