//! A real etcd of one member, on free ports of this machine.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

/// A running etcd; killed when dropped, with its data.
pub(crate) struct Etcd {
    folder: tempfile::TempDir,
    ports: [u16; 2],
    child: Child,
    tls: Vec<String>,
}

impl Etcd {
    /// Starts an etcd and waits until it serves.
    pub(crate) fn start() -> Self {
        Self::start_with(Vec::new())
    }

    /// The same, with these arguments on TLS towards clients.
    pub(crate) fn start_with(tls: Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap();
        // Both are held until both are known.
        let held = [free(), free()];
        let ports = held.each_ref().map(|it| it.local_addr().unwrap().port());
        drop(held);
        let child = spawn(&folder, ports, &tls);
        Self {
            folder,
            ports,
            child,
            tls,
        }
    }

    /// Where clients find it.
    pub(crate) fn endpoint(&self) -> String {
        url(&self.tls, self.ports[0])
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was, with what it had.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(&self.folder, self.ports, &self.tls);
    }
}

fn url(tls: &[String], port: u16) -> String {
    let scheme = if tls.is_empty() { "http" } else { "https" };
    format!("{scheme}://127.0.0.1:{port}")
}

fn spawn(folder: &tempfile::TempDir, ports: [u16; 2], tls: &[String]) -> Child {
    let (client, peer) = (url(tls, ports[0]), url(&[], ports[1]));
    let mut child = Command::new("etcd")
        .arg("--data-dir")
        .arg(folder.path().join("etcd"))
        .args(["--listen-client-urls", &client])
        .args(["--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer])
        .args(["--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}")])
        .args(tls)
        .args(["--logger", "zap", "--log-outputs", "stderr"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("etcd is installed, see `cargo xtask setup`");
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !["insecurely", "securely"]
        .iter()
        .any(|how| said.contains(&format!("client traffic {how}")))
    {
        let mut line = String::new();
        let read = log.read_line(&mut line).unwrap();
        assert!(read > 0, "etcd ended:\n{said}");
        said.push_str(&line);
    }
    // Read on, so that it never waits for room.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    child
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It has been killed already where a test did so.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
