//! What is refused, and with which of the documented errors.

use base64::{Engine, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Answer, Request, SEND_TO, handles, message, receive, send};
use crate::support::{Server, Setup, soon};

#[tokio::test]
async fn bodies_that_are_no_message_are_refused() {
    let server = Server::start().await;
    let mut bomb = "<!DOCTYPE Message [<!ENTITY a0 \"ha\">".to_owned();
    for n in 1..20 {
        bomb.push_str(&format!("<!ENTITY a{n} \"&a{0};&a{0};\">", n - 1));
    }
    bomb.push_str("]><Message><MessageBody>&a19;</MessageBody></Message>");
    let file = "<!DOCTYPE Message [<!ENTITY f SYSTEM \"file:///etc/passwd\">]>\
                <Message><MessageBody>&f;</MessageBody></Message>";
    for (body, code) in [
        ("", "MalformedXML"),
        ("hello", "MalformedXML"),
        ("<Message><MessageBody>a</Message>", "MalformedXML"),
        (bomb.as_str(), "MalformedXML"),
        (file, "MalformedXML"),
        ("<Messages/>", "InvalidArgument"),
        ("<Message><MessageBody/></Message>", "InvalidArgument"),
        (
            "<Message><MessageTag>a</MessageTag></Message>",
            "InvalidArgument",
        ),
        (&message("x", "a||b", ""), "InvalidArgument"),
        (&message("x", "", "UNIQ_KEY:1|"), "InvalidArgument"),
        (&message("x", "", "__TransCheckT:soon|"), "InvalidArgument"),
        (
            &message("x", "", "__STARTDELIVERTIME:soon|"),
            "InvalidArgument",
        ),
    ] {
        let answer = Request::new("POST", SEND_TO).body(body).call(&server).await;
        assert_eq!(answer.first("Code"), code, "{body}");
        answer.refused(400, code);
    }
    send(&server, "hello", "", "").await;
    for (body, code) in [
        ("<ReceiptHandles/>", "MissingReceiptHandle"),
        ("<ReceiptHandles>", "MalformedXML"),
        ("<Message/>", "InvalidArgument"),
    ] {
        for more in ["", "&trans=commit"] {
            let target = format!("/topics/orders/messages?consumer=GID_a{more}");
            let answer = Request::new("DELETE", &target)
                .body(body)
                .call(&server)
                .await;
            answer.refused(400, code);
        }
    }
}

#[tokio::test]
async fn targets_that_are_none_are_refused() {
    let server = Server::start().await;
    send(&server, "hello", "", "").await;
    for (method, target, code) in [
        ("GET", "/topics/orders", "InvalidRequestURL"),
        ("GET", "/topics//messages?consumer=a", "InvalidRequestURL"),
        ("PUT", "/topics/orders/messages", "InvalidRequestURL"),
        ("GET", "/topics/orders/messages", "InvalidQueryString"),
        (
            "GET",
            "/topics/orders/messages?consumer=a&trans=commit",
            "InvalidQueryString",
        ),
        (
            "DELETE",
            "/topics/orders/messages?consumer=a&trans=pop",
            "InvalidQueryString",
        ),
        (
            "GET",
            "/topics/orders/messages?consumer=a&consumer=b",
            "InvalidQueryString",
        ),
        (
            "GET",
            "/topics/orders/messages?consumer=a&tag=%zz",
            "InvalidQueryString",
        ),
        (
            "GET",
            "/topics/orders/messages?consumer=a&numOfMessages=0",
            "InvalidArgument",
        ),
        (
            "GET",
            "/topics/orders/messages?consumer=a&numOfMessages=17",
            "InvalidArgument",
        ),
        (
            "GET",
            "/topics/orders/messages?consumer=a&waitseconds=31",
            "InvalidArgument",
        ),
        (
            "GET",
            "/topics/orders/messages?consumer=a%20b",
            "InvalidArgument",
        ),
        (
            "GET",
            "/topics/TBW102/messages?consumer=a",
            "InvalidArgument",
        ),
        (
            "GET",
            "/topics/orders/messages?consumer=CID_RMQ_SYS_x",
            "InvalidArgument",
        ),
    ] {
        let answer = Request::new(method, target).call(&server).await;
        assert_eq!(answer.first("Code"), code, "{method} {target}");
        answer.refused(400, code);
    }
    let long = format!("/topics/orders/messages?consumer={}", "a".repeat(1_024));
    let answer = Request::new("GET", &long).call(&server).await;
    answer.refused(400, "InvalidRequestURL");
}

