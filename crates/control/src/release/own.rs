//! Binaries that nodes run without a release: what the operator started as control process.
//!
//! | where | what |
//! | --- | --- |
//! | key `control/own-binaries/<version>` | SHA-256 of the binary |
//! | file `<digest>` in the catalogue's folder | the binary, as those of releases |
//!
//! Nobody signed them and nobody announces them: whoever may start the control process may run what
//! he likes. They are kept beside those of releases, because nodes are started again with what they
//! ran when the control process is long another one.

use std::{collections::BTreeMap, fs, path::Path};

use bytes::Bytes;
use store::{
    fs::rename_file,
    meta::{Entry, MetadataError, MetadataStore, overwrite},
};

use super::{Catalogue, PublishError, off_thread, stage};
use crate::Version;

pub(super) const PREFIX: &str = "control/own-binaries/";

/// Digests by version.
pub(super) async fn read(
    metadata: &dyn MetadataStore,
) -> Result<BTreeMap<Version, String>, MetadataError> {
    let entries = metadata.range(PREFIX).await?.0.into_iter();
    entries.map(|entry| one(&entry)).collect()
}

fn one(entry: &Entry) -> Result<(Version, String), MetadataError> {
    let version = entry.key[PREFIX.len()..].parse::<Version>();
    let digest = String::from_utf8(entry.value.to_vec());
    Ok((
        version.map_err(|error| entry.unreadable(error))?,
        digest.map_err(|error| entry.unreadable(error))?,
    ))
}

impl Catalogue {
    /// Keeps the binary at `path`, which is trusted as it is, as what `version` means where there
    /// is no release of that version.
    pub async fn keep_own(&self, version: Version, path: &Path) -> Result<(), PublishError> {
        let _one = self.publishing.lock().await;
        let (folder, source) = (self.folder.clone(), path.to_owned());
        let digest = off_thread(move || {
            let unreadable = |error| PublishError::Unreadable {
                binary: source.clone(),
                source: error,
            };
            // A copy that is there is not made again: binaries are large.
            let digest = stage::digest(&source).map_err(unreadable)?;
            let kept = folder.join(&digest);
            if kept.exists() {
                return Ok(digest);
            }
            let incoming = folder.join(stage::INCOMING);
            let copied = fs::copy(&source, &incoming)
                .and_then(|_| fs::File::open(&incoming)?.sync_all())
                .and_then(|()| rename_file(&incoming, &kept));
            copied.map_err(|error| PublishError::Disk {
                path: kept,
                source: error,
            })?;
            Ok(digest)
        })
        .await?;
        if self.own.read().get(&version) == Some(&digest) {
            return Ok(());
        }
        let key = format!("{PREFIX}{version}");
        let value = Bytes::copy_from_slice(digest.as_bytes());
        overwrite(&*self.metadata, &key, Some(value)).await?;
        self.own.write().insert(version, digest);
        Ok(())
    }
}
