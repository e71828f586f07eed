//! Users and policies: changing them, and finding them again.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use broker::access::{
    Access, AccessError, NotAuthenticated, Policy, PolicyEntry, PolicyKind, Secret, UserChange,
    UserStatus, UserType,
};

use broker::{
    Series,
    plan::{AclType, Edition, InstanceStatus, Plan, SubSeries},
};

use crate::support::Bench;

fn a_user(secret: &str) -> UserChange {
    UserChange {
        secret: Some(Secret::new(secret)),
        ..UserChange::default()
    }
}

fn an_administrator(secret: &str) -> UserChange {
    UserChange {
        user_type: Some(UserType::Super),
        ..a_user(secret)
    }
}

fn disabled() -> UserChange {
    UserChange {
        status: Some(UserStatus::Disabled),
        ..UserChange::default()
    }
}

fn allow(resources: &[&str]) -> Policy {
    let entries = resources
        .iter()
        .map(|resource| PolicyEntry::read(resource, ["Pub"], ["10.0.0.0/8"], "Allow").unwrap());
    Policy {
        kind: PolicyKind::Custom,
        entries: entries.collect(),
    }
}

fn resources(access: &Access, user: &str) -> Vec<String> {
    let user = access.user(user).unwrap();
    let entries = user.policies().iter().flat_map(|policy| &policy.entries);
    entries.map(|entry| entry.resource().to_string()).collect()
}

