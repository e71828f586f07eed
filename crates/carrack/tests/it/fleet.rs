//! `carrack fleet` with real nodes and a real etcd.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Server, carrack};

/// Looks of 20 ms each within which what was ordered must be: a minute.
const LOOKS: usize = 3_000;

/// Ports of each fleet of these tests.
const PORTS: u16 = 40;

static NEXT_PORT: AtomicU16 = AtomicU16::new(24_000);

/// Waits a moment.
#[expect(
    clippy::disallowed_methods,
    reason = "a pause between looks, or before a kill, not what is waited for"
)]
fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = look() {
            return found;
        }
        pause(20);
    }
    panic!("it never was so: {what}");
}

/// A fleet on a folder of its own. All that it started ends with it.
struct Fleet {
    folder: tempfile::TempDir,
    ports: String,
    server: Option<Server>,
}

impl Fleet {
    fn new() -> Self {
        let from = NEXT_PORT.fetch_add(PORTS, Ordering::Relaxed);
        let mut fleet = Self {
            folder: tempfile::tempdir().unwrap(),
            ports: format!("{from}-{}", from + PORTS - 1),
            server: None,
        };
        fleet.start();
        fleet
    }

    fn command(&self) -> Command {
        let data = self.folder.path().to_str().unwrap();
        let mut command = carrack(&["fleet", "--data", data, "--listen", "127.0.0.1:0"]);
        command
            .args(["--node-ports", &self.ports])
            .args(["--node-drain-seconds-max", "1"])
            .env("CARRACK_NODE_LEASE_SECONDS", "2")
            .env("CARRACK_ADMIN_ACCESS_KEY", "admin")
            .env("CARRACK_ADMIN_SECRET_KEY", "secret-of-admin");
        command
    }

    fn start(&mut self) {
        self.server = Some(Server::spawn(self.command()));
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// Ends the control process alone.
    fn end(&mut self, signal: Signal) {
        self.server.take().unwrap().end(signal);
    }

    fn describe(&self, id: &str) -> Option<Value> {
        let ended = self
            .server()
            .run(&["instance", "describe", id, "--output", "json"]);
        (ended.code == Some(0)).then(|| serde_json::from_str(&ended.out).unwrap())
    }

    #[track_caller]
    fn until_running(&self, id: &str, nodes: usize) {
        until("instance in service", || {
            let found = self.describe(id)?;
            (found["status"] == "RUNNING").then_some(())
        });
        assert_eq!(self.nodes_of(id), nodes);
    }

    /// Nodes of an instance that have a place.
    fn nodes_of(&self, id: &str) -> usize {
        let nodes = fs::read_dir(self.folder.path().join("nodes")).unwrap();
        let names = nodes.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(id)).count()
    }

    fn create(&self, arguments: &[&str]) -> String {
        let mut all = vec!["instance", "create"];
        all.extend(arguments);
        let made = self.server().json(&all);
        made["instance"].as_str().unwrap().to_owned()
    }

    /// Processes whose environment says that they are nodes of this fleet, or its etcd.
    fn processes(&self) -> Vec<i32> {
        processes(self.folder.path())
    }
}

fn processes(folder: &Path) -> Vec<i32> {
    let folder = fs::canonicalize(folder).unwrap();
    let marker = format!("@{}/", folder.display());
    let is_node = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment)
            .split('\0')
            .any(|variable| variable.starts_with("CARRACK_NODE=") && variable.contains(&marker))
    };
    let entries = fs::read_dir("/proc").unwrap();
    let names = entries.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let pids = names.filter_map(|name| name.parse().ok());
    let mut found: Vec<i32> = pids.filter(is_node).collect();
    found.sort_unstable();
    found
}

impl Drop for Fleet {
    fn drop(&mut self) {
        drop(self.server.take());
        let halted = self.command().arg("--halt").output().unwrap();
        if !std::thread::panicking() {
            assert!(halted.status.success(), "{halted:?}");
            assert!(self.processes().is_empty());
        }
    }
}

const ULTIMATE: [&str; 4] = ["--edition", "ultimate", "--spec", "rmq.u2.10xlarge"];

