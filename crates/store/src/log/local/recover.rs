//! Opening a log: which files it has, where it ends, what is cut, what is replayed.
//!
//! Whatever a crash can leave is put right here; anything else is refused with the reason, because
//! guessing on would lose what somebody was told is safe.
//!
//! 1. The names of the files are made durable: whoever made them may have been killed before that.
//!    The files must follow one another; a newest file that was never finished is removed.
//! 2. Records are read from the checkpoint on. Where they end, the log ends. A record behind that
//!    end which says that all before it was durable proves damage: the log is refused.
//! 3. The last commit is written again and synced, since it may be only in the page cache (also
//!    after an fsync that failed, which leaves pages that look clean and are not on disk); what a
//!    torn write left behind the end is zeroed.
//! 4. An opening record with the next epoch is made durable. Only then is the log in use.

use std::{io, sync::Arc};

use base::{Clock, LogPosition, ShardId, limits};

use super::{
    LocalLog, LocalLogOptions, OpenError,
    append::State,
    blocks::{BLOCK_BYTES, look_behind, read_block, read_record, rewrite, zero},
    open_error::disk_error,
    scan::{self, Stop},
    segment::{self, FORMAT, HEADER_BYTES, Header, HeaderError, OpenSegment, Segment, Segments},
};
use crate::{
    disk::{Disk, DiskFile},
    log::{ENVELOPE_BYTES, Record},
};

/// What opening a log found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Where the log starts.
    pub start: LogPosition,
    /// Where it ended, before this opening added its own record.
    pub end: LogPosition,
    /// Number of this opening.
    pub epoch: u32,
    /// Records replayed.
    pub records: u64,
    /// Bytes behind the end that a torn write had left.
    pub cut_bytes: u64,
}

/// Where the log in `disk` starts, without opening it; zero if there is none. For a log that is its
/// own checkpoint and is replayed from its start.
pub(crate) fn first_position(disk: &dyn Disk) -> io::Result<LogPosition> {
    let names = disk.list()?;
    let first = names
        .iter()
        .filter_map(|name| segment::start_of(name))
        .min();
    Ok(LogPosition::new(first.unwrap_or(0)))
}

impl LocalLog {
    /// Opens the log in `disk`, or makes it if there is none.
    ///
    /// Every record from `from` on that is not the log's own goes to `replay`, in order. `from`
    /// must be a position that an observer was told as an end, or a record's; zero for a new log.
    pub fn open(
        disk: Arc<dyn Disk>,
        shard: ShardId,
        options: LocalLogOptions,
        clock: Arc<dyn Clock>,
        from: LogPosition,
        replay: &mut dyn FnMut(Record),
    ) -> Result<(Arc<Self>, Recovery), OpenError> {
        options.check();
        let files = Files::take(&*disk, shard)?;
        let start = files.start();
        if from.get() < start {
            return Err(OpenError::CheckpointTrimmed {
                checkpoint: from,
                start: LogPosition::new(start),
            });
        }
        let found = files.read(from.get(), replay)?;
        files.settle(&found)?;
        let cut_bytes = found.remains_end - found.end;
        if cut_bytes > 0 {
            tracing::warn!(%shard, end = found.end, cut_bytes, "log cut at the torn end of a write");
        }
        let log = files.into_log(disk, shard, options, clock, &found)?;
        let recovery = Recovery {
            start: LogPosition::new(start),
            end: LogPosition::new(found.end),
            epoch: found.epoch,
            records: found.records,
            cut_bytes,
        };
        Ok((log, recovery))
    }
}

/// The segment files of a log, oldest first, without a gap.
struct Files {
    list: Vec<OpenSegment>,
}

/// How far the records go.
struct Walk {
    /// Index of the segment that they end in; one past the last if they end where that one does.
    index: usize,
    end: u64,
    epoch: Option<u32>,
    records: u64,
    commit_start: Option<u64>,
    /// What was found at the end instead of a record.
    hole: Option<Stop>,
}

/// Where the log ends, and what is to be put right there.
struct Found {
    index: usize,
    end: u64,
    /// The epoch of this opening: one more than that of the last record.
    epoch: u32,
    records: u64,
    /// From here to the end, records may not be durable yet.
    unsure_from: u64,
    /// Up to here, a torn write has left something behind the end.
    remains_end: u64,
}

