//! Running the binary: commands to their end, servers until they are told to stop.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread::JoinHandle,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to say that it is ready: a busy machine is slow, a stuck one is
/// stuck.
const READY_WAIT: Duration = Duration::from_secs(60);

/// The binary.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_carrack");

/// A command of the binary, with an environment that sets nothing.
pub(crate) fn carrack(arguments: &[&str]) -> Command {
    command_of(Path::new(BINARY), arguments)
}

/// The same of another build.
pub(crate) fn command_of(binary: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARRACK_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// Standard output of a command that must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        assert_eq!(self.err, "");
        self.out
    }

    /// Standard error of a command that must have ended with this code, and printed nothing else.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        assert_eq!(self.out, "");
        self.err
    }
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    carrack(arguments).output().unwrap().into()
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    addresses: Vec<SocketAddr>,
    log: Option<JoinHandle<String>>,
}

impl Server {
    /// Starts a server on a free port.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &["--listen", "127.0.0.1:0"])
    }

    /// Starts a server with these further arguments.
    pub(crate) fn start_with(data: &Path, arguments: &[&str]) -> Self {
        let mut command = carrack(&["server", "--data", data.to_str().unwrap()]);
        command.args(arguments);
        Self::spawn(command)
    }

    /// Starts a server and waits until it is ready.
    pub(crate) fn spawn(command: Command) -> Self {
        Self::start_and_read(command, 0).0
    }

    /// Starts a server that makes up an administrator, and gives what it tells of it.
    pub(crate) fn spawn_told(command: Command) -> (Self, Vec<String>) {
        Self::start_and_read(command, 3)
    }

    /// Starts a server and reads its first line, and so many more.
    fn start_and_read(mut command: Command, more: usize) -> (Self, Vec<String>) {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for _ in 0..=more {
                let mut line = String::new();
                stdout.read_line(&mut line).unwrap();
                // Nobody listens any more if it took too long.
                let _ = sender.send(line);
            }
        });
        let mut server = Self {
            child,
            addresses: Vec::new(),
            log: Some(log),
        };
        let line = receiver.recv_timeout(READY_WAIT).unwrap_or_default();
        let Some(addresses) = line.strip_prefix("ready ") else {
            panic!(
                "the server said `{line}`, its log:\n{}",
                server.end(Signal::KILL).1
            );
        };
        server.addresses = addresses
            .split_whitespace()
            .map(|address| address.parse().unwrap())
            .collect();
        let told = (0..more).map(|_| receiver.recv_timeout(READY_WAIT).unwrap());
        (server, told.collect())
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Its first address as text.
    pub(crate) fn address(&self) -> String {
        self.addresses[0].to_string()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Runs a command against it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        carrack(arguments)
            .args(["--server", &self.address()])
            .output()
            .unwrap()
            .into()
    }

    /// Runs a command against it that must succeed, and reads its JSON.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--output", "json"]);
        serde_json::from_str(&self.run(&arguments).ok()).unwrap()
    }

    /// Sends a signal, waits for the end, and gives the exit code (none if the signal ended it) and
    /// the log.
    pub(crate) fn end(&mut self, signal: Signal) -> (Option<i32>, String) {
        // It may have ended by itself already.
        let _ = kill_process(Pid::from_child(&self.child), signal);
        self.wait()
    }

    /// Waits for its end, and gives the exit code (none if a signal ended it) and the log.
    pub(crate) fn wait(&mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        let log = self.log.take().map(|log| log.join().unwrap());
        (status.code(), log.unwrap_or_default())
    }

    /// Stops it in order.
    #[track_caller]
    pub(crate) fn stop(mut self) -> String {
        let (code, log) = self.end(Signal::TERM);
        assert_eq!(code, Some(0), "{log}");
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has been waited for already where a test ended it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
