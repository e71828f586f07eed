//! `carrack fleet` with real nodes and a real etcd.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use base::{Clock, Timestamp};
use client::{
    Credentials,
    openapi::{Method, OpenApiCall, OpenApiClient},
};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{BINARY, Server, carrack, command_of};

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
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = look() {
            return found;
        }
        pause(20);
    }
    panic!("it never was so: {what}");
}

/// A fleet on a folder of its own. All that it started ends with it.
pub(crate) struct Fleet {
    folder: tempfile::TempDir,
    ports: String,
    binary: PathBuf,
    shared_nodes: u16,
    server: Option<Server>,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        Self::with_shared_nodes(1)
    }

    fn with_shared_nodes(shared_nodes: u16) -> Self {
        let from = NEXT_PORT.fetch_add(PORTS, Ordering::Relaxed);
        let mut fleet = Self {
            folder: tempfile::tempdir().unwrap(),
            ports: format!("{from}-{}", from + PORTS - 1),
            binary: BINARY.into(),
            shared_nodes,
            server: None,
        };
        fleet.start();
        fleet
    }

    fn command(&self) -> Command {
        let data = self.folder.path().to_str().unwrap();
        let fleet = ["fleet", "--data", data, "--listen", "127.0.0.1:0"];
        let mut command = command_of(&self.binary, &fleet);
        command
            .args(["--node-ports", &self.ports])
            .args(["--shared-nodes", &self.shared_nodes.to_string()])
            .args(["--node-drain-seconds-max", "1"])
            .env("CARRACK_NODE_LEASE_SECONDS", "2")
            .env("CARRACK_ADMIN_ACCESS_KEY", "admin")
            .env("CARRACK_ADMIN_SECRET_KEY", "secret-of-admin");
        command
    }

    fn start(&mut self) {
        self.server = Some(Server::spawn(self.command()));
    }

    pub(crate) fn server(&self) -> &Server {
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
    pub(crate) fn until_running(&self, id: &str, nodes: usize) {
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

    pub(crate) fn create(&self, arguments: &[&str]) -> String {
        let mut all = vec!["instance", "create"];
        all.extend(arguments);
        let made = self.server().json(&all);
        made["instance"].as_str().unwrap().to_owned()
    }

    /// The answer to a signed request over the OpenAPI, or status and code of its refusal.
    fn ask(
        &self,
        operation: &'static str,
        method: Method,
        path: &[&str],
        body: Option<Value>,
    ) -> Result<Value, (u16, String)> {
        let credentials = Credentials {
            access_key: "admin".to_owned(),
            secret_key: "secret-of-admin".to_owned(),
        };
        let address = self.server().address();
        let client = OpenApiClient::new(&address, Some(credentials), Arc::new(RealClock));
        let mut call = OpenApiCall::new(operation, method, path);
        if path[0] == "api" {
            call.query = vec![("regionId", "DefaultRegion".to_owned())];
        }
        call.body = body;
        let runtime = tokio::runtime::Runtime::new().unwrap();
        match runtime.block_on(client.document(&call)) {
            Ok(answer) => Ok(answer),
            Err(client::ClientError::RefusedOpenApi { status, code, .. }) => Err((status, code)),
            Err(error) => panic!("{operation}: {error}"),
        }
    }

    /// Processes of shared nodes by their names, with the folders of their binaries.
    fn shared(&self) -> BTreeMap<String, (i32, PathBuf)> {
        let processes = self.processes().into_iter();
        let shared = processes.filter_map(|pid| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let arguments = String::from_utf8_lossy(&arguments).into_owned();
            let (_, name) = arguments.split_once("/nodes/")?;
            let (name, _) = name.split_once('/')?;
            let binary = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            name.starts_with("shared-")
                .then(|| (name.to_owned(), (pid, binary)))
        });
        shared.collect()
    }

    /// Processes whose environment says that they are nodes of this fleet, or its etcd.
    fn processes(&self) -> Vec<i32> {
        processes(self.folder.path())
    }
}

