//! Our own operations: releases, update tasks, maintenance windows, and what an update blocks.

use std::{future::ready, time::Duration};

use base::InstanceId;
use broker::Series;
use control::{Control, Release, UpdateRecord, Zone};
use serde_json::{Value, json};

use super::{Answer, call};
use crate::support::{Server, Setup};

const OLD: &str = "5.0-rmq-20230329";
const NEW: &str = "5.5.0-rmq-1.1.1";

async fn with_control() -> Server {
    Server::with(Setup {
        control: true,
        ..Setup::default()
    })
    .await
}

fn control(server: &Server) -> &Control {
    server.front.control.as_ref().unwrap()
}

/// An instance whose version is managed, and that is behind.
async fn behind(server: &Server) -> InstanceId {
    let id = server.create_instance(Series::V5).await.id().clone();
    let zone = Zone::new("Asia/Shanghai").unwrap();
    let record = UpdateRecord::new(id.clone(), true, OLD.parse().unwrap(), zone);
    control(server).updates().register(record).await.unwrap();
    let release = Release {
        version: NEW.parse().unwrap(),
        released_on: "2026-01-31".parse().unwrap(),
        announced_at: server.front.clock.now(),
        notes: String::new(),
        digest: String::new(),
        size: 0,
        signature: String::new(),
    };
    control(server).updates().announce(&release).await.unwrap();
    id
}

async fn ask(server: &Server, method: &str, target: &str, body: &Value) -> Answer {
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    call(server, method, target, &body).await
}

