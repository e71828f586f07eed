//! Access control from the command line.

use crate::support::{Server, carrack};

const KEYS: [(&str, &str); 2] = [
    ("CARRACK_ACCESS_KEY", "root"),
    ("CARRACK_SECRET_KEY", "root-secret"),
];

/// A server with access control whose administrator is `root`.
fn guarded(data: &std::path::Path) -> Server {
    let mut command = carrack(&["server", "--data", data.to_str().unwrap()]);
    command
        .args(["--listen", "127.0.0.1:0"])
        .env("CARRACK_ACCESS_CONTROL", "true")
        .env("CARRACK_ADMIN_ACCESS_KEY", "root")
        .env("CARRACK_ADMIN_SECRET_KEY", "root-secret");
    Server::spawn(command)
}

/// Runs a command as somebody.
fn run_as(server: &Server, keys: [(&str, &str); 2], arguments: &[&str]) -> crate::support::Ended {
    let mut command = carrack(arguments);
    command.args(["--server", &server.address()]).envs(keys);
    command.output().unwrap().into()
}

#[test]
fn users_and_policies_from_creation_to_deletion() {
    let folder = tempfile::tempdir().unwrap();
    let server = guarded(folder.path());
    let root = |arguments: &[&str]| run_as(&server, KEYS, arguments);

    let error = server.run(&["user", "list"]).fails(1);
    assert!(error.contains("username cannot be null."), "{error}");

    let created = root(&["user", "create", "alice", "--output", "json"]).ok();
    let created: serde_json::Value = serde_json::from_str(&created).unwrap();
    let secret = created["secret_key"].as_str().unwrap().to_owned();
    assert_eq!(secret.len(), 40);
    let keys = [
        ("CARRACK_ACCESS_KEY", "alice"),
        ("CARRACK_SECRET_KEY", secret.as_str()),
    ];
    let alice = |arguments: &[&str]| run_as(&server, keys, arguments);
    assert_eq!(
        root(&["user", "list"]).ok(),
        "USER   TYPE    STATUS\n\
         alice  Normal  enable\n\
         root   Super   enable\n"
    );
    let error = alice(&["topic", "create", "orders"]).fails(1);
    assert!(
        error.contains("User:alice has no permission to access Topic:orders"),
        "{error}"
    );
    let allow = [
        "acl",
        "create",
        "alice",
        "--resource",
        "Topic:orders,Group:*",
        "--action",
        "Create,Pub",
        "--source",
        "127.0.0.0/8",
    ];
    assert_eq!(
        root(&allow).ok(),
        "user alice: Allow Create,Pub on Topic:orders,Group:*\n"
    );
    assert_eq!(
        root(&["acl", "list", "alice"]).ok(),
        "USER   POLICY  RESOURCE      ACTIONS     SOURCES      DECISION\n\
         alice  Custom  Topic:orders  Create,Pub  127.0.0.0/8  Allow\n\
         alice  Custom  Group:*       Create,Pub  127.0.0.0/8  Allow\n"
    );
    alice(&["topic", "create", "orders"]).ok();
    root(&["user", "update", "alice", "--status", "disable"]).ok();
    let error = alice(&["topic", "create", "orders"]).fails(1);
    assert!(error.contains("User:alice is disabled."), "{error}");
    root(&["acl", "delete", "alice", "--resource", "Topic:orders"]).ok();
    root(&["acl", "delete", "alice"]).ok();
    assert_eq!(root(&["acl", "list"]).ok(), "no policies\n");
    root(&["user", "delete", "alice"]).ok();
    let error = root(&["user", "delete", "root"]).fails(1);
    assert!(error.contains("last enabled super user"), "{error}");

    let log = server.stop();
    assert!(
        !log.contains("root-secret") && !log.contains(&secret),
        "{log}"
    );
}

#[test]
fn the_first_administrator_is_made_up_once() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = carrack(&["server", "--data", folder.path().to_str().unwrap()]);
        command
            .args(["--listen", "127.0.0.1:0"])
            .env("CARRACK_ACCESS_CONTROL", "true");
        Server::spawn_told(command)
    };
    let (server, told) = start();
    let key = |name: &str| {
        let line = told.iter().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    let (access_key, secret_key) = (key("access key"), key("secret key"));
    let keys = [
        ("CARRACK_ACCESS_KEY", access_key.as_str()),
        ("CARRACK_SECRET_KEY", secret_key.as_str()),
    ];
    let list = run_as(&server, keys, &["user", "list"]).ok();
    assert!(list.contains(&access_key), "{list}");
    assert!(!list.contains(&secret_key), "{list}");
    let log = server.stop();
    assert!(!log.contains(&secret_key), "{log}");

    let mut command = carrack(&["server", "--data", folder.path().to_str().unwrap()]);
    command
        .args(["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"])
        .env("CARRACK_ACCESS_CONTROL", "true");
    let server = Server::spawn(command);
    run_as(&server, keys, &["user", "list"]).ok();
}

