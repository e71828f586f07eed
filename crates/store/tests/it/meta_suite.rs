//! What every metadata store must do, and the embedded one against it.

use std::{sync::Arc, time::Duration};

use base::{SeededRandom, limits};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, executor::block_on};
use store::{
    disk::Disk,
    fs::FolderDisk,
    meta::{
        Change, EmbeddedMetadata, Expected, MetadataError, MetadataStore, Revision, Watch,
        erase_all, made_once, overwrite,
    },
};
use tokio::runtime::Handle;

use crate::{crash_disk::CrashDisk, support::TestClock};

pub(crate) fn set(
    store: &dyn MetadataStore,
    key: &str,
    expected: Expected,
    value: &str,
) -> Result<Revision, MetadataError> {
    let value = Some(Bytes::copy_from_slice(value.as_bytes()));
    block_on(store.compare_and_set(key, expected, value, None))
}

pub(crate) fn value(store: &dyn MetadataStore, key: &str) -> Option<String> {
    let entry = block_on(store.get(key)).unwrap()?;
    Some(String::from_utf8(entry.value.to_vec()).unwrap())
}

pub(crate) fn listed(store: &dyn MetadataStore, prefix: &str) -> Vec<String> {
    let (entries, _) = block_on(store.range(prefix)).unwrap();
    entries.into_iter().map(|entry| entry.key).collect()
}

fn next(watch: &mut Watch) -> Option<Change> {
    watch
        .next()
        .now_or_never()
        .map(|change| change.unwrap().unwrap())
}

/// What holds of every store. A change is told by a watch sooner or later.
pub(crate) fn common(store: &dyn MetadataStore) {
    a_change_needs_the_revision_it_was_based_on(store);
    ranges_are_by_prefix_in_key_order(store);
    entries_are_overwritten_whatever_they_hold_and_erased_as_they_were_read(store);
    what_is_made_once_stays(store);
    watches_report_changes_once_in_order(store);
}

/// The next change of a watch that has one or soon will.
pub(crate) fn awaited(watch: &mut Watch) -> Result<Change, MetadataError> {
    block_on(watch.next()).expect("a watch ends with an error")
}

fn suite(store: &dyn MetadataStore, clock: &TestClock) {
    common(store);
    a_watch_that_falls_behind_is_told_to_read_again(store);
    entries_of_a_lease_vanish_with_it(store, clock);
}

fn a_change_needs_the_revision_it_was_based_on(store: &dyn MetadataStore) {
    let first = set(store, "cas", Expected::Absent, "1").unwrap();
    let error = set(store, "cas", Expected::Absent, "2").unwrap_err();
    assert!(
        matches!(error, MetadataError::Conflict { found: Some(found), .. } if found == first),
        "{error}"
    );
    let second = set(store, "cas", Expected::At(first), "2").unwrap();
    assert!(second > first);
    assert!(set(store, "cas", Expected::At(first), "3").is_err());
    assert_eq!(value(store, "cas").as_deref(), Some("2"));
    let entry = block_on(store.get("cas")).unwrap().unwrap();
    assert_eq!(entry.revision, second);
    let removed = block_on(store.compare_and_set("cas", Expected::At(second), None, None));
    assert!(removed.unwrap() > second);
    assert_eq!(value(store, "cas"), None);
    let error = set(store, "cas", Expected::At(second), "3").unwrap_err();
    assert!(
        matches!(error, MetadataError::Conflict { found: None, .. }),
        "{error}"
    );
    set(store, "cas", Expected::Absent, "").unwrap();
    assert_eq!(value(store, "cas").as_deref(), Some(""));
}

fn ranges_are_by_prefix_in_key_order(store: &dyn MetadataStore) {
    let mut last = Revision(0);
    for key in ["range/b", "range/a", "rangf", "range", "range/ä"] {
        last = set(store, key, Expected::Absent, key).unwrap();
    }
    assert_eq!(listed(store, "range/"), ["range/a", "range/b", "range/ä"]);
    assert_eq!(
        listed(store, "range"),
        ["range", "range/a", "range/b", "range/ä"]
    );
    assert_eq!(listed(store, "nothing"), [""; 0]);
    assert!(listed(store, "").len() >= 5);
    assert_eq!(block_on(store.range("nothing")).unwrap().1, last);
}

