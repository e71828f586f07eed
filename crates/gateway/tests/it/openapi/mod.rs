//! The OpenAPI of the 5.x series over real sockets. What the released clients do is checked with
//! them (`conformance/openapi-python`); here is what they would not do.

mod updates;

use broker::{Series, access::SourceRange};
use serde_json::{Value, json};

use crate::support::Server;

mod inspections;

struct Answer {
    status: u16,
    json: Value,
}

async fn call(server: &Server, method: &str, target: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: rocketmq.example\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    );
    let answer = server.over_http(&request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let json = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    Answer { status, json }
}

/// Every operation of the document with what a test puts for the names in its path.
fn operations() -> Vec<(String, String, Value)> {
    let document: Value = serde_json::from_str(&gateway::openapi_document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(|(method, it)| (method.to_uppercase(), path.clone(), it.clone()))
    });
    operations.collect()
}

#[tokio::test]
async fn bad_input_of_every_operation_is_refused_in_the_one_shape() {
    let server = Server::start().await;
    let instance = server.create_instance(Series::V5).await;
    let id = instance.id().as_str();
    let mut refused = 0;
    for (method, path, operation) in operations() {
        let name = operation["operationId"].as_str().unwrap();
        // Answers of inspections have no envelope; refusals do.
        let is_bare = operation["tags"][0] == "Inspections";
        for text in ["nothing-of-that-name", "a%20b%2Fc", "%ff", &"x".repeat(300)] {
            let mut target = path.replace("{instanceId}", id);
            while let (Some(open), Some(close)) = (target.find('{'), target.find('}')) {
                target.replace_range(open..=close, text);
            }
            for (query, body) in [
                ("", ""),
                ("?pageNumber=x&pageSize=-1&all=maybe", "[1]"),
                ("?a=%", "{}"),
                ("?regionId=r&resourceId=%5B1%5D&tag=%7B&resourceType=x", "{"),
                (
                    "?regionId=DefaultRegion&maxResults=0&nextToken=x&templateCode=x&status=x",
                    r#"{"clientToken":"t","items":[{}],"revision":-1,"itemOverrides":[{}],
                        "resourceScope":{"mode":"ALL"},"schedule":{"enabled":true}}"#,
                ),
                (
                    "?regionId=DefaultRegion&maxResults=x&runId=%2F..&result=x&sortBy=x",
                    r#"{"clientToken":"t","items":[{"templateCode":1,"parameters":[]}],
                        "revision":"1","resourceScope":{"mode":1},"schedule":{"cron":"x"}}"#,
                ),
            ] {
                let answer = call(&server, &method, &format!("{target}{query}"), body).await;
                let json = &answer.json;
                let shown = format!("{name} {target}{query} {body}: {json}");
                assert!(answer.status < 500, "{shown}");
                if answer.status == 200 && is_bare {
                    assert!(json["success"].is_null(), "{shown}");
                    continue;
                }
                assert_eq!(json["httpStatusCode"], answer.status, "{shown}");
                assert_eq!(json["success"], answer.status == 200, "{shown}");
                assert!(
                    json["requestId"].as_str().is_some_and(|id| id.len() == 36),
                    "{shown}"
                );
                assert!(
                    json["code"].as_str().is_some_and(|code| !code.is_empty()),
                    "{shown}"
                );
                refused += usize::from(answer.status != 200);
            }
        }
    }
    assert!(refused > 500, "{refused}");
    // Nothing of it was made.
    assert_eq!((instance.topics().len(), instance.groups().len()), (0, 0));
}

#[tokio::test]
async fn an_instance_of_the_older_series_is_not_found() {
    let server = Server::start().await;
    let older = server.create_instance(Series::V4).await;
    let answer = call(&server, "GET", &format!("/instances/{}", older.id()), "").await;
    assert_eq!(
        (answer.status, &answer.json["code"]),
        (404, &json!("Instance.NotFound"))
    );
    let listed = call(&server, "GET", "/instances?pageSize=200", "").await;
    let listed = listed.json["data"]["list"].as_array().unwrap().clone();
    assert!(
        listed
            .iter()
            .all(|one| one["instanceId"] != older.id().as_str()),
        "{listed:?}"
    );
}

#[tokio::test]
async fn a_whitelist_is_not_held_against_who_keeps_it() {
    let server = Server::start().await;
    let instance = server.create_instance(Series::V5).await;
    let elsewhere: SourceRange = "192.0.2.0/24".parse().unwrap();
    instance
        .access()
        .add_to_whitelist(vec![elsewhere])
        .await
        .unwrap();
    assert!(!instance.access().lets_in("127.0.0.1".parse().unwrap()));
    assert!(
        instance
            .access()
            .lets_in("::ffff:192.0.2.9".parse().unwrap())
    );
    let target = format!(
        "/instances/{}/ip/whitelist?ipWhitelist=192.0.2.0%2F24",
        instance.id()
    );
    let answer = call(&server, "DELETE", &target, "").await;
    assert_eq!((answer.status, &answer.json["data"]), (200, &json!(true)));
    assert!(instance.access().lets_in("127.0.0.1".parse().unwrap()));
    let again = call(&server, "DELETE", &target, "").await;
    assert_eq!(
        (again.status, &again.json["code"]),
        (404, &json!("IpWhitelist.NotFound"))
    );
}
