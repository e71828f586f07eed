//! Processors: which ones run what, and how busy they are.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::conformance::deadline::Stopwatch;

/// Which processors run what. Programs inherit them from the thread that starts them.
#[derive(Clone, Debug)]
pub(crate) struct Processors {
    all: Vec<usize>,
    server: Vec<usize>,
    generator: Vec<usize>,
}

/// Who runs on some of the processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A server.
    Server,
    /// The load generator.
    Generator,
}

impl Processors {
    /// Half of what there is for each side, or everything for both if nothing is to be pinned.
    pub(crate) fn share(pinned: bool) -> Result<Self> {
        let allowed = sched_getaffinity(None).context("ask which processors there are")?;
        let all: Vec<usize> = (0..CpuSet::MAX_CPU)
            .filter(|cpu| allowed.is_set(*cpu))
            .collect();
        ensure!(!all.is_empty(), "no processor to run on");
        let (server, generator) = if pinned {
            ensure!(
                all.len() > 1,
                "there is one processor: servers and load cannot be kept apart, use --unpinned"
            );
            let (server, generator) = all.split_at(all.len() / 2);
            (server.to_vec(), generator.to_vec())
        } else {
            (all.clone(), all.clone())
        };
        Ok(Self {
            all,
            server,
            generator,
        })
    }

    /// Runs `start`, so that what it starts stays in `place`.
    pub(crate) fn within<T>(&self, place: Place, start: impl FnOnce() -> Result<T>) -> Result<T> {
        bind(match place {
            Place::Server => &self.server,
            Place::Generator => &self.generator,
        })?;
        let result = start();
        bind(&self.all)?;
        result
    }

    /// How many there are for anybody.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// What the report says of it.
    pub(crate) fn text(&self) -> String {
        format!(
            "servers on processors {:?}, load on {:?}",
            self.server, self.generator
        )
    }
}

fn bind(processors: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for processor in processors {
        set.set(*processor);
    }
    sched_setaffinity(None, &set).with_context(|| format!("run on processors {processors:?}"))
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// What is no file.
    pub(crate) anonymous: u64,
    /// Pages of files that it has mapped.
    pub(crate) mapped: u64,
}

impl Memory {
    /// Counted page by page: the sums in `status` lag behind by more than a small server has.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let maps = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let bytes = |name: &str| -> Result<u64> {
            let line = maps.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
            let kib: u64 = kib
                .with_context(|| format!("no `{name}` in {path}"))?
                .parse()?;
            Ok(kib * 1024)
        };
        let (resident, anonymous) = (bytes("Rss:")?, bytes("Anonymous:")?);
        Ok(Self {
            anonymous,
            mapped: resident.saturating_sub(anonymous),
        })
    }
}

/// Bytes that a process has had read from disks.
pub(crate) fn disk_read_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/io");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let mut lines = text.lines();
    let bytes = lines.find_map(|line| line.strip_prefix("read_bytes: "));
    Ok(bytes
        .with_context(|| format!("no `read_bytes` in {path}"))?
        .parse()?)
}

/// Ticks of `/proc` per second: Linux shows 100 to programs, whatever it counts in.
const TICKS_PER_SECOND: f64 = 100.0;

/// Shortest time, in s, that ticks say something of.
const WATCHED_SECONDS_MIN: f64 = 1.0;

/// Watches what others use of the processors while no load generator does.
pub(crate) struct Noise {
    watch: Stopwatch,
    busy: u64,
    own: u64,
}

impl Noise {
    /// Starts to watch. The server must have used nothing yet, or its time so far is to be given
    /// at the end.
    pub(crate) fn watch() -> Result<Self> {
        Ok(Self {
            watch: Stopwatch::start(),
            busy: busy_ticks()?,
            own: process_ticks("self")?,
        })
    }

    /// Processor time of others since then, in percent of `processors`. The server had used
    /// `server_before` ticks when the watch began.
    pub(crate) fn percent(
        &self,
        server: u32,
        server_before: u64,
        processors: usize,
    ) -> Result<f64> {
        let seconds = self.watch.elapsed().as_secs_f64().max(WATCHED_SECONDS_MIN);
        let of_server = process_ticks(&server.to_string())?.saturating_sub(server_before);
        let own = process_ticks("self")?.saturating_sub(self.own);
        let busy = busy_ticks()?.saturating_sub(self.busy);
        let others = busy.saturating_sub(own + of_server) as f64 / TICKS_PER_SECOND;
        Ok(others / seconds / processors as f64 * 100.0)
    }
}

/// User and system time of a process.
pub(crate) fn process_ticks(process: &str) -> Result<u64> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    // The second field is a name in brackets, which may hold blanks.
    let (_, fields) = stat
        .rsplit_once(')')
        .context("no name in the process's times")?;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>()?)
}

/// Time that all processors were not idle.
fn busy_ticks() -> Result<u64> {
    let stat = fs::read_to_string("/proc/stat").context("read the processors' times")?;
    let line = stat.lines().next().context("no processors' times")?;
    let fields: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    // user nice system idle iowait irq softirq steal; guest time is part of user time.
    ensure!(fields.len() >= 8, "{} times of processors", fields.len());
    Ok(fields[..8].iter().sum::<u64>() - fields[3] - fields[4])
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn programs_stay_where_they_are_started() {
        let processors = Processors::share(false).unwrap();
        let one = Processors {
            server: processors.all[..1].to_vec(),
            ..processors
        };
        let output = one
            .within(Place::Server, || Ok(Command::new("nproc").output()?))
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1");
        let after = sched_getaffinity(None).unwrap();
        assert_eq!(after.count() as usize, one.count());
    }
    #[test]
    fn what_others_use_is_told_apart_from_ourselves() {
        let noise = Noise::watch().unwrap();
        let mut others = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
            .unwrap();
        let pid = others.id();
        while process_ticks(&pid.to_string()).unwrap() < 20 {}
        let as_server = noise.percent(pid, 0, 1).unwrap();
        let own = process_ticks("self").unwrap();
        let as_others = noise.percent(std::process::id(), own, 1).unwrap();
        others.kill().unwrap();
        others.wait().unwrap();
        // Who else is busy counts in both.
        assert!(as_others > as_server, "{as_others} {as_server}");
    }

    #[test]
    fn this_process_has_memory() {
        let memory = Memory::of(std::process::id()).unwrap();
        assert!(memory.anonymous > 0 && memory.mapped > 0);
        disk_read_bytes(std::process::id()).unwrap();
    }
}
