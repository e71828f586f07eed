//! Nodes of one instance beside a node that others share: what they serve, what they are wished to
//! do, and how one is taken out for good.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use client::{GrpcClient, GrpcOptions};
use rustix::process::Signal;
use serde_json::{Value, json};
use wire::grpc_v2::Permission;

use crate::{
    cluster::{brokers, command, folder, remoting, route, start, until},
    etcd_process::Etcd,
    support::Server,
};

/// The instance with nodes of its own.
const OWN: &str = "rmq-cn-5yd34ft5y02";

const READ_WRITE: i32 = 6;
const READ: i32 = 4;

/// Status and body of the answer to a request.
fn post(address: &str, path: &str, body: &Value) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let body = body.to_string();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split_whitespace().nth(1).unwrap();
    (status.to_owned(), body.to_owned())
}

/// Sets an entry as whoever runs the nodes does.
fn put(etcd: &Etcd, key: &str, value: &Value) {
    let endpoint = etcd.endpoint();
    let address = endpoint.strip_prefix("http://").unwrap();
    let coded = |text: String| STANDARD.encode(text);
    let entry = json!({
        "key": coded(format!("carrack/{key}")),
        "value": coded(value.to_string()),
    });
    let (status, body) = post(address, "/v3/kv/put", &entry);
    assert_eq!(status, "200", "{body}");
}

fn own_node(etcd: &Etcd, data: &Path, name: &str) -> Server {
    let mut command = command(etcd, data, name);
    command.args(["--node-instance", OWN]);
    Server::spawn(command)
}

/// An etcd, a node that instances share, and two of the instance.
struct Cluster {
    etcd: Etcd,
    folders: [tempfile::TempDir; 3],
    shared: Server,
    a: Server,
    b: Server,
}

impl Cluster {
    fn start() -> Self {
        let (etcd, folders) = (Etcd::start(), [folder(), folder(), folder()]);
        let shared = start(&etcd, folders[0].path(), "shared");
        let record = json!({
            "phase": "running", "series": "5.x", "created_at_ms": 1, "nodes": 2,
        });
        put(&etcd, &format!("instance-registry/{OWN}"), &record);
        let a = own_node(&etcd, folders[1].path(), "a");
        let b = own_node(&etcd, folders[2].path(), "b");
        let cluster = Self {
            etcd,
            folders,
            shared,
            a,
            b,
        };
        until("all nodes know of each other", || {
            let nodes = cluster.nodes();
            nodes.len() == 3 && nodes.iter().all(|node| node["live"] == true)
        });
        cluster
    }

    fn nodes(&self) -> Vec<Value> {
        let nodes = self.shared.json(&["node", "list"]);
        nodes.as_array().unwrap().clone()
    }
}

/// Permissions of a topic's brokers in the route of a server, where it has one.
fn permissions(server: &Server, topic: &str) -> Option<BTreeMap<String, i32>> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let found = runtime.block_on(route(&server.address(), topic)).ok()?;
    let queues = found.queues.into_iter();
    Some(queues.map(|it| (it.broker_name, it.permission)).collect())
}

fn of_both(a: i32, b: i32) -> Option<BTreeMap<String, i32>> {
    Some(BTreeMap::from([
        (format!("{OWN}-1"), a),
        (format!("{OWN}-2"), b),
    ]))
}

/// Broker, address and permission of a topic's queues, as gRPC clients are told.
fn grpc_route(server: &Server, topic: &str) -> BTreeSet<(String, u32, i32)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = server.address();
    let found = runtime.block_on(async {
        let client = GrpcClient::connect(&address, GrpcOptions::default());
        client.await.unwrap().query_route(topic).await.unwrap()
    });
    let queues = found.message_queues.into_iter().map(|queue| {
        let broker = queue.broker.unwrap();
        let port = broker.endpoints.unwrap().addresses[0].port;
        (broker.name, port.cast_unsigned(), queue.permission)
    });
    queues.collect()
}

#[test]
fn nodes_of_an_instance_serve_it_alone() {
    let Cluster {
        etcd,
        folders,
        shared,
        a,
        b,
    } = Cluster::start();
    a.run(&["topic", "create", "orders", "--queues", "1"]).ok();
    let has = |server: &Server, arguments: &[&str]| server.run(arguments).code == Some(0);
    until("topic at b", || has(&b, &["topic", "describe", "orders"]));
    assert!(!has(&shared, &["topic", "describe", "orders"]));
    assert!(!has(&shared, &["instance", "describe", OWN]));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let expected = BTreeMap::from([
        (format!("{OWN}-1"), a.address()),
        (format!("{OWN}-2"), b.address()),
    ]);
    let ports = [&a, &b].map(|node| u32::from(node.addresses()[0].port()));
    for node in [&a, &b] {
        let found = runtime.block_on(route(&node.address(), "orders")).unwrap();
        assert_eq!(brokers(&found), expected);
        // By its namespace as well as by its address.
        let named = runtime.block_on(route(&node.address(), &format!("{OWN}%orders")));
        assert_eq!(brokers(&named.unwrap()), expected);
        let read_write = Permission::ReadWrite.into();
        assert_eq!(
            grpc_route(node, "orders"),
            BTreeSet::from([
                (format!("{OWN}-1"), ports[0], read_write),
                (format!("{OWN}-2"), ports[1], read_write),
            ])
        );
        node.run(&["message", "send", "orders", "--body", "x"]).ok();
    }
    shared.run(&["topic", "create", "others"]).ok();
    let found = runtime
        .block_on(route(&shared.address(), "others"))
        .unwrap();
    let at_shared = BTreeMap::from([("default-0".to_owned(), shared.address())]);
    assert_eq!(brokers(&found), at_shared);

    // It is what it is for good.
    a.stop();
    let other = command(&etcd, folders[1].path(), "a").output().unwrap();
    let error = String::from_utf8(other.stderr).unwrap();
    assert!(error.contains(&format!("instance `{OWN}`")), "{error}");
    own_node(&etcd, folders[1].path(), "a").stop();
}

