//! Several servers with one etcd.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use client::{
    GrpcClient, GrpcOptions, RemotingClient, RemotingOptions,
    remoting::{OutgoingMessage, PullQueue},
};
use rustix::process::Signal;
use wire::remoting::body::TopicRouteData;

use crate::{
    etcd_process::Etcd,
    support::{Server, carrack},
};

/// Looks of 20 ms each within which what one node does must be at the others: a minute.
const LOOKS: usize = 3_000;

pub(crate) fn command(etcd: &Etcd, data: &Path, name: &str) -> Command {
    let mut command = carrack(&["server", "--data", data.to_str().unwrap()]);
    command
        .args(["--listen", "127.0.0.1:0", "--etcd", &etcd.endpoint()])
        .args(["--node-name", name])
        .env("CARRACK_NODE_LEASE_SECONDS", "2")
        .env("CARRACK_CREATE_AUTOMATICALLY", "false");
    command
}

pub(crate) fn start(etcd: &Etcd, data: &Path, name: &str) -> Server {
    Server::spawn(command(etcd, data, name))
}

/// Looks until it is so: what other nodes do is seen a moment later.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "a pause between looks, not what is waited for"
)]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it never was so: {what}");
}

pub(crate) async fn remoting(address: &str) -> Result<RemotingClient, client::ClientError> {
    let options = RemotingOptions {
        connect_timeout: Duration::from_secs(3),
        request_timeout: Duration::from_secs(3),
        ..RemotingOptions::default()
    };
    RemotingClient::connect(address, options).await
}

/// Addresses of the brokers of a topic by their names.
pub(crate) fn brokers(route: &TopicRouteData) -> BTreeMap<String, String> {
    let brokers = route.brokers.iter();
    let entry =
        |it: &wire::remoting::body::BrokerData| (it.broker_name.clone(), it.addresses[&0].clone());
    brokers.map(entry).collect()
}

