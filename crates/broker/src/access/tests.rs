use super::*;

const PUB: ActionSet = ActionSet::of(&[Action::Pub]);
const SUB: ActionSet = ActionSet::of(&[Action::Sub]);
const SUB_OR_GET: ActionSet = ActionSet::of(&[Action::Sub, Action::Get]);

/// An entry as `resource actions decision [sources]`.
fn entry(text: &str) -> PolicyEntry {
    let mut parts = text.split(' ');
    let mut next = || parts.next().unwrap_or_default();
    let (resource, actions, decision) = (next(), next(), next());
    let sources = next();
    let sources = sources.split(',').filter(|source| !source.is_empty());
    PolicyEntry::read(resource, actions.split(','), sources, decision).unwrap()
}

fn policy(kind: PolicyKind, entries: &[&str]) -> Policy {
    let entries = entries.iter().map(|text| entry(text)).collect();
    Policy { kind, entries }
}

fn user(policies: Vec<Policy>) -> User {
    User {
        name: "alice".to_owned(),
        secret: Secret::new("secret"),
        user_type: UserType::Normal,
        status: UserStatus::Enabled,
        policies,
        ram: Vec::new(),
        remark: String::new(),
    }
}

fn origin(source: &str) -> Origin {
    Origin {
        source: source.parse().unwrap(),
        secure: false,
        at: base::Timestamp::from_ms(0),
    }
}

/// With RAM-style policies besides.
fn with_ram(mut user: User, statements: &[&str]) -> User {
    for (index, text) in statements.iter().enumerate() {
        let mut parts = text.split(' ');
        let mut next = || parts.next().unwrap_or_default();
        let (effect, action, resource) = (next(), next(), next());
        let statement = serde_json::json!(
            {"Effect": effect, "Action": action, "Resource": format!("acs:mq:*:*:{resource}")}
        );
        let document = serde_json::json!({"Version": "1", "Statement": [statement]});
        let policy = RamPolicy::new(&format!("p{index}"), &document.to_string()).unwrap();
        user.ram.push(Arc::new(policy));
    }
    user
}

fn may(user: &User, kind: ResourceKind, name: &str, any_of: ActionSet) -> bool {
    may_from(user, kind, name, any_of, "10.0.0.1")
}

fn may_from(user: &User, kind: ResourceKind, name: &str, any_of: ActionSet, source: &str) -> bool {
    let wanted = Wanted { kind, name, any_of };
    let instance = InstanceId::default_instance();
    let scope = Scope {
        instance: &instance,
        is_own: true,
        by_ram: true,
    };
    user.may(&wanted, &scope, &origin(source)).is_ok()
}

#[test]
fn the_most_exact_entry_decides() {
    use ResourceKind::Topic;
    for (entries, orders, others) in [
        (&[] as &[&str], false, false),
        (&["* Pub Allow"], true, true),
        (&["Topic:* Pub Allow"], true, true),
        (&["Topic:ord* Pub Allow"], true, false),
        (&["Topic:orders Pub Allow"], true, false),
        (&["Group:* Pub Allow"], false, false),
        (&["Topic:orders Sub Allow"], false, false),
        (&["Topic:orders All Allow"], true, false),
        (&["Topic:orders Pub Deny", "Topic:* Pub Allow"], false, true),
        (&["Topic:* Pub Deny", "Topic:orders Pub Allow"], true, false),
        (&["Topic:* Pub Deny", "* Pub Allow"], false, false),
        (&["* Pub Deny", "Topic:* Pub Allow"], true, true),
        (&["Topic:o* Pub Deny", "Topic:ord* Pub Allow"], true, false),
        (&["Topic:ord* Pub Deny", "Topic:o* Pub Allow"], false, false),
        (
            &["Topic:ord* Pub Deny", "Topic:orders Pub Allow"],
            true,
            false,
        ),
        (
            &["Topic:ord* Pub Allow", "Topic:orders Pub Deny"],
            false,
            false,
        ),
        // Equally exact: Deny wins, in whichever order they were given.
        (
            &["Topic:orders Pub Allow", "Topic:orders Pub Deny"],
            false,
            false,
        ),
        (
            &["Topic:orders Pub Deny", "Topic:orders Pub Allow"],
            false,
            false,
        ),
        // An entry about other actions says nothing, however exact it is.
        (&["Topic:orders Sub Deny", "Topic:* Pub Allow"], true, true),
    ] {
        let user = user(vec![policy(PolicyKind::Custom, entries)]);
        assert_eq!(may(&user, Topic, "orders", PUB), orders, "{entries:?}");
        assert_eq!(may(&user, Topic, "parcels", PUB), others, "{entries:?}");
    }
}

