//! What a fleet puts together of an instance with several nodes: pages, traces, inspections.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base::{Clock, Sleep, Timestamp};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use client::{
    Credentials,
    openapi::{Method, OpenApiCall, OpenApiClient},
    remoting::OutgoingMessage,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    cluster::remoting,
    fleet::{Fleet, ULTIMATE, until},
};

struct Wall;

#[expect(
    clippy::disallowed_methods,
    reason = "requests are signed with the machine's time"
)]
impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap())
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::ready(()))
    }
}

/// A fleet, and an instance with two nodes of its own.
struct Parts {
    fleet: Fleet,
    id: String,
    /// Addresses of the nodes, by number.
    nodes: Vec<String>,
    runtime: Runtime,
}

impl Parts {
    fn start() -> Self {
        let fleet = Fleet::new();
        let id = fleet.create(&ULTIMATE);
        fleet.until_running(&id, 2);
        let listed = fleet.server().json(&["node", "list"]);
        let own = listed.as_array().unwrap().iter();
        let own = own.filter(|node| node["instance"] == id.as_str());
        let mut nodes: Vec<(u64, String)> = own
            .map(|node| {
                let address = node["addresses"][0].as_str().unwrap();
                (node["number"].as_u64().unwrap(), address.to_owned())
            })
            .collect();
        nodes.sort_unstable();
        let parts = Self {
            fleet,
            id,
            nodes: nodes.into_iter().map(|(_, address)| address).collect(),
            runtime: Runtime::new().unwrap(),
        };
        assert_eq!(parts.nodes.len(), 2, "{listed}");
        parts.make("topic", "orders", &["--queues", "1"]);
        parts
    }

    /// Makes a topic or a group at the fleet, and waits until all nodes have it.
    fn make(&self, kind: &str, name: &str, more: &[&str]) {
        let create = [kind, "create", name, "--instance", &self.id];
        self.fleet.server().run(&[&create[..], more].concat()).ok();
        for node in &self.nodes {
            until("topic or group at all nodes", || {
                let describe = [kind, "describe", name, "--server", node];
                let ended = crate::support::run(&describe);
                (ended.code == Some(0)).then_some(())
            });
        }
    }

    fn ask(&self, address: &str, mut call: OpenApiCall, query: &[(&'static str, String)]) -> Value {
        call.query.extend(query.iter().cloned());
        let credentials = Credentials {
            access_key: "admin".to_owned(),
            secret_key: "secret-of-admin".to_owned(),
        };
        let client = OpenApiClient::new(address, Some(credentials), Arc::new(Wall));
        self.runtime.block_on(client.call(&call)).unwrap()
    }

    /// Sends to a node, and gives the id.
    fn send(&self, node: usize, body: &str, key: &str) -> String {
        let segments = ["instances", &self.id, "topics", "orders", "messages"];
        let mut call = OpenApiCall::new("VerifySendMessage", Method::POST, &segments);
        call.body = Some(json!({ "message": body, "messageKey": key }));
        let sent = self.ask(&self.nodes[node], call, &[]);
        // Those sent before are of an earlier time.
        let at = Wall.now();
        while Wall.now() == at {
            std::thread::yield_now();
        }
        sent.as_str().unwrap().to_owned()
    }

    /// A page of messages, or of messages with traces, as the fleet has it.
    fn page(&self, what: &'static str, query: &[(&'static str, String)]) -> Value {
        let operation = match what {
            "messages" => "ListMessages",
            _ => "ListTraces",
        };
        let segments = ["instances", &self.id, "topics", "orders", what];
        let call = OpenApiCall::new(operation, Method::GET, &segments);
        self.ask(&self.fleet.server().address(), call, query)
    }

    fn trace(&self, message: &str) -> Value {
        let segments = ["instances", &self.id, "topics", "orders", "traces", message];
        let call = OpenApiCall::new("GetTrace", Method::GET, &segments);
        self.ask(&self.fleet.server().address(), call, &[])
    }