fn refused(result: Result<(), AccessError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn users_and_policies_survive_a_restart() {
    let bench = Bench::new();
    let access = bench.instance.access();
    bench
        .run(access.create_user("root", an_administrator("1")))
        .unwrap();
    bench.run(access.create_user("alice", a_user("2"))).unwrap();
    bench.run(access.create_user("bob", a_user("3"))).unwrap();
    bench.run(access.update_user("bob", disabled())).unwrap();
    let policies = vec![allow(&["Topic:a", "Topic:b"])];
    bench.run(access.put_policies("alice", policies)).unwrap();
    bench.run(access.delete_user("nobody")).unwrap();
    let before = access.users();

    let bench = bench.reopen();
    let access = bench.instance.access();
    assert_eq!(access.users(), before);
    assert_eq!(resources(access, "alice"), ["Topic:a", "Topic:b"]);
    assert!(access.has_administrator());
    bench.run(access.delete_user("alice")).unwrap();
    bench.run(access.create_user("alice", a_user("2"))).unwrap();
    assert_eq!(
        resources(access, "alice"),
        [""; 0],
        "policies go with their user"
    );

    let bench = bench.reopen();
    assert_eq!(resources(bench.instance.access(), "alice"), [""; 0]);
}

#[test]
fn a_change_takes_effect_at_once() {
    let bench = Bench::new();
    let access = bench.instance.access();
    bench
        .run(access.create_user("root", an_administrator("1")))
        .unwrap();
    let sign = |secret: &str, content: &str| {
        let key =
            ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        ring::hmac::sign(&key, content.as_bytes())
    };
    let ask = |name: &str, secret: &str| {
        let content = [b"con".as_slice(), b"tent"];
        let signature = sign(secret, "content");
        let user = access.authenticate(name, content, signature.as_ref());
        user.map(|user| user.name().to_owned())
    };
    let unknown = NotAuthenticated::Unknown {
        user: "alice".to_owned(),
    };
    assert_eq!(ask("alice", "2"), Err(unknown.clone()));
    assert_eq!(ask("", "2"), Err(NotAuthenticated::NoName));
    bench.run(access.create_user("alice", a_user("2"))).unwrap();
    assert_eq!(ask("alice", "2"), Ok("alice".to_owned()));
    assert_eq!(ask("alice", "1"), Err(NotAuthenticated::Signature));
    bench.run(access.update_user("alice", a_user("9"))).unwrap();
    assert_eq!(ask("alice", "2"), Err(NotAuthenticated::Signature));
    bench.run(access.update_user("alice", disabled())).unwrap();
    let user = "alice".to_owned();
    assert_eq!(ask("alice", "9"), Err(NotAuthenticated::Disabled { user }));
    bench.run(access.delete_user("alice")).unwrap();
    assert_eq!(ask("alice", "9"), Err(unknown));
}

#[test]
fn an_entry_about_the_same_resource_replaces_the_old_one() {
    let bench = Bench::new();
    let access = bench.instance.access();
    bench.run(access.create_user("alice", a_user("2"))).unwrap();
    let put = |policies| bench.run(access.put_policies("alice", policies));
    put(vec![allow(&["Topic:a", "Topic:b"])]).unwrap();
    let entry = PolicyEntry::read("Topic:a", ["Sub"], [], "Deny").unwrap();
    let replaced = Policy {
        kind: PolicyKind::Custom,
        entries: vec![entry.clone()],
    };
    put(vec![replaced, allow(&["Topic:c"])]).unwrap();
    assert_eq!(
        resources(access, "alice"),
        ["Topic:a", "Topic:b", "Topic:c"]
    );
    assert_eq!(
        access.user("alice").unwrap().policies()[0].entries[0],
        entry
    );

    let delete = |what: Option<&str>| {
        let what = what.map(|text| (PolicyKind::Custom, text.parse().unwrap()));
        bench.run(access.delete_policies("alice", what))
    };
    delete(Some("Topic:b")).unwrap();
    delete(Some("Topic:b")).unwrap();
    assert_eq!(resources(access, "alice"), ["Topic:a", "Topic:c"]);
    delete(None).unwrap();
    assert_eq!(refused(delete(None)), "The acl is not exist.");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let bench = Bench::new();
    let access = bench.instance.access();
    let create = |name: &str, change| bench.run(access.create_user(name, change));
    let put = |name: &str, policies| bench.run(access.put_policies(name, policies));
    create("root", an_administrator("1")).unwrap();
    assert_eq!(refused(create("root", a_user("1"))), "The user is existed");
    assert_eq!(
        refused(create(" ", a_user("1"))),
        "username can not be blank"
    );
    assert_eq!(
        refused(create("a", a_user(""))),
        "password can not be blank"
    );
    assert_eq!(
        refused(create("a", UserChange::default())),
        "password can not be blank"
    );
    assert!(refused(create("a b", a_user("1"))).contains("`a b...`"));
    assert!(refused(create(&"x".repeat(129), a_user("1"))).contains("128"));
    assert!(refused(create("a", a_user(&"x".repeat(257)))).contains("256"));
    assert_eq!(
        refused(bench.run(access.update_user("a", disabled()))),
        "The user is not exist"
    );
    assert_eq!(
        refused(put("a", vec![allow(&["*"])])),
        "The subject of User:a is not exist."
    );
    assert_eq!(refused(put("root", vec![])), "The policies is empty.");
    assert_eq!(
        refused(put("root", vec![allow(&[])])),
        "The policy entries is empty."
    );
    let many: Vec<String> = (0..1_001).map(|index| format!("Topic:{index}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(refused(put("root", vec![allow(&many)])).contains("1000"));
    assert_eq!(
        refused(bench.run(access.delete_policies("a", None))),
        "The subject is not exist."
    );
}

#[test]
fn the_last_administrator_stays() {
    let bench = Bench::new();
    let access = bench.instance.access();
    bench
        .run(access.create_user("root", an_administrator("1")))
        .unwrap();
    let normal = UserChange {
        user_type: Some(UserType::Normal),
        ..UserChange::default()
    };
    for change in [disabled(), normal.clone()] {
        let refusal = refused(bench.run(access.update_user("root", change)));
        assert!(refusal.contains("`root` is the last"), "{refusal}");
    }
    let refusal = refused(bench.run(access.delete_user("root")));
    assert!(refusal.contains("`root` is the last"), "{refusal}");
    bench
        .run(access.create_user("second", an_administrator("1")))
        .unwrap();
    bench.run(access.delete_user("root")).unwrap();
    assert!(access.has_administrator());
    assert!(bench.run(access.update_user("second", normal)).is_err());
}

const SUB_ORDERS: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"mq:SUB","Resource":"acs:mq:*:*:orders"}]}"#;
const PUB_ORDERS: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"mq:PUB","Resource":"acs:mq:*:*:orders"}]}"#;

