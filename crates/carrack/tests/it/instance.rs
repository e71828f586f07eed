//! Instances from the command line, on a server that goes on, is killed and starts again.

use std::path::Path;

use rustix::process::Signal;

use crate::support::Server;

fn create(server: &Server, series: &str) -> String {
    let created = server.json(&["instance", "create", "--series", series, "--name", "shop"]);
    assert_eq!(created["series"], series);
    created["instance"].as_str().unwrap().to_owned()
}

fn folder_of(data: &Path, id: &str) -> std::path::PathBuf {
    data.join("instances").join(id)
}

fn messages(server: &Server, id: &str) -> i64 {
    let described = server.json(&["topic", "describe", "orders", "--instance", id]);
    described["messages"].as_i64().unwrap()
}

#[test]
fn two_instances_with_one_topic_name_survive_a_kill_apart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let mut server = Server::start(data);
    let (four, five) = (create(&server, "4.x"), create(&server, "5.x"));
    assert!(four.starts_with("MQ_INST_"), "{four}");
    assert!(five.starts_with("rmq-cn-"), "{five}");
    for id in [&four, &five] {
        server
            .run(&["topic", "create", "orders", "--instance", id])
            .ok();
    }
    for (id, count) in [(&four, 1), (&five, 2)] {
        for _ in 0..count {
            let send = ["message", "send", "orders", "--body", "x", "--instance", id];
            server.run(&send).ok();
        }
    }
    server
        .run(&["group", "create", "billing", "--instance", &four])
        .ok();
    server.end(Signal::KILL);

    let server = Server::start(data);
    assert_eq!((messages(&server, &four), messages(&server, &five)), (1, 2));
    // The default instance has neither, and lists say whose they are.
    assert_eq!(server.run(&["topic", "list"]).ok(), "no topics\n");
    let listed = server.json(&["topic", "list", "--instance", &four]);
    assert_eq!(listed[0]["topic"], "orders");
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let groups = server.json(&["group", "list", "--instance", &four]);
    assert_eq!(groups[0]["group"], "billing");
    assert_eq!(
        server.run(&["group", "list", "--instance", &five]).ok(),
        "no groups\n"
    );
    let list = server.json(&["instance", "list"]);
    let ids: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["instance"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [four.as_str(), "default", five.as_str()]);
    assert_eq!(
        (&list[0]["topics"], &list[0]["groups"]),
        (&1.into(), &1.into())
    );

    let error = server.run(&["instance", "delete", &four]).fails(1);
    assert!(error.contains("1 topics and 1 groups"), "{error}");
    server
        .run(&["topic", "delete", "orders", "--instance", &four])
        .ok();
    server
        .run(&["group", "delete", "billing", "--instance", &four])
        .ok();
    assert!(folder_of(data, &four).exists());
    server.run(&["instance", "delete", &four]).ok();
    assert!(!folder_of(data, &four).exists());
    assert_eq!(
        server.run(&["instance", "describe", &four]).fails(1),
        format!("error: instance `{four}` not found\n")
    );
    let gone = server.run(&["topic", "list", "--instance", &four]).fails(1);
    assert!(gone.contains("not found"), "{gone}");
    let log = server.stop();
    assert!(!log.contains(" ERROR "), "{log}");

    let server = Server::start(data);
    assert_eq!(messages(&server, &five), 2);
    assert_eq!(
        server.json(&["instance", "list"]).as_array().unwrap().len(),
        2
    );
}

#[test]
fn what_is_noted_of_an_instance_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let id = create(&server, "5.x");
    let update = [
        "instance",
        "update",
        &id,
        "--remark",
        "for tests",
        "--tag",
        "team=shop",
    ];
    let changed = server.json(&update);
    assert_eq!(changed["name"], "shop");
    assert_eq!(changed["remark"], "for tests");
    assert_eq!(changed["tags"], serde_json::json!({ "team": "shop" }));
    let page = server.run(&["instance", "describe", &id]).ok();
    assert!(page.contains("team=shop"), "{page}");
    let error = server.run(&["instance", "delete", "default"]).fails(1);
    assert!(error.contains("default one"), "{error}");
}