impl Files {
    /// Opens the files and checks that they are one log.
    fn take(disk: &dyn Disk, shard: ShardId) -> Result<Self, OpenError> {
        let of_folder = |operation| {
            move |source| OpenError::Disk {
                operation,
                file: String::new(),
                source,
            }
        };
        let names = disk.list().map_err(of_folder("listing"))?;
        // A process that was killed, or whose sync failed, may have left a file whose name is not
        // durable: commits to it would go with the name when the power goes.
        if !names.is_empty() {
            disk.sync_names().map_err(of_folder("sync of names"))?;
        }
        let mut starts: Vec<u64> = names
            .iter()
            .filter_map(|name| segment::start_of(name))
            .collect();
        starts.sort_unstable();
        let newest = starts.last().copied();
        let mut list: Vec<OpenSegment> = Vec::new();
        for start in starts {
            let expected = list.last().map(|before| before.segment.next());
            let file = disk
                .open(&segment::name_of(start))
                .map_err(disk_error("opening", start))?;
            match check_file(file.into(), start, shard)? {
                Checked::Whole(opened) => list.push(opened),
                // Only the making of the newest file can have been cut short, and the first file of
                // a log that starts anywhere but at zero was once in use.
                Checked::Unfinished
                    if newest == Some(start) && (!list.is_empty() || start == 0) =>
                {
                    tracing::info!(%shard, start, "unfinished log segment removed");
                    disk.remove(&segment::name_of(start))
                        .and_then(|()| disk.sync_names())
                        .map_err(disk_error("removal", start))?;
                }
                Checked::Unfinished => {
                    return Err(OpenError::Corrupt {
                        file: segment::name_of(start),
                        position: LogPosition::new(start),
                        reason: "the file has no valid header or not its full length".to_owned(),
                        evidence: "its name and place say that it was in use".to_owned(),
                    });
                }
            }
            if let Some(expected) = expected
                && expected != start
            {
                return Err(OpenError::Missing {
                    expected: LogPosition::new(expected),
                    file: segment::name_of(start),
                });
            }
        }
        Ok(Self { list })
    }

    fn start(&self) -> u64 {
        self.list.first().map_or(0, |first| first.segment.start)
    }

    /// Reads the records from `from` on, and finds the end of the log and its epoch.
    fn read(&self, from: u64, replay: &mut dyn FnMut(Record)) -> Result<Found, OpenError> {
        let (index, position) = self.place_of(from);
        let mut walk = self.walk(index, position, replay)?;
        let mut unsure_from = walk.commit_start.unwrap_or(position);
        if walk.epoch.is_none() {
            // Nothing after the checkpoint. The records before it tell the epoch, and whether the
            // log reaches the checkpoint at all; those records were durable when it was.
            walk = self.walk_before(index, position)?;
            unsure_from = walk.end;
            if walk.end < position {
                return Err(OpenError::CheckpointPastEnd {
                    checkpoint: LogPosition::new(from),
                    end: LogPosition::new(walk.end),
                });
            }
            if walk.end > position {
                return Err(OpenError::Corrupt {
                    file: segment::name_of(self.list[index.min(self.list.len() - 1)].segment.start),
                    position: LogPosition::new(from),
                    reason: "no record starts there".to_owned(),
                    evidence: "the state stands there".to_owned(),
                });
            }
        }
        let before = walk.epoch.unwrap_or(0);
        let remains_end = self.check_behind(&walk, before)?;
        let epoch = before
            .checked_add(1)
            .ok_or(OpenError::EpochsUsedUp(before))?;
        Ok(Found {
            index: walk.index,
            end: walk.end,
            epoch,
            records: walk.records,
            unsure_from,
            remains_end,
        })
    }

    /// The segment and position where the record at `position` or the first one after it is.
    fn place_of(&self, position: u64) -> (usize, u64) {
        let after = self
            .list
            .partition_point(|open| open.segment.start <= position);
        let Some(index) = after.checked_sub(1) else {
            return (0, position);
        };
        let next = self.list[index].segment.next();
        if next.saturating_sub(position) < ENVELOPE_BYTES as u64 {
            // No record fits there any more.
            return (index + 1, position.max(next));
        }
        (index, position)
    }

