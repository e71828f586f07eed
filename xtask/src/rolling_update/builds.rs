//! Two builds of the binary that differ in their version, signed as releases are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::test_key::TestKey;

/// The version that instances are updated to.
pub(super) const NEW: &str = "5.5.0-rmq-1.1.0";

/// Names the version to the build.
const VERSION_VARIABLE: &str = "CARRACK_VERSION";

/// The two builds.
pub(super) struct Builds {
    /// A build without a version, which is below every release.
    pub(super) old: PathBuf,
    /// The binary of version [`NEW`].
    pub(super) new: PathBuf,
    /// The public key with which the new one is signed.
    pub(super) key: PathBuf,
}

impl Builds {
    /// Builds both, or takes those of the last run.
    pub(super) fn make(root: &Path, folder: &Path, keep: bool) -> Result<Self> {
        let builds = Self {
            old: folder.join("carrack-old"),
            new: folder.join("carrack-new"),
            key: folder.join("release.pub"),
        };
        for (version, path) in [(None, &builds.old), (Some(NEW), &builds.new)] {
            if !(keep && path.exists()) {
                build(root, version, path)?;
            }
        }
        builds.sign()?;
        Ok(builds)
    }

    /// Signs the new one, beside it.
    fn sign(&self) -> Result<()> {
        let key = TestKey::new(1);
        let binary = fs::read(&self.new).context("read the new binary")?;
        let mut signature = self.new.clone().into_os_string();
        signature.push(".minisig");
        fs::write(&signature, key.sign(&binary)).context("write the signature")?;
        fs::write(&self.key, key.public()).context("write the public key")
    }
}

/// Builds as the tests do, whose libraries are built already: the version changes nothing but the
/// last crate.
fn build(root: &Path, version: Option<&str>, path: &Path) -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["test", "--workspace", "--quiet", "--locked", "--no-run"])
        .current_dir(root)
        .env_remove(VERSION_VARIABLE)
        .stdin(Stdio::null());
    if let Some(version) = version {
        command.env(VERSION_VARIABLE, version);
    }
    let status = command.status().context("start cargo")?;
    if !status.success() {
        bail!("the build for {} ended with {status}", path.display());
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
