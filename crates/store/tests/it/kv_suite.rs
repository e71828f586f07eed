//! What every state KV must do, and fjall on real files against it.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    ops::Bound,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use base::{LogPosition, Random, SeededRandom, ShardId};
use bytes::Bytes;
use store::kv::{Batch, Changes, FjallDatabase, FjallKv, StateKv};

type Model = BTreeMap<Vec<u8>, Bytes>;

fn batch(changes: &[(&[u8], Option<&[u8]>)]) -> Batch {
    let changes = changes
        .iter()
        .map(|(key, value)| (key.to_vec(), value.map(Bytes::copy_from_slice)));
    Batch {
        changes: changes.collect(),
        ..Batch::default()
    }
}

fn keys(kv: &dyn StateKv, from: &[u8], to: &[u8], reverse: bool, limit: usize) -> Vec<Vec<u8>> {
    let pairs = kv.range(from, to, reverse, limit).unwrap();
    pairs.into_iter().map(|(key, _)| key.to_vec()).collect()
}

/// All of it, for a back end that `open` opens again and again in the same place.
fn suite(open: &dyn Fn() -> Box<dyn StateKv>) {
    starts_empty_at_zero(&*open());
    ranges_are_half_open_sorted_and_limited(&*open());
    batches_show_whole_and_last(open);
    agrees_with_a_map_over_many_batches_and_openings(open);
}

fn starts_empty_at_zero(kv: &dyn StateKv) {
    assert_eq!(kv.position().unwrap(), LogPosition::new(0));
    assert_eq!(kv.flush().unwrap(), LogPosition::new(0));
    assert_eq!(kv.get(b"").unwrap(), None);
    assert_eq!(keys(kv, b"", &[0xff; 8], false, 10), Vec::<Vec<u8>>::new());
}

fn ranges_are_half_open_sorted_and_limited(kv: &dyn StateKv) {
    let value: Option<&[u8]> = Some(b"v");
    let all: [&[u8]; 6] = [b"", b"\0", b"a", b"aa", b"b", b"\xff\xff"];
    let changes: Vec<(&[u8], Option<&[u8]>)> = all.iter().map(|key| (*key, value)).collect();
    kv.apply(&batch(&changes), LogPosition::new(1)).unwrap();
    assert_eq!(keys(kv, b"", b"\xff\xff\xff", false, 10), all);
    assert_eq!(keys(kv, b"", b"b", false, 10), all[..4]);
    assert_eq!(keys(kv, b"a", b"\xff\xff", false, 10), all[2..5]);
    assert_eq!(keys(kv, b"a", b"\xff\xff", false, 2), all[2..4]);
    assert_eq!(
        keys(kv, b"a", b"\xff\xff", true, 2),
        [b"b".to_vec(), b"aa".to_vec()]
    );
    assert_eq!(keys(kv, b"a", b"\xff\xff", false, 0).len(), 0);
    assert_eq!(keys(kv, b"b", b"b", false, 10).len(), 0);
    assert_eq!(
        keys(kv, b"b", b"a", false, 10).len(),
        0,
        "backwards is empty, not an error"
    );
    let removals: Vec<(&[u8], Option<&[u8]>)> = all.iter().map(|key| (*key, None)).collect();
    kv.apply(&batch(&removals), LogPosition::new(2)).unwrap();
    assert_eq!(keys(kv, b"", b"\xff\xff\xff", false, 10).len(), 0);
}

