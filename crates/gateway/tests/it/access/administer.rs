//! Users and policies over Remoting.

use wire::remoting::{
    Command, RequestCode, ResponseCode,
    body::{AclInfo, AclList, Body, PolicyEntryInfo, PolicyInfo, UserInfo, UserList},
    header::{AclRequest, DeleteAclRequest, ListAclsRequest, ListUsersRequest, UserRequest},
};

use super::*;
use crate::support::Peer;

fn user(peer: &mut Peer, code: RequestCode, name: &str, info: &UserInfo) -> Command {
    let username = Some(name);
    peer.command(code, &UserRequest { username })
        .with_body(info.encode())
}

fn info(password: &str, user_type: Option<&str>) -> UserInfo {
    UserInfo {
        password: (!password.is_empty()).then(|| password.to_owned()),
        user_type: user_type.map(str::to_owned),
        ..UserInfo::default()
    }
}

#[track_caller]
fn answered(answer: &Command, code: ResponseCode, remark: &str) {
    assert_eq!(answer.response_code(), Some(code), "{answer:?}");
    assert_eq!(answer.remark.as_deref(), Some(remark));
}

#[tokio::test]
async fn users_are_administered() {
    let server = guarded(&[]).await;
    let mut peer = server.peer().await;
    for (code, name, info, refusal) in [
        (RequestCode::AuthCreateUser, "bob", info("b", None), None),
        (
            RequestCode::AuthCreateUser,
            "bob",
            info("b", None),
            Some("The user is existed"),
        ),
        (
            RequestCode::AuthCreateUser,
            "eve",
            info("", None),
            Some("password can not be blank"),
        ),
        (
            RequestCode::AuthCreateUser,
            "boss",
            info("s", Some("Super")),
            None,
        ),
        (RequestCode::AuthUpdateUser, "bob", info("new", None), None),
        (
            RequestCode::AuthUpdateUser,
            "eve",
            info("new", None),
            Some("The user is not exist"),
        ),
        (RequestCode::AuthDeleteUser, "eve", info("", None), None),
    ] {
        let command = signed(user(&mut peer, code, name, &info), ROOT);
        let answer = peer.ask(&command).await;
        match refusal {
            None => succeeded(&answer),
            Some(remark) => denied(&answer, remark),
        }
    }
    let blank = signed(
        user(&mut peer, RequestCode::AuthCreateUser, "", &info("x", None)),
        ROOT,
    );
    let answer = peer.ask(&blank).await;
    answered(
        &answer,
        ResponseCode::InvalidParameter,
        "The username is blank",
    );

    let username = Some("bob");
    let get = peer.command(RequestCode::AuthGetUser, &UserRequest { username });
    let answer = peer.ask(&signed(get, ROOT)).await;
    let bob = UserInfo {
        username: Some("bob".to_owned()),
        user_status: Some("enable".to_owned()),
        ..info("new", Some("Normal"))
    };
    assert_eq!(UserInfo::decode(&answer.body), Ok(bob));
    let username = Some("nobody");
    let get = peer.command(RequestCode::AuthGetUser, &UserRequest { username });
    let answer = peer.ask(&signed(get, ROOT)).await;
    succeeded(&answer);
    assert!(answer.body.is_empty());

    let filter = Some("bo");
    let list = peer.command(RequestCode::AuthListUser, &ListUsersRequest { filter });
    let answer = peer.ask(&signed(list, ROOT)).await;
    let users = UserList::decode(&answer.body).unwrap().0;
    let names: Vec<_> = users.into_iter().filter_map(|user| user.username).collect();
    assert_eq!(names, ["bob", "boss"]);
}

#[tokio::test]
async fn who_may_change_users_may_not_make_super_users() {
    let server = guarded(&["Cluster:* Update,Get Allow"]).await;
    let mut peer = server.peer().await;
    let ask = async |peer: &mut Peer, code, name: &str, info: UserInfo| {
        let command = signed(user(peer, code, name, &info), ALICE);
        peer.ask(&command).await
    };
    succeeded(
        &ask(
            &mut peer,
            RequestCode::AuthCreateUser,
            "bob",
            info("b", None),
        )
        .await,
    );
    let answer = ask(
        &mut peer,
        RequestCode::AuthCreateUser,
        "x",
        info("b", Some("Super")),
    )
    .await;
    let remark = "The super user can only be create by super user";
    answered(&answer, ResponseCode::SystemError, remark);
    let answer = ask(
        &mut peer,
        RequestCode::AuthUpdateUser,
        "alice",
        info("", Some("super")),
    )
    .await;
    let remark = "The super user can only be update by super user";
    answered(&answer, ResponseCode::SystemError, remark);
    denied(
        &ask(
            &mut peer,
            RequestCode::AuthUpdateUser,
            "root",
            info("mine", None),
        )
        .await,
        remark,
    );
    denied(
        &ask(
            &mut peer,
            RequestCode::AuthDeleteUser,
            "root",
            info("", None),
        )
        .await,
        remark,
    );
    let answer = ask(&mut peer, RequestCode::AuthGetUser, "root", info("", None)).await;
    succeeded(&answer);
    assert_eq!(UserInfo::decode(&answer.body).unwrap().password, None);
    assert!(!String::from_utf8_lossy(&answer.body).contains("root-secret"));
    let answer = ask(&mut peer, RequestCode::AuthGetUser, "bob", info("", None)).await;
    assert_eq!(
        UserInfo::decode(&answer.body).unwrap().password.as_deref(),
        Some("b")
    );
}

