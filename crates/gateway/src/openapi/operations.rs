//! The table of operations: what each is called, where it is, which parameters it has, what it
//! answers, and what carries it out.
//!
//! Source: the models of `alibabacloud-rocketmq20220801` 5.1.0 for Python. Releases and updates,
//! for which the service has no operations, are our own.

use control::Operation as Change;
use futures::future::BoxFuture;
use serde_json::Value;

use super::{
    account, acl,
    call::Call,
    client,
    forward::{self, Ask},
    group, inspection, instance, ip_whitelist, lag, message_query, metric,
    parameter::{Kind, Parameter, Place},
    region, release,
    status::Refusal,
    subscription, tags, topic, trace, update_task, update_window, verify,
};

/// What a permission for an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The account as a whole.
    Account,
    /// All instances.
    Instances,
    /// The instance in the path.
    Instance,
    /// The topic in the path.
    Topic,
    /// The group in the path.
    Group,
    /// The instances that `resourceId` names.
    Tagged,
    /// The instance of the report in the path.
    Report,
}

/// What an operation answers in `data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// `true`.
    Done,
    /// A text.
    Text,
    /// An object.
    Object,
    /// A list.
    List,
    /// A page of a list.
    Page,
    /// Nothing: there is no `data`.
    Nothing,
    /// A document of its own, without the envelope.
    Bare,
}

/// One operation.
pub(super) struct Operation {
    pub(super) name: &'static str,
    /// What documents have it under.
    pub(super) about: &'static str,
    pub(super) method: &'static str,
    /// With the names of what stands in its place: `/instances/{instanceId}`.
    pub(super) path: &'static str,
    pub(super) subject: Subject,
    pub(super) answers: Answers,
    pub(super) parameters: &'static [Parameter],
    /// What an update of the instance takes it for and has refused; `None` if it may go on.
    pub(super) blocked_as: Option<Change>,
    /// Which nodes have what it is about, where this process has no messages; `None` if it is
    /// about metadata alone.
    pub(super) on_nodes: Option<Ask>,
    pub(super) run: fn(&Call) -> BoxFuture<'_, Result<Value, Refusal>>,
}

macro_rules! operations {
    ($($about:literal { $($name:ident: $method:ident $path:literal
        ($($place:ident $parameter:literal: $kind:ident $($required:ident)?),* $(,)?)
        $subject:ident $answers:ident => $run:path
            $(, blocked as $change:ident)? $(, from $nodes:expr)?;)* })*) => {
        /// All operations.
        pub(super) static OPERATIONS: &[Operation] = &[$($(Operation {
            name: stringify!($name),
            about: $about,
            method: stringify!($method),
            path: $path,
            subject: Subject::$subject,
            answers: Answers::$answers,
            parameters: &[$(Parameter {
                name: $parameter,
                kind: Kind::$kind,
                place: operations!(@place $place),
                is_required: operations!(@required $($required)?),
            }),*],
            blocked_as: operations!(@change $($change)?),
            on_nodes: operations!(@nodes $($nodes)?),
            run: |call| Box::pin($run(call)),
        },)*)*];
    };
    (@nodes) => { None };
    (@nodes $nodes:expr) => { Some($nodes) };
    (@change) => { None };
    (@change $change:ident) => { Some(Change::$change) };
    (@required) => { false };
    (@required required) => { true };
    (@place query) => { Place::Query };
    (@place body) => { Place::Body };
}

