//! What administration tools ask: `mqadmin`, the open-source dashboard, the exporter of metrics.
//!
//! One file per subject. Requests that concern what Carrack does not have, such as replication, are
//! refused with the reason (`unsupported.rs`).

mod ask_client;
mod broker_config;
mod broker_stats;
mod clean;
mod clients;
mod clone_offset;
mod consume_queue;
mod consumer_offsets;
mod kv_config;
mod lite_topics;
mod reset_offset;
mod runtime;
mod subscriptions;
mod system_topics;
mod time_span;
mod unsupported;
mod write_permission;

use base::InstanceId;
use wire::remoting::{Command, RequestCode};

use super::{connection::Connection, group, reply::Answer, topic};

/// Answers one request; those that nobody knows are refused.
pub(super) async fn run(connection: &Connection, request: &Command, code: RequestCode) -> Answer {
    use RequestCode as Code;
    let c = connection;
    let r = request;
    match code {
        Code::UpdateAndCreateTopicList => topic::create_list(c, r).await,
        Code::UpdateAndCreateGroupList => group::create_list(c, r).await,
        Code::GetBrokerConfig => broker_config::get(c, r),
        Code::UpdateBrokerConfig => broker_config::update(c, r),
        Code::GetNameServerConfig => broker_config::get_name_server(c, r),
        Code::UpdateNameServerConfig => broker_config::update_name_server(c, r),
        Code::GetBrokerRuntimeInfo => runtime::get(c, r),
        Code::PutKvConfig => kv_config::put(c, r).await,
        Code::GetKvConfig => kv_config::get(c, r),
        Code::DeleteKvConfig => kv_config::delete(c, r).await,
        Code::GetKvListByNamespace => kv_config::list(c, r),
        Code::GetBrokerLiteInfo => lite_topics::broker(c, r),
        Code::GetParentTopicInfo => lite_topics::parent(c, r),
        Code::GetLiteTopicInfo => lite_topics::lite_topic(c, r),
        Code::GetLiteClientInfo => lite_topics::client(c, r),
        Code::GetLiteGroupInfo => lite_topics::group(c, r).await,
        Code::TriggerLiteDispatch => lite_topics::dispatch(c, r),
        Code::GetConsumerConnectionList => clients::consumers(c, r),
        Code::GetProducerConnectionList => clients::producers(c, r),
        Code::GetAllProducerInfo => clients::all_producers(c, r),
        Code::WipeWritePermOfBroker => write_permission::wipe(c, r),
        Code::AddWritePermOfBroker => write_permission::add(c, r),
        Code::InvokeBrokerToResetOffset => reset_offset::reset(c, r).await,
        Code::InvokeBrokerToGetConsumerStatus => ask_client::status(c, r).await,
        Code::GetConsumerRunningInfo => ask_client::running_info(c, r).await,
        Code::ConsumeMessageDirectly => ask_client::consume_directly(c, r).await,
        Code::CloneGroupOffset => clone_offset::clone(c, r).await,
        Code::GetAllConsumerOffset => consumer_offsets::all(c, r),
        Code::QueryTopicConsumeByWho => subscriptions::groups_of_topic(c, r),
        Code::QueryTopicsByConsumer => subscriptions::topics_of_group(c, r),
        Code::QuerySubscriptionByConsumer => subscriptions::of_group(c, r),
        Code::QueryConsumeTimeSpan => time_span::query(c, r),
        Code::QueryConsumeQueue => consume_queue::query(c, r),
        Code::GetSystemTopicListFromNameServer => system_topics::of_name_server(c, r),
        Code::GetSystemTopicListFromBroker => system_topics::of_broker(c, r),
        Code::GetUnitTopicList
        | Code::GetHasUnitSubTopicList
        | Code::GetHasUnitSubUnunitTopicList => system_topics::of_units(r),
        Code::CleanExpiredConsumeQueue | Code::CleanUnusedTopic | Code::DeleteExpiredCommitLog => {
            clean::done(r)
        }
        Code::ViewBrokerStatsData => broker_stats::view(c, r),
        Code::GetBrokerConsumeStats => broker_stats::consume(c, r),
        other => unsupported::refuse(r, other),
    }
}

/// `name` of `instance` as whoever asked with `asked` writes it: with the instance's prefix if
/// `asked` had it.
fn shown(connection: &Connection, asked: &str, instance: &InstanceId, name: &str) -> String {
    if connection.front.plain_name(asked).instance.is_some() {
        return crate::instance::prefixed(instance, name);
    }
    name.to_owned()
}
