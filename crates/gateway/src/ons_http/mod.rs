//! The ONS HTTP front end: `/topics/<topic>/messages` with XML bodies, the protocol of
//! `mq-http-sdk`.
//!
//! One file per verb, named as in the broker. A request becomes a [`call::Call`], the verb answers
//! with an [`Answer`] or a [`status::Refusal`], which becomes an XML document with one of the
//! documented codes. Clients are not known: nothing but messages in flight is kept between two
//! requests.

mod access;
mod ack;
mod body;
mod call;
mod end_transaction;
mod message;
mod names;
mod receive;
mod receive_half;
mod send;
mod status;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::Full;
use wire::ons_http::{
    CONTENT_TYPE, HandleError, REQUEST_ID_HEADER, Target, VERSION, VERSION_HEADER, error_document,
    handle_errors_document,
};

use self::{
    call::{Call, Verb},
    status::{Code, Refusal},
};
use crate::{ConnectionInfo, Front, access::is_guarded, metrics::RpcKey};

/// What a verb answers.
enum Answer {
    /// A message was stored.
    Sent(String),
    /// Messages.
    Messages(String),
    /// All handles are done.
    Done,
    /// Some handles are not.
    HandleErrors(Vec<HandleError>),
}

/// Whether a request is one of this protocol.
pub(crate) fn is_ours<B>(request: &Request<B>) -> bool {
    request.uri().path().starts_with(Target::PATH_PREFIX)
}

/// Answers one request.
pub(crate) async fn answer<B>(
    front: &Arc<Front>,
    connection: &ConnectionInfo,
    request: Request<B>,
) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes> + Send,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let begun = front.clock.elapsed();
    let (head, body) = request.into_parts();
    let request_id = message::request_id(front, connection);
    let verb = Verb::of(&head);
    let result = match &verb {
        Ok(verb) => work(front, connection, *verb, &head, body).await,
        Err(refusal) => Err(refusal.clone()),
    };
    if matches!(&result, Err(refusal) if refusal.code() == Code::TooManyRequests) {
        front.hold_throttled().await;
    }
    let verb = verb.ok();
    let key = RpcKey {
        protocol: "ons_http",
        request: verb.map_or("unknown", Verb::name),
        response: match &result {
            Ok(Answer::HandleErrors(_)) => Code::ReceiptHandleError.name(),
            Ok(_) => "OK",
            Err(refusal) => refusal.code().name(),
        },
        long_polling: verb.is_some_and(Verb::may_wait),
        result: match &result {
            Ok(Answer::HandleErrors(_)) => "process_request_failed",
            Ok(_) => "success",
            Err(refusal) if refusal.code() == Code::MessageNotExist => "success",
            Err(_) => "process_request_failed",
        },
    };
    let took = front.clock.elapsed().saturating_sub(begun);
    front.metrics.latency(key).observe(took);
    let (status, document) = match result {
        Ok(Answer::Sent(document)) => (StatusCode::CREATED, document),
        Ok(Answer::Messages(document)) => (StatusCode::OK, document),
        Ok(Answer::Done) => (StatusCode::NO_CONTENT, String::new()),
        Ok(Answer::HandleErrors(errors)) => {
            (StatusCode::NOT_FOUND, handle_errors_document(&errors))
        }
        Err(refusal) => {
            let host = call::host_id(front, connection, &head);
            let code = refusal.code();
            let document = error_document(code.name(), refusal.text(), &request_id, &host);
            (code.status(), document)
        }
    };
    response(status, document, &request_id)
}

async fn work<B>(
    front: &Arc<Front>,
    connection: &ConnectionInfo,
    verb: Verb,
    head: &http::request::Parts,
    body: B,
) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Send,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let call = Call::new(front, connection, verb, head)?;
    access::check(&call, head)?;
    call.enter()?;
    let body = match head.method {
        Method::GET => Bytes::new(),
        _ => body::read(&call, head, body).await?,
    };
    match verb {
        Verb::Send => send::send(&call, &body).await,
        Verb::Receive { in_order } => {
            while_allowed(&call, head, receive::receive(&call, in_order)).await
        }
        Verb::ReceiveHalf => while_allowed(&call, head, receive_half::receive_half(&call)).await,
        Verb::Ack => ack::ack(&call, &body).await,
        Verb::EndTransaction(how) => end_transaction::end_transaction(&call, &body, how).await,
    }
}

/// Does work that may wait as long as the sender of the request may ask it.
async fn while_allowed(
    call: &Call<'_>,
    head: &http::request::Parts,
    work: impl Future<Output = Result<Answer, Refusal>>,
) -> Result<Answer, Refusal> {
    if !is_guarded(call.front, call.connection) || !call.instance.access().is_on() {
        return work.await;
    }
    let check = || access::check(call, head);
    crate::access::while_allowed(call.front, &call.instance, check, work).await
}

fn response(status: StatusCode, document: String, request_id: &str) -> Response<Full<Bytes>> {
    let has_body = !document.is_empty();
    let mut response = Response::new(Full::new(Bytes::from(document)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if has_body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    }
    headers.insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID_HEADER, id);
    }
    response
}
