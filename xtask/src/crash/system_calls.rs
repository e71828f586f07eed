//! `cargo xtask syscalls`: the system calls of one send show `fdatasync` returning before the
//! reply.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base::SeededRandom;
use rustix::process::{Pid, Signal, kill_process};

use super::message::body_of_len;
use super::outlet::{self, Outlet, Protocol};
use super::server::Server;
use super::{Options, runtime, trace};
use crate::conformance::deadline::{Deadline, START};

const TOPIC: &str = "system-calls";

/// Calls that move data, and those that make it durable.
const CALLS: &str = "trace=read,readv,recvfrom,recvmsg,write,writev,pwrite64,pwritev,pwritev2,\
    sendto,sendmsg,fsync,fdatasync,io_uring_enter";

/// Sends under the tracer, one after the other; each is looked at.
const SENDS: u32 = 5;

/// Traces sends over both protocols.
pub(crate) fn run(options: &Options) -> Result<()> {
    let random = SeededRandom::new(options.seed());
    let runtime = runtime()?;
    let folder = tempfile::tempdir().context("create the data folder")?;
    let data = folder.path().join("data");
    let mut server = Server::new("system-calls", &options.server_binary, &data, 1, &random)?;
    server.start()?;
    let address = server.address();
    runtime.block_on(outlet::create_topic(&address, TOPIC, 1))?;
    for protocol in Protocol::ALL {
        let outlet = runtime.block_on(Outlet::connect(protocol, &address))?;
        let send = |key: &str| {
            let body = body_of_len(key, 64);
            runtime.block_on(outlet.send(TOPIC, key, body)).map(|_| ())
        };
        // The first send of a topic may do more than others.
        send("first").context("send a first message")?;
        let file = folder.path().join(format!("{protocol:?}.trace"));
        let tracer = Tracer::attach(server.pid()?, &file)?;
        let keys: Vec<String> = (0..SENDS)
            .map(|n| format!("traced-{protocol:?}-{n}"))
            .collect();
        for key in &keys {
            send(key).with_context(|| format!("send {key} over {protocol:?}"))?;
        }
        tracer.detach()?;
        let text = fs::read_to_string(&file).context("read the trace")?;
        for key in &keys {
            let marker = body_of_len(key, 64);
            let evidence = trace::check(&text, &marker, protocol)
                .with_context(|| format!("send {key}; the trace:\n{}", shortened(&text)))?;
            println!(
                "{key}: written on line {}, durable on line {}, replied on line {} ({})",
                evidence.written, evidence.durable, evidence.replied, evidence.file
            );
        }
    }
    server.stop()?;
    server.expect_no_panic()
}

/// `strace` on a running process.
struct Tracer {
    child: Child,
}

impl Tracer {
    /// Attaches to every thread of a process, and returns once it has.
    fn attach(pid: i32, output: &Path) -> Result<Self> {
        let child = Command::new("strace")
            .args([
                "-f",
                "-xx",
                "-yy",
                "-s",
                "4096",
                "-e",
                CALLS,
                "-p",
                &pid.to_string(),
                "-o",
            ])
            .arg(output)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start strace, of the package of that name")?;
        let mut tracer = Self { child };
        let deadline = Deadline::after(START);
        while !all_traced(pid)? {
            if let Some(status) = tracer.child.try_wait().context("look after strace")? {
                bail!("strace ended with {status}: it may not be allowed to trace here");
            }
            if deadline.remaining() == Duration::ZERO {
                bail!("strace did not attach in time");
            }
            std::thread::yield_now();
        }
        Ok(tracer)
    }

    /// Lets go of the process, and returns once the trace is written.
    fn detach(mut self) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).context("stop strace")?;
        self.child.wait().context("wait for strace")?;
        Ok(())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // It has ended already unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether every thread has a tracer: the kernel says so.
fn all_traced(pid: i32) -> Result<bool> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).context("list threads")?;
    for task in tasks {
        let path = task.context("list threads")?.path().join("status");
        // A thread may end between the listing and the reading.
        let Ok(status) = fs::read_to_string(&path) else {
            continue;
        };
        if status.lines().any(|line| line == "TracerPid:\t0") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The last lines of a trace, for a report of failure.
fn shortened(trace: &str) -> String {
    const LINES: usize = 60;
    let lines: Vec<&str> = trace.lines().collect();
    let cut = lines.len().saturating_sub(LINES);
    let short = |line: &&str| line.chars().take(300).collect::<String>();
    lines[cut..]
        .iter()
        .map(short)
        .collect::<Vec<_>>()
        .join("\n")
}
