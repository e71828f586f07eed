//! The body of a request, read within limits of size and time.

use std::time::Duration;

use base::limits;
use bytes::Bytes;
use http::request::Parts;
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use md5::{Digest as _, Md5};
use tokio::select;
use wire::ons_http::is_digest_form;

use super::{
    call::{Call, header_text},
    status::{Code, Refusal},
};

const CONTENT_MD5: &str = "content-md5";

/// Reads a body and compares it with its digest, where it has one.
pub(super) async fn read<B>(call: &Call<'_>, head: &Parts, body: B) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Send,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let max = limits::ONS_HTTP_REQUEST_BYTES_MAX;
    let too_large = || {
        let text = format!("request body has more than {max} bytes");
        Refusal::new(Code::InvalidArgument, text)
    };
    if body.size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    let patience = Duration::from_millis(limits::HTTP_BODY_WAIT_MS_MAX);
    let read = select! {
        biased;
        read = Limited::new(body, max).collect() => read,
        () = call.front.clock.sleep(patience) => {
            let seconds = patience.as_secs();
            let text = format!("request body did not arrive within {seconds} s");
            return Err(Refusal::new(Code::TimeExpired, text));
        }
    };
    let body = match read {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
        Err(error) => {
            let text = format!("request body is broken: {error}");
            return Err(Refusal::new(Code::InvalidArgument, text));
        }
    };
    let told = header_text(head, CONTENT_MD5);
    if !told.is_empty() && !is_digest_form(told, &Md5::digest(&body).into()) {
        let text = "header `content-md5` is not the digest of the body that arrived";
        return Err(Refusal::new(Code::InvalidDigest, text));
    }
    Ok(body)
}
