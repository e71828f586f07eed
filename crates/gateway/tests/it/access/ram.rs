//! RAM-style policies: the same over every protocol.

use base::{GroupName, InstanceId, QueueId, TopicName};
use broker::{Instance, Receiver, Series, Start, access::Access};
use serde_json::json;
use wire::{
    grpc_v1 as v1, grpc_v2 as v2,
    grpc_v2::receive_message_response::Content,
    message::StoredMessage,
    remoting::{
        RequestCode, SerializeType,
        header::{PopMessageRequest, PullMessageRequest},
    },
};

use super::{grpc_v1 as signed_v1, grpc_v2 as signed_v2, *};
use crate::{
    grpc_v1::{self as in_v1, Sdk as SdkV1},
    grpc_v2::{self as in_v2, Sdk as SdkV2},
    ons_http::{Request, message as http_message},
    remoting::{pop::pop_header, pull_header, send_header},
    support::soon,
};

const INSTANCE: &str = "MQ_INST_1_a";
const ORDERS: &str = "MQ_INST_1_a%orders";
const BILLING: &str = "MQ_INST_1_a%billing";
const ENTER: &str = "Allow mq:QueryInstanceBaseInfo MQ_INST_1_a";

/// Longer than the patience of any test: whoever waits so long has not been answered.
const LONG_S: i64 = 29;

/// How a client talks to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Pull,
    Pop,
    GrpcV1,
    GrpcV2,
    OnsHttp,
}

const FAMILIES: [Family; 5] = [
    Family::Pull,
    Family::Pop,
    Family::GrpcV1,
    Family::GrpcV2,
    Family::OnsHttp,
];

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is done, with these messages.
    Done(Vec<String>),
    /// It may not.
    Denied(String),
}

impl Verdict {
    fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

impl Family {
    async fn send(self, server: &Server, topic: &str, keys: Keys) -> Verdict {
        let done = |is_done, text: &str| match is_done {
            true => Verdict::Done(Vec::new()),
            false => Verdict::Denied(text.to_owned()),
        };
        match self {
            Self::Pull | Self::Pop => {
                let mut peer = server.peer().await;
                let send = peer.command(RequestCode::SendMessageV2, &send_header(topic, ""));
                let answer = peer.ask(&signed(send.with_body("hello"), keys)).await;
                told(&answer)
            }
            Self::GrpcV1 => {
                let mut sdk = SdkV1::connect(server, "sdk").await;
                let request = signed_v1::signed(&sdk, signed_v1::send(topic), keys);
                let answer = sdk.client.send_message(request).await.unwrap().into_inner();
                let code = in_v1::code(&answer.common);
                assert!([tonic::Code::Ok, tonic::Code::PermissionDenied].contains(&code));
                done(code == tonic::Code::Ok, in_v1::text(&answer.common))
            }
            Self::GrpcV2 => {
                let mut sdk = SdkV2::connect(server, "sdk").await;
                let request = signed_v2::signed(&sdk, signed_v2::send(topic), keys);
                let answer = sdk.client.send_message(request).await.unwrap().into_inner();
                let code = in_v2::code(&answer.status);
                assert!([v2::Code::Ok, v2::Code::Forbidden].contains(&code));
                done(code == v2::Code::Ok, in_v2::text(&answer.status))
            }
            Self::OnsHttp => {
                let target = http_target(topic, "");
                let request = Request::new("POST", &target).body(&http_message("hello", "", ""));
                let request = request.signed(keys.access, keys.secret);
                let answer = request.call(server).await;
                if answer.status != 201 {
                    answer.refused(403, "AccessDenied");
                }
                done(answer.status == 201, &answer.first("Message"))
            }
        }
    }

