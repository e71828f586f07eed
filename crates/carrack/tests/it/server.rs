//! Starting, stopping, and refusing to start.

use std::net::TcpListener;

use rustix::process::Signal;

use crate::support::{Server, carrack, run};

#[test]
fn it_says_where_it_listens_and_stops_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let listen = ["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start_with(folder.path(), &listen);
        assert_eq!(server.addresses().len(), 2);
        for address in server.addresses() {
            assert_ne!(address.port(), 0);
            std::net::TcpStream::connect(address).unwrap();
        }
        let (code, log) = server.end(signal);
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("stopped connections_cut=0"), "{log}");
        assert!(!log.contains("ERROR"), "{log}");
    }
}

#[test]
fn after_an_orderly_stop_nothing_is_lost_and_nothing_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server
        .run(&["topic", "create", "orders", "--queues", "2"])
        .ok();
    server
        .run(&["group", "create", "billing", "--max-attempts", "3"])
        .ok();
    let sent = server.json(&["message", "send", "orders", "--body", "one", "--key", "k1"]);
    server.stop();

    let server = Server::start(folder.path());
    let id = sent["message_id"].as_str().unwrap();
    assert_eq!(
        server.json(&["message", "get", "orders", id])["body"],
        "one"
    );
    assert_eq!(
        server.json(&["message", "query", "orders", "--key", "k1"])[0]["body"],
        "one"
    );
    assert_eq!(
        server.json(&["group", "describe", "billing"])["max_attempts"],
        3
    );
    let log = server.stop();
    assert!(log.contains("replayed=0"), "{log}");
}

#[test]
fn what_was_confirmed_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    server.run(&["topic", "create", "orders"]).ok();
    let sent = server.json(&["message", "send", "orders", "--body", "kept"]);
    let (code, _) = server.end(Signal::KILL);
    assert_eq!(code, None);

    let server = Server::start(folder.path());
    let id = sent["message_id"].as_str().unwrap();
    assert_eq!(
        server.json(&["message", "get", "orders", id])["body"],
        "kept"
    );
}

#[test]
fn a_stop_under_load_keeps_what_was_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut load = carrack(&[
        "bench",
        "send",
        "--duration",
        "3",
        "--warmup",
        "0",
        "--output",
        "json",
    ])
    .args([
        "--server",
        &server.address(),
        "--topic",
        "load",
        "--in-flight",
        "16",
    ])
    .stdout(std::process::Stdio::piped())
    .stderr(std::process::Stdio::null())
    .spawn()
    .unwrap();
    // Load is there as soon as messages are; each look takes a few ms.
    let is_loaded = || {
        let described = server.run(&["topic", "describe", "load", "--output", "json"]);
        let described: serde_json::Value = serde_json::from_str(&described.out).unwrap_or_default();
        described["messages"].as_u64() >= Some(100)
    };
    assert!((0..1_000).any(|_| is_loaded()), "no load came");
    let log = server.stop();
    assert!(log.contains("connections_cut=0"), "{log}");
    let mut report = String::new();
    std::io::Read::read_to_string(&mut load.stdout.take().unwrap(), &mut report).unwrap();
    load.wait().unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let confirmed = report["confirmed"].as_u64().unwrap();
    assert!(confirmed >= 100, "{report}");

    let server = Server::start(folder.path());
    let messages = server.json(&["topic", "describe", "load"])["messages"]
        .as_u64()
        .unwrap();
    assert!(
        messages >= confirmed,
        "{messages} messages, {confirmed} confirmed"
    );
    let log = server.stop();
    assert!(log.contains("replayed=0"), "{log}");
}

#[test]
fn a_taken_port_is_refused_and_leaves_the_data_alone() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let error = run(&["server", "--data", data, "--listen", &address]).fails(1);
    let message = error
        .lines()
        .find(|line| line.starts_with("error:"))
        .unwrap();
    assert!(message.contains(&format!("listen on {address}")), "{error}");
    assert!(message.contains("in use"), "{error}");
    Server::start(folder.path()).stop();
}

#[test]
fn a_data_folder_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::start(folder.path());
    let data = folder.path().to_str().unwrap();
    let error = run(&["server", "--data", data, "--listen", "127.0.0.1:0"]).fails(1);
    assert!(
        error.contains(&format!("`{data}` is in use by another server")),
        "{error}"
    );
}

#[test]
fn a_folder_that_is_no_data_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "precious").unwrap();
    let data = folder.path().to_str().unwrap();
    let error = run(&["server", "--data", data, "--listen", "127.0.0.1:0"]).fails(1);
    assert!(
        error.contains("holds `thesis.txt` but no Carrack data"),
        "{error}"
    );
}

#[test]
fn topics_come_by_themselves_on_loopback_alone() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server
        .run(&["message", "send", "fresh", "--body", "x"])
        .ok();
    assert_eq!(server.json(&["topic", "describe", "fresh"])["queues"], 8);
    server.stop();

    let mut open = carrack(&["server", "--listen", "127.0.0.1:0", "--data"]);
    open.arg(folder.path())
        .env("CARRACK_CREATE_AUTOMATICALLY", "false");
    let server = Server::spawn(open);
    let error = server
        .run(&["message", "send", "other", "--body", "x"])
        .fails(1);
    assert!(error.contains("topic"), "{error}");
    // What is there stays usable.
    server
        .run(&["message", "send", "fresh", "--body", "y"])
        .ok();
}

#[test]
fn log_lines_can_be_json() {
    let folder = tempfile::tempdir().unwrap();
    let listen = [
        "--listen",
        "127.0.0.1:0",
        "--log-format",
        "json",
        "--log-level",
        "debug",
    ];
    let log = Server::start_with(folder.path(), &listen).stop();
    assert!(log.lines().count() >= 3, "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["message"].is_string(), "{line}");
    }
}

#[test]
fn it_may_open_as_many_files_as_the_system_allows() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new("sh");
    let server = concat!(
        "ulimit -Sn 64; exec ",
        env!("CARGO_BIN_EXE_carrack"),
        " server"
    );
    let listen = "--listen 127.0.0.1:0 --data";
    command.args([
        "-c",
        &format!("{server} {listen} {}", folder.path().display()),
    ]);
    let server = Server::spawn(command);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .unwrap();
    let files: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(files[0], files[1], "{limits}");
}

#[test]
fn idle_it_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: u64 = resident.split_whitespace().next().unwrap().parse().unwrap();
    // An unoptimized build maps more code than a release one, which is to stay below 25 MiB.
    assert!(kib < 40 * 1024, "{kib} KiB");
}
