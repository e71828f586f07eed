//! Building the Java parts with Maven.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Packages the project in `folder`, fetching what it depends on if it is not here yet.
pub(crate) fn package(folder: &Path) -> Result<()> {
    let maven = |extra: &[&str]| {
        let mut command = Command::new("mvn");
        command
            .args(["--quiet", "--batch-mode"])
            .args(extra)
            .arg("package")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    };
    // Without the network first: it is faster, and works where everything was fetched once.
    let offline = maven(&["--offline"]).stderr(Stdio::null()).status();
    if offline.context("start Maven")?.success() {
        return Ok(());
    }
    let status = maven(&[]).stdout(Stdio::inherit()).status()?;
    if !status.success() {
        bail!("the build of {} ended with {status}", folder.display());
    }
    Ok(())
}