operations! {
    "Instances" {
        CreateInstance: POST "/instances" (
            query "clientToken": Text, body "aclInfo.defaultVpcAuthFree": Boolean,
            body "autoRenew": Boolean, body "autoRenewPeriod": Integer,
            body "commodityCode": Text, body "instanceName": Text,
            body "networkInfo.internetInfo.flowOutBandwidth": Integer,
            body "networkInfo.internetInfo.flowOutType": Text required,
            body "networkInfo.internetInfo.internetSpec": Text required,
            body "networkInfo.internetInfo.ipWhitelist": Texts,
            body "networkInfo.vpcInfo.securityGroupIds": Text,
            body "networkInfo.vpcInfo.vSwitchId": Text,
            body "networkInfo.vpcInfo.vSwitches": Objects,
            body "networkInfo.vpcInfo.vpcId": Text required, body "paymentType": Text required,
            body "period": Integer, body "periodUnit": Text,
            body "productInfo.adaptiveElasticity": Boolean,
            body "productInfo.autoScaling": Boolean, body "productInfo.capacityType": Text,
            body "productInfo.drReplicationMode": Text,
            body "productInfo.messageRetentionTime": Integer,
            body "productInfo.msgProcessSpec": Text, body "productInfo.nodeCount": Integer,
            body "productInfo.provisionedCapacity": Integer,
            body "productInfo.sendReceiveRatio": Number,
            body "productInfo.storageEncryption": Boolean,
            body "productInfo.storageSecretKey": Text, body "productInfo.traceOn": Boolean,
            body "remark": Text, body "resourceGroupId": Text, body "seriesCode": Text required,
            body "serviceCode": Text required, body "subSeriesCode": Text required,
            body "tags": Objects,
        ) Instances Text => instance::create;
        GetInstance: GET "/instances/{instanceId}" () Instance Object => instance::get;
        ListInstances: GET "/instances" (
            query "filter": Text, query "pageNumber": Integer, query "pageSize": Integer,
            query "resourceGroupId": Text, query "seriesCodes": Texts,
            query "storageSecretKey": Text, query "tags": Text,
        ) Instances Page => instance::list;
        UpdateInstance: PATCH "/instances/{instanceId}" (
            body "aclInfo.aclTypes": Texts, body "aclInfo.defaultVpcAuthFree": Boolean,
            body "instanceName": Text, body "networkInfo.internetInfo.ipWhitelist": Texts,
            body "productInfo.adaptiveElasticity": Boolean,
            body "productInfo.autoScaling": Boolean,
            body "productInfo.messageRetentionTime": Integer,
            body "productInfo.nodeCount": Integer,
            body "productInfo.sendReceiveRatio": Number, body "productInfo.traceOn": Boolean,
            body "remark": Text,
        ) Instance Done => instance::update;
        DeleteInstance: DELETE "/instances/{instanceId}" ()
            Instance Done => instance::delete, blocked as DeleteInstance;
    }
    "Regions and zones" {
        ListRegions: GET "/regions" () Account List => region::list;
        ListAvailableZones: GET "/zones" () Account List => region::zones;
    }
    "Topics" {
        CreateTopic: POST "/instances/{instanceId}/topics/{topicName}" (
            body "liteTopicExpiration": Integer, body "maxSendTps": Integer,
            body "messageType": Text required, body "remark": Text,
        ) Topic Done => topic::create, blocked as CreateTopic;
        GetTopic: GET "/instances/{instanceId}/topics/{topicName}" () Topic Object => topic::get;
        ListTopics: GET "/instances/{instanceId}/topics" (
            query "filter": Text, query "messageTypes": Texts, query "pageNumber": Integer,
            query "pageSize": Integer,
        ) Instance Page => topic::list;
        UpdateTopic: PATCH "/instances/{instanceId}/topics/{topicName}" (
            body "liteTopicExpiration": Integer, body "maxSendTps": Integer, body "remark": Text,
        ) Topic Done => topic::update, blocked as UpdateTopic;
        DeleteTopic: DELETE "/instances/{instanceId}/topics/{topicName}" ()
            Topic Done => topic::delete, blocked as DeleteTopic;
        ListTopicSubscriptions: GET "/instances/{instanceId}/topics/{topicName}/subscriptions" ()
            Topic List => subscription::of_topic,
            from Ask::Each(forward::subscriptions);
    }
    "Consumer groups" {
        CreateConsumerGroup: POST "/instances/{instanceId}/consumerGroups/{consumerGroupId}" (
            body "consumeRetryPolicy.deadLetterTargetTopic": Text,
            body "consumeRetryPolicy.fixedIntervalRetryTime": Integer,
            body "consumeRetryPolicy.maxRetryTimes": Integer,
            body "consumeRetryPolicy.retryPolicy": Text required,
            body "deliveryOrderType": Text required, body "exclusive": Boolean,
            body "maxReceiveTps": Integer, body "messageModel": Text, body "remark": Text,
            body "topicName": Text,
        ) Group Done => group::create, blocked as CreateGroup;
        GetConsumerGroup: GET "/instances/{instanceId}/consumerGroups/{consumerGroupId}" ()
            Group Object => group::get;
        ListConsumerGroups: GET "/instances/{instanceId}/consumerGroups" (
            query "filter": Text, query "pageNumber": Integer, query "pageSize": Integer,
        ) Instance Page => group::list;
        UpdateConsumerGroup: PATCH "/instances/{instanceId}/consumerGroups/{consumerGroupId}" (
            body "consumeRetryPolicy.deadLetterTargetTopic": Text,
            body "consumeRetryPolicy.fixedIntervalRetryTime": Integer,
            body "consumeRetryPolicy.maxRetryTimes": Integer,
            body "consumeRetryPolicy.retryPolicy": Text required,
            body "deliveryOrderType": Text, body "maxReceiveTps": Integer, body "remark": Text,
        ) Group Done => group::update, blocked as UpdateGroup;
        DeleteConsumerGroup: DELETE "/instances/{instanceId}/consumerGroups/{consumerGroupId}" ()
            Group Done => group::delete, blocked as DeleteGroup;
        GetConsumerGroupLag: GET "/instances/{instanceId}/consumerGroups/{consumerGroupId}/lag" (
            query "liteTopicName": Text, query "topicName": Text,
        ) Group Object => lag::get,
            from Ask::Each(forward::lags);
        GetConsumeTimespan: GET
            "/instances/{instanceId}/consumerGroups/{consumerGroupId}/consumeTimespan/{topicName}"
            () Group Object => lag::time_span,
            from Ask::Each(forward::time_spans);
        ResetConsumeOffset: PATCH
            "/instances/{instanceId}/consumerGroups/{consumerGroupId}/consumeOffsets/{topicName}"
            (body "resetTime": Text, body "resetType": Text) Group Nothing => lag::reset,
            from Ask::Each(forward::nothing);
        ListConsumerConnections: GET
            "/instances/{instanceId}/consumerGroups/{consumerGroupId}/connections" (
            query "liteTopicName": Text, query "topicName": Text,
        ) Group Object => client::connections,
            from Ask::Each(forward::connections);
        GetConsumerStack: GET "/instances/{instanceId}/consumerGroups/{consumerGroupId}/stack"
            (query "clientId": Text required) Group Object => client::stack,
            from Ask::Finder;
        ListConsumerGroupSubscriptions: GET
            "/instances/{instanceId}/consumerGroups/{consumerGroupId}/subscriptions"
            (query "topicName": Text) Group List => subscription::of_group,
            from Ask::Each(forward::subscriptions);
        GetConsumerGroupSubscription: GET
            "/instances/{instanceId}/consumerGroups/{consumerGroupId}/subscriptions/{topicName}"
            () Group List => subscription::get,
            from Ask::Each(forward::said);
        DeleteConsumerGroupSubscription: DELETE
            "/instances/{instanceId}/consumerGroups/{consumerGroupId}/subscriptions" (
            query "filterExpression": Text required, query "filterType": Text required,
            query "topicName": Text required,
        ) Group Done => subscription::delete,
            from Ask::Each(forward::nothing);
    }
    "Messages and traces" {
        ListMessages: GET "/instances/{instanceId}/topics/{topicName}/messages" (
            query "endTime": Text, query "liteTopicName": Text, query "messageId": Text,
            query "messageKey": Text, query "pageNumber": Integer, query "pageSize": Integer,
            query "scrollId": Text, query "startTime": Text,
        ) Topic Page => message_query::list,
            from Ask::Pages;
        GetMessageDetail: GET "/instances/{instanceId}/topics/{topicName}/messages/{messageId}" ()
            Topic Object => message_query::detail,
            from Ask::Finder;
        VerifySendMessage: POST "/instances/{instanceId}/topics/{topicName}/messages" (
            body "deliveryTimeStamp": Integer, body "liteTopicName": Text, body "message": Text,
            body "messageGroup": Text, body "messageKey": Text, body "messageTag": Text,
            body "userProperties": Map,
        ) Topic Text => verify::send,
            from Ask::One;
        VerifyConsumeMessage: POST
            "/instances/{instanceId}/topics/{topicName}/messages/{messageId}/action/verifyConsume"
            (query "clientId": Text required, query "consumerGroupId": Text required)
            Topic Done => verify::consume,
            from Ask::Finder;
        ListTraces: GET "/instances/{instanceId}/topics/{topicName}/traces" (
            query "endTime": Text required, query "liteTopicName": Text, query "messageId": Text,
            query "messageKey": Text, query "pageNumber": Integer required,
            query "pageSize": Integer required, query "queryType": Text required,
            query "startTime": Text required,
        ) Topic Page => trace::list,
            from Ask::Pages;
        GetTrace: GET "/instances/{instanceId}/topics/{topicName}/traces/{messageId}"
            (query "endTime": Text, query "startTime": Text) Topic Object => trace::get,
            from Ask::Traces;
    }
    "Accounts" {
        CreateInstanceAccount: POST "/instances/{instanceId}/accounts" (
            body "password": Text required, body "remark": Text, body "username": Text required,
        ) Instance Done => account::create;
        GetInstanceAccount: GET "/instances/{instanceId}/account" (query "username": Text)
            Instance Object => account::get;
        ListInstanceAccount: GET "/instances/{instanceId}/accounts" (
            query "accountStatus": Text, query "accountType": Text, query "pageNumber": Integer,
            query "pageSize": Integer, query "username": Text,
        ) Instance Page => account::list;
        UpdateInstanceAccount: PATCH "/instances/{instanceId}/accounts/{username}" (
            query "accountStatus": Text, query "password": Text, query "remark": Text,
        ) Instance Done => account::update;
        DeleteInstanceAccount: DELETE "/instances/{instanceId}/accounts/{username}" ()
            Instance Done => account::delete;
    }
    "ACL" {
        CreateInstanceAcl: POST "/instances/{instanceId}/acl/account/{username}" (
            body "actions": Texts required, body "decision": Text required,
            body "ipWhitelists": Texts, body "resourceName": Text required,
            body "resourceType": Text required,
        ) Instance Done => acl::create;
        GetInstanceAcl: GET "/instances/{instanceId}/acl/account/{username}"
            (query "resourceName": Text required, query "resourceType": Text required)
            Instance Object => acl::get;
        ListInstanceAcl: GET "/instances/{instanceId}/acl" (
            query "filter": Text, query "pageNumber": Integer, query "pageSize": Integer,
        ) Instance Page => acl::list;
        UpdateInstanceAcl: PATCH "/instances/{instanceId}/acl/account/{username}" (
            body "actions": Texts, body "decision": Text, body "ipWhitelists": Texts,
            body "resourceName": Text required, body "resourceType": Text required,
        ) Instance Done => acl::update;
        DeleteInstanceAcl: DELETE "/instances/{instanceId}/acl/account/{username}"
            (query "resourceName": Text required, query "resourceType": Text required)
            Instance Done => acl::delete;
    }
    "IP whitelist" {
        CreateInstanceIpWhitelist: POST "/instances/{instanceId}/ip/whitelist"
            (body "ipWhitelists": Texts required) Instance Done => ip_whitelist::create;
        GetInstanceIpWhitelist: GET "/instances/{instanceId}/ip/whitelists"
            (query "ipWhitelists": Texts) Instance Object => ip_whitelist::get;
        ListInstanceIpWhitelist: GET "/instances/{instanceId}/ip/whitelist" (
            query "ipWhitelist": Text, query "pageNumber": Integer, query "pageSize": Integer,
        ) Instance Page => ip_whitelist::list;
        DeleteInstanceIpWhitelist: DELETE "/instances/{instanceId}/ip/whitelist"
            (query "ipWhitelist": Text, query "ipWhitelists": Texts)
            Instance Done => ip_whitelist::delete;
    }
    "Tags and resource groups" {
        TagResources: POST "/resourceTag/create" (
            query "regionId": Text required, query "resourceId": Text required,
            query "resourceType": Text required, query "tag": Text required,
        ) Tagged Done => tags::tag;
        UntagResources: DELETE "/resourceTag/delete" (
            query "all": Boolean, query "regionId": Text required,
            query "resourceId": Text required, query "resourceType": Text required,
            query "tagKey": Text,
        ) Tagged Done => tags::untag;
        ListTagResources: GET "/resourceTag/list" (
            query "nextToken": Text, query "regionId": Text required,
            query "resourceGroupId": Text, query "resourceId": Text,
            query "resourceType": Text required, query "tag": Text,
        ) Tagged Object => tags::list;
        ChangeResourceGroup: POST "/resourceGroup/change" (
            query "regionId": Text required, query "resourceGroupId": Text required,
            query "resourceId": Text required, query "resourceType": Text required,
        ) Tagged Done => tags::change_resource_group;
    }
    "Releases and updates" {
        PublishRelease: POST "/releases" (
            body "binary": Text required, body "key": Text, body "notes": Text,
            body "releasedOn": Text, body "signature": Text required,
            body "version": Text required,
        ) Account Object => release::publish;
        ListReleases: GET "/releases" (query "pageNumber": Integer, query "pageSize": Integer)
            Account Page => release::list;
        GetInstanceVersion: GET "/instances/{instanceId}/version" ()
            Instance Object => release::of_instance;
        ListUpdateTasks: GET "/updateTasks" (
            query "instanceId": Text, query "overdue": Boolean, query "pageNumber": Integer,
            query "pageSize": Integer, query "statuses": Texts,
        ) Instance Page => update_task::list;
        GetUpdateTask: GET "/instances/{instanceId}/updateTasks/{taskId}" ()
            Instance Object => update_task::get;
        RescheduleUpdateTask: PATCH "/instances/{instanceId}/updateTasks/{taskId}"
            (body "scheduledTime": Text required) Instance Object => update_task::reschedule;
        CancelUpdateTask: DELETE "/instances/{instanceId}/updateTasks/{taskId}" ()
            Instance Done => update_task::cancel;
        GetMaintenanceWindow: GET "/instances/{instanceId}/maintenanceWindow" ()
            Instance Object => update_window::get;
        UpdateMaintenanceWindow: PATCH "/instances/{instanceId}/maintenanceWindow"
            (body "maintainTime": Text, body "timeZone": Text)
            Instance Object => update_window::set;
    }
    "Metrics" {
        ListMetricMeta: GET "/monitor/metrics/meta"
            (query "pageNumber": Integer required, query "pageSize": Integer required)
            Account Page => metric::list;
    }
    "Inspections" {
        ListInspectionTemplates: GET "/api/v1/monitoring/templates" (
            query "maxResults": Integer, query "nextToken": Text, query "regionId": Text required,
        ) Account Bare => inspection::list_templates;
        ListInstanceInspections: GET "/api/v1/monitoring/instance-inspections" (
            query "maxResults": Integer, query "nextToken": Text, query "regionId": Text required,
        ) Instances Bare => inspection::list;
        CreateInstanceInspection: POST "/api/v1/monitoring/instance-inspections/{instanceId}" (
            query "regionId": Text required, body "clientToken": Text required,
            body "items": Objects required, body "resourceScope.consumerGroups": Texts,
            body "resourceScope.mode": Text required, body "resourceScope.topics": Texts,
            body "schedule.cron": Text, body "schedule.enabled": Boolean required,
        ) Instance Bare => inspection::create;
        GetInstanceInspection: GET "/api/v1/monitoring/instance-inspections/{instanceId}"
            (query "regionId": Text required) Instance Bare => inspection::get;
        UpdateInstanceInspection: PUT "/api/v1/monitoring/instance-inspections/{instanceId}" (
            query "regionId": Text required, body "clientToken": Text required,
            body "items": Objects, body "resourceScope.consumerGroups": Texts,
            body "resourceScope.mode": Text, body "resourceScope.topics": Texts,
            body "revision": Integer required, body "schedule.cron": Text,
            body "schedule.enabled": Boolean,
        ) Instance Bare => inspection::update;
        DeleteInstanceInspection: DELETE "/api/v1/monitoring/instance-inspections/{instanceId}"
            (query "regionId": Text required) Instance Bare => inspection::delete;
        RunInstanceInspection: POST "/api/v1/monitoring/instance-inspections/{instanceId}/runs" (
            query "regionId": Text required, body "clientToken": Text required,
            body "itemOverrides": Objects,
        ) Instance Bare => inspection::begin,
            from Ask::One;
        ListInstanceInspectionRuns: GET
            "/api/v1/monitoring/instance-inspections/{instanceId}/runs" (
            query "endTime": Text, query "maxResults": Integer, query "nextToken": Text,
            query "regionId": Text required, query "reportStatus": Text, query "result": Text,
            query "sortBy": Text, query "startTime": Text, query "status": Text,
            query "templateCode": Text,
        ) Instance Bare => inspection::list_runs;
        GetInstanceInspectionRun: GET
            "/api/v1/monitoring/instance-inspections/{instanceId}/runs/{runId}"
            (query "regionId": Text required) Instance Bare => inspection::get_run;
        GetInstanceInspectionReport: GET
            "/api/v1/monitoring/instance-inspections/reports/{reportId}" ()
            Report Bare => inspection::get_report;
        ListInstanceInspectionResources: GET
            "/api/v1/monitoring/instance-inspections/{instanceId}/resources" (
            query "maxResults": Integer, query "nextToken": Text,
            query "regionId": Text required, query "runId": Text,
            query "templateCode": Text required,
        ) Instance Bare => inspection::list_resources;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_operation_is_there_twice() {
        let names: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
        assert_eq!(names.len(), OPERATIONS.len());
        let places: BTreeSet<(&str, &str)> = OPERATIONS
            .iter()
            .map(|operation| (operation.method, operation.path))
            .collect();
        assert_eq!(places.len(), OPERATIONS.len());
    }
}
