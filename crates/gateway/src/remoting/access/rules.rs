//! What each request needs: the one table, without a wildcard, so that a new request does not
//! compile before it has a rule.
//!
//! Source: `DefaultAuthorizationContextBuilder` and the annotated headers of RocketMQ 5.5.0. Where
//! Apache's broker lets everybody do what only administrators should (settings of the broker, new
//! groups, lists of everything, codes whose header has no annotation), a rule here is stricter;
//! each such rule says so.

use broker::access::{Action, ActionSet, ResourceKind};
use wire::remoting::{
    Command, RequestCode as Code,
    body::{
        BatchAckRequest, Body, BodyError, GroupConfig, HeartbeatData, LockQueuesRequest,
        QueryAssignmentRequest, SetMessageRequestMode,
    },
};

/// What a request needs.
pub(super) enum Rule {
    /// What its fields name.
    Fields(&'static [Field]),
    /// What its body names.
    Body(fn(&Command) -> Result<Vec<BodyNeed>, BodyError>),
    /// One of these actions on everything of the kind: an entry such as `Topic:*`.
    Every(ResourceKind, ActionSet),
    /// One of these actions on the cluster.
    Cluster(ActionSet),
    /// No more than that somebody signed it.
    Signed,
    /// The topic of a route, which anybody may know for names that are no topics.
    Route,
    /// One of these actions on the topic that is named, on the cluster where none is.
    TopicOrCluster(ActionSet),
}

/// A field that names something.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) names: Names,
    pub(super) any_of: ActionSet,
}

/// What a field names. A field that is empty or not there names nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// A topic; a retry topic stands for its group.
    Topic,
    /// A topic; a retry topic is covered by the group that was named before it, if it is that
    /// group's.
    TopicOfGroup,
    /// Topics, with this between them.
    Topics(char),
    /// A group.
    Group,
    /// Groups, with this between them.
    Groups(char),
    /// Something that only says which instance is meant.
    Instance,
}

/// What a body names.
pub(super) struct BodyNeed {
    pub(super) name: String,
    pub(super) names: Names,
    pub(super) any_of: ActionSet,
}

const PUB: ActionSet = ActionSet::of(&[Action::Pub]);
const SUB: ActionSet = ActionSet::of(&[Action::Sub]);
const GET: ActionSet = ActionSet::of(&[Action::Get]);
const CREATE: ActionSet = ActionSet::of(&[Action::Create]);
const UPDATE: ActionSet = ActionSet::of(&[Action::Update]);
const DELETE: ActionSet = ActionSet::of(&[Action::Delete]);
const SUB_GET: ActionSet = ActionSet::of(&[Action::Sub, Action::Get]);
const SUB_UPDATE: ActionSet = ActionSet::of(&[Action::Sub, Action::Update]);
const CREATE_UPDATE: ActionSet = ActionSet::of(&[Action::Create, Action::Update]);
const GET_LIST: ActionSet = ActionSet::of(&[Action::Get, Action::List]);

/// What a route may be asked for: to send, to receive, or to look.
pub(super) const ROUTE: ActionSet = ActionSet::of(&[Action::Pub, Action::Sub, Action::Get]);

const fn field(name: &'static str, names: Names, any_of: ActionSet) -> Field {
    Field {
        name,
        names,
        any_of,
    }
}

const fn topic(any_of: ActionSet) -> Field {
    field("topic", Names::Topic, any_of)
}

const fn topic_of_group(any_of: ActionSet) -> Field {
    field("topic", Names::TopicOfGroup, any_of)
}

const fn group(any_of: ActionSet) -> Field {
    field("group", Names::Group, any_of)
}

const fn consumer_group(any_of: ActionSet) -> Field {
    field("consumerGroup", Names::Group, any_of)
}

/// Whether a request is about the instance that its namespace names, as it names nothing in it.
pub(super) const fn is_of_namespace(code: Code) -> bool {
    matches!(
        code,
        Code::GetAllTopicConfig
            | Code::GetTopicListFromNameServer
            | Code::GetTopicsByCluster
            | Code::GetAllGroupConfig
    )
}

