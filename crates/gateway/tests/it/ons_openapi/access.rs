//! Signatures of both kinds, times and nonces.

use std::time::Duration;

use broker::access::{UserChange, UserStatus};

use super::{ALICE, Acs3, ROOT, Rpc, iso, now};
use crate::access::guarded;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn requests_must_be_signed() {
    let server = guarded(&[]).await;
    let unsigned = Rpc::new("OnsRegionList", &[]);
    unsigned
        .call(&server)
        .await
        .refused(400, "MissingAccessKeyId");
    let unsigned = Acs3::new("OnsRegionList", &[]);
    unsigned
        .call(&server)
        .await
        .refused(400, "MissingAccessKeyId");
    Rpc::new("OnsRegionList", &[])
        .signed(ROOT)
        .call(&server)
        .await
        .ok();
    Rpc::new("OnsRegionList", &[])
        .signed(ROOT)
        .post(&server)
        .await
        .ok();
    Acs3::new("OnsRegionList", &[])
        .signed(ROOT)
        .call(&server)
        .await
        .ok();
    for keys in [("root", "other"), ("alice", "root-secret")] {
        let rpc = Rpc::new("OnsRegionList", &[])
            .signed(keys)
            .call(&server)
            .await;
        let message = rpc.refused(400, "SignatureDoesNotMatch");
        // What the older client compares with its own begins behind the first colon.
        let shown = message.split(':').nth(1).unwrap();
        assert!(shown.starts_with("POST&%2F&AccessKeyId%3D"), "{message}");
        let acs3 = Acs3::new("OnsRegionList", &[])
            .signed(keys)
            .call(&server)
            .await;
        acs3.refused(400, "SignatureDoesNotMatch");
    }
    let nobody = Acs3::new("OnsRegionList", &[]).signed(("nobody", "secret"));
    nobody
        .call(&server)
        .await
        .refused(404, "InvalidAccessKeyId.NotFound");
    let token = Rpc::new("OnsRegionList", &[])
        .with("SecurityToken", "t")
        .signed(ROOT);
    let token = token.call(&server).await;
    token.refused(400, "InvalidSecurityToken.MismatchWithAccessKey");
    let token = Acs3::new("OnsRegionList", &[])
        .header("x-acs-security-token", "t")
        .signed(ROOT);
    let token = token.call(&server).await;
    token.refused(400, "InvalidSecurityToken.MismatchWithAccessKey");
}

#[tokio::test]
async fn what_is_signed_cannot_be_changed() {
    let server = guarded(&[]).await;
    let more = Rpc::new("OnsRegionList", &[])
        .signed(ROOT)
        .with("InstanceId", "default");
    more.call(&server)
        .await
        .refused(400, "SignatureDoesNotMatch");
    let mut more = Acs3::new("OnsRegionList", &[]).signed(ROOT);
    more.query
        .push(("InstanceId".to_owned(), "default".to_owned()));
    more.call(&server)
        .await
        .refused(400, "SignatureDoesNotMatch");
    let other = Acs3::new("OnsRegionList", &[]).signed(ROOT);
    let other = other.header("x-acs-action", "OpenOnsService");
    other
        .call(&server)
        .await
        .refused(400, "SignatureDoesNotMatch");
    // A header of the API that is not among the signed ones, and a body that is not hashed.
    let added = Acs3::new("OnsRegionList", &[])
        .signed(ROOT)
        .header("x-acs-extra", "1");
    added
        .call(&server)
        .await
        .refused(400, "IncompleteSignature");
    let mut body = Acs3::new("OnsRegionList", &[])
        .header("content-type", "application/x-www-form-urlencoded")
        .signed(ROOT);
    body.body = "InstanceId=default".to_owned();
    body.call(&server)
        .await
        .refused(400, "SignatureDoesNotMatch");
    let mut signed_body =
        Acs3::new("OnsRegionList", &[]).header("content-type", "application/x-www-form-urlencoded");
    signed_body.body = "InstanceId=default".to_owned();
    signed_body.signed(ROOT).call(&server).await.ok();
}

