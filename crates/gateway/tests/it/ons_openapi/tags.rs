//! Labels on topics and groups.

use serde_json::{Value, json};

use super::{Answer, ask};
use crate::support::Server;

/// Three topics and a group.
async fn server() -> Server {
    let server = Server::start().await;
    for topic in ["t-1", "t-2", "t-3"] {
        let parameters = [("Topic", topic), ("MessageType", "0")];
        ask(&server, "OnsTopicCreate", &parameters).await.ok();
    }
    ask(&server, "OnsGroupCreate", &[("GroupId", "GID_a")])
        .await
        .ok();
    server
}

async fn with(server: &Server, action: &str, more: &[(&str, &str)]) -> Answer {
    let mut parameters = vec![("InstanceId", "default")];
    if !more.iter().any(|(name, _)| *name == "ResourceType") {
        parameters.push(("ResourceType", "TOPIC"));
    }
    parameters.extend(more);
    ask(server, action, &parameters).await
}

/// Id, key and value of each tag.
fn rows(answer: &Value) -> Value {
    let rows = answer["TagResources"].as_array().unwrap().iter();
    let rows = rows.map(|row| json!([row["ResourceId"], row["TagKey"], row["TagValue"]]));
    rows.collect()
}

#[tokio::test]
async fn tags_are_put_found_and_taken_off() {
    let server = server().await;
    let both = [
        ("ResourceId.1", "t-1"),
        ("ResourceId.2", "t-2"),
        ("Tag.1.Key", "env"),
        ("Tag.1.Value", "test"),
        ("Tag.2.Key", "team"),
    ];
    with(&server, "TagResources", &both).await.ok();
    let one = [
        ("ResourceId.1", "t-2"),
        ("Tag.1.Key", "env"),
        ("Tag.1.Value", "live"),
    ];
    with(&server, "TagResources", &one).await.ok();
    let group = [
        ("ResourceType", "group"),
        ("ResourceId.1", "GID_a"),
        ("Tag.1.Key", "env"),
        ("Tag.1.Value", "test"),
    ];
    with(&server, "TagResources", &group).await.ok();
    let listed = with(&server, "ListTagResources", &[]).await.ok();
    assert_eq!(
        rows(&listed),
        json!([
            ["t-1", "env", "test"],
            ["t-1", "team", ""],
            ["t-2", "env", "live"],
            ["t-2", "team", ""]
        ])
    );
    assert_eq!(listed["NextToken"], "");
    assert_eq!(
        listed["TagResources"][0]["ResourceType"],
        "ALIYUN::MQ::TOPIC"
    );
    assert_eq!(listed["TagResources"][0]["InstanceId"], "default");
    let live = [("Tag.1.Key", "env"), ("Tag.1.Value", "live")];
    let found = with(&server, "ListTagResources", &live).await.ok();
    assert_eq!(
        rows(&found),
        json!([["t-2", "env", "live"], ["t-2", "team", ""]])
    );
    let topics = ask(&server, "OnsTopicList", &live).await.ok();
    let topics = topics["Data"]["PublishInfoDo"].as_array().unwrap();
    assert_eq!((topics.len(), &topics[0]["Topic"]), (1, &json!("t-2")));
    assert_eq!(
        topics[0]["Tags"],
        json!({ "Tag": [{ "Key": "env", "Value": "live" }, { "Key": "team", "Value": "" }] })
    );
    let groups = ask(&server, "OnsGroupList", &[("Tag.1.Key", "env")])
        .await
        .ok();
    assert_eq!(groups["Data"]["SubscribeInfoDo"][0]["GroupId"], "GID_a");
    let key = [
        ("ResourceId.1", "t-1"),
        ("TagKey.1", "env"),
        ("All", "True"),
    ];
    with(&server, "UntagResources", &key).await.ok();
    let all = [("ResourceId.1", "t-2"), ("All", "True")];
    with(&server, "UntagResources", &all).await.ok();
    let listed = with(&server, "ListTagResources", &[]).await.ok();
    assert_eq!(rows(&listed), json!([["t-1", "team", ""]]));
}

