//! What every log must do, whatever is behind it. A back end is passed in as a [`Log`] and a way to
//! drive it until all that waits is durable.

use std::sync::Arc;

use base::{LogPosition, StreamKey};
use futures::{FutureExt as _, executor::block_on};
use store::{
    fs::FolderDisk,
    log::{ENVELOPE_BYTES, Log, NewRecord, ReadError, RecordKind, Urgency},
};

use crate::{
    crash_disk::CrashDisk,
    support::{Durable, Seen, commit, open, seen},
};

/// A log under test.
struct Subject<'a> {
    log: &'a dyn Log,
    /// Makes everything that waits durable.
    drive: &'a dyn Fn(),
    durable: &'a Durable,
}

fn record(kind: u16, payload_len: usize) -> NewRecord {
    NewRecord {
        kind: RecordKind::new(kind),
        stream: StreamKey::new(7),
        payload_len,
    }
}

impl Subject<'_> {
    fn append(&self, payload: &[u8]) -> Seen {
        let append = || {
            self.log.append(
                &[record(16, payload.len())],
                Urgency::Now,
                &mut |_, _, out| {
                    out.extend_from_slice(payload);
                },
            )
        };
        let appended = append().or_else(|_| {
            (self.drive)();
            append()
        });
        (appended.unwrap().position.get(), 16, payload.to_vec())
    }

    fn read(&self, position: u64, payload_len: usize) -> Result<Seen, ReadError> {
        let position = LogPosition::new(position);
        block_on(self.log.read(position, payload_len + ENVELOPE_BYTES)).map(|record| seen(&record))
    }
}

fn suite(subject: &Subject<'_>) {
    an_append_is_durable_only_when_driven(subject);
    several_records_go_together(subject);
    waits_end_in_order_and_after_the_observer(subject);
    reads_are_exact_or_refused(subject);
    trim_keeps_what_it_was_not_told_to_give_back(subject);
}

fn an_append_is_durable_only_when_driven(subject: &Subject<'_>) {
    let log = subject.log;
    (subject.drive)();
    let end = log.durable_end();
    assert_eq!(end, log.tail());
    let written = subject.append(b"payload");
    assert!(log.tail() > end);
    assert_eq!(log.durable_end(), end);
    assert!(log.durable(log.tail()).now_or_never().is_none());
    assert!(matches!(
        subject.read(written.0, 7),
        Err(ReadError::PastEnd { .. })
    ));
    (subject.drive)();
    assert_eq!(log.durable_end(), log.tail());
    assert!(matches!(
        log.durable(log.tail()).now_or_never(),
        Some(Ok(()))
    ));
    assert_eq!(subject.read(written.0, 7).unwrap(), written);
    assert_eq!(subject.durable.records.lock().last(), Some(&written));
}

fn several_records_go_together(subject: &Subject<'_>) {
    let log = subject.log;
    let payloads: [&[u8]; 3] = [b"", b"one", b"twenty-two"];
    let records: Vec<NewRecord> = payloads
        .iter()
        .enumerate()
        .map(|(index, payload)| record(16 + index as u16, payload.len()))
        .collect();
    let mut calls = Vec::new();
    let appended = log.append(&records, Urgency::Now, &mut |index, position, out| {
        calls.push((index, position.get()));
        out.extend_from_slice(payloads[index]);
    });
    let appended = appended.unwrap();
    let start = appended.position.get();
    let expected = vec![(0, start), (1, start + 32), (2, start + 32 + 35)];
    assert_eq!(calls, expected);
    assert_eq!(appended.end.get(), start + 32 + 35 + 42);
    (subject.drive)();
    for (index, position) in calls {
        let read = subject.read(position, payloads[index].len()).unwrap();
        assert_eq!(
            read,
            (position, 16 + index as u16, payloads[index].to_vec())
        );
    }
}

