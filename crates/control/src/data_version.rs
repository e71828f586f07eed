//! The version to which the data of a node was raised, in a file of its data folder. A binary of an
//! older version must not open the folder any more.
//!
//! The file `version` is not there until an update is finalised for the first time: until then the
//! number of the folder's format alone decides.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use store::fs::replace_file;

use crate::Version;

const FILE: &str = "version";

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataVersionError {
    /// The data has left that version behind.
    #[error("data folder `{folder}` was raised to version `{data}`, `{binary}` cannot open it")]
    TooOld {
        /// The folder.
        folder: PathBuf,
        /// The version of the data.
        data: Version,
        /// The version of who wants to open it.
        binary: Version,
    },
    /// The file cannot be understood.
    #[error("file `{path}` holds {text:?}, expected a version")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What it holds, or how that begins.
        text: String,
    },
    /// The disk failed.
    #[error("access `{path}`")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}

/// The version to which the data in `folder` was raised; `None` if it never was.
pub fn read_data_version(folder: &Path) -> Result<Option<Version>, DataVersionError> {
    let path = folder.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(DataVersionError::Disk { path, source }),
    };
    let version = text.trim().parse();
    version.map(Some).map_err(|_| DataVersionError::Unreadable {
        path,
        text: text.chars().take(32).collect(),
    })
}

/// Whether a binary of version `binary` may open the data in `folder`.
pub fn check_data_version(folder: &Path, binary: Version) -> Result<(), DataVersionError> {
    match read_data_version(folder)? {
        Some(data) if data > binary => Err(DataVersionError::TooOld {
            folder: folder.to_owned(),
            data,
            binary,
        }),
        _ => Ok(()),
    }
}

/// Raises the data in `folder` to `version`, for good; durable when this returns. Never lowers it.
pub fn raise_data_version(folder: &Path, version: Version) -> Result<(), DataVersionError> {
    check_data_version(folder, version)?;
    let path = folder.join(FILE);
    let written = replace_file(&path, format!("{version}\n").as_bytes());
    written.map_err(|source| DataVersionError::Disk { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_raised_and_never_lowered() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (old, new) = ("5.0-rmq-20230329", "5.0-rmq-20230411");
        let (old, new): (Version, Version) = (old.parse().unwrap(), new.parse().unwrap());
        assert_eq!(read_data_version(folder).unwrap(), None);
        check_data_version(folder, old).unwrap();
        raise_data_version(folder, new).unwrap();
        raise_data_version(folder, new).unwrap();
        assert_eq!(read_data_version(folder).unwrap(), Some(new));
        check_data_version(folder, new).unwrap();
        for refused in [
            check_data_version(folder, old),
            raise_data_version(folder, old),
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(error, DataVersionError::TooOld { .. }), "{error}");
        }
        fs::write(folder.join(FILE), "newest").unwrap();
        let error = check_data_version(folder, new).unwrap_err();
        assert!(
            matches!(error, DataVersionError::Unreadable { .. }),
            "{error}"
        );
    }
}
