//! What a request asks for.
//!
//! Numbers are those of RocketMQ 5.5.0's `RequestCode`, and from 31001 on our own. The names are
//! also the `request_code` labels of RocketMQ's metrics.

macro_rules! request_codes {
    ($($(#[$meta:meta])* $variant:ident = $code:literal $name:literal;)*) => {
        /// A known request of clients, administration tools and other servers. Exhaustive on
        /// purpose: the table of access rules must not compile without a rule for a new one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        #[expect(missing_docs, reason = "the protocol's own names say all that is known of most")]
        pub enum RequestCode {
            $($(#[$meta])* $variant = $code,)*
        }

        impl RequestCode {
            /// All known requests.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The request with this number.
            pub const fn from_i32(code: i32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Name in logs and metrics.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

request_codes! {
    SendMessage = 10 "send_message";
    PullMessage = 11 "pull_message";
    QueryMessage = 12 "query_message";
    QueryBrokerOffset = 13 "query_broker_offset";
    QueryConsumerOffset = 14 "query_consumer_offset";
    UpdateConsumerOffset = 15 "update_consumer_offset";
    UpdateAndCreateTopic = 17 "update_and_create_topic";
    UpdateAndCreateTopicList = 18 "update_and_create_topic_list";
    GetAllTopicConfig = 21 "get_all_topic_config";
    GetTopicConfigList = 22 "get_topic_config_list";
    GetTopicNameList = 23 "get_topic_name_list";
    UpdateBrokerConfig = 25 "update_broker_config";
    GetBrokerConfig = 26 "get_broker_config";
    TriggerDeleteFiles = 27 "trigger_delete_files";
    GetBrokerRuntimeInfo = 28 "get_broker_runtime_info";
    SearchOffsetByTimestamp = 29 "search_offset_by_timestamp";
    GetMaxOffset = 30 "get_max_offset";
    GetMinOffset = 31 "get_min_offset";
    GetEarliestStoreTime = 32 "get_earliest_msg_storetime";
    ViewMessageById = 33 "view_message_by_id";
    Heartbeat = 34 "heart_beat";
    UnregisterClient = 35 "unregister_client";
    ConsumerSendMessageBack = 36 "consumer_send_msg_back";
    EndTransaction = 37 "end_transaction";
    GetConsumerListByGroup = 38 "get_consumer_list_by_group";
    CheckTransactionState = 39 "check_transaction_state";
    NotifyConsumerIdsChanged = 40 "notify_consumer_ids_changed";
    LockQueues = 41 "lock_batch_mq";
    UnlockQueues = 42 "unlock_batch_mq";
    GetAllConsumerOffset = 43 "get_all_consumer_offset";
    GetAllDelayOffset = 45 "get_all_delay_offset";
    CheckClientConfig = 46 "check_client_config";
    GetClientConfig = 47 "get_client_config";
    GetTimerCheckpoint = 60 "get_timer_check_point";
    GetTimerMetrics = 61 "get_timer_metrics";
    PutKvConfig = 100 "put_kv_config";
    GetKvConfig = 101 "get_kv_config";
    DeleteKvConfig = 102 "delete_kv_config";
    RegisterBroker = 103 "register_broker";
    UnregisterBroker = 104 "unregister_broker";
    GetRouteByTopic = 105 "get_routeinfo_by_topic";
    GetBrokerClusterInfo = 106 "get_broker_cluster_info";
    UpdateAndCreateGroup = 200 "update_and_create_subscriptiongroup";
    GetAllGroupConfig = 201 "get_all_subscriptiongroup_config";
    GetTopicStatsInfo = 202 "get_topic_stats_info";
    GetConsumerConnectionList = 203 "get_consumer_connection_list";
    GetProducerConnectionList = 204 "get_producer_connection_list";
    WipeWritePermOfBroker = 205 "wipe_write_perm_of_broker";
    GetTopicListFromNameServer = 206 "get_all_topic_list_from_nameserver";
    DeleteGroup = 207 "delete_subscriptiongroup";
    GetConsumeStats = 208 "get_consume_stats";
    SuspendConsumer = 209 "suspend_consumer";
    ResumeConsumer = 210 "resume_consumer";
    ResetConsumerOffsetInConsumer = 211 "reset_consumer_offset_in_consumer";
    ResetConsumerOffsetInBroker = 212 "reset_consumer_offset_in_broker";
    AdjustConsumerThreadPool = 213 "adjust_consumer_thread_pool";
    WhoConsumeTheMessage = 214 "who_consume_the_message";
    DeleteTopicInBroker = 215 "delete_topic_in_broker";
    DeleteTopicInNameServer = 216 "delete_topic_in_namesrv";
    RegisterTopicInNameServer = 217 "register_topic_in_namesrv";
    GetKvListByNamespace = 219 "get_kvlist_by_namespace";
    ResetConsumerClientOffset = 220 "reset_consumer_client_offset";
    GetConsumerStatusFromClient = 221 "get_consumer_status_from_client";
    InvokeBrokerToResetOffset = 222 "invoke_broker_to_reset_offset";
    InvokeBrokerToGetConsumerStatus = 223 "invoke_broker_to_get_consumer_status";
    GetTopicsByCluster = 224 "get_topics_by_cluster";
    UpdateAndCreateGroupList = 225 "update_and_create_subscriptiongroup_list";
    QueryTopicConsumeByWho = 300 "query_topic_consume_by_who";
    RegisterFilterServer = 301 "register_filter_server";
    RegisterMessageFilterClass = 302 "register_message_filter_class";
    QueryConsumeTimeSpan = 303 "query_consume_time_span";
    GetSystemTopicListFromNameServer = 304 "get_system_topic_list_from_ns";
    GetSystemTopicListFromBroker = 305 "get_system_topic_list_from_broker";
    CleanExpiredConsumeQueue = 306 "clean_expired_consumequeue";
    GetConsumerRunningInfo = 307 "get_consumer_running_info";
    QueryCorrectionOffset = 308 "query_correction_offset";
    ConsumeMessageDirectly = 309 "consume_message_directly";
    SendMessageV2 = 310 "send_message_v2";
    GetUnitTopicList = 311 "get_unit_topic_list";
    GetHasUnitSubTopicList = 312 "get_has_unit_sub_topic_list";
    GetHasUnitSubUnunitTopicList = 313 "get_has_unit_sub_ununit_topic_list";
    CloneGroupOffset = 314 "clone_group_offset";
    ViewBrokerStatsData = 315 "view_broker_stats_data";
    CleanUnusedTopic = 316 "clean_unused_topic";
    GetBrokerConsumeStats = 317 "get_broker_consume_stats";
    UpdateNameServerConfig = 318 "update_namesrv_config";
    GetNameServerConfig = 319 "get_namesrv_config";
    SendBatchMessage = 320 "send_batch_message";
    QueryConsumeQueue = 321 "query_consume_queue";
    QueryDataVersion = 322 "query_data_version";
    ResumeCheckHalfMessage = 323 "resume_check_half_message";
    SendReplyMessage = 324 "send_reply_message";
    SendReplyMessageV2 = 325 "send_reply_message_v2";
    PushReplyMessageToClient = 326 "push_reply_message_to_client";
    AddWritePermOfBroker = 327 "add_write_perm_of_broker";
    GetAllProducerInfo = 328 "get_all_producer_info";
    DeleteExpiredCommitLog = 329 "delete_expired_commitlog";
    QueryTopicsByConsumer = 343 "query_topics_by_consumer";
    QuerySubscriptionByConsumer = 345 "query_subscription_by_consumer";
    GetTopicConfig = 351 "get_topic_config";
    GetGroupConfig = 352 "get_subscriptiongroup_config";
    UpdateAndGetGroupForbidden = 353 "update_and_get_group_forbidden";
    CheckRocksDbQueueWriteProgress = 354 "check_rocksdb_cq_write_progress";
    ExportRocksDbConfigToJson = 355 "export_rocksdb_config_to_json";
    LitePullMessage = 361 "lite_pull_message";
    RecallMessage = 370 "recall_message";
    QueryAssignment = 400 "query_assignment";
    SetMessageRequestMode = 401 "set_message_request_mode";
    GetAllMessageRequestMode = 402 "get_all_message_request_mode";
    UpdateAndCreateStaticTopic = 513 "update_and_create_static_topic";
    GetBrokerMemberGroup = 901 "get_broker_member_group";
    AddBroker = 902 "add_broker";
    RemoveBroker = 903 "remove_broker";
    BrokerHeartbeat = 904 "broker_heartbeat";
    NotifyMinBrokerIdChange = 905 "notify_min_broker_id_change";
    ExchangeBrokerHaInfo = 906 "exchange_broker_ha_info";
    GetBrokerHaStatus = 907 "get_broker_ha_status";
    ResetMasterFlushOffset = 908 "reset_master_flush_offset";
    ControllerAlterSyncStateSet = 1001 "controller_alter_sync_state_set";
    ControllerElectMaster = 1002 "controller_elect_master";
    ControllerRegisterBroker = 1003 "controller_register_broker";
    ControllerGetReplicaInfo = 1004 "controller_get_replica_info";
    ControllerGetMetadataInfo = 1005 "controller_get_metadata_info";
    ControllerGetSyncStateData = 1006 "controller_get_sync_state_data";
    GetBrokerEpochCache = 1007 "get_broker_epoch_cache";
    NotifyBrokerRoleChanged = 1008 "notify_broker_role_changed";
    UpdateControllerConfig = 1009 "update_controller_config";
    GetControllerConfig = 1010 "get_controller_config";
    CleanBrokerData = 1011 "clean_broker_data";
    ControllerGetNextBrokerId = 1012 "controller_get_next_broker_id";
    ControllerApplyBrokerId = 1013 "controller_apply_broker_id";
    BrokerCloseChannelRequest = 1014 "broker_close_channel_request";
    CheckNotActiveBrokerRequest = 1015 "check_not_active_broker_request";
    GetBrokerLiveInfoRequest = 1016 "get_broker_live_info_request";
    GetSyncStateDataRequest = 1017 "get_sync_state_data_request";
    RaftBrokerHeartBeatEventRequest = 1018 "raft_broker_heart_beat_event_request";
    UpdateColdDataFlowControl = 2001 "update_cold_data_flow_ctr_config";
    RemoveColdDataFlowControl = 2002 "remove_cold_data_flow_ctr_config";
    GetColdDataFlowControl = 2003 "get_cold_data_flow_ctr_info";
    SetCommitLogReadMode = 2004 "set_commitlog_read_mode";
    AuthCreateUser = 3001 "auth_create_user";
    AuthUpdateUser = 3002 "auth_update_user";
    AuthDeleteUser = 3003 "auth_delete_user";
    AuthGetUser = 3004 "auth_get_user";
    AuthListUser = 3005 "auth_list_user";
    AuthCreateAcl = 3006 "auth_create_acl";
    AuthUpdateAcl = 3007 "auth_update_acl";
    AuthDeleteAcl = 3008 "auth_delete_acl";
    AuthGetAcl = 3009 "auth_get_acl";
    AuthListAcl = 3010 "auth_list_acl";
    SwitchTimerEngine = 5001 "switch_timer_engine";
    /// This server's own; so the next ones.
    CreateRamPolicy = 31001 "create_ram_policy";
    UpdateRamPolicy = 31002 "update_ram_policy";
    DeleteRamPolicy = 31003 "delete_ram_policy";
    GetRamPolicy = 31004 "get_ram_policy";
    ListRamPolicies = 31005 "list_ram_policies";
    AttachRamPolicy = 31006 "attach_ram_policy";
    DetachRamPolicy = 31007 "detach_ram_policy";
    CreateInstance = 31011 "create_instance";
    UpdateInstance = 31012 "update_instance";
    DeleteInstance = 31013 "delete_instance";
    GetInstance = 31014 "get_instance";
    ListInstances = 31015 "list_instances";
    RenewInstance = 31016 "renew_instance";
    UnsubscribeInstance = 31017 "unsubscribe_instance";
    ReleaseInstance = 31018 "release_instance";
    ListUsage = 31019 "list_usage";
    ListNodes = 31021 "list_nodes";
    RemoveNode = 31022 "remove_node";
    OfferNode = 31023 "offer_node";
    PopMessage = 200050 "pop_message";
    AckMessage = 200051 "ack_message";
    PeekMessage = 200052 "peek_message";
    ChangeInvisibleDuration = 200053 "change_message_invisibletime";
    Notification = 200054 "notification";
    PollingInfo = 200055 "polling_info";
    PopRollback = 200056 "pop_rollback";
    PopLiteMessage = 200070 "pop_lite_message";
    LiteSubscriptionControl = 200071 "lite_subscription_ctl";
    AckLiteMessage = 200072 "ack_lite_message";
    NotifyUnsubscribeLite = 200073 "notify_unsubscribe_lite";
    GetBrokerLiteInfo = 200074 "get_broker_lite_info";
    GetParentTopicInfo = 200075 "get_parent_topic_info";
    GetLiteTopicInfo = 200076 "get_lite_topic_info";
    GetLiteClientInfo = 200077 "get_lite_client_info";
    GetLiteGroupInfo = 200078 "get_lite_group_info";
    TriggerLiteDispatch = 200079 "trigger_lite_dispatch";
    BatchAckMessage = 200151 "batch_ack_message";
}

impl From<RequestCode> for i32 {
    fn from(code: RequestCode) -> Self {
        code as Self
    }
}

#[cfg(test)]
mod tests {
    use super::RequestCode;

    #[test]
    fn numbers_survive() {
        for code in RequestCode::ALL {
            assert_eq!(RequestCode::from_i32((*code).into()), Some(*code));
        }
        assert_eq!(RequestCode::from_i32(-1), None);
    }
}
