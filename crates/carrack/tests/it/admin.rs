//! Topics, groups and messages from the command line.

use std::{io::Write, process::Stdio};

use crate::support::{Ended, Server, carrack};

#[test]
fn a_topic_from_creation_to_deletion() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    assert_eq!(server.run(&["topic", "list"]).ok(), "no topics\n");

    let create = [
        "topic", "create", "orders", "--type", "fifo", "--queues", "4",
    ];
    assert_eq!(
        server.run(&create).ok(),
        "topic orders: type fifo, 4 queues\n"
    );
    assert_eq!(
        server.run(&create).ok(),
        "topic orders: type fifo, 4 queues\n"
    );
    let other_type = [
        "topic", "create", "orders", "--type", "delay", "--queues", "4",
    ];
    let error = server.run(&other_type).fails(1);
    assert!(error.contains("exists with type FIFO"), "{error}");

    server.run(&["topic", "create", "plain"]).ok();
    assert_eq!(
        server.run(&["topic", "list"]).ok(),
        "TOPIC   TYPE    QUEUES  PERMISSION\n\
         orders  fifo         4  RW\n\
         plain   normal       8  RW\n"
    );
    let expected = serde_json::json!([
        { "topic": "orders", "type": "fifo", "queues": 4, "permission": "RW" },
        { "topic": "plain", "type": "normal", "queues": 8, "permission": "RW" },
    ]);
    assert_eq!(server.json(&["topic", "list"]), expected);

    let described = server.json(&["topic", "describe", "plain"]);
    assert_eq!(described["messages"], 0);
    let queues = described["queue_list"].as_array().unwrap();
    let numbers: Vec<u64> = queues
        .iter()
        .map(|queue| queue["queue"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..8).collect::<Vec<_>>());
    let page = server.run(&["topic", "describe", "plain"]).ok();
    assert!(
        page.starts_with("topic       plain\ntype        normal\n"),
        "{page}"
    );

    assert_eq!(
        server.run(&["topic", "delete", "orders"]).ok(),
        "topic orders deleted\n"
    );
    for command in [
        ["topic", "describe", "orders"],
        ["topic", "delete", "orders"],
    ] {
        assert_eq!(
            server.run(&command).fails(1),
            "error: topic `orders` not found\n"
        );
    }
}

#[test]
fn every_type_of_topic_can_be_declared() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for name in [
        "normal",
        "fifo",
        "delay",
        "transaction",
        "lite",
        "priority",
        "mixed",
    ] {
        server
            .run(&["topic", "create", name, "--type", name, "--queues", "1"])
            .ok();
        let described = server.json(&["topic", "describe", name]);
        assert_eq!(described["type"], name);
        let lite_topics = described.get("lite_topics");
        let expected = (name == "lite")
            .then_some(&serde_json::Value::from(0))
            .cloned();
        assert_eq!(lite_topics.cloned(), expected, "of {name}");
    }
}

#[test]
fn a_group_from_creation_to_deletion() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    assert_eq!(server.run(&["group", "list"]).ok(), "no groups\n");
    let create = [
        "group",
        "create",
        "billing",
        "--fifo",
        "--max-attempts",
        "3",
    ];
    assert_eq!(
        server.run(&create).ok(),
        "group billing: fifo, 3 attempts\n"
    );
    assert_eq!(
        server.run(&create).ok(),
        "group billing: fifo, 3 attempts\n"
    );
    server
        .run(&[
            "topic", "create", "threads", "--type", "lite", "--queues", "1",
        ])
        .ok();
    server
        .run(&["group", "create", "agents", "--lite-topic", "threads"])
        .ok();
    let expiring = "topic create drafts --type lite --queues 1 --expiration 30";
    server.run(&expiring.split(' ').collect::<Vec<_>>()).ok();
    let refused = "topic create notes --expiration 30".split(' ');
    let error = server.run(&refused.collect::<Vec<_>>()).fails(2);
    assert!(error.contains("topics of type lite"), "{error}");
    let refused = "group create nobody --exclusive".split(' ');
    let error = server.run(&refused.collect::<Vec<_>>()).fails(2);
    assert!(error.contains("--lite-topic"), "{error}");
    let expected = serde_json::json!([
        { "group": "agents", "fifo": false, "max_attempts": 17, "lite_topic": "threads" },
        { "group": "billing", "fifo": true, "max_attempts": 3, "lite_topic": null },
    ]);
    assert_eq!(server.json(&["group", "list"]), expected);

    let described = server.json(&["group", "describe", "billing"]);
    assert_eq!(described["lag"], 0);
    assert_eq!(described["consumers"], serde_json::json!([]));

    assert_eq!(
        server.run(&["group", "delete", "billing"]).ok(),
        "group billing deleted\n"
    );
    let error = server.run(&["group", "describe", "billing"]).fails(1);
    assert_eq!(error, "error: group `billing` not found\n");
    assert_eq!(server.json(&["group", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_message_is_found_by_id_and_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server
        .run(&["topic", "create", "orders", "--queues", "2"])
        .ok();
    let sent = server.json(&[
        "message",
        "send",
        "orders",
        "--body",
        "größe",
        "--tag",
        "paid",
        "--key",
        "k1",
        "--key",
        "k2",
        "--property",
        "color=red",
        "--queue",
        "1",
    ]);
    assert_eq!(
        (&sent["topic"], &sent["queue"]),
        (&"orders".into(), &1.into())
    );
    assert_eq!(sent["queue_offset"], 0);
    let id = sent["message_id"].as_str().unwrap();

    let message = server.json(&["message", "get", "orders", id]);
    assert_eq!(message["body"], "größe");
    assert_eq!(message["body_bytes"], 7);
    assert_eq!(message["tag"], "paid");
    assert_eq!(message["keys"], serde_json::json!(["k1", "k2"]));
    assert_eq!(message["queue"], 1);
    assert!(
        message["properties"]
            .as_array()
            .unwrap()
            .contains(&serde_json::json!(["color", "red"]))
    );
    for key in ["k1", "k2"] {
        let found = server.json(&["message", "query", "orders", "--key", key]);
        assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
        assert_eq!(found[0]["offset_message_id"], id);
    }
    assert_eq!(
        server
            .run(&["message", "query", "orders", "--key", "no"])
            .ok(),
        "no messages\n"
    );
    let page = server.run(&["message", "get", "orders", id]).ok();
    assert!(page.ends_with("size         7 bytes\n\ngröße\n"), "{page}");

    for wrong in [id.replace('0', "1"), "nonsense".to_owned()] {
        let error = server.run(&["message", "get", "orders", &wrong]).fails(1);
        assert_eq!(
            error,
            format!("error: message `{wrong}` not found in topic `orders`\n")
        );
    }
    // Ids of one topic find nothing in another.
    server.run(&["topic", "create", "others"]).ok();
    server.run(&["message", "get", "others", id]).fails(1);
    assert_eq!(server.json(&["topic", "describe", "orders"])["messages"], 1);
}

#[test]
fn the_body_may_come_from_standard_input_and_need_not_be_text() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut command = carrack(&["message", "send", "bytes", "--output", "json", "--server"]);
    let mut child = command
        .arg(server.address())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&[0xff, 0, 1])
        .unwrap();
    let sent = Ended::from(child.wait_with_output().unwrap()).ok();
    let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
    let id = sent["message_id"].as_str().unwrap();
    let message = server.json(&["message", "get", "bytes", id]);
    assert_eq!(message["body"], serde_json::Value::Null);
    assert_eq!(message["body_base64"], "/wAB");
}