fn entries_are_overwritten_whatever_they_hold_and_erased_as_they_were_read(
    store: &dyn MetadataStore,
) {
    let put = |key: &str, value: Option<&'static str>| {
        block_on(overwrite(store, key, value.map(Into::into)))
    };
    put("o/none", None).unwrap();
    for text in ["one", "two"] {
        put("o/a", Some(text)).unwrap();
        assert_eq!(value(store, "o/a").as_deref(), Some(text));
    }
    put("o/a", None).unwrap();
    assert_eq!(value(store, "o/a"), None);

    for key in ["o/b", "o/c", "o/d"] {
        put(key, Some("read")).unwrap();
    }
    let read = block_on(store.range("o/")).unwrap().0;
    put("o/c", Some("changed since")).unwrap();
    let error = block_on(erase_all(store, read)).unwrap_err();
    assert!(matches!(&error, MetadataError::Conflict { key, .. } if key == "o/c"));
    assert_eq!(listed(store, "o/"), ["o/c", "o/d"]);
    let read = block_on(store.range("o/")).unwrap().0;
    put("o/c", None).unwrap();
    block_on(erase_all(store, read)).expect("somebody else has removed one");
    assert!(listed(store, "o/").is_empty());
}

fn what_is_made_once_stays(store: &dyn MetadataStore) {
    let made = |value: Option<&'static str>, meanwhile: &dyn Fn()| {
        let make = || {
            meanwhile();
            value.map(Into::into)
        };
        block_on(made_once(store, "once", make)).unwrap()
    };
    assert_eq!(made(None, &|| ()), None);
    // From a thread of its own, as this one waits already.
    let runtime = Handle::try_current().ok();
    let faster = || {
        let put = || {
            let _entered = runtime.as_ref().map(Handle::enter);
            set(store, "once", Expected::Absent, "first").unwrap()
        };
        std::thread::scope(|scope| scope.spawn(put).join().unwrap());
    };
    let first = made(Some("second"), &faster).expect("somebody else was faster");
    assert_eq!(first.value, "first");
    assert_eq!(
        made(Some("third"), &|| panic!("it is there")),
        Some(first.clone())
    );
    let removed = store.compare_and_set("once", Expected::At(first.revision), None, None);
    block_on(removed).unwrap();
    let own = made(Some("own"), &|| ()).unwrap();
    assert_eq!(block_on(store.get("once")).unwrap(), Some(own));
}

fn watches_report_changes_once_in_order(store: &dyn MetadataStore) {
    let (_, start) = block_on(store.range("")).unwrap();
    let first = set(store, "watch/1", Expected::Absent, "a").unwrap();
    set(store, "elsewhere", Expected::Absent, "x").unwrap();
    // From before the first change, and from behind it.
    let mut early = store.watch("watch/", start);
    let mut late = store.watch("watch/", first);
    let second = set(store, "watch/2", Expected::Absent, "b").unwrap();
    let removed = block_on(store.compare_and_set("watch/1", Expected::At(first), None, None));
    let change = |key: &str, value: Option<&str>, revision| Change {
        key: key.to_owned(),
        value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
        revision,
    };
    let expected = [
        change("watch/1", Some("a"), first),
        change("watch/2", Some("b"), second),
        change("watch/1", None, removed.unwrap()),
    ];
    for expected in &expected {
        assert_eq!(awaited(&mut early).unwrap(), *expected);
    }
    for expected in &expected[1..] {
        assert_eq!(awaited(&mut late).unwrap(), *expected);
    }
    // Nothing else was told in between.
    set(store, "watch/3", Expected::Absent, "c").unwrap();
    assert_eq!(awaited(&mut early).unwrap().key, "watch/3");
    assert_eq!(awaited(&mut late).unwrap().key, "watch/3");
}

fn a_watch_that_falls_behind_is_told_to_read_again(store: &dyn MetadataStore) {
    let (_, start) = block_on(store.range("")).unwrap();
    let mut slow = store.watch("slow", start);
    let mut revision = set(store, "slow", Expected::Absent, "0").unwrap();
    for number in 0..limits::METADATA_WATCH_CHANGES_MAX + 10 {
        revision = set(store, "slow", Expected::At(revision), &number.to_string()).unwrap();
    }
    let mut reported = 0;
    let error = loop {
        match slow.next().now_or_never().unwrap() {
            Some(Ok(_)) => reported += 1,
            Some(Err(error)) => break error,
            None => panic!("the stream ends with an error"),
        }
    };
    assert!(reported <= limits::METADATA_WATCH_CHANGES_MAX, "{reported}");
    assert!(error.to_string().contains("read again"), "{error}");
    assert!(slow.next().now_or_never().unwrap().is_none());
    // Too far in the past to begin with.
    let mut old = store.watch("slow", start);
    let error = old.next().now_or_never().unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("read again"), "{error}");
    // From now on it works.
    let mut fresh = store.watch("slow", revision);
    set(store, "slow", Expected::At(revision), "end").unwrap();
    assert_eq!(
        next(&mut fresh).unwrap().value.as_deref(),
        Some(&b"end"[..])
    );
}