/// The rule of a request.
pub(super) const fn of(code: Code) -> Rule {
    use Names::Instance;
    match code {
        Code::SendMessage => {
            Rule::Fields(const { &[topic(PUB), field("producerGroup", Instance, PUB)] })
        }
        Code::SendMessageV2 | Code::SendBatchMessage => {
            Rule::Fields(const { &[field("b", Names::Topic, PUB), field("a", Instance, PUB)] })
        }
        // Nobody but the client that asked can tell the topic of a reply, and no policy names it.
        Code::SendReplyMessage => Rule::Fields(
            const {
                &[
                    field("topic", Instance, PUB),
                    field("producerGroup", Instance, PUB),
                ]
            },
        ),
        Code::SendReplyMessageV2 => {
            Rule::Fields(const { &[field("b", Instance, PUB), field("a", Instance, PUB)] })
        }
        Code::RecallMessage => {
            Rule::Fields(const { &[topic(PUB), field("producerGroup", Instance, PUB)] })
        }
        // Compat: clients before 5.0 do not say the topic.
        Code::EndTransaction => {
            Rule::Fields(const { &[topic(PUB), field("producerGroup", Instance, PUB)] })
        }
        Code::ConsumerSendMessageBack => {
            Rule::Fields(const { &[group(SUB), field("originTopic", Instance, SUB)] })
        }

        // Apache's broker checks no permission for 361.
        Code::PullMessage | Code::LitePullMessage => {
            Rule::Fields(const { &[consumer_group(SUB), topic_of_group(SUB)] })
        }
        Code::PopMessage
        | Code::AckMessage
        | Code::PeekMessage
        | Code::ChangeInvisibleDuration
        | Code::Notification
        | Code::PopLiteMessage
        | Code::AckLiteMessage
        | Code::ConsumeMessageDirectly => {
            Rule::Fields(const { &[consumer_group(SUB), topic_of_group(SUB)] })
        }
        // Apache's broker checks no permission for the bodies of 200151 and 400.
        Code::BatchAckMessage => Rule::Body(batch_ack),
        Code::QueryAssignment => Rule::Body(assignment),
        Code::PollingInfo => Rule::Fields(const { &[consumer_group(GET), topic_of_group(GET)] }),
        // Source: they name their topics in bodies that no released Remoting client sends.
        Code::LiteSubscriptionControl => Rule::Cluster(UPDATE),

        Code::Heartbeat => Rule::Body(heartbeat),
        Code::UnregisterClient => {
            Rule::Fields(const { &[consumer_group(SUB), field("producerGroup", Instance, SUB)] })
        }
        // They look at what the request itself says.
        Code::CheckClientConfig | Code::GetClientConfig => Rule::Signed,
        Code::GetConsumerListByGroup => Rule::Fields(const { &[consumer_group(SUB_GET)] }),
        Code::LockQueues | Code::UnlockQueues => Rule::Body(queues),

        Code::QueryConsumerOffset => {
            Rule::Fields(const { &[consumer_group(SUB_GET), topic_of_group(SUB_GET)] })
        }
        Code::UpdateConsumerOffset => {
            Rule::Fields(const { &[consumer_group(SUB_UPDATE), topic_of_group(SUB_UPDATE)] })
        }
        Code::SearchOffsetByTimestamp
        | Code::GetMaxOffset
        | Code::GetMinOffset
        | Code::GetEarliestStoreTime => Rule::Fields(const { &[topic(GET)] }),
        Code::QueryMessage => Rule::Fields(const { &[topic(SUB_GET)] }),
        // Apache's broker shows any message to everybody who names no topic.
        Code::ViewMessageById => Rule::TopicOrCluster(GET),
        Code::QueryBrokerOffset => Rule::Fields(const { &[topic(GET)] }),

        Code::GetRouteByTopic => Rule::Route,
        // What Apache's name server tells everybody: where the servers are.
        Code::GetBrokerClusterInfo => Rule::Signed,

        Code::UpdateAndCreateTopic => Rule::Fields(const { &[topic(CREATE)] }),
        Code::DeleteTopicInBroker | Code::DeleteTopicInNameServer => {
            Rule::Fields(const { &[topic(DELETE)] })
        }
        Code::GetTopicConfig | Code::GetTopicStatsInfo | Code::QueryTopicConsumeByWho => {
            Rule::Fields(const { &[topic(GET)] })
        }
        Code::CheckRocksDbQueueWriteProgress => Rule::TopicOrCluster(GET),
        Code::ResumeCheckHalfMessage => Rule::TopicOrCluster(UPDATE),
        // Stricter than Apache's broker, which checks no permission for these.
        Code::UpdateAndCreateTopicList | Code::UpdateAndCreateStaticTopic => {
            Rule::Every(ResourceKind::Topic, CREATE)
        }
        Code::RegisterTopicInNameServer => Rule::Every(ResourceKind::Topic, CREATE),
        Code::GetAllTopicConfig
        | Code::GetTopicConfigList
        | Code::GetTopicNameList
        | Code::GetTopicListFromNameServer
        | Code::GetTopicsByCluster
        | Code::GetSystemTopicListFromNameServer
        | Code::GetSystemTopicListFromBroker
        | Code::GetUnitTopicList
        | Code::GetHasUnitSubTopicList
        | Code::GetHasUnitSubUnunitTopicList
        | Code::GetParentTopicInfo
        | Code::GetLiteTopicInfo => Rule::Every(ResourceKind::Topic, GET_LIST),

        // Stricter than Apache's broker, which checks no permission for 200 and 225.
        Code::UpdateAndCreateGroup => Rule::Body(group_config),
        Code::UpdateAndCreateGroupList => Rule::Every(ResourceKind::Group, CREATE),
        Code::DeleteGroup => Rule::Fields(const { &[field("groupName", Names::Group, DELETE)] }),
        Code::GetGroupConfig | Code::QueryTopicsByConsumer => Rule::Fields(const { &[group(GET)] }),
        Code::GetConsumeStats => Rule::Fields(
            const {
                &[
                    consumer_group(GET),
                    topic(GET),
                    field("topicList", Names::Topics(';'), GET),
                ]
            },
        ),
        Code::GetConsumerConnectionList | Code::GetConsumerRunningInfo => {
            Rule::Fields(const { &[consumer_group(GET)] })
        }
        Code::QuerySubscriptionByConsumer
        | Code::QueryConsumeTimeSpan
        | Code::InvokeBrokerToGetConsumerStatus
        | Code::GetConsumerStatusFromClient => Rule::Fields(const { &[topic(GET), group(GET)] }),
        Code::QueryConsumeQueue => Rule::Fields(const { &[topic(GET), consumer_group(GET)] }),
        Code::QueryCorrectionOffset => Rule::Fields(
            const {
                &[
                    field("filterGroups", Names::Groups(','), GET),
                    field("compareGroup", Names::Group, GET),
                    topic(GET),
                ]
            },
        ),
        Code::InvokeBrokerToResetOffset | Code::ResetConsumerClientOffset => {
            Rule::Fields(const { &[topic(UPDATE), group(UPDATE)] })
        }
        Code::UpdateAndGetGroupForbidden => Rule::Fields(const { &[topic(UPDATE), group(UPDATE)] }),
        // Apache's broker does not ask whether the offsets that are copied may be known.
        Code::CloneGroupOffset => Rule::Fields(
            const {
                &[
                    field("srcGroup", Names::Group, SUB_GET),
                    field("destGroup", Names::Group, UPDATE),
                    topic(UPDATE),
                ]
            },
        ),
        Code::SetMessageRequestMode => Rule::Body(request_mode),
        Code::GetAllGroupConfig
        | Code::GetAllConsumerOffset
        | Code::GetAllMessageRequestMode
        | Code::GetLiteClientInfo
        | Code::GetLiteGroupInfo => Rule::Every(ResourceKind::Group, GET_LIST),

        Code::AuthCreateUser
        | Code::AuthUpdateUser
        | Code::AuthDeleteUser
        | Code::AuthCreateAcl
        | Code::AuthUpdateAcl
        | Code::AuthDeleteAcl
        | Code::CreateInstance
        | Code::UpdateInstance
        | Code::DeleteInstance
        | Code::RenewInstance
        | Code::UnsubscribeInstance
        | Code::ReleaseInstance
        | Code::RemoveNode
        | Code::OfferNode
        | Code::CreateRamPolicy
        | Code::UpdateRamPolicy
        | Code::DeleteRamPolicy
        | Code::AttachRamPolicy
        | Code::DetachRamPolicy => Rule::Cluster(UPDATE),
        Code::AuthGetUser
        | Code::AuthListUser
        | Code::AuthGetAcl
        | Code::AuthListAcl
        | Code::GetInstance
        | Code::ListInstances
        | Code::ListUsage
        | Code::ListNodes
        | Code::GetRamPolicy
        | Code::ListRamPolicies => Rule::Cluster(GET),

        // About the server as a whole. Stricter than Apache's broker for those whose header has no
        // annotation, such as 25, 26, 28 and 318.
        Code::GetBrokerConfig
        | Code::GetBrokerRuntimeInfo
        | Code::GetAllDelayOffset
        | Code::GetTimerCheckpoint
        | Code::GetTimerMetrics
        | Code::GetKvConfig
        | Code::GetKvListByNamespace
        | Code::GetProducerConnectionList
        | Code::GetAllProducerInfo
        | Code::ViewBrokerStatsData
        | Code::GetBrokerConsumeStats
        | Code::GetNameServerConfig
        | Code::QueryDataVersion
        | Code::ExportRocksDbConfigToJson
        | Code::GetBrokerMemberGroup
        | Code::GetBrokerHaStatus
        | Code::ControllerGetReplicaInfo
        | Code::ControllerGetMetadataInfo
        | Code::ControllerGetSyncStateData
        | Code::GetBrokerEpochCache
        | Code::GetControllerConfig
        | Code::ControllerGetNextBrokerId
        | Code::GetBrokerLiveInfoRequest
        | Code::GetSyncStateDataRequest
        | Code::GetColdDataFlowControl
        | Code::GetBrokerLiteInfo
        | Code::WhoConsumeTheMessage => Rule::Cluster(GET_LIST),
        Code::UpdateBrokerConfig
        | Code::TriggerDeleteFiles
        | Code::PutKvConfig
        | Code::DeleteKvConfig
        | Code::RegisterBroker
        | Code::UnregisterBroker
        | Code::WipeWritePermOfBroker
        | Code::AddWritePermOfBroker
        | Code::SuspendConsumer
        | Code::ResumeConsumer
        | Code::ResetConsumerOffsetInConsumer
        | Code::ResetConsumerOffsetInBroker
        | Code::AdjustConsumerThreadPool
        | Code::RegisterFilterServer
        | Code::RegisterMessageFilterClass
        | Code::CleanExpiredConsumeQueue
        | Code::CleanUnusedTopic
        | Code::UpdateNameServerConfig
        | Code::DeleteExpiredCommitLog
        | Code::AddBroker
        | Code::RemoveBroker
        | Code::BrokerHeartbeat
        | Code::NotifyMinBrokerIdChange
        | Code::ExchangeBrokerHaInfo
        | Code::ResetMasterFlushOffset
        | Code::ControllerAlterSyncStateSet
        | Code::ControllerElectMaster
        | Code::ControllerRegisterBroker
        | Code::NotifyBrokerRoleChanged
        | Code::UpdateControllerConfig
        | Code::CleanBrokerData
        | Code::ControllerApplyBrokerId
        | Code::BrokerCloseChannelRequest
        | Code::CheckNotActiveBrokerRequest
        | Code::RaftBrokerHeartBeatEventRequest
        | Code::UpdateColdDataFlowControl
        | Code::RemoveColdDataFlowControl
        | Code::SetCommitLogReadMode
        | Code::SwitchTimerEngine
        | Code::PopRollback
        | Code::TriggerLiteDispatch => Rule::Cluster(UPDATE),

        // What servers send to clients. A client that sends one gets no further than an
        // administrator would.
        Code::CheckTransactionState
        | Code::NotifyConsumerIdsChanged
        | Code::PushReplyMessageToClient
        | Code::NotifyUnsubscribeLite => Rule::Cluster(UPDATE),
    }
}

