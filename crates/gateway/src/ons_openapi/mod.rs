//! The vendor's OpenAPI of the 4.x series, version 2019-02-14: operations on instances, topics,
//! groups, messages and tags, as its SDKs ask for them.
//!
//! A request is at path `/` and names its operation; [`operations`] is the one table of them. It is
//! signed in one of two ways (`openapi_request`), becomes a [`call::Call`], and the operation
//! answers with a tree of fields or a [`status::Refusal`], which are written as JSON or XML.
//! Operations are thin: what they do is the broker's.

mod access;
mod call;
mod consumer_offset;
mod consumer_status;
mod dead_letter;
mod group;
mod instance;
mod message;
mod message_pages;
mod message_query;
mod operations;
mod regions;
mod status;
mod tags;
mod text;
mod topic;
mod trace;
mod trend;

use std::sync::Arc;

use base::limits;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use http_body_util::Full;
use serde_json::{Map, Value};
use wire::openapi::{
    ErrorAnswer, Parameters,
    acs3::{ACTION_HEADER, VERSION_HEADER},
    json_document, xml_document,
};

pub(crate) use self::trace::TraceQueries;
use self::{
    call::Call,
    operations::Operation,
    status::{Code, Refusal},
};
use crate::{
    ConnectionInfo, Front,
    http::header_text,
    openapi_request::{self, Taken, authenticate, observe, request_id, response},
    request_body,
};

/// The one version of the API.
const VERSION: &str = "2019-02-14";

/// Where the errors are explained.
const RECOMMEND: &str = "docs/reference/ons-openapi.md#errors";

const FORM: &str = "application/x-www-form-urlencoded";

/// What an operation answers, besides the id of the request.
type Fields = Map<String, Value>;

/// Whether a request is one of this API.
pub(crate) fn is_ours<B>(request: &Request<B>) -> bool {
    let named = |part: &str| part.starts_with("Action=");
    let head = request.headers();
    let query = request.uri().query().unwrap_or_default();
    request.uri().path() == "/"
        && matches!(*request.method(), Method::GET | Method::POST)
        && (head.contains_key(ACTION_HEADER) || query.split('&').any(named) || is_form(head))
}

fn is_form(head: &http::HeaderMap) -> bool {
    let kind = head.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case(FORM)
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Xml,
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
    // Clients of the newer signature read JSON and do not say so; the older ones read XML if they
    // do not say otherwise.
    let mut seen = Seen {
        format: match header_text(&head, ACTION_HEADER) {
            "" => Format::Xml,
            _ => Format::Json,
        },
        operation: None,
    };
    let result = work(front, connection, &head, body, &mut seen).await;
    let refused_with = result.as_ref().err().map(|refusal| refusal.code().name());
    let name = seen.operation.map(|operation| operation.name);
    observe(front, begun, "ons_openapi", name, refused_with);
    let (status, document) = match (result, seen) {
        (
            Ok(fields),
            Seen {
                format: Format::Xml,
                operation: Some(operation),
            },
        ) => (
            StatusCode::OK,
            xml_document(operation.name, &request_id, &fields),
        ),
        (Ok(fields), _) => (StatusCode::OK, json_document(&request_id, fields)),
        (Err(refusal), Seen { format, .. }) => {
            let error = ErrorAnswer {
                request_id: &request_id,
                host_id: &host_id(front, connection, &head),
                code: &refusal.shown_code(),
                message: refusal.text(),
                recommend: RECOMMEND,
            };
            let document = match format {
                Format::Json => error.json(),
                Format::Xml => error.xml(),
            };
            (refusal.code().status(), document)
        }
    };
    let kind = match seen.format {
        Format::Json => "application/json;charset=utf-8",
        // Compat: alibabacloud-tea-openapi 0.4.6 for Python reads errors as XML where the header is
        // exactly this one.
        Format::Xml => "text/xml;charset=utf-8",
    };
    response(status, kind, &request_id, document)
}

/// What is known of a request so far, however it ends.
#[derive(Clone, Copy)]
struct Seen {
    format: Format,
    operation: Option<&'static Operation>,
}

async fn work<B>(
    front: &Arc<Front>,
    connection: &ConnectionInfo,
    head: &Parts,
    body: B,
    seen: &mut Seen,
) -> Result<Fields, Refusal>
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
    let mut in_query = Parameters::default();
    in_query.extend(query)?;
    if let Some(format) = format_of(&in_query)? {
        seen.format = format;
    }
    let body = match head.method {
        Method::POST => request_body::read(front, body, limits::OPENAPI_BODY_BYTES_MAX).await?,
        _ => Bytes::new(),
    };
    let mut parameters = in_query.clone();
    if !body.is_empty() && is_form(&head.headers) {
        let form = str::from_utf8(&body).map_err(|_| {
            Refusal::new(
                Code::InvalidForm,
                "form of the request is not text in UTF-8",
            )
        })?;
        parameters.extend(form)?;
        if let Some(format) = format_of(&parameters)? {
            seen.format = format;
        }
    }
    let operation = operation(head, &parameters)?;
    seen.operation = Some(operation);
    let request = openapi_request::Request {
        head,
        body: &body,
        query: &in_query,
        parameters: &parameters,
    };
    let user = authenticate(front, connection, &request, Taken::Both)?;
    let mut call = Call::new(front, connection, operation, parameters, user)?;
    access::check(&call)?;
    call.enter()?;
    (operation.run)(&call).await
}

/// The operation that a request names, in a header or in a parameter.
fn operation(head: &Parts, parameters: &Parameters) -> Result<&'static Operation, Refusal> {
    let named = |header: &str, parameter: &'static str| match header_text(head, header) {
        "" => parameters.get(parameter).unwrap_or_default().to_owned(),
        text => text.to_owned(),
    };
    let action = named(ACTION_HEADER, "Action");
    if action.is_empty() {
        return Err(Refusal::missing("Action"));
    }
    let version = named(VERSION_HEADER, "Version");
    if version.is_empty() {
        return Err(Refusal::missing("Version"));
    }
    if version != VERSION {
        return Err(Refusal::invalid("Version", &version, VERSION));
    }
    let operation = operations::find(&action);
    operation.ok_or_else(|| {
        let action: String = action.chars().take(64).collect();
        let text = format!("operation `{action}` is not one of version {VERSION}");
        Refusal::new(Code::InvalidActionNotFound, text)
    })
}

fn format_of(parameters: &Parameters) -> Result<Option<Format>, Refusal> {
    match parameters.get("Format") {
        None => Ok(None),
        Some(name) if name.eq_ignore_ascii_case("JSON") => Ok(Some(Format::Json)),
        Some(name) if name.eq_ignore_ascii_case("XML") => Ok(Some(Format::Xml)),
        Some(name) => Err(Refusal::invalid("Format", name, "JSON or XML")),
    }
}

/// How answers name the server: as the client does.
fn host_id(front: &Front, connection: &ConnectionInfo, head: &Parts) -> String {
    match header_text(head, header::HOST) {
        "" => front.advertised(connection).to_string(),
        host => host.chars().take(256).collect(),
    }
}
