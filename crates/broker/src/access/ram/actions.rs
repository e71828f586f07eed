//! What requests are called in policies.
//!
//! The actions of control operations have names of their own; `mq:` and the name of the operation
//! means the same, as older policies have it. All are in lower case here: case does not matter.
//!
//! Source: "RAM authorization" of the service's ONS OpenAPI 2019-02-14 and the pages of its
//! operations.

use crate::access::{Action, ResourceKind};

/// What everybody needs on an instance before anything in it.
pub(in crate::access) const BASE_INFO: &[&str] =
    &["mq:queryinstancebaseinfo", "mq:onsinstancebaseinfo"];

/// The actions by which data protocols let do this; one of them is enough. Empty where no policy
/// says anything: about the server as a whole.
pub(in crate::access) fn data_actions(
    kind: ResourceKind,
    action: Action,
) -> &'static [&'static str] {
    use ResourceKind::{Any, Cluster, Group, Namespace, Topic};
    match (kind, action) {
        (Topic, Action::Pub) => &["mq:pub"],
        // Who consumes looks up offsets too.
        (Topic | Group, Action::Sub | Action::Get) => &["mq:sub"],
        (Topic, Action::Create) => &["mq:createtopic", "mq:onstopiccreate"],
        (Topic, Action::Update) => &["mq:updatetopic", "mq:onstopicupdate"],
        (Topic, Action::Delete) => &["mq:deletetopic", "mq:onstopicdelete"],
        (Topic, Action::List) => &["mq:listtopic", "mq:onstopiclist"],
        (Group, Action::Create) => &["mq:creategroup", "mq:onsgroupcreate"],
        (Group, Action::Update) => &["mq:updategroup", "mq:onsgroupconsumerupdate"],
        (Group, Action::Delete) => &["mq:deletegroup", "mq:onsgroupdelete"],
        (Group, Action::List) => &["mq:listgroup", "mq:onsgrouplist"],
        (Group, Action::Pub) | (Topic | Group, Action::All) | (Any | Cluster | Namespace, _) => &[],
    }
}

/// Operations of the ONS OpenAPI and their actions.
const OPERATIONS: [(&str, &str); 40] = [
    ("OpenOnsService", "OpenOnsService"),
    ("OnsRegionList", "ListRegion"),
    ("OnsInstanceCreate", "CreateInstance"),
    ("OnsInstanceUpdate", "UpdateInstance"),
    ("OnsInstanceDelete", "DeleteInstance"),
    ("OnsInstanceBaseInfo", "QueryInstanceBaseInfo"),
    ("OnsInstanceInServiceList", "ListInstance"),
    ("OnsTopicCreate", "CreateTopic"),
    ("OnsTopicUpdate", "UpdateTopic"),
    ("OnsTopicDelete", "DeleteTopic"),
    ("OnsTopicList", "ListTopic"),
    ("OnsTopicStatus", "QueryTopicStatus"),
    ("OnsTopicSubDetail", "QueryTopicSubDetail"),
    ("OnsGroupCreate", "CreateGroup"),
    ("OnsGroupConsumerUpdate", "UpdateGroup"),
    ("OnsGroupDelete", "DeleteGroup"),
    ("OnsGroupList", "ListGroup"),
    ("OnsGroupSubDetail", "QueryGroupSubDetail"),
    ("OnsConsumerStatus", "QueryConsumerStatus"),
    ("OnsConsumerAccumulate", "QueryConsumerAccumulate"),
    ("OnsConsumerGetConnection", "QueryConsumerConnection"),
    ("OnsConsumerTimeSpan", "QueryConsumerTimeSpan"),
    ("OnsConsumerResetOffset", "ResetConsumerOffset"),
    ("OnsMessageGetByMsgId", "QueryMessage"),
    ("OnsMessageGetByKey", "QueryMessage"),
    ("OnsMessagePageQueryByTopic", "QueryMessage"),
    ("OnsMessageDetail", "QueryMessage"),
    ("OnsMessageTrace", "QueryTrace"),
    ("OnsMessagePush", "PushMessage"),
    ("OnsDLQMessageGetById", "QueryDLQMessage"),
    ("OnsDLQMessagePageQueryByGroupId", "QueryDLQMessage"),
    ("OnsDLQMessageResendById", "ResendDLQMessage"),
    ("OnsTraceQueryByMsgId", "QueryTrace"),
    ("OnsTraceQueryByMsgKey", "QueryTrace"),
    ("OnsTraceGetResult", "QueryTrace"),
    ("OnsTrendTopicInputTps", "QueryTrendTopicInputTps"),
    ("OnsTrendGroupOutputTps", "QueryTrendGroupOutputTps"),
    ("TagResources", "TagResources"),
    ("UntagResources", "UntagResources"),
    ("ListTagResources", "ListTagResources"),
];

/// The actions of a control operation.
pub(in crate::access) fn of_operation(operation: &str) -> Vec<String> {
    let action = OPERATIONS.iter().find(|(name, _)| *name == operation);
    let names = [Some(operation), action.map(|(_, action)| *action)];
    let names = names.into_iter().flatten();
    names
        .map(|name| format!("mq:{}", name.to_ascii_lowercase()))
        .collect()
}
