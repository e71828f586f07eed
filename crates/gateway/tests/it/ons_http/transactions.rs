//! Half messages: committed and rolled back with the handle of the send or of a check.

use std::time::Duration;

use super::{Answer, receive, send, settle};
use crate::support::Server;

/// Below the check interval, which is 30 s.
const CHECK_AFTER: Duration = Duration::from_secs(10);

async fn send_half(server: &Server, body: &str) -> Answer {
    send(server, body, "TagA", "__TransCheckT:10|KEYS:k1|").await
}

async fn open_halves(server: &Server) -> Answer {
    receive(server, "&trans=pop").await
}

#[tokio::test]
async fn the_handle_of_a_send_ends_its_transaction_once() {
    let server = Server::start().await;
    let committed = send_half(&server, "committed").await.all("ReceiptHandle");
    let rolled_back = send_half(&server, "rolled-back").await.all("ReceiptHandle");
    receive(&server, "").await.refused(404, "MessageNotExist");
    assert_eq!(
        settle(&server, &rolled_back, "&trans=rollback")
            .await
            .status,
        204
    );
    assert_eq!(
        settle(&server, &committed, "&trans=commit").await.status,
        204
    );
    let got = receive(&server, "").await;
    assert_eq!(got.all("MessageBody"), ["committed"]);
    assert_eq!(got.first("Properties"), "__TransCheckT:10|KEYS:k1|");
    let again = settle(&server, &committed, "&trans=rollback").await;
    assert_eq!(
        (again.status, again.first("ErrorCode").as_str()),
        (404, "ReceiptHandleError")
    );
    assert_eq!(again.all("ReceiptHandle"), committed);
}

#[tokio::test]
async fn what_was_not_ended_in_time_is_decided_by_a_check() {
    let server = Server::start().await;
    let sent = send_half(&server, "half").await;
    open_halves(&server).await.refused(404, "MessageNotExist");
    server.clock.advance(CHECK_AFTER + Duration::from_secs(1));
    server.release().await;
    // A check may decide otherwise from here on.
    let late = settle(&server, &sent.all("ReceiptHandle"), "&trans=commit").await;
    assert_eq!(late.first("ErrorCode"), "ReceiptHandleError", "{late:?}");
    let half = open_halves(&server).await;
    assert_eq!(half.first("MessageBody"), "half");
    assert_eq!(half.first("MessageId"), sent.first("MessageId"));
    assert_eq!(half.first("MessageTag"), "TagA");
    assert_eq!(half.first("ConsumedTimes"), "1");
    // It is with somebody.
    open_halves(&server).await.refused(404, "MessageNotExist");
    server.clock.advance(Duration::from_secs(31));
    server.release().await;
    let again = open_halves(&server).await;
    assert_eq!(again.first("ConsumedTimes"), "2");
    let first = settle(&server, &half.all("ReceiptHandle"), "&trans=rollback").await;
    assert_eq!(first.first("ErrorCode"), "ReceiptHandleError", "{first:?}");
    assert_eq!(
        settle(&server, &again.all("ReceiptHandle"), "&trans=commit")
            .await
            .status,
        204
    );
    assert_eq!(receive(&server, "").await.all("MessageBody"), ["half"]);
    server.clock.advance(Duration::from_secs(31));
    server.release().await;
    open_halves(&server).await.refused(404, "MessageNotExist");
}

#[tokio::test]
async fn who_waits_for_half_messages_is_woken() {
    let server = Server::start().await;
    send_half(&server, "half").await;
    let waiting = receive(&server, "&trans=pop&waitseconds=30");
    let later = async {
        server.clock.advance(CHECK_AFTER);
        // Once before the poll has begun to wait or once after: it must not matter.
        server.release().await;
    };
    let (half, ()) = tokio::join!(waiting, later);
    assert_eq!(half.all("MessageBody"), ["half"]);
    let rolled_back = settle(&server, &half.all("ReceiptHandle"), "&trans=rollback").await;
    assert_eq!(rolled_back.status, 204);
    receive(&server, "").await.refused(404, "MessageNotExist");
}

#[tokio::test]
async fn a_handle_is_good_for_its_own_topic() {
    let server = Server::start().await;
    let half = send_half(&server, "half").await;
    let body = super::handles(&half.all("ReceiptHandle"));
    let other = "/topics/other/messages?consumer=GID_a&trans=commit";
    let answer = super::Request::new("DELETE", other)
        .body(&body)
        .call(&server)
        .await;
    assert_eq!(
        answer.first("ErrorCode"),
        "ReceiptHandleError",
        "{answer:?}"
    );
    // What acknowledges a message ends no transaction.
    let answer = settle(&server, &half.all("ReceiptHandle"), "").await;
    assert_eq!(
        answer.first("ErrorCode"),
        "ReceiptHandleError",
        "{answer:?}"
    );
    assert_eq!(
        settle(&server, &half.all("ReceiptHandle"), "&trans=commit")
            .await
            .status,
        204
    );
}
