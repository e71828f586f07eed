//! The data folder: who may use it, and which format it has.
//!
//! ```text
//! lock                          held by the server that runs here
//! format                        what this page describes, by number
//! version                       older releases than this one must not open the folder any more
//! metadata/                     topics, groups and what else an operator creates
//! state/                        what is derived from the logs, as of the last checkpoint
//! instances/<id>/shard-<n>/     the log of a shard
//! tls/                          the certificate made on the first start
//! node                          who this is among the nodes of a cluster, instead of metadata/
//! fleet                         a fleet has the folder (`fleet/mod.rs`), and no server
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use base::{InstanceId, ShardId};
use control::{DataVersionError, Version, check_data_version};
use store::fs::{FolderLock, LOCK_FILE, LockError, UNFINISHED, replace_file};

use crate::exit::Failure;

/// The format that this release writes.
const FORMAT: u32 = 1;

/// Name of the file that holds the format's number.
const FORMAT_FILE: &str = "format";

/// Name of the file that says which node of a cluster this is.
const NODE_FILE: &str = "node";

/// Name of the file that says that a fleet has the folder.
const FLEET_FILE: &str = "fleet";

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataError {
    /// Another server uses it, or it cannot be created.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It holds something else.
    #[error(
        "data folder `{}` holds `{found}` but no Carrack data, expected an empty folder or a data folder",
        folder.display()
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// Something in it.
        found: String,
    },
    /// A newer release wrote it.
    #[error(
        "data folder `{}` has format {found}, this release reads up to {FORMAT}: start the release that \
         wrote it",
        folder.display()
    )]
    NewerFormat {
        /// The folder.
        folder: PathBuf,
        /// Its format.
        found: String,
    },
    /// A fleet has it, or a server.
    #[error(
        "data folder `{}` is that of a {has}, expected that of a {expected}",
        folder.display()
    )]
    OtherUse {
        /// The folder.
        folder: PathBuf,
        /// Who has it.
        has: &'static str,
        /// Who wants it.
        expected: &'static str,
    },
    /// An update was finalised that an older release cannot go back behind.
    #[error(transparent)]
    Raised(#[from] DataVersionError),
    /// The disk failed.
    #[error("prepare data folder `{}`", folder.display())]
    Disk {
        /// The folder.
        folder: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::Refused(error.into())
    }
}

/// A data folder that belongs to this process as long as this lives.
pub(super) struct DataFolder {
    path: PathBuf,
    _lock: FolderLock,
}

impl DataFolder {
    /// Takes the folder for a server of version `own`, making it first if it is not there.
    pub(super) fn open(path: &Path, own: Version) -> Result<Self, DataError> {
        let data = Self::take(path, own)?;
        if path.join(FLEET_FILE).exists() {
            return Err(DataError::OtherUse {
                folder: path.to_owned(),
                has: "fleet",
                expected: "server",
            });
        }
        Ok(data)
    }

    /// Takes the folder for a fleet of version `own`, making it first if it is not there.
    pub(super) fn open_fleet(path: &Path, own: Version) -> Result<Self, DataError> {
        let data = Self::take(path, own)?;
        if path.join(FLEET_FILE).exists() {
            return Ok(data);
        }
        if data.metadata().exists() || path.join(NODE_FILE).exists() {
            return Err(DataError::OtherUse {
                folder: path.to_owned(),
                has: "server",
                expected: "fleet",
            });
        }
        let marked = replace_file(&path.join(FLEET_FILE), b"");
        marked.map_err(|source| DataError::Disk {
            folder: path.to_owned(),
            source,
        })?;
        Ok(data)
    }

