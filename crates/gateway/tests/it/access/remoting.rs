//! Remoting: who is believed, and what they may do.

use broker::access::{UserChange, UserStatus};
use wire::remoting::{
    Command, RequestCode, ResponseCode, SerializeType,
    body::Body,
    header::{
        ConsumerGroupRequest, GetRouteRequest, PullMessageRequest, QueryConsumerOffsetRequest,
        QueueRequest, UnregisterClientRequest, UpdateConsumerOffsetRequest,
    },
};

use super::*;
use crate::{
    remoting::{administration::create_topic, heartbeat, pull_header, send_header},
    support::Peer,
};

const KNOWN_BY_EVERYBODY: [RequestCode; 5] = [
    RequestCode::SendReplyMessage,
    RequestCode::SendReplyMessageV2,
    RequestCode::CheckClientConfig,
    RequestCode::GetClientConfig,
    RequestCode::GetBrokerClusterInfo,
];

fn send(peer: &mut Peer, topic: &str) -> Command {
    peer.command(RequestCode::SendMessageV2, &send_header(topic, ""))
        .with_body("hello")
}

async fn sends(peer: &mut Peer, topic: &str, keys: Keys) -> Command {
    let command = signed(send(peer, topic), keys);
    peer.ask(&command).await
}

#[tokio::test]
async fn a_request_must_be_signed_by_its_sender() {
    let server = guarded(&["Topic:orders Pub Allow"]).await;
    let mut peer = server.peer().await;
    let command = send(&mut peer, "orders");
    denied(&peer.ask(&command).await, "username cannot be null.");
    let without_fields = peer.command(RequestCode::GetBrokerClusterInfo, &());
    denied(&peer.ask(&without_fields).await, "username cannot be null.");

    succeeded(&sends(&mut peer, "orders", ALICE).await);
    succeeded(&sends(&mut peer, "orders", ROOT).await);
    let wrong = Keys {
        secret: "root-secret",
        ..ALICE
    };
    denied(
        &sends(&mut peer, "orders", wrong).await,
        "check signature failed.",
    );
    let unknown = Keys {
        access: "mallory",
        ..ALICE
    };
    denied(
        &sends(&mut peer, "orders", unknown).await,
        "User:mallory is not found.",
    );

    let mut unsigned = send(&mut peer, "orders");
    unsigned.fields.push_str("AccessKey", "alice");
    denied(&peer.ask(&unsigned).await, "check signature failed.");
    unsigned.fields.push_str("Signature", "no base64 !");
    denied(&peer.ask(&unsigned).await, "check signature failed.");
}

#[tokio::test]
async fn a_signature_is_good_for_one_request() {
    let server = guarded(&["Topic:* Pub Allow"]).await;
    let mut peer = server.peer().await;
    let good = signed(send(&mut peer, "orders"), ALICE);
    succeeded(&peer.ask(&good).await);

    let other_body = good.clone().with_body("hellO");
    denied(&peer.ask(&other_body).await, "check signature failed.");
    let mut other_topic = good.clone();
    other_topic.fields.push_str("b", "parcels");
    denied(&peer.ask(&other_topic).await, "check signature failed.");
    let mut further_field = good.clone();
    further_field.fields.push_str("z", "1");
    denied(&peer.ask(&further_field).await, "check signature failed.");

    // Whatever a client adds before it signs is signed: ONS clients say where they come from.
    let mut from_ons = send(&mut peer, "orders");
    from_ons.fields.push_str("OnsChannel", "ALIYUN");
    from_ons.fields.push_str("SecurityToken", "token");
    let from_ons = signed(from_ons, ALICE);
    succeeded(&peer.ask(&from_ons).await);
}

