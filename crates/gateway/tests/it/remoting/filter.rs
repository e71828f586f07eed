//! SQL92 filters: in pulls, in heartbeats, and asked about beforehand.

use wire::remoting::body::CheckClientRequest;

use super::*;

fn sql_pull(expression: &str) -> PullMessageRequest<'_> {
    PullMessageRequest {
        sys_flag: pull_sys_flag::SUBSCRIPTION,
        subscription: Some(expression),
        expression_type: Some("SQL92"),
        ..pull_header("billing", "orders", 0, 0)
    }
}

fn sql_heartbeat(expression: &str) -> HeartbeatData {
    let mut data = heartbeat("billing", "orders", expression);
    "SQL92".clone_into(&mut data.consumers[0].subscriptions[0].expression_type);
    data
}

fn keys(answer: &Command) -> Vec<String> {
    let key = |message: &StoredMessage| message.property(properties::KEYS).map(str::to_owned);
    messages(answer).iter().filter_map(key).collect()
}

#[tokio::test]
async fn a_pull_with_an_expression_gets_what_matches() {
    let server = Server::start().await;
    send_some(&server, "orders", 4).await;
    let mut peer = server.peer().await;
    let header = sql_pull("TAGS = 'odd' AND KEYS IN ('key-1', 'key-2')");
    let answer = peer.call(RequestCode::PullMessage, &header).await;
    succeeded(&answer);
    assert_eq!(keys(&answer), ["key-1"]);
    let next: PullMessageResponse = answer.header().unwrap();
    assert_eq!(next.next_begin_offset, 4);

    let answer = peer
        .call(RequestCode::PullMessage, &sql_pull("price > 1"))
        .await;
    refused(&answer, ResponseCode::PullRetryImmediately, "");
}

#[tokio::test]
async fn the_expression_of_a_heartbeat_serves_its_pulls() {
    let server = Server::start().await;
    send_some(&server, "orders", 4).await;
    let mut peer = server.peer().await;
    // Said twice, as every 30 s.
    for _ in 0..2 {
        let data = sql_heartbeat("TAGS <> 'even'");
        succeeded(&peer.post(RequestCode::Heartbeat, &data).await);
        let header = pull_header("billing", "orders", 0, 0);
        let answer = peer.call(RequestCode::PullMessage, &header).await;
        assert_eq!(keys(&answer), ["key-1", "key-3"]);
    }
    // A later one replaces it, of whichever member; one that is not later does not.
    let mut data = sql_heartbeat("TAGS = 'even'");
    data.client_id = "other".to_owned();
    let mut other = server.peer().await;
    succeeded(&other.post(RequestCode::Heartbeat, &data).await);
    let header = pull_header("billing", "orders", 0, 0);
    let answer = other.call(RequestCode::PullMessage, &header).await;
    assert_eq!(keys(&answer), ["key-1", "key-3"]);
    data.consumers[0].subscriptions[0].version += 1;
    succeeded(&other.post(RequestCode::Heartbeat, &data).await);
    let header = pull_header("billing", "orders", 0, 0);
    let answer = peer.call(RequestCode::PullMessage, &header).await;
    assert_eq!(keys(&answer), ["key-0", "key-2"]);
}

#[tokio::test]
async fn bad_expressions_are_refused_with_their_place() {
    let server = Server::start().await;
    send_some(&server, "orders", 1).await;
    let mut peer = server.peer().await;
    let why = "found the end at character 7, expected a text in quotes";
    let answer = peer
        .call(RequestCode::PullMessage, &sql_pull("a IN ("))
        .await;
    refused(&answer, ResponseCode::SubscriptionParseFailed, why);

    let mut check = CheckClientRequest {
        client_id: "c".to_owned(),
        group: "billing".to_owned(),
        subscription_data: sql_heartbeat("a IN (").consumers[0].subscriptions[0].clone(),
        namespace: String::new(),
    };
    let answer = peer.post(RequestCode::CheckClientConfig, &check).await;
    refused(&answer, ResponseCode::SubscriptionParseFailed, why);
    "a IN ('x')".clone_into(&mut check.subscription_data.expression);
    succeeded(&peer.post(RequestCode::CheckClientConfig, &check).await);
    "SQL99".clone_into(&mut check.subscription_data.expression_type);
    let answer = peer.post(RequestCode::CheckClientConfig, &check).await;
    refused(&answer, ResponseCode::SubscriptionParseFailed, "SQL99");

    // The heartbeat stands, its pulls do not.
    let data = sql_heartbeat("a IN (");
    succeeded(&peer.post(RequestCode::Heartbeat, &data).await);
    let header = pull_header("billing", "orders", 0, 0);
    let answer = peer.call(RequestCode::PullMessage, &header).await;
    refused(&answer, ResponseCode::FilterDataNotExist, why);
}