#[test]
fn the_default_policy_is_asked_where_the_custom_one_says_nothing() {
    use ResourceKind::Topic;
    let user = user(vec![
        policy(
            PolicyKind::Default,
            &["Topic:* Pub,Sub Allow", "Topic:secret* All Deny"],
        ),
        policy(
            PolicyKind::Custom,
            &["Topic:orders Pub Deny", "Topic:secret-1 Sub Allow"],
        ),
    ]);
    assert!(!may(&user, Topic, "orders", PUB));
    assert!(may(&user, Topic, "orders", SUB));
    assert!(may(&user, Topic, "parcels", PUB));
    assert!(!may(&user, Topic, "secret-2", SUB));
    assert!(may(&user, Topic, "secret-1", SUB));
}

#[test]
fn one_of_several_actions_is_enough() {
    use ResourceKind::Group;
    let user = user(vec![policy(
        PolicyKind::Custom,
        &["Group:billing Get Allow"],
    )]);
    assert!(may(&user, Group, "billing", SUB_OR_GET));
    assert!(!may(&user, Group, "billing", SUB));
}

#[test]
fn sources_narrow_an_entry() {
    use ResourceKind::Topic;
    let user = user(vec![policy(
        PolicyKind::Custom,
        &[
            "Topic:orders Pub Allow 10.0.0.0/8,192.168.0.7",
            "Topic:orders* Pub Deny 10.0.0.9",
        ],
    )]);
    let from = |source| may_from(&user, Topic, "orders", PUB, source);
    assert!(from("10.1.2.3"));
    assert!(from("::ffff:10.1.2.3"));
    assert!(from("192.168.0.7"));
    assert!(!from("192.168.0.8"));
    // The literal is more exact than the prefix that denies.
    assert!(from("10.0.0.9"));
}

#[test]
fn a_super_user_needs_no_policy() {
    let mut user = user(vec![policy(PolicyKind::Custom, &["* All Deny"])]);
    user.user_type = UserType::Super;
    assert!(may(&user, ResourceKind::Cluster, "DefaultCluster", PUB));
}

#[test]
fn a_refusal_says_who_what_and_from_where() {
    let user = user(vec![policy(PolicyKind::Custom, &["Topic:a Pub Deny"])]);
    let refusal = |name| {
        let wanted = Wanted {
            kind: ResourceKind::Topic,
            name,
            any_of: PUB,
        };
        let instance = InstanceId::default_instance();
        let scope = Scope {
            instance: &instance,
            is_own: true,
            by_ram: true,
        };
        let refused = user.may(&wanted, &scope, &origin("::ffff:10.0.0.1"));
        refused.unwrap_err().to_string()
    };
    assert_eq!(
        refusal("a"),
        "User:alice has no permission to access Topic:a from 10.0.0.1, the decision is deny."
    );
    assert_eq!(
        refusal("b"),
        "User:alice has no permission to access Topic:b from 10.0.0.1, no matched policies."
    );
}

#[test]
fn entries_are_read_as_apache_reads_them() {
    let read = |resource: &str, actions: &[&str], sources: &[&str], decision: &str| {
        let actions = actions.iter().copied();
        PolicyEntry::read(resource, actions, sources.iter().copied(), decision)
    };
    let kept = read("topic:a", &["PUB", "nonsense", "sub"], &[], "ALLOW").unwrap();
    assert_eq!(kept.actions(), [Action::Pub, Action::Sub]);
    for (entry, error) in [
        (read("a", &["Pub"], &[], "Allow"), PolicyError::Resource),
        (
            read("Topic:a", &["nonsense"], &[], "Allow"),
            PolicyError::NoAction,
        ),
        (
            read("Topic:a", &["Pub", "Any"], &[], "Allow"),
            PolicyError::AnyAction,
        ),
        (
            read("Topic:a", &["Pub"], &[" "], "Allow"),
            PolicyError::EmptySource,
        ),
        (
            read("Topic:a", &["Pub"], &["10.0.0.0/40"], "Allow"),
            PolicyError::Source,
        ),
        (
            read("Topic:a", &["Pub"], &[], "Perhaps"),
            PolicyError::Decision,
        ),
        (
            read("Topic:a", &["Pub"], &["10.0.0.1"; 65], "Allow"),
            PolicyError::TooManySources { count: 65, max: 64 },
        ),
    ] {
        assert_eq!(entry, Err(error));
    }
}

