//! A disk in memory that forgets what was not synced: whole, in part, torn at any byte, in any
//! order.

use std::{collections::BTreeMap, io, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use store::disk::{Disk, DiskFile};

use crate::{
    machine::{Crash, Fate, Machine, stopped},
    world::World,
};

/// What a device writes as a whole.
const SECTOR_BYTES: usize = 512;

/// Deliberate faults of the disk, to see that the checkers notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskLies {
    /// Sync returns without making anything durable.
    pub sync: bool,
    /// Now and then a write returns without having written.
    pub write: bool,
}

/// A file's content.
#[derive(Default)]
struct Content {
    /// What reads see.
    cache: Vec<u8>,
    /// What a power loss leaves.
    durable: Vec<u8>,
    /// Writes since the last sync.
    dirty: Vec<(usize, Vec<u8>)>,
    /// Whether its length is durable.
    synced: bool,
}

#[derive(Default)]
struct Folder {
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    contents: BTreeMap<u64, Content>,
    next_content: u64,
}

/// The disk itself, which outlives the node.
pub struct SimDisk {
    world: Arc<World>,
    machine: Arc<Machine>,
    lies: DiskLies,
    folder: Mutex<Folder>,
}

impl SimDisk {
    /// An empty disk.
    pub fn new(world: &Arc<World>, machine: &Arc<Machine>, lies: DiskLies) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            machine: Arc::clone(machine),
            lies,
            folder: Mutex::default(),
        })
    }

    /// The disk as the node sees it in `life`.
    pub fn mount(self: &Arc<Self>, life: u64) -> Arc<dyn Disk> {
        Arc::new(Mounted {
            disk: Arc::clone(self),
            life,
        })
    }

    /// What is left after a crash.
    pub fn crash(&self, crash: Crash) {
        if crash == Crash::Kill {
            return;
        }
        let mut folder = self.folder.lock();
        let folder = &mut *folder;
        // Each name that was not synced is as before or as now.
        let mut names: Vec<String> = folder.names.keys().cloned().collect();
        names.extend(folder.durable_names.keys().cloned());
        names.sort();
        names.dedup();
        for name in names {
            let (now, before) = (folder.names.get(&name), folder.durable_names.get(&name));
            if now == before {
                continue;
            }
            let kept = if self.world.chance(50) { now } else { before };
            match kept.copied() {
                Some(content) => folder.durable_names.insert(name, content),
                None => folder.durable_names.remove(&name),
            };
        }
        folder.names = folder.durable_names.clone();
        let live: Vec<u64> = folder.names.values().copied().collect();
        folder.contents.retain(|content, _| live.contains(content));
        let manner = self.world.below(4);
        self.world.note(format_args!("power loss, manner {manner}"));
        for content in folder.contents.values_mut() {
            self.lose(content, manner);
        }
    }

    /// Decides what of the unsynced writes had reached the device.
    fn lose(&self, content: &mut Content, manner: u64) {
        if !content.synced && self.world.chance(50) {
            *content = Content::default();
            return;
        }
        for (offset, bytes) in std::mem::take(&mut content.dirty) {
            match manner {
                0 => {}
                1 => put(&mut content.durable, offset, &bytes),
                2 => {
                    let torn = self.world.between(0, bytes.len() as u64) as usize;
                    put(&mut content.durable, offset, &bytes[..torn]);
                }
                _ => {
                    let mut at = 0;
                    while at < bytes.len() {
                        let sector_end = (offset + at) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES;
                        let end = bytes.len().min(sector_end - offset);
                        if self.world.chance(60) {
                            put(&mut content.durable, offset + at, &bytes[at..end]);
                        }
                        at = end;
                    }
                }
            }
        }
        content.cache = content.durable.clone();
        content.synced = true;
    }
}

fn put(content: &mut [u8], offset: usize, bytes: &[u8]) {
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}

fn not_found(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file `{name}`"))
}

fn device_error() -> io::Error {
    io::Error::other("input/output error")
}

struct Mounted {
    disk: Arc<SimDisk>,
    life: u64,
}

impl Mounted {
    /// Runs an operation that the machine may not live to see the end of.
    fn operate<T>(&self, action: impl FnOnce(&mut Folder) -> io::Result<T>) -> io::Result<T> {
        let fate = self.disk.machine.operate(self.life)?;
        if fate == Fate::StopsBefore {
            return Err(stopped());
        }
        let result = action(&mut self.disk.folder.lock());
        match fate {
            Fate::StopsAfter => Err(stopped()),
            _ => result,
        }
    }

