use base::{Random, SeededRandom};
use serde_json::{Value, json};

use super::*;

fn origin() -> Origin {
    Origin {
        source: "10.0.0.1".parse().unwrap(),
        secure: false,
        at: Timestamp::from_ms(1_795_365_000_000),
    }
}

fn policy(document: &Value) -> RamPolicy {
    RamPolicy::new("p", &document.to_string()).unwrap()
}

fn document(statements: Value) -> Value {
    json!({ "Version": "1", "Statement": statements })
}

#[test]
fn a_document_is_refused_with_what_is_wrong_in_it() {
    let allow =
        |part: &str| format!(r#"{{"Version":"1","Statement":[{{"Effect":"Allow",{part}}}]}}"#);
    let whole = |condition: &str| {
        allow(&format!(
            r#""Action":"mq:PUB","Resource":"*","Condition":{condition}"#
        ))
    };
    for (text, error) in [
        (String::new(), "malformed: EOF"),
        ("[]".to_owned(), "malformed: invalid length 0"),
        (r#"{"Version":"1"}"#.to_owned(), "missing field `Statement`"),
        (
            document(json!([])).to_string(),
            "Statement of policy document is empty",
        ),
        (
            r#"{"Version":"2","Statement":[]}"#.to_owned(),
            "is `2`, expected `1`",
        ),
        (
            r#"{"Version":"1","Statement":[],"Id":"x"}"#.to_owned(),
            "unknown field `Id`",
        ),
        (
            allow(r#""Action":"mq:PUB","Effect":"Deny","Resource":"*""#),
            "duplicate field `Effect`",
        ),
        (
            allow(r#""NotAction":"mq:PUB","Resource":"*""#),
            "unknown field `NotAction`",
        ),
        (allow(r#""Action":"mq:PUB""#), "missing field `Resource`"),
        (
            allow(r#""Action":[],"Resource":"*""#),
            "Action of policy document is empty",
        ),
        (
            allow(r#""Action":["mq:PUB",1],"Resource":"*""#),
            "invalid type: integer `1`",
        ),
        (
            allow(r#""Action":"PUB","Resource":"*""#),
            "Action `PUB` is neither",
        ),
        (
            allow(r#""Action":"mq:","Resource":"*""#),
            "Action `mq:` is neither",
        ),
        (
            allow(r#""Action":"mq:PUB","Resource":"orders""#),
            "Resource `orders` is neither",
        ),
        (
            allow(r#""Action":"mq:PUB","Resource":"acs:mq:*:orders""#),
            "is neither `*` nor",
        ),
        (
            allow(r#""Action":"mq:PUB","Resource":"acs:mq:*:*:""#),
            "is neither `*` nor",
        ),
        (
            allow(r#""Action":"mq:PUB","Resource":"arn:mq:*:*:a""#),
            "is neither `*` nor",
        ),
        (
            allow(r#""Action":"mq:PUB","Resource":"acs:mq:cn-hangzhou:*:a""#),
            "names a region or an account",
        ),
        (
            whole(r#"{"StringEquals":{"acs:SourceIp":"1"}}"#),
            "operator `StringEquals` is not known",
        ),
        (
            whole(r#"{"IpAddress":{"acs:MFAPresent":"1"}}"#),
            "key `acs:MFAPresent` is not known to",
        ),
        (
            whole(r#"{"IpAddress":{"acs:SourceIp":"10.0.0.0/40"}}"#),
            "value `10.0.0.0/40` of",
        ),
        (
            whole(r#"{"Bool":{"acs:SecureTransport":"yes"}}"#),
            "value `yes` of Condition key",
        ),
        (
            whole(r#"{"DateLessThan":{"acs:CurrentTime":"soon"}}"#),
            "value `soon` of",
        ),
        (
            whole(r#"{"IpAddress":{}}"#),
            "Condition of policy document is empty",
        ),
        (
            whole(r#"{"IpAddress":{"acs:SourceIp":[]}}"#),
            "Condition of policy document is empty",
        ),
        (
            whole(r#"{"Bool":{"acs:SecureTransport":true},"Bool":{"acs:SecureTransport":false}}"#),
            "duplicate field `Bool`",
        ),
        ("[".repeat(5_000), "invalid type: sequence"),
        (
            " ".repeat(limits::RAM_POLICY_BYTES_MAX + 1),
            "6145 bytes, expected at most 6144",
        ),
    ] {
        let refused = RamPolicy::new("p", &text).unwrap_err().to_string();
        assert!(refused.contains(error), "{text}: {refused}");
    }
    for (name, error) in [
        ("", "policy name"),
        ("a b", "policy name"),
        ("a/b", "policy name"),
        ("AliyunMQFullAccess", "is a system policy"),
    ] {
        let document = document(json!([{ "Effect": "Allow", "Action": "*", "Resource": "*" }]));
        let refused = RamPolicy::new(name, &document.to_string()).unwrap_err();
        assert!(refused.to_string().contains(error), "{name}: {refused}");
    }
}

#[test]
fn the_policies_of_the_system_are_read() {
    let system: Vec<RamPolicy> = RamPolicy::system().collect();
    let word = |name: &str, action: &str| {
        let policy = system.iter().find(|policy| policy.name() == name).unwrap();
        assert!(policy.is_system());
        let said = policy.says(action, "MQ_INST_1_a%orders", &origin());
        said.is_some()
    };
    assert_eq!(system.len(), system::NAMES.len());
    for (action, full, publish, subscribe, read) in [
        ("mq:PUB", true, true, false, false),
        ("mq:sub", true, false, true, false),
        ("mq:queryinstancebaseinfo", true, true, true, true),
        ("mq:createtopic", true, false, false, false),
        ("mq:listtopic", true, false, false, true),
        ("mq:querytrace", true, false, false, true),
        ("ecs:getinstance", false, false, false, false),
    ] {
        assert_eq!(word("AliyunMQFullAccess", action), full, "{action}");
        assert_eq!(word("AliyunMQPubOnlyAccess", action), publish, "{action}");
        assert_eq!(word("AliyunMQSubOnlyAccess", action), subscribe, "{action}");
        assert_eq!(word("AliyunMQReadOnlyAccess", action), read, "{action}");
    }
}

#[test]
fn every_operation_has_an_action_of_its_own_name_too() {
    assert_eq!(
        of_operation("OnsTopicCreate"),
        ["mq:onstopiccreate", "mq:createtopic"]
    );
    assert_eq!(of_operation("Unheard"), ["mq:unheard"]);
}

/// What a document says, found by trying everything on its JSON.
fn naive(documents: &[Value], action: &str, resource: &str) -> Option<Decision> {
    fn fits(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.first(), text.first()) {
            (None, _) => text.is_empty(),
            (Some(b'*'), _) => {
                fits(&pattern[1..], text) || (!text.is_empty() && fits(pattern, &text[1..]))
            }
            (Some(wanted), Some(found)) => {
                (*wanted == b'?' || wanted == found) && fits(&pattern[1..], &text[1..])
            }
            (Some(_), None) => false,
        }
    }
    let any = |patterns: &Value, text: &str| {
        let list = patterns.as_array().cloned();
        let list = list.unwrap_or_else(|| vec![patterns.clone()]);
        list.iter()
            .any(|pattern| fits(pattern.as_str().unwrap().as_bytes(), text.as_bytes()))
    };
    let mut said = None;
    for document in documents {
        for statement in document["Statement"].as_array().unwrap() {
            let source = &statement["Condition"]["IpAddress"]["acs:SourceIp"];
            let here = source.is_null() || *source == "10.0.0.1";
            let resource = format!("acs:mq:*:*:{resource}");
            if here && any(&statement["Action"], action) && any(&statement["Resource"], &resource) {
                if statement["Effect"] == "Deny" {
                    return Some(Decision::Deny);
                }
                said = Some(Decision::Allow);
            }
        }
    }
    said
}

#[test]
fn evaluation_agrees_with_a_naive_one() {
    let random = SeededRandom::new(5);
    let one_of = |of: &[&str]| of[random.below(of.len() as u64) as usize].to_owned();
    let actions = ["*", "mq:*", "mq:pub", "mq:sub", "mq:?ub", "mq:s*", "oss:*"];
    let resources = [
        "*",
        "acs:mq:*:*:*",
        "acs:mq:*:*:a%b",
        "acs:mq:*:*:a*",
        "acs:mq:*:*:?%b",
    ];
    let resources = [
        &resources[..],
        &["acs:mq:*:*:*b*", "acs:*:*:*:a", "acs:oss:*:*:a*"],
    ]
    .concat();
    let several = |of: &[&str]| -> Value {
        match random.below(3) {
            0 => json!([one_of(of), one_of(of)]),
            _ => json!(one_of(of)),
        }
    };
    let mut words = [0; 3];
    for _ in 0..4_000 {
        let documents: Vec<Value> = (0..=random.below(2))
            .map(|_| {
                let statements: Vec<Value> = (0..=random.below(3))
                    .map(|_| {
                        let effect = one_of(&["Allow", "Allow", "Deny"]);
                        let mut statement = json!({
                            "Effect": effect,
                            "Action": several(&actions),
                            "Resource": several(&resources),
                        });
                        if random.below(4) == 0 {
                            let source = one_of(&["10.0.0.1", "10.0.0.2"]);
                            statement["Condition"] = json!({"IpAddress": {"acs:SourceIp": source}});
                        }
                        statement
                    })
                    .collect();
                document(json!(statements))
            })
            .collect();
        let policies: Vec<RamPolicy> = documents.iter().map(policy).collect();
        let action = one_of(&["mq:pub", "mq:sub", "mq:listtopic"]);
        let resource = one_of(&["a", "a%b", "a%c", "b"]);
        let request = Request {
            service: Service::Mq,
            region: "",
            account: "",
            actions: &[&action],
            resources: &[&resource],
        };
        let said = decide(&policies, &request, &origin());
        let expected = naive(&documents, &action, &resource);
        // Region, account and service are looked at as parts here, as text there.
        assert_eq!(said, expected, "{documents:?} {action} {resource}");
        words[match said {
            None => 0,
            Some(Decision::Allow) => 1,
            Some(Decision::Deny) => 2,
        }] += 1;
    }
    assert!(words.iter().all(|count| *count > 300), "{words:?}");
}

#[test]
fn each_service_speaks_of_its_own_resources() {
    let said = |resource: &str, service, region| {
        let statement = json!([{ "Effect": "Allow", "Action": "*", "Resource": resource }]);
        let policy = policy(&document(statement));
        let request = Request {
            service,
            region,
            account: "1001",
            actions: &["rocketmq:gettopic"],
            resources: &["instance/rmq-1/topic/orders"],
        };
        policy.decide(&request, &origin()).is_some()
    };
    let own = |resource: &str| said(resource, Service::RocketMq, "r1");
    for resource in [
        "*",
        "acs:*:*:*:*",
        "acs:rocketmq:*:*:instance/rmq-1*",
        "acs:rocketmq:r1:1001:instance/rmq-1/topic/orders",
        "acs:rocketmq:r*::instance/*",
    ] {
        assert!(own(resource), "{resource}");
    }
    for resource in [
        "acs:mq:*:*:*",
        "acs:rocketmq:r2:*:instance/rmq-1*",
        "acs:rocketmq:*:1002:instance/rmq-1*",
        "acs:rocketmq:*:*:instance/rmq-1",
        "acs:rocketmq:*:*:instance/rmq-1/consumergroup/orders",
    ] {
        assert!(!own(resource), "{resource}");
    }
    assert!(!said("acs:rocketmq:*:*:*", Service::Mq, ""));
    assert!(said("acs:mq:*:*:*", Service::Mq, ""));
}
