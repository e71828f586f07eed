//! Messages, dead letters, traces and trends, sent and consumed by gRPC and Remoting clients.

use std::time::Duration;

use base::{Clock, GroupName, TopicName};
use serde_json::{Value, json};
use wire::grpc_v2::{self as v2, telemetry_command::Command};

use super::{ALICE, ROOT, Rpc, ask};
use crate::{
    access::guarded,
    grpc_v2::{
        Sdk, handle, message, message_trace, receive,
        session::{Talk, consumer_settings},
    },
    support::{Server, soon},
};

async fn consumer(server: &Server, id: &'static str) -> (Sdk, Talk) {
    let mut sdk = Sdk::connect(server, id).await;
    let mut talk = sdk.telemetry().await;
    talk.settle(consumer_settings("billing", "orders")).await;
    (sdk, talk)
}

/// `orders` with some messages, of which `billing` has finished the first.
async fn begun(server: &Server) -> (Sdk, Talk) {
    let (mut sdk, talk) = consumer(server, "c").await;
    for body in ["one", "two"] {
        let mut message = message("orders", body);
        let system = message.system_properties.as_mut().unwrap();
        system.keys = vec!["both".to_owned(), body.to_owned()];
        system.tag = Some("A".to_owned());
        sdk.send(vec![message]).await;
    }
    let taken = sdk.take("orders", "billing", 1).await;
    sdk.ack("orders", "billing", &[handle(&taken[0])]).await;
    (sdk, talk)
}

fn now(server: &Server) -> i64 {
    server.clock.now().ms()
}

/// The times around now, as parameters.
fn times(server: &Server) -> [String; 2] {
    let now = now(server);
    [(now - 3_600_000).to_string(), (now + 60_000).to_string()]
}

#[tokio::test]
async fn a_message_is_found_by_any_id_and_key() {
    let server = Server::start().await;
    let _clients = begun(&server).await;
    let by_id = async |operation: &str, id: &str| {
        let parameters = [
            ("InstanceId", "default"),
            ("Topic", "orders"),
            ("MsgId", id),
        ];
        ask(&server, operation, &parameters).await
    };
    let found = by_id("OnsMessageGetByMsgId", "id-one").await.ok();
    let data = &found["Data"];
    assert_eq!(data["MsgId"], "id-one");
    assert_eq!(data["Topic"], "orders");
    assert_eq!(data["InstanceId"], "default");
    assert_eq!(data["ReconsumeTimes"], 0);
    let properties = data["PropertyList"]["MessageProperty"].as_array().unwrap();
    assert!(properties.contains(&json!({ "Name": "TAGS", "Value": "A" })));
    assert!(data["StoreSize"].as_i64().unwrap() > 3);
    assert!(data["BodyCRC"].is_i64());
    let stored = data["StoreTimestamp"].as_i64().unwrap();
    assert!((now(&server) - stored).abs() < 60_000);

    let topic = TopicName::new("orders").unwrap();
    let shard = server.instance.shards().remove(0);
    let message = shard.find(&topic, "id-one").await.unwrap();
    let stored_at = wire::message::MessageId {
        store_host: message.store_host(),
        physical_offset: message.physical_offset(),
    };
    let same = by_id("OnsMessageGetByMsgId", &stored_at.to_string()).await;
    assert_eq!(&same.ok()["Data"], data);
    let detail = by_id("OnsMessageDetail", "id-one").await.ok();
    assert_eq!(detail["Data"]["Body"], "b25l");
    assert_eq!(detail["Data"]["BodyStr"], "one");
    let properties = detail["Data"]["PropertyList"].as_array().unwrap();
    assert!(properties.contains(&json!({ "Name": "KEYS", "Value": "both one" })));
    for operation in [
        "OnsMessageGetByMsgId",
        "OnsMessageDetail",
        "OnsMessageTrace",
    ] {
        by_id(operation, "nothing")
            .await
            .refused(400, "BIZ_NO_MESSAGE");
    }
    let unknown = [
        ("InstanceId", "default"),
        ("Topic", "nothing"),
        ("MsgId", "x"),
    ];
    let unknown = ask(&server, "OnsMessageGetByMsgId", &unknown).await;
    unknown.refused(400, "BIZ_TOPIC_NOT_FOUND");

    for (key, count) in [("both", 2), ("two", 1), ("none", 0)] {
        let found = ask(
            &server,
            "OnsMessageGetByKey",
            &[("Topic", "orders"), ("Key", key)],
        )
        .await;
        let found = found.ok();
        let list = found["Data"]["OnsRestMessageDo"].as_array().unwrap();
        assert_eq!(list.len(), count, "{key}");
    }
}

