//! A disk in memory that fails on demand and forgets what was not synced when the power goes.
//!
//! At a power cut each sector written since the last sync is kept or lost on its own, and so is
//! each name. A sync that fails leaves what it should have written readable but not durable, and
//! clean, as Linux does.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    sync::Arc,
};

use base::{Random, SeededRandom};
use bytes::Bytes;
use parking_lot::Mutex;
use store::disk::{Disk, DiskFile};

/// What a device writes whole or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Default)]
pub(crate) struct CrashDisk {
    inner: Arc<Mutex<Inner>>,
}

/// What happened, and what is to fail.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Creating files fails for want of space.
    pub(crate) full: bool,
    /// The next write to a file fails.
    pub(crate) write: bool,
    /// The next sync of a file fails.
    pub(crate) sync: bool,
    /// So many changing operations work, then none until the power is cut.
    pub(crate) operations_left: Option<u64>,
    /// Reads of the byte at this offset of a file fail.
    pub(crate) unreadable: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) writes: u64,
    pub(crate) syncs: u64,
    pub(crate) creations: u64,
    pub(crate) reads: u64,
    pub(crate) bytes_read: usize,
}

#[derive(Default)]
struct Inner {
    files: HashMap<u64, FileBytes>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    next_file: u64,
    faults: Faults,
    counts: Counts,
}

#[derive(Default)]
struct FileBytes {
    seen: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

impl CrashDisk {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn as_disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    pub(crate) fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.inner.lock().faults);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.inner.lock().counts
    }

    /// Loses what was not synced, as `random` decides, and repairs all faults.
    pub(crate) fn cut_power(&self, random: &SeededRandom) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        for file in inner.files.values_mut() {
            for sector in std::mem::take(&mut file.dirty) {
                if random.below(2) == 0 {
                    let start = sector * SECTOR_BYTES;
                    let end = file.seen.len().min(start + SECTOR_BYTES);
                    file.durable[start..end].copy_from_slice(&file.seen[start..end]);
                }
            }
            file.seen.clone_from(&file.durable);
        }
        let names: BTreeSet<String> = inner
            .names
            .keys()
            .chain(inner.durable_names.keys())
            .cloned()
            .collect();
        for name in names {
            if inner.names.get(&name) != inner.durable_names.get(&name) && random.below(2) == 0 {
                match inner.names.get(&name) {
                    Some(file) => inner.durable_names.insert(name, *file),
                    None => inner.durable_names.remove(&name),
                };
            }
        }
        inner.names = inner.durable_names.clone();
        inner.faults = Faults::default();
    }

    /// The bytes of a file, for a test to look at or to damage; durable at once.
    pub(crate) fn edit<T>(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut inner = self.inner.lock();
        let id = inner.names[name];
        let file = inner.files.get_mut(&id).unwrap();
        let result = edit(&mut file.seen);
        file.durable.clone_from(&file.seen);
        result
    }

    /// A second disk with the same contents.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        let inner = self.inner.lock();
        let mut copied = copy.inner.lock();
        copied.names = inner.names.clone();
        copied.durable_names = inner.names.clone();
        copied.next_file = inner.next_file;
        for (id, file) in &inner.files {
            let bytes = FileBytes {
                seen: file.seen.clone(),
                durable: file.seen.clone(),
                dirty: BTreeSet::new(),
            };
            copied.files.insert(*id, bytes);
        }
        drop(copied);
        copy
    }
}

impl Inner {
    /// Counts an operation that changes something, and fails it if the power is about to go.
    fn operate(&mut self) -> io::Result<()> {
        match &mut self.faults.operations_left {
            Some(0) => Err(io::Error::other("the power is going")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Disk for CrashDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.inner.lock().names.keys().cloned().collect())
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>> {
        let mut inner = self.inner.lock();
        inner.operate()?;
        if inner.faults.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if inner.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        inner.counts.creations += 1;
        let id = inner.next_file;
        inner.next_file += 1;
        let zeros = vec![0; usize::try_from(len).unwrap()];
        let bytes = FileBytes {
            seen: zeros.clone(),
            durable: zeros,
            dirty: BTreeSet::new(),
        };
        inner.files.insert(id, bytes);
        inner.names.insert(name.to_owned(), id);
        drop(inner);
        Ok(Box::new(CrashFile {
            inner: Arc::clone(&self.inner),
            id,
        }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let inner = self.inner.lock();
        let id = *inner.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        drop(inner);
        Ok(Box::new(CrashFile {
            inner: Arc::clone(&self.inner),
            id,
        }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.operate()?;
        let removed = inner.names.remove(name);
        removed.map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.operate()?;
        inner.durable_names = inner.names.clone();
        Ok(())
    }
}

struct CrashFile {
    inner: Arc<Mutex<Inner>>,
    id: u64,
}

impl DiskFile for CrashFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner.lock().files[&self.id].seen.len() as u64)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.operate()?;
        if std::mem::take(&mut inner.faults.write) {
            return Err(io::Error::other("write fault"));
        }
        inner.counts.writes += 1;
        let offset = usize::try_from(offset).unwrap();
        let file = inner.files.get_mut(&self.id).unwrap();
        file.seen[offset..offset + bytes.len()].copy_from_slice(bytes);
        if !bytes.is_empty() {
            let last = (offset + bytes.len() - 1) / SECTOR_BYTES;
            file.dirty.extend(offset / SECTOR_BYTES..=last);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.operate()?;
        let fails = std::mem::take(&mut inner.faults.sync);
        inner.counts.syncs += 1;
        let file = inner.files.get_mut(&self.id).unwrap();
        let dirty = std::mem::take(&mut file.dirty);
        if fails {
            return Err(io::Error::other("sync fault"));
        }
        for sector in dirty {
            let start = sector * SECTOR_BYTES;
            let end = file.seen.len().min(start + SECTOR_BYTES);
            file.durable[start..end].copy_from_slice(&file.seen[start..end]);
        }
        Ok(())
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut inner = self.inner.lock();
        inner.counts.reads += 1;
        let range = offset..offset + len as u64;
        if inner
            .faults
            .unreadable
            .is_some_and(|at| range.contains(&at))
        {
            return Err(io::Error::other("read fault"));
        }
        let length = inner.files[&self.id].seen.len();
        let start = usize::try_from(offset).unwrap().min(length);
        let end = length.min(start + len);
        inner.counts.bytes_read += end - start;
        let seen = &inner.files[&self.id].seen;
        Ok(Bytes::copy_from_slice(&seen[start..end]))
    }

    fn read_cached(&self, offset: u64, len: usize) -> io::Result<Option<Bytes>> {
        self.read_at(offset, len).map(Some)
    }
}
