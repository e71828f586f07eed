//! Access control: signatures, permissions, users and policies.

mod administer;
mod grpc_v1;
mod grpc_v2;
mod namespace;
mod ram;
mod remoting;
mod tenants;

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use broker::access::{Policy, PolicyEntry, PolicyKind, Secret, UserChange, UserType};
use ring::hmac;
use wire::remoting::{Command, ResponseCode};

use crate::support::{Server, Setup};

/// Keys of a user.
#[derive(Clone, Copy)]
struct Keys {
    access: &'static str,
    secret: &'static str,
}

const ROOT: Keys = Keys {
    access: "root",
    secret: "root-secret",
};

const ALICE: Keys = Keys {
    access: "alice",
    secret: "alice-secret",
};

/// A server with access control, its administrator, and Alice, who may do `entries`
/// (`resource actions decision [sources]`).
pub(crate) async fn guarded(entries: &[&str]) -> Server {
    let server = guarded_with(Setup {
        access_control: true,
        ..Setup::default()
    })
    .await;
    if !entries.is_empty() {
        allow(&server, entries).await;
    }
    server
}

/// A server with access control, its administrator, and Alice, who may do nothing.
async fn guarded_with(setup: Setup) -> Server {
    let server = Server::with(setup).await;
    let access = server.instance.access();
    let change = |keys: Keys, user_type| UserChange {
        secret: Some(Secret::new(keys.secret)),
        user_type: Some(user_type),
        status: None,
        remark: None,
    };
    access
        .create_user(ROOT.access, change(ROOT, UserType::Super))
        .await
        .unwrap();
    access
        .create_user(ALICE.access, change(ALICE, UserType::Normal))
        .await
        .unwrap();
    server
}

/// Adds to what Alice may do.
pub(crate) async fn allow(server: &Server, entries: &[&str]) {
    let entries = entries.iter().map(|text| {
        let mut parts = text.split(' ');
        let mut next = || parts.next().unwrap_or_default();
        let (resource, actions, decision, sources) = (next(), next(), next(), next());
        let sources = sources.split(',').filter(|source| !source.is_empty());
        PolicyEntry::read(resource, actions.split(','), sources, decision).unwrap()
    });
    let policy = Policy {
        kind: PolicyKind::Custom,
        entries: entries.collect(),
    };
    let put = server.instance.access().put_policies("alice", vec![policy]);
    put.await.unwrap();
}

/// The command as a client with these keys sends it. Written here once more, so that the server is
/// not held against itself.
fn signed(mut command: Command, keys: Keys) -> Command {
    command.fields.push_str("AccessKey", keys.access);
    let values: BTreeMap<&str, &str> = command.fields.iter().collect();
    let mut content: Vec<u8> = values.into_values().flat_map(str::bytes).collect();
    content.extend_from_slice(&command.body);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, keys.secret.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, &content));
    command.fields.push_str("Signature", &signature);
    command
}

#[track_caller]
fn denied(answer: &Command, remark: &str) {
    assert_eq!(
        answer.response_code(),
        Some(ResponseCode::NoPermission),
        "{answer:?}"
    );
    assert_eq!(answer.remark.as_deref(), Some(remark));
}

#[track_caller]
fn succeeded(answer: &Command) {
    assert_eq!(
        answer.response_code(),
        Some(ResponseCode::Success),
        "{answer:?}"
    );
}
