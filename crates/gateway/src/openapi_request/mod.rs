//! What the OpenAPIs of both series have in common: who signed a request, that it is made once, and
//! the id that its answer bears.
//!
//! Access keys are the users of the default instance. Where that has no access control, or on a
//! listener whose clients need no credentials, a request is taken from anybody and its signature is
//! not looked at, as over every other protocol.

mod nonces;
mod signature;
mod signature_code;
mod tag;

use std::{sync::Arc, time::Duration};

use base::limits;
use broker::{
    InstanceNotFound,
    access::{NotAuthenticated, User},
};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use wire::openapi::acs3;

pub(crate) use self::{
    nonces::{NonceError, Nonces},
    signature::{Request, Taken},
    signature_code::signature_code,
    tag::check_tag,
};
use crate::{ConnectionInfo, Front, access::is_guarded, metrics::RpcKey};

/// How much is shown of what should have been signed.
const SHOWN_CHARACTERS: usize = 4_096;

/// Why nobody is known to have signed a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureError {
    /// A part of the signature is not there.
    #[error("{name} is mandatory for this action")]
    Missing {
        /// The parameter or header.
        name: &'static str,
    },
    /// A part of the signature cannot be.
    #[error("parameter `{name}` is `{value}`, expected {expected}")]
    Invalid {
        /// The parameter.
        name: &'static str,
        /// First characters of its value.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// The header is of another form.
    #[error(
        "header `authorization` is not of the form `{} Credential=<access key>,\
         SignedHeaders=<names>,Signature=<hexadecimal>`",
        acs3::ALGORITHM
    )]
    NoAuthorization,
    /// A header that must be signed is not.
    #[error("header `{header}` is not signed, expected it among SignedHeaders")]
    Uncovered {
        /// Its name.
        header: String,
    },
    /// The body is another than the one that was signed.
    #[error(
        "header `{}` is not the SHA-256 of the body that arrived",
        acs3::CONTENT_HEADER
    )]
    Content,
    /// It was signed with another secret, or something else was signed.
    ///
    /// Compat: aliyun-python-sdk-core 2.16.1 takes what is behind the colon for the text that the
    /// server wants signed. Where it is the client's too, the secret is the wrong one.
    #[error("signature is not that of the user, string to sign is:{content}")]
    Mismatch {
        /// First characters of what should have been signed.
        content: String,
    },
    /// The time of the request is none.
    #[error("time `{time}` is not of the form `2026-01-02T03:04:05Z`")]
    Time {
        /// First characters of it.
        time: String,
    },
    /// The time of the request is too far from the server's.
    #[error("time of the request is {off} s off the time here, at most {max} s")]
    Expired {
        /// Seconds between the two.
        off: u64,
        /// Seconds there may be.
        max: u64,
    },
    /// Nobody here has signed it.
    #[error(transparent)]
    NotAuthenticated(#[from] NotAuthenticated),
    /// The request was made before.
    #[error(transparent)]
    Nonce(#[from] NonceError),
    /// There are no users.
    #[error(transparent)]
    NoUsers(#[from] InstanceNotFound),
}

impl SignatureError {
    fn invalid(name: &'static str, value: &str, expected: impl Into<String>) -> Self {
        Self::Invalid {
            name,
            value: value.chars().take(64).collect(),
            expected: expected.into(),
        }
    }
}

/// The user who signed a request; `None` where nobody need sign.
pub(crate) fn authenticate(
    front: &Front,
    connection: &ConnectionInfo,
    request: &Request<'_>,
    taken: Taken,
) -> Result<Option<Arc<User>>, SignatureError> {
    let account = front.account()?;
    let access = account.access();
    let is_always = front.openapi_is_always_signed && !connection.trusted;
    if !is_always && (!is_guarded(front, connection) || !access.is_on()) {
        return Ok(None);
    }
    let signed = signature::read(request, taken)?;
    let content = [signed.content.as_bytes()];
    let (key, signature) = (signed.access_key.as_str(), signed.signature.as_slice());
    let user = access.authenticate_by(signed.method, key, content, signature);
    let user = user.map_err(|error| match error {
        NotAuthenticated::Signature => SignatureError::Mismatch {
            content: signed.content.chars().take(SHOWN_CHARACTERS).collect(),
        },
        other => other.into(),
    })?;
    // A token that nobody issued proves nothing; taken in silence, it would seem to.
    if signed.has_token {
        let user = signed.access_key;
        return Err(NotAuthenticated::SessionToken { user }.into());
    }
    let now = front.clock.now();
    let off_ms = signed.sent_ms.abs_diff(now.ms());
    if off_ms > limits::OPENAPI_TIME_MS_OFF_MAX {
        let (off, max) = (off_ms / 1_000, limits::OPENAPI_TIME_MS_OFF_MAX / 1_000);
        return Err(SignatureError::Expired { off, max });
    }
    // Only what is signed is remembered: nobody else can fill the memory.
    let nonces = &front.openapi_nonces;
    nonces.note(user.name(), &signed.nonce, signed.sent_ms, now)?;
    Ok(Some(user))
}

/// An id for a request in the form of a UUID: the time, where it came in, and a number.
pub(crate) fn request_id(front: &Front, connection: &ConnectionInfo) -> String {
    let time = front.clock.now().ms().cast_unsigned();
    let (port, id) = (connection.local.port(), connection.id);
    let serial = front.next_serial() & 0xffff_ffff_ffff;
    let (high, low) = ((time >> 16) as u32, time as u16);
    format!(
        "{high:08X}-{low:04X}-{port:04X}-{:04X}-{serial:012X}",
        id as u16
    )
}

/// Counts a request that began at `begun`, and that was refused with the code of that name, if it
/// was.
pub(crate) fn observe(
    front: &Front,
    begun: Duration,
    protocol: &'static str,
    operation: Option<&'static str>,
    refused_with: Option<&'static str>,
) {
    let key = RpcKey {
        protocol,
        request: operation.unwrap_or("unknown"),
        response: refused_with.unwrap_or("OK"),
        long_polling: false,
        result: match refused_with {
            None => "success",
            Some(_) => "process_request_failed",
        },
    };
    let took = front.clock.elapsed().saturating_sub(begun);
    front.metrics.latency(key).observe(took);
}

/// An answer with the id of its request.
pub(crate) fn response(
    status: StatusCode,
    content_type: &'static str,
    request_id: &str,
    document: String,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(document)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-acs-request-id", id);
    }
    response
}
