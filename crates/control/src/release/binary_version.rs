//! Asking a binary which version it is.

use std::{io, path::Path, process::Stdio, time::Duration};

use base::{
    Clock,
    limits::{BINARY_VERSION_BYTES_MAX, BINARY_VERSION_MS_MAX},
};
use futures::future::{Either, select};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
};

use super::PublishError;

/// How often a file that still counts as being written to is tried. Another thread that starts a
/// process between our closing the file and this has it open for an instant.
const BUSY_ATTEMPTS_MAX: u32 = 50;

const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// The last word of what `binary --version` says, as in `carrack 5.0-rmq-20251024-1`. Run only what
/// has a good signature.
pub(super) async fn read(binary: &Path, clock: &dyn Clock) -> Result<String, PublishError> {
    let failed = |reason: String| PublishError::NoVersion { reason };
    let limit = clock.sleep(Duration::from_millis(BINARY_VERSION_MS_MAX));
    match select(Box::pin(ask(binary, clock)), limit).await {
        Either::Left((said, _)) => said.map_err(|error| failed(error.to_string())),
        Either::Right(((), _)) => Err(failed(format!(
            "no answer within {BINARY_VERSION_MS_MAX} ms"
        ))),
    }
}

async fn ask(binary: &Path, clock: &dyn Clock) -> io::Result<String> {
    let mut child = start(binary, clock).await?;
    let mut said = Vec::new();
    if let Some(output) = child.stdout.take() {
        let mut output = output.take(BINARY_VERSION_BYTES_MAX);
        output.read_to_end(&mut said).await?;
    }
    let status = child.wait().await?;
    if !status.success() {
        return Err(io::Error::other(format!("it ended with {status}")));
    }
    let said = String::from_utf8_lossy(&said);
    let last = said.split_whitespace().next_back();
    let last = last.ok_or_else(|| io::Error::other("it said nothing"))?;
    Ok(last.chars().take(128).collect())
}

async fn start(binary: &Path, clock: &dyn Clock) -> io::Result<Child> {
    let mut attempt = 1;
    loop {
        let started = Command::new(binary)
            .arg("--version")
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        match started {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy
                    && attempt < BUSY_ATTEMPTS_MAX =>
            {
                attempt += 1;
                clock.sleep(BUSY_PAUSE).await;
            }
            started => return started,
        }
    }
}
