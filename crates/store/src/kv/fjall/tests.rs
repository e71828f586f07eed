//! What reads may not be: held up by the engine, or wrong because of what it does meanwhile.

use std::{sync::mpsc, thread, time::Duration};

use fjall::AbstractTree as _;

use super::*;
use crate::kv::Changes;

const PATIENCE: Duration = Duration::from_secs(20);

fn open(folder: &Path) -> Arc<FjallKv> {
    let database = FjallDatabase::open(folder).unwrap();
    Arc::new(database.shard(ShardId::new(0)).unwrap())
}

/// Applies the batch with this number: new values for some keys, and an end to others.
fn apply(kv: &FjallKv, number: u8) {
    let mut changes = Changes::new();
    for n in 0..40_u8 {
        match n.abs_diff(number * 10) {
            0..6 => changes.insert(vec![n], None),
            6..20 => changes.insert(vec![n], Some(Bytes::from(vec![number, n]))),
            _ => None,
        };
    }
    let batch = Batch {
        changes,
        ..Batch::default()
    };
    let position = LogPosition::new(number.into());
    kv.apply(&batch, position).unwrap();
}

/// All of it, by range and key by key.
fn content(kv: &FjallKv) -> Vec<(Bytes, Bytes)> {
    let pairs = kv.range(&[], &[0xff], false, usize::MAX).unwrap();
    let found = (0..40_u8).filter_map(|n| Some((n, kv.get(&[n]).unwrap()?)));
    let found: Vec<_> = found
        .map(|(n, value)| (Bytes::from(vec![n]), value))
        .collect();
    assert_eq!(found, pairs);
    pairs
}

fn tables(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap());
    let count = |entry: std::fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => tables(&entry.path()),
        false => usize::from(folder.ends_with("tables")),
    };
    entries.map(count).sum()
}

#[test]
fn reads_do_not_wait_for_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let kv = open(folder.path());
    apply(&kv, 1);
    let expected = content(&kv);
    let shard = kv.opened().unwrap();
    // As a batch or a compaction does over its syncs.
    let lock = shard.keyspace.tree.get_version_history_lock();
    let (done, waits) = mpsc::channel();
    let reader = thread::spawn({
        let kv = Arc::clone(&kv);
        move || done.send(content(&kv))
    });
    let read = waits.recv_timeout(PATIENCE);
    drop(lock);
    assert_eq!(read.as_ref(), Ok(&expected));
    reader.join().unwrap().unwrap();
}

fn compact(kv: &FjallKv) {
    kv.opened().unwrap().keyspace.major_compact().unwrap();
}

#[test]
fn a_compaction_changes_nothing_for_readers() {
    let folder = tempfile::tempdir().unwrap();
    let kv = open(folder.path());
    for number in 1..=3 {
        apply(&kv, number);
    }
    let expected = content(&kv);
    assert!(!expected.is_empty() && expected.len() < 40);
    let before = kv.opened().unwrap().view();
    compact(&kv);
    assert_eq!(content(&kv), expected);
    // Even after the engine itself has forgotten the tables.
    for number in 4..=6 {
        apply(&kv, number);
        compact(&kv);
    }
    let pairs = before.range(&prefixed(&[]), &prefixed(&[0xff]));
    let pairs: Vec<_> = pairs.map(|pair| unprefixed(pair).unwrap()).collect();
    assert_eq!(pairs, expected);
    let expected = content(&kv);
    assert_ne!(pairs, expected);
    drop((before, kv));
    assert_eq!(content(&open(folder.path())), expected);
}

#[test]
fn tables_that_were_replaced_go_with_the_last_view_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let kv = open(folder.path());
    let mut counts = Vec::new();
    for number in 1..=12 {
        apply(&kv, number);
        compact(&kv);
        counts.push(tables(folder.path()));
    }
    assert_eq!(counts[3], counts[11], "tables after each batch: {counts:?}");
    let view = kv.opened().unwrap().view();
    for number in 13..=16 {
        apply(&kv, number);
        compact(&kv);
    }
    assert!(tables(folder.path()) > counts[11]);
    drop(view);
    assert_eq!(tables(folder.path()), counts[11]);
}