pub(crate) async fn route(
    server: &str,
    topic: &str,
) -> Result<TopicRouteData, client::ClientError> {
    remoting(server).await?.route(topic).await
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn nodes_share_what_is_created_and_routes_list_the_queues_of_all() {
    let (etcd, folders) = (Etcd::start(), [folder(), folder()]);
    let a = start(&etcd, folders[0].path(), "a");
    let b = start(&etcd, folders[1].path(), "b");
    a.run(&["topic", "create", "orders", "--queues", "3"]).ok();
    b.run(&["group", "create", "billing"]).ok();
    let has = |server: &Server, arguments: &[&str]| server.run(arguments).code == Some(0);
    until("topic at b", || has(&b, &["topic", "describe", "orders"]));
    until("group at a", || has(&a, &["group", "describe", "billing"]));
    let made = b.json(&["instance", "create", "--series", "5.x"]);
    let id = made["instance"].as_str().unwrap().to_owned();
    let describe = ["instance", "describe", &id];
    until("instance at a", || has(&a, &describe));

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let expected = BTreeMap::from([
        ("default-0".to_owned(), a.address()),
        ("default-1".to_owned(), b.address()),
    ]);
    for server in [&a, &b] {
        let address = server.address();
        until("both in the route", || {
            let found = runtime.block_on(route(&address, "orders")).unwrap();
            assert!(found.queues.iter().all(|it| it.write_queue_count == 3));
            brokers(&found) == expected
        });
        let found = runtime.block_on(async {
            let client = GrpcClient::connect(&address, GrpcOptions::default());
            client.await.unwrap().query_route("orders").await.unwrap()
        });
        let queues = found.message_queues.into_iter().map(|queue| {
            let broker = queue.broker.unwrap();
            let told = broker.endpoints.unwrap().addresses.remove(0);
            (
                broker.name,
                format!("{}:{}", told.host, told.port),
                queue.id,
            )
        });
        let queues: BTreeSet<_> = queues.collect();
        let all = expected.iter();
        let all = all.flat_map(|(name, at)| (0..3).map(|id| (name.clone(), at.clone(), id)));
        assert_eq!(queues, all.collect());
    }

    a.run(&["instance", "delete", &id]).ok();
    until("instance gone at b", || !has(&b, &describe));
    b.run(&["topic", "delete", "orders"]).ok();
    until("topic gone at a", || {
        !has(&a, &["topic", "describe", "orders"])
    });

    // A folder belongs to its node, and a node to its cluster.
    b.stop();
    let error =
        crate::support::Ended::from(command(&etcd, folders[1].path(), "c").output().unwrap());
    assert!(error.err.contains("belongs to node `b`"), "{}", error.err);
    let data = folders[1].path().to_str().unwrap();
    let alone = crate::support::run(&["server", "--data", data, "--listen", "127.0.0.1:0"]);
    assert!(alone.err.contains("a node of a cluster"), "{}", alone.err);
    let other = folder();
    let error = command(&etcd, other.path(), "a").output().unwrap();
    let error = crate::support::Ended::from(error);
    assert!(error.err.contains("another data folder"), "{}", error.err);
}

/// What a sender knows and has done.
#[derive(Default)]
struct Load {
    /// Where it asks for routes.
    servers: Mutex<Vec<String>>,
    stop: AtomicBool,
    confirmed: AtomicUsize,
}

/// How often an SDK tries to send a message unless told otherwise, each time to another broker.
const ATTEMPTS: usize = 3;

impl Load {
    async fn route(&self) -> BTreeMap<String, String> {
        loop {
            let servers = self.servers.lock().unwrap().clone();
            for server in servers {
                if let Ok(route) = route(&server, "orders").await {
                    return brokers(&route);
                }
            }
        }
    }

    /// Sends one message after the other to the brokers in turn, as an SDK does, until told to
    /// stop. Returns what was confirmed, and what was not in all attempts.
    async fn run(&self) -> (Vec<String>, Vec<String>) {
        let (mut confirmed, mut refused) = (Vec::new(), Vec::new());
        let mut clients = BTreeMap::new();
        let mut brokers = self.route().await;
        for number in 0_usize.. {
            if self.stop.load(Ordering::Acquire) {
                break;
            }
            // As after each 30 s, but for a test.
            if number % 50 == 0 {
                brokers = self.route().await;
            }
            let body = format!("message {number}");
            let mut is_sent = false;
            let mut last = String::new();
            for attempt in 0..ATTEMPTS {
                let names: Vec<&String> = brokers.keys().collect();
                let name = names[(number + attempt) % names.len()].clone();
                match send(&mut clients, &brokers[&name], &body).await {
                    Ok(()) => {
                        is_sent = true;
                        break;
                    }
                    Err(error) => {
                        clients.remove(&brokers[&name]);
                        last = error.to_string();
                    }
                }
            }
            if is_sent {
                confirmed.push(body);
                self.confirmed.fetch_add(1, Ordering::AcqRel);
            } else {
                refused.push(format!("{body}: {last}"));
            }
        }
        (confirmed, refused)
    }

    /// Waits until so many more have been confirmed.
    fn wait_for_more(&self, count: usize) {
        let target = self.confirmed.load(Ordering::Acquire) + count;
        until("messages confirmed", || {
            self.confirmed.load(Ordering::Acquire) >= target
        });
    }
}

fn message<'a>(topic: &'a str, body: &str) -> OutgoingMessage<'a> {
    OutgoingMessage {
        producer_group: "load",
        topic,
        queue: None,
        automatic_queues: 1,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 0,
        properties: "",
        body: body.to_owned().into(),
    }
}

async fn send(
    clients: &mut BTreeMap<String, RemotingClient>,
    address: &str,
    body: &str,
) -> Result<(), client::ClientError> {
    if !clients.contains_key(address) {
        let client = remoting(address).await?;
        clients.insert(address.to_owned(), client);
    }
    let sent = clients[address].send(message("orders", body)).await;
    sent.map(drop)
}

