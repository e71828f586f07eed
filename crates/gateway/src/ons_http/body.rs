//! The body of a request, read within limits of size and time.

use base::limits;
use bytes::Bytes;
use http::request::Parts;
use http_body::Body;
use md5::{Digest as _, Md5};
use wire::ons_http::is_digest_form;

use super::{
    call::Call,
    status::{Code, Refusal},
};
use crate::{
    http::header_text,
    request_body::{self, RequestBodyError},
};

const CONTENT_MD5: &str = "content-md5";

/// Reads a body and compares it with its digest, where it has one.
pub(super) async fn read<B>(call: &Call<'_>, head: &Parts, body: B) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Send,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let max = limits::ONS_HTTP_REQUEST_BYTES_MAX;
    let body = request_body::read(call.front, body, max).await;
    let body = body.map_err(|error| {
        let code = match &error {
            RequestBodyError::TooLarge { .. } | RequestBodyError::Broken { .. } => {
                Code::InvalidArgument
            }
            RequestBodyError::Late { .. } => Code::TimeExpired,
        };
        Refusal::new(code, error.to_string())
    })?;
    let told = header_text(head, CONTENT_MD5);
    if !told.is_empty() && !is_digest_form(told, &Md5::digest(&body).into()) {
        let text = "header `content-md5` is not the digest of the body that arrived";
        return Err(Refusal::new(Code::InvalidDigest, text));
    }
    Ok(body)
}
