//! The body of an HTTP request, read within limits of size and time.

use std::time::Duration;

use base::limits;
use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::select;

use crate::Front;

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestBodyError {
    /// It is longer than it may be.
    #[error("request body has more than {max} bytes")]
    TooLarge {
        /// Bytes there may be.
        max: usize,
    },
    /// It did not come in time.
    #[error("request body did not arrive within {seconds} s")]
    Late {
        /// The time it had.
        seconds: u64,
    },
    /// The connection broke, or what came is no body.
    #[error("request body is broken: {reason}")]
    Broken {
        /// What went wrong.
        reason: String,
    },
}

/// Reads a body of at most `max` bytes.
pub(crate) async fn read<B>(front: &Front, body: B, max: usize) -> Result<Bytes, RequestBodyError>
where
    B: Body<Data = Bytes> + Send,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    if body.size_hint().lower() > max as u64 {
        return Err(RequestBodyError::TooLarge { max });
    }
    let patience = Duration::from_millis(limits::HTTP_BODY_WAIT_MS_MAX);
    let read = select! {
        biased;
        read = Limited::new(body, max).collect() => read,
        () = front.clock.sleep(patience) => {
            let seconds = patience.as_secs();
            return Err(RequestBodyError::Late { seconds });
        }
    };
    match read {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(RequestBodyError::TooLarge { max }),
        Err(error) => {
            let reason = error.to_string();
            Err(RequestBodyError::Broken { reason })
        }
    }
}