#[test]
fn ram_style_policies_from_creation_to_deletion() {
    const DOCUMENT: &str = r#"{"Version":"1","Statement":[
  {"Effect":"Allow","Action":["mq:PUB","mq:CreateTopic"],"Resource":"acs:mq:*:*:orders*"},
  {"Effect":"Allow","Action":"mq:QueryInstanceBaseInfo","Resource":"acs:mq:*:*:default"}
]}"#;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = guarded(&data);
    let root = |arguments: &[&str]| run_as(&server, KEYS, arguments);
    let file = folder.path().join("policy.json");
    let write = |document: &str| std::fs::write(&file, document).unwrap();
    let path = file.to_str().unwrap();

    let created = root(&["user", "create", "alice", "--output", "json"]).ok();
    let created: serde_json::Value = serde_json::from_str(&created).unwrap();
    let keys = [
        ("CARRACK_ACCESS_KEY", "alice"),
        (
            "CARRACK_SECRET_KEY",
            created["secret_key"].as_str().unwrap(),
        ),
    ];
    let alice = |arguments: &[&str]| run_as(&server, keys, arguments);
    let topic = ["topic", "create", "orders-1"];

    write("{}");
    let error = root(&["policy", "create", "p", "--document", path]).fails(1);
    assert!(error.contains("missing field `Version`"), "{error}");
    write(DOCUMENT);
    let error = alice(&["policy", "create", "p", "--document", path]).fails(1);
    assert!(error.contains("User:alice has no permission"), "{error}");
    assert_eq!(
        root(&["policy", "create", "p", "--document", path]).ok(),
        "policy p created\n"
    );
    let error = root(&["policy", "create", "p", "--document", path]).fails(1);
    assert!(error.contains("policy `p` exists already"), "{error}");
    alice(&topic).fails(1);
    assert_eq!(
        root(&["policy", "attach", "p", "alice"]).ok(),
        "policy p attached to user alice\n"
    );
    alice(&topic).ok();
    let error = alice(&["topic", "create", "parcels"]).fails(1);
    assert!(error.contains("no matched policies."), "{error}");

    let list = root(&["policy", "list"]).ok();
    assert_eq!(
        list,
        "POLICY                        TYPE    USERS\n\
         AliyunMQFullAccess            System  -\n\
         AliyunMQPubOnlyAccess         System  -\n\
         AliyunMQReadOnlyAccess        System  -\n\
         AliyunMQSubOnlyAccess         System  -\n\
         AliyunRocketMQFullAccess      System  -\n\
         AliyunRocketMQReadOnlyAccess  System  -\n\
         p                             Custom  alice\n"
    );
    let described = root(&["policy", "describe", "p"]).ok();
    assert!(described.contains(DOCUMENT), "{described}");
    let json = root(&["policy", "describe", "p", "--output", "json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["document"], DOCUMENT);
    assert_eq!(json["users"], serde_json::json!(["alice"]));

    write(&DOCUMENT.replace("orders*", "parcels*"));
    root(&["policy", "update", "p", "--document", path]).ok();
    alice(&["topic", "create", "parcels"]).ok();
    alice(&["topic", "create", "orders-2"]).fails(1);

    let error = root(&["policy", "delete", "p"]).fails(1);
    assert!(
        error.contains("attached to 1 users, `alice` first"),
        "{error}"
    );
    assert_eq!(
        root(&["policy", "detach", "p", "alice"]).ok(),
        "policy p detached from user alice\n"
    );
    alice(&["topic", "create", "parcels-2"]).fails(1);
    let error = root(&["policy", "detach", "p", "alice"]).fails(1);
    assert!(error.contains("is not attached to user `alice`"), "{error}");
    assert_eq!(root(&["policy", "delete", "p"]).ok(), "policy p deleted\n");
    let error = root(&["policy", "describe", "p"]).fails(1);
    assert!(error.contains("policy `p` does not exist"), "{error}");
    root(&["policy", "attach", "AliyunMQFullAccess", "alice"]).ok();
    alice(&["topic", "create", "parcels-2"]).ok();
    // It is no right to the server itself.
    alice(&["policy", "list"]).fails(1);
}
