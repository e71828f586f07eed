//! What comes later or not at all: transactions, timers, retries; and what clients are asked.

use std::time::Duration;

use broker::{ClientAnswer, ClientQuestion};
use wire::remoting::header::{
    CheckTransactionStateRequest, ConsumerSendMessageBackRequest, EndTransactionRequest,
    GetConsumerRunningInfoRequest, RecallMessageRequest, RecallMessageResponse,
    ReplyMessageRequest,
};

use super::*;

const HALF: &str = "TRAN_MSG\u{1}true\u{2}PGROUP\u{1}shop\u{2}UNIQ_KEY\u{1}half\u{2}";

/// Sends one message and returns the physical offset of its id, and its recall handle.
async fn send(peer: &mut Peer, topic: &str, raw: &str) -> (i64, Option<String>) {
    let command = peer
        .command(RequestCode::SendMessageV2, &send_header(topic, raw))
        .with_body("body");
    let sent = peer.ask(&command).await;
    succeeded(&sent);
    let sent: SendMessageResponse<'_> = sent.header().unwrap();
    let id: MessageId = sent.message_id.parse().unwrap();
    (id.physical_offset, sent.recall_handle.map(str::to_owned))
}

fn end(half: i64, resolution: i32) -> EndTransactionRequest<'static> {
    EndTransactionRequest {
        topic: None,
        producer_group: "shop",
        transaction_state_offset: 0,
        physical_offset: half,
        commit_or_rollback: resolution,
        from_transaction_check: false,
        message_id: "half",
        transaction_id: None,
        broker_name: None,
    }
}

async fn pull(peer: &mut Peer, topic: &str) -> Vec<StoredMessage> {
    let header = PullMessageRequest {
        sys_flag: pull_sys_flag::SUBSCRIPTION,
        subscription: Some("*"),
        ..pull_header("billing", topic, 0, 0)
    };
    messages(&peer.call(RequestCode::PullMessage, &header).await)
}

#[tokio::test]
async fn a_transaction_is_committed_rolled_back_or_asked_about() {
    let server = Server::start().await;
    let mut peer = server.peer().await;
    let (first, handle) = send(&mut peer, "orders", HALF).await;
    assert_eq!(handle, None);
    let (second, _) = send(&mut peer, "orders", HALF).await;
    let (third, _) = send(&mut peer, "orders", HALF).await;
    assert!(pull(&mut peer, "orders").await.is_empty());

    let answer = peer.call(RequestCode::EndTransaction, &end(first, 8)).await;
    succeeded(&answer);
    let answer = peer.call(RequestCode::EndTransaction, &end(first, 8)).await;
    refused(&answer, ResponseCode::SystemError, "no half message");
    succeeded(
        &peer
            .call(RequestCode::EndTransaction, &end(second, 12))
            .await,
    );
    succeeded(&peer.call(RequestCode::EndTransaction, &end(third, 0)).await);
    let answer = peer.call(RequestCode::EndTransaction, &end(third, 5)).await;
    refused(&answer, ResponseCode::InvalidParameter, "commitOrRollback");
    let other = EndTransactionRequest {
        producer_group: "other",
        ..end(third, 8)
    };
    let answer = peer.call(RequestCode::EndTransaction, &other).await;
    refused(&answer, ResponseCode::SystemError, "`shop`, not `other`");
    let visible = pull(&mut peer, "orders").await;
    assert_eq!(visible.len(), 1);
    assert_eq!(visible[0].property(properties::TRANSACTION_PREPARED), None);
    assert_eq!(visible[0].prepared_transaction_offset(), first);

    // A producer of the group, by its heartbeat, is asked about the one left.
    let mut producer = server.peer().await;
    tell_subscription(&mut producer, "billing", "orders", "*").await;
    producer.pushed().await;
    server.clock.advance(Duration::from_secs(7));
    server.release().await;
    let asked = producer.pushed().await;
    assert_eq!(
        asked.request_code(),
        Some(RequestCode::CheckTransactionState)
    );
    assert!(asked.is_oneway());
    let header: CheckTransactionStateRequest<'_> = asked.header().unwrap();
    assert_eq!(header.physical_offset, third);
    assert_eq!(header.message_id, Some("half"));
    let half = StoredMessage::parse(asked.body.clone()).unwrap();
    assert_eq!((half.topic(), &half.body()[..]), ("orders", &b"body"[..]));
    let times = half.property(properties::TRANSACTION_CHECK_TIMES);
    assert_eq!(times, Some("1"));
    assert_eq!(half.sys_flag() & message::sys_flag::TRANSACTION, 0);
    let checked = EndTransactionRequest {
        from_transaction_check: true,
        ..end(third, 8)
    };
    succeeded(&producer.call(RequestCode::EndTransaction, &checked).await);
    assert_eq!(pull(&mut peer, "orders").await.len(), 2);
}