#[test]
fn ram_policies_are_kept_with_those_who_have_them() {
    let bench = Bench::new();
    let access = bench.instance.access();
    bench.run(access.create_user("alice", a_user("a"))).unwrap();
    bench
        .run(access.create_ram_policy("p", SUB_ORDERS))
        .unwrap();
    let again = bench.run(access.create_ram_policy("p", SUB_ORDERS));
    assert_eq!(refused(again), "policy `p` exists already");
    bench.run(access.attach("p", "alice")).unwrap();
    bench.run(access.attach("p", "alice")).unwrap();
    bench
        .run(access.attach("AliyunMQPubOnlyAccess", "alice"))
        .unwrap();
    let held = bench.run(access.delete_ram_policy("p"));
    assert_eq!(
        refused(held),
        "policy `p` is attached to 1 users, `alice` first: detach it before"
    );
    for (answer, error) in [
        (
            bench.run(access.attach("q", "alice")),
            "policy `q` does not exist",
        ),
        (
            bench.run(access.attach("p", "bob")),
            "The user is not exist",
        ),
        (
            bench.run(access.detach("AliyunMQFullAccess", "alice")),
            "policy `AliyunMQFullAccess` is not attached to user `alice`",
        ),
        (
            bench.run(access.delete_ram_policy("AliyunMQFullAccess")),
            "policy `AliyunMQFullAccess` is a system policy, which nobody changes",
        ),
        (
            bench.run(access.update_ram_policy("AliyunMQFullAccess", SUB_ORDERS)),
            "policy `AliyunMQFullAccess` is a system policy, which nobody changes",
        ),
    ] {
        assert_eq!(refused(answer), error);
    }

    // What a policy says changes for all who have it, and they are told.
    let watch = access.watch();
    bench
        .run(access.update_ram_policy("p", PUB_ORDERS))
        .unwrap();
    assert!(watch.has_changed().unwrap());
    let documents = |access: &Access| -> Vec<String> {
        let user = access.user("alice").unwrap();
        let policies = user.ram_policies().iter();
        policies
            .map(|policy| policy.document().to_owned())
            .collect()
    };
    let before = documents(access);
    assert_eq!(before[0], PUB_ORDERS);

    let bench = bench.reopen();
    let access = bench.instance.access();
    assert_eq!(documents(access), before);
    // Six of the system, and one of our own.
    assert_eq!(access.ram_policies().len(), 7);
    bench.run(access.detach("p", "alice")).unwrap();
    bench.run(access.delete_ram_policy("p")).unwrap();
    assert_eq!(documents(access).len(), 1);
    assert!(access.ram_policy("p").is_none());
    // Who goes takes nothing along.
    bench.run(access.delete_user("alice")).unwrap();
    assert!(access.users_with("AliyunMQPubOnlyAccess").is_empty());
}

#[test]
fn a_plan_says_by_which_kind_of_user_an_instance_is_entered() {
    let bench = Bench::of(Series::V5);
    let access = bench.instance.access();
    bench
        .run(access.create_user("root", an_administrator("1")))
        .unwrap();
    bench.run(access.create_user("alice", a_user("2"))).unwrap();
    let ask = |name: &str, secret: &str| {
        let key =
            ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        let signature = ring::hmac::sign(&key, b"content");
        let user = access.authenticate(name, [b"content".as_slice()], signature.as_ref());
        user.map(|user| user.name().to_owned())
    };
    let go_by = |types: &[AclType]| {
        let mut plan = Plan::new(Edition::Shared, SubSeries::Serverless, None);
        plan.acl.types = types.to_vec();
        let running = InstanceStatus::Running;
        bench.instance.go_by(Some(&plan), running).unwrap();
    };
    let refused = |user: &str, found| {
        Err(NotAuthenticated::Method {
            user: user.to_owned(),
            found,
            instance: bench.instance.id().clone(),
        })
    };
    let (root, alice) = (Ok("root".to_owned()), Ok("alice".to_owned()));
    assert_eq!(
        (ask("root", "1"), ask("alice", "2")),
        (root.clone(), alice.clone())
    );
    go_by(&[AclType::Intelligent]);
    assert_eq!(
        (ask("root", "1"), ask("alice", "2")),
        (root.clone(), refused("alice", "APACHE"))
    );
    // Who cannot sign hears nothing of it.
    assert_eq!(ask("alice", "1"), Err(NotAuthenticated::Signature));
    go_by(&[AclType::Apache]);
    assert_eq!(
        (ask("root", "1"), ask("alice", "2")),
        (refused("root", "DEFAULT"), alice.clone())
    );
    go_by(&[AclType::Intelligent, AclType::Apache]);
    assert_eq!((ask("root", "1"), ask("alice", "2")), (root, alice));
}