    /// Receives what is there, or waits for it.
    async fn receive(
        self,
        server: &Server,
        (topic, group): (&str, &str),
        waits: bool,
        keys: Keys,
    ) -> Verdict {
        match self {
            Self::Pull => {
                let header = PullMessageRequest {
                    subscription: Some("*"),
                    sys_flag: pull_flags(waits),
                    ..pull_header(group, topic, 0, 0)
                };
                let mut peer = server.peer().await;
                let pull = peer.command(RequestCode::PullMessage, &header);
                told(&peer.ask(&signed(pull, keys)).await)
            }
            Self::Pop => {
                let header = PopMessageRequest {
                    topic,
                    poll_ms: if waits { LONG_S * 1_000 } else { 0 },
                    ..pop_header(group)
                };
                let mut peer = server.peer().await;
                peer.serialize_type = SerializeType::Json;
                let pop = peer.command(RequestCode::PopMessage, &header);
                told(&peer.ask(&signed(pop, keys)).await)
            }
            Self::GrpcV1 => {
                let mut sdk = SdkV1::connect(server, "sdk").await;
                let mut asked = in_v1::receive(topic, group, 0);
                if waits {
                    asked.await_time = in_v1::seconds(LONG_S);
                }
                let mut request = signed_v1::signed(&sdk, asked, keys);
                request.set_timeout(std::time::Duration::from_secs(60));
                let answer = soon("receive", sdk.client.receive_message(request)).await;
                let answer: v1::ReceiveMessageResponse = answer.unwrap().into_inner();
                match in_v1::code(&answer.common) {
                    tonic::Code::PermissionDenied => {
                        assert_eq!(answer.messages.len(), 0);
                        Verdict::Denied(in_v1::text(&answer.common).to_owned())
                    }
                    code => {
                        assert_eq!(code, tonic::Code::Ok);
                        let bodies = answer.messages.into_iter().map(|message| message.body);
                        Verdict::Done(bodies.map(|body| text(&body)).collect())
                    }
                }
            }
            Self::GrpcV2 => {
                let mut sdk = SdkV2::connect(server, "sdk").await;
                let mut asked = in_v2::receive(topic, group, 32);
                if waits {
                    asked.long_polling_timeout = in_v1::seconds(LONG_S);
                }
                let request = signed_v2::signed(&sdk, asked, keys);
                let answer = soon("receive", sdk.client.receive_message(request)).await;
                let mut stream = answer.unwrap().into_inner();
                let (mut bodies, mut denied) = (Vec::new(), None);
                while let Some(part) = soon("message", stream.message()).await.unwrap() {
                    match part.content {
                        Some(Content::Status(status))
                            if status.code == v2::Code::Forbidden as i32 =>
                        {
                            denied = Some(status.message);
                        }
                        Some(Content::Message(message)) => bodies.push(text(&message.body)),
                        _ => {}
                    }
                }
                match denied {
                    Some(text) => {
                        assert_eq!(bodies.len(), 0);
                        Verdict::Denied(text)
                    }
                    None => Verdict::Done(bodies),
                }
            }
            Self::OnsHttp => {
                let mut target = http_target(topic, group);
                if waits {
                    target.push_str(&format!("&waitseconds={LONG_S}"));
                }
                let request = Request::new("GET", &target).signed(keys.access, keys.secret);
                let answer = request.call(server).await;
                match answer.status {
                    403 => {
                        answer.refused(403, "AccessDenied");
                        Verdict::Denied(answer.first("Message"))
                    }
                    status => {
                        assert!([200, 404].contains(&status), "{answer:?}");
                        Verdict::Done(answer.all("MessageBody"))
                    }
                }
            }
        }
    }
}

fn text(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

fn pull_flags(waits: bool) -> i32 {
    use wire::remoting::header::pull_sys_flag::{SUBSCRIPTION, SUSPEND};
    SUBSCRIPTION | if waits { SUSPEND } else { 0 }
}

fn told(answer: &Command) -> Verdict {
    match answer.response_code() {
        Some(ResponseCode::NoPermission) => {
            assert!(answer.body.is_empty());
            Verdict::Denied(answer.remark.clone().unwrap())
        }
        Some(ResponseCode::Success) => {
            let (mut bodies, mut rest) = (Vec::new(), answer.body.clone());
            while let Some(length) = rest.first_chunk() {
                let bytes = rest.split_to(u32::from_be_bytes(*length) as usize);
                let message = StoredMessage::parse(bytes).unwrap();
                bodies.push(text(&message.body()));
            }
            Verdict::Done(bodies)
        }
        Some(ResponseCode::PullNotFound | ResponseCode::PollingTimeout) => {
            Verdict::Done(Vec::new())
        }
        code => panic!("{code:?} {answer:?}"),
    }
}

/// A topic of an instance stands in the path, its instance behind.
fn http_target(topic: &str, group: &str) -> String {
    let plain = |name: &str| name.split('%').next_back().unwrap_or_default().to_owned();
    let mut target = format!("/topics/{}/messages?", plain(topic));
    if !group.is_empty() {
        target.push_str(&format!("consumer={}&numOfMessages=16&", plain(group)));
    }
    let namespace = topic.split_once('%').map_or("", |(instance, _)| instance);
    target + "ns=" + namespace
}

fn document(statements: &[&str]) -> String {
    let statements = statements.iter().map(|text| {
        let parts: Vec<&str> = text.splitn(4, ' ').collect();
        let mut statement = json!({
            "Effect": parts[0],
            "Action": parts[1],
            "Resource": format!("acs:mq:*:*:{}", parts[2]),
        });
        if let Some(condition) = parts.get(3) {
            statement["Condition"] = serde_json::from_str(condition).unwrap();
        }
        statement
    });
    let statements: Vec<_> = statements.collect();
    json!({ "Version": "1", "Statement": statements }).to_string()
}

/// Says what Alice may do by her only policy.
async fn let_alice(access: &Access, statements: &[&str]) {
    let document = document(statements);
    if access.ram_policy("hers").is_some() {
        access.update_ram_policy("hers", &document).await.unwrap();
        return;
    }
    access.create_ram_policy("hers", &document).await.unwrap();
    access.attach("hers", "alice").await.unwrap();
}

/// A server with an instance of that series besides its default one.
async fn server_with(series: Series) -> (Server, Arc<Instance>) {
    let server = guarded_with(Setup {
        access_control: true,
        instances: vec![INSTANCE],
        series,
        ..Setup::default()
    })
    .await;
    let instance = InstanceId::new(INSTANCE).unwrap();
    let instance = server.front.router.instance(&instance).unwrap();
    for instance in [&server.instance, &instance] {
        let (topic, group) = (TopicName::new("orders"), GroupName::new("billing"));
        let topic = instance.topic_or_create(&topic.unwrap(), None).await;
        assert!(topic.is_ok());
        assert!(instance.group_or_create(&group.unwrap()).await.is_ok());
    }
    (server, instance)
}

#[tokio::test]
async fn what_is_allowed_is_done_and_nothing_else() {
    const PUB: &str = "Allow mq:PUB MQ_INST_1_a%orders";
    const SUB: &str = "Allow mq:SUB MQ_INST_1_a%*ing";
    const SUB_TOPIC: &str = "Allow mq:sub MQ_INST_1_a%o?ders";
    const NONE: &str = "no matched policies.";
    const DENY: &str = "the decision is deny.";
    const NO_INSTANCE: &str = "no policy allows mq:QueryInstanceBaseInfo on its instance.";
    let (server, _) = server_with(Series::Any).await;
    let access = server.instance.access();
    let near = r#"Allow mq:* * {"IpAddress":{"acs:SourceIp":"127.0.0.0/8"}}"#;
    let far = r#"Allow mq:* * {"NotIpAddress":{"acs:SourceIp":"127.0.0.0/8"}}"#;
    let tls = r#"Deny mq:PUB * {"Bool":{"acs:SecureTransport":"false"}}"#;
    let over = r#"Allow mq:* * {"DateLessThan":{"acs:CurrentTime":"2020-01-01T00:00:00Z"}}"#;
    for (statements, sends, receives) in [
        // Nothing is allowed that nobody allows.
        (&["Allow oss:* *"] as &[&str], NO_INSTANCE, NO_INSTANCE),
        (&[ENTER], NONE, NONE),
        // Allow, to the letter and by wildcards.
        (&[ENTER, PUB], "", NONE),
        (&[ENTER, SUB], NONE, NONE),
        (&[ENTER, SUB_TOPIC], NONE, NONE),
        (&[ENTER, SUB, SUB_TOPIC], NONE, ""),
        (&["Allow mq:* MQ_INST_1_a*"], "", ""),
        (&["Allow * *"], "", ""),
        (&["Allow mq:* MQ_INST_2*"], NO_INSTANCE, NO_INSTANCE),
        // Deny first.
        (&["Allow * *", "Deny mq:PUB MQ_INST_1_a%ord*"], DENY, ""),
        (&["Deny mq:SUB MQ_INST_1_a%billing", "Allow * *"], "", DENY),
        // The instance before what is in it.
        (&[PUB, SUB, SUB_TOPIC], NO_INSTANCE, NO_INSTANCE),
        (&["Allow * *", "Deny mq:Query* MQ_INST_1_a"], DENY, DENY),
        // Conditions.
        (&[near], "", ""),
        (&[far], NO_INSTANCE, NO_INSTANCE),
        (&[near, tls], DENY, ""),
        (&[over], NO_INSTANCE, NO_INSTANCE),
    ] {
        let_alice(access, statements).await;
        for family in FAMILIES {
            let sent = family.send(&server, ORDERS, ALICE).await;
            let received = family.receive(&server, (ORDERS, BILLING), false, ALICE);
            for (what, verdict, reason) in
                [("send", sent, sends), ("receive", received.await, receives)]
            {
                match verdict {
                    Verdict::Done(_) => assert_eq!(reason, "", "{family:?} {what} {statements:?}"),
                    Verdict::Denied(text) => {
                        assert!(
                            !reason.is_empty() && text.ends_with(reason),
                            "{family:?} {what} {statements:?}: {text}"
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn names_of_the_default_instance_stand_alone_and_entries_count_beside() {
    let (server, _) = server_with(Series::Any).await;
    let access = server.instance.access();
    for (statements, may) in [
        (
            &[
                "Allow mq:QueryInstanceBaseInfo default",
                "Allow mq:PUB orders",
            ] as &[&str],
            true,
        ),
        (&["Allow mq:* default*"], true),
        (&["Allow mq:PUB orders"], false),
        (&["Allow mq:* MQ_INST_1_a*"], false),
    ] {
        let_alice(access, statements).await;
        for family in FAMILIES {
            let sent = family.send(&server, "orders", ALICE).await;
            assert_eq!(sent.is_done(), may, "{family:?} {statements:?} {sent:?}");
        }
    }
    // An entry allows it too, unless a policy denies it, and in its own instance only.
    allow(&server, &["Topic:orders Pub Allow"]).await;
    let_alice(access, &["Allow mq:SUB *"]).await;
    for family in FAMILIES {
        assert!(family.send(&server, "orders", ALICE).await.is_done());
        assert!(!family.send(&server, ORDERS, ALICE).await.is_done());
    }
    let_alice(access, &["Deny mq:PUB *"]).await;
    for family in FAMILIES {
        assert!(!family.send(&server, "orders", ALICE).await.is_done());
    }
}

#[tokio::test]
async fn data_of_the_5_x_series_is_not_for_ram_style_policies() {
    let (server, _) = server_with(Series::V5).await;
    let_alice(server.instance.access(), &["Allow * *"]).await;
    for family in [Family::Pull, Family::GrpcV2] {
        let sent = family.send(&server, "orders", ALICE).await;
        let Verdict::Denied(text) = sent else {
            panic!("{family:?}");
        };
        assert!(text.ends_with("no matched policies."), "{text}");
        assert!(family.send(&server, "orders", ROOT).await.is_done());
    }
}

/// Completes once a receive of the group waits.
async fn until_waiting(instance: &Instance, queue: Option<u32>) {
    let receiver = Receiver {
        group: GroupName::new("billing").unwrap(),
        topic: TopicName::new("orders").unwrap(),
        queue: queue.map(QueueId::new),
        start: Start::Oldest,
    };
    let shard = instance.shards().remove(0);
    soon("a receive to wait", async {
        while shard.receives_under_way(&receiver).unwrap_or(0) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_waits_is_told_when_a_permission_is_taken_back() {
    let (server, instance) = server_with(Series::Any).await;
    let access = server.instance.access();
    let names = (ORDERS, BILLING);
    assert!(Family::Pull.send(&server, ORDERS, ROOT).await.is_done());
    for family in [Family::Pull, Family::Pop] {
        let taken = family.receive(&server, names, false, ROOT).await;
        assert_eq!(taken, Verdict::Done(vec!["hello".to_owned()]));
    }
    for family in [Family::Pop, Family::GrpcV1, Family::GrpcV2, Family::OnsHttp] {
        let_alice(access, &["Allow mq:* MQ_INST_1_a*"]).await;
        let (verdict, ()) = tokio::join!(family.receive(&server, names, true, ALICE), async {
            let queue = (family == Family::GrpcV1).then_some(0);
            until_waiting(&instance, queue).await;
            // What changes nothing for her lets her wait.
            access
                .create_ram_policy("else", &document(&["Allow * *"]))
                .await
                .unwrap();
            access.delete_ram_policy("else").await.unwrap();
            until_waiting(&instance, queue).await;
            let_alice(access, &["Allow mq:PUB MQ_INST_1_a*"]).await;
        });
        let Verdict::Denied(text) = verdict else {
            panic!("{family:?} {verdict:?}");
        };
        assert!(
            text.contains("alice has no permission"),
            "{family:?} {text}"
        );
    }

    // A pull that waits at the end of the queue.
    let_alice(access, &["Allow mq:* MQ_INST_1_a*"]).await;
    let header = PullMessageRequest {
        subscription: Some("*"),
        sys_flag: pull_flags(true),
        ..pull_header(BILLING, ORDERS, 0, 1)
    };
    let mut peer = server.peer().await;
    let pull = peer.command(RequestCode::PullMessage, &header);
    let pull = signed(pull, ALICE);
    peer.send(&pull).await;
    // What came after it has been answered.
    let other = peer.command(RequestCode::GetBrokerClusterInfo, &());
    peer.send(&signed(other.clone(), ROOT)).await;
    assert_eq!(peer.receive().await.unwrap().opaque, other.opaque);
    access.detach("hers", "alice").await.unwrap();
    let answer = peer.receive().await.unwrap();
    assert_eq!(answer.opaque, pull.opaque);
    assert!(!told(&answer).is_done());
}

#[tokio::test]
async fn nothing_is_handed_out_after_a_permission_was_taken_back() {
    let (server, _) = server_with(Series::Any).await;
    let access = server.instance.access();
    let names = (ORDERS, BILLING);
    for family in FAMILIES {
        let_alice(access, &["Allow mq:* MQ_INST_1_a*"]).await;
        let receiving = async {
            let mut bodies = Vec::new();
            loop {
                match family.receive(&server, names, true, ALICE).await {
                    Verdict::Done(more) => bodies.extend(more),
                    Verdict::Denied(_) => return bodies,
                }
            }
        };
        let sending = async {
            let send = async |body: String| {
                let mut peer = server.peer().await;
                let send = peer.command(RequestCode::SendMessageV2, &send_header(ORDERS, ""));
                succeeded(&peer.ask(&signed(send.with_body(body), ROOT)).await);
            };
            for _ in 0..20 {
                send(format!("before {family:?}")).await;
            }
            let_alice(access, &["Deny mq:SUB *"]).await;
            for _ in 0..20 {
                send(format!("after {family:?}")).await;
            }
        };
        let (bodies, ()) = tokio::join!(receiving, sending);
        assert!(!bodies.contains(&format!("after {family:?}")), "{family:?}");
        // They are there for who may have them.
        let taken = Family::Pull.receive(&server, names, false, ROOT).await;
        let Verdict::Done(taken) = taken else {
            panic!("{taken:?}");
        };
        assert!(!taken.is_empty());
    }
}
