//! Messages in order.

use std::time::Duration;

use super::{Answer, receive, send, settle};
use crate::support::Server;

async fn next(server: &Server) -> Answer {
    receive(server, "&trans=order").await
}

/// The bodies of one sharding key.
fn of(answer: &Answer, key: &str) -> Vec<String> {
    let bodies = answer.all("MessageBody").into_iter();
    bodies.filter(|body| body.starts_with(key)).collect()
}

#[tokio::test]
async fn a_partition_goes_on_when_all_of_a_batch_is_acknowledged() {
    let server = Server::start().await;
    for n in 0..3 {
        for key in ["a", "b"] {
            send(
                &server,
                &format!("{key}{n}"),
                "",
                &format!("__SHARDINGKEY:{key}|"),
            )
            .await;
        }
    }
    let first = next(&server).await;
    assert_eq!(of(&first, "a"), ["a0", "a1", "a2"], "{first:?}");
    assert_eq!(of(&first, "b"), ["b0", "b1", "b2"], "{first:?}");
    send(&server, "a3", "", "__SHARDINGKEY:a|").await;
    // All but the last of `a`.
    let mut receipts: Vec<String> = Vec::new();
    let bodies = first.all("MessageBody");
    for (body, receipt) in bodies.iter().zip(first.all("ReceiptHandle")) {
        if body != "a2" {
            receipts.push(receipt);
        }
    }
    assert_eq!(settle(&server, &receipts, "").await.status, 204);
    next(&server).await.refused(404, "MessageNotExist");
    // A message that nobody acknowledged comes before those behind it.
    server.clock.advance(Duration::from_secs(300));
    let second = next(&server).await;
    assert_eq!(second.all("MessageBody"), ["a2"], "{second:?}");
    assert_eq!(second.first("ConsumedTimes"), "2");
    assert_eq!(second.first("Properties"), "__SHARDINGKEY:a|");
    settle(&server, &second.all("ReceiptHandle"), "").await;
    assert_eq!(next(&server).await.all("MessageBody"), ["a3"]);
}
