//! Bad input, request by request: missing and malformed fields, wild numbers, odd names, broken
//! bodies. Each gets an answer that says what is wrong, the answer stays small, and the connection
//! goes on.

use super::*;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A topic or group.
    Name,
    /// Any text.
    Text,
    /// A whole number.
    Number,
}
use Kind::{Name, Number, Text};

/// A field: its name on the wire, what it holds, a good value, whether it must be there.
type Field = (&'static str, Kind, &'static str, bool);

/// A request with good values.
struct Request {
    code: RequestCode,
    fields: &'static [Field],
    /// A good JSON body, for requests that have one.
    body: Option<&'static str>,
}

const fn fields(code: RequestCode, fields: &'static [Field]) -> Request {
    let body = None;
    Request { code, fields, body }
}

const fn body(code: RequestCode, body: &'static str) -> Request {
    Request {
        code,
        fields: &[],
        body: Some(body),
    }
}

const TOPIC: Field = ("topic", Name, "orders", true);
const GROUP: Field = ("group", Name, "billing", true);
const CONSUMER_GROUP: Field = ("consumerGroup", Name, "billing", true);
const QUEUE: Field = ("queueId", Number, "0", true);

/// Every request that is answered with more than "not supported".
const REQUESTS: &[Request] = &[
    fields(
        RequestCode::SendMessage,
        &[
            ("producerGroup", Name, "shop", true),
            TOPIC,
            ("defaultTopic", Text, "TBW102", true),
            ("defaultTopicQueueNums", Number, "4", true),
            QUEUE,
            ("sysFlag", Number, "0", true),
            ("bornTimestamp", Number, "0", true),
            ("flag", Number, "0", true),
            ("reconsumeTimes", Number, "0", false),
        ],
    ),
    fields(
        RequestCode::SendMessageV2,
        &[
            ("a", Name, "shop", true),
            ("b", Name, "orders", true),
            ("c", Text, "TBW102", true),
            ("d", Number, "4", true),
            ("e", Number, "0", true),
            ("f", Number, "0", true),
            ("g", Number, "0", true),
            ("h", Number, "0", true),
        ],
    ),
    fields(RequestCode::PullMessage, PULL),
    fields(RequestCode::LitePullMessage, PULL),
    fields(
        RequestCode::QueryMessage,
        &[
            TOPIC,
            ("key", Text, "k", true),
            ("maxNum", Number, "2000000000", true),
            ("beginTimestamp", Number, "0", true),
            ("endTimestamp", Number, "9223372036854775807", true),
        ],
    ),
    fields(
        RequestCode::ViewMessageById,
        &[("offset", Number, "0", true)],
    ),
    fields(
        RequestCode::QueryConsumerOffset,
        &[CONSUMER_GROUP, TOPIC, QUEUE],
    ),
    fields(
        RequestCode::UpdateConsumerOffset,
        &[
            CONSUMER_GROUP,
            TOPIC,
            QUEUE,
            ("commitOffset", Number, "0", true),
        ],
    ),
    fields(
        RequestCode::SearchOffsetByTimestamp,
        &[TOPIC, QUEUE, ("timestamp", Number, "0", true)],
    ),
    fields(RequestCode::GetMaxOffset, &[TOPIC, QUEUE]),
    fields(RequestCode::GetMinOffset, &[TOPIC, QUEUE]),
    fields(RequestCode::GetEarliestStoreTime, &[TOPIC, QUEUE]),
    fields(
        RequestCode::ConsumerSendMessageBack,
        &[
            ("offset", Number, "0", true),
            GROUP,
            ("delayLevel", Number, "0", true),
        ],
    ),
    fields(
        RequestCode::EndTransaction,
        &[
            ("producerGroup", Name, "shop", true),
            ("tranStateTableOffset", Number, "0", true),
            ("commitLogOffset", Number, "0", true),
            ("commitOrRollback", Number, "8", true),
            ("msgId", Text, "id", true),
        ],
    ),
    fields(RequestCode::GetConsumerListByGroup, &[CONSUMER_GROUP]),
    fields(RequestCode::GetConsumerConnectionList, &[CONSUMER_GROUP]),
    fields(
        RequestCode::GetProducerConnectionList,
        &[("producerGroup", Name, "shop", true)],
    ),
    fields(
        RequestCode::UnregisterClient,
        &[("clientID", Text, "c", true)],
    ),
    fields(RequestCode::GetRouteByTopic, &[TOPIC]),
    fields(RequestCode::GetTopicConfig, &[TOPIC]),
    fields(RequestCode::GetTopicStatsInfo, &[TOPIC]),
    fields(RequestCode::QueryTopicConsumeByWho, &[TOPIC]),
    fields(RequestCode::QueryTopicsByConsumer, &[GROUP]),
    fields(RequestCode::QuerySubscriptionByConsumer, &[GROUP, TOPIC]),
    fields(RequestCode::QueryConsumeTimeSpan, &[TOPIC, GROUP]),
    fields(RequestCode::GetGroupConfig, &[GROUP]),
    fields(RequestCode::GetConsumeStats, &[CONSUMER_GROUP]),
    fields(
        RequestCode::GetConsumerRunningInfo,
        &[CONSUMER_GROUP, ("clientId", Text, "c", true)],
    ),
    fields(
        RequestCode::ConsumeMessageDirectly,
        &[CONSUMER_GROUP, ("msgId", Text, "id", true)],
    ),
    fields(
        RequestCode::InvokeBrokerToGetConsumerStatus,
        &[TOPIC, GROUP],
    ),
    fields(
        RequestCode::InvokeBrokerToResetOffset,
        &[
            GROUP,
            TOPIC,
            ("queueId", Number, "0", false),
            ("offset", Number, "0", false),
            ("timestamp", Number, "0", false),
        ],
    ),
    fields(
        RequestCode::CloneGroupOffset,
        &[
            ("srcGroup", Name, "billing", true),
            ("destGroup", Name, "audit", true),
        ],
    ),
    fields(
        RequestCode::QueryConsumeQueue,
        &[
            TOPIC,
            QUEUE,
            ("index", Number, "0", true),
            ("count", Number, "2000000000", true),
        ],
    ),
    fields(
        RequestCode::UpdateAndCreateTopic,
        &[
            ("topic", Name, "created", true),
            ("defaultTopic", Text, "TBW102", true),
            ("readQueueNums", Number, "1", true),
            ("writeQueueNums", Number, "1", true),
            ("perm", Number, "6", true),
        ],
    ),
    fields(
        RequestCode::DeleteTopicInBroker,
        &[("topic", Name, "absent", true)],
    ),
    fields(
        RequestCode::DeleteGroup,
        &[("groupName", Name, "absent", true)],
    ),
    fields(
        RequestCode::PutKvConfig,
        &[
            ("namespace", Text, "n", true),
            ("key", Text, "k", true),
            ("value", Text, "v", true),
        ],
    ),
    fields(
        RequestCode::GetKvConfig,
        &[("namespace", Text, "n", true), ("key", Text, "k", true)],
    ),
    fields(
        RequestCode::DeleteKvConfig,
        &[("namespace", Text, "n", true), ("key", Text, "k", true)],
    ),
    fields(
        RequestCode::GetKvListByNamespace,
        &[("namespace", Text, "n", true)],
    ),
    fields(
        RequestCode::WipeWritePermOfBroker,
        &[("brokerName", Text, "elsewhere-0", true)],
    ),
    fields(
        RequestCode::AddWritePermOfBroker,
        &[("brokerName", Text, "elsewhere-0", true)],
    ),
    fields(
        RequestCode::ViewBrokerStatsData,
        &[
            ("statsName", Text, "TOPIC_PUT_NUMS", true),
            ("statsKey", Name, "orders", true),
        ],
    ),
    body(RequestCode::Heartbeat, r#"{"clientID":"c"}"#),
    body(
        RequestCode::CheckClientConfig,
        r#"{"subscriptionData":{"topic":"orders","subString":"*"}}"#,
    ),
    body(
        RequestCode::LockQueues,
        r#"{"consumerGroup":"billing","clientId":"c","mqSet":[]}"#,
    ),
    body(
        RequestCode::UnlockQueues,
        r#"{"consumerGroup":"billing","clientId":"c","mqSet":[]}"#,
    ),
    body(
        RequestCode::UpdateAndCreateGroup,
        r#"{"groupName":"billing"}"#,
    ),
    body(
        RequestCode::UpdateAndCreateTopicList,
        r#"{"topicConfigList":[{"topicName":"a","perm":6,"readQueueNums":1,"writeQueueNums":1}]}"#,
    ),
    body(
        RequestCode::UpdateAndCreateGroupList,
        r#"{"groupConfigList":[{"groupName":"a"}]}"#,
    ),
];

const PULL: &[Field] = &[
    CONSUMER_GROUP,
    TOPIC,
    QUEUE,
    ("queueOffset", Number, "0", true),
    ("maxMsgNums", Number, "2000000000", true),
    // Does not ask to wait.
    ("sysFlag", Number, "4", true),
    ("commitOffset", Number, "0", true),
    ("suspendTimeoutMillis", Number, "0", true),
    ("subscription", Text, "*", false),
];

/// Largest answer to bad input.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

async fn server() -> (Server, Peer) {
    let server = Server::start().await;
    send_some(&server, "orders", 3).await;
    let mut peer = server.peer().await;
    let group = GroupConfig {
        group_name: "billing".to_owned(),
        ..GroupConfig::default()
    };
    succeeded(&peer.post(RequestCode::UpdateAndCreateGroup, &group).await);
    (server, peer)
}

/// The request with its good values, but for one field: `None` leaves it out.
fn with(peer: &mut Peer, request: &Request, changed: Option<(&str, Option<&str>)>) -> Command {
    let mut command = peer.command(request.code, &());
    for (name, _, good, _) in request.fields {
        let value = match changed {
            Some((field, value)) if field == *name => value,
            _ => Some(*good),
        };
        if let Some(value) = value {
            command.fields.push_str(name, value);
        }
    }
    command
}

/// Asks, and checks what goes for every answer.
async fn ask(peer: &mut Peer, command: &Command) -> Command {
    let answer = peer.ask(command).await;
    let what = (command.request_code(), &command.fields);
    assert!(
        answer.body.len() <= ANSWER_BYTES_MAX,
        "{what:?}: {} bytes",
        answer.body.len()
    );
    if answer.response_code() != Some(ResponseCode::Success) {
        let remark = answer.remark.as_deref().unwrap_or_default();
        let is_pull = command.request_code().is_some_and(|code| {
            matches!(
                code,
                RequestCode::PullMessage | RequestCode::LitePullMessage
            )
        });
        assert!(!remark.is_empty() || is_pull, "{what:?}: {answer:?}");
        assert!(remark.len() < 1_024, "{what:?}: {remark}");
    }
    answer
}

async fn still_works(peer: &mut Peer, after: RequestCode) {
    let answer = peer.call(RequestCode::GetBrokerClusterInfo, &()).await;
    let code = answer.response_code();
    assert_eq!(code, Some(ResponseCode::Success), "after {after:?}");
}

fn names(answer: &Command, field: &str, what: &Request) {
    let remark = answer.remark.as_deref().unwrap_or_default();
    assert_eq!(
        answer.response_code(),
        Some(ResponseCode::InvalidParameter),
        "{:?} with a bad `{field}`: {answer:?}",
        what.code
    );
    assert!(
        remark.contains(&format!("`{field}`")),
        "{:?}: `{field}` not in `{remark}`",
        what.code
    );
}

#[tokio::test]
async fn a_missing_field_is_named() {
    let (_server, mut peer) = server().await;
    for request in REQUESTS {
        let required = request.fields.iter().filter(|(.., required)| *required);
        for (index, (field, ..)) in required.enumerate() {
            if index == 0 {
                let bare = peer.command(request.code, &());
                names(&ask(&mut peer, &bare).await, field, request);
            }
            let without = with(&mut peer, request, Some((field, None)));
            names(&ask(&mut peer, &without).await, field, request);
        }
        still_works(&mut peer, request.code).await;
    }
}

#[tokio::test]
async fn a_number_that_is_none_is_named() {
    let (_server, mut peer) = server().await;
    for request in REQUESTS {
        let numbers = request.fields.iter().filter(|field| field.1 == Number);
        for (field, ..) in numbers {
            for wrong in ["abc", "1.5", "0x10", "99999999999999999999", "1 2", "١"] {
                let command = with(&mut peer, request, Some((field, Some(wrong))));
                names(&ask(&mut peer, &command).await, field, request);
            }
        }
        still_works(&mut peer, request.code).await;
    }
}

#[tokio::test]
async fn wild_numbers_are_answered() {
    let (_server, mut peer) = server().await;
    for request in REQUESTS {
        let numbers = request.fields.iter().filter(|field| field.1 == Number);
        for (field, ..) in numbers {
            for wild in ["-1", "-2147483648", "2147483647"] {
                let command = with(&mut peer, request, Some((field, Some(wild))));
                ask(&mut peer, &command).await;
            }
        }
        still_works(&mut peer, request.code).await;
    }
}

#[tokio::test]
async fn odd_names_are_refused() {
    let (_server, mut peer) = server().await;
    let long = "x".repeat(300);
    for request in REQUESTS {
        let is_name = |field: &&Field| field.1 == Name;
        for (field, ..) in request.fields.iter().filter(is_name) {
            for odd in [
                "",
                "two words",
                "ümlaut",
                "nul\0",
                "a/../b",
                "%",
                "%%",
                &long,
            ] {
                let command = with(&mut peer, request, Some((field, Some(odd))));
                let answer = ask(&mut peer, &command).await;
                let code = answer.response_code();
                // The group of a producer means nothing until a transaction.
                let means_nothing = matches!(*field, "producerGroup" | "a");
                let is_odd = !matches!(odd, "%" | "%%");
                assert!(
                    means_nothing || !is_odd || code != Some(ResponseCode::Success),
                    "{:?} takes {field} `{odd}`: {answer:?}",
                    request.code
                );
            }
        }
        let is_text = |field: &&Field| field.1 == Text;
        for (field, ..) in request.fields.iter().filter(is_text) {
            for odd in ["", "nul\0", "a/../b", "ümlaut", &long] {
                let command = with(&mut peer, request, Some((field, Some(odd))));
                ask(&mut peer, &command).await;
            }
        }
        still_works(&mut peer, request.code).await;
    }
}

#[tokio::test]
async fn broken_bodies_are_refused() {
    let (_server, mut peer) = server().await;
    let huge = format!("[{}0]", "0,".repeat(500_000));
    let deep = "[".repeat(100_000);
    let over = format!(r#"{{"clientID":"{}"}}"#, "x".repeat(3 * 1024 * 1024));
    let broken = [
        "", "{", "[]", "null", "\"text\"", "1", "\u{0}", "{\"a\":}", &huge, &deep, &over,
    ];
    for request in REQUESTS {
        if request.body.is_none() {
            continue;
        }
        for body in broken {
            let command = peer.command(request.code, &());
            let command = command.with_body(body.to_owned());
            let answer = ask(&mut peer, &command).await;
            assert_eq!(
                answer.response_code(),
                Some(ResponseCode::InvalidParameter),
                "{:?} with {:?}: {answer:?}",
                request.code,
                body.chars().take(20).collect::<String>()
            );
        }
        still_works(&mut peer, request.code).await;
    }
}

#[tokio::test]
async fn good_bodies_are_taken() {
    let (_server, mut peer) = server().await;
    for request in REQUESTS {
        if let Some(body) = request.body {
            let command = peer.command(request.code, &()).with_body(body);
            succeeded(&ask(&mut peer, &command).await);
        }
    }
}

#[tokio::test]
async fn unknown_requests_get_the_standard_answer() {
    let (_server, mut peer) = server().await;
    // The binary header has no room for the larger codes.
    peer.serialize_type = SerializeType::Json;
    for code in [-1, 0, 9, 999, 12_345, i32::MAX, i32::MIN] {
        let mut command = peer.command(RequestCode::GetRouteByTopic, &());
        command.code = code;
        let answer = ask(&mut peer, &command).await;
        refused(
            &answer,
            ResponseCode::RequestCodeNotSupported,
            &code.to_string(),
        );
    }
    for code in RequestCode::ALL {
        // Every known one is answered too, whatever it says.
        let command = peer.command(*code, &());
        ask(&mut peer, &command).await;
    }
    still_works(&mut peer, RequestCode::GetRouteByTopic).await;
}