#[test]
fn wishes_are_done_over_restarts() {
    let mut cluster = Cluster::start();
    let fifo = ["topic", "create", "fifo", "--queues", "1", "--type", "fifo"];
    cluster.a.run(&fifo).ok();
    cluster.a.run(&["topic", "create", "orders"]).ok();
    until("topics at b", || {
        let known = permissions(&cluster.b, "orders");
        known == of_both(READ_WRITE, READ_WRITE)
    });
    cluster.shared.run(&["node", "drain", "a"]).ok();
    let drained = of_both(READ, READ_WRITE);
    for round in 0..2 {
        for node in [&cluster.a, &cluster.b] {
            until("a is sent to no more", || {
                permissions(node, "orders") == drained
            });
            assert_eq!(permissions(node, "fifo"), of_both(READ_WRITE, READ_WRITE));
            let told = grpc_route(node, "orders");
            let to_a = told.iter().filter(|(broker, ..)| broker.ends_with("-1"));
            let read: i32 = Permission::Read.into();
            assert!(to_a.clone().count() > 0);
            assert!(to_a.clone().all(|(.., told)| *told == read), "{told:?}");
        }
        // What comes all the same is taken.
        cluster
            .a
            .run(&["message", "send", "orders", "--body", "x"])
            .ok();
        if round == 0 {
            cluster.a.end(Signal::KILL);
            cluster.a = own_node(&cluster.etcd, cluster.folders[1].path(), "a");
        }
    }
    cluster.shared.run(&["node", "admit", "a"]).ok();
    until("a is sent to again", || {
        permissions(&cluster.b, "orders") == of_both(READ_WRITE, READ_WRITE)
    });

    let task = "update task 7 runs";
    for key in ["nodes/wanted/a", "nodes/wanted/b"] {
        put(&cluster.etcd, key, &json!({ "lock": task }));
    }
    until("both say that they are locked", || {
        let nodes = cluster.nodes();
        nodes[1]["lock"] == task && nodes[2]["lock"] == task
    });
    for round in 0..2 {
        for node in [&cluster.a, &cluster.b] {
            let path = format!("/instances/{OWN}/topics/new");
            let (status, body) = post(&node.address(), &path, &json!({ "messageType": "NORMAL" }));
            assert_eq!(status, "409", "round {round} {} {body}", node.address());
            assert!(body.contains("Instance.Updating"), "{body}");
            assert!(body.contains(task), "{body}");
            for refused in [
                &["topic", "create", "new"][..],
                &["topic", "delete", "orders"],
                &["group", "create", "new"],
            ] {
                let error = node.run(refused).fails(1);
                assert!(error.contains(task), "{error}");
            }
            node.run(&["message", "send", "orders", "--body", "x"]).ok();
        }
        cluster.shared.run(&["topic", "create", "free"]).ok();
        if round == 0 {
            cluster.b.end(Signal::KILL);
            cluster.b = own_node(&cluster.etcd, cluster.folders[2].path(), "b");
        }
    }
    for key in ["nodes/wanted/a", "nodes/wanted/b"] {
        put(&cluster.etcd, key, &json!({}));
    }
    for node in [&cluster.a, &cluster.b] {
        until("not locked any more", || {
            node.run(&["group", "create", "new"]).code == Some(0)
        });
    }
}

#[test]
fn a_node_is_taken_out_when_all_it_has_is_consumed() {
    let Cluster {
        etcd,
        folders,
        shared,
        mut a,
        b,
    } = Cluster::start();
    a.run(&["topic", "create", "orders", "--queues", "1"]).ok();
    a.run(&["group", "create", "billing"]).ok();
    a.run(&["message", "send", "orders", "--body", "x"]).ok();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let commit = |offset| {
        runtime.block_on(async {
            let client = remoting(&a.address()).await.unwrap();
            client
                .commit_offset("billing", "orders", 0, offset)
                .await
                .unwrap();
        });
    };
    commit(0);
    let error = shared.run(&["node", "remove", "a"]).fails(1);
    assert!(error.contains("drain it first"), "{error}");
    shared.run(&["node", "drain", "a"]).ok();
    let unconsumed = || {
        let nodes = shared.json(&["node", "list"]);
        nodes[1]["unconsumed"].as_u64()
    };
    until("a says what it has", || unconsumed() == Some(1));
    let error = shared.run(&["node", "remove", "a"]).fails(1);
    assert!(error.contains("has 1 messages"), "{error}");
    commit(1);
    until("all is consumed", || unconsumed() == Some(0));
    shared.run(&["node", "remove", "a"]).ok();
    let (code, log) = a.wait();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("taken out of the cluster"), "{log}");
    until("b alone is in the route", || {
        let found = runtime.block_on(route(&b.address(), "orders"));
        found.is_ok_and(|found| brokers(&found).len() == 1)
    });
    let mut again = command(&etcd, folders[1].path(), "a");
    let again = again.args(["--node-instance", OWN]).output().unwrap();
    let error = String::from_utf8(again.stderr).unwrap();
    assert!(error.contains("taken out"), "{error}");

    let error = shared.run(&["node", "remove", "b"]).fails(1);
    assert!(error.contains("drain it first"), "{error}");
    shared.run(&["node", "remove", "b", "--force"]).ok();
    until("both are gone", || {
        let nodes = shared.json(&["node", "list"]);
        nodes.as_array().unwrap().len() == 1
    });
}
