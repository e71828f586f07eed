//! The control API, as far as no command asks it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base::{Clock, Sleep, Timestamp};
use client::openapi::Method;
use client::{ClientError, Credentials, OpenApiCall, OpenApiClient};

use crate::conformance::deadline::{Stopwatch, unix_ms};

/// The status of an answer that refuses because of something else that goes on.
const CONFLICT: u16 = 409;

/// Expects that a topic is refused, with an error that names the update task.
pub(super) fn expect_topic_refused(
    address: &str,
    instance: &str,
    credentials: Credentials,
) -> Result<()> {
    let path = ["instances", instance, "topics", "refused-by-api"];
    let mut call = OpenApiCall::new("CreateTopic", Method::POST, &path);
    call.body = Some(serde_json::json!({ "messageType": "NORMAL" }));
    let clock = Arc::new(SystemClock(Stopwatch::start()));
    let client = OpenApiClient::new(address, Some(credentials), clock);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime of the client")?;
    match runtime.block_on(client.call(&call)) {
        Err(ClientError::RefusedOpenApi { status, remark, .. })
            if status == CONFLICT && remark.contains("update task") =>
        {
            Ok(())
        }
        Err(error) => bail!("the control API refused a topic in another way: {error}"),
        Ok(made) => bail!("the control API created a topic during the update: {made}"),
    }
}

/// The time by which requests are signed.
struct SystemClock(Stopwatch);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(i64::try_from(unix_ms()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "real processes are waited for, which no simulated clock can do"
    )]
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}
