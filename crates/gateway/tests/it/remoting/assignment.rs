//! What a pop would find, and who is told to pop which queues.

use wire::remoting::{
    body::{
        MessageRequestMode, QueryAssignmentRequest, QueryAssignmentResponse, SetMessageRequestMode,
    },
    header::{
        NotificationRequest, NotificationResponse, PeekMessageRequest, PollingInfoRequest,
        PollingInfoResponse, PopMessageResponse,
    },
};

use super::{
    pop::{json_peer, pop, pop_header, popped},
    *,
};

#[tokio::test]
async fn what_a_pop_would_find_can_be_asked_without_taking_it() {
    let server = Server::start().await;
    send_some(&server, "orders", 3).await;
    let mut peer = json_peer(&server).await;
    let peek = PeekMessageRequest {
        topic: "orders",
        queue_id: -1,
        max_message_count: 2,
        consumer_group: "billing",
    };
    let notification = NotificationRequest {
        consumer_group: "billing",
        topic: "orders",
        queue_id: -1,
        poll_ms: 0,
        born_timestamp: 0,
        order: false,
        attempt_id: None,
        expression_type: None,
        expression: None,
    };
    let told = |answer: &Command| {
        succeeded(answer);
        let told: NotificationResponse = answer.header().unwrap();
        told.has_message
    };
    for _ in 0..2 {
        let answer = peer.call(RequestCode::PeekMessage, &peek).await;
        succeeded(&answer);
        assert_eq!(messages(&answer).len(), 2);
        let header: PopMessageResponse<'_> = answer.header().unwrap();
        assert_eq!(header.rest_count, 3);
        let answer = peer.call(RequestCode::Notification, &notification).await;
        assert!(told(&answer));
    }
    assert_eq!(
        popped(&pop(&mut peer, &pop_header("billing")).await).len(),
        3
    );
    let answer = peer.call(RequestCode::PeekMessage, &peek).await;
    refused(&answer, ResponseCode::PullNotFound, "");
    let answer = peer.call(RequestCode::Notification, &notification).await;
    assert!(!told(&answer));

    // One that waits hears of a new message, and of one whose time has ended.
    let waiting = NotificationRequest {
        poll_ms: 60_000,
        ..notification
    };
    let poll = peer.command(RequestCode::Notification, &waiting);
    peer.send(&poll).await;
    let other = peer.command(RequestCode::GetBrokerClusterInfo, &());
    peer.ask(&other).await;
    let mut producer = json_peer(&server).await;
    succeeded(&send_one(&mut producer, "orders", 3).await);
    assert!(told(&peer.receive().await.unwrap()));
    server.clock.advance(Duration::from_secs(30));
    assert_eq!(
        popped(&pop(&mut peer, &pop_header("billing")).await).len(),
        1
    );
    let poll = peer.command(RequestCode::Notification, &waiting);
    peer.send(&poll).await;
    peer.ask(&other).await;
    server.clock.advance(Duration::from_secs(31));
    assert!(told(&peer.receive().await.unwrap()));
}

#[tokio::test]
async fn the_server_shares_out_queues_for_groups_that_pop() {
    let server = Server::start().await;
    send_some(&server, "orders", 1).await;
    let mut peers = Vec::new();
    for client in ["c1", "c2", "c3"] {
        let mut peer = json_peer(&server).await;
        let data = HeartbeatData {
            client_id: client.to_owned(),
            ..heartbeat("billing", "orders", "*")
        };
        succeeded(&peer.post(RequestCode::Heartbeat, &data).await);
        peers.push(peer);
    }
    let mut peer = json_peer(&server).await;
    let ask = |client: &str, topic: &str, strategy: &str| QueryAssignmentRequest {
        client_id: client.to_owned(),
        consumer_group: "billing".to_owned(),
        message_model: MessageModel::Clustering,
        strategy_name: strategy.to_owned(),
        topic: topic.to_owned(),
    };
    let assigned = |answer: &Command| {
        succeeded(answer);
        let told = QueryAssignmentResponse::decode(&answer.body).unwrap();
        told.assignments.map(|assignments| {
            let mut told: Vec<(i32, MessageRequestMode)> = assignments
                .iter()
                .map(|assignment| (assignment.queue.queue_id, assignment.mode))
                .collect();
            told.dedup();
            told
        })
    };
    let pull = |queues: std::ops::Range<i32>| {
        Some(
            queues
                .map(|queue| (queue, MessageRequestMode::Pull))
                .collect::<Vec<_>>(),
        )
    };
    for (client, queues) in [("c1", 0..2), ("c2", 2..3), ("c3", 3..4), ("c4", 0..0)] {
        let request = ask(client, "orders", "AVG");
        let answer = peer.post(RequestCode::QueryAssignment, &request).await;
        assert_eq!(assigned(&answer), pull(queues), "{client}");
    }
    for request in [ask("c1", "nowhere", "AVG"), ask("c1", "orders", "MAGIC")] {
        let answer = peer.post(RequestCode::QueryAssignment, &request).await;
        assert_eq!(assigned(&answer), None);
    }

    let mut mode = SetMessageRequestMode {
        consumer_group: "billing".to_owned(),
        mode: MessageRequestMode::Pop,
        pop_share_queue_count: 0,
        topic: "orders".to_owned(),
    };
    succeeded(&peer.post(RequestCode::SetMessageRequestMode, &mode).await);
    let request = ask("c2", "orders", "AVG");
    let answer = peer.post(RequestCode::QueryAssignment, &request).await;
    assert_eq!(assigned(&answer), Some(vec![(-1, MessageRequestMode::Pop)]));
    mode.pop_share_queue_count = 1;
    succeeded(&peer.post(RequestCode::SetMessageRequestMode, &mode).await);
    let answer = peer.post(RequestCode::QueryAssignment, &request).await;
    let shared: Vec<_> = (2..4).map(|q| (q, MessageRequestMode::Pop)).collect();
    assert_eq!(assigned(&answer), Some(shared));

    for (topic, group, code) in [
        ("nowhere", "billing", ResponseCode::TopicNotExist),
        // A group that is not there yet is made, as its first consumer would make it.
        ("orders", "strangers", ResponseCode::Success),
        ("%RETRY%billing", "billing", ResponseCode::NoPermission),
        ("or ders", "billing", ResponseCode::InvalidParameter),
        ("", "", ResponseCode::InvalidParameter),
    ] {
        let mode = SetMessageRequestMode {
            topic: topic.to_owned(),
            consumer_group: group.to_owned(),
            ..mode.clone()
        };
        let answer = peer.post(RequestCode::SetMessageRequestMode, &mode).await;
        refused(&answer, code, "");
    }
    // The mode of a topic that comes back is not that of its former life.
    server
        .instance
        .delete_topic(&base::TopicName::new("orders").unwrap())
        .await
        .unwrap();
    send_some(&server, "orders", 1).await;
    let answer = peer.post(RequestCode::QueryAssignment, &request).await;
    assert!(assigned(&answer).is_some());
}

