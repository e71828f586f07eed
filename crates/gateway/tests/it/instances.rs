//! Instances that come and go while clients are at work.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use base::GroupName;
use broker::{DeleteInstanceError, Instance, Series};
use wire::remoting::{
    RequestCode, ResponseCode,
    body::TopicStatsTable,
    header::{PullMessageRequest, TopicRequest},
};

use crate::{
    remoting::{pull_header, send_one, send_some},
    support::{Server, soon},
};

/// Messages of a topic, as tools are told.
async fn messages(server: &Server, name: &str) -> i64 {
    let mut peer = server.peer().await;
    let request = peer.command(
        RequestCode::GetTopicStatsInfo,
        &TopicRequest {
            topic: name,
            is_logical: None,
        },
    );
    let answer = peer.ask(&request).await;
    let stats: TopicStatsTable = wire::remoting::body::Body::decode(&answer.body).unwrap();
    let queues = stats.offset_table.0.iter();
    queues
        .map(|(_, queue)| queue.max_offset - queue.min_offset)
        .sum()
}

async fn empty(instance: &Instance) {
    for topic in instance.topics() {
        instance.delete_topic(topic.name()).await.unwrap();
    }
    for group in instance.groups() {
        instance.delete_group(group.name()).await.unwrap();
    }
}

#[tokio::test]
async fn instances_do_not_see_each_others_messages() {
    let server = Server::start().await;
    let (one, other) = (
        server.create_instance(Series::V4).await,
        server.create_instance(Series::V5).await,
    );
    let names = [
        "orders".to_owned(),
        format!("{}%orders", one.id()),
        format!("{}%orders", other.id()),
    ];
    for (count, name) in names.iter().enumerate() {
        send_some(&server, name, count + 1).await;
    }
    for (count, name) in names.iter().enumerate() {
        assert_eq!(messages(&server, name).await, count as i64 + 1, "{name}");
    }
    assert_eq!(one.topics().len(), 1);
}

#[tokio::test]
async fn a_poll_that_waits_ends_when_its_instance_is_deleted() {
    let server = Server::start().await;
    let instance = server.create_instance(Series::V4).await;
    let name = format!("{}%orders", instance.id());
    send_some(&server, &name, 1).await;
    let group = format!("{}%billing", instance.id());
    instance
        .group_or_create(&GroupName::new("billing").unwrap())
        .await
        .unwrap();
    let mut peer = server.peer().await;
    let header = PullMessageRequest {
        suspend_timeout_ms: 600_000,
        ..pull_header(&group, &name, 0, 1)
    };
    let request = peer.command(RequestCode::PullMessage, &header);
    peer.send(&request).await;
    empty(&instance).await;
    let instances = server.front.instances.as_ref().unwrap();
    soon("delete", instances.delete(instance.id()))
        .await
        .unwrap();
    let answer = soon("answer", peer.receive()).await.unwrap();
    assert_ne!(
        answer.response_code(),
        Some(ResponseCode::Success),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_race_with_creation_and_removal() {
    let server = Arc::new(Server::start().await);
    let (stop, taken) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    for _ in 0..5 {
        let instance = server.create_instance(Series::V4).await;
        stop.store(false, Ordering::Relaxed);
        let mut senders = Vec::new();
        for _ in 0..3 {
            let (server, stop, taken) = (server.clone(), stop.clone(), taken.clone());
            let name = format!("{}%orders", instance.id());
            senders.push(tokio::spawn(async move {
                let mut peer = server.peer().await;
                while !stop.load(Ordering::Relaxed) {
                    let answer = soon("answer", send_one(&mut peer, &name, 0)).await;
                    if answer.response_code() == Some(ResponseCode::Success) {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }));
        }
        let before = taken.load(Ordering::Relaxed);
        soon("sends", async {
            while taken.load(Ordering::Relaxed) < before + 30 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let instances = server.front.instances.as_ref().unwrap();
        // Sends bring the topic back: it is deleted until the removal comes first.
        soon("removal", async {
            loop {
                empty(&instance).await;
                match instances.delete(instance.id()).await {
                    Ok(()) => return,
                    Err(DeleteInstanceError::NotEmpty { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
        .await;
        assert!(server.front.router.instance(instance.id()).is_err());
        stop.store(true, Ordering::Relaxed);
        for sender in senders {
            sender.await.unwrap();
        }
    }
    // The server is as it was.
    send_some(&server, "orders", 1).await;
    assert_eq!(messages(&server, "orders").await, 1);
}