fn entries_of_a_lease_vanish_with_it(store: &dyn MetadataStore, clock: &TestClock) {
    let ttl = Duration::from_secs(10);
    let (_, start) = block_on(store.range("")).unwrap();
    let mut watch = store.watch("lease/", start);
    assert_eq!(next(&mut watch), None);
    let kept = block_on(store.grant_lease(ttl)).unwrap();
    let lost = block_on(store.grant_lease(ttl)).unwrap();
    let revoked = block_on(store.grant_lease(ttl)).unwrap();
    for (key, lease) in [
        ("lease/kept", kept),
        ("lease/lost", lost),
        ("lease/revoked", revoked),
    ] {
        let value = Some(Bytes::from_static(b"here"));
        block_on(store.compare_and_set(key, Expected::Absent, value, Some(lease))).unwrap();
        assert_eq!(next(&mut watch).unwrap().key, key);
    }
    block_on(store.revoke_lease(revoked)).unwrap();
    assert_eq!(listed(store, "lease/"), ["lease/kept", "lease/lost"]);
    assert_eq!(next(&mut watch).unwrap().value, None);
    clock.advance(ttl - Duration::from_millis(1));
    block_on(store.keep_alive(kept)).unwrap();
    assert_eq!(listed(store, "lease/"), ["lease/kept", "lease/lost"]);
    assert_eq!(next(&mut watch), None);
    clock.advance(Duration::from_millis(1));
    // The watch finds out by itself, without anybody asking.
    let gone = next(&mut watch).unwrap();
    assert_eq!((gone.key.as_str(), gone.value), ("lease/lost", None));
    assert_eq!(listed(store, "lease/"), ["lease/kept"]);
    for gone in [lost, revoked] {
        let error = block_on(store.keep_alive(gone)).unwrap_err();
        assert!(
            matches!(error, MetadataError::LeaseExpired(id) if id == gone),
            "{error}"
        );
        let value = Some(Bytes::new());
        let set = block_on(store.compare_and_set("lease/x", Expected::Absent, value, Some(gone)));
        assert!(matches!(set, Err(MetadataError::LeaseExpired(_))));
        assert!(block_on(store.revoke_lease(gone)).is_err());
    }
    // A key written again without the lease does not vanish with it.
    let entry = block_on(store.get("lease/kept")).unwrap().unwrap();
    set(
        store,
        "lease/kept",
        Expected::At(entry.revision),
        "for good",
    )
    .unwrap();
    clock.advance(ttl * 2);
    assert_eq!(value(store, "lease/kept").as_deref(), Some("for good"));
}

fn open(disk: &Arc<dyn Disk>) -> Arc<EmbeddedMetadata> {
    EmbeddedMetadata::open(Arc::clone(disk), TestClock::new()).unwrap()
}

#[test]
fn embedded_metadata_on_real_files_passes() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let disk = FolderDisk::open(folder.path()).unwrap();
    let time = Arc::<TestClock>::clone(&clock);
    let store = EmbeddedMetadata::open(disk, time).unwrap();
    suite(&*store, &clock);
}

#[test]
fn embedded_metadata_on_a_disk_in_memory_passes() {
    let clock = TestClock::new();
    let time = Arc::<TestClock>::clone(&clock);
    let store = EmbeddedMetadata::open(CrashDisk::new().as_disk(), time).unwrap();
    suite(&*store, &clock);
}

/// All entries with their revisions, as text.
fn contents(store: &dyn MetadataStore) -> Vec<(String, Vec<u8>, u64)> {
    let (entries, _) = block_on(store.range("")).unwrap();
    let plain = entries
        .into_iter()
        .map(|entry| (entry.key, entry.value.to_vec(), entry.revision.0));
    plain.collect()
}

#[test]
fn changes_survive_power_cuts_and_leased_ones_do_not_outlive_the_process() {
    let crash = CrashDisk::new();
    let disk = crash.as_disk();
    let mut revision = Revision(0);
    for round in 0..30 {
        let store = open(&disk);
        let before = contents(&*store);
        let key = format!("round-{}", round % 7);
        let found = block_on(store.get(&key)).unwrap();
        let expected = found.map_or(Expected::Absent, |entry| Expected::At(entry.revision));
        let changed = set(&*store, &key, expected, &round.to_string()).unwrap();
        assert!(changed > revision, "revisions never come again");
        let after = contents(&*store);
        assert_eq!(after.len(), before.len().max((round + 1).min(7)));
        let lease = block_on(store.grant_lease(Duration::from_secs(60))).unwrap();
        let leased = block_on(store.compare_and_set(
            "leased",
            Expected::Absent,
            Some(Bytes::new()),
            Some(lease),
        ));
        revision = leased.unwrap();
        drop(store);
        crash.cut_power(&SeededRandom::new(round as u64));
        assert_eq!(contents(&*open(&disk)), after);
    }
}