    /// Sends to a topic of a node as an SDK does, and gives the id of where it is stored.
    fn send_with(
        &self,
        node: usize,
        topic: &str,
        properties: &[(&str, &str)],
        body: &str,
    ) -> String {
        let properties = properties.iter();
        let properties: String = properties
            .map(|(name, value)| format!("{name}\u{1}{value}\u{2}"))
            .collect();
        self.runtime.block_on(async {
            let client = remoting(&self.nodes[node]).await.unwrap();
            let sent = client.send(OutgoingMessage {
                producer_group: "shop",
                topic,
                queue: Some(0),
                automatic_queues: 1,
                flag: 0,
                sys_flag: 0,
                born_timestamp: Wall.now().ms(),
                properties: &properties,
                body: Bytes::copy_from_slice(body.as_bytes()),
            });
            sent.await.unwrap().message_id
        })
    }

    /// Tells a node of what happened to a message, as an SDK does.
    fn tell(&self, node: usize, message: &str, records: &[&[&str]]) {
        let records = records.iter();
        let text: String = records
            .map(|fields| fields.join("\u{1}") + "\u{2}")
            .collect();
        self.send_with(node, "RMQ_SYS_TRACE_TOPIC", &[("KEYS", message)], &text);
    }

    /// What a node answers to a request that nobody has signed, with a note that nobody has signed.
    fn unsigned(&self, node: usize, path: &str, note: Option<&str>) -> Value {
        let address = &self.nodes[node];
        let note = note.map_or(String::new(), |note| {
            format!("x-carrack-forwarded: {note}\r\n")
        });
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET /instances/{}/topics/orders/{path} HTTP/1.1\r\nHost: {address}\r\n{note}\
             Connection: close\r\n\r\n",
            self.id
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut answer: Value = serde_json::from_str(body).unwrap();
        answer["requestId"].take();
        // It says when it was asked.
        if let Some(scroll) = answer.pointer_mut("/data/scrollId") {
            scroll.take();
        }
        answer
    }
}

fn texts(page: &Value, name: &str) -> Vec<String> {
    let list = page["list"].as_array().unwrap().iter();
    list.map(|one| one[name].as_str().unwrap().to_owned())
        .collect()
}

fn numbered(number: usize, size: usize) -> Vec<(&'static str, String)> {
    vec![
        ("pageNumber", number.to_string()),
        ("pageSize", size.to_string()),
    ]
}

#[test]
fn pages_of_several_nodes_are_those_of_one_list() {
    let parts = Parts::start();
    for n in 0..7 {
        parts.send(1, &format!("b{n}"), "of-b");
        if n < 5 {
            parts.send(0, &format!("a{n}"), "of-a");
        }
    }
    let expected: Vec<String> = (0..5)
        .map(|n| format!("a{n}"))
        .chain((0..7).map(|n| format!("b{n}")))
        .collect();
    for size in [1, 3, 5, 6, 11, 12, 13] {
        let mut found = Vec::new();
        let mut scroll = Vec::new();
        for number in 1..=12_usize.div_ceil(size) + 1 {
            let query = [numbered(number, size), scroll.clone()].concat();
            let page = parts.page("messages", &query);
            assert_eq!(
                (&page["totalCount"], &page["pageNumber"], &page["pageSize"]),
                (&json!(12), &json!(number), &json!(size)),
                "{page}"
            );
            let list = texts(&page, "body");
            assert!(list.len() <= size, "{page}");
            found.extend(list);
            let id = page["scrollId"].as_str().unwrap().to_owned();
            scroll = vec![("scrollId", id)];
        }
        assert_eq!(found, expected, "pages of {size}");
    }

    // A large page is whole, and pages stay what they were while messages come.
    for n in 0..60 {
        parts.send(n % 2, &format!("more {n}"), "more");
    }
    let first = parts.page("messages", &numbered(1, 70));
    let scroll = ("scrollId", first["scrollId"].as_str().unwrap().to_owned());
    for node in [0, 1] {
        parts.send(node, "late", "late");
    }
    let second = parts.page("messages", &[numbered(2, 70), vec![scroll]].concat());
    let all = [texts(&first, "body"), texts(&second, "body")].concat();
    assert_eq!((all.len(), &second["totalCount"]), (72, &json!(72)));
    let all: BTreeSet<String> = all.into_iter().collect();
    assert_eq!((all.len(), all.contains("late")), (72, false));
}