#[tokio::test]
async fn producers_with_a_prefix_are_asked_by_the_names_that_they_use() {
    let server = Server::start().await;
    let mut peer = server.peer().await;
    let raw = "TRAN_MSG\u{1}true\u{2}PGROUP\u{1}default%shop\u{2}";
    let (half, _) = send(&mut peer, "default%orders", raw).await;
    let mut beat = heartbeat("default%billing", "default%orders", "*");
    beat.producers[0].group_name = "default%shop".to_owned();
    succeeded(&peer.post(RequestCode::Heartbeat, &beat).await);
    peer.pushed().await;
    server.clock.advance(Duration::from_secs(7));
    server.release().await;
    let asked = peer.pushed().await;
    let message = StoredMessage::parse(asked.body).unwrap();
    assert_eq!(message.topic(), "default%orders");
    let group = message.property(properties::PRODUCER_GROUP);
    assert_eq!(group, Some("default%shop"));
    let commit = EndTransactionRequest {
        producer_group: "default%shop",
        ..end(half, 8)
    };
    succeeded(&peer.call(RequestCode::EndTransaction, &commit).await);
}

#[tokio::test]
async fn a_timed_message_comes_in_time_unless_it_is_recalled() {
    let server = Server::start().await;
    let mut peer = server.peer().await;
    let (_, kept) = send(&mut peer, "orders", "TIMER_DELAY_MS\u{1}2000\u{2}").await;
    let raw = "TIMER_DELAY_MS\u{1}2000\u{2}UNIQ_KEY\u{1}mine\u{2}";
    let (_, recalled) = send(&mut peer, "orders", raw).await;
    let (kept, recalled) = (kept.unwrap(), recalled.unwrap());
    let recall = |topic, handle| RecallMessageRequest {
        producer_group: Some("shop"),
        topic,
        recall_handle: handle,
    };
    let answer = peer
        .call(RequestCode::RecallMessage, &recall("orders", &recalled))
        .await;
    let said: RecallMessageResponse<'_> = answer.header().unwrap();
    assert_eq!(said.message_id, "mine");
    for (topic, handle, part) in [
        ("orders", recalled.as_str(), "still to come"),
        ("others", kept.as_str(), "belongs to topic `orders`"),
        ("orders", "not a handle", "malformed"),
    ] {
        let answer = peer
            .call(RequestCode::RecallMessage, &recall(topic, handle))
            .await;
        refused(&answer, ResponseCode::IllegalOperation, part);
    }
    server.clock.advance(Duration::from_secs(2));
    server.release().await;
    assert_eq!(pull(&mut peer, "orders").await.len(), 1);
    let answer = peer
        .call(RequestCode::RecallMessage, &recall("orders", &kept))
        .await;
    refused(&answer, ResponseCode::IllegalOperation, "still to come");
    let days = (41_i64 * 24 * 3_600).to_string();
    let raw = format!("TIMER_DELAY_SEC\u{1}{days}\u{2}");
    let command = peer
        .command(RequestCode::SendMessageV2, &send_header("orders", &raw))
        .with_body("body");
    refused(
        &peer.ask(&command).await,
        ResponseCode::MessageIllegal,
        "expected at most",
    );
}

#[tokio::test]
async fn what_is_given_back_comes_again_and_then_is_a_dead_letter() {
    let server = Server::start().await;
    let mut peer = server.peer().await;
    tell_subscription(&mut peer, "billing", "orders", "*").await;
    peer.pushed().await;
    let (message, _) = send(&mut peer, "orders", "TAGS\u{1}a\u{2}").await;
    let back = |offset, max| ConsumerSendMessageBackRequest {
        offset,
        group: "billing",
        delay_level: 0,
        origin_message_id: None,
        origin_topic: Some("orders"),
        unit_mode: false,
        max_reconsume_times: Some(max),
        broker_name: None,
    };
    let code = RequestCode::ConsumerSendMessageBack;
    succeeded(&peer.call(code, &back(message, 1)).await);
    server.clock.advance(Duration::from_secs(10));
    server.release().await;
    let again = pull(&mut peer, "%RETRY%billing").await.pop().unwrap();
    assert_eq!(again.reconsume_times(), 1);
    succeeded(&peer.call(code, &back(again.physical_offset(), 1)).await);
    let dead = pull(&mut peer, "%DLQ%billing").await;
    assert_eq!(dead.len(), 1);
    let nowhere = peer.call(code, &back(1 << 40, 1)).await;
    refused(&nowhere, ResponseCode::SystemError, "no message");
    let nobody = ConsumerSendMessageBackRequest {
        group: "nobody",
        ..back(message, 1)
    };
    let answer = peer.call(code, &nobody).await;
    refused(&answer, ResponseCode::GroupNotExist, "nobody");
}

