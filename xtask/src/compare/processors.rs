//! Processors: which ones run what, and how busy they are.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Which processors run what. Programs inherit them from the thread that starts them.
#[derive(Clone, Debug)]
pub(super) struct Processors {
    all: Vec<usize>,
    server: Vec<usize>,
    generator: Vec<usize>,
}

/// Who runs on some of the processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A server.
    Server,
    /// The load generator.
    Generator,
}

impl Processors {
    /// Half of what there is for each side, or everything for both if nothing is to be pinned.
    pub(super) fn share(pinned: bool) -> Result<Self> {
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
    pub(super) fn within<T>(&self, place: Place, start: impl FnOnce() -> Result<T>) -> Result<T> {
        bind(match place {
            Place::Server => &self.server,
            Place::Generator => &self.generator,
        })?;
        let result = start();
        bind(&self.all)?;
        result
    }

    /// How many there are for anybody.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// What the report says of it.
    pub(super) fn text(&self) -> String {
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

/// Memory of a process that is no file, in bytes. Counted page by page: the sums in `status` lag
/// behind by more than a small server has.
pub(super) fn anonymous_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let maps = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = maps
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib
        .with_context(|| format!("no `Anonymous` in {path}"))?
        .parse()?;
    Ok(kib * 1024)
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
}