#[test]
fn the_journal_is_compacted_and_says_the_same_afterwards() {
    let crash = CrashDisk::new();
    let disk = crash.as_disk();
    let store = open(&disk);
    let mut revisions = vec![Expected::Absent; 40];
    let text = "x".repeat(4_000);
    for number in 0..4_000 {
        let slot = number % revisions.len();
        let key = format!("key-{slot:03}");
        let revision = set(&*store, &key, revisions[slot], &format!("{number}{text}")).unwrap();
        revisions[slot] = Expected::At(revision);
    }
    let disk_bytes: usize = crash
        .list()
        .unwrap()
        .iter()
        .map(|name| crash.edit(name, |bytes| bytes.len()))
        .sum();
    // 16 MB were written for 160 kB of entries.
    assert!(disk_bytes < 9_000_000, "{disk_bytes}");
    let before = contents(&*store);
    drop(store);
    // At any time in the middle of it, too.
    for seed in 0..10 {
        crash.cut_power(&SeededRandom::new(seed));
        let store = open(&disk);
        assert_eq!(contents(&*store), before);
    }
}

#[test]
fn a_snapshot_cut_short_by_a_power_cut_does_not_count() {
    let crash = CrashDisk::new();
    let store = open(&crash.as_disk());
    let text = "x".repeat(100_000);
    for number in 0..30 {
        set(
            &*store,
            &format!("key-{number:02}"),
            Expected::Absent,
            &text,
        )
        .unwrap();
    }
    // Change until one of them makes a snapshot that takes several commits.
    let mut expected = Expected::Absent;
    let (copy, before) = loop {
        let (copy, before) = (crash.copy(), contents(&*store));
        let writes = crash.counts().writes;
        expected = Expected::At(set(&*store, "counter", expected, &text).unwrap());
        if crash.counts().writes > writes + 3 {
            break (copy, before);
        }
    };
    drop(store);
    let found = before.iter().find(|entry| entry.0 == "counter").unwrap();
    let expected = Expected::At(Revision(found.2));
    let (mut lost, mut cut_short) = (0, 0);
    for operations in 0..30 {
        let disk = copy.copy();
        let store = open(&disk.as_disk());
        let tail_before = disk.counts().writes;
        disk.set_faults(|faults| faults.operations_left = Some(operations));
        let changed = set(&*store, "counter", expected, "changed");
        let after = contents(&*store);
        assert_eq!(after == before, changed.is_err());
        drop(store);
        disk.cut_power(&SeededRandom::new(operations));
        let found = contents(&*open(&disk.as_disk()));
        // What was refused as unknown may have happened; what was confirmed has.
        if changed.is_err() {
            assert_eq!(found.len(), before.len());
            lost += 1;
        } else {
            assert_eq!(found, after, "{operations} operations");
            cut_short += usize::from(disk.counts().writes > tail_before + 1);
        }
    }
    assert!(lost >= 2 && cut_short >= 5, "{lost} {cut_short}");
}

#[test]
fn an_entry_above_the_limit_and_a_failing_disk_are_errors() {
    let crash = CrashDisk::new();
    let store = open(&crash.as_disk());
    let large = "x".repeat(limits::METADATA_ENTRY_BYTES_MAX);
    let error = set(&*store, "large", Expected::Absent, &large).unwrap_err();
    assert!(error.to_string().contains("exceeds the limit"), "{error}");
    let fits = &large[..large.len() - "large".len()];
    set(&*store, "large", Expected::Absent, fits).unwrap();
    crash.set_faults(|faults| faults.sync = true);
    let error = set(&*store, "a", Expected::Absent, "1").unwrap_err();
    assert!(
        matches!(
            error,
            MetadataError::Unavailable {
                operation: "write",
                ..
            }
        ),
        "{error}"
    );
    assert!(
        set(&*store, "a", Expected::Absent, "1").is_err(),
        "until the next start"
    );
    assert_eq!(
        value(&*store, "large").map(|value| value.len()),
        Some(fits.len())
    );
    assert_eq!(value(&*store, "a"), None);
}
