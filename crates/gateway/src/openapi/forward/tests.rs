//! What the answers of several nodes amount to.

use serde_json::json;

use super::*;

fn told(status: u16, document: Value) -> Result<Told, ClientError> {
    Ok(Told {
        status: StatusCode::from_u16(status).unwrap(),
        document,
    })
}

fn numbers(all: &mut Value, more: Value) {
    combine(all, &more, "n", i64::saturating_add);
}

fn whole(answers: &[(u16, Value)]) -> (u16, Value) {
    let answers = answers.iter();
    let answers = answers.map(|(status, document)| told(*status, document.clone()));
    let whole = each(answers.collect(), numbers).unwrap();
    (whole.status.as_u16(), whole.document)
}

#[test]
fn answers_of_all_nodes_are_put_together() {
    let one = |n: i64| (200, json!({ "data": { "n": n } }));
    let none = || (404, json!({ "code": "Topic.NotFound" }));
    let wrong = || (400, json!({ "code": "InvalidParameter" }));
    assert_eq!(whole(&[one(1), one(2), one(4)]), one(7));
    // One that has nothing adds nothing, wherever it stands.
    assert_eq!(whole(&[none(), one(2), none(), one(4)]), one(6));
    assert_eq!(whole(&[none(), none()]), none());
    // One that refuses leaves no answer.
    assert_eq!(whole(&[one(1), wrong(), one(4)]), wrong());
    assert_eq!(whole(&[wrong(), none(), one(4)]), wrong());
    let silent = ClientError::Closed {
        address: "127.0.0.1:9".to_owned(),
        reason: "gone".to_owned(),
    };
    let answers = vec![told(200, json!({ "data": { "n": 1 } })), Err(silent)];
    let refusal = each(answers, numbers).err().unwrap();
    assert_eq!(refusal.code(), Code::ServiceUnavailable);
    assert!(refusal.text().contains("127.0.0.1:9"), "{}", refusal.text());
}

#[test]
fn lags_add_up_by_topic() {
    let lag = |ready: u64, waited: u64| {
        json!({
            "deliveryDuration": waited, "inflightCount": 1, "lastConsumeTimestamp": waited,
            "readyCount": ready,
        })
    };
    let mut all = json!({
        "totalLag": lag(3, 9), "topicLagMap": { "a": lag(3, 9) }, "liteTopicLagMap": {},
    });
    lags(
        &mut all,
        json!({
            "totalLag": lag(5, 4), "topicLagMap": { "a": lag(1, 4), "b": lag(4, 2) },
            "liteTopicLagMap": { "l": lag(4, 2) },
        }),
    );
    assert_eq!(
        (
            &all["totalLag"]["readyCount"],
            &all["totalLag"]["inflightCount"]
        ),
        (&json!(8), &json!(2))
    );
    assert_eq!(all["totalLag"]["deliveryDuration"], 9);
    assert_eq!(all["topicLagMap"]["a"]["readyCount"], 4);
    assert_eq!(
        (&all["topicLagMap"]["b"], &all["liteTopicLagMap"]["l"]),
        (&lag(4, 2), &lag(4, 2))
    );
}

#[test]
fn times_reach_from_the_first_to_the_last() {
    let span = |min: i64, consumed: i64, max: i64| json!({ "minTimestamp": min, "consumeTimestamp": consumed, "maxTimestamp": max });
    for (one, other, expected) in [
        (span(5, 6, 9), span(3, 7, 8), span(3, 7, 9)),
        (span(0, 0, 0), span(3, 7, 8), span(3, 7, 8)),
        (span(3, 7, 8), span(0, 0, 0), span(3, 7, 8)),
    ] {
        let mut all = one;
        time_spans(&mut all, other);
        assert_eq!(all, expected);
    }
}

#[test]
fn lists_have_everybody_once() {
    let client = |id: &str| json!({ "clientId": id });
    let mut clients = json!({ "connections": [client("a"), client("b")] });
    connections(
        &mut clients,
        json!({ "connections": [client("b"), client("c")] }),
    );
    assert_eq!(
        clients["connections"],
        json!([client("a"), client("b"), client("c")])
    );

    let member = |id: &str| json!({ "connectionDTO": { "clientId": id } });
    let mut members = json!([member("a")]);
    said(&mut members, json!([member("a"), member("b")]));
    assert_eq!(members, json!([member("a"), member("b")]));

    let of = |group: &str, status: &str| json!({ "consumerGroupId": group, "topicName": "t", "subscriptionStatus": status });
    let mut all = json!([of("g", "OFFLINE"), of("h", "ONLINE")]);
    subscriptions(
        &mut all,
        json!([of("g", "ONLINE"), of("h", "OFFLINE"), of("i", "OFFLINE")]),
    );
    assert_eq!(
        all,
        json!([of("g", "ONLINE"), of("h", "ONLINE"), of("i", "OFFLINE")])
    );
}

#[test]
fn answers_of_another_form_add_nothing() {
    let puts: [fn(&mut Value, Value); 5] = [lags, time_spans, connections, said, subscriptions];
    let odd = [
        json!([]),
        json!("x"),
        json!({ "data": [7] }),
        json!({ "data": "x" }),
        json!({ "data": { "topicLagMap": [], "totalLag": 1, "connections": "x" } }),
    ];
    for put in puts {
        for one in &odd {
            for other in &odd {
                let answers = [one, other].map(|document| told(200, document.clone()));
                let whole = each(answers.into(), put).unwrap();
                assert_eq!(whole.status, StatusCode::OK);
            }
        }
    }
}