fn batches_show_whole_and_last(open: &dyn Fn() -> Box<dyn StateKv>) {
    let kv = open();
    kv.apply(
        &batch(&[(b"x", Some(b"1")), (b"y", Some(b"1"))]),
        LogPosition::new(10),
    )
    .unwrap();
    kv.apply(
        &batch(&[(b"x", None), (b"y", Some(b"2")), (b"z", Some(b""))]),
        LogPosition::new(20),
    )
    .unwrap();
    // The same position again: nothing new in the log, but something to write.
    kv.apply(&batch(&[(b"w", Some(b"3"))]), LogPosition::new(20))
        .unwrap();
    kv.apply(&Batch::default(), LogPosition::new(30)).unwrap();
    assert_eq!(kv.position().unwrap(), LogPosition::new(30));
    assert_eq!(kv.flush().unwrap(), LogPosition::new(30));
    drop(kv);
    let kv = open();
    assert_eq!(kv.position().unwrap(), LogPosition::new(30));
    assert_eq!(kv.get(b"x").unwrap(), None);
    assert_eq!(kv.get(b"y").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(kv.get(b"z").unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(keys(&*kv, b"a", b"zz", false, 10), [b"w", b"y", b"z"]);
    let clear = batch(&[(b"w", None), (b"y", None), (b"z", None)]);
    kv.apply(&clear, LogPosition::new(40)).unwrap();
}

/// A batch of up to 200 changes to 500 keys.
fn random_batch(random: &SeededRandom, model: &mut Model) -> Batch {
    let mut changes = BTreeMap::new();
    for _ in 0..random.below(200) {
        let key = format!("key-{:03}", random.below(500)).into_bytes();
        let value = (random.below(3) > 0).then(|| {
            let len = 1 << random.below(13);
            Bytes::from(random.next().to_le_bytes().repeat(len / 8 + 1))
        });
        match &value {
            Some(value) => model.insert(key.clone(), value.clone()),
            None => model.remove(&key),
        };
        changes.insert(key, value);
    }
    // What is shared comes below, and may say otherwise of any key.
    let mut shared = Changes::new();
    for key in changes.keys() {
        match random.below(3) {
            0 => shared.insert(key.clone(), Some(Bytes::from_static(b"covered"))),
            1 => shared.insert(key.clone(), None),
            _ => None,
        };
    }
    let (moved, changes): (Changes, Changes) = changes
        .into_iter()
        .partition(|(key, _)| !shared.contains_key(key) && random.below(2) > 0);
    shared.extend(moved);
    Batch {
        shared: Arc::new(shared),
        changes,
    }
}

fn assert_equals(kv: &dyn StateKv, model: &Model, random: &SeededRandom) {
    let to_pairs = |(key, value): (&Vec<u8>, &Bytes)| (Bytes::from(key.clone()), value.clone());
    let expected: Vec<(Bytes, Bytes)> = model.iter().map(to_pairs).collect();
    assert_eq!(kv.range(b"k", b"l", false, usize::MAX).unwrap(), expected);
    let mut reversed = kv.range(b"k", b"l", true, usize::MAX).unwrap();
    reversed.reverse();
    assert_eq!(reversed, expected);
    let from = format!("key-{:03}", random.below(500)).into_bytes();
    let bounds = (Bound::Included(from.clone()), Bound::Unbounded);
    let first = model.range(bounds).next().map(to_pairs);
    assert_eq!(kv.range(&from, b"l", false, 1).unwrap().pop(), first);
    assert_eq!(kv.get(&from).unwrap(), model.get(&from).cloned());
}

fn agrees_with_a_map_over_many_batches_and_openings(open: &dyn Fn() -> Box<dyn StateKv>) {
    let random = SeededRandom::new(11);
    let mut model = Model::new();
    let mut position = 1_000;
    let mut kv = open();
    for round in 0..60 {
        position += random.below(3);
        kv.apply(
            &random_batch(&random, &mut model),
            LogPosition::new(position),
        )
        .unwrap();
        if round % 10 == 9 {
            assert_equals(&*kv, &model, &random);
            drop(kv);
            kv = open();
            assert_eq!(kv.position().unwrap(), LogPosition::new(position));
            assert_equals(&*kv, &model, &random);
        }
    }
}

fn fjall(folder: &Path, shard: u16) -> FjallKv {
    let database = FjallDatabase::open(folder).unwrap();
    database.shard(ShardId::new(shard)).unwrap()
}

#[test]
fn fjall_passes() {
    let folder = tempfile::tempdir().unwrap();
    suite(&|| Box::new(fjall(folder.path(), 1)));
}

#[test]
fn shards_do_not_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let database = FjallDatabase::open(folder.path()).unwrap();
    let first = database.shard(ShardId::new(1)).unwrap();
    let second = database.shard(ShardId::new(11)).unwrap();
    first
        .apply(&batch(&[(b"k", Some(b"1"))]), LogPosition::new(7))
        .unwrap();
    assert_eq!(second.get(b"k").unwrap(), None);
    assert_eq!(second.position().unwrap(), LogPosition::new(0));
    second
        .apply(&batch(&[(b"k", Some(b"2"))]), LogPosition::new(3))
        .unwrap();
    drop((first, second, database));
    let database = FjallDatabase::open(folder.path()).unwrap();
    for (shard, value, position) in [(1, b"1", 7), (11, b"2", 3)] {
        let kv = database.shard(ShardId::new(shard)).unwrap();
        assert_eq!(kv.get(b"k").unwrap().as_deref(), Some(&value[..]));
        assert_eq!(kv.position().unwrap(), LogPosition::new(position));
    }
}

#[test]
#[should_panic(expected = "cannot go back")]
fn the_position_never_falls() {
    let folder = tempfile::tempdir().unwrap();
    let kv = fjall(folder.path(), 1);
    kv.apply(&Batch::default(), LogPosition::new(5)).unwrap();
    kv.apply(&Batch::default(), LogPosition::new(4)).unwrap();
}

#[test]
fn a_folder_that_is_open_is_not_opened_twice() {
    let folder = tempfile::tempdir().unwrap();
    let _database = FjallDatabase::open(folder.path()).unwrap();
    assert!(FjallDatabase::open(folder.path()).is_err());
}

const CHILD_FOLDER: &str = "STORE_TEST_KV_FOLDER";

/// Not a test by itself: the process that [`what_was_flushed_survives_a_kill`] kills.
#[test]
fn child_applies_batches_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else {
        return;
    };
    let kv = fjall(Path::new(&folder), 1);
    let random = SeededRandom::new(5);
    let mut model = Model::new();
    for position in 1_u64.. {
        kv.apply(
            &random_batch(&random, &mut model),
            LogPosition::new(position),
        )
        .unwrap();
        let flushed = kv.flush().unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "flushed {flushed}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn what_was_flushed_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("kv_suite::child_applies_batches_until_it_is_killed")
        .env(CHILD_FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut flushed = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((_, position)) = line.split_once("flushed ") {
            flushed = position.parse().unwrap();
        }
        if flushed == 40 {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let kv = fjall(folder.path(), 1);
    let position = kv.position().unwrap().get();
    assert!(
        position >= flushed,
        "{position} after {flushed} was flushed"
    );
    // Whole batches up to the position, nothing of a later one.
    let random = SeededRandom::new(5);
    let mut model = Model::new();
    for _ in 0..position {
        random_batch(&random, &mut model);
    }
    assert_equals(&kv, &model, &SeededRandom::new(1));
}

#[test]
fn readers_are_not_disturbed_by_batches() {
    let folder = tempfile::tempdir().unwrap();
    let kv = Arc::new(fjall(folder.path(), 1));
    let pair = |n: u64| {
        let bytes = n.to_le_bytes();
        let changes: [(&[u8], Option<&[u8]>); 2] =
            [(b"left", Some(&bytes)), (b"right", Some(&bytes))];
        batch(&changes)
    };
    kv.apply(&pair(0), LogPosition::new(0)).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = 0;
            while last < 50 {
                let pairs = kv.range(b"a", b"z", false, 10).unwrap();
                assert_eq!(pairs[0].1, pairs[1].1, "a batch shows whole");
                let seen = u64::from_le_bytes(pairs[0].1[..].try_into().unwrap());
                assert!(seen >= last);
                last = seen;
            }
        });
        for n in 1..=50 {
            kv.apply(&pair(n), LogPosition::new(n)).unwrap();
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_removed_shard_is_gone_and_stays_gone() {
    let folder = tempfile::tempdir().unwrap();
    let database = FjallDatabase::open(folder.path()).unwrap();
    let instance = base::InstanceId::new("mq-1").unwrap();
    let shard = ShardId::new(0);
    let kept = database.shard(shard).unwrap();
    let removed = database.shard_of(&instance, shard).unwrap();
    for kv in [&kept, &removed] {
        kv.apply(&batch(&[(b"k", Some(b"1"))]), LogPosition::new(7))
            .unwrap();
    }
    removed.remove().unwrap();
    removed.remove().unwrap();
    // Who still has it cannot bring it back.
    assert!(removed.get(b"k").is_err());
    let change = batch(&[(b"k", Some(b"2"))]);
    assert!(removed.apply(&change, LogPosition::new(8)).is_err());
    assert_eq!(kept.get(b"k").unwrap().as_deref(), Some(&b"1"[..]));
    drop((kept, removed, database));

    let database = FjallDatabase::open(folder.path()).unwrap();
    let anew = database.shard_of(&instance, shard).unwrap();
    assert_eq!(anew.get(b"k").unwrap(), None);
    assert_eq!(anew.position().unwrap(), LogPosition::new(0));
    drop(anew);
    // One that is not open is removed by its name, if there is any.
    database.remove(&instance, shard).unwrap();
    database.remove(&instance, shard).unwrap();
    let kept = database.shard(shard).unwrap();
    assert_eq!(kept.get(b"k").unwrap().as_deref(), Some(&b"1"[..]));
}
