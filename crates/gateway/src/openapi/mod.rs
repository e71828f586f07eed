//! The control API of the 5.x series, version 2022-08-01: operations on instances, topics, groups,
//! messages, accounts, tags and inspections, as the vendor's SDKs ask for them.
//!
//! A request has a method and a path; [`operations`] is the one table of what they stand for, from
//! which the reference document is generated too. Its signature is that of the other OpenAPI
//! (`openapi_request`), it becomes a [`call::Call`], and the operation answers with a document or a
//! [`status::Refusal`]. Operations are thin: what they do is the broker's.

mod access;
mod account;
mod acl;
mod call;
mod client;
mod document;
mod forward;
mod group;
mod inspection;
mod inspection_document;
mod inspection_report;
mod instance;
mod ip_whitelist;
mod lag;
mod message;
mod message_query;
mod metric;
mod operations;
mod page;
mod parameter;
mod plan;
mod region;
mod release;
mod route;
mod status;
mod subscription;
mod tags;
mod text;
mod topic;
mod trace;
mod update_task;
mod update_window;
mod verify;

use std::sync::Arc;

use base::limits;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, request::Parts};
use http_body::Body;
use http_body_util::Full;
use serde_json::{Value, json};
use wire::openapi::{
    Parameters,
    acs3::{ACTION_HEADER, VERSION_HEADER},
};

pub use self::document::openapi_document;
use self::{
    call::Call,
    forward::Told,
    operations::{Answers, Operation},
    status::{Code, Refusal},
};
use crate::{
    ConnectionInfo, Front,
    http::header_text,
    openapi_request::{self, Taken, authenticate, observe, request_id, response},
    request_body,
};

/// The one version of the API.
const VERSION: &str = "2022-08-01";

/// Whether a request is one of this API: it says so, or its path is one.
pub(crate) fn is_ours<B>(request: &Request<B>) -> bool {
    let version = request.headers().get(VERSION_HEADER);
    version.is_some_and(|version| version == VERSION) || route::is_ours(request.uri().path())
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
    let request_id = request_id(front, connection);
    let mut operation = None;
    let result = work(front, connection, &head, body, &mut operation).await;
    let refused_with = match &result {
        Ok(Outcome::Relayed(told)) if !told.status.is_success() => Some("refused by a node"),
        Ok(_) => None,
        Err(refusal) => Some(refusal.code().name()),
    };
    let name = operation.map(|operation: &Operation| operation.name);
    observe(front, begun, "openapi", name, refused_with);
    let (status, document) = match result {
        Ok(Outcome::Relayed(Told {
            status,
            mut document,
        })) => {
            document["requestId"] = request_id.as_str().into();
            (status, document)
        }
        Ok(Outcome::Done(answer)) => {
            let answers = operation.map_or(Answers::Nothing, |operation| operation.answers);
            (StatusCode::OK, enveloped(answers, answer, &request_id))
        }
        Err(refusal) => (refusal.code().status(), refused(&refusal, &request_id)),
    };
    let kind = "application/json;charset=utf-8";
    response(status, kind, &request_id, document.to_string())
}

/// An answer, without its envelope or as nodes gave it.
enum Outcome {
    Done(Value),
    Relayed(Told),
}

fn enveloped(answers: Answers, answer: Value, request_id: &str) -> Value {
    match answers {
        Answers::Bare => answer,
        Answers::Nothing => json!({
            "requestId": request_id, "success": true, "httpStatusCode": 200, "code": "200",
            "message": "", "dynamicCode": "", "dynamicMessage": "",
        }),
        Answers::Done | Answers::Text | Answers::Object | Answers::List | Answers::Page => json!({
            "requestId": request_id, "success": true, "httpStatusCode": 200, "code": "200",
            "message": "", "dynamicCode": "", "dynamicMessage": "", "data": answer,
        }),
    }
}

fn refused(refusal: &Refusal, request_id: &str) -> Value {
    let code = refusal.code();
    let mut document = json!({
        "requestId": request_id,
        "success": false,
        "httpStatusCode": code.status().as_u16(),
        "code": code.name(),
        "message": refusal.text(),
        "dynamicCode": "",
        "dynamicMessage": refusal.parameter().unwrap_or_default(),
    });
    if code == Code::NoPermission {
        document["accessDeniedDetail"] = json!(refusal.text());
    }
    document
}

async fn work<B>(
    front: &Arc<Front>,
    connection: &ConnectionInfo,
    head: &Parts,
    body: B,
    seen: &mut Option<&'static Operation>,
) -> Result<Outcome, Refusal>
where
    B: Body<Data = Bytes> + Send,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let query = head.uri.query().unwrap_or_default();
    let (length, max) = (query.len(), limits::OPENAPI_QUERY_BYTES_MAX);
    if length > max {
        let text = format!("query has {length} bytes, expected at most {max}");
        return Err(Refusal::new(Code::RequestTooLarge, text));
    }
    let mut parameters = Parameters::default();
    parameters.extend(query)?;
    let body = match head.method {
        Method::GET | Method::HEAD => Bytes::new(),
        _ => request_body::read(front, body, limits::OPENAPI_BODY_BYTES_MAX).await?,
    };
    let route = route::find(&head.method, head.uri.path())?;
    *seen = Some(route.operation);
    check_named(head, route.operation)?;
    let request = openapi_request::Request {
        head,
        body: &body,
        query: &parameters,
        parameters: &parameters,
    };
    let user = authenticate(front, connection, &request, Taken::Acs3)?;
    let values = parameter::values(&route, &parameters, &body)?;
    let note = forward::Note::of(front, head).await;
    let call = Call::new(front, connection, route.operation, values, user, note);
    forward::await_known(&call).await;
    access::check(&call)?;
    call.check_instance()?;
    if let Some(ask) = route.operation.on_nodes
        && let Some(nodes) = forward::nodes(&call)?
    {
        return forward::ask(&call, (head, &body), ask, &nodes).await;
    }
    let _permit = match route.operation.blocked_as {
        Some(change) => front.permit(call.instance()?.id(), change).await?,
        None => None,
    };
    Ok(Outcome::Done((route.operation.run)(&call).await?))
}

/// Headers may repeat what path and method say.
fn check_named(head: &Parts, operation: &Operation) -> Result<(), Refusal> {
    for (name, expected) in [(VERSION_HEADER, VERSION), (ACTION_HEADER, operation.name)] {
        let text = header_text(head, name);
        if !text.is_empty() && text != expected {
            let text: String = text.chars().take(64).collect();
            let text = format!("header `{name}` is `{text}`, expected `{expected}`");
            return Err(Refusal::new(Code::InvalidAction, text));
        }
    }
    Ok(())
}
