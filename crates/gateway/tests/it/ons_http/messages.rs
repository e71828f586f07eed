//! Sending, receiving and acknowledging messages.

use std::time::Duration;

use md5::{Digest as _, Md5};
use tokio::io::AsyncWriteExt;

use super::{Answer, Request, SEND_TO, handles, message, receive, send, settle};
use crate::{
    grpc_v2,
    support::{Server, Setup, soon},
};

const INVISIBLE: Duration = Duration::from_secs(300);

fn ms(answer: &Answer, element: &str) -> i64 {
    answer.first(element).parse().unwrap()
}

#[tokio::test]
async fn a_message_comes_with_everything_that_was_sent() {
    let server = Server::start().await;
    let sent = send(
        &server,
        "Gr&#252;&lt;&amp;&gt; \u{1f600}",
        "TagA",
        "KEYS:k1|colour:blue|",
    )
    .await;
    let digest = u128::from_be_bytes(Md5::digest("Grü<&> \u{1f600}").into());
    assert_eq!(sent.first("MessageBodyMD5"), format!("{digest:032X}"));
    assert!(!sent.body.contains("ReceiptHandle"), "{sent:?}");
    let got = receive(&server, "").await;
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(got.first("MessageId"), sent.first("MessageId"));
    assert_eq!(got.first("MessageBody"), "Grü&lt;&amp;&gt; \u{1f600}");
    assert_eq!(got.first("MessageBodyMD5"), sent.first("MessageBodyMD5"));
    assert_eq!(got.first("MessageTag"), "TagA");
    assert_eq!(got.first("Properties"), "KEYS:k1|colour:blue|");
    assert_eq!(got.first("ConsumedTimes"), "1");
    let (published, first) = (ms(&got, "PublishTime"), ms(&got, "FirstConsumeTime"));
    assert!(published <= first, "{got:?}");
    assert_eq!(ms(&got, "NextConsumeTime") - first, 300_000);
    // In this case exactly: SDKs look it up so.
    assert!(got.head.contains("\r\nx-mq-request-id: "), "{}", got.head);
    assert!(
        got.head.contains("\r\nx-mq-version: 2015-06-06"),
        "{}",
        got.head
    );
    assert!(
        got.head
            .contains("\r\ncontent-type: text/xml;charset=utf-8"),
        "{}",
        got.head
    );

    let done = settle(&server, &got.all("ReceiptHandle"), "").await;
    assert_eq!((done.status, done.body.as_str()), (204, ""), "{done:?}");
    assert!(done.head.contains("\r\nx-mq-request-id: "), "{}", done.head);
    server.clock.advance(INVISIBLE * 2);
    // Nothing there is no empty list.
    receive(&server, "").await.refused(404, "MessageNotExist");
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again_with_another_handle() {
    let server = Server::start().await;
    send(&server, "hello", "", "").await;
    let first = receive(&server, "").await;
    receive(&server, "").await.refused(404, "MessageNotExist");
    server.clock.advance(INVISIBLE);
    let second = receive(&server, "").await;
    assert_eq!(second.first("ConsumedTimes"), "2");
    assert_eq!(second.first("MessageId"), first.first("MessageId"));
    // The test's clock goes on, so that the other is not exactly five minutes later.
    let between = ms(&second, "FirstConsumeTime") - ms(&first, "FirstConsumeTime");
    assert!((0..20_000).contains(&between), "{between}");
    let expired = settle(&server, &first.all("ReceiptHandle"), "").await;
    assert_eq!(
        (expired.status, expired.first("ErrorCode").as_str()),
        (404, "ReceiptHandleError")
    );
    assert_eq!(
        settle(&server, &second.all("ReceiptHandle"), "")
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn each_bad_handle_is_told_and_the_good_ones_are_done() {
    let server = Server::start().await;
    send(&server, "one", "", "").await;
    send(&server, "two", "", "").await;
    let got = receive(&server, "").await;
    let mut receipts = got.all("ReceiptHandle");
    assert_eq!(receipts.len(), 2);
    receipts.insert(1, "nonsense".to_owned());
    let answer = settle(&server, &receipts, "").await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("<Errors xmlns="), "{answer:?}");
    assert_eq!(answer.all("ErrorCode"), ["ReceiptHandleError"]);
    assert_eq!(answer.all("ReceiptHandle"), ["nonsense"]);
    assert_eq!(answer.all("ErrorMessage").len(), 1);
    // SDKs take an answer with anything else for damaged.
    let error = answer.first("Error");
    assert_eq!(error.matches("</").count(), 3, "{error}");
    let again = settle(&server, &got.all("ReceiptHandle"), "").await;
    assert_eq!(again.all("ErrorCode").len(), 2, "a handle is good once");
    server.clock.advance(INVISIBLE * 2);
    receive(&server, "").await.refused(404, "MessageNotExist");
}

#[tokio::test]
async fn a_handle_is_good_for_its_own_group_and_topic() {
    let server = Server::start().await;
    send(&server, "hello", "", "").await;
    let got = receive(&server, "").await;
    let body = handles(&got.all("ReceiptHandle"));
    // Both exist, with messages of their own.
    let other = "/topics/orders/messages?consumer=GID_b&numOfMessages=1";
    assert_eq!(Request::new("GET", other).call(&server).await.status, 200);
    let other = Request::new("DELETE", "/topics/orders/messages?consumer=GID_b").body(&body);
    let answer = other.call(&server).await;
    assert_eq!(
        (answer.status, answer.first("ErrorCode").as_str()),
        (404, "ReceiptHandleError")
    );
    let gone = Request::new("DELETE", "/topics/gone/messages?consumer=GID_a").body(&body);
    gone.call(&server).await.refused(404, "TopicNotExist");
}

#[tokio::test]
async fn tags_let_through_what_they_name() {
    let server = Server::start().await;
    for tag in ["plums", "apples", "", "pears"] {
        send(&server, &format!("body-{tag}"), tag, "").await;
    }
    // Python and Node.js escape it, Java does not.
    for tag in ["apples%7C%7Cpears", "apples||pears"] {
        let got = receive(&server, &format!("&tag={tag}")).await;
        let mut bodies = got.all("MessageBody");
        bodies.sort();
        assert_eq!(bodies, ["body-apples", "body-pears"], "{tag}");
        server.clock.advance(INVISIBLE);
    }
}

#[tokio::test]
async fn a_long_poll_ends_with_the_first_message() {
    let server = Server::start().await;
    // The topic must be there to be waited at.
    send(&server, "first", "", "").await;
    receive(&server, "").await;
    let waiting = receive(&server, "&waitseconds=30");
    let sending = async {
        until_heard(&server).await;
        send(&server, "second", "", "").await;
    };
    let (got, ()) = tokio::join!(waiting, sending);
    assert_eq!(got.all("MessageBody"), ["second"]);
}

#[tokio::test]
async fn a_long_poll_without_messages_ends_in_time() {
    let server = Server::start().await;
    send(&server, "first", "", "").await;
    receive(&server, "").await;
    let waiting = receive(&server, "&waitseconds=30");
    let later = async {
        loop {
            // Whenever the poll begins: its time is over soon after.
            server.clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        got = waiting => got.refused(404, "MessageNotExist"),
        () = later => {}
    }
}

#[tokio::test]
async fn a_long_poll_whose_client_has_gone_takes_nothing() {
    let server = Server::start().await;
    send(&server, "first", "", "").await;
    receive(&server, "").await;
    let target = "/topics/orders/messages?consumer=GID_a&numOfMessages=1&waitseconds=30";
    let mut socket = server.connect().await;
    let text = Request::new("GET", target).text();
    socket.write_all(text.as_bytes()).await.unwrap();
    until_heard(&server).await;
    drop(socket);
    server.until_connections(0).await;
    send(&server, "second", "", "").await;
    assert_eq!(receive(&server, "").await.all("MessageBody"), ["second"]);
}

/// Lets what was written before reach the server: these requests came later.
async fn until_heard(server: &Server) {
    for _ in 0..8 {
        receive(server, "&tag=never")
            .await
            .refused(404, "MessageNotExist");
    }
}

#[tokio::test]
async fn a_timed_message_comes_when_it_is_due() {
    let server = Server::start().await;
    send(&server, "first", "", "").await;
    let published = ms(&receive(&server, "").await, "PublishTime");
    let due = published + 60_000;
    send(&server, "later", "", &format!("__STARTDELIVERTIME:{due}|")).await;
    server.release().await;
    receive(&server, "").await.refused(404, "MessageNotExist");
    server.clock.advance(Duration::from_secs(60));
    server.release().await;
    let got = receive(&server, "").await;
    assert_eq!(got.first("MessageBody"), "later");
    assert_eq!(
        got.first("Properties"),
        format!("__STARTDELIVERTIME:{due}|")
    );
    let never =
        Request::new("POST", SEND_TO).body(&message("x", "", "__STARTDELIVERTIME:9999999999999|"));
    never.call(&server).await.refused(400, "InvalidArgument");
}

#[tokio::test]
async fn the_instance_is_that_of_the_parameter_or_a_prefix() {
    let server = Server::with(Setup {
        instances: vec!["MQ_INST_1_a"],
        ..Setup::default()
    })
    .await;
    // One that is there has topics of its own; the other is a prefix in the default one.
    let prefixed = base::TopicName::new("MQ_INST_2_b%orders").unwrap();
    for (instance, is_prefix) in [("MQ_INST_1_a", false), ("MQ_INST_2_b", true)] {
        let target = format!("{SEND_TO}?ns={instance}");
        let body = format!("to {instance}");
        let request = Request::new("POST", &target).body(&message(&body, "", ""));
        let answer = request.call(&server).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(server.instance.topic(&prefixed).is_some(), is_prefix);
        let got = receive(&server, &format!("&ns={instance}")).await;
        assert_eq!(got.all("MessageBody"), [body]);
        let done = settle(
            &server,
            &got.all("ReceiptHandle"),
            &format!("&ns={instance}"),
        )
        .await;
        assert_eq!(done.status, 204, "{done:?}");
    }
    receive(&server, "").await.refused(404, "TopicNotExist");
}

#[tokio::test]
async fn messages_go_to_and_come_from_other_protocols() {
    let server = Server::start().await;
    crate::remoting::send_some(&server, "orders", 1).await;
    let got = receive(&server, "").await;
    assert_eq!(got.first("MessageId"), "id-0", "{got:?}");
    assert_eq!(got.first("MessageBody"), "body-0");
    assert_eq!(got.first("MessageTag"), "even");
    assert_eq!(got.first("Properties"), "KEYS:key-0|");
    let sent = send(&server, "hello", "TagA", "KEYS:k1|colour:blue|").await;
    let mut client = grpc_v2::Sdk::connect(&server, "client").await;
    let taken = client.take("orders", "billing", 16).await;
    let message = taken.iter().find(|m| m.body[..] == *b"hello").unwrap();
    let system = grpc_v2::system(message);
    assert_eq!(system.message_id, sent.first("MessageId"));
    assert_eq!(system.tag(), "TagA");
    assert_eq!(system.keys, ["k1"]);
    assert_eq!(message.user_properties["colour"], "blue");
    client.send_one("orders", "from-grpc").await;
    assert_eq!(receive(&server, "").await.all("MessageBody").len(), 2);
}

#[tokio::test]
async fn a_drain_ends_long_polls() {
    let mut server = Server::start().await;
    send(&server, "first", "", "").await;
    receive(&server, "").await;
    let target = "/topics/orders/messages?consumer=GID_a&numOfMessages=1&waitseconds=30";
    let mut socket = server.connect().await;
    let text = Request::new("GET", target).text();
    socket.write_all(text.as_bytes()).await.unwrap();
    until_heard(&server).await;
    server.drain(Duration::from_secs(10)).await;
    let mut answer = String::new();
    let reading = tokio::io::AsyncReadExt::read_to_string(&mut socket, &mut answer);
    soon("answer", reading).await.unwrap();
    Answer::read(&answer).refused(404, "MessageNotExist");
}