#[tokio::test]
async fn a_request_is_taken_once_and_only_near_its_time() {
    let server = guarded(&[]).await;
    let once = Rpc::new("OnsRegionList", &[]).signed(ROOT);
    once.call(&server).await.ok();
    let message = once.call(&server).await.refused(400, "SignatureNonceUsed");
    assert!(message.contains("nonce-"), "{message}");
    let once = Acs3::new("OnsRegionList", &[]).signed(ROOT);
    once.call(&server).await.ok();
    once.call(&server).await.refused(400, "SignatureNonceUsed");
    let at = |time: &str, nonce: &str| Rpc::new("OnsRegionList", &[]).signed_at(ROOT, time, nonce);
    at(&iso(now() - 14 * MINUTE), "n1").call(&server).await.ok();
    at(&iso(now() + 14 * MINUTE), "n2").call(&server).await.ok();
    for time in [iso(now() - 16 * MINUTE), iso(now() + 16 * MINUTE)] {
        at(&time, "n3")
            .call(&server)
            .await
            .refused(400, "InvalidTimeStamp.Expired");
    }
    at("yesterday", "n4")
        .call(&server)
        .await
        .refused(400, "InvalidTimeStamp.Format");
    // A request of the future is still known when the server's clock has come past it.
    let early = at(&iso(now() + 14 * MINUTE), "n5");
    early.call(&server).await.ok();
    server.clock.advance(27 * MINUTE);
    early.call(&server).await.refused(400, "SignatureNonceUsed");
    server.clock.advance(3 * MINUTE);
    early
        .call(&server)
        .await
        .refused(400, "InvalidTimeStamp.Expired");
}

#[tokio::test]
async fn only_the_main_account_administers_without_a_policy() {
    let server = guarded(&["Topic:* Pub,Sub Allow"]).await;
    let alice = Rpc::new("OnsRegionList", &[])
        .signed(ALICE)
        .call(&server)
        .await;
    alice.refused(403, "Forbidden.RAM");
    let disabled = UserChange {
        status: Some(UserStatus::Disabled),
        ..UserChange::default()
    };
    let access = server.instance.access();
    access.update_user("alice", disabled).await.unwrap();
    let alice = Rpc::new("OnsRegionList", &[])
        .signed(ALICE)
        .call(&server)
        .await;
    alice.refused(400, "InvalidAccessKeyId.Inactive");
}

#[tokio::test]
async fn each_thing_that_is_tagged_must_be_allowed() {
    let server = guarded(&[]).await;
    for topic in ["t-1", "t-2"] {
        let create = [("Topic", topic), ("MessageType", "0")];
        let create = Rpc::new("OnsTopicCreate", &create).signed(ROOT);
        create.call(&server).await.ok();
    }
    let access = server.instance.access();
    let document = serde_json::json!({ "Version": "1", "Statement": [
        {
            "Effect": "Allow",
            "Action": "mq:QueryInstanceBaseInfo",
            "Resource": "acs:mq:*:*:default",
        },
        {
            "Effect": "Allow",
            "Action": ["mq:TagResources", "mq:OnsTopicStatus"],
            "Resource": "acs:mq:*:*:default%t-1",
        },
    ] });
    access
        .create_ram_policy("hers", &document.to_string())
        .await
        .unwrap();
    access.attach("hers", "alice").await.unwrap();
    let tag = |more: &[(&str, &str)]| {
        let mut parameters = vec![("ResourceType", "TOPIC"), ("Tag.1.Key", "k")];
        parameters.extend(more);
        Rpc::new("TagResources", &parameters).signed(ALICE)
    };
    tag(&[("ResourceId.1", "t-1")]).call(&server).await.ok();
    // One of two is not hers, and an instance is more than what is in it.
    let both = tag(&[("ResourceId.1", "t-1"), ("ResourceId.2", "t-2")]);
    both.call(&server).await.refused(403, "Forbidden.RAM");
    let whole = [("ResourceType", "INSTANCE"), ("ResourceId.1", "default")];
    let whole = Rpc::new(
        "TagResources",
        &[&whole[..], &[("Tag.1.Key", "k")]].concat(),
    );
    let whole = whole.signed(ALICE).call(&server).await;
    whole.refused(403, "Forbidden.RAM");
    let other = [("ResourceType", "TOPIC"), ("ResourceId.1", "t-1")];
    let other = Rpc::new("ListTagResources", &other).signed(ALICE);
    other.call(&server).await.refused(403, "Forbidden.RAM");
    let status = |topic| Rpc::new("OnsTopicStatus", &[("Topic", topic)]).signed(ALICE);
    status("t-1").call(&server).await.ok();
    let message = status("t-2").call(&server).await;
    let message = message.refused(403, "Forbidden.RAM");
    assert!(message.contains("mq:OnsTopicStatus"), "{message}");
}