#[test]
fn a_fleet_runs_nodes_that_outlive_it() {
    let mut fleet = Fleet::new();
    // A tenant of the shared nodes is there as soon as it is answered.
    let single = fleet.create(&[
        "--edition",
        "standard",
        "--sub-series",
        "single_node",
        "--spec",
        "rmq.s1.micro",
    ]);
    assert_eq!(fleet.describe(&single).unwrap()["status"], "RUNNING");
    let own = fleet.create(&ULTIMATE);
    fleet.until_running(&own, 2);
    // Shared node, two of its own, etcd.
    let before = until("four processes", || {
        let found = fleet.processes();
        (found.len() == 4).then_some(found)
    });
    for id in [&single, &own] {
        fleet
            .server()
            .run(&["topic", "create", "orders", "--instance", id])
            .ok();
        until("a message is taken", || {
            let arguments = ["message", "send", "orders", "--body", "x", "--instance", id];
            (fleet.server().run(&arguments).code == Some(0)).then_some(())
        });
    }

    // Nodes are commanded only by who signs, access control or not.
    let unsigned = fleet.server().run(&["release", "list"]).fails(1);
    assert!(unsigned.contains("Authorization"), "{unsigned}");
    let keys = ["--access-key", "admin", "--secret-key", "secret-of-admin"];
    let signed = [&["release", "list"][..], &keys].concat();
    fleet.server().run(&signed).ok();

    fleet.end(Signal::TERM);
    assert_eq!(fleet.processes(), before);
    fleet.start();
    fleet.until_running(&own, 2);
    assert_eq!(fleet.processes(), before);

    // What crashes comes back.
    let node = before
        .iter()
        .find(|pid| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
            String::from_utf8_lossy(&arguments).contains(&own)
        })
        .copied()
        .unwrap();
    let pid = rustix::process::Pid::from_raw(node).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    until("another process of the node", || {
        let now = fleet.processes();
        (now.len() == 4 && now != before).then_some(())
    });

    for id in [&own, &single] {
        let topic = ["topic", "delete", "orders", "--instance", id];
        fleet.server().run(&topic).ok();
        fleet.server().run(&["instance", "release", id]).ok();
        until("released", || fleet.describe(id).is_none().then_some(()));
    }
    until("no nodes of its own", || {
        (fleet.processes().len() == 2).then_some(())
    });
    assert_eq!(fleet.nodes_of(&own), 0);
}

#[test]
fn a_fleet_that_is_killed_anywhere_is_followed_by_one_that_finishes() {
    let mut fleet = Fleet::new();
    for after_ms in [0, 60, 250] {
        let id = fleet.create(&ULTIMATE);
        for nodes in [3, 2] {
            pause(after_ms);
            fleet.end(Signal::KILL);
            fleet.start();
            let before = if nodes == 3 { 2 } else { 3 };
            fleet.until_running(&id, before);
            let nodes = nodes.to_string();
            let change = ["instance", "change-spec", &id, "--nodes", &nodes];
            fleet.server().run(&change).ok();
        }
        pause(after_ms);
        fleet.end(Signal::KILL);
        fleet.start();
        fleet.until_running(&id, 2);
        fleet.server().run(&["instance", "release", &id]).ok();
        pause(after_ms);
        fleet.end(Signal::KILL);
        fleet.start();
        until("released", || fleet.describe(&id).is_none().then_some(()));
        until("no nodes of its own", || {
            (fleet.processes().len() == 2).then_some(())
        });
        assert_eq!(fleet.nodes_of(&id), 0);
    }
}

#[test]
fn a_fleet_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let fleet = |arguments: &[&str]| {
        let mut command = carrack(&["fleet", "--data", data]);
        command.args(arguments);
        crate::support::Ended::from(command.output().unwrap())
    };
    let ended = fleet(&["--node-name", "a"]).fails(2);
    assert!(ended.contains("a fleet is no node"), "{ended}");
    let ended = fleet(&["--time-zone", "Mars/Base"]).fails(2);
    assert!(ended.contains("Mars/Base"), "{ended}");
    let mut command = carrack(&["fleet", "--data", data, "--log-level", "error"]);
    command.env("PATH", data);
    let ended = crate::support::Ended::from(command.output().unwrap()).fails(1);
    assert!(ended.contains("etcd-server"), "{ended}");
    // The folder is a fleet's from then on.
    let server = carrack(&["server", "--data", data, "--log-level", "error"]).output();
    let ended = crate::support::Ended::from(server.unwrap()).fails(1);
    assert!(ended.contains("that of a fleet"), "{ended}");
}