    /// Reads records from `position` in the segment with `index` on.
    fn walk(
        &self,
        index: usize,
        position: u64,
        replay: &mut dyn FnMut(Record),
    ) -> Result<Walk, OpenError> {
        let mut walk = Walk {
            index,
            end: position,
            epoch: None,
            records: 0,
            commit_start: None,
            hole: None,
        };
        while let Some(open) = self.list.get(walk.index) {
            let hole = walk_segment(open, &mut walk, replay)
                .map_err(disk_error("reading", open.segment.start))?;
            if let Some(hole) = hole {
                walk.hole = Some(hole);
                break;
            }
            walk.index += 1;
            walk.end = open.segment.next();
        }
        Ok(walk)
    }

    /// Reads the records that lead up to `position`, where there is none.
    fn walk_before(&self, index: usize, position: u64) -> Result<Walk, OpenError> {
        let mut index = index.min(self.list.len());
        if self
            .list
            .get(index)
            .is_none_or(|open| open.segment.start == position)
            && index > 0
        {
            index -= 1;
        }
        let Some(open) = self.list.get(index) else {
            return self.walk(0, 0, &mut |_| ());
        };
        let walk = self.walk(index, open.segment.start, &mut |_| ())?;
        if walk.epoch.is_none() && open.segment.start > 0 {
            return Err(OpenError::Corrupt {
                file: segment::name_of(open.segment.start),
                position: LogPosition::new(open.segment.start),
                reason: describe(walk.hole.as_ref()),
                evidence: "segments of a log that was in use begin with a record".to_owned(),
            });
        }
        Ok(Walk { records: 0, ..walk })
    }

    /// Checks that the end of the records is the end of the log, and returns up to where there are
    /// remains of a torn write behind it.
    fn check_behind(&self, walk: &Walk, epoch: u32) -> Result<u64, OpenError> {
        let Some(open) = self.list.get(walk.index) else {
            return Ok(walk.end);
        };
        let corrupt = |evidence: String| OpenError::Corrupt {
            file: segment::name_of(open.segment.start),
            position: LogPosition::new(walk.end),
            reason: describe(walk.hole.as_ref()),
            evidence,
        };
        for later in &self.list[walk.index + 1..] {
            let start = LogPosition::new(later.segment.start);
            let first =
                read_record(later, start.get()).map_err(disk_error("reading", start.get()))?;
            if first.is_ok_and(|first| first.epoch >= epoch) {
                return Err(corrupt(format!(
                    "the log goes on in the segment from {start} on"
                )));
            }
        }
        let (remains_end, commit_start) = look_behind(open, walk.end, epoch)
            .map_err(disk_error("reading", open.segment.start))?;
        match commit_start {
            Some(commit_start) => Err(corrupt(format!(
                "the record at {commit_start} was written after everything before it was durable"
            ))),
            None => Ok(remains_end),
        }
    }

    /// Makes the end of the log certain: the last commit durable, nothing behind it.
    fn settle(&self, found: &Found) -> Result<(), OpenError> {
        let (index, _) = self.place_of(found.unsure_from);
        if let Some(open) = self.list.get(index)
            && found.unsure_from < found.end
        {
            let end = found.end.min(open.segment.next());
            rewrite(open, found.unsure_from, end)
                .and_then(|()| open.file.sync())
                .map_err(disk_error("rewriting", open.segment.start))?;
        }
        if let Some(open) = self.list.get(found.index)
            && found.remains_end > found.end
        {
            zero(open, found.end, found.remains_end)
                .and_then(|()| open.file.sync())
                .map_err(disk_error("cutting", open.segment.start))?;
        }
        Ok(())
    }

    /// Brings the log into use.
    fn into_log(
        mut self,
        disk: Arc<dyn Disk>,
        shard: ShardId,
        options: LocalLogOptions,
        clock: Arc<dyn Clock>,
        found: &Found,
    ) -> Result<Arc<LocalLog>, OpenError> {
        // Ahead of the active segment is at most one that was made ahead.
        for unused in self.list.split_off(self.list.len().min(found.index + 2)) {
            disk.remove(&segment::name_of(unused.segment.start))
                .map_err(disk_error("removal", unused.segment.start))?;
        }
        let spare = if self.list.len() > found.index + 1 {
            self.list.pop()
        } else {
            None
        };
        let make = |segment: Segment| {
            segment::create(&*disk, shard, segment).map_err(disk_error("allocation", segment.start))
        };
        if self.list.len() == found.index {
            let first = Segment {
                start: found.end,
                capacity: options.segment_bytes_min,
            };
            let last = self.list.last().map(|open| open.segment);
            self.list.push(make(
                last.map_or(first, |last| options.segment_after(last, 0)),
            )?);
        }
        let active = self
            .list
            .last()
            .cloned()
            .expect("the active segment was there or has just been made");
        let state = State::new(active, spare, found.end);
        let log = Arc::new(LocalLog::from_parts(
            shard,
            options,
            disk,
            clock,
            state,
            Segments::new(self.list.iter().map(|open| open.segment).collect()),
        ));
        log.write_opening(found.epoch)?;
        Ok(log)
    }
}