    fn take(path: &Path, own: Version) -> Result<Self, DataError> {
        let lock = FolderLock::acquire(path)?;
        check_data_version(path, own)?;
        let failed = |source| DataError::Disk {
            folder: path.to_owned(),
            source,
        };
        match fs::read_to_string(path.join(FORMAT_FILE)) {
            Ok(text) => check(path, text.trim())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(found) = foreign(path).map_err(failed)? {
                    return Err(DataError::Foreign {
                        folder: path.to_owned(),
                        found,
                    });
                }
                let text = format!("{FORMAT}\n");
                replace_file(&path.join(FORMAT_FILE), text.as_bytes()).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where metadata is.
    pub(super) fn metadata(&self) -> PathBuf {
        self.path.join("metadata")
    }

    /// Whether it has metadata of its own, as that of a server without a cluster.
    pub(super) fn has_metadata(&self) -> bool {
        self.metadata().exists()
    }

    /// What says who this is among the nodes of a cluster; `None` if nothing does.
    pub(super) fn node(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path.join(NODE_FILE)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps who this is.
    pub(super) fn set_node(&self, bytes: &[u8]) -> io::Result<()> {
        replace_file(&self.path.join(NODE_FILE), bytes)
    }

    /// Instances that have logs here.
    pub(super) fn stored(&self) -> io::Result<Vec<InstanceId>> {
        let mut found = Vec::new();
        let folder = match fs::read_dir(self.path.join("instances")) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(error),
        };
        for entry in folder {
            found.extend(InstanceId::new(&entry?.file_name().to_string_lossy()).ok());
        }
        Ok(found)
    }

    /// Where derived state is.
    pub(super) fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// Where the logs of an instance are.
    pub(super) fn instance(&self, instance: &InstanceId) -> PathBuf {
        self.path.join("instances").join(instance.as_str())
    }

    /// Where the log of a shard is.
    pub(super) fn log(&self, instance: &InstanceId, shard: ShardId) -> PathBuf {
        self.instance(instance).join(format!("shard-{shard}"))
    }
}

fn check(folder: &Path, text: &str) -> Result<(), DataError> {
    match text.parse::<u32>() {
        Ok(format) if (1..=FORMAT).contains(&format) => Ok(()),
        _ => Err(DataError::NewerFormat {
            folder: folder.to_owned(),
            found: text.chars().take(32).collect(),
        }),
    }
}

/// Something in the folder that a fresh data folder does not have.
fn foreign(folder: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !is_fresh(&name) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Whether a file of that name may be in a folder that was not used yet: ours, also when a first
/// start was cut short, or what file systems put there.
fn is_fresh(name: &str) -> bool {
    let unfinished = name.strip_suffix(UNFINISHED);
    name == LOCK_FILE || name == "lost+found" || unfinished == Some(FORMAT_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Version {
        "5.0-rmq-20230329".parse().unwrap()
    }

    #[test]
    fn a_folder_that_was_raised_opens_with_no_older_release() {
        let folder = tempfile::tempdir().unwrap();
        drop(DataFolder::open(folder.path(), own()).unwrap());
        let newer = "5.0-rmq-20230411".parse().unwrap();
        control::raise_data_version(folder.path(), newer).unwrap();
        let Err(DataError::Raised(error)) = DataFolder::open(folder.path(), own()) else {
            panic!("an older release opened it");
        };
        assert!(error.to_string().contains("5.0-rmq-20230411"), "{error}");
        DataFolder::open(folder.path(), newer).unwrap();
    }

    #[test]
    fn a_folder_of_a_fleet_is_none_of_a_server_nor_the_other_way_round() {
        let folder = tempfile::tempdir().unwrap();
        let (fleet, server) = (folder.path().join("fleet"), folder.path().join("server"));
        for _ in 0..2 {
            drop(DataFolder::open_fleet(&fleet, own()).unwrap());
        }
        fs::create_dir_all(DataFolder::open(&server, own()).unwrap().metadata()).unwrap();
        for (refused, what) in [
            (DataFolder::open(&fleet, own()), "that of a fleet"),
            (DataFolder::open_fleet(&server, own()), "that of a server"),
        ] {
            let Err(error) = refused else {
                panic!("it was taken");
            };
            assert!(error.to_string().contains(what), "{error}");
        }
    }

    #[test]
    fn a_folder_is_taken_once_and_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = DataFolder::open(&path, own()).unwrap();
        assert!(matches!(
            DataFolder::open(&path, own()),
            Err(DataError::Lock(LockError::InUse { .. }))
        ));
        drop(first);
        DataFolder::open(&path, own()).unwrap();
        assert_eq!(fs::read_to_string(path.join(FORMAT_FILE)).unwrap(), "1\n");
    }

    #[test]
    fn a_folder_whose_first_start_was_cut_short_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("format.new"), "").unwrap();
        DataFolder::open(folder.path(), own()).unwrap();
    }

    #[test]
    fn folders_of_others_and_of_newer_releases_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("letter.txt"), "dear").unwrap();
        let Err(DataError::Foreign { found, .. }) = DataFolder::open(folder.path(), own()) else {
            panic!("a folder of somebody else was taken");
        };
        assert_eq!(found, "letter.txt");

        for newer in ["2", "x"] {
            fs::write(folder.path().join(FORMAT_FILE), newer).unwrap();
            assert!(matches!(
                DataFolder::open(folder.path(), own()),
                Err(DataError::NewerFormat { .. })
            ));
        }
    }
}
