//! Why releases are not published, and binaries not used.

use std::{io, path::PathBuf};

use base::ErrorKind;
use store::meta::MetadataError;

use super::KeyError;
use crate::Version;

/// Why the catalogue could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenCatalogueError {
    /// Its folder cannot be made.
    #[error("make folder `{folder}` for releases")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// The key that was kept is unreadable.
    #[error("read trusted key of releases")]
    Key(#[from] KeyError),
    /// The metadata store failed.
    #[error("read catalogue of releases")]
    Metadata(#[from] MetadataError),
}

/// Why a release was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is one of that version, and releases never change.
    #[error("release `{version}` is published already, expected a new version")]
    AlreadyPublished {
        /// The version.
        version: Version,
    },
    /// There are as many as there may be.
    #[error("catalogue has {count} releases, limit {max}")]
    TooMany {
        /// Releases there are.
        count: usize,
        /// Releases there may be.
        max: usize,
    },
    /// The notes are too long.
    #[error("notes of the release have {length} bytes, expected at most {max}")]
    NotesTooLong {
        /// Their length.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// The signature is not one that we read.
    #[error("signature is not usable: {reason}, expected a prehashed one in minisign's format")]
    SignatureFormat {
        /// What is wrong with it.
        reason: String,
    },
    /// The key that came with it cannot be read.
    #[error("key of the release is not usable")]
    Key(#[from] KeyError),
    /// Nobody has said which key is trusted.
    #[error("no key is trusted yet, expected a public key along with the first release")]
    NoKey,
    /// The key that came with it is not trusted.
    #[error("key of the release is not trusted, expected one of {trusted} trusted keys or none")]
    KeyNotTrusted {
        /// Keys that are trusted.
        trusted: usize,
    },
    /// The signature is by somebody else.
    #[error("signature is by a key that is not trusted, expected one of {trusted} trusted keys")]
    UnknownKey {
        /// Keys that are trusted.
        trusted: usize,
    },
    /// The signature is for other bytes.
    #[error(
        "signature does not fit binary `{binary}` of {size} bytes: \
         the file was changed or cut off, or the signature is of another one"
    )]
    WrongSignature {
        /// The file.
        binary: PathBuf,
        /// What was read of it.
        size: u64,
    },
    /// The binary says that it is something else.
    #[error("binary says it is version {said:?}, expected `{expected}`")]
    VersionDiffers {
        /// The release's version.
        expected: Version,
        /// What the binary says.
        said: String,
    },
    /// The binary does not say what it is.
    #[error("binary does not tell its version with `--version`: {reason}")]
    NoVersion {
        /// What happened instead.
        reason: String,
    },
    /// The binary cannot be read.
    #[error("read binary `{binary}`")]
    Unreadable {
        /// The file.
        binary: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// The binary is too large.
    #[error("binary `{binary}` has more than {max} bytes")]
    TooLarge {
        /// The file.
        binary: PathBuf,
        /// The limit.
        max: u64,
    },
    /// The copy could not be written.
    #[error("write `{path}`")]
    Disk {
        /// The copy.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// The metadata store did not take it.
    #[error("register release")]
    Metadata(#[from] MetadataError),
    /// The process stops.
    #[error("control process is stopping, nothing is published any more")]
    Stopping,
}

impl PublishError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::AlreadyPublished { .. }
            | Self::NotesTooLong { .. }
            | Self::SignatureFormat { .. }
            | Self::Key(_)
            | Self::NoKey
            | Self::WrongSignature { .. }
            | Self::VersionDiffers { .. }
            | Self::NoVersion { .. }
            | Self::Unreadable { .. }
            | Self::TooLarge { .. } => ErrorKind::Request,
            Self::UnknownKey { .. } | Self::KeyNotTrusted { .. } => ErrorKind::Denied,
            Self::TooMany { .. } => ErrorKind::Limit,
            Self::Metadata(_) | Self::Stopping => ErrorKind::Retry,
            Self::Disk { .. } => ErrorKind::Fault,
        }
    }
}

/// Why the binary of a release cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// There is no such release.
    #[error("release `{version}` is not published")]
    NotPublished {
        /// The version.
        version: Version,
    },
    /// It is not there, or cannot be read.
    #[error("read binary `{path}`")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// It is not what was published.
    #[error("binary `{path}` has digest {found}, expected {expected}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Digest that was published.
        expected: String,
        /// Digest of the file.
        found: String,
    },
}