#[tokio::test]
async fn messages_of_a_time_come_in_pages() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    for n in 0..12 {
        sdk.send_one("orders", &format!("{n:02}")).await;
    }
    let [from, to] = times(&server);
    let page = async |number: &str, task: &str| {
        let parameters = [
            ("Topic", "orders"),
            ("BeginTime", from.as_str()),
            ("EndTime", to.as_str()),
            ("CurrentPage", number),
            ("PageSize", "5"),
            ("TaskId", task),
        ];
        ask(&server, "OnsMessagePageQueryByTopic", &parameters).await
    };
    let first = page("1", "").await.ok();
    let found = &first["MsgFoundDo"];
    assert_eq!(
        (&found["CurrentPage"], &found["MaxPageCount"]),
        (&json!(1), &json!(3))
    );
    let task = found["TaskId"].as_str().unwrap();
    // What comes later is of no page.
    server.clock.advance(Duration::from_secs(1));
    sdk.send_one("orders", "late").await;
    let mut ids = Vec::new();
    for number in ["1", "2", "3", "4"] {
        let answer = page(number, task).await.ok();
        let list = &answer["MsgFoundDo"]["MsgFoundList"]["OnsRestMessageDo"];
        let list = list.as_array().unwrap().iter();
        ids.extend(list.map(|message| message["MsgId"].as_str().unwrap().to_owned()));
    }
    ids.sort();
    let expected: Vec<String> = (0..12).map(|n| format!("id-{n:02}")).collect();
    assert_eq!(ids, expected);
    page("0", "").await.refused(400, "BIZ_FIELD_CHECK_INVALID");
    page("51", "").await.refused(400, "BIZ_FIELD_CHECK_INVALID");
    page("1", "1-2-3-4").await.refused(400, "InvalidTaskId");
    page("one", "").await.refused(400, "InvalidCurrentPage");
}

#[tokio::test]
async fn what_became_of_a_message_is_told_of_each_group() {
    let server = Server::start().await;
    let _clients = begun(&server).await;
    let mut later = Sdk::connect(&server, "later").await;
    later.take("orders", "gone", 2).await;
    let track = async |id: &str| {
        let parameters = [("Topic", "orders"), ("MsgId", id)];
        let answer = ask(&server, "OnsMessageTrace", &parameters).await.ok();
        let list = answer["Data"]["MessageTrack"].as_array().unwrap().clone();
        let told = list.iter().map(|track| {
            let text = |name: &str| track[name].as_str().unwrap().to_owned();
            (text("ConsumerGroup"), text("TrackType"))
        });
        told.collect::<Vec<_>>()
    };
    let both = |billing: &str| {
        let pair = |group: &str, track: &str| (group.to_owned(), track.to_owned());
        [pair("billing", billing), pair("gone", "NOT_ONLINE")]
    };
    assert_eq!(track("id-one").await, both("CONSUMED"));
    assert_eq!(track("id-two").await, both("NOT_CONSUME_YET"));
}

#[tokio::test]
async fn a_message_is_pushed_to_one_consumer() {
    let server = Server::start().await;
    let (_sdk, mut talk) = begun(&server).await;
    let push = async |client: &str| {
        let parameters = [
            ("Topic", "orders"),
            ("GroupId", "billing"),
            ("ClientId", client),
            ("MsgId", "id-one"),
        ];
        ask(&server, "OnsMessagePush", &parameters).await
    };
    push("other").await.refused(400, "BIZ_CONSUMER_NOT_ONLINE");
    for said in [v2::Code::Ok, v2::Code::FailedToConsumeMessage] {
        let client = async {
            let Command::VerifyMessageCommand(asked) = talk.told().await else {
                panic!("expected a message to consume");
            };
            assert_eq!(&asked.message.unwrap().body[..], b"one");
            let nonce = asked.nonce;
            let status = v2::Status {
                code: said.into(),
                message: "word".to_owned(),
            };
            let result = v2::VerifyMessageResult { nonce };
            talk.say(Some(status), Command::VerifyMessageResult(result));
        };
        let (answer, ()) = tokio::join!(push("c"), client);
        if said == v2::Code::Ok {
            answer.ok();
        } else {
            answer.refused(400, "ONS_INVOKE_ERROR");
        }
    }
}