/// As ons-client 1.8.8.8 sent it; the signature covers a constant that is not on the wire.
#[tokio::test]
async fn ons_clients_sign_a_constant_with_a_route_request() {
    let server = guarded(&["Topic:orders Pub Allow"]).await;
    let mut peer = server.peer().await;
    for (constant, believed) in [("\u{1}", true), ("\u{2}", false)] {
        let mut command = peer.command(RequestCode::GetRouteByTopic, &());
        command.fields.push_str("topic", "orders");
        command.fields.push_str("OnsChannel", "ALIYUN");
        let mut with_constant = command.clone();
        with_constant.fields.push_str("split", constant);
        let with_constant = signed(with_constant, ALICE);
        let signature = with_constant.fields.get("Signature").unwrap();
        command.fields.push_str("AccessKey", ALICE.access);
        command.fields.push_str("Signature", signature);
        let answer = peer.ask(&command).await;
        assert_eq!(
            answer.response_code() != Some(ResponseCode::NoPermission),
            believed,
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn clients_before_4_9_4_leave_one_field_unsigned() {
    let server = guarded(&[]).await;
    let mut peer = server.peer().await;
    for (version, believed) in [(399, true), (400, false)] {
        let mut command = peer.command(RequestCode::GetBrokerClusterInfo, &());
        command.version = version;
        command = signed(command, ALICE);
        command.fields.push_str("_UNIQUE_KEY_QUERY", "true");
        let answer = peer.ask(&command).await;
        assert_eq!(
            answer.response_code() == Some(ResponseCode::Success),
            believed,
            "{version} {answer:?}"
        );
    }
}

#[tokio::test]
async fn what_is_taken_away_is_gone_with_the_next_request() {
    let server = guarded(&["Topic:orders Pub Allow"]).await;
    let access = server.instance.access();
    let mut peer = server.peer().await;
    succeeded(&sends(&mut peer, "orders", ALICE).await);
    allow(&server, &["Topic:orders Pub Deny"]).await;
    denied(
        &sends(&mut peer, "orders", ALICE).await,
        "User:alice has no permission to access Topic:orders from 127.0.0.1, the decision is deny.",
    );
    access.delete_policies("alice", None).await.unwrap();
    denied(
        &sends(&mut peer, "orders", ALICE).await,
        "User:alice has no permission to access Topic:orders from 127.0.0.1, no matched policies.",
    );
    allow(&server, &["Topic:orders Pub Allow"]).await;
    succeeded(&sends(&mut peer, "orders", ALICE).await);
    let disabled = UserChange {
        status: Some(UserStatus::Disabled),
        ..UserChange::default()
    };
    access.update_user("alice", disabled).await.unwrap();
    denied(
        &sends(&mut peer, "orders", ALICE).await,
        "User:alice is disabled.",
    );
    access.delete_user("alice").await.unwrap();
    denied(
        &sends(&mut peer, "orders", ALICE).await,
        "User:alice is not found.",
    );
}

#[tokio::test]
async fn sources_narrow_what_a_user_may() {
    let server = guarded(&[
        "Topic:near Pub Allow 127.0.0.0/8",
        "Topic:far Pub Allow 10.0.0.0/8",
    ])
    .await;
    let mut peer = server.peer().await;
    succeeded(&sends(&mut peer, "near", ALICE).await);
    denied(
        &sends(&mut peer, "far", ALICE).await,
        "User:alice has no permission to access Topic:far from 127.0.0.1, no matched policies.",
    );
}

/// A command with every field and body member that a rule may look at.
fn naming_everything(peer: &mut Peer, code: RequestCode) -> Command {
    const BODY: &str = r#"{"clientID":"c","clientId":"c","groupName":"g","consumerGroup":"g",
        "topic":"t","producerDataSet":[],"consumerDataSet":[{"groupName":"g","unitMode":false,
        "consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING",
        "consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","subscriptionDataSet":[]}],
        "mqSet":[{"brokerName":"b","queueId":0,"topic":"t"}],"mode":"PULL","brokerName":"b",
        "acks":[{"c":"g","t":"t","r":"0","so":0,"q":0,"rq":0,"pt":0,"it":0,"b":"AA=="}],
        "messageModel":"CLUSTERING","strategyName":"AVG"}"#;
    let mut command = peer.command(code, &()).with_body(BODY);
    for field in ["topic", "b"] {
        command.fields.push_str(field, "t");
    }
    for field in [
        "a",
        "producerGroup",
        "consumerGroup",
        "group",
        "groupName",
        "srcGroup",
        "destGroup",
        "compareGroup",
        "filterGroups",
    ] {
        command.fields.push_str(field, "g");
    }
    command
}

#[tokio::test]
async fn no_request_is_done_for_strangers_or_without_permission() {
    let server = guarded(&["Topic:other All Allow", "Group:other All Allow"]).await;
    let mut peer = server.peer().await;
    // The binary form has no room for the codes of pop.
    peer.serialize_type = SerializeType::Json;
    for code in RequestCode::ALL {
        let command = naming_everything(&mut peer, *code);
        let answer = peer.ask(&command).await;
        assert_eq!(
            answer.remark.as_deref(),
            Some("username cannot be null."),
            "{code:?}"
        );
        let answer = peer.ask(&signed(command, ALICE)).await;
        if KNOWN_BY_EVERYBODY.contains(code) {
            assert_ne!(
                answer.response_code(),
                Some(ResponseCode::NoPermission),
                "{code:?}"
            );
            continue;
        }
        assert_eq!(
            answer.response_code(),
            Some(ResponseCode::NoPermission),
            "{code:?} {answer:?}"
        );
        let remark = answer.remark.unwrap();
        assert!(
            remark.ends_with("no matched policies."),
            "{code:?} {remark}"
        );
    }
    assert_eq!(server.instance.topics(), []);
    assert_eq!(server.instance.groups(), []);
    assert_eq!(server.instance.access().users().len(), 2);
}

#[tokio::test]
async fn a_producer_needs_pub_and_a_consumer_sub() {
    let server = guarded(&["Topic:orders Pub Allow"]).await;
    let mut peer = server.peer().await;
    succeeded(&sends(&mut peer, "orders", ALICE).await);
    let no_sub = "User:alice has no permission to access Group:billing from 127.0.0.1, \
                  no matched policies.";
    let beat = heartbeat("billing", "orders", "*");
    let beat = peer
        .command(RequestCode::Heartbeat, &())
        .with_body(beat.encode());
    let beat = signed(beat, ALICE);
    denied(&peer.ask(&beat).await, no_sub);

    allow(&server, &["Group:billing Sub Allow"]).await;
    let no_topic = "User:alice has no permission to access Topic:orders from 127.0.0.1, \
                    no matched policies.";
    denied(&peer.ask(&beat).await, no_topic);
    let pull = PullMessageRequest {
        subscription: Some("*"),
        ..pull_header("billing", "orders", 0, 0)
    };
    let pull = signed(peer.command(RequestCode::PullMessage, &pull), ALICE);
    denied(&peer.ask(&pull).await, no_topic);

    // Only to receive: what was allowed before is replaced.
    allow(&server, &["Topic:orders Sub Allow"]).await;
    succeeded(&peer.ask(&beat).await);
    let pulled = peer.ask(&pull).await;
    succeeded(&pulled);
    assert!(!pulled.body.is_empty());
    denied(&sends(&mut peer, "orders", ALICE).await, no_topic);

    let offset = |topic| UpdateConsumerOffsetRequest {
        consumer_group: "billing",
        topic,
        queue_id: 0,
        commit_offset: 1,
        broker_name: None,
    };
    for topic in ["orders", "%RETRY%billing"] {
        let commit = peer.command(RequestCode::UpdateConsumerOffset, &offset(topic));
        let answer = peer.ask(&signed(commit, ALICE)).await;
        assert_ne!(
            answer.response_code(),
            Some(ResponseCode::NoPermission),
            "{answer:?}"
        );
    }
    // The retry topic of another group is that group's.
    let commit = peer.command(
        RequestCode::UpdateConsumerOffset,
        &offset("%RETRY%shipping"),
    );
    denied(
        &peer.ask(&signed(commit, ALICE)).await,
        "User:alice has no permission to access Group:shipping from 127.0.0.1, \
         no matched policies.",
    );
    let group = ConsumerGroupRequest {
        consumer_group: "billing",
    };
    let list = peer.command(RequestCode::GetConsumerListByGroup, &group);
    succeeded(&peer.ask(&signed(list, ALICE)).await);
    let leave = UnregisterClientRequest {
        client_id: "client-of-billing",
        producer_group: None,
        consumer_group: Some("billing"),
    };
    let leave = peer.command(RequestCode::UnregisterClient, &leave);
    succeeded(&peer.ask(&signed(leave, ALICE)).await);
}

#[tokio::test]
async fn retry_topics_are_their_groups_and_dead_letter_topics_are_topics() {
    let server = guarded(&[
        "Group:billing Sub Allow",
        "Topic:%DLQ%billing Sub,Get Allow",
    ])
    .await;
    let mut peer = server.peer().await;
    let root = |peer: &mut Peer, topic: &str| {
        let create = peer.command(
            RequestCode::UpdateAndCreateTopic,
            &create_topic(topic, 1, None),
        );
        signed(create, ROOT)
    };
    for topic in ["%RETRY%billing", "%DLQ%billing", "%DLQ%shipping"] {
        let create = root(&mut peer, topic);
        succeeded(&peer.ask(&create).await);
    }
    let route = |peer: &mut Peer, topic: &str| {
        let header = GetRouteRequest {
            topic,
            accept_standard_json_only: Some(true),
        };
        signed(peer.command(RequestCode::GetRouteByTopic, &header), ALICE)
    };
    for (topic, may) in [
        ("%RETRY%billing", true),
        ("%DLQ%billing", true),
        ("%DLQ%shipping", false),
        ("%RETRY%shipping", false),
        // No topics: they show where the server is.
        ("TBW102", true),
        ("DefaultCluster", true),
        ("default-0", true),
    ] {
        let command = route(&mut peer, topic);
        let answer = peer.ask(&command).await;
        let denied = answer.response_code() == Some(ResponseCode::NoPermission);
        assert_eq!(!denied, may, "{topic} {answer:?}");
    }
    let pull = |topic| pull_header("billing", topic, 0, 0);
    for (topic, may) in [
        ("%RETRY%billing", true),
        ("%DLQ%billing", true),
        ("%DLQ%shipping", false),
        ("%RETRY%shipping", false),
    ] {
        let header = PullMessageRequest {
            sys_flag: 0,
            subscription: Some("*"),
            ..pull(topic)
        };
        let command = signed(peer.command(RequestCode::LitePullMessage, &header), ALICE);
        let answer = peer.ask(&command).await;
        let denied = answer.response_code() == Some(ResponseCode::NoPermission);
        assert_eq!(!denied, may, "{topic} {answer:?}");
    }
    let offset = QueryConsumerOffsetRequest {
        consumer_group: "shipping",
        topic: "%RETRY%billing",
        queue_id: 0,
        set_zero_if_not_found: None,
        broker_name: None,
    };
    let command = peer.command(RequestCode::QueryConsumerOffset, &offset);
    let answer = peer.ask(&signed(command, ALICE)).await;
    assert_eq!(answer.response_code(), Some(ResponseCode::NoPermission));
}

#[tokio::test]
async fn a_message_is_shown_to_who_may_see_its_topic() {
    let server = guarded(&["Topic:mine All Allow", "Topic:hers Pub Allow"]).await;
    let mut peer = server.peer().await;
    let mut offsets = Vec::new();
    for topic in ["mine", "hers"] {
        let answer = sends(&mut peer, topic, ALICE).await;
        let id = answer.fields.get("msgId").unwrap().to_owned();
        let id: wire::message::MessageId = id.parse().unwrap();
        offsets.push(id.physical_offset.to_string());
    }
    let view = |peer: &mut Peer, topic: Option<&str>, offset: &str, keys| {
        let mut command = peer.command(RequestCode::ViewMessageById, &());
        command.fields.push_str("offset", offset);
        if let Some(topic) = topic {
            command.fields.push_str("topic", topic);
        }
        signed(command, keys)
    };
    for (topic, offset, keys, may) in [
        (Some("mine"), &offsets[0], ALICE, true),
        (Some("hers"), &offsets[1], ALICE, false),
        // Her message under the name of mine.
        (Some("mine"), &offsets[1], ALICE, false),
        (None, &offsets[0], ALICE, false),
        (None, &offsets[1], ROOT, true),
    ] {
        let command = view(&mut peer, topic, offset, keys);
        let answer = peer.ask(&command).await;
        let denied = answer.response_code() == Some(ResponseCode::NoPermission);
        assert_eq!(!denied, may, "{topic:?} {answer:?}");
    }
}

#[tokio::test]
async fn without_access_control_signatures_mean_nothing() {
    let server = Server::start().await;
    let mut peer = server.peer().await;
    let unknown = Keys {
        access: "mallory",
        secret: "x",
    };
    succeeded(&sends(&mut peer, "orders", unknown).await);
    let header = QueueRequest {
        topic: "orders",
        queue_id: 0,
        broker_name: None,
    };
    let mut badly_signed = peer.command(RequestCode::GetMinOffset, &header);
    badly_signed.fields.push_str("Signature", "?");
    succeeded(&peer.ask(&badly_signed).await);
}

#[tokio::test]
async fn a_trusted_listener_needs_no_credentials() {
    let server = guarded(&[]).await;
    let mut trusted = Peer::over(
        tokio::net::TcpStream::connect(server.trusted_address)
            .await
            .unwrap(),
    );
    let command = send(&mut trusted, "orders");
    succeeded(&trusted.ask(&command).await);
    let unknown = Keys {
        access: "mallory",
        secret: "x",
    };
    let command = signed(send(&mut trusted, "orders"), unknown);
    succeeded(&trusted.ask(&command).await);
    let mut peer = server.peer().await;
    let command = send(&mut peer, "orders");
    denied(&peer.ask(&command).await, "username cannot be null.");
}
