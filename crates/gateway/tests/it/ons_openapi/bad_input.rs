//! Requests that no SDK makes.

use super::{Acs3, Rpc, ask, call};
use crate::support::Server;

#[tokio::test]
async fn what_is_missing_or_wrong_is_named() {
    let server = Server::start().await;
    let no_action = Acs3::new("", &[("Version", "2019-02-14"), ("Action", "")]);
    let no_action = no_action.header("content-type", "application/x-www-form-urlencoded");
    let message = no_action.call(&server).await;
    assert_eq!(message.status, 400);
    assert!(
        message.body.contains("<Code>MissingAction</Code>"),
        "{message:?}"
    );
    let answer = ask(&server, "OnsNothing", &[]).await;
    let message = answer.refused(404, "InvalidAction.NotFound");
    assert!(message.contains("`OnsNothing`"), "{message}");
    let no_version = Rpc::new("OnsRegionList", &[]).with("Version", "");
    no_version
        .call(&server)
        .await
        .refused(400, "MissingVersion");
    let other = Rpc::new("OnsRegionList", &[]).with("Version", "2022-08-01");
    let message = other.call(&server).await.refused(400, "InvalidVersion");
    assert!(message.contains("expected 2019-02-14"), "{message}");
    let format = Acs3::new("OnsRegionList", &[("Format", "YAML")]);
    format.call(&server).await.refused(400, "InvalidFormat");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let server = Server::start().await;
    let header = ("x-acs-action", "OnsRegionList");
    for query in ["a=%", "a=%zz", "a=%ff", "a=1&a=2"] {
        let answer = call(&server, "POST", &format!("/?{query}"), &[header], "").await;
        answer.refused(400, "InvalidParameter.Format");
    }
    let many: String = (0..300).map(|n| format!("p{n}=1&")).collect();
    let answer = call(&server, "GET", &format!("/?{many}"), &[header], "").await;
    answer.refused(400, "InvalidParameter.Format");
    let long = format!("/?a={}", "x".repeat(25_000));
    let answer = call(&server, "GET", &long, &[header], "").await;
    answer.refused(413, "RequestEntityTooLarge");
    let form = (
        "content-type",
        "application/x-www-form-urlencoded; charset=utf-8",
    );
    let large = format!("a={}", "x".repeat(70_000));
    let answer = call(&server, "POST", "/", &[header, form], &large).await;
    answer.refused(413, "RequestEntityTooLarge");
    // A path of nobody, and a method that is not the API's.
    let answer = call(&server, "GET", "/", &[], "").await;
    assert_eq!(answer.status, 404);
    let answer = call(&server, "DELETE", "/?Action=OnsRegionList", &[], "").await;
    assert_eq!(answer.status, 404);
}
