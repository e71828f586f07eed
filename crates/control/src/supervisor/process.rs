//! The process of a node: found by what it was started with, wherever it came from.
//!
//! A process has two variables in its environment, the node with its data folder and the version,
//! which nobody can change from outside and which are there as soon as its binary runs. A number of
//! a process may be given to another one; the handle that is opened before the environment is read
//! may not, so a signal never reaches a stranger.

use std::{
    fs::{self, OpenOptions},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use base::{
    Clock,
    limits::{NODE_STARTED_MS_MAX, NODE_STOPPED_MS_MAX},
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{NodeName, Version};

const NODE_VARIABLE: &str = "CARRACK_NODE";
const VERSION_VARIABLE: &str = "CARRACK_NODE_VERSION";

/// Between two looks at a process that ends, at first.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// What a process is started as.
pub(super) struct Launch<'a> {
    /// Whose process it is, together with the folder.
    pub(super) name: &'a NodeName,
    pub(super) folder: &'a Path,
    /// The file to which its output is added.
    pub(super) output: &'a Path,
    pub(super) arguments: &'a [String],
    pub(super) binary: &'a Path,
    /// What it says that it runs.
    pub(super) version: Version,
}

/// A node's process that was running when it was found.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    handle: OwnedFd,
    version: Version,
}

impl Process {
    /// The process of a node, if there is one.
    pub(super) fn find(name: &NodeName, folder: &Path) -> io::Result<Option<Self>> {
        let marker = marker(name, folder);
        for entry in fs::read_dir("/proc")? {
            let file_name = entry?.file_name();
            let number = file_name.to_str().and_then(|name| name.parse().ok());
            let Some(pid) = number.and_then(Pid::from_raw) else {
                continue;
            };
            // Most processes are not ours to look at, or end meanwhile.
            if version_of(pid, &marker).is_none() {
                continue;
            }
            let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
                continue;
            };
            // Again, now that the number cannot be given to another process unseen.
            if let Some(version) = version_of(pid, &marker) {
                return Ok(Some(Self {
                    pid,
                    handle,
                    version,
                }));
            }
        }
        Ok(None)
    }

    /// All processes whose folders are in `folder`, with their names.
    pub(super) fn all_in(folder: &Path) -> io::Result<Vec<(NodeName, Self)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let file_name = entry?.file_name();
            let number = file_name.to_str().and_then(|name| name.parse().ok());
            let Some((name, own)) = number.and_then(node_of) else {
                continue;
            };
            if own.starts_with(folder)
                && let Some(process) = Self::find(&name, &own)?
            {
                found.push((name, process));
            }
        }
        Ok(found)
    }

    /// What it runs.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Starts the process of a node, which can be found when this returns. To be called where tokio
    /// runs.
    pub(super) async fn start(launch: Launch<'_>, clock: &dyn Clock) -> io::Result<()> {
        if let Some(parent) = launch.output.parent() {
            fs::create_dir_all(parent)?;
        }
        let output = OpenOptions::new()
            .append(true)
            .create(true)
            .open(launch.output)?;
        let mut child = tokio::process::Command::new(launch.binary)
            .args(launch.arguments)
            // Settings and secrets of the control process are not meant for its nodes.
            .env_clear()
            .env(NODE_VARIABLE, marker(launch.name, launch.folder))
            .env(VERSION_VARIABLE, launch.version.to_string())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // What ends the control process, be it a key at its terminal, does not end its nodes.
            .process_group(0)
            .kill_on_drop(false)
            .spawn()?;
        // It has its environment a moment after it was started.
        let began = clock.elapsed();
        let limit = Duration::from_millis(NODE_STARTED_MS_MAX);
        while Self::find(launch.name, launch.folder)?.is_none() {
            if let Some(status) = child.try_wait()? {
                let output = launch.output.display();
                let text = format!("it ended with {status}, see `{output}`");
                return Err(io::Error::other(text));
            }
            if clock.elapsed().saturating_sub(began) >= limit {
                child.start_kill()?;
                child.wait().await?;
                let text = format!("it is not there after {limit:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            clock.sleep(LOOK_PAUSE).await;
        }
        // Somebody must take note of its end, or its number is never free again.
        tokio::spawn(async move { child.wait().await });
        Ok(())
    }

    /// Has it stop in order, and ends it if that takes too long. Returns when it has ended.
    pub(super) async fn stop(&self, clock: &dyn Clock) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        let began = clock.elapsed();
        let limit = Duration::from_millis(NODE_STOPPED_MS_MAX);
        let mut killed = false;
        while !self.has_ended() {
            let waited = clock.elapsed().saturating_sub(began);
            if !killed && waited >= limit {
                tracing::warn!(pid = %self.pid.as_raw_pid(), ?limit, "node does not stop, killed");
                self.signal(Signal::KILL)?;
                killed = true;
            }
            // A node that takes long is looked at less often, and is seen a tenth late at most.
            clock.sleep((waited / 10).max(LOOK_PAUSE)).await;
        }
        Ok(())
    }

    /// Ends it at once.
    #[cfg(test)]
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL).unwrap();
    }

    #[cfg(test)]
    pub(super) fn number(&self) -> i32 {
        self.pid.as_raw_pid()
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.handle, signal) {
            // It has ended.
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether it has let go of all that it had: it is gone, or waits for somebody to take note.
    pub(super) fn has_ended(&self) -> bool {
        if pidfd_send_signal(&self.handle, Signal::CONT).is_err() {
            return true;
        }
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_pid()));
        // The name in parentheses may hold anything; the state is behind it.
        let state = stat.ok().and_then(|stat| {
            let (_, behind) = stat.rsplit_once(')')?;
            behind.trim_start().chars().next()
        });
        matches!(state, None | Some('Z' | 'X'))
    }
}

/// Node and data folder in one text: names of nodes may be used again elsewhere.
fn marker(name: &NodeName, folder: &Path) -> String {
    format!("{name}@{}", folder.display())
}

/// The version that a process was started with, if it is the node's.
fn version_of(pid: Pid, marker: &str) -> Option<Version> {
    let environment = environment(pid.as_raw_pid())?;
    if value(&environment, NODE_VARIABLE)? != marker {
        return None;
    }
    value(&environment, VERSION_VARIABLE)?.parse().ok()
}

/// The node and the folder whose process that is.
fn node_of(pid: i32) -> Option<(NodeName, PathBuf)> {
    let environment = environment(pid)?;
    let (name, folder) = value(&environment, NODE_VARIABLE)?.split_once('@')?;
    Some((NodeName::new(name), folder.into()))
}

fn environment(pid: i32) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/environ")).ok()
}

fn value<'a>(environment: &'a [u8], name: &str) -> Option<&'a str> {
    let mut variables = environment.split(|byte| *byte == 0);
    variables.find_map(|variable| {
        let value = variable.strip_prefix(name.as_bytes())?;
        str::from_utf8(value.strip_prefix(b"=")?).ok()
    })
}
