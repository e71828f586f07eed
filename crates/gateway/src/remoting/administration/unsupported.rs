//! Requests that are refused, with the reason.

use wire::remoting::{Command, RequestCode, ResponseCode};

use crate::remoting::reply::{Answer, Refusal};

/// Refuses a request.
pub(super) fn refuse(request: &Command, code: RequestCode) -> Answer {
    let mut remark = format!(
        "request code {} ({}) is not supported",
        request.code,
        code.name()
    );
    if let Some(reason) = reason(code) {
        remark.push_str(": ");
        remark.push_str(reason);
    }
    Err(Refusal::new(ResponseCode::RequestCodeNotSupported, remark))
}

fn reason(code: RequestCode) -> Option<&'static str> {
    use RequestCode as Code;
    Some(match code {
        Code::RegisterBroker
        | Code::UnregisterBroker
        | Code::RegisterTopicInNameServer
        | Code::QueryDataVersion
        | Code::GetBrokerMemberGroup
        | Code::AddBroker
        | Code::RemoveBroker
        | Code::BrokerHeartbeat
        | Code::NotifyMinBrokerIdChange
        | Code::ExchangeBrokerHaInfo
        | Code::GetBrokerHaStatus
        | Code::ResetMasterFlushOffset
        | Code::GetAllDelayOffset
        | Code::GetBrokerEpochCache
        | Code::NotifyBrokerRoleChanged => {
            "brokers do not register here, and there is no replication from master to slave"
        }
        Code::ControllerAlterSyncStateSet
        | Code::ControllerElectMaster
        | Code::ControllerRegisterBroker
        | Code::ControllerGetReplicaInfo
        | Code::ControllerGetMetadataInfo
        | Code::ControllerGetSyncStateData
        | Code::UpdateControllerConfig
        | Code::GetControllerConfig
        | Code::CleanBrokerData
        | Code::ControllerGetNextBrokerId
        | Code::ControllerApplyBrokerId
        | Code::BrokerCloseChannelRequest
        | Code::CheckNotActiveBrokerRequest
        | Code::GetBrokerLiveInfoRequest
        | Code::GetSyncStateDataRequest
        | Code::RaftBrokerHeartBeatEventRequest => "there is no controller",
        Code::UpdateColdDataFlowControl
        | Code::RemoveColdDataFlowControl
        | Code::GetColdDataFlowControl => "reads of old messages are not throttled",
        Code::SetCommitLogReadMode => "how files are read is not a setting",
        Code::CheckRocksDbQueueWriteProgress
        | Code::ExportRocksDbConfigToJson
        | Code::SwitchTimerEngine => "there is one store, which is not RocksDB",
        Code::UpdateAndCreateStaticTopic => "static topics are not supported",
        Code::PopLiteMessage
        | Code::LiteSubscriptionControl
        | Code::AckLiteMessage
        | Code::NotifyUnsubscribeLite => "LiteTopics are consumed over gRPC",
        Code::RegisterFilterServer | Code::RegisterMessageFilterClass => {
            "filter classes are not supported, SQL92 expressions are"
        }
        Code::UpdateAndGetGroupForbidden => "what a group may read is a matter of access control",
        Code::SuspendConsumer
        | Code::ResumeConsumer
        | Code::ResetConsumerOffsetInConsumer
        | Code::ResetConsumerOffsetInBroker
        | Code::AdjustConsumerThreadPool
        | Code::WhoConsumeTheMessage
        | Code::TriggerDeleteFiles
        | Code::QueryBrokerOffset
        | Code::GetTopicConfigList
        | Code::GetTopicNameList => "RocketMQ itself does not answer it any more",
        Code::NotifyConsumerIdsChanged
        | Code::CheckTransactionState
        | Code::ResetConsumerClientOffset
        | Code::GetConsumerStatusFromClient
        | Code::PushReplyMessageToClient => "servers send it to clients",
        _ => return None,
    })
}
