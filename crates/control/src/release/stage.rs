//! Taking a binary in: copied and checked in one pass, then kept under its digest.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base::limits::RELEASE_BINARY_BYTES_MAX;
use ring::digest::{Context, SHA256};
use store::fs::rename_file;

use super::{PublishError, signature::PendingSignature};

/// Name of a copy that is not kept yet.
pub(super) const INCOMING: &str = "incoming";

const CHUNK_BYTES: usize = 256 * 1024;

/// A signed binary that is not kept yet; removed when it is dropped.
pub(super) struct Staged {
    folder: PathBuf,
    path: PathBuf,
    digest: String,
    size: u64,
}

/// SHA-256 of a file, in hexadecimal digits.
pub(super) fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hexadecimal(context)),
            read => context.update(&chunk[..read]),
        }
    }
}

fn hexadecimal(context: Context) -> String {
    let digest = context.finish();
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

impl Staged {
    /// Copies `source` into `folder` and checks what it copied.
    pub(super) fn copy(
        folder: &Path,
        source: &Path,
        signature: &PendingSignature,
    ) -> Result<Self, PublishError> {
        let mut staged = Self {
            folder: folder.to_owned(),
            path: folder.join(INCOMING),
            digest: String::new(),
            size: 0,
        };
        let unreadable = |error| PublishError::Unreadable {
            binary: source.to_owned(),
            source: error,
        };
        let mut from = File::open(source).map_err(unreadable)?;
        let mut to = staged.create().map_err(|error| staged.failed(error))?;
        let mut verifier = signature.verifier()?;
        let mut context = Context::new(&SHA256);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = from.read(&mut chunk).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            staged.size += read as u64;
            if staged.size > RELEASE_BINARY_BYTES_MAX {
                return Err(PublishError::TooLarge {
                    binary: source.to_owned(),
                    max: RELEASE_BINARY_BYTES_MAX,
                });
            }
            verifier.update(&chunk[..read]);
            context.update(&chunk[..read]);
            to.write_all(&chunk[..read])
                .map_err(|error| staged.failed(error))?;
        }
        verifier
            .finalize()
            .map_err(|_| PublishError::WrongSignature {
                binary: source.to_owned(),
                size: staged.size,
            })?;
        to.sync_all().map_err(|error| staged.failed(error))?;
        staged.digest = hexadecimal(context);
        Ok(staged)
    }

    /// Where the copy is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of its bytes, in hexadecimal digits.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// Its bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Gives the copy its name for good; durable when this returns.
    pub(super) fn keep(self) -> Result<(), PublishError> {
        let kept = rename_file(&self.path, &self.folder.join(&self.digest));
        kept.map_err(|error| self.failed(error))
    }

    /// A new file that only its owner may write to and run.
    fn create(&self) -> io::Result<File> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o700)
            .open(&self.path)
    }

    fn failed(&self, source: io::Error) -> PublishError {
        PublishError::Disk {
            path: self.path.clone(),
            source,
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone if it was kept; if it cannot be removed, the next publication overwrites it.
        let _ = fs::remove_file(&self.path);
    }
}