#[tokio::test]
async fn names_that_are_not_there_are_told() {
    let server = Server::with(Setup {
        create_automatically: false,
        ..Setup::default()
    })
    .await;
    let request = Request::new("POST", SEND_TO).body(&message("hello", "", ""));
    request.call(&server).await.refused(404, "TopicNotExist");
    receive(&server, "").await.refused(404, "TopicNotExist");
    receive(&server, "&trans=pop")
        .await
        .refused(404, "TopicNotExist");
    let orders = base::TopicName::new("orders").unwrap();
    let spec = broker::TopicSpec::new(orders, 1);
    server.instance.create_topic(spec).await.unwrap();
    receive(&server, "")
        .await
        .refused(404, "SubscriptionNotExist");
}

#[tokio::test]
async fn headers_are_checked() {
    let server = Server::start().await;
    let request = || Request::new("POST", SEND_TO).body(&message("hello", "", ""));
    for (name, value, status, code) in [
        ("x-mq-version", "", 400, "MissingVersionHeader"),
        ("x-mq-version", "2014-01-01", 400, "InvalidVersionHeader"),
        ("date", "yesterday", 400, "InvalidDateHeader"),
        ("date", "Fri, 02 Jan 2026 03:04:05 GMT", 408, "TimeExpired"),
        (
            "content-md5",
            "1B2M2Y8AsgTpgAmY7PhCfg==",
            400,
            "InvalidDigest",
        ),
    ] {
        let answer = request().header(name, value).call(&server).await;
        answer.refused(status, code);
    }
    // A digest as RFC 1864 has it, and as the SDK for Node.js writes it.
    let digest = Md5::digest(message("hello", "", ""));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    for value in [STANDARD.encode(digest), STANDARD.encode(hex)] {
        let answer = request().header("content-md5", &value).call(&server).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let answer = request().header("date", "").call(&server).await;
    assert_eq!(
        answer.status, 201,
        "only what is signed needs a date: {answer:?}"
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_has_come() {
    let server = Server::start().await;
    let head = "POST /topics/orders/messages HTTP/1.1\r\nhost: x\r\nx-mq-version: 2015-06-06\r\n\
                content-length: 999999999\r\n\r\n";
    Answer::read(&server.over_http(head).await).refused(400, "InvalidArgument");
    let large = "x".repeat(4 * 1024 * 1024 + 1);
    let request = Request::new("POST", SEND_TO).body(&message(&large, "", ""));
    request.call(&server).await.refused(400, "InvalidArgument");
    let largest = &large[1..];
    let request = Request::new("POST", SEND_TO).body(&message(largest, "", ""));
    assert_eq!(request.call(&server).await.status, 201);
}

#[tokio::test]
async fn a_body_that_stops_on_its_way_is_not_waited_for_forever() {
    let server = Server::start().await;
    let mut socket = server.connect().await;
    let head = "POST /topics/orders/messages HTTP/1.1\r\nhost: x\r\nx-mq-version: 2015-06-06\r\n\
                content-length: 100\r\n\r\n<Message>";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let pushing = async {
        loop {
            // The server has begun to wait at some point.
            server.clock.advance(std::time::Duration::from_secs(61));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        read = soon("answer", socket.read_to_string(&mut answer)) => {
            read.unwrap();
        }
        () = pushing => {}
    }
    Answer::read(&answer).refused(408, "TimeExpired");
}

#[tokio::test]
async fn what_is_refused_says_why_and_where() {
    let server = Server::start().await;
    let body = handles(&["x".to_owned()]);
    let target = "/topics/orders/messages?trans=commit";
    let answer = Request::new("DELETE", target)
        .body(&body)
        .call(&server)
        .await;
    answer.refused(400, "InvalidQueryString");
    assert_eq!(answer.first("HostId"), "http://mq.example");
    assert!(answer.first("Message").contains("`consumer`"), "{answer:?}");
    let id = answer.first("RequestId");
    assert!(
        answer.head.contains(&format!("x-mq-request-id: {id}")),
        "{answer:?}"
    );
}
