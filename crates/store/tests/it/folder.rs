//! Real files: locks, what is kept open, and a log that outlives its process.

use std::sync::Arc;

use futures::executor::block_on;
use store::{
    disk::Disk,
    fs::{FolderDisk, FolderLock, LockError, create_folder, remove_folder, replace_file},
    log::Log,
};

use crate::support::{append, commit, open, open_from, seen};

fn folder() -> (tempfile::TempDir, Arc<dyn Disk>) {
    let folder = tempfile::tempdir().unwrap();
    let disk = FolderDisk::open(&folder.path().join("made/on/the/way/log")).unwrap();
    (folder, disk)
}

#[test]
fn records_are_read_back_and_replayed_across_segments() {
    let (_folder, disk) = folder();
    let (log, recovery, replayed) = open(&disk);
    assert_eq!((recovery.epoch, replayed.len()), (1, 0));
    let mut written = Vec::new();
    for number in 0..2_000_u32 {
        let payload = vec![number as u8; (number as usize * 37) % 9_000];
        let appended = append(&log, &payload).unwrap();
        written.push((appended.position.get(), 16, payload));
        if number % 7 == 0 {
            commit(&log).unwrap();
        }
    }
    commit(&log).unwrap();
    assert!(log.segments().len() > base::limits::LOG_OPEN_FILES_MAX + 4);
    let reread = |log: &dyn Log| {
        for record in &written {
            let position = base::LogPosition::new(record.0);
            let read = block_on(log.read(position, record.2.len() + 32)).unwrap();
            assert_eq!(seen(&read), *record);
        }
    };
    reread(&*log);
    let end = log.durable_end();
    drop(log);
    let (log, recovery, replayed) = open(&disk);
    assert_eq!(
        (recovery.epoch, recovery.end, recovery.cut_bytes),
        (2, end, 0)
    );
    assert_eq!(replayed, written);
    let open_before = open_files();
    reread(&*log);
    let opened = open_files().saturating_sub(open_before);
    assert!(
        opened <= base::limits::LOG_OPEN_FILES_MAX + 8,
        "{opened} files were opened"
    );
    drop(log);
    // From a checkpoint on, and from the very end.
    let (log, _, replayed) = open_from(&disk, written[250].0).unwrap();
    assert_eq!(replayed, written[250..]);
    let end = log.durable_end();
    drop(log);
    let (_log, recovery, replayed) = open_from(&disk, end.get()).unwrap();
    assert_eq!((replayed.len(), recovery.epoch, recovery.end), (0, 4, end));
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_folder_is_taken_once_and_free_again_when_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let lock = FolderLock::acquire(folder.path()).unwrap();
    for _ in 0..2 {
        let error = FolderLock::acquire(folder.path()).unwrap_err();
        assert!(matches!(error, LockError::InUse { .. }));
        assert!(error.to_string().contains("in use by another server"));
        assert!(FolderDisk::open(folder.path()).is_err());
    }
    drop(lock);
    let disk = FolderDisk::open(folder.path()).unwrap();
    assert!(FolderLock::acquire(folder.path()).is_err());
    assert!(
        disk.list().unwrap().is_empty(),
        "the lock file is not shown"
    );
}

#[test]
fn a_file_is_made_whole_and_zero_or_not_at_all() {
    let (folder, disk) = folder();
    let file = disk.create("a", 100_000).unwrap();
    assert_eq!(file.len().unwrap(), 100_000);
    assert_eq!(file.read_at(0, 100_000).unwrap(), vec![0; 100_000]);
    assert_eq!(file.read_at(99_990, 100).unwrap().len(), 10);
    file.write_at(50_000, b"written").unwrap();
    file.sync().unwrap();
    let again = disk.open("a").unwrap();
    assert_eq!(&again.read_at(50_000, 7).unwrap()[..], b"written");
    // Just written, so it is in the page cache wherever that can be asked.
    if let Some(bytes) = again.read_cached(50_000, 7).unwrap() {
        assert_eq!(&bytes[..], b"written");
    }
    assert!(
        disk.create("a", 10).is_err(),
        "an existing file is not overwritten"
    );
    // More than any disk has.
    assert!(disk.create("b", 1 << 60).is_err());
    assert_eq!(disk.list().unwrap(), ["a"]);
    assert!(!folder.path().join("made/on/the/way/log/b").exists());
    disk.remove("a").unwrap();
    assert!(disk.open("a").is_err());
}

#[test]
fn a_file_is_replaced_and_what_was_left_of_an_attempt_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/settings.toml");
    assert!(replace_file(&path, b"first").is_err(), "no folder");
    create_folder(&folder.path().join("made")).unwrap();
    replace_file(&path, b"first").unwrap();
    std::fs::write(
        folder.path().join("made/settings.toml.new"),
        "longer than it",
    )
    .unwrap();
    replace_file(&path, b"second").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"second");
    let there = std::fs::read_dir(folder.path().join("made")).unwrap();
    assert_eq!(there.count(), 1);
    for _ in 0..2 {
        remove_folder(&folder.path().join("made")).unwrap();
    }
    assert!(!folder.path().join("made").exists());
    remove_folder(&folder.path().join("none/made")).unwrap();
}