#[test]
fn a_signature_is_of_one_content_under_one_secret() {
    let secret = Secret::new("sk");
    // HMAC-SHA1 of "ak12ordershello" under "sk".
    let signature = [
        0x2d, 0x24, 0xf3, 0xd6, 0x3e, 0x8d, 0x82, 0x2d, 0x6e, 0x3e, 0x54, 0xd5, 0xc9, 0x20, 0x06,
        0x41, 0x3b, 0xf6, 0x80, 0xc2,
    ];
    let signed = |secret: &Secret, content: &[&str], signature: &[u8]| {
        secret.signed(content.iter().map(|part| part.as_bytes()), signature)
    };
    assert!(signed(
        &secret,
        &["ak", "12", "orders", "hello"],
        &signature
    ));
    assert!(!signed(
        &secret,
        &["ak", "12", "orders", "hellO"],
        &signature
    ));
    assert!(!signed(
        &secret,
        &["ak", "12", "orders", "hello"],
        &signature[..19]
    ));
    assert!(!signed(&secret, &["ak", "12", "orders", "hello"], &[]));
    assert!(!signed(
        &Secret::new("sK"),
        &["ak12ordershello"],
        &signature
    ));
}

#[test]
fn a_user_is_kept_with_all_its_parts_and_shows_no_secret() {
    let user = user(vec![
        policy(
            PolicyKind::Custom,
            &["Topic:a* Pub,Get Deny 10.0.0.0/8,::1", "* All Allow"],
        ),
        policy(PolicyKind::Default, &["Cluster:* List Allow"]),
    ]);
    let user = with_ram(user, &["Allow mq:PUB orders"]);
    let policies: RamPolicies = user
        .ram
        .iter()
        .map(|policy| (policy.name().to_owned(), policy.clone()))
        .collect();
    let value = stored::write(&user);
    assert_eq!(stored::read("alice", &value, &policies), Ok(user.clone()));
    let error = stored::read("alice", &value, &RamPolicies::new()).unwrap_err();
    assert_eq!(error, "policy `p0` of a user does not exist");
    assert!(!format!("{user:?}").contains("secret\""), "{user:?}");
    let error = stored::read("alice", b"{\"secret\":\"hidden\"}", &policies).unwrap_err();
    assert!(!error.contains("hidden"), "{error}");
}

#[test]
fn what_one_kind_of_policy_denies_is_denied_and_what_one_allows_is_allowed() {
    use ResourceKind::{Group, Topic};
    const ENTER: &str = "Allow mq:QueryInstanceBaseInfo default";
    // ACL entries, RAM statements, then: may it send to `orders`, and consume as `billing`?
    for (acl, ram, sends, consumes) in [
        (&[] as &[&str], &[] as &[&str], false, false),
        (&[], &["Allow mq:PUB orders"], false, false),
        (&[], &["Allow mq:PUB orders", ENTER], true, false),
        (&[], &["Allow mq:pub default%orders", ENTER], true, false),
        (&[], &["Allow mq:* default*"], true, true),
        (&[], &["Allow mq:SUB bill*", ENTER], false, true),
        (&[], &["Allow mq:PUB other%*", ENTER], false, false),
        (&[], &["Allow * *", "Deny mq:PUB orders"], false, true),
        (
            &[],
            &["Allow * *", "Deny mq:OnsInstanceBaseInfo default"],
            false,
            false,
        ),
        (&["Topic:* Pub Allow"], &[], true, false),
        (
            &["Topic:* Pub Allow"],
            &["Allow mq:SUB *", ENTER],
            true,
            true,
        ),
        // The instance need not be entered for what an entry allows.
        (&["Topic:* Pub Allow"], &["Allow mq:SUB *"], true, false),
        (&["Topic:* Pub Allow"], &["Deny mq:PUB ord*"], false, false),
        (
            &["Topic:* Pub Allow"],
            &["Deny mq:QueryInstanceBaseInfo *"],
            false,
            false,
        ),
        (&["Topic:orders Pub Deny"], &["Allow * *"], false, true),
        (&["* All Deny"], &["Allow * *"], false, false),
    ] {
        let custom = policy(PolicyKind::Custom, acl);
        let user = with_ram(user(vec![custom]), ram);
        assert_eq!(may(&user, Topic, "orders", PUB), sends, "{acl:?} {ram:?}");
        assert_eq!(
            may(&user, Group, "billing", SUB),
            consumes,
            "{acl:?} {ram:?}"
        );
    }
}