#[tokio::test]
async fn nothing_is_tagged_where_a_part_of_the_request_is_wrong() {
    let server = server().await;
    let gone = [
        ("ResourceId.1", "t-1"),
        ("ResourceId.2", "t-9"),
        ("Tag.1.Key", "k"),
    ];
    with(&server, "TagResources", &gone)
        .await
        .refused(400, "BIZ_TOPIC_NOT_FOUND");
    let reserved = [("ResourceId.1", "t-1"), ("Tag.1.Key", "acs:k")];
    let message = with(&server, "TagResources", &reserved).await;
    let message = message.refused(400, "BIZ_FIELD_CHECK_INVALID");
    assert!(message.contains("`Tag`"), "{message}");
    let keyless = [("ResourceId.1", "t-1"), ("Tag.1.Value", "v")];
    with(&server, "TagResources", &keyless)
        .await
        .refused(400, "BIZ_FIELD_CHECK_INVALID");
    let kind = [
        ("ResourceType", "QUEUE"),
        ("ResourceId.1", "t-1"),
        ("Tag.1.Key", "k"),
    ];
    with(&server, "TagResources", &kind)
        .await
        .refused(400, "BIZ_FIELD_CHECK_INVALID");
    let nothing = [("ResourceId.1", "t-1")];
    with(&server, "TagResources", &nothing)
        .await
        .refused(400, "MissingTag");
    with(&server, "UntagResources", &nothing)
        .await
        .refused(400, "MissingTagKey");
    let nobody = [("Tag.1.Key", "k")];
    with(&server, "TagResources", &nobody)
        .await
        .refused(400, "MissingResourceId");
    let token = [("NextToken", "x")];
    with(&server, "ListTagResources", &token)
        .await
        .refused(400, "InvalidNextToken");
    let listed = with(&server, "ListTagResources", &[]).await.ok();
    assert_eq!(rows(&listed), json!([]));
}

#[tokio::test]
async fn a_thing_has_twenty_tags_and_an_answer_a_hundred() {
    let server = server().await;
    let names: Vec<_> = (1..=21)
        .map(|n| (format!("Tag.{n}.Key"), format!("k{n:02}")))
        .collect();
    let tags = |count: usize, skip: usize| {
        let tags = names.iter().zip(&names[skip..]).take(count);
        tags.map(|((name, _), (_, key))| (name.as_str(), key.as_str()))
            .collect::<Vec<_>>()
    };
    let too_many = [tags(21, 0), vec![("ResourceId.1", "t-1")]].concat();
    with(&server, "TagResources", &too_many)
        .await
        .refused(400, "BIZ_FIELD_CHECK_INVALID");
    let full = [
        tags(20, 0),
        vec![("ResourceId.1", "t-1"), ("ResourceId.2", "t-2")],
    ]
    .concat();
    with(&server, "TagResources", &full).await.ok();
    let more = [tags(1, 20), vec![("ResourceId.1", "t-1")]].concat();
    let message = with(&server, "TagResources", &more).await;
    let message = message.refused(400, "BIZ_FIELD_CHECK_INVALID");
    assert!(message.contains("21 tags"), "{message}");
    for topic in ["t-4", "t-5", "t-6"] {
        ask(
            &server,
            "OnsTopicCreate",
            &[("Topic", topic), ("MessageType", "0")],
        )
        .await
        .ok();
        let full = [tags(20, 0), vec![("ResourceId.1", topic)]].concat();
        with(&server, "TagResources", &full).await.ok();
    }
    ask(
        &server,
        "OnsTopicCreate",
        &[("Topic", "t-7"), ("MessageType", "0")],
    )
    .await
    .ok();
    let last = [("ResourceId.1", "t-7"), ("Tag.1.Key", "z")];
    with(&server, "TagResources", &last).await.ok();
    let first = with(&server, "ListTagResources", &[]).await.ok();
    assert_eq!(first["TagResources"].as_array().unwrap().len(), 100);
    let token = first["NextToken"].as_str().unwrap();
    let second = with(&server, "ListTagResources", &[("NextToken", token)])
        .await
        .ok();
    assert_eq!(rows(&second), json!([["t-7", "z", ""]]));
    assert_eq!(second["NextToken"], "");
}
