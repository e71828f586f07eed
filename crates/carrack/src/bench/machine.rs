//! Where a run took place, and what it cost in CPU time. From `/proc`, so on Linux alone.

use std::fs;

use serde::Serialize;
use tokio::{sync::oneshot, time::Instant};

use super::{Span, wait_until};

/// Ticks of `/proc` per second: Linux shows 100 to programs, whatever it counts in.
const TICKS_PER_SECOND: f64 = 100.0;

/// Shortest time, in s, over which ticks say something of other processes: one of them is a tenth
/// of a run of 100 ms.
const WATCHED_SECONDS_MIN: f64 = 1.0;

/// The machine that the load generator runs on.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    name: String,
    cpu: String,
    cpus: usize,
    memory_bytes: u64,
    kernel: String,
}

impl Machine {
    /// This machine.
    pub(super) fn this() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let line = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = line(&text("/proc/meminfo"), "MemTotal");
        let kib = memory.and_then(|memory| memory.split(' ').next()?.parse::<u64>().ok());
        Self {
            name: text("/proc/sys/kernel/hostname").trim().to_owned(),
            cpu: line(&text("/proc/cpuinfo"), "model name").unwrap_or_default(),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: kib.unwrap_or(0) * 1024,
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// CPU time and memory over the measured time.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Usage {
    /// CPU time of the load generator in seconds.
    pub(super) generator_cpu_seconds: f64,
    /// CPU time of the server in seconds, if its process was named.
    pub(super) server_cpu_seconds: Option<f64>,
    /// CPU time of all other processes, in percent of one CPU: what disturbed the run.
    pub(super) others_cpu_percent: Option<f64>,
    /// Resident memory of the server at the end.
    pub(super) server_memory_bytes: Option<u64>,
    /// The part of it that is no file.
    pub(super) server_anonymous_memory_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Ticks {
    at: Instant,
    own: u64,
    server: Option<u64>,
    busy: u64,
}

impl Usage {
    /// Watches the measured time of a run, or the part of it before `stopped`.
    pub(super) async fn watch(
        span: Span,
        server: Option<u32>,
        stopped: oneshot::Receiver<()>,
    ) -> Self {
        wait_until(span.measured).await;
        let before = Ticks::now(server);
        tokio::select! {
            () = wait_until(span.end) => {}
            _ = stopped => {}
        }
        let after = Ticks::now(server);
        let seconds = |ticks: u64| ticks as f64 / TICKS_PER_SECOND;
        let own = after.own.saturating_sub(before.own);
        let of_server = after
            .server
            .zip(before.server)
            .map(|(a, b)| a.saturating_sub(b));
        let others = of_server.map(|server| {
            let busy = after.busy.saturating_sub(before.busy);
            let took = (after.at - before.at)
                .as_secs_f64()
                .max(WATCHED_SECONDS_MIN);
            (seconds(busy.saturating_sub(own + server)) / took * 1_000.0).round() / 10.0
        });
        Self {
            generator_cpu_seconds: seconds(own),
            server_cpu_seconds: of_server.map(seconds),
            others_cpu_percent: others,
            server_memory_bytes: server.and_then(|pid| status_bytes(pid, "VmRSS:")),
            server_anonymous_memory_bytes: server.and_then(|pid| status_bytes(pid, "RssAnon:")),
        }
    }
}

impl Ticks {
    fn now(server: Option<u32>) -> Self {
        Self {
            at: Instant::now(),
            own: process_ticks("self").unwrap_or(0),
            server: server.and_then(|pid| process_ticks(&pid.to_string())),
            busy: busy_ticks().unwrap_or(0),
        }
    }
}

/// User and system time of a process.
fn process_ticks(process: &str) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is a name in brackets, which may hold blanks.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Time that all CPUs were not idle.
fn busy_ticks() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<u64> = stat
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .filter_map(|f| f.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal; guest time is part of user time.
    let sum: u64 = fields.iter().take(8).sum();
    Some(sum - fields.get(3)? - fields.get(4)?)
}

fn status_bytes(process: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_times_and_memory() {
        assert!(process_ticks("self").is_some());
        assert!(busy_ticks().is_some_and(|ticks| ticks > 0));
        assert!(status_bytes(std::process::id(), "VmRSS:").is_some_and(|bytes| bytes > 0));
    }
}
