//! The OpenAPI document of this API, made from the table of operations.

use serde_json::{Map, Value, json};

use super::{
    VERSION,
    operations::{Answers, OPERATIONS, Operation},
    parameter::{Kind, Place},
};

fn schema(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Integer => json!({ "type": "integer", "format": "int64" }),
        Kind::Number => json!({ "type": "number" }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Map => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Objects => json!({ "type": "array", "items": { "type": "object" } }),
    }
}

/// Puts a field of a body into the schema of the body, with all that is around it.
fn put(body: &mut Value, name: &str, kind: Kind, is_required: bool) {
    let (outer, inner) = match name.split_once('.') {
        Some((outer, inner)) => (outer, Some(inner)),
        None => (name, None),
    };
    if body.is_null() {
        *body = json!({ "type": "object", "properties": {} });
    }
    if is_required {
        let known = body["required"].as_array().cloned().unwrap_or_default();
        let others = known.into_iter().filter(|known| known != outer);
        let required: Vec<Value> = others.chain([Value::from(outer)]).collect();
        body["required"] = required.into();
    }
    let field = &mut body["properties"][outer];
    match inner {
        Some(inner) => put(field, inner, kind, is_required),
        None => *field = schema(kind),
    }
}

fn data(answers: Answers) -> Option<Value> {
    Some(match answers {
        Answers::Done => json!({ "type": "boolean" }),
        Answers::Text => json!({ "type": "string" }),
        Answers::Object => json!({ "type": "object" }),
        Answers::List => json!({ "type": "array", "items": {} }),
        Answers::Page => json!({
            "type": "object",
            "properties": {
                "list": { "type": "array", "items": {} },
                "pageNumber": { "type": "integer" },
                "pageSize": { "type": "integer" },
                "totalCount": { "type": "integer" },
            },
        }),
        Answers::Nothing | Answers::Bare => return None,
    })
}

fn answer(operation: &Operation) -> Value {
    let envelope = json!({ "$ref": "#/components/schemas/Envelope" });
    let schema = match (operation.answers, data(operation.answers)) {
        (Answers::Bare, _) => json!({ "type": "object" }),
        (_, None) => envelope,
        (_, Some(data)) => json!({
            "allOf": [envelope, { "type": "object", "properties": { "data": data } }],
        }),
    };
    json!({
        "description": "It is done.",
        "content": { "application/json": { "schema": schema } },
    })
}

fn described(operation: &Operation) -> Value {
    let in_path = operation.path.split('/').filter_map(|part| {
        part.strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
    });
    let mut parameters: Vec<Value> = in_path
        .map(|name| {
            let schema = schema(Kind::Text);
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect();
    let mut body = Value::Null;
    for parameter in operation.parameters {
        let (name, kind) = (parameter.name, parameter.kind);
        match parameter.place {
            Place::Body => put(&mut body, name, kind, parameter.is_required),
            Place::Query => {
                let mut query = json!({
                    "name": name, "in": "query", "required": parameter.is_required,
                    "schema": schema(kind),
                });
                if kind == Kind::Texts {
                    query["style"] = "form".into();
                    query["explode"] = false.into();
                }
                parameters.push(query);
            }
        }
    }
    let mut described = json!({
        "operationId": operation.name,
        "tags": [operation.about],
        "parameters": parameters,
        "responses": {
            "200": answer(operation),
            "4XX": {
                "description": "It is refused.",
                "content": { "application/json": {
                    "schema": { "$ref": "#/components/schemas/Envelope" },
                } },
            },
        },
    });
    if !body.is_null() {
        let is_required = body.get("required").is_some();
        described["requestBody"] = json!({
            "required": is_required,
            "content": { "application/json": { "schema": body } },
        });
    }
    described
}

/// The document, as JSON text that ends with a line feed.
pub fn openapi_document() -> String {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.to_ascii_lowercase()] = described(operation);
    }
    let document = json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Control API",
            "version": VERSION,
            "description": "Operations on instances, topics, groups, messages, accounts and tags. \
                            Requests are signed with ACS3-HMAC-SHA256.",
        },
        "paths": paths,
        "components": { "schemas": { "Envelope": {
            "type": "object",
            "required": ["requestId", "success", "httpStatusCode", "code", "message"],
            "properties": {
                "requestId": { "type": "string" },
                "success": { "type": "boolean" },
                "httpStatusCode": { "type": "integer" },
                "code": { "type": "string" },
                "message": { "type": "string" },
                "dynamicCode": { "type": "string" },
                "dynamicMessage": { "type": "string" },
                "accessDeniedDetail": { "type": "string" },
            },
        } } },
    });
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    format!("{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_operation_and_what_is_required() {
        let document: Value = serde_json::from_str(&openapi_document()).unwrap();
        for operation in OPERATIONS {
            let method = operation.method.to_ascii_lowercase();
            let described = &document["paths"][operation.path][method];
            assert_eq!(described["operationId"], operation.name);
        }
        let path = "/instances/{instanceId}/consumerGroups/{consumerGroupId}";
        let body = &document["paths"][path]["post"]["requestBody"];
        let schema = &body["content"]["application/json"]["schema"];
        assert_eq!(
            schema["required"],
            json!(["consumeRetryPolicy", "deliveryOrderType"])
        );
        let policy = &schema["properties"]["consumeRetryPolicy"];
        assert_eq!(policy["required"], json!(["retryPolicy"]));
    }

    #[test]
    fn the_document_that_is_checked_in_is_this_one() {
        let kept = include_str!("../../../../docs/reference/openapi.json");
        assert_eq!(
            kept,
            openapi_document(),
            "make it again: carrack config api"
        );
    }
}
