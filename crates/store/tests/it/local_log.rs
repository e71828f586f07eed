//! The local log on real files.

use std::sync::Arc;

use futures::executor::block_on;
use store::{disk::Disk, fs::FolderDisk, log::Log};

use crate::support::{Durable, append, commit, open, open_from, seen};

fn folder() -> (tempfile::TempDir, Arc<dyn Disk>) {
    let folder = tempfile::tempdir().unwrap();
    let disk = FolderDisk::open(&folder.path().join("log")).unwrap();
    (folder, disk)
}

#[test]
fn records_are_read_back_and_replayed_across_segments() {
    let (_folder, disk) = folder();
    let (log, recovery, replayed) = open(&disk);
    assert_eq!((recovery.epoch, replayed.len()), (1, 0));
    let durable = Durable::observing(&log);
    let mut written = Vec::new();
    for number in 0..500_u32 {
        let payload = vec![number as u8; (number as usize * 37) % 5_000];
        let appended = append(&log, &payload).unwrap();
        written.push((appended.position.get(), 16, payload));
        if number % 7 == 0 {
            commit(&log).unwrap();
        }
    }
    commit(&log).unwrap();
    assert!(log.segments().len() > 3);
    assert_eq!(*durable.records.lock(), written);
    let reread = |log: &dyn Log| {
        for record in &written {
            let position = base::LogPosition::new(record.0);
            let read = block_on(log.read(position, record.2.len() + 32)).unwrap();
            assert_eq!(seen(&read), *record);
            assert_eq!(seen(&block_on(log.read_at(position)).unwrap()), *record);
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
    reread(&*log);
    drop(log);
    // From a checkpoint on, and from the very end.
    let (log, _, replayed) = open_from(&disk, written[250].0).unwrap();
    assert_eq!(replayed, written[250..]);
    let end = log.durable_end();
    drop(log);
    let (_log, recovery, replayed) = open_from(&disk, end.get()).unwrap();
    assert_eq!((replayed.len(), recovery.epoch, recovery.end), (0, 4, end));
}