#[tokio::test]
async fn a_dead_letter_is_listed_sent_again_and_hidden_after_three_days() {
    let server = Server::start().await;
    let (mut sdk, _talk) = consumer(&server, "c").await;
    sdk.send_one("orders", "bad").await;
    let taken = sdk.take("orders", "billing", 1).await;
    let forward = v2::ForwardMessageToDeadLetterQueueRequest {
        group: crate::grpc_v2::resource("billing"),
        topic: crate::grpc_v2::resource("orders"),
        receipt_handle: handle(&taken[0]).to_owned(),
        message_id: "id-bad".to_owned(),
        delivery_attempt: 1,
        max_delivery_attempts: 1,
        ..Default::default()
    };
    let request = sdk.request(forward);
    let forwarded = sdk.client.forward_message_to_dead_letter_queue(request);
    soon("forward", forwarded).await.unwrap();
    let by_id = async |operation: &str| {
        let parameters = [("GroupId", "billing"), ("MsgId", "id-bad")];
        ask(&server, operation, &parameters).await
    };
    let found = by_id("OnsDLQMessageGetById").await.ok();
    assert_eq!(found["Data"]["Topic"], "%DLQ%billing");
    let [from, _] = times(&server);
    let page = async || {
        let to = (now(&server) + 1_000).to_string();
        let parameters = [
            ("GroupId", "billing"),
            ("BeginTime", from.as_str()),
            ("EndTime", to.as_str()),
            ("CurrentPage", "1"),
        ];
        let answer = ask(&server, "OnsDLQMessagePageQueryByGroupId", &parameters);
        let list = answer.await.ok()["MsgFoundDo"]["MsgFoundList"].clone();
        list["OnsRestMessageDo"].as_array().unwrap().len()
    };
    assert_eq!(page().await, 1);
    let none = sdk.receive(receive("orders", "billing", 1)).await;
    assert_eq!(none.code, v2::Code::MessageNotFound);
    let resent = by_id("OnsDLQMessageResendById").await.ok();
    assert_eq!(resent["Data"]["MsgId"], json!(["id-bad"]));
    let again = sdk.take("orders", "billing", 1).await;
    assert_eq!(&again[0].body[..], b"bad");
    assert_eq!(
        sdk.take("orders", "others", 2).await.len(),
        1,
        "only the first"
    );
    server.clock.advance(Duration::from_secs(3 * 24 * 60 * 60));
    for operation in ["OnsDLQMessageGetById", "OnsDLQMessageResendById"] {
        by_id(operation).await.refused(400, "BIZ_NO_MESSAGE");
    }
    assert_eq!(page().await, 0);
    let nobody = [("GroupId", "nobody"), ("MsgId", "x")];
    let nobody = ask(&server, "OnsDLQMessageGetById", &nobody).await;
    nobody.refused(400, "BIZ_SUBSCRIPTION_NOT_FOUND");
}

#[tokio::test]
async fn traces_are_asked_for_and_fetched() {
    let server = message_trace::traced().await;
    let (mut sdk, _talk) = consumer(&server, "c").await;
    let mut message = message("orders", "one");
    let system = message.system_properties.as_mut().unwrap();
    system.keys = vec!["key".to_owned()];
    system.tag = Some("A".to_owned());
    sdk.send(vec![message]).await;
    let taken = sdk.take("orders", "billing", 1).await;
    sdk.ack("orders", "billing", &[handle(&taken[0])]).await;
    message_trace::records(&server, "id-one", 3).await;
    let [from, to] = times(&server);
    let query = async |operation: &str, name: &str, value: &str, from: &str| {
        let parameters = [
            ("Topic", "orders"),
            (name, value),
            ("BeginTime", from),
            ("EndTime", to.as_str()),
        ];
        let answer = ask(&server, operation, &parameters).await.ok();
        let id = answer["QueryId"].as_str().unwrap().to_owned();
        let result = ask(&server, "OnsTraceGetResult", &[("QueryId", &id)]).await;
        result.ok()["TraceData"].clone()
    };
    for (operation, name, value) in [
        ("OnsTraceQueryByMsgId", "MsgId", "id-one"),
        ("OnsTraceQueryByMsgKey", "MsgKey", "key"),
    ] {
        let data = query(operation, name, value, &from).await;
        assert_eq!(
            (&data["Status"], &data[name]),
            (&json!("finish"), &json!(value))
        );
        let way = &data["TraceList"]["TraceMapDo"][0];
        assert_eq!(
            (&way["MsgId"], &way["MsgKey"]),
            (&json!("id-one"), &json!("key"))
        );
        assert_eq!(
            (&way["Status"], &way["Tag"]),
            (&json!("SEND_SUCCESS"), &json!("A"))
        );
        assert!(way["PubTime"].as_i64().unwrap() > 0);
        let group = &way["SubList"]["SubMapDo"][0];
        assert_eq!(
            (&group["SubGroupName"], &group["SuccessCount"]),
            (&json!("billing"), &json!(1))
        );
        let client = &group["ClientList"]["SubClientInfoDo"][0];
        assert_eq!(client["Status"], "CONSUME_SUCCESS");
        assert_eq!(client["ClientHost"], "127.0.0.1");
    }
    let none = query("OnsTraceQueryByMsgId", "MsgId", "id-two", &from).await;
    assert_eq!(none["TraceList"]["TraceMapDo"], json!([]));
    // Only what was sent in that time.
    let late = query("OnsTraceQueryByMsgId", "MsgId", "id-one", &to).await;
    assert_eq!(late["TraceList"]["TraceMapDo"], json!([]));
    let removed = ask(&server, "OnsTraceGetResult", &[("QueryId", "unknown")]).await;
    assert_eq!(removed.ok()["TraceData"]["Status"], "removed");
}