#[test]
fn messages_of_one_key_are_told_by_time_whatever_nodes_have_them() {
    let parts = Parts::start();
    let sent = [0, 1, 1, 0, 1, 0, 0];
    for (n, node) in sent.into_iter().enumerate() {
        parts.send(node, &n.to_string(), "k");
        parts.send(node, "other", "other");
    }
    let key = || ("messageKey", "k".to_owned());
    for size in [2, 3, 10] {
        let mut found = Vec::new();
        for number in 1..=7_usize.div_ceil(size) {
            let page = parts.page("messages", &[numbered(number, size), vec![key()]].concat());
            assert_eq!(page["totalCount"], 7, "{page}");
            assert!(page["storedMs"].is_null(), "{page}");
            found.extend(texts(&page, "body"));
        }
        assert_eq!(found, ["6", "5", "4", "3", "2", "1", "0"]);
    }
    let beyond = parts.page("messages", &[numbered(9, 3), vec![key()]].concat());
    assert_eq!(
        (&beyond["list"], &beyond["totalCount"]),
        (&json!([]), &json!(7))
    );
    let day = |text: &str| text.to_owned();
    let query = [
        numbered(2, 3),
        vec![
            key(),
            ("queryType", day("MESSAGE_KEY")),
            ("startTime", day("2020-01-01 00:00:00")),
            ("endTime", day("2099-01-01 00:00:00")),
        ],
    ];
    let traces = parts.page("traces", &query.concat());
    let messages = parts.page("messages", &[numbered(2, 3), vec![key()]].concat());
    assert_eq!(texts(&traces, "messageId"), texts(&messages, "messageId"));
    assert_eq!(texts(&traces, "messageId").len(), 3);
}

#[test]
fn a_trace_is_told_whatever_nodes_were_told_of_it() {
    let parts = Parts::start();
    let id = parts.send(0, "traced", "order-7");
    let sent = |id| {
        [
            "Pub",
            "1000",
            "r",
            "shop",
            "orders",
            id,
            "",
            "order-7",
            "127.0.0.1:1",
            "6",
            "12",
            "0",
            "offset",
            "true",
        ]
    };
    let received = |id| {
        [
            "SubBefore",
            "2000",
            "r",
            "billing",
            "request-1",
            id,
            "0",
            "order-7",
        ]
    };
    let consumed = |id| {
        [
            "SubAfter",
            "request-1",
            id,
            "5",
            "true",
            "order-7",
            "0",
            "3000",
            "billing",
        ]
    };
    parts.tell(1, &id, &[&sent(&id), &received(&id)]);
    parts.tell(0, &id, &[&consumed(&id)]);
    let check = |trace: &Value| {
        assert_eq!(trace["messageInfo"]["body"], "traced", "{trace}");
        let sends = trace["producerInfo"]["records"].as_array().unwrap();
        assert_eq!(
            (sends.len(), &sends[0]["produceDuration"]),
            (1, &json!(12)),
            "{trace}"
        );
        let groups = trace["consumerInfos"].as_array().unwrap();
        let [group] = &groups[..] else {
            panic!("{trace}");
        };
        assert_eq!(
            (&group["consumerGroupId"], &group["consumeStatus"]),
            (&json!("billing"), &json!("CONSUME_SUCCESS"))
        );
        // What joins them was told to both nodes.
        let [delivery] = &group["records"].as_array().unwrap()[..] else {
            panic!("{trace}");
        };
        let operations = delivery["operations"].as_array().unwrap();
        let kinds: Vec<&Value> = operations.iter().map(|it| &it["operateType"]).collect();
        assert_eq!(kinds, ["RECEIVE", "ACK"]);
    };
    check(&parts.trace(&id));

    // By where it is stored, which traces do not know it by.
    let properties = [("UNIQ_KEY", "by-sender"), ("KEYS", "order-7")];
    let stored_at = parts.send_with(1, "orders", &properties, "traced");
    assert_ne!(stored_at, "by-sender");
    parts.tell(
        0,
        "by-sender",
        &[&sent("by-sender"), &received("by-sender")],
    );
    parts.tell(1, "by-sender", &[&consumed("by-sender")]);
    check(&parts.trace("by-sender"));
    check(&parts.trace(&stored_at));
}