/// The bodies of all messages of a topic at a broker.
async fn stored(address: &str) -> Vec<String> {
    let client = remoting(address).await.unwrap();
    let mut bodies = Vec::new();
    for queue in 0..2 {
        let mut offset = 0;
        loop {
            let pulled = client.pull(PullQueue {
                group: "billing",
                topic: "orders",
                queue,
                offset,
                max_messages: 32,
                commit: None,
                expression: "*",
                wait: Duration::ZERO,
            });
            let pulled = pulled.await.unwrap();
            let texts = pulled.messages.iter();
            bodies.extend(texts.map(|it| String::from_utf8(it.body().to_vec()).unwrap()));
            offset = pulled.next;
            if offset >= pulled.max {
                break;
            }
        }
    }
    bodies
}

#[test]
fn nodes_restart_under_load_and_nothing_confirmed_is_lost() {
    let (etcd, folders) = (Etcd::start(), [folder(), folder()]);
    let mut a = start(&etcd, folders[0].path(), "a");
    let mut b = start(&etcd, folders[1].path(), "b");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    a.run(&["topic", "create", "orders", "--queues", "2"]).ok();
    a.run(&["group", "create", "billing"]).ok();
    let lists = |server: &Server, expected: &[&str]| {
        let address = server.address();
        until(&format!("the route lists {expected:?}"), || {
            let found = runtime.block_on(route(&address, "orders"));
            found.is_ok_and(|found| brokers(&found).into_keys().eq(expected.iter().copied()))
        });
    };
    let both = ["default-0", "default-1"];
    lists(&a, &both);
    lists(&b, &both);

    let load = Arc::new(Load::default());
    let tell =
        |a: &Server, b: &Server| *load.servers.lock().unwrap() = vec![a.address(), b.address()];
    tell(&a, &b);
    let sending = Arc::clone(&load);
    let sending = runtime.spawn(async move { sending.run().await });
    load.wait_for_more(200);

    // In order: it leaves the route at once, before it ends.
    let (code, log) = b.end(Signal::TERM);
    assert_eq!(code, Some(0), "{log}");
    let found = runtime.block_on(route(&a.address(), "orders")).unwrap();
    assert!(brokers(&found).into_keys().eq(["default-0"]));
    load.wait_for_more(200);
    b = start(&etcd, folders[1].path(), "b");
    tell(&a, &b);
    lists(&a, &both);
    load.wait_for_more(200);

    // Not in order: it leaves when its lease ends.
    a.end(Signal::KILL);
    lists(&b, &["default-1"]);
    load.wait_for_more(200);
    a = start(&etcd, folders[0].path(), "a");
    tell(&a, &b);
    lists(&b, &both);
    load.wait_for_more(200);

    load.stop.store(true, Ordering::Release);
    let (confirmed, refused) = runtime.block_on(sending).unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    let [at_a, at_b] = [&a, &b].map(|it| runtime.block_on(stored(&it.address())));
    assert!(
        at_a.len() > 200 && at_b.len() > 200,
        "{} {}",
        at_a.len(),
        at_b.len()
    );
    let found: BTreeSet<String> = at_a.into_iter().chain(at_b).collect();
    let lost: Vec<&String> = confirmed.iter().filter(|it| !found.contains(*it)).collect();
    assert!(lost.is_empty(), "{lost:?} of {}", confirmed.len());
}

/// Messages of an instance that standard tenants may send in a second, by its plan: 500 TPS, of
/// which sends have half.
const SENDS_A_SECOND: usize = 250;

/// How many senders each node has at once.
const SENDERS: usize = 8;