#[test]
fn one_of_several_actions_is_enough_unless_it_is_the_one_denied() {
    const EITHER: ActionSet = ActionSet::of(&[Action::Pub, Action::Sub]);
    for (acl, ram, allowed) in [
        (
            &[] as &[&str],
            &["Allow * *", "Deny mq:PUB orders"] as &[&str],
            true,
        ),
        (
            &[],
            &["Allow mq:PUB *", "Allow mq:Query* *", "Deny mq:PUB orders"],
            false,
        ),
        (&["Topic:orders Sub Allow"], &["Deny mq:PUB orders"], true),
        (&["Topic:orders Pub Allow"], &["Deny mq:PUB orders"], false),
        (&["Topic:orders Pub Allow"], &["Deny mq:?UB orders"], false),
    ] {
        let user = with_ram(user(vec![policy(PolicyKind::Custom, acl)]), ram);
        let found = may(&user, ResourceKind::Topic, "orders", EITHER);
        assert_eq!(found, allowed, "{acl:?} {ram:?}");
    }
}

#[test]
fn policies_count_where_they_are_about() {
    let user = with_ram(
        user(vec![policy(PolicyKind::Custom, &["Topic:* Pub Allow"])]),
        &["Allow mq:* MQ_INST_1_a*", "Deny mq:PUB *secret"],
    );
    let wanted = |name| Wanted {
        kind: ResourceKind::Topic,
        name,
        any_of: PUB,
    };
    let instance = InstanceId::new("MQ_INST_1_a").unwrap();
    let may = |name, is_own, by_ram| {
        let scope = Scope {
            instance: &instance,
            is_own,
            by_ram,
        };
        user.may(&wanted(name), &scope, &origin("::1")).is_ok()
    };
    assert!(may("orders", false, true));
    assert!(!may("secret", false, true));
    // Neither kind counts.
    assert!(!may("orders", false, false));
    // On an instance of the 5.x series entries alone do.
    assert!(may("secret", true, false));
    assert!(!may("secret", true, true));
}

#[test]
fn operations_ask_for_the_instance_first() {
    let default = InstanceId::default_instance();
    let instance = InstanceId::new("MQ_INST_1_a").unwrap();
    let may = |ram: &[&str], name, instance, resource| {
        let operation = Operation {
            name,
            instance,
            resource,
        };
        let answer = with_ram(user(Vec::new()), ram).may_operate(&operation, &origin("::1"));
        answer.map_err(|error| error.to_string())
    };
    let create = "Allow mq:CreateTopic MQ_INST_1_a%orders";
    let enter = "Allow mq:QueryInstanceBaseInfo MQ_INST_1_a";
    let ask = |ram: &[&str]| may(ram, "OnsTopicCreate", Some(&instance), Some("orders"));
    assert_eq!(
        ask(&[create]).unwrap_err(),
        "User:alice has no permission to access mq:OnsTopicCreate of MQ_INST_1_a%orders from ::1, \
         no policy allows mq:QueryInstanceBaseInfo on its instance."
    );
    assert_eq!(ask(&[create, enter]), Ok(()));
    assert_eq!(ask(&["Allow mq:OnsTopicCreate *", enter]), Ok(()));
    assert!(ask(&[enter]).unwrap_err().ends_with("no matched policies."));
    let denied = ask(&[create, enter, "Deny mq:Create* *"]).unwrap_err();
    assert!(denied.ends_with("the decision is deny."), "{denied}");
    // One without a namespace, and one of no instance.
    let short = &["Allow mq:ListTopic default", "Allow mq:Query* default"];
    assert_eq!(may(short, "OnsTopicList", Some(&default), None), Ok(()));
    assert!(may(&[create], "OnsInstanceCreate", None, None).is_err());
    assert_eq!(
        may(&["Allow mq:Create* *"], "OnsInstanceCreate", None, None),
        Ok(())
    );
    assert_eq!(
        may(&[enter], "OnsInstanceBaseInfo", Some(&instance), None),
        Ok(())
    );
}