/// Whether a file is what its name says.
enum Checked {
    Whole(OpenSegment),
    /// It has no valid header or not the right length: its making was cut short, or it is damaged.
    Unfinished,
}

fn check_file(file: Arc<dyn DiskFile>, start: u64, shard: ShardId) -> Result<Checked, OpenError> {
    let name = || segment::name_of(start);
    let head = file
        .read_at(0, HEADER_BYTES as usize)
        .map_err(disk_error("reading", start))?;
    let len = file.len().map_err(disk_error("reading", start))?;
    let header = match Header::decode(&head) {
        Ok(header) => header,
        Err(HeaderError::Newer(found)) => {
            return Err(OpenError::NewerFormat {
                file: name(),
                found,
                supported: FORMAT,
            });
        }
        Err(HeaderError::Invalid) => {
            // A file that holds a record was finished once, so its header is damaged.
            let first = file
                .read_at(HEADER_BYTES, limits::RECORD_BYTES_MAX)
                .map_err(disk_error("reading", start))?;
            return match Record::decode(&first, LogPosition::new(start)) {
                Err(_) => Ok(Checked::Unfinished),
                Ok(_) => Err(OpenError::Corrupt {
                    file: name(),
                    position: LogPosition::new(start),
                    reason: "the header of the file is not valid".to_owned(),
                    evidence: "a valid record follows it".to_owned(),
                }),
            };
        }
    };
    if header.shard != shard {
        return Err(OpenError::Foreign {
            file: name(),
            found: header.shard,
            expected: shard,
        });
    }
    let segment = Segment {
        start,
        capacity: header.capacity,
    };
    if header.start != start || len != segment.disk_bytes() {
        return Err(OpenError::Corrupt {
            file: name(),
            position: LogPosition::new(header.start),
            reason: format!("the file has {len} bytes"),
            evidence: format!(
                "its header says that it starts at {} and has {} bytes",
                header.start,
                segment.disk_bytes()
            ),
        });
    }
    Ok(Checked::Whole(OpenSegment { segment, file }))
}

/// Reads the records of one segment from the end of `walk` on. `None` if they go on in the next
/// segment, else what stands where they end.
fn walk_segment(
    open: &OpenSegment,
    walk: &mut Walk,
    replay: &mut dyn FnMut(Record),
) -> io::Result<Option<Stop>> {
    let mut block = BLOCK_BYTES;
    loop {
        if !open.segment.holds(walk.end, ENVELOPE_BYTES) {
            return Ok(None);
        }
        let bytes = read_block(open, walk.end, block)?;
        let mut visited = 0;
        let scan = scan::scan(
            &bytes,
            LogPosition::new(walk.end),
            walk.epoch,
            &mut |record| {
                visited += 1;
                replay(record);
            },
        );
        walk.records += visited;
        walk.end = scan.end.get();
        walk.epoch = scan.epoch;
        walk.commit_start = scan
            .commit_start
            .map(LogPosition::get)
            .or(walk.commit_start);
        match scan.stop {
            Stop::SegmentEnd => return Ok(None),
            // The rest of the record is in the next block, or no further record fits the segment.
            Stop::Short { need }
                if open.segment.holds(walk.end, need)
                    || !open.segment.holds(walk.end, ENVELOPE_BYTES) =>
            {
                block = need.max(BLOCK_BYTES);
            }
            hole => return Ok(Some(hole)),
        }
    }
}

fn describe(hole: Option<&Stop>) -> String {
    match hole {
        Some(Stop::Invalid(error)) => error.to_string(),
        Some(Stop::Short { need }) => format!("a record of {need} bytes would not fit"),
        Some(Stop::SegmentEnd) | None => "the records end".to_owned(),
    }
}