#[tokio::test]
async fn a_reply_goes_to_the_client_that_asked() {
    let server = Server::start().await;
    let mut asker = server.peer().await;
    tell_subscription(&mut asker, "billing", "orders", "*").await;
    asker.pushed().await;
    let raw = "REPLY_TO_CLIENT\u{1}client-of-billing\u{2}CORRELATION_ID\u{1}c\u{2}";
    send(&mut asker, "orders", raw).await;
    let request = pull(&mut asker, "orders").await.pop().unwrap();
    assert_eq!(
        request.property(properties::CLUSTER),
        Some("DefaultCluster")
    );

    let mut answerer = server.peer().await;
    let header = send_header("DefaultCluster_REPLY_TOPIC", raw);
    let reply = answerer
        .command(RequestCode::SendReplyMessageV2, &header)
        .with_body("reply");
    answerer.send(&reply).await;
    let pushed = asker.pushed().await;
    assert_eq!(
        pushed.request_code(),
        Some(RequestCode::PushReplyMessageToClient)
    );
    let header: ReplyMessageRequest<'_> = pushed.header().unwrap();
    assert_eq!(header.topic, "DefaultCluster_REPLY_TOPIC");
    assert!(header.properties.unwrap().contains("CORRELATION_ID"));
    assert_eq!(&pushed.body[..], b"reply");
    asker.send(&pushed.response(ResponseCode::Success)).await;
    succeeded(&answerer.receive().await.unwrap());

    let gone = "REPLY_TO_CLIENT\u{1}gone\u{2}";
    for (raw, part) in [
        (gone, "`gone` is not connected"),
        ("a\u{1}b\u{2}", "REPLY_TO_CLIENT"),
    ] {
        let header = send_header("DefaultCluster_REPLY_TOPIC", raw);
        let reply = answerer
            .command(RequestCode::SendReplyMessageV2, &header)
            .with_body("reply");
        let answer = answerer.ask(&reply).await;
        assert_ne!(answer.response_code(), Some(ResponseCode::Success));
        let remark = answer.remark.unwrap_or_default();
        assert!(remark.contains(part), "{remark}");
    }
}

#[tokio::test]
async fn a_client_is_asked_and_answers_or_is_silent() {
    let server = Server::start().await;
    let mut client = server.peer().await;
    tell_subscription(&mut client, "billing", "orders", "*").await;
    client.pushed().await;
    let ask = || {
        let instance = server.instance.clone();
        tokio::spawn(async move {
            let question = ClientQuestion::RunningInfo {
                group: base::GroupName::new("billing").unwrap(),
                with_stacks: true,
            };
            let patience = Duration::from_secs(5);
            instance.ask("client-of-billing", question, patience).await
        })
    };
    let asked = ask();
    let pushed = client.pushed().await;
    let header: GetConsumerRunningInfoRequest<'_> = pushed.header().unwrap();
    assert_eq!(
        (header.consumer_group, header.with_stack),
        ("billing", true)
    );
    assert!(!pushed.is_oneway());
    // Nobody asked this one.
    let mut stray = pushed.response(ResponseCode::Success).with_body("stray");
    stray.opaque += 1_000;
    client.send(&stray).await;
    let answer = pushed.response(ResponseCode::Success).with_body("info");
    client.send(&answer).await;
    let told = asked.await.unwrap().unwrap();
    assert_eq!(told, ClientAnswer::Done("info".into()));

    let asked = ask();
    let pushed = client.pushed().await;
    let answer = pushed
        .response(ResponseCode::SystemError)
        .with_remark("no such group");
    client.send(&answer).await;
    let told = asked.await.unwrap().unwrap();
    assert_eq!(told, ClientAnswer::Refused("no such group".to_owned()));

    let asked = ask();
    client.pushed().await;
    server.clock.advance(Duration::from_secs(5));
    assert!(asked.await.unwrap().is_err());
}
