//! Editions and usage from the command line, over a restart.

use rustix::process::Signal;

use crate::support::Server;

fn usage(server: &Server, id: &str) -> Vec<String> {
    let csv = server.run(&["usage", id]).ok();
    let mut lines = csv.lines().map(str::to_owned);
    let head = "instance,hour,send_units,receive_units,storage_bytes,elastic_tps";
    assert_eq!(lines.next().as_deref(), Some(head));
    lines.collect()
}

fn sends(lines: &[String]) -> u64 {
    let units = lines.iter().map(|line| line.split(',').nth(2).unwrap());
    units.map(|units| units.parse::<u64>().unwrap()).sum()
}

#[test]
fn an_edition_is_ordered_changed_metered_and_released() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let order = ["instance", "create", "--edition", "standard"];
    let wrong = [&order[..], &["--spec", "rmq.s2.3xlarge"]].concat();
    let told = server.run(&wrong).fails(1);
    let expected = "expected rmq.s2.2xlarge, rmq.s2.4xlarge or rmq.s2.6xlarge";
    assert!(told.contains(expected), "{told}");

    let subscribed = ["--payment", "Subscription", "--months", "1"];
    let right = [&order[..], &["--spec", "rmq.s2.2xlarge"], &subscribed].concat();
    let created = server.json(&right);
    let id = created["instance"].as_str().unwrap().to_owned();
    assert_eq!(created["plan"]["baseTps"], 2_000);
    let changed = server.json(&["instance", "change-spec", &id, "--spec", "rmq.s2.4xlarge"]);
    assert_eq!(changed["plan"]["baseTps"], 4_000);

    server
        .run(&["topic", "create", "orders", "--instance", &id])
        .ok();
    let send = [
        "message",
        "send",
        "orders",
        "--body",
        "x",
        "--instance",
        &id,
    ];
    for _ in 0..3 {
        server.run(&send).ok();
    }
    assert_eq!(sends(&usage(&server, &id)), 3);
    server.end(Signal::KILL);
    let server = Server::start(folder.path());
    server.run(&send).ok();
    assert_eq!(sends(&usage(&server, &id)), 4);

    let told = server.run(&["instance", "release", &id]).fails(1);
    assert!(told.contains("unsubscribe first"), "{told}");
    let stopped = server.json(&["instance", "unsubscribe", &id]);
    assert_eq!(stopped["status"], "STOPPED");
    let told = server.run(&send).fails(1);
    assert!(told.contains("is stopped"), "{told}");
    let renewed = server.json(&["instance", "renew", &id, "--years", "1"]);
    assert_eq!(renewed["status"], "RUNNING");
    server.run(&send).ok();
    server.run(&["instance", "unsubscribe", &id]).ok();
    server
        .run(&["topic", "delete", "orders", "--instance", &id])
        .ok();
    server.run(&["instance", "release", &id]).ok();
    assert_eq!(sends(&usage(&server, &id)), 5);
}
