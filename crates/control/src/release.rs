//! The catalogue of releases: what there is to update to, and its signed binaries.
//!
//! | where | what |
//! | --- | --- |
//! | key `control/releases/<version>` | JSON of [`Release`] |
//! | key `control/release-keys` | the public key that the first release came with |
//! | file `<digest>` in the catalogue's folder | a binary under the SHA-256 of its bytes |
//! | file `incoming` there | one that is being published; remains of a crash are overwritten |
//!
//! A binary is checked before it is kept: its signature (minisign, prehashed) must be by a key that
//! the operator trusts, or, where none was named, that the first release came with; and the version
//! that it says of itself must be the release's. It is signed for all of its bytes, so one that was
//! cut off or changed is refused. What is checked is our own copy, never a file that somebody may
//! still write to. A release is never changed or withdrawn.

mod binary_version;
mod errors;
mod own;
mod signature;
mod stage;
#[cfg(test)]
pub(crate) mod test_key;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use base::{
    Clock, Timestamp,
    limits::{RELEASE_NOTES_BYTES_MAX, RELEASES_MAX},
};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use store::{
    fs::create_folder,
    meta::{Expected, MetadataStore},
};

pub use self::{
    errors::{BinaryError, OpenCatalogueError, PublishError},
    signature::{KeyError, TrustedKeys},
};
use self::{signature::PendingSignature, stage::Staged};
use crate::{Day, Version, stored};

/// How long a release is supported.
const SUPPORT_MONTHS: u8 = 6;

const PREFIX: &str = "control/releases/";

const KEYS: &str = "control/release-keys";

/// A version that instances can be updated to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its version.
    pub version: Version,
    /// The day from which support counts.
    pub released_on: Day,
    /// When it was published here, which is when update tasks were made.
    #[serde(rename = "announced_at_ms", with = "stored::time")]
    pub announced_at: Timestamp,
    /// What changed, for people.
    pub notes: String,
    /// SHA-256 of the binary, in hexadecimal digits.
    pub digest: String,
    /// Bytes of the binary.
    pub size: u64,
    /// The signature file as it was published.
    pub signature: String,
}

impl Release {
    /// The last day on which it is supported: six months after its release, or the last day of that
    /// month if it is shorter.
    pub fn supported_until(&self) -> Day {
        self.released_on.months_later(SUPPORT_MONTHS)
    }

    /// Whether it is still supported on that day.
    pub fn is_supported(&self, today: Day) -> bool {
        today <= self.supported_until()
    }
}

/// What is to be published.
#[derive(Clone, Debug)]
pub struct NewRelease {
    /// The version that the binary says of itself.
    pub version: Version,
    /// The day from which support counts.
    pub released_on: Day,
    /// What changed, for people.
    pub notes: String,
    /// Where the binary is. It is copied.
    pub binary: PathBuf,
    /// The text of its minisign signature file.
    pub signature: String,
    /// The text of a minisign public key file. Where no key is trusted yet this one is from then
    /// on; otherwise it must be a trusted one.
    pub key: Option<String>,
}

/// The releases there are. One process has the catalogue's folder; who owns the control data's lock
/// may open it.
pub struct Catalogue {
    metadata: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    folder: PathBuf,
    keys: RwLock<TrustedKeys>,
    releases: RwLock<BTreeMap<Version, Arc<Release>>>,
    /// Digests of binaries that are no releases.
    own: RwLock<BTreeMap<Version, String>>,
    /// One publication at a time.
    publishing: tokio::sync::Mutex<()>,
}

impl Catalogue {
    /// Reads the releases whose binaries are in `folder`, which is created if it is not there.
    /// `keys` are those whose signatures count; with none of them it is the key that came with the
    /// first release.
    pub async fn open(
        metadata: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
        folder: &Path,
        keys: TrustedKeys,
    ) -> Result<Self, OpenCatalogueError> {
        create_folder(folder).map_err(|source| OpenCatalogueError::Folder {
            folder: folder.to_owned(),
            source,
        })?;
        let keys = match metadata.get(KEYS).await? {
            Some(entry) if keys.count() == 0 => {
                let text = String::from_utf8_lossy(&entry.value);
                TrustedKeys::parse(&text)?
            }
            _ => keys,
        };
        let mut releases = BTreeMap::new();
        for entry in metadata.range(PREFIX).await?.0 {
            let release: Release = stored::read(&entry)?;
            releases.insert(release.version, Arc::new(release));
        }
        let own = own::read(&*metadata).await?;
        Ok(Self {
            metadata,
            clock,
            own: RwLock::new(own),
            folder: folder.to_owned(),
            keys: RwLock::new(keys),
            releases: RwLock::new(releases),
            publishing: tokio::sync::Mutex::default(),
        })
    }

    /// All releases, the newest first.
    pub fn list(&self) -> Vec<Arc<Release>> {
        self.releases.read().values().rev().cloned().collect()
    }