#[tokio::test]
async fn the_result_of_a_query_is_for_who_asked() {
    let server = guarded(&[]).await;
    let create = broker::TopicSpec::new(TopicName::new("orders").unwrap(), 1);
    server.instance.create_topic(create).await.unwrap();
    let [from, to] = times(&server);
    let parameters = [
        ("Topic", "orders"),
        ("MsgId", "x"),
        ("BeginTime", from.as_str()),
        ("EndTime", to.as_str()),
    ];
    let asked = Rpc::new("OnsTraceQueryByMsgId", &parameters).signed(ROOT);
    let answer = asked.call(&server).await.ok();
    let fetch = Rpc::new(
        "OnsTraceGetResult",
        &[("QueryId", answer["QueryId"].as_str().unwrap())],
    );
    let own = fetch.clone().signed(ROOT).call(&server).await.ok();
    assert_eq!(own["TraceData"]["Status"], "finish");
    assert_eq!(own["TraceData"]["UserId"], "root");
    fetch
        .signed(ALICE)
        .call(&server)
        .await
        .refused(403, "Forbidden.RAM");
}

fn sum(answer: &Value) -> f64 {
    let records = answer["Data"]["Records"]["StatsDataDo"].as_array().unwrap();
    records
        .iter()
        .map(|record| record["Y"].as_f64().unwrap())
        .sum()
}

#[tokio::test]
async fn trends_tell_what_came_and_went() {
    let server = Server::start().await;
    let _clients = begun(&server).await;
    let [from, to] = times(&server);
    let trend = async |operation: &str, kind: &str, period: &str| {
        let parameters = [
            ("Topic", "orders"),
            ("GroupId", "billing"),
            ("BeginTime", from.as_str()),
            ("EndTime", to.as_str()),
            ("Type", kind),
            ("Period", period),
        ];
        ask(&server, operation, &parameters).await
    };
    for period in ["1", "5", "10", ""] {
        let input = trend("OnsTrendTopicInputTps", "0", period).await.ok();
        assert_eq!(sum(&input), 2.0, "{input}");
        let output = trend("OnsTrendGroupOutputTps", "0", period).await.ok();
        assert_eq!(sum(&output), 1.0, "{output}");
    }
    let rate = trend("OnsTrendTopicInputTps", "1", "1").await.ok();
    assert!((sum(&rate) - 2.0 / 60.0).abs() < 1e-9);
    assert!(
        rate["Data"]["Records"]["StatsDataDo"]
            .as_array()
            .unwrap()
            .len()
            >= 60
    );
    let first = &rate["Data"]["Records"]["StatsDataDo"][0]["X"];
    assert_eq!(first.as_i64().unwrap() % 60_000, 0);
    trend("OnsTrendTopicInputTps", "0", "2")
        .await
        .refused(400, "BIZ_FIELD_CHECK_INVALID");
    trend("OnsTrendTopicInputTps", "2", "1")
        .await
        .refused(400, "BIZ_FIELD_CHECK_INVALID");
    let group = GroupName::new("billing").unwrap();
    assert!(server.instance.group(&group).is_some());
}
