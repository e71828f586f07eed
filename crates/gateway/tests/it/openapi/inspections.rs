//! Inspections over the OpenAPI: what they find, and how it is told.

use broker::Series;
use serde_json::{Value, json};

use super::{Answer, call};
use crate::support::{Server, soon};

const REGION: &str = "regionId=DefaultRegion";

fn target(id: &str, rest: &str) -> String {
    let separator = if rest.contains('?') { '&' } else { '?' };
    format!("/api/v1/monitoring/instance-inspections/{id}{rest}{separator}{REGION}")
}

async fn done(server: &Server, method: &str, target: &str, body: Value) -> Value {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = call(server, method, target, &body).await;
    assert_eq!(answer.status, 200, "{method} {target}: {}", answer.json);
    answer.json
}

fn refused(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.json["code"].as_str().unwrap())
}

/// The run, once it is over.
async fn run(server: &Server, id: &str, token: &str) -> Value {
    let body = json!({ "clientToken": token });
    let begun = done(server, "POST", &target(id, "/runs"), body).await;
    let run = begun["runId"].as_str().unwrap().to_owned();
    let over = async {
        loop {
            let path = target(id, &format!("/runs/{run}"));
            let found = done(server, "GET", &path, Value::Null).await;
            if found["status"] == "Succeeded" {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    soon("an inspection", over).await
}

#[tokio::test]
async fn an_inspection_finds_what_is_there_and_tells_it() {
    let server = Server::start().await;
    let instance = server.create_instance(Series::V5).await;
    let id = instance.id().as_str();
    let inside = |rest: &str| format!("/instances/{id}/{rest}");
    for topic in ["orders", "nobody-reads"] {
        let body = json!({ "messageType": "NORMAL" });
        done(&server, "POST", &inside(&format!("topics/{topic}")), body).await;
    }
    let group = json!({
        "consumeRetryPolicy": { "retryPolicy": "DefaultRetryPolicy" },
        "deliveryOrderType": "Concurrently",
    });
    done(&server, "POST", &inside("consumerGroups/GID_behind"), group).await;
    let reset = inside("consumerGroups/GID_behind/consumeOffsets/orders");
    done(
        &server,
        "PATCH",
        &reset,
        json!({ "resetType": "LATEST_OFFSET" }),
    )
    .await;
    for topic in ["orders", "orders", "orders", "nobody-reads"] {
        let body = json!({ "message": "hello" });
        done(
            &server,
            "POST",
            &inside(&format!("topics/{topic}/messages")),
            body,
        )
        .await;
    }
    let bare = done(&server, "GET", &target(id, ""), Value::Null).await;
    assert_eq!(bare["configured"], false);
    let codes = [
        "ConsumerLag",
        "ConsumerOffline",
        "UnconsumedTopic",
        "QuotaUse",
        "DeadLetters",
    ];
    let items = codes.map(|code| match code {
        "ConsumerLag" => json!({ "templateCode": code, "parameters": { "messages": 3 } }),
        code => json!({ "templateCode": code, "parameters": {} }),
    });
    let made = json!({
        "clientToken": "made", "items": items, "resourceScope": { "mode": "ALL" },
        "schedule": { "enabled": true, "cron": "0 3 * * *" },
    });
    let made = done(&server, "POST", &target(id, ""), made).await;
    assert_eq!(
        (&made["configured"], &made["revision"]),
        (&json!(true), &json!(1))
    );
    assert!(
        made["nextRunAt"].as_str().unwrap().ends_with("T03:00:00Z"),
        "{made}"
    );

    let found = run(&server, id, "first").await;
    assert_eq!(
        found["summary"],
        json!({ "infoCount": 0, "result": "Risk", "riskCount": 3 })
    );
    let results = found["items"].as_array().unwrap().iter();
    let results: Vec<&str> = results
        .map(|item| item["result"].as_str().unwrap())
        .collect();
    assert_eq!(
        results,
        ["Risk", "Risk", "Risk", "Normal", "Normal"],
        "{found}"
    );
    let listed = target(id, "/resources?templateCode=UnconsumedTopic");
    let listed = done(&server, "GET", &listed, Value::Null).await;
    assert_eq!(listed["total"], 1);
    assert_eq!(
        listed["data"][0],
        json!({
            "id": format!("{id}/nobody-reads"), "name": "nobody-reads", "result": "Risk",
            "summary": "1 messages came, and no group consumes them", "type": "Topic",
        })
    );
    let runs = target(id, "/runs?result=Risk&templateCode=ConsumerLag");
    let runs = done(&server, "GET", &runs, Value::Null).await;
    assert_eq!(
        (&runs["total"], &runs["data"][0]["runId"]),
        (&json!(1), &found["runId"])
    );
    let report = runs["data"][0]["reportId"].as_str().unwrap();
    let report = format!("/api/v1/monitoring/instance-inspections/reports/{report}");
    let report = done(&server, "GET", &report, Value::Null).await;
    assert_eq!(report, found["report"]);
    assert_eq!(report["findings"].as_array().unwrap().len(), 3);
    assert!(
        report["markdown"]
            .as_str()
            .unwrap()
            .contains("nobody-reads"),
        "{report}"
    );
    let none = target(id, "/runs?result=Normal");
    assert_eq!(
        done(&server, "GET", &none, Value::Null).await["data"],
        json!([])
    );

    // What is not in the scope is not looked at.
    let named = json!({
        "clientToken": "named", "revision": 1,
        "resourceScope": { "mode": "SPECIFIED", "topics": ["orders"] },
    });
    done(&server, "PUT", &target(id, ""), named).await;
    let found = run(&server, id, "second").await;
    assert_eq!(found["summary"]["riskCount"], 0, "{found}");
    let pages = target(id, "/runs?maxResults=1");
    let first = done(&server, "GET", &pages, Value::Null).await;
    let next = first["nextToken"].as_str().unwrap();
    let second = target(id, &format!("/runs?maxResults=1&nextToken={next}"));
    let second = done(&server, "GET", &second, Value::Null).await;
    assert_eq!(
        (&first["data"][0]["runId"], &second["nextToken"]),
        (&found["runId"], &json!(""))
    );
    assert_ne!(first["data"], second["data"]);
}

#[tokio::test]
async fn what_is_wrong_with_an_inspection_is_told_by_its_code() {
    let server = Server::start().await;
    let instance = server.create_instance(Series::V5).await;
    let id = instance.id().as_str();
    let body = json!({
        "clientToken": "a", "items": [{ "templateCode": "QuotaUse", "parameters": {} }],
        "resourceScope": { "mode": "ALL" }, "schedule": { "enabled": false },
    });
    let run_of = |token: &str| json!({ "clientToken": token }).to_string();
    let runs = target(id, "/runs");
    let early = call(&server, "POST", &runs, &run_of("r")).await;
    assert_eq!(refused(&early), (404, "Inspection.NotFound"));
    done(&server, "POST", &target(id, ""), body.clone()).await;
    let mut other = body.clone();
    for (token, expected) in [
        ("a", (400, "IdempotentParameterMismatch")),
        ("b", (409, "Inspection.Existed")),
    ] {
        other["clientToken"] = token.into();
        other["items"][0]["parameters"]["percent"] = 70.into();
        let answer = call(&server, "POST", &target(id, ""), &other.to_string()).await;
        assert_eq!(refused(&answer), expected);
    }
    let change = json!({ "clientToken": "c", "revision": 7 }).to_string();
    let answer = call(&server, "PUT", &target(id, ""), &change).await;
    assert_eq!(refused(&answer), (409, "Inspection.RevisionConflict"));
    for (method, path, expected) in [
        (
            "GET",
            target(id, "/runs/run-1"),
            (404, "InspectionRun.NotFound"),
        ),
        (
            "GET",
            target(id, "/resources?templateCode=x"),
            (400, "InvalidParameter"),
        ),
        (
            "GET",
            target("rmq-cn-nothing", ""),
            (404, "Instance.NotFound"),
        ),
        (
            "GET",
            "/api/v1/monitoring/instance-inspections/reports/x.y".to_owned(),
            (404, "InspectionReport.NotFound"),
        ),
        (
            "GET",
            format!("/api/v1/monitoring/templates?{REGION}&nextToken=x"),
            (400, "InvalidParameter"),
        ),
    ] {
        let answer = call(&server, method, &path, "").await;
        assert_eq!(refused(&answer), expected, "{path}");
    }
    for wrong in [
        json!({ "templateCode": "QuotaUse", "parameters": { "percent": 101 } }),
        json!({ "templateCode": "QuotaUse", "parameters": { "share": 1 } }),
        json!({ "templateCode": "Nothing", "parameters": {} }),
    ] {
        let change = json!({ "clientToken": "d", "revision": 1, "items": [wrong] }).to_string();
        let answer = call(&server, "PUT", &target(id, ""), &change).await;
        assert_eq!(refused(&answer), (400, "InvalidParameter"), "{change}");
    }
    done(&server, "DELETE", &target(id, ""), Value::Null).await;
    let gone = call(&server, "DELETE", &target(id, ""), "").await;
    assert_eq!(refused(&gone), (404, "Inspection.NotFound"));
}
