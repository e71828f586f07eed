//! The ONS HTTP plane over real sockets: a client that writes what `mq-http-sdk` writes.

mod access;
mod bad_input;
mod messages;
mod ordered;
mod transactions;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;

use crate::{calendar::Civil, support::Server};

const VERSION: &str = "x-mq-version";

/// A request on its way to be made, with everything that an SDK sends.
#[derive(Clone)]
pub(crate) struct Request {
    method: &'static str,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    body: String,
}

impl Request {
    pub(crate) fn new(method: &'static str, target: &str) -> Self {
        let mut request = Self {
            method,
            target: target.to_owned(),
            headers: Vec::new(),
            body: String::new(),
        };
        request = request
            .header(VERSION, "2015-06-06")
            .header("host", "mq.example");
        let date = http_date(now());
        request.header("date", &date)
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self.header("content-type", "text/xml;charset=UTF-8")
    }

    fn value(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// Signed as the SDKs do. Written here once more, so that the server is not held against
    /// itself.
    pub(crate) fn signed(self, access_key: &str, secret: &str) -> Self {
        let mut content = format!(
            "{}\n{}\n{}\n{}\n",
            self.method,
            self.value("content-md5"),
            self.value("content-type"),
            self.value("date")
        );
        let mut own: Vec<_> = self
            .headers
            .iter()
            .filter(|(n, _)| n.starts_with("x-mq-"))
            .collect();
        own.sort();
        for (name, value) in own {
            content.push_str(&format!("{name}:{value}\n"));
        }
        content.push_str(&self.target);
        let signature = sign(secret, &content);
        self.header("authorization", &format!("MQ {access_key}:{signature}"))
    }

    fn text(&self) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.method != "GET" {
            text.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        text.push_str("connection: close\r\n\r\n");
        text + &self.body
    }

    pub(crate) async fn call(self, server: &Server) -> Answer {
        Answer::read(&server.over_http(&self.text()).await)
    }
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Self {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// The text of the first element of that name.
    pub(crate) fn first(&self, element: &str) -> String {
        self.all(element).into_iter().next().unwrap_or_default()
    }

    /// The texts of all elements of that name. None of these tests has one that needs escapes.
    pub(crate) fn all(&self, element: &str) -> Vec<String> {
        let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
        let parts = self.body.split(&begin).skip(1);
        parts
            .map(|part| part.split(&end).next().unwrap().to_owned())
            .collect()
    }

    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.first("Code").as_str()),
            (status, code),
            "{self:?}"
        );
        // SDKs give up on the document without any of them.
        for element in ["Message", "RequestId", "HostId"] {
            assert_ne!(self.first(element), "", "{self:?}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a client has a clock of its own")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn sign(secret: &str, content: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    STANDARD.encode(hmac::sign(&key, content.as_bytes()))
}

fn http_date(time: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let civil = Civil::of(time);
    format!(
        "{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
        DAYS[(civil.days % 7) as usize],
        civil.day,
        MONTHS[civil.month],
        civil.year,
        civil.hour,
        civil.minute,
        civil.second
    )
}

const SEND_TO: &str = "/topics/orders/messages";

pub(crate) fn message(body: &str, tag: &str, properties: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <Message xmlns=\"http://mq.aliyuncs.com/doc/v1/\"><MessageBody>{body}</MessageBody>\
         <Properties>{properties}</Properties><MessageTag>{tag}</MessageTag></Message>"
    )
}

fn handles(handles: &[String]) -> String {
    let handles = handles
        .iter()
        .map(|h| format!("<ReceiptHandle>{h}</ReceiptHandle>"));
    let handles: String = handles.collect();
    format!("<ReceiptHandles xmlns=\"http://mq.aliyuncs.com/doc/v1/\">{handles}</ReceiptHandles>")
}

/// Sends one message and returns the answer, which is good.
async fn send(server: &Server, body: &str, tag: &str, properties: &str) -> Answer {
    let request = Request::new("POST", SEND_TO).body(&message(body, tag, properties));
    let answer = request.call(server).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer
}

/// Sends a normal message; the status of the answer.
pub(crate) async fn send_plain(server: &Server) -> u16 {
    let request = Request::new("POST", SEND_TO).body(&message("hello", "", ""));
    request.call(server).await.status
}

/// Sends a timed message; why its argument is not valid, or nothing if it was taken.
pub(crate) async fn send_timed(server: &Server, body: &str) -> String {
    let soon = now() + Duration::from_secs(60);
    let due = soon.duration_since(UNIX_EPOCH).unwrap().as_millis();
    let properties = format!("__STARTDELIVERTIME:{due}|");
    let request = Request::new("POST", SEND_TO).body(&message(body, "", &properties));
    let answer = request.call(server).await;
    if answer.status == 201 {
        return String::new();
    }
    answer.refused(400, "InvalidArgument");
    answer.first("Message")
}

/// Asks for messages; `more` are further parameters.
async fn receive(server: &Server, more: &str) -> Answer {
    let target = format!("/topics/orders/messages?consumer=GID_a&numOfMessages=16{more}");
    Request::new("GET", &target).call(server).await
}

async fn settle(server: &Server, receipts: &[String], more: &str) -> Answer {
    let target = format!("/topics/orders/messages?consumer=GID_a{more}");
    Request::new("DELETE", &target)
        .body(&handles(receipts))
        .call(server)
        .await
}

#[tokio::test]
async fn signatures_are_those_of_the_sdks() {
    let date = "Fri, 02 Jan 2026 03:04:05 GMT";
    let signed = |method, target: &str, content_type: &str| {
        let headers = [
            (VERSION, "2015-06-06"),
            ("date", date),
            ("content-type", content_type),
        ];
        sign(
            "testsk",
            &wire::ons_http::string_to_sign(method, &headers, target),
        )
    };
    let get = "/topics/t1/messages?consumer=GID_a&numOfMessages=3&ns=MQ_INST_1_a&waitseconds=3";
    assert_eq!(signed("GET", get, ""), "lkY42Jxr6yjLP3jX6HwhEpsJc94=");
    let post = "/topics/t1/messages?ns=MQ_INST_1_a";
    let content_type = "text/xml;charset=UTF-8";
    assert_eq!(
        signed("POST", post, content_type),
        "7k9AAvD8nkllbGrV7qd/JoUHj0c="
    );
    assert_eq!(
        http_date(UNIX_EPOCH + Duration::from_secs(1_767_323_045)),
        date
    );
}