/// Sends to a node as fast as it takes them. Counts what was taken, and what was refused with all
/// of these words.
async fn flood(address: &str, topic: &str, words: [&str; 2], load: &Load) -> usize {
    let client = remoting(address).await.unwrap();
    let sender = async || {
        let mut taken = 0;
        while !load.stop.load(Ordering::Acquire) {
            match client.send(message(topic, "x")).await {
                Ok(_) => taken += 1,
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.contains("messages flow control"), "{error}");
                    if words.iter().all(|word| error.contains(word)) {
                        load.confirmed.fetch_add(1, Ordering::AcqRel);
                    }
                }
            }
        }
        taken
    };
    let senders = (0..SENDERS).map(|_| sender());
    futures::future::join_all(senders).await.into_iter().sum()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "what real seconds have is what is looked at"
)]
fn nodes_together_take_no_more_than_the_plan_of_an_instance_says() {
    let (etcd, folders) = (Etcd::start(), [folder(), folder()]);
    let a = start(&etcd, folders[0].path(), "a");
    let b = start(&etcd, folders[1].path(), "b");
    let edition = ["--edition", "standard", "--sub-series", "single_node"];
    let order = [
        &["instance", "create", "--spec", "rmq.s1.micro"][..],
        &edition,
    ]
    .concat();
    let id = a.json(&order)["instance"].as_str().unwrap().to_owned();
    let create = ["topic", "create", "orders", "--instance", &id];
    a.run(&create).ok();
    let describe = ["topic", "describe", "orders", "--instance", &id];
    until("topic at b", || b.run(&describe).code == Some(0));

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let words = ["limited to 250 units a second", "125 of them at this node"];
    let floods = |until_stopped: &dyn Fn(&[Arc<Load>; 2])| -> usize {
        let loads = [(); 2].map(|()| Arc::new(Load::default()));
        let floods = [&a, &b].into_iter().zip(&loads).map(|(server, load)| {
            let (address, topic) = (server.address(), format!("{id}%orders"));
            let load = Arc::clone(load);
            runtime.spawn(async move { flood(&address, &topic, words, &load).await })
        });
        let floods: Vec<_> = floods.collect();
        until_stopped(&loads);
        for load in &loads {
            load.stop.store(true, Ordering::Release);
        }
        let taken = floods
            .into_iter()
            .map(|flood| runtime.block_on(flood).unwrap());
        taken.sum()
    };
    let are_both_full = |loads: &[Arc<Load>; 2]| {
        until("both refuse what is more than their shares", || {
            let refused = loads
                .iter()
                .map(|load| load.confirmed.load(Ordering::Acquire));
            refused.min() > Some(0)
        });
    };
    // Until each knows of the other.
    let before = floods(&are_both_full);
    let began = std::time::Instant::now();
    let taken = floods(&|loads| {
        are_both_full(loads);
        std::thread::sleep(Duration::from_secs(3));
    });
    let seconds = began.elapsed().as_secs() as usize + 2;
    assert!(
        taken <= SENDS_A_SECOND * seconds,
        "{taken} sends in the course of {seconds} seconds"
    );

    // Each writes what it has counted when it is asked.
    b.run(&["usage", &id]).ok();
    let lines = a.run(&["usage", &id]).ok();
    let units = lines
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(2).unwrap());
    let units: usize = units.map(|units| units.parse::<usize>().unwrap()).sum();
    assert_eq!(units, before + taken);
}

#[test]
fn messages_go_on_while_etcd_is_away_and_changes_are_refused() {
    let (mut etcd, folders) = (Etcd::start(), [folder(), folder()]);
    let a = start(&etcd, folders[0].path(), "a");
    let b = start(&etcd, folders[1].path(), "b");
    a.run(&["topic", "create", "orders"]).ok();
    let has = |server: &Server| server.run(&["topic", "describe", "orders"]).code == Some(0);
    until("topic at b", || has(&b));

    etcd.kill();
    let error = a.run(&["topic", "create", "later"]).fails(1);
    assert!(error.contains("metadata: etcd"), "{error}");
    for server in [&a, &b] {
        server
            .run(&["message", "send", "orders", "--body", "x"])
            .ok();
    }
    etcd.start_again();
    until("a takes changes again", || {
        a.run(&["topic", "create", "later"]).code == Some(0)
    });
    until("b hears of it", || {
        b.run(&["topic", "describe", "later"]).code == Some(0)
    });
    b.stop();
    a.stop();
}
