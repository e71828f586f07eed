//! Parameters: what the table says of them, held against a request. Whatever passes here is of its
//! type, wherever in the request it stood.

use std::collections::BTreeMap;

use base::limits;
use serde_json::{Map, Value};
use wire::openapi::Parameters;

use super::{
    route::Route,
    status::{Code, Refusal},
};

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`; in a query in any case.
    Boolean,
    /// A list of texts; in a query joined by commas.
    Texts,
    /// Texts by name.
    Map,
    /// A list of objects.
    Objects,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Query,
    Body,
}

/// One parameter of an operation, besides those of its path. One in the body may be inside of
/// others: `productInfo.traceOn`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) place: Place,
    pub(super) is_required: bool,
}

/// The parameters of a request by name.
pub(super) type Values = BTreeMap<&'static str, Value>;

/// Reads all parameters that the table has for an operation; others are not looked at.
pub(super) fn values(route: &Route, query: &Parameters, body: &[u8]) -> Result<Values, Refusal> {
    let names = route.names.iter();
    let mut values: Values = names
        .map(|(name, text)| (*name, Value::from(text.as_str())))
        .collect();
    let parameters = route.operation.parameters;
    let has_body = parameters.iter().any(|it| it.place == Place::Body);
    let body = if has_body {
        read_body(body)?
    } else {
        Map::new()
    };
    for parameter in parameters {
        let value = match parameter.place {
            Place::Query => {
                let text = query.get(parameter.name);
                text.map(|text| in_query(parameter, text)).transpose()?
            }
            Place::Body => in_body(parameter, &body)?,
        };
        match value {
            Some(value) => _ = values.insert(parameter.name, value),
            None if parameter.is_required => return Err(Refusal::missing(parameter.name)),
            None => {}
        }
    }
    Ok(values)
}

fn read_body(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    let wrong = |reason: String| {
        let text = format!("body of the request is no JSON object: {reason}");
        Refusal::new(Code::InvalidBody, text)
    };
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(wrong("it is another value".to_owned())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a text",
        Kind::Integer => "a whole number",
        Kind::Number => "a number",
        Kind::Boolean => "true or false",
        Kind::Texts => "a list of texts",
        Kind::Map => "an object of texts",
        Kind::Objects => "a list of objects",
    }
}

fn in_query(parameter: &Parameter, text: &str) -> Result<Value, Refusal> {
    let value = match parameter.kind {
        Kind::Text => Some(Value::from(text)),
        Kind::Integer => text.parse::<i64>().ok().map(Value::from),
        Kind::Number => {
            let number = text.parse::<f64>().ok();
            number.filter(|number| number.is_finite()).map(Value::from)
        }
        Kind::Boolean if text.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
        Kind::Boolean if text.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
        Kind::Boolean => None,
        // Some clients write JSON.
        Kind::Texts if text.starts_with('[') => serde_json::from_str(text).ok(),
        Kind::Texts => Some(text.split(',').map(str::trim).map(Value::from).collect()),
        Kind::Map | Kind::Objects => serde_json::from_str(text).ok(),
    };
    let value = value.filter(|value| is_of(parameter.kind, value));
    let value =
        value.ok_or_else(|| Refusal::invalid(parameter.name, text, expected(parameter.kind)))?;
    check_count(parameter, &value)?;
    Ok(value)
}

fn in_body(parameter: &Parameter, body: &Map<String, Value>) -> Result<Option<Value>, Refusal> {
    let mut steps = parameter.name.split('.').peekable();
    let mut fields = body;
    while let Some(step) = steps.next() {
        // Generated clients write null for what nobody set.
        let Some(value) = fields.get(step).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let shown = || {
            let text = value.to_string();
            text.chars().take(64).collect::<String>()
        };
        if steps.peek().is_none() {
            if !is_of(parameter.kind, value) {
                let expected = expected(parameter.kind);
                return Err(Refusal::invalid(parameter.name, &shown(), expected));
            }
            check_count(parameter, value)?;
            return Ok(Some(value.clone()));
        }
        match value {
            Value::Object(inner) => fields = inner,
            _ => {
                return Err(Refusal::invalid(
                    parameter.name,
                    &shown(),
                    "an object around it",
                ));
            }
        }
    }
    Ok(None)
}

fn is_of(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Text => value.is_string(),
        Kind::Integer => value.is_i64(),
        Kind::Number => value.is_number(),
        Kind::Boolean => value.is_boolean(),
        Kind::Texts => {
            let items = value.as_array();
            items.is_some_and(|items| items.iter().all(Value::is_string))
        }
        Kind::Map => {
            let fields = value.as_object();
            fields.is_some_and(|fields| fields.values().all(Value::is_string))
        }
        Kind::Objects => {
            let items = value.as_array();
            items.is_some_and(|items| items.iter().all(Value::is_object))
        }
    }
}

fn check_count(parameter: &Parameter, value: &Value) -> Result<(), Refusal> {
    let count = match value {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    };
    let max = limits::OPENAPI_LIST_MAX;
    if count > max {
        let reason = format!("{count} items, expected at most {max}");
        return Err(Refusal::field(parameter.name, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use super::{super::route, *};

    fn read(method: Method, path: &str, query: &str, body: &str) -> Result<Values, Refusal> {
        let route = route::find(&method, path)?;
        let mut parameters = Parameters::default();
        parameters.extend(query)?;
        values(&route, &parameters, body.as_bytes())
    }

    #[test]
    fn queries_are_read_as_clients_write_them() {
        let query = "seriesCodes=standard%2Cultimate&pageNumber=2&filter=";
        let read_of = read(Method::GET, "/instances", query, "").unwrap();
        assert_eq!(read_of["seriesCodes"], json!(["standard", "ultimate"]));
        assert_eq!(read_of["pageNumber"], json!(2));
        assert!(!read_of.contains_key("filter"));
        let all = "all=True&regionId=r&resourceId=x&resourceType=instance";
        let untag = read(Method::DELETE, "/resourceTag/delete", all, "").unwrap();
        assert_eq!(untag["all"], json!(true));
        let wrong = read(Method::GET, "/instances", "pageNumber=two", "").unwrap_err();
        assert_eq!(wrong.parameter(), Some("pageNumber"));
    }

    #[test]
    fn bodies_are_read_from_the_outside_in() {
        let path = "/instances/rmq-1/consumerGroups/g";
        let policy = r#"{"consumeRetryPolicy":{"retryPolicy":"DefaultRetryPolicy"},
                         "deliveryOrderType":"Orderly","remark":null,"other":1}"#;
        let group = read(Method::POST, path, "", policy).unwrap();
        assert_eq!(
            group["consumeRetryPolicy.retryPolicy"],
            "DefaultRetryPolicy"
        );
        assert!(!group.contains_key("remark"));
        for (body, code) in [
            ("", Code::MissingParameter),
            ("{}", Code::MissingParameter),
            ("[]", Code::InvalidBody),
            ("{", Code::InvalidBody),
            (r#"{"consumeRetryPolicy":1}"#, Code::InvalidParameter),
            (
                r#"{"consumeRetryPolicy":{"retryPolicy":1}}"#,
                Code::InvalidParameter,
            ),
        ] {
            assert_eq!(
                read(Method::POST, path, "", body).unwrap_err().code(),
                code,
                "{body}"
            );
        }
    }
}