fn need(name: String, names: Names, any_of: ActionSet) -> BodyNeed {
    BodyNeed {
        name,
        names,
        any_of,
    }
}

fn heartbeat(command: &Command) -> Result<Vec<BodyNeed>, BodyError> {
    let beat = HeartbeatData::decode(&command.body)?;
    let mut needs = Vec::new();
    for producer in beat.producers {
        needs.push(need(producer.group_name, Names::Instance, PUB));
    }
    for consumer in beat.consumers {
        needs.push(need(consumer.group_name, Names::Group, SUB));
        for subscription in consumer.subscriptions {
            needs.push(need(subscription.topic, Names::TopicOfGroup, SUB));
        }
    }
    Ok(needs)
}

fn queues(command: &Command) -> Result<Vec<BodyNeed>, BodyError> {
    let body = LockQueuesRequest::decode(&command.body)?;
    let mut needs = vec![need(body.consumer_group, Names::Group, SUB)];
    for queue in body.queues {
        needs.push(need(queue.topic, Names::TopicOfGroup, SUB));
    }
    Ok(needs)
}

fn batch_ack(command: &Command) -> Result<Vec<BodyNeed>, BodyError> {
    let body = BatchAckRequest::decode(&command.body)?;
    let mut needs = Vec::new();
    for ack in body.acks {
        needs.push(need(ack.consumer_group, Names::Group, SUB));
        needs.push(need(ack.topic, Names::TopicOfGroup, SUB));
    }
    Ok(needs)
}

fn assignment(command: &Command) -> Result<Vec<BodyNeed>, BodyError> {
    let body = QueryAssignmentRequest::decode(&command.body)?;
    Ok(vec![
        need(body.consumer_group, Names::Group, SUB_GET),
        need(body.topic, Names::TopicOfGroup, SUB_GET),
    ])
}

fn request_mode(command: &Command) -> Result<Vec<BodyNeed>, BodyError> {
    let body = SetMessageRequestMode::decode(&command.body)?;
    Ok(vec![
        need(body.consumer_group, Names::Group, UPDATE),
        need(body.topic, Names::TopicOfGroup, UPDATE),
    ])
}

fn group_config(command: &Command) -> Result<Vec<BodyNeed>, BodyError> {
    let body = GroupConfig::decode(&command.body)?;
    Ok(vec![need(body.group_name, Names::Group, CREATE_UPDATE)])
}
