//! The table of operations: what each is called, which parameters it has, and what carries it out.
//!
//! Source: the models of `alibabacloud-ons20190214` 3.0.0 for Python.

use futures::future::BoxFuture;

use super::{
    Fields, call::Call, consumer_offset, consumer_status, dead_letter, group, instance,
    message_query, regions, status::Refusal, tags, topic, trace, trend,
};

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A whole number; times are ms since 1970.
    Integer,
    /// `true` or `false`, in any case.
    Boolean,
    /// Texts: `Name.1`, `Name.2`.
    List,
    /// Tags: `Name.1.Key`, `Name.1.Value`.
    Tags,
}

/// One parameter of an operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
}

/// What a permission for an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The account as a whole.
    Account,
    /// The instance.
    Instance,
    /// The topic of parameter `Topic`.
    Topic,
    /// The group of parameter `GroupId`.
    Group,
    /// What `ResourceId` and `ResourceType` name, each of them.
    Tagged,
}

/// One operation.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) subject: Subject,
    pub(super) parameters: &'static [Parameter],
    pub(super) run: fn(&Call) -> BoxFuture<'_, Result<Fields, Refusal>>,
}

/// The operation of that name.
pub(super) fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

macro_rules! operations {
    ($($name:ident($($parameter:ident: $kind:ident $($required:ident)?),*)
        about $subject:ident => $run:path;)*) => {
        /// All operations.
        pub(super) static OPERATIONS: &[Operation] = &[$(Operation {
            name: stringify!($name),
            subject: Subject::$subject,
            parameters: &[$(Parameter {
                name: stringify!($parameter),
                kind: Kind::$kind,
                is_required: operations!(@required $($required)?),
            }),*],
            run: |call| Box::pin($run(call)),
        }),*];
    };
    (@required) => { false };
    (@required required) => { true };
}