    fn file(&self, content: u64) -> Box<dyn DiskFile> {
        Box::new(OpenFile {
            mounted: Self {
                disk: Arc::clone(&self.disk),
                life: self.life,
            },
            content,
        })
    }
}

impl Disk for Mounted {
    fn list(&self) -> io::Result<Vec<String>> {
        self.operate(|folder| Ok(folder.names.keys().cloned().collect()))
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>> {
        self.disk.world.note(format_args!("create {name} {len}"));
        if self.disk.machine.strikes(self.disk.machine.faults().create) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let content = self.operate(|folder| {
            if folder.names.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            folder.next_content += 1;
            let zeros = vec![0; len as usize];
            folder.contents.insert(
                folder.next_content,
                Content {
                    cache: zeros.clone(),
                    durable: zeros,
                    dirty: Vec::new(),
                    synced: false,
                },
            );
            folder.names.insert(name.to_owned(), folder.next_content);
            Ok(folder.next_content)
        })?;
        Ok(self.file(content))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let content = self.operate(|folder| {
            let content = folder.names.get(name).copied();
            content.ok_or_else(|| not_found(name))
        })?;
        Ok(self.file(content))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.world.note(format_args!("remove {name}"));
        self.operate(|folder| {
            let removed = folder.names.remove(name);
            removed.map(drop).ok_or_else(|| not_found(name))
        })
    }

    fn sync_names(&self) -> io::Result<()> {
        self.disk.world.note(format_args!("sync names"));
        if self.disk.machine.strikes(self.disk.machine.faults().sync) {
            return Err(device_error());
        }
        self.operate(|folder| {
            folder.durable_names = folder.names.clone();
            Ok(())
        })
    }
}

struct OpenFile {
    mounted: Mounted,
    content: u64,
}

impl OpenFile {
    fn operate<T>(&self, action: impl FnOnce(&mut Content) -> io::Result<T>) -> io::Result<T> {
        self.mounted.operate(|folder| {
            let content = folder.contents.get_mut(&self.content);
            action(content.ok_or_else(|| not_found("of an earlier life"))?)
        })
    }

    fn strikes(&self, choose: impl FnOnce(crate::machine::Faults) -> u64) -> bool {
        let machine = &self.mounted.disk.machine;
        machine.strikes(choose(machine.faults()))
    }
}

impl DiskFile for OpenFile {
    fn len(&self) -> io::Result<u64> {
        self.operate(|content| Ok(content.cache.len() as u64))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let world = &self.mounted.disk.world;
        world.note(format_args!(
            "write file {} at {offset} {}",
            self.content,
            bytes.len()
        ));
        if self.mounted.disk.lies.write && world.chance(2) {
            return Ok(());
        }
        let offset = offset as usize;
        let fails = self.strikes(|faults| faults.write);
        self.operate(|content| {
            if offset + bytes.len() > content.cache.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let done = match fails {
                true => world.between(0, bytes.len() as u64) as usize,
                false => bytes.len(),
            };
            put(&mut content.cache, offset, &bytes[..done]);
            content.dirty.push((offset, bytes[..done].to_vec()));
            if fails {
                return Err(device_error());
            }
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        let world = &self.mounted.disk.world;
        world.note(format_args!("sync file {}", self.content));
        if self.mounted.disk.lies.sync {
            return self.operate(|content| {
                content.synced = true;
                Ok(())
            });
        }
        let fails = self.strikes(|faults| faults.sync);
        self.operate(|content| {
            for (offset, bytes) in std::mem::take(&mut content.dirty) {
                // After a failed sync the pages count as clean, whether the device has them or not.
                if !fails || world.chance(50) {
                    put(&mut content.durable, offset, &bytes);
                }
            }
            if fails {
                return Err(device_error());
            }
            content.synced = true;
            Ok(())
        })
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        if self.strikes(|faults| faults.read) {
            return Err(device_error());
        }
        self.operate(|content| {
            let start = content.cache.len().min(offset as usize);
            let end = content.cache.len().min(start + len);
            Ok(Bytes::copy_from_slice(&content.cache[start..end]))
        })
    }

    fn read_cached(&self, offset: u64, len: usize) -> io::Result<Option<Bytes>> {
        if self.mounted.disk.world.chance(50) {
            return Ok(None);
        }
        self.read_at(offset, len).map(Some)
    }
}