    /// The release of that version.
    pub fn get(&self, version: Version) -> Option<Arc<Release>> {
        self.releases.read().get(&version).cloned()
    }

    /// The newest release, which is what instances are updated to.
    pub fn newest(&self) -> Option<Arc<Release>> {
        let releases = self.releases.read();
        releases
            .last_key_value()
            .map(|(_, release)| Arc::clone(release))
    }

    /// Checks a binary and makes it a release. When this returns, the release and its binary
    /// outlive any crash; update tasks are made for it then.
    pub async fn publish(&self, new: NewRelease) -> Result<Arc<Release>, PublishError> {
        let _one = self.publishing.lock().await;
        self.check(&new)?;
        let (keys, is_first) = self.keys_for(new.key.as_deref())?;
        let pending = PendingSignature::read(&keys, &new.signature)?;
        let (folder, source) = (self.folder.clone(), new.binary.clone());
        let staged = off_thread(move || Staged::copy(&folder, &source, &pending)).await?;
        let said = binary_version::read(staged.path(), &*self.clock).await?;
        if said != new.version.to_string() {
            return Err(PublishError::VersionDiffers {
                expected: new.version,
                said,
            });
        }
        if let (true, Some(text)) = (is_first, &new.key) {
            self.trust(keys, text).await?;
        }
        let (digest, size) = (staged.digest().to_owned(), staged.size());
        off_thread(move || staged.keep()).await?;
        let release = Release {
            version: new.version,
            released_on: new.released_on,
            announced_at: self.clock.now(),
            notes: new.notes,
            digest,
            size,
            signature: new.signature,
        };
        let key = format!("{PREFIX}{}", release.version);
        let value = stored::write(&release)?;
        self.metadata
            .compare_and_set(&key, Expected::Absent, Some(value), None)
            .await?;
        let release = Arc::new(release);
        self.releases
            .write()
            .insert(release.version, Arc::clone(&release));
        tracing::info!(version = %release.version, digest = release.digest, "published a release");
        Ok(release)
    }

    /// The keys by which a release may be signed that came with `key`, and whether they are to be
    /// trusted from then on.
    fn keys_for(&self, key: Option<&str>) -> Result<(TrustedKeys, bool), PublishError> {
        let trusted = self.keys.read().clone();
        let given = key.map(TrustedKeys::parse).transpose()?;
        match (trusted.count(), given) {
            (0, None) => Err(PublishError::NoKey),
            (0, Some(given)) => Ok((given, true)),
            (trusted_count, Some(given)) if !trusted.has_all(&given) => {
                Err(PublishError::KeyNotTrusted {
                    trusted: trusted_count,
                })
            }
            (_, Some(given)) => Ok((given, false)),
            (_, None) => Ok((trusted, false)),
        }
    }

    async fn trust(&self, keys: TrustedKeys, text: &str) -> Result<(), PublishError> {
        let value = text.as_bytes().to_vec().into();
        self.metadata
            .compare_and_set(KEYS, Expected::Absent, Some(value), None)
            .await?;
        tracing::warn!(
            key = text,
            "releases are trusted by the key of this first one"
        );
        *self.keys.write() = keys;
        Ok(())
    }

    /// Where the binary of a version is, after its bytes were compared with the digest: that of the
    /// release, or else one that was kept with [`Catalogue::keep_own`].
    pub async fn binary(&self, version: Version) -> Result<PathBuf, BinaryError> {
        let release = self.get(version).map(|release| release.digest.clone());
        let expected = release.or_else(|| self.own.read().get(&version).cloned());
        let expected = expected.ok_or(BinaryError::NotPublished { version })?;
        let path = self.folder.join(&expected);
        let read = path.clone();
        let digest = tokio::task::spawn_blocking(move || stage::digest(&read)).await;
        let digest = digest.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let found = digest.map_err(|source| BinaryError::Unreadable {
            path: path.clone(),
            source,
        })?;
        if found != expected {
            return Err(BinaryError::Damaged {
                path,
                expected,
                found,
            });
        }
        Ok(path)
    }

    fn check(&self, new: &NewRelease) -> Result<(), PublishError> {
        if self.get(new.version).is_some() {
            return Err(PublishError::AlreadyPublished {
                version: new.version,
            });
        }
        let count = self.releases.read().len();
        if count >= RELEASES_MAX {
            return Err(PublishError::TooMany {
                count,
                max: RELEASES_MAX,
            });
        }
        if new.notes.len() > RELEASE_NOTES_BYTES_MAX {
            return Err(PublishError::NotesTooLong {
                length: new.notes.len(),
                max: RELEASE_NOTES_BYTES_MAX,
            });
        }
        Ok(())
    }
}

/// Runs `work`, which waits for the disk, where nobody else waits for it.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PublishError> + Send + 'static,
) -> Result<T, PublishError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(PublishError::Stopping))
}
