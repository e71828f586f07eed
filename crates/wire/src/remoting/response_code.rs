//! How a request went.
//!
//! Numbers are those of RocketMQ 5.5.0's `ResponseCode`. The names are also the `response_code`
//! labels of RocketMQ's metrics.

macro_rules! response_codes {
    ($($(#[$meta:meta])* $variant:ident = $code:literal $name:literal;)*) => {
        /// A known answer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "the protocol's own names say all that is known of most")]
        pub enum ResponseCode {
            $($(#[$meta])* $variant = $code,)*
        }

        impl ResponseCode {
            /// All known answers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The answer with this number.
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

response_codes! {
    RpcTimeOut = -1006 "rpc_time_out";
    RpcSendFailed = -1004 "rpc_send_to_channel_failed";
    RpcAddressMissing = -1002 "rpc_addr_is_null";
    RpcUnknown = -1000 "rpc_unknown";
    Success = 0 "success";
    SystemError = 1 "system_error";
    SystemBusy = 2 "system_busy";
    RequestCodeNotSupported = 3 "request_code_not_supported";
    TransactionFailed = 4 "transaction_failed";
    FlushDiskTimeout = 10 "flush_disk_timeout";
    SlaveNotAvailable = 11 "slave_not_available";
    FlushSlaveTimeout = 12 "flush_slave_timeout";
    MessageIllegal = 13 "message_illegal";
    ServiceNotAvailable = 14 "service_not_available";
    VersionNotSupported = 15 "version_not_supported";
    NoPermission = 16 "no_permission";
    TopicNotExist = 17 "topic_not_exist";
    TopicExistAlready = 18 "topic_exist_already";
    PullNotFound = 19 "pull_not_found";
    PullRetryImmediately = 20 "pull_retry_immediately";
    PullOffsetMoved = 21 "pull_offset_moved";
    QueryNotFound = 22 "query_not_found";
    SubscriptionParseFailed = 23 "subscription_parse_failed";
    SubscriptionNotExist = 24 "subscription_not_exist";
    SubscriptionNotLatest = 25 "subscription_not_latest";
    GroupNotExist = 26 "subscription_group_not_exist";
    FilterDataNotExist = 27 "filter_data_not_exist";
    FilterDataNotLatest = 28 "filter_data_not_latest";
    InvalidParameter = 29 "invalid_parameter";
    TransactionShouldCommit = 200 "transaction_should_commit";
    TransactionShouldRollback = 201 "transaction_should_rollback";
    TransactionStateUnknown = 202 "transaction_state_unknow";
    TransactionStateGroupWrong = 203 "transaction_state_group_wrong";
    NoBuyerId = 204 "no_buyer_id";
    NotInCurrentUnit = 205 "not_in_current_unit";
    ConsumerNotOnline = 206 "consumer_not_online";
    ConsumeMessageTimeout = 207 "consume_msg_timeout";
    NoMessage = 208 "no_message";
    PollingFull = 209 "polling_full";
    PollingTimeout = 210 "polling_timeout";
    BrokerNotExist = 211 "broker_not_exist";
    BrokerDispatchNotComplete = 212 "broker_dispatch_not_complete";
    BroadcastConsumption = 213 "broadcast_consumption";
    FlowControl = 215 "flow_control";
    NotLeaderForQueue = 501 "not_leader_for_queue";
    /// The managed service's own, of its 5.x series.
    TooManyRequests = 530 "too_many_requests";
    IllegalOperation = 604 "illegal_operation";
    GoAway = 1500 "go_away";
    ControllerFencedMasterEpoch = 2000 "controller_fenced_master_epoch";
    ControllerFencedSyncStateSetEpoch = 2001 "controller_fenced_sync_state_set_epoch";
    ControllerInvalidMaster = 2002 "controller_invalid_master";
    ControllerInvalidReplicas = 2003 "controller_invalid_replicas";
    ControllerMasterNotAvailable = 2004 "controller_master_not_available";
    ControllerInvalidRequest = 2005 "controller_invalid_request";
    ControllerBrokerNotAlive = 2006 "controller_broker_not_alive";
    ControllerNotLeader = 2007 "controller_not_leader";
    ControllerBrokerMetadataNotExist = 2008 "controller_broker_metadata_not_exist";
    ControllerInvalidCleanBrokerMetadata = 2009 "controller_invalid_clean_broker_metadata";
    ControllerBrokerNeedToBeRegistered = 2010 "controller_broker_need_to_be_registered";
    ControllerMasterStillExist = 2011 "controller_master_still_exist";
    ControllerElectMasterFailed = 2012 "controller_elect_master_failed";
    ControllerAlterSyncStateSetFailed = 2013 "controller_alter_sync_state_set_failed";
    ControllerBrokerIdInvalid = 2014 "controller_broker_id_invalid";
    ControllerJraftInternalError = 2015 "controller_jraft_internal_error";
    ControllerBrokerLiveInfoNotExists = 2016 "controller_broker_live_info_not_exists";
    LmqQuotaExceeded = 2017 "lmq_quota_exceeded";
    LiteSubscriptionQuotaExceeded = 2018 "lite_subscription_quota_exceeded";
    UserNotExist = 3001 "user_not_exist";
    PolicyNotExist = 3002 "policy_not_exist";
}

impl From<ResponseCode> for i32 {
    fn from(code: ResponseCode) -> Self {
        code as Self
    }
}

#[cfg(test)]
mod tests {
    use super::ResponseCode;

    #[test]
    fn numbers_survive() {
        for code in ResponseCode::ALL {
            assert_eq!(ResponseCode::from_i32((*code).into()), Some(*code));
        }
        assert_eq!(ResponseCode::from_i32(-1), None);
    }
}
