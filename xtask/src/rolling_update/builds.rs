//! Two builds of the binary that differ in their version, signed as releases are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// What runs first.
pub(super) const OLD: &str = "5.5.0-rmq-1.0.0";

/// What it is updated to.
pub(super) const NEW: &str = "5.5.0-rmq-1.1.0";

/// The two builds.
pub(super) struct Builds {
    /// The binary of version [`OLD`].
    pub(super) old: PathBuf,
    /// The binary of version [`NEW`].
    pub(super) new: PathBuf,
}

impl Builds {
    /// Builds both, or takes those of the last run.
    pub(super) fn make(root: &Path, folder: &Path, keep: bool) -> Result<Self> {
        let builds = Self {
            old: folder.join("carrack-old"),
            new: folder.join("carrack-new"),
        };
        for (version, path) in [(OLD, &builds.old), (NEW, &builds.new)] {
            if !(keep && path.exists()) {
                build(root, version, path)?;
            }
        }
        Ok(builds)
    }
}

/// Builds in the profile of the tests, whose libraries are built already: the version changes
/// nothing but the last crate.
fn build(root: &Path, version: &str, path: &Path) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "-p", "carrack"])
        .current_dir(root)
        .env("CARRACK_VERSION", version)
        .stdin(Stdio::null())
        .status()
        .context("start cargo")?;
    if !status.success() {
        bail!("the build of version `{version}` ended with {status}");
    }
    let built = root.join("target/debug/carrack");
    // A running server may still use the old file, which can be replaced but not written.
    let fresh = path.with_extension("fresh");
    let status = Command::new("strip")
        .arg("-o")
        .args([&fresh, &built])
        .status()
        .context("start strip")?;
    if !status.success() {
        bail!("strip ended with {status}");
    }
    fs::rename(&fresh, path).with_context(|| format!("rename to {}", path.display()))
}