#[test]
fn messages_that_make_no_sense_are_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for property in ["no-value", "TAGS=x"] {
        let send = [
            "message",
            "send",
            "orders",
            "--body",
            "x",
            "--property",
            property,
        ];
        let error = server.run(&send).fails(2);
        assert!(
            error.contains(property.split('=').next().unwrap()),
            "{error}"
        );
    }
}

#[test]
fn the_default_instance_can_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server
        .run(&["topic", "create", "orders", "--instance", "default"])
        .ok();
    assert_eq!(
        server.json(&["topic", "describe", "orders"])["topic"],
        "orders"
    );
    let described = server.json(&["topic", "describe", "orders", "--instance", "default"]);
    assert_eq!(described["topic"], "orders");
}

#[test]
fn an_instance_that_is_not_there_is_refused_and_becomes_no_part_of_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for command in [
        &["topic", "create", "orders"][..],
        &["topic", "list"],
        &["group", "create", "billing"],
        &["message", "send", "orders", "--body", "x"],
    ] {
        let error = server
            .run(&[command, &["--instance", "elsewhere"]].concat())
            .fails(1);
        assert!(
            error.contains("instance `elsewhere` not found"),
            "{command:?}: {error}"
        );
    }
    let listed = server.run(&["topic", "list"]).ok();
    assert!(!listed.contains("elsewhere"), "{listed}");
}

#[test]
fn a_group_is_set_to_where_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server
        .run(&["topic", "create", "orders", "--queues", "1"])
        .ok();
    server.run(&["group", "create", "billing"]).ok();
    for key in ["1", "2"] {
        server
            .run(&["message", "send", "orders", "--body", "x", "--key", key])
            .ok();
    }
    let reset =
        |to: &str| server.json(&["group", "reset", "billing", "--topic", "orders", "--to", to]);
    assert_eq!(reset("latest")["queue_list"][0]["offset"], 2);
    let lag = || server.json(&["group", "describe", "billing"])["lag"].clone();
    assert_eq!(lag(), 0);
    assert_eq!(reset("earliest")["queue_list"][0]["offset"], 0);
    assert_eq!(lag(), 2);
    assert_eq!(reset("2100-01-01T00:00:00Z")["queue_list"][0]["offset"], 2);
    let page = server.run(&[
        "group", "reset", "billing", "--topic", "orders", "--to", "0",
    ]);
    let page = page.ok();
    assert!(
        page.starts_with("group billing goes on in topic orders with\n\nBROKER"),
        "{page}"
    );
    let wrong = server.run(&[
        "group", "reset", "billing", "--topic", "orders", "--to", "noon",
    ]);
    let error = wrong.fails(2);
    assert!(error.contains("expected `earliest`, `latest`"), "{error}");
    let unknown = server.run(&[
        "group", "reset", "nobody", "--topic", "orders", "--to", "latest",
    ]);
    let error = unknown.fails(1);
    assert!(error.contains("group `nobody` not found"), "{error}");
}
