//! Lists of the instance that the namespace of a request names, and who gets them.

use broker::Series;
use wire::remoting::{
    RequestCode,
    body::{Body, TopicList},
};

use super::*;

#[tokio::test]
async fn what_is_allowed_in_one_instance_lists_no_other() {
    let server = guarded(&["Topic:* List,Get Allow", "Group:* List,Get Allow"]).await;
    let other = server.create_instance(Series::V5).await;
    let hidden = base::TopicName::new("hidden").unwrap();
    other
        .create_topic(broker::TopicSpec::new(hidden, 1))
        .await
        .unwrap();
    let mut peer = server.peer().await;
    for code in [
        RequestCode::GetAllTopicConfig,
        RequestCode::GetTopicListFromNameServer,
        RequestCode::GetTopicsByCluster,
        RequestCode::GetAllGroupConfig,
    ] {
        let mut plain = peer.command(code, &());
        plain.fields.push_str("cluster", "DefaultCluster");
        let mut about_other = plain.clone();
        about_other.fields.push_str("ns", other.id().as_str());
        let stranger = peer.ask(&about_other).await;
        denied(&stranger, "username cannot be null.");
        succeeded(&peer.ask(&signed(plain, ALICE)).await);
        let answer = peer.ask(&signed(about_other.clone(), ALICE)).await;
        let refused = Some(ResponseCode::NoPermission);
        assert_eq!(answer.response_code(), refused, "{code:?} {answer:?}");
        let answer = peer.ask(&signed(about_other, ROOT)).await;
        succeeded(&answer);
        if code == RequestCode::GetTopicListFromNameServer {
            let list = TopicList::decode(&answer.body).unwrap();
            assert_eq!(list.topics, [format!("{}%hidden", other.id())]);
        }
    }
}