fn waits_end_in_order_and_after_the_observer(subject: &Subject<'_>) {
    let written: Vec<Seen> = (0..10_u8).map(|n| subject.append(&[n])).collect();
    // Asked for in any order.
    let mut waits: Vec<_> = [3, 9, 0, 5, 1]
        .into_iter()
        .map(|index: usize| {
            let end = LogPosition::new(written[index].0 + 33);
            (index, subject.log.durable(end))
        })
        .collect();
    (subject.drive)();
    for (index, wait) in &mut waits {
        assert!(matches!(wait.now_or_never(), Some(Ok(()))));
        assert!(subject.durable.records.lock().contains(&written[*index]));
    }
    let durable = subject.durable.records.lock();
    assert_eq!(durable[durable.len() - 10..], written);
}

fn reads_are_exact_or_refused(subject: &Subject<'_>) {
    let written = subject.append(&[5; 9_000]);
    (subject.drive)();
    let (position, len) = (written.0, 9_000);
    assert_eq!(subject.read(position, len).unwrap(), written);
    let unknown = block_on(subject.log.read_at(LogPosition::new(position)));
    assert_eq!(seen(&unknown.unwrap()), written);
    for (position, len) in [
        (position, len - 1),
        (position, len + 1),
        (position, 0),
        (position + 1, len),
        (position + 40, 8),
    ] {
        let read = subject.read(position, len);
        assert!(
            matches!(read, Err(ReadError::Corrupt { .. })),
            "{position} {len}"
        );
        let read = block_on(subject.log.read_at(LogPosition::new(position + 1)));
        assert!(matches!(read, Err(ReadError::Corrupt { .. })), "{position}");
    }
    let past = subject.log.tail().get();
    assert!(matches!(
        subject.read(past, 0),
        Err(ReadError::PastEnd { .. })
    ));
    assert!(matches!(
        subject.read(u64::MAX, 0),
        Err(ReadError::PastEnd { .. })
    ));
}

fn trim_keeps_what_it_was_not_told_to_give_back(subject: &Subject<'_>) {
    let log = subject.log;
    let mut written = Vec::new();
    while log.segments().len() < 4 {
        written.push(subject.append(&[1; 4_000]));
        (subject.drive)();
    }
    let segments = log.segments();
    for pair in segments.windows(2) {
        assert_eq!(pair[0].end, pair[1].start);
        assert!(!pair[0].active && pair[0].disk_bytes > 0);
    }
    assert!(segments[3].active);
    let before = log.start();
    assert_eq!(
        log.trim(LogPosition::new(segments[0].end.get() - 1))
            .unwrap(),
        before
    );
    let position = LogPosition::new(segments[1].end.get() + 1);
    assert_eq!(log.trim(position).unwrap(), segments[2].start);
    assert_eq!(log.start(), segments[2].start);
    assert_eq!(log.segments(), segments[2..]);
    for record in &written {
        let read = subject.read(record.0, 4_000);
        if record.0 < log.start().get() {
            assert!(matches!(read, Err(ReadError::Trimmed { .. })));
        } else {
            assert_eq!(read.unwrap(), *record);
        }
    }
    // Never the segment that is being written, whatever is asked for.
    log.trim(log.tail()).unwrap();
    assert!(log.segments().last().unwrap().active);
    subject.append(b"goes on");
    (subject.drive)();
}

#[test]
fn the_local_log_on_real_files_passes() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FolderDisk::open(folder.path()).unwrap();
    let (log, ..) = open(&(disk as Arc<dyn store::disk::Disk>));
    let durable = Durable::observing(&log);
    suite(&Subject {
        log: &*log,
        drive: &|| commit(&log).unwrap(),
        durable: &durable,
    });
}

#[test]
fn the_local_log_on_a_disk_in_memory_passes() {
    let (log, ..) = open(&CrashDisk::new().as_disk());
    let durable = Durable::observing(&log);
    suite(&Subject {
        log: &*log,
        drive: &|| commit(&log).unwrap(),
        durable: &durable,
    });
}