#[test]
fn a_note_that_the_fleet_has_not_signed_changes_nothing() {
    let parts = Parts::start();
    let id = parts.send(0, "here", "k");
    for n in 0..4 {
        parts.send(1, &format!("there {n}"), "k");
    }
    let received = [
        "SubBefore",
        "2000",
        "r",
        "billing",
        "request-1",
        &id,
        "0",
        "k",
    ];
    parts.tell(1, &id, &[&received]);
    // The key is there: the fleet has asked the nodes, and both of them know it.
    assert_eq!(
        parts.trace(&id)["consumerInfos"][0]["consumerGroupId"],
        "billing"
    );
    let coded = |note: &Value| URL_SAFE_NO_PAD.encode(note.to_string());
    let window = json!({ "window": { "skip": 0, "count": 99, "now_ms": 1 } });
    let notes = [
        coded(&json!({ "trace": { "id": id } })) + "." + &URL_SAFE_NO_PAD.encode([7; 32]),
        coded(&window) + "." + &URL_SAFE_NO_PAD.encode([0; 32]),
        coded(&window) + ".",
        coded(&json!({ "known": ["Instance", "Topic", "Group"] })),
        "instance topic group".to_owned(),
        ".".repeat(4_000),
        "x".repeat(20_000),
    ];
    let paths = [
        "messages?pageNumber=2&pageSize=2",
        "messages?pageNumber=1&pageSize=2&messageKey=k",
        &format!("traces/{id}"),
    ];
    for path in paths {
        let without = parts.unsigned(1, path, None);
        for note in &notes {
            assert_eq!(
                parts.unsigned(1, path, Some(note)),
                without,
                "{path} {note}"
            );
        }
    }
    // The message is on the other node: this one says nothing of it.
    let refused = parts.unsigned(1, paths[2], Some(&notes[0]));
    assert_eq!(refused["code"], "Message.NotFound", "{refused}");
}

#[test]
fn an_inspection_sees_what_all_nodes_have() {
    let parts = Parts::start();
    parts.make("group", "billing", &[]);
    let segments = [
        "instances",
        &parts.id,
        "consumerGroups",
        "billing",
        "consumeOffsets",
        "orders",
    ];
    let mut reset = OpenApiCall::new("ResetConsumeOffset", Method::PATCH, &segments);
    reset.body = Some(json!({ "resetType": "LATEST_OFFSET" }));
    let fleet = parts.fleet.server().address();
    parts.ask(&fleet, reset, &[]);
    for node in [0, 1, 1] {
        parts.send(node, "x", "k");
    }
    let segments = ["api", "v1", "monitoring", "instance-inspections", &parts.id];
    let region = ("regionId", "DefaultRegion".to_owned());
    let mut create = OpenApiCall::new("CreateInstanceInspection", Method::POST, &segments);
    create.body = Some(json!({
        "clientToken": "c",
        "items": [{ "templateCode": "ConsumerLag", "parameters": { "messages": 3 } }],
        "resourceScope": { "mode": "ALL" },
        "schedule": { "enabled": false },
    }));
    parts.ask(&fleet, create, std::slice::from_ref(&region));
    let inside = |name: &'static str, method, last| {
        OpenApiCall::new(name, method, &[&segments[..], &[last]].concat())
    };
    let mut run = inside("RunInstanceInspection", Method::POST, "runs");
    run.body = Some(json!({ "clientToken": "r" }));
    parts.ask(&fleet, run, std::slice::from_ref(&region));
    until("the inspection is over", || {
        let list = inside("ListInstanceInspectionRuns", Method::GET, "runs");
        let runs = parts.ask(&fleet, list, std::slice::from_ref(&region));
        (runs[0]["status"] == "Succeeded").then_some(())
    });
    let code = ("templateCode", "ConsumerLag".to_owned());
    let list = inside("ListInstanceInspectionResources", Method::GET, "resources");
    let found = parts.ask(&fleet, list, &[region, code]);
    let [late] = &found.as_array().unwrap()[..] else {
        panic!("{found}");
    };
    assert_eq!(late["name"], "billing", "{found}");
    let summary = late["summary"].as_str().unwrap();
    assert!(summary.starts_with("3 messages behind"), "{found}");
}