operations! {
    OpenOnsService() about Account => regions::open;
    OnsRegionList() about Account => regions::list;

    OnsInstanceCreate(InstanceName: Text required, Remark: Text)
        about Account => instance::create;
    OnsInstanceUpdate(InstanceId: Text required, InstanceName: Text, Remark: Text)
        about Instance => instance::update;
    OnsInstanceDelete(InstanceId: Text required) about Instance => instance::delete;
    OnsInstanceBaseInfo(InstanceId: Text required) about Instance => instance::base_info;
    OnsInstanceInServiceList(NeedResourceInfo: Boolean, Tag: Tags)
        about Account => instance::list;

    OnsTopicCreate(InstanceId: Text, MessageType: Integer required, Remark: Text,
        Topic: Text required) about Topic => topic::create;
    OnsTopicUpdate(InstanceId: Text, Perm: Integer required, Topic: Text required)
        about Topic => topic::update;
    OnsTopicDelete(InstanceId: Text, Topic: Text required) about Topic => topic::delete;
    OnsTopicList(InstanceId: Text, Tag: Tags, Topic: Text) about Instance => topic::list;
    OnsTopicStatus(InstanceId: Text, Topic: Text required) about Topic => topic::status;
    OnsTopicSubDetail(InstanceId: Text required, Topic: Text required)
        about Topic => topic::sub_detail;

    OnsGroupCreate(GroupId: Text required, GroupType: Text, InstanceId: Text, Remark: Text)
        about Group => group::create;
    OnsGroupConsumerUpdate(GroupId: Text required, InstanceId: Text, ReadEnable: Boolean required)
        about Group => group::consumer_update;
    OnsGroupDelete(GroupId: Text required, InstanceId: Text) about Group => group::delete;
    OnsGroupList(GroupId: Text, GroupType: Text, InstanceId: Text, Tag: Tags)
        about Instance => group::list;
    OnsGroupSubDetail(GroupId: Text required, InstanceId: Text required)
        about Group => group::sub_detail;

    TagResources(InstanceId: Text, ResourceId: List required, ResourceType: Text required,
        Tag: Tags required) about Tagged => tags::tag;
    UntagResources(All: Boolean, InstanceId: Text, ResourceId: List required,
        ResourceType: Text required, TagKey: List) about Tagged => tags::untag;
    ListTagResources(InstanceId: Text, NextToken: Text, ResourceId: List,
        ResourceType: Text required, Tag: Tags) about Tagged => tags::list;

    OnsConsumerStatus(InstanceId: Text, GroupId: Text required, Detail: Boolean,
        NeedJstack: Boolean) about Group => consumer_status::status;
    OnsConsumerAccumulate(InstanceId: Text, GroupId: Text required, Detail: Boolean)
        about Group => consumer_offset::accumulate;
    OnsConsumerGetConnection(InstanceId: Text, GroupId: Text required)
        about Group => consumer_status::connections;
    OnsConsumerTimeSpan(InstanceId: Text, GroupId: Text required, Topic: Text required)
        about Group => consumer_offset::time_span;
    OnsConsumerResetOffset(InstanceId: Text, GroupId: Text required, Topic: Text required,
        Type: Integer required, ResetTimestamp: Integer) about Group => consumer_offset::reset;

    OnsMessageGetByMsgId(InstanceId: Text, Topic: Text required, MsgId: Text required)
        about Topic => message_query::by_id;
    OnsMessageGetByKey(InstanceId: Text, Topic: Text required, Key: Text required)
        about Topic => message_query::by_key;
    OnsMessagePageQueryByTopic(InstanceId: Text, Topic: Text required,
        BeginTime: Integer required, EndTime: Integer required, CurrentPage: Integer required,
        PageSize: Integer, TaskId: Text) about Topic => message_query::page;
    OnsMessageDetail(InstanceId: Text required, Topic: Text required, MsgId: Text required)
        about Topic => message_query::detail;
    OnsMessageTrace(InstanceId: Text, Topic: Text required, MsgId: Text required)
        about Topic => message_query::track;
    OnsMessagePush(InstanceId: Text, Topic: Text required, GroupId: Text required,
        ClientId: Text required, MsgId: Text required) about Topic => message_query::push;

    OnsDLQMessageGetById(InstanceId: Text, GroupId: Text required, MsgId: Text required)
        about Group => dead_letter::by_id;
    OnsDLQMessagePageQueryByGroupId(InstanceId: Text, GroupId: Text required,
        BeginTime: Integer required, EndTime: Integer required, CurrentPage: Integer required,
        PageSize: Integer, TaskId: Text) about Group => dead_letter::page;
    OnsDLQMessageResendById(InstanceId: Text, GroupId: Text required, MsgId: Text required)
        about Group => dead_letter::resend;

    OnsTraceQueryByMsgId(InstanceId: Text, Topic: Text required, MsgId: Text required,
        BeginTime: Integer required, EndTime: Integer required) about Topic => trace::by_id;
    OnsTraceQueryByMsgKey(InstanceId: Text, Topic: Text required, MsgKey: Text required,
        BeginTime: Integer required, EndTime: Integer required) about Topic => trace::by_key;
    OnsTraceGetResult(InstanceId: Text, QueryId: Text required, Topic: Text)
        about Instance => trace::result;

    OnsTrendTopicInputTps(InstanceId: Text, Topic: Text required, BeginTime: Integer required,
        EndTime: Integer required, Type: Integer required, Period: Integer)
        about Topic => trend::topic_input;
    OnsTrendGroupOutputTps(InstanceId: Text, GroupId: Text required, Topic: Text required,
        BeginTime: Integer required, EndTime: Integer required, Type: Integer required,
        Period: Integer) about Group => trend::group_output;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_is_there_once() {
        let names: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
        assert_eq!((names.len(), OPERATIONS.len()), (40, 40));
    }

    #[test]
    fn the_reference_page_has_every_operation_and_its_parameters() {
        let page = include_str!("../../../../docs/reference/ons-openapi.md");
        for operation in OPERATIONS {
            let name = operation.name;
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| `{name}` |")));
            let row = row.unwrap_or_else(|| panic!("{name} is not on the page"));
            let parameters = row.split('|').nth(2).unwrap();
            let shown: BTreeSet<&str> = parameters
                .split(',')
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .collect();
            let known = operation.parameters.iter().map(|parameter| {
                let mark = if parameter.is_required { "\\*" } else { "" };
                format!("`{}`{mark}", parameter.name)
            });
            let known: Vec<String> = known.collect();
            let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
            assert_eq!(shown, known, "{name}");
        }
    }
}
