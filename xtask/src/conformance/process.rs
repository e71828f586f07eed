//! A child process whose lines and end arrive as messages, so that every wait has a deadline.

use std::fs::{self, File};
use std::io::{BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::deadline::{self, Deadline};

/// Lines that may wait to be read; a writer that runs ahead blocks on its pipe.
const LINES_WAITING_MAX: usize = 4096;

/// A line that a child wrote.
#[derive(Debug)]
pub(crate) struct Line {
    /// The text, without its line feed.
    pub(crate) text: String,
    /// When it was read, in milliseconds since 1970.
    pub(crate) at_ms: u64,
}

impl Line {
    /// A line that was read now.
    pub(crate) fn of(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            at_ms: deadline::unix_ms(),
        }
    }
}

/// A running child. Dropping it kills it.
pub(crate) struct Process {
    name: String,
    pid: Pid,
    input: Option<ChildStdin>,
    lines: Receiver<Line>,
    end: Receiver<std::io::Result<ExitStatus>>,
    ended: bool,
}

impl Process {
    /// Starts `command`; its standard error goes to the end of the file `log`.
    pub(crate) fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        let errors = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("open {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("start {name}: {command:?}"))?;
        let pid = Pid::from_child(&child);
        let input = child.stdin.take();
        let output = child
            .stdout
            .take()
            .context("standard output of the child")?;
        let (line_sender, lines) = sync_channel(LINES_WAITING_MAX);
        thread::spawn(move || forward_lines(BufReader::new(output), &line_sender));
        let (end_sender, end) = sync_channel(1);
        thread::spawn(move || {
            // Nobody listens any more when the process was dropped.
            let _ = end_sender.send(child.wait());
        });
        Ok(Self {
            name: name.to_owned(),
            pid,
            input,
            lines,
            end,
            ended: false,
        })
    }

    /// Writes to the standard input of the child.
    pub(crate) fn write(&mut self, text: &str) -> Result<()> {
        let input = self.input.as_mut().context("standard input is closed")?;
        input
            .write_all(text.as_bytes())
            .and_then(|()| input.flush())
            .with_context(|| format!("write to {}", self.name))
    }

    /// The next line of standard output.
    pub(crate) fn next_line(&mut self, deadline: Deadline) -> Result<Line> {
        self.line_until(deadline)?
            .with_context(|| format!("{} said nothing in time", self.name))
    }

    /// The next line of standard output, or none if there is none by `deadline`.
    pub(crate) fn line_until(&mut self, deadline: Deadline) -> Result<Option<Line>> {
        match self.lines.recv_timeout(deadline.remaining()) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("{} ended unexpectedly", self.name),
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Lets time pass; true if the process ended by itself meanwhile.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        !matches!(self.end.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }

    /// Asks the process to stop, as an operator would.
    pub(crate) fn terminate(&self) -> Result<()> {
        kill_process(self.pid, Signal::TERM).with_context(|| format!("stop {}", self.name))
    }

    /// Waits for the end and expects success.
    pub(crate) fn wait_for_success(&mut self, deadline: Deadline) -> Result<()> {
        let status = match self.end.recv_timeout(deadline.remaining()) {
            Ok(status) => status.with_context(|| format!("wait for {}", self.name))?,
            Err(_) => bail!("{} did not end in time", self.name),
        };
        self.ended = true;
        if !status.success() {
            bail!("{} ended with {status}", self.name);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended {
            // It may have ended by itself; then there is nobody to kill.
            let _ = kill_process(self.pid, Signal::KILL);
            let _ = self.end.recv();
        }
    }
}

fn forward_lines(output: impl std::io::BufRead, lines: &SyncSender<Line>) {
    for line in output.lines() {
        let Ok(line) = line else { return };
        if lines.send(Line::of(line)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shell(script: &str) -> Process {
        let folder = tempfile::tempdir().expect("folder");
        Process::start(
            "shell",
            Command::new("sh").args(["-c", script]),
            &folder.path().join("log"),
        )
        .expect("start")
    }

    #[test]
    fn lines_arrive_and_the_end_is_checked() {
        let mut process = shell("read word; echo \"got $word\"; exit 3");
        process.write("it\n").expect("write");
        let deadline = Deadline::after(Duration::from_secs(20));
        assert_eq!(process.next_line(deadline).expect("line").text, "got it");
        let reason = process.wait_for_success(deadline).expect_err("exit 3");
        assert!(reason.to_string().contains("exit status: 3"), "{reason}");
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let mut process = shell("read never");
        let reason = process
            .next_line(Deadline::after(Duration::ZERO))
            .expect_err("silent");
        assert!(
            reason.to_string().contains("said nothing in time"),
            "{reason}"
        );
    }
}