/// The machine's time.
struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is a clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::default().after(since.unwrap())
    }

    fn elapsed(&self) -> Duration {
        self.now().since(Timestamp::default())
    }

    fn sleep(&self, duration: Duration) -> base::Sleep {
        Box::pin(async move { pause(duration.as_millis() as u64) })
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

/// A tenant of the shared nodes.
const SINGLE_NODE: [&str; 6] = [
    "--edition",
    "standard",
    "--sub-series",
    "single_node",
    "--spec",
    "rmq.s1.micro",
];

pub(crate) const ULTIMATE: [&str; 4] = ["--edition", "ultimate", "--spec", "rmq.u2.10xlarge"];

#[test]
fn a_fleet_runs_nodes_that_outlive_it() {
    let mut fleet = Fleet::new();
    // A tenant of the shared nodes is there as soon as it is answered.
    let single = fleet.create(&SINGLE_NODE);
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

/// A second build, of the next version: all that differs is what the binary says of itself.
fn newer_binary(folder: &Path) -> PathBuf {
    let newer = folder.join("carrack-newer");
    // What it says has the same length.
    let replaced = Command::new("sed")
        .env("LC_ALL", "C")
        .arg("s/0\\.0\\.0-rmq-0\\.0\\.0/0.0.0-rmq-0.0.1/g")
        .arg(BINARY)
        .stdout(fs::File::create(&newer).unwrap())
        .status();
    assert!(replaced.unwrap().success());
    let permissions = fs::metadata(BINARY).unwrap().permissions();
    fs::set_permissions(&newer, permissions).unwrap();
    newer
}

#[test]
fn a_newer_fleet_restarts_the_shared_nodes_one_after_another() {
    let mut fleet = Fleet::with_shared_nodes(2);
    let tenant = fleet.create(&SINGLE_NODE);
    let of_tenant = |arguments: &[&'static str]| {
        let mut arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
        arguments.extend(["--instance".to_owned(), tenant.clone()]);
        arguments
    };
    let run = |fleet: &Fleet, arguments: &[&'static str]| {
        let arguments = of_tenant(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        fleet.server().run(&arguments)
    };
    run(&fleet, &["topic", "create", "orders"]).ok();
    let send = |fleet: &Fleet, key| {
        until("a message is taken", || {
            let send = ["message", "send", "orders", "--body", "x", "--key", key];
            (run(fleet, &send).code == Some(0)).then_some(())
        });
    };
    let old = until("two shared nodes", || {
        let shared = fleet.shared();
        (shared.len() == 2).then_some(shared)
    });
    send(&fleet, "before");

    // Its own start changes nothing.
    fleet.end(Signal::TERM);
    fleet.start();
    send(&fleet, "again");
    assert_eq!(fleet.shared(), old);

    fleet.end(Signal::TERM);
    fleet.binary = newer_binary(fleet.folder.path());
    fleet.start();
    let new = until("both run the newer binary", || {
        let shared = fleet.shared();
        assert!(!shared.is_empty(), "both are away");
        let is_new = |(name, (pid, binary)): (&String, &(i32, PathBuf))| {
            *pid != old[name].0 && *binary != old[name].1
        };
        (shared.len() == 2 && shared.iter().all(is_new)).then_some(shared)
    });
    let binaries: Vec<&PathBuf> = new.values().map(|(_, binary)| binary).collect();
    assert_eq!(binaries[0], binaries[1]);
    send(&fleet, "after");
    // What the older ones stored is there.
    for key in ["before", "again", "after"] {
        until("the message is found", || {
            let query = [
                "message", "query", "orders", "--output", "json", "--key", key,
            ];
            let found = run(&fleet, &query);
            let found: Value = serde_json::from_str(&found.out).ok()?;
            (found.as_array().map(Vec::len) == Some(1)).then_some(())
        });
    }

    // An older fleet leaves newer nodes as they are.
    fleet.end(Signal::TERM);
    fleet.binary = BINARY.into();
    fleet.start();
    send(&fleet, "last");
    assert_eq!(fleet.shared(), new);
}

#[test]
fn an_instance_with_own_nodes_is_ordered_changed_and_inspected_over_the_openapi() {
    let fleet = Fleet::new();
    let tenant = fleet.create(&["--edition", "standard", "--spec", "rmq.s2.2xlarge"]);
    let order = |count: u16| {
        json!({
            "serviceCode": "rmq", "seriesCode": "ultimate", "subSeriesCode": "cluster_ha",
            "paymentType": "PayAsYouGo",
            "networkInfo": {
                "internetInfo": { "internetSpec": "disable", "flowOutType": "uninvolved" },
                "vpcInfo": { "vpcId": "vpc-1", "vSwitches": [{ "vSwitchId": "vsw-1" }] },
            },
            "productInfo": { "msgProcessSpec": "rmq.u2.10xlarge", "nodeCount": count },
        })
    };
    let create = |count| {
        let body = Some(order(count));
        fleet.ask("CreateInstance", Method::POST, &["instances"], body)
    };
    assert_eq!(create(1).unwrap_err().0, 400);
    let id = create(3).unwrap()["data"].as_str().unwrap().to_owned();
    let describe = || {
        let path = ["instances", &id];
        let found = fleet.ask("GetInstance", Method::GET, &path, None).unwrap();
        let count = found["data"]["productInfo"]["nodeCount"].as_u64();
        (found["data"]["status"].as_str().unwrap().to_owned(), count)
    };
    let until_running = |count| {
        until("in service", || {
            (describe() == ("RUNNING".to_owned(), Some(count))).then_some(())
        });
    };
    assert_eq!(describe().1, Some(3));
    until_running(3);
    assert_eq!(fleet.nodes_of(&id), 3);

    let resize = |id: &str, count: u16| {
        let body = json!({ "productInfo": { "nodeCount": count } });
        fleet.ask(
            "UpdateInstance",
            Method::PATCH,
            &["instances", id],
            Some(body),
        )
    };
    for wrong in [0, 1, 17] {
        assert_eq!(resize(&id, wrong).unwrap_err().0, 400, "{wrong} nodes");
    }
    assert_eq!(resize(&tenant, 2).unwrap_err().0, 400);
    resize(&id, 2).unwrap();
    until_running(2);
    assert_eq!(fleet.nodes_of(&id), 2);

    // What an inspection finds is what a node of the instance has.
    let inside = |rest: &[&'static str]| {
        let path = ["instances", &id].into_iter().map(str::to_owned);
        path.chain(rest.iter().map(|&it| it.to_owned()))
            .collect::<Vec<_>>()
    };
    let ask = |operation, method, path: Vec<String>, body| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        fleet.ask(operation, method, &path, body)
    };
    let topic = Some(json!({ "messageType": "NORMAL" }));
    ask(
        "CreateTopic",
        Method::POST,
        inside(&["topics", "orders"]),
        topic,
    )
    .unwrap();
    until("a message is taken", || {
        let path = inside(&["topics", "orders", "messages"]);
        let body = Some(json!({ "message": "hello" }));
        ask("VerifySendMessage", Method::POST, path, body).ok()
    });
    let inspection = |rest: &[&str]| {
        let path = ["api", "v1", "monitoring", "instance-inspections", &id].into_iter();
        let path = path.chain(rest.iter().copied());
        path.map(str::to_owned).collect::<Vec<_>>()
    };
    let set_up = json!({
        "clientToken": "made", "resourceScope": { "mode": "ALL" },
        "items": [{ "templateCode": "UnconsumedTopic", "parameters": {} }],
        "schedule": { "enabled": false },
    });
    ask(
        "CreateInstanceInspection",
        Method::POST,
        inspection(&[]),
        Some(set_up),
    )
    .unwrap();
    let token = Some(json!({ "clientToken": "first" }));
    let begun = ask(
        "RunInstanceInspection",
        Method::POST,
        inspection(&["runs"]),
        token,
    )
    .unwrap();
    let run = begun["runId"].as_str().unwrap().to_owned();
    let found = until("the inspection is over", || {
        let path = inspection(&["runs", &run]);
        let found = ask("GetInstanceInspectionRun", Method::GET, path, None).unwrap();
        (found["status"] == "Succeeded").then_some(found)
    });
    assert_eq!(found["instanceId"], id.as_str(), "{found}");
    assert_eq!(found["items"][0]["result"], "Risk", "{found}");
    let report = found["report"]["markdown"].as_str().unwrap();
    assert!(report.contains("1 messages came"), "{report}");
    let configured = ask("GetInstanceInspection", Method::GET, inspection(&[]), None).unwrap();
    assert_eq!(configured["lastRun"]["runId"], run.as_str(), "{configured}");
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