#[track_caller]
fn data(answer: &Answer) -> &Value {
    assert_eq!(answer.status, 200, "{}", answer.json);
    &answer.json["data"]
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) -> String {
    let json = &answer.json;
    assert_eq!(
        (answer.status, json["code"].as_str()),
        (status, Some(code)),
        "{json}"
    );
    json["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_task_is_listed_described_and_moved_and_not_cancelled() {
    let server = with_control().await;
    let id = behind(&server).await;
    let none = Value::Null;
    for target in [
        "/updateTasks".to_owned(),
        format!("/updateTasks?instanceId={id}"),
    ] {
        let listed = ask(&server, "GET", &target, &none).await;
        let listed = data(&listed);
        assert_eq!(listed["totalCount"], 1);
        let task = &listed["list"][0];
        assert_eq!(
            (
                &task["instanceId"],
                &task["taskId"],
                &task["status"],
                &task["overdue"]
            ),
            (
                &json!(id.as_str()),
                &json!(1),
                &json!("PENDING"),
                &json!(false)
            )
        );
        assert_eq!(
            (&task["fromVersion"], &task["targetVersion"]),
            (&json!(OLD), &json!(NEW))
        );
        assert!(
            task["scheduledTime"]
                .as_str()
                .unwrap()
                .ends_with("T02:00:00+08:00")
        );
    }
    for (filter, count) in [("statuses=pending", 1), ("statuses=RUNNING,FAILED", 0)] {
        let listed = ask(&server, "GET", &format!("/updateTasks?{filter}"), &none).await;
        assert_eq!(data(&listed)["totalCount"], count, "{filter}");
    }
    let wrong = ask(&server, "GET", "/updateTasks?statuses=DONE", &none).await;
    refused(&wrong, 400, "InvalidParameter");

    let target = format!("/instances/{id}/updateTasks/1");
    let described = ask(&server, "GET", &target, &none).await;
    let described = data(&described);
    assert_eq!(
        described["events"][0]["event"],
        format!("created for {NEW}")
    );
    assert_eq!(
        (&described["stepsTotal"], &described["steps"]),
        (&json!(0), &json!([]))
    );
    for other in ["2", "x"] {
        let target = format!("/instances/{id}/updateTasks/{other}");
        refused(
            &ask(&server, "GET", &target, &none).await,
            404,
            "UpdateTask.NotFound",
        );
    }

    let cancelled = ask(&server, "DELETE", &target, &none).await;
    let text = refused(&cancelled, 409, "UpdateTask.InvalidStatus");
    assert!(text.contains("cannot be cancelled"), "{text}");

    let deadline = described["deadline"].clone();
    for wrong in [
        json!("yesterday"),
        json!("2020-01-01T00:00"),
        json!("2100-01-01T00:00"),
    ] {
        let moved = ask(
            &server,
            "PATCH",
            &target,
            &json!({ "scheduledTime": wrong }),
        )
        .await;
        refused(&moved, 400, "InvalidParameter");
    }
    // The deadline as the clocks of the task's zone show it.
    let local = deadline.as_str().unwrap().trim_end_matches("+08:00");
    for to in [json!(local), json!("now")] {
        let moved = ask(&server, "PATCH", &target, &json!({ "scheduledTime": to })).await;
        let moved = data(&moved);
        assert_eq!(moved["deadline"], deadline);
        assert_eq!(moved["scheduledTime"] == deadline, to != "now", "{moved}");
    }
}

#[tokio::test]
async fn while_an_instance_is_updated_its_resources_stay_as_they_are() {
    let server = with_control().await;
    let id = behind(&server).await;
    server.clock.advance(Duration::from_secs(9 * 86_400));
    control(&server)
        .updates()
        .start(&id, ready(()))
        .await
        .unwrap();
    let none = Value::Null;
    let of = |path: &str| format!("/instances/{id}{path}");
    let policy = json!({
        "consumeRetryPolicy": { "retryPolicy": "DefaultRetryPolicy" },
        "deliveryOrderType": "Concurrently",
    });
    for (method, path, body) in [
        ("POST", "/topics/orders", json!({ "messageType": "NORMAL" })),
        ("PATCH", "/topics/orders", json!({ "remark": "x" })),
        ("DELETE", "/topics/orders", none.clone()),
        ("POST", "/consumerGroups/billing", policy.clone()),
        ("PATCH", "/consumerGroups/billing", policy),
        ("DELETE", "/consumerGroups/billing", none.clone()),
        (
            "PATCH",
            "",
            json!({ "productInfo": { "messageRetentionTime": 48 } }),
        ),
        ("DELETE", "", none.clone()),
    ] {
        let answer = ask(&server, method, &of(path), &body).await;
        let text = refused(&answer, 409, "Instance.Updating");
        assert!(
            text.contains("update task 1") && text.contains(NEW),
            "{text}"
        );
    }
    for (method, path, body) in [
        ("PATCH", "", json!({ "remark": "x" })),
        (
            "POST",
            "/accounts",
            json!({ "username": "alice", "password": "secret12" }),
        ),
        (
            "POST",
            "/ip/whitelist",
            json!({ "ipWhitelists": ["127.0.0.0/8"] }),
        ),
        ("GET", "/topics", none.clone()),
        (
            "PATCH",
            "/maintenanceWindow",
            json!({ "maintainTime": "22:00-23:00" }),
        ),
    ] {
        data(&ask(&server, method, &of(path), &body).await);
    }
    let shown = ask(&server, "GET", &of(""), &none).await;
    assert_eq!(data(&shown)["status"], "CHANGING");

    let task = of("/updateTasks/1");
    let moved = ask(&server, "PATCH", &task, &json!({ "scheduledTime": "now" })).await;
    refused(&moved, 409, "UpdateTask.InvalidStatus");
    assert_eq!(
        data(&ask(&server, "GET", &task, &none).await)["overdue"],
        false
    );
    server.clock.advance(Duration::from_secs(31 * 60));
    let overdue = ask(&server, "GET", "/updateTasks?overdue=true", &none).await;
    assert_eq!(data(&overdue)["list"][0]["overdue"], true);

    control(&server).updates().succeed(&id).await.unwrap();
    let topic = json!({ "messageType": "NORMAL" });
    data(&ask(&server, "POST", &of("/topics/orders"), &topic).await);
    let shown = ask(&server, "GET", &of(""), &none).await;
    assert_eq!(data(&shown)["status"], "RUNNING");
    assert_eq!(
        data(&shown)["software"],
        json!({ "softwareVersion": NEW, "maintainTime": "22:00-23:00", "upgradeMethod": "auto" })
    );
    refused(
        &ask(&server, "DELETE", &task, &none).await,
        409,
        "UpdateTask.InvalidStatus",
    );
}

#[tokio::test]
async fn a_window_is_shown_and_changed_for_tasks_to_come() {
    let server = with_control().await;
    let id = behind(&server).await;
    let target = format!("/instances/{id}/maintenanceWindow");
    let window = ask(&server, "GET", &target, &Value::Null).await;
    let window = data(&window);
    assert_eq!(
        (&window["maintainTime"], &window["timeZone"]),
        (&json!("02:00-06:00"), &json!("Asia/Shanghai"))
    );
    for wrong in [
        json!({}),
        json!({ "maintainTime": "2-6" }),
        json!({ "timeZone": "Mars/Olympus" }),
    ] {
        let answer = ask(&server, "PATCH", &target, &wrong).await;
        assert_eq!(answer.status, 400, "{}", answer.json);
    }
    let zone = ask(
        &server,
        "PATCH",
        &target,
        &json!({ "timeZone": "europe/berlin" }),
    )
    .await;
    assert_eq!(data(&zone)["timeZone"], "Europe/Berlin");
    let day = json!({ "maintainTime": "05:00-05:00" });
    let changed = ask(&server, "PATCH", &target, &day).await;
    let changed = data(&changed);
    assert_eq!(
        (&changed["maintainTime"], &changed["timeZone"]),
        (&json!("05:00-05:00"), &json!("Europe/Berlin"))
    );
    // The task that is there stays as it was made.
    let target = format!("/instances/{id}/version");
    let version = ask(&server, "GET", &target, &Value::Null).await;
    let version = data(&version);
    assert_eq!(version["maintainTime"], "05:00-05:00");
    assert_eq!(version["openTask"]["maintainTime"], "02:00-06:00");
    assert_eq!(version["softwareVersion"], OLD);
}

#[tokio::test]
async fn an_instance_without_nodes_of_its_own_has_a_version_and_no_tasks() {
    let server = with_control().await;
    let id = server.create_instance(Series::V5).await.id().clone();
    let none = Value::Null;
    let version = ask(&server, "GET", &format!("/instances/{id}/version"), &none).await;
    assert_eq!(
        (
            &data(&version)["softwareVersion"],
            &data(&version)["managed"]
        ),
        (&json!("5.0-rmq-20230101"), &json!(false))
    );
    let code = "Instance.NoVersionManagement";
    for (method, target, body) in [
        ("GET", format!("/updateTasks?instanceId={id}"), none.clone()),
        (
            "GET",
            format!("/instances/{id}/updateTasks/1"),
            none.clone(),
        ),
        (
            "DELETE",
            format!("/instances/{id}/updateTasks/1"),
            none.clone(),
        ),
        (
            "GET",
            format!("/instances/{id}/maintenanceWindow"),
            none.clone(),
        ),
        (
            "PATCH",
            format!("/instances/{id}/maintenanceWindow"),
            json!({ "maintainTime": "01:00-02:00" }),
        ),
    ] {
        refused(&ask(&server, method, &target, &body).await, 400, code);
    }
    let topic = json!({ "messageType": "NORMAL" });
    data(
        &ask(
            &server,
            "POST",
            &format!("/instances/{id}/topics/orders"),
            &topic,
        )
        .await,
    );
}

#[tokio::test]
async fn a_release_is_refused_without_a_key_and_a_path_that_is_one() {
    let server = with_control().await;
    let publish = |binary: &str, key: Option<&str>| json!({ "version": NEW, "binary": binary, "signature": "x", "key": key });
    for (body, status, code, part) in [
        (
            publish("carrack", None),
            400,
            "InvalidParameter",
            "absolute path",
        ),
        (
            publish("/carrack", None),
            400,
            "Release.Invalid",
            "no key is trusted",
        ),
        // Nobody has signed the request.
        (publish("/carrack", Some("k")), 403, "NoPermission", "`key`"),
        (json!({ "version": NEW }), 400, "MissingParameter", "binary"),
    ] {
        let answer = ask(&server, "POST", "/releases", &body).await;
        let text = refused(&answer, status, code);
        assert!(text.contains(part), "{text}");
    }
    let listed = ask(&server, "GET", "/releases", &Value::Null).await;
    assert_eq!(data(&listed)["totalCount"], 0);
}

#[tokio::test]
async fn a_server_that_runs_no_nodes_says_so() {
    let server = Server::start().await;
    for target in ["/releases", "/updateTasks"] {
        let answer = ask(&server, "GET", target, &Value::Null).await;
        let text = refused(&answer, 404, "Operation.NotSupported");
        assert!(text.contains("fleet"), "{text}");
    }
}
