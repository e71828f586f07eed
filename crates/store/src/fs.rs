//! Real files: a folder as a [`Disk`], the lock that keeps a second server out of it, and changes
//! of files and folders that are whole after a power cut.
//!
//! Blocks are reserved with `fallocate`, data goes through the page cache with `pwrite` and becomes
//! durable with `fdatasync` (why: `docs/adr/0004-log-writer.md`). On a file system that copies on
//! write, such as btrfs, a reservation is no promise: keep the data on ext4 or XFS.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use rustix::{
    fs::{FallocateFlags, FlockOperation},
    io::ReadWriteFlags,
};

use crate::disk::{Disk, DiskFile};

/// Name of the file whose lock marks a folder as in use.
pub const LOCK_FILE: &str = "lock";

/// Why a folder could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process, or another part of this one, has it.
    #[error("folder `{folder}` is in use by another server, expected it to be free")]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder or its lock file cannot be made or opened.
    #[error("lock folder `{folder}`")]
    Disk {
        /// The folder.
        folder: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}

/// A folder that nobody else can take as long as this lives. The kernel lets go of it when the
/// process ends, however it ends, so a crash never leaves a folder locked.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes `folder`, which is created, durably, if it is not there.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Disk {
            folder: folder.to_owned(),
            source,
        };
        create_folder(folder).map_err(failed)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(LOCK_FILE))
            .map_err(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::InUse {
                folder: folder.to_owned(),
            }),
            Err(errno) => Err(failed(errno.into())),
        }
    }
}

/// What [`replace_file`] adds to the name of a file as long as it is being written.
pub const UNFINISHED: &str = ".new";

/// Gives the file `path` these bytes; durable when this returns. At a power cut it has either them
/// or what it had before. One caller at a time.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(UNFINISHED);
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rename_file(Path::new(&new), path)
}

/// Gives a file whose bytes are durable another name, in place of a file that has it; durable when
/// this returns.
pub fn rename_file(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    sync_parent(to)
}

/// Removes `folder` with all in it, durably; none at all is a success.
pub fn remove_folder(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match sync_parent(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Makes durable which names there are beside `path`.
fn sync_parent(path: &Path) -> io::Result<()> {
    parent_of(path).map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn parent_of(path: &Path) -> Option<&Path> {
    let parent = path.parent()?;
    let is_here = parent.as_os_str().is_empty();
    Some(if is_here { Path::new(".") } else { parent })
}

/// Creates `folder` and what is missing above it. None of them may vanish at a power cut after we
/// promised what is in them.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    let Some(parent) = parent_of(folder) else {
        return Ok(());
    };
    if !folder.try_exists()? {
        create_folder(parent)?;
        match std::fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    // Also if it was there: who made it may have died before this.
    File::open(parent)?.sync_all()
}

/// A folder of the machine as a [`Disk`]. Holds the folder's lock.
#[derive(Debug)]
pub struct FolderDisk {
    path: PathBuf,
    folder: File,
    _lock: FolderLock,
}

impl FolderDisk {
    /// Takes `path`, which is created if it is not there.
    pub fn open(path: &Path) -> Result<Arc<Self>, LockError> {
        let lock = FolderLock::acquire(path)?;
        let folder = File::open(path).map_err(|source| LockError::Disk {
            folder: path.to_owned(),
            source,
        })?;
        Ok(Arc::new(Self {
            path: path.to_owned(),
            folder,
            _lock: lock,
        }))
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Disk for FolderDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && name != LOCK_FILE
                && entry.file_type()?.is_file()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>> {
        let path = self.path.join(name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        if let Err(errno) = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len) {
            // Half a reservation would only hold space that is short already.
            drop(file);
            std::fs::remove_file(&path)?;
            return Err(errno.into());
        }
        Ok(Box::new(FolderFile { fd: file.into() }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path.join(name))?;
        Ok(Box::new(FolderFile { fd: file.into() }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.folder.sync_all()
    }
}

struct FolderFile {
    fd: OwnedFd,
}

impl DiskFile for FolderFile {
    fn len(&self) -> io::Result<u64> {
        let size = rustix::fs::fstat(&self.fd)?.st_size;
        u64::try_from(size).map_err(io::Error::other)
    }

    fn write_at(&self, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::pwrite(&self.fd, bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        // The length never changes after `create`, so data alone is what must get there.
        Ok(rustix::fs::fdatasync(&self.fd)?)
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut buffer = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match rustix::io::pread(&self.fd, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        buffer.truncate(filled);
        Ok(buffer.into())
    }

    fn read_cached(&self, offset: u64, len: usize) -> io::Result<Option<Bytes>> {
        use rustix::io::Errno;
        let mut buffer = vec![0; len];
        let read = rustix::io::preadv2(
            &self.fd,
            &mut [io::IoSliceMut::new(&mut buffer)],
            offset,
            ReadWriteFlags::NOWAIT,
        );
        match read {
            Ok(read) if read == len => Ok(Some(buffer.into())),
            // Part of it is cached, the file ends, or the file system cannot promise not to wait.
            Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}
