//! Consumers: who they are, how far they have come, and where they go on.

use base::Clock;
use serde_json::json;
use wire::grpc_v2::{self as v2, telemetry_command::Command};

use super::ask;
use crate::{
    grpc_v2::{
        Sdk, handle, receive,
        session::{Talk, consumer_settings},
    },
    support::Server,
};

async fn consumer(server: &Server) -> (Sdk, Talk) {
    let mut sdk = Sdk::connect(server, "c").await;
    let mut talk = sdk.telemetry().await;
    talk.settle(consumer_settings("billing", "orders")).await;
    (sdk, talk)
}

#[tokio::test]
async fn a_group_is_described_by_its_consumers_and_backlog() {
    let server = Server::start().await;
    let (mut sdk, mut talk) = consumer(&server).await;
    for body in ["one", "two", "three"] {
        sdk.send_one("orders", body).await;
    }
    let taken = sdk.take("orders", "billing", 1).await;
    sdk.ack("orders", "billing", &[handle(&taken[0])]).await;
    let group = ("GroupId", "billing");
    let connections = ask(&server, "OnsConsumerGetConnection", &[group])
        .await
        .ok();
    assert_eq!(connections["Data"]["MessageModel"], "CLUSTERING");
    let connection = &connections["Data"]["ConnectionList"]["ConnectionDo"][0];
    assert_eq!(connection["ClientId"], "c");
    assert!(
        connection["ClientAddr"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );

    let accumulation = ask(&server, "OnsConsumerAccumulate", &[group]).await.ok();
    let data = &accumulation["Data"];
    assert_eq!(
        (&data["Online"], &data["TotalDiff"]),
        (&json!(true), &json!(2))
    );
    assert!(data["DelayTime"].as_i64().is_some() && data["ConsumeTps"].as_f64().is_some());
    assert!(data["LastTimestamp"].as_i64().unwrap() > 0);
    assert!(data.get("DetailInTopicList").is_none());
    // As clients for Python write it.
    let detailed = [group, ("Detail", "True")];
    let accumulation = ask(&server, "OnsConsumerAccumulate", &detailed).await.ok();
    let topics = accumulation["Data"]["DetailInTopicList"]["DetailInTopicDo"].as_array();
    let orders = topics.unwrap().iter().find(|it| it["Topic"] == "orders");
    assert_eq!(orders.unwrap()["TotalDiff"], 2);

    let asked = [group, ("Detail", "true"), ("NeedJstack", "true")];
    let status = ask(&server, "OnsConsumerStatus", &asked);
    let client = async {
        let Command::PrintThreadStackTraceCommand(asked) = talk.told().await else {
            panic!("expected a question on threads");
        };
        let trace = v2::ThreadStackTrace {
            nonce: asked.nonce,
            thread_stack_trace: Some("main TID: 1\nmain a.b\n\nother TID: 2".to_owned()),
        };
        talk.say(None, Command::ThreadStackTrace(trace));
    };
    let (status, ()) = tokio::join!(status, client);
    let status = status.ok();
    let data = &status["Data"];
    assert_eq!(
        (&data["Online"], &data["TotalDiff"]),
        (&json!(true), &json!(2))
    );
    assert_eq!(data["SubscriptionSame"], true);
    assert_eq!(
        data["ConnectionSet"]["ConnectionDo"][0]["RemoteIP"],
        "127.0.0.1"
    );
    let info = &data["ConsumerConnectionInfoList"]["ConsumerConnectionInfoDo"][0];
    assert_eq!(
        (&info["ClientId"], &info["ConsumeType"]),
        (&json!("c"), &json!("CONSUME_PASSIVELY"))
    );
    let subscription = &info["SubscriptionSet"]["SubscriptionData"][0];
    assert_eq!(
        (&subscription["Topic"], &subscription["SubString"]),
        (&json!("orders"), &json!("A || B"))
    );
    let threads = info["Jstack"]["ThreadTrackDo"].as_array().unwrap();
    assert_eq!((threads.len(), &threads[0]["Thread"]), (2, &json!("main")));

    // Nobody is asked for what nobody wants to know.
    let status = ask(&server, "OnsConsumerStatus", &[group]).await.ok();
    assert!(status["Data"].get("ConsumerConnectionInfoList").is_none());
    let nobody = ask(&server, "OnsConsumerStatus", &[("GroupId", "nobody")]).await;
    nobody.refused(400, "BIZ_SUBSCRIPTION_NOT_FOUND");
}

#[tokio::test]
async fn a_group_without_consumers_is_offline() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "simple").await;
    sdk.send_one("orders", "one").await;
    sdk.take("orders", "billing", 1).await;
    let group = ("GroupId", "billing");
    let status = ask(&server, "OnsConsumerStatus", &[group, ("Detail", "true")])
        .await
        .ok();
    assert_eq!(status["Data"]["Online"], false);
    // What is with somebody is not finished.
    assert_eq!(status["Data"]["TotalDiff"], 1);
    let connections = ask(&server, "OnsConsumerGetConnection", &[group])
        .await
        .ok();
    assert_eq!(
        connections["Data"]["ConnectionList"]["ConnectionDo"],
        json!([])
    );
}

#[tokio::test]
async fn a_group_is_taken_back_and_forth_in_time() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "simple").await;
    let begin = server.clock.now().ms();
    sdk.send_one("orders", "one").await;
    let taken = sdk.take("orders", "billing", 1).await;
    sdk.ack("orders", "billing", &[handle(&taken[0])]).await;
    let both = [("GroupId", "billing"), ("Topic", "orders")];
    let span = ask(&server, "OnsConsumerTimeSpan", &both).await.ok();
    let ms = |name: &str| span["Data"][name].as_i64().unwrap();
    assert!(ms("MinTimeStamp") >= begin);
    assert_eq!(ms("MinTimeStamp"), ms("MaxTimeStamp"));
    assert_eq!(ms("ConsumeTimeStamp"), ms("MaxTimeStamp"));
    assert_eq!(span["Data"]["Topic"], "orders");

    let reset = async |kind: &str, time: &str| {
        let mut parameters = both.to_vec();
        parameters.extend([("Type", kind), ("ResetTimestamp", time)]);
        ask(&server, "OnsConsumerResetOffset", &parameters).await
    };
    reset("1", &begin.to_string()).await.ok();
    let again = sdk.take("orders", "billing", 1).await;
    assert_eq!(&again[0].body[..], b"one");
    reset("0", "").await.ok();
    let none = sdk.receive(receive("orders", "billing", 1)).await;
    assert_eq!(none.code, v2::Code::MessageNotFound);
    reset("1", "").await.refused(400, "MissingResetTimestamp");
    reset("1", "-5")
        .await
        .refused(400, "BIZ_FIELD_CHECK_INVALID");
    reset("2", "").await.refused(400, "BIZ_FIELD_CHECK_INVALID");
    reset("x", "").await.refused(400, "InvalidType");
}
