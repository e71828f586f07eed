//! Access control: who signed, and what they may.

use super::{Answer, Request, SEND_TO, handles, message};
use crate::access::{allow, guarded};
use crate::support::Server;

async fn call(server: &Server, request: Request) -> Answer {
    request.signed("alice", "alice-secret").call(server).await
}

fn sending() -> Request {
    Request::new("POST", SEND_TO).body(&message("hello", "", ""))
}

fn receiving() -> Request {
    let target = "/topics/orders/messages?consumer=GID_a&numOfMessages=1&tag=a%7C%7Cb";
    Request::new("GET", target)
}

#[tokio::test]
async fn requests_must_be_signed() {
    let server = guarded(&["Topic:orders Pub Allow"]).await;
    sending()
        .call(&server)
        .await
        .refused(400, "MissingAuthorizationHeader");
    for wrong in ["Basic YTpi", "MQ alice", "MQ alice:***"] {
        let answer = sending().header("authorization", wrong).call(&server).await;
        answer.refused(400, "InvalidAuthorizationHeader");
    }
    let answer = sending()
        .signed("nobody", "alice-secret")
        .call(&server)
        .await;
    answer.refused(403, "InvalidAccessKeyId");
    let answer = sending()
        .signed("alice", "other-secret")
        .call(&server)
        .await;
    answer.refused(403, "SignatureDoesNotMatch");
    let temporary = sending().header("security-token", "a-token");
    call(&server, temporary).await.refused(403, "AccessDenied");
    let undated = sending().header("date", "");
    call(&server, undated)
        .await
        .refused(400, "MissingDateHeader");
    assert_eq!(call(&server, sending()).await.status, 201);
}

#[tokio::test]
async fn what_is_signed_cannot_be_changed() {
    let server = guarded(&["Topic:* Pub,Sub Allow", "Group:* Sub Allow"]).await;
    assert_eq!(call(&server, sending()).await.status, 201);
    let signed = receiving().signed("alice", "alice-secret");
    // The path as it was sent: neither sorted nor decoded.
    call(&server, receiving())
        .await
        .refused(404, "MessageNotExist");
    let mut sorted = signed.clone();
    sorted.target =
        "/topics/orders/messages?consumer=GID_a&tag=a%7C%7Cb&numOfMessages=1".to_owned();
    sorted
        .call(&server)
        .await
        .refused(403, "SignatureDoesNotMatch");
    let mut decoded = signed.clone();
    decoded.target = decoded.target.replace("%7C", "|");
    decoded
        .call(&server)
        .await
        .refused(403, "SignatureDoesNotMatch");
    // Signed over what the client sends as content type, whatever its form.
    let request = sending().header("content-type", "text/xml; charset=utf-8");
    assert_eq!(call(&server, request).await.status, 201);
    let changed = sending()
        .signed("alice", "alice-secret")
        .header("content-type", "text/xml");
    changed
        .call(&server)
        .await
        .refused(403, "SignatureDoesNotMatch");
    // The digest is signed, and with it the body.
    let digested = sending().header("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==");
    call(&server, digested.clone())
        .await
        .refused(400, "InvalidDigest");
    let digested = digested
        .signed("alice", "alice-secret")
        .header("content-md5", "");
    digested
        .call(&server)
        .await
        .refused(403, "SignatureDoesNotMatch");
}

#[tokio::test]
async fn each_verb_needs_its_permission() {
    let server = guarded(&["Topic:orders Pub Allow"]).await;
    assert_eq!(call(&server, sending()).await.status, 201);
    call(&server, receiving())
        .await
        .refused(403, "AccessDenied");
    let acking = || {
        let target = "/topics/orders/messages?consumer=GID_a";
        Request::new("DELETE", target).body(&handles(&["x".to_owned()]))
    };
    call(&server, acking()).await.refused(403, "AccessDenied");
    let popping = || Request::new("GET", "/topics/orders/messages?consumer=GID_p&trans=pop");
    call(&server, popping())
        .await
        .refused(404, "MessageNotExist");
    allow(&server, &["Topic:orders Sub Allow"]).await;
    call(&server, receiving())
        .await
        .refused(403, "AccessDenied");
    allow(
        &server,
        &["Topic:orders Sub Allow", "Group:GID_a Sub Allow"],
    )
    .await;
    call(&server, receiving())
        .await
        .refused(404, "MessageNotExist");
    assert_eq!(
        call(&server, acking()).await.first("ErrorCode"),
        "ReceiptHandleError"
    );
    // A change counts at once, and what is denied is denied.
    allow(
        &server,
        &["Topic:orders Sub Allow", "Topic:orders Pub Deny"],
    )
    .await;
    call(&server, sending()).await.refused(403, "AccessDenied");
    call(&server, popping()).await.refused(403, "AccessDenied");
}

#[tokio::test]
async fn a_listener_that_trusts_asks_for_nothing() {
    let server = guarded(&[]).await;
    let mut socket = tokio::net::TcpStream::connect(server.trusted_address)
        .await
        .unwrap();
    let text = sending().header("date", "").text();
    tokio::io::AsyncWriteExt::write_all(&mut socket, text.as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut socket, &mut answer)
        .await
        .unwrap();
    assert_eq!(Answer::read(&answer).status, 201);
}