fn acl(entries: &[(&str, &str, &[&str])]) -> AclInfo {
    let entries = entries.iter().map(|(resource, decision, sources)| {
        let sources: Vec<String> = sources.iter().map(|s| (*s).to_owned()).collect();
        PolicyEntryInfo {
            actions: vec!["Pub".to_owned(), "Sub".to_owned()],
            decision: (*decision).to_owned(),
            resource: (*resource).to_owned(),
            source_ips: (!sources.is_empty()).then_some(sources),
        }
    });
    AclInfo {
        policies: Some(vec![PolicyInfo {
            entries: entries.collect(),
            policy_type: Some("Custom".to_owned()),
        }]),
        subject: Some("User:alice".to_owned()),
    }
}

#[tokio::test]
async fn policies_are_administered() {
    let server = guarded(&[]).await;
    let mut peer = server.peer().await;
    let put = |peer: &mut Peer, code, subject: &str, acl: &AclInfo| {
        let subject = Some(subject);
        let command = peer.command(code, &AclRequest { subject });
        signed(command.with_body(acl.encode()), ROOT)
    };
    let get = |peer: &mut Peer, subject: &str| {
        let subject = Some(subject);
        signed(
            peer.command(RequestCode::AuthGetAcl, &AclRequest { subject }),
            ROOT,
        )
    };
    let command = get(&mut peer, "User:alice");
    let answer = peer.ask(&command).await;
    succeeded(&answer);
    assert!(answer.body.is_empty());

    let first = acl(&[
        ("Topic:a", "Allow", &["10.0.0.0/8"]),
        ("Group:*", "Allow", &[]),
    ]);
    let command = put(&mut peer, RequestCode::AuthCreateAcl, "User:alice", &first);
    succeeded(&peer.ask(&command).await);
    let change = acl(&[("Topic:a", "Deny", &[])]);
    let command = put(&mut peer, RequestCode::AuthUpdateAcl, "User:alice", &change);
    succeeded(&peer.ask(&command).await);
    let kept = acl(&[("Topic:a", "Deny", &[]), ("Group:*", "Allow", &[])]);
    let command = get(&mut peer, "User:alice");
    let answer = peer.ask(&command).await;
    assert_eq!(AclInfo::decode(&answer.body), Ok(kept.clone()));

    let list = |peer: &mut Peer, subject_filter, resource_filter| {
        let header = ListAclsRequest {
            subject_filter,
            resource_filter,
        };
        signed(peer.command(RequestCode::AuthListAcl, &header), ROOT)
    };
    let command = list(&mut peer, None, None);
    let answer = peer.ask(&command).await;
    assert_eq!(AclList::decode(&answer.body), Ok(AclList(vec![kept])));
    let command = list(&mut peer, Some("ali"), Some("Group"));
    let answer = peer.ask(&command).await;
    let groups = acl(&[("Group:*", "Allow", &[])]);
    assert_eq!(AclList::decode(&answer.body), Ok(AclList(vec![groups])));
    let command = list(&mut peer, Some("bob"), None);
    assert!(peer.ask(&command).await.body.is_empty());

    let delete = |peer: &mut Peer, resource| {
        let header = DeleteAclRequest {
            subject: Some("User:alice"),
            policy_type: None,
            resource,
        };
        signed(peer.command(RequestCode::AuthDeleteAcl, &header), ROOT)
    };
    let command = delete(&mut peer, Some("nonsense"));
    denied(&peer.ask(&command).await, "The resource is null.");
    let command = delete(&mut peer, Some("Topic:a"));
    succeeded(&peer.ask(&command).await);
    let command = delete(&mut peer, None);
    succeeded(&peer.ask(&command).await);
    let command = delete(&mut peer, None);
    denied(&peer.ask(&command).await, "The acl is not exist.");
    let command = get(&mut peer, "User:nobody");
    denied(&peer.ask(&command).await, "The subject is not exist.");
    let command = get(&mut peer, "Robot:alice");
    denied(&peer.ask(&command).await, "The subject is null.");
    let nobody = AclInfo {
        subject: None,
        ..first
    };
    let command = put(
        &mut peer,
        RequestCode::AuthCreateAcl,
        "User:nobody",
        &nobody,
    );
    denied(
        &peer.ask(&command).await,
        "The subject of User:nobody is not exist.",
    );
    let nothing = AclInfo::default();
    let command = put(
        &mut peer,
        RequestCode::AuthCreateAcl,
        "User:alice",
        &nothing,
    );
    denied(&peer.ask(&command).await, "The policies is empty.");
}
