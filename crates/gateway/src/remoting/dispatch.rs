//! Which file handles which request: the one table.

use tracing::{Instrument, debug_span};
use wire::remoting::{Command, RequestCode, ResponseCode};

use super::{
    access, ack, acl, administration, assignment, change_invisible_duration,
    connection::Connection,
    end_transaction,
    exchange::{Arrival, Done},
    group, heartbeat, instance, lock, node, notification, offset, peek, pop, pull, query,
    ram_policy, recall,
    reply::{Answer, Refusal},
    route, send, send_back, send_reply, topic, user,
};

/// Does at once what comes for every message and waits for nothing: an ack. A request under way
/// would cost it more than its work does.
pub(super) fn at_once(connection: &Connection, arrival: &Arrival) -> Option<Done> {
    let code = arrival.command.request_code()?;
    if code != RequestCode::AckMessage {
        return None;
    }
    let command = &arrival.command;
    let answer = access::check(connection, command, code)
        .and_then(|_| debug_span!("ack").in_scope(|| ack::one(connection, command)));
    Some(done(connection, arrival, answer))
}

/// Does any other request from arrival to answer.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` keeps its arguments twice, and thousands of requests may be under way"
)]
pub(super) fn run(connection: &Connection, arrival: Arrival) -> impl Future<Output = Done> {
    async move {
        let (command, may_wait) = (&arrival.command, arrival.may_wait);
        let code = command.request_code();
        let guarded = match code.map_or(Ok(None), |code| access::check(connection, command, code)) {
            Ok(guarded) => guarded,
            Err(refusal) => return done(connection, &arrival, Err(refusal)),
        };
        let answer = match code {
            // What comes for every message: its state lies in the connection's own list of
            // requests.
            Some(
                RequestCode::SendMessage
                | RequestCode::SendMessageV2
                | RequestCode::SendBatchMessage,
            ) => {
                send::handle(connection, command)
                    .instrument(debug_span!("send"))
                    .await
            }
            // All else is put aside, to keep that list small. What hands out messages does so only
            // as long as its sender may have them.
            Some(code) if hands_out(code) => {
                let work = hand_out(connection, command, code, may_wait);
                match guarded {
                    None => Box::pin(work).await,
                    Some(instance) => {
                        let work =
                            access::while_allowed(connection, command, code, &instance, work);
                        Box::pin(work).await
                    }
                }
            }
            Some(code) => Box::pin(rare(connection, command, code)).await,
            None => not_supported(command),
        };
        done(connection, &arrival, answer)
    }
}

/// The answer, and what is counted of it.
fn done(connection: &Connection, arrival: &Arrival, answer: Answer) -> Done {
    let command = &arrival.command;
    let reply = answer.unwrap_or_else(|refusal| {
        tracing::debug!(
            peer = %connection.info.peer, code = command.code, response = ?refusal.code,
            remark = refusal.remark, "request refused"
        );
        refusal.reply(command)
    });
    let is_throttled = matches!(
        reply.command.response_code(),
        Some(ResponseCode::FlowControl | ResponseCode::TooManyRequests)
    );
    let response = reply
        .command
        .response_code()
        .map_or("unknown", ResponseCode::name);
    Done {
        reply: (!command.is_oneway()).then_some(reply),
        request: command.request_code().map_or("unknown", RequestCode::name),
        response,
        is_throttled,
        is_poll: arrival.may_wait,
        bytes: arrival.bytes,
        at: arrival.at,
    }
}

/// Whether answers to the request hold messages, or say that there are some.
const fn hands_out(code: RequestCode) -> bool {
    matches!(
        code,
        RequestCode::PullMessage
            | RequestCode::LitePullMessage
            | RequestCode::PopMessage
            | RequestCode::Notification
            | RequestCode::PeekMessage
            | RequestCode::QueryMessage
            | RequestCode::ViewMessageById
    )
}

/// Those requests.
async fn hand_out(
    connection: &Connection,
    request: &Command,
    code: RequestCode,
    may_wait: bool,
) -> Answer {
    match code {
        RequestCode::PullMessage | RequestCode::LitePullMessage => {
            let pull = pull::handle(connection, request, may_wait);
            pull.instrument(debug_span!("pull")).await
        }
        RequestCode::PopMessage => {
            let pop = pop::handle(connection, request, may_wait);
            pop.instrument(debug_span!("pop")).await
        }
        RequestCode::Notification => notification::handle(connection, request, may_wait).await,
        code => Box::pin(rare(connection, request, code)).await,
    }
}

/// Requests that come once per client, queue or administrator.
async fn rare(connection: &Connection, request: &Command, code: RequestCode) -> Answer {
    use RequestCode as Code;
    let c = connection;
    let r = request;
    match code {
        Code::QueryMessage => query::by_key(c, r).instrument(debug_span!("query")).await,
        Code::ViewMessageById => query::by_id(c, r).instrument(debug_span!("query")).await,
        Code::BatchAckMessage => debug_span!("ack").in_scope(|| ack::batch(c, r)),
        Code::ChangeInvisibleDuration => {
            change_invisible_duration::handle(c, r)
                .instrument(debug_span!("change_invisible_duration"))
                .await
        }
        Code::PeekMessage => peek::handle(c, r).instrument(debug_span!("peek")).await,
        Code::PollingInfo => notification::polling_info(c, r).await,
        Code::QueryAssignment => assignment::query(c, r),
        Code::SetMessageRequestMode => assignment::set_mode(c, r).await,
        Code::QueryConsumerOffset => offset::query(c, r),
        Code::UpdateConsumerOffset => offset::commit(c, r).instrument(debug_span!("offset")).await,
        Code::SearchOffsetByTimestamp => offset::by_time(c, r),
        Code::GetMaxOffset => offset::max(c, r),
        Code::GetMinOffset => offset::min(c, r),
        Code::GetEarliestStoreTime => offset::earliest_store_time(c, r),
        Code::Heartbeat => {
            heartbeat::beat(c, r)
                .instrument(debug_span!("heartbeat"))
                .await
        }
        Code::UnregisterClient => heartbeat::unregister(c, r),
        Code::CheckClientConfig => heartbeat::check_client_config(r),
        Code::GetConsumerListByGroup => group::consumers(c, r),
        Code::EndTransaction => {
            end_transaction::handle(c, r)
                .instrument(debug_span!("end_transaction"))
                .await
        }
        Code::ConsumerSendMessageBack => {
            send_back::handle(c, r)
                .instrument(debug_span!("send_back"))
                .await
        }
        Code::RecallMessage => recall::handle(c, r).instrument(debug_span!("recall")).await,
        Code::SendReplyMessage | Code::SendReplyMessageV2 => send_reply::handle(c, r).await,
        Code::LockQueues => lock::lock(c, r),
        Code::UnlockQueues => lock::unlock(c, r),
        Code::GetRouteByTopic => route::by_topic(c, r).await,
        Code::GetBrokerClusterInfo => route::cluster(c, r),
        Code::UpdateAndCreateTopic => topic::create(c, r).await,
        Code::DeleteTopicInBroker => topic::delete(c, r).await,
        Code::DeleteTopicInNameServer => topic::delete_in_name_server(r),
        Code::GetAllTopicConfig => topic::all(c, r),
        Code::GetTopicConfig => topic::get(c, r),
        Code::GetTopicListFromNameServer | Code::GetTopicsByCluster => topic::list(c, r),
        Code::GetTopicStatsInfo => topic::stats(c, r),
        Code::UpdateAndCreateGroup => group::create(c, r).await,
        Code::DeleteGroup => group::delete(c, r).await,
        Code::GetAllGroupConfig => group::all(c, r),
        Code::GetGroupConfig => group::get(c, r),
        Code::GetConsumeStats => group::stats(c, r),
        Code::CreateInstance => instance::create(c, r).await,
        Code::UpdateInstance => instance::update(c, r).await,
        Code::DeleteInstance => instance::delete(c, r).await,
        Code::GetInstance => instance::get(c, r),
        Code::ListInstances => instance::list(c, r),
        Code::RenewInstance => instance::renew(c, r).await,
        Code::UnsubscribeInstance => instance::unsubscribe(c, r).await,
        Code::ReleaseInstance => instance::release(c, r).await,
        Code::ListUsage => instance::usage(c, r).await,
        Code::ListNodes => node::list(c, r),
        Code::RemoveNode => node::remove(c, r).await,
        Code::OfferNode => node::offer(c, r).await,
        Code::AuthCreateUser => user::create(c, r).await,
        Code::AuthUpdateUser => user::update(c, r).await,
        Code::AuthDeleteUser => user::delete(c, r).await,
        Code::AuthGetUser => user::get(c, r),
        Code::AuthListUser => user::list(c, r),
        Code::AuthCreateAcl | Code::AuthUpdateAcl => acl::put(c, r).await,
        Code::AuthDeleteAcl => acl::delete(c, r).await,
        Code::AuthGetAcl => acl::get(c, r),
        Code::AuthListAcl => acl::list(c, r),
        Code::CreateRamPolicy => ram_policy::create(c, r).await,
        Code::UpdateRamPolicy => ram_policy::update(c, r).await,
        Code::DeleteRamPolicy => ram_policy::delete(c, r).await,
        Code::GetRamPolicy => ram_policy::get(c, r),
        Code::ListRamPolicies => ram_policy::list(c, r),
        Code::AttachRamPolicy => ram_policy::attach(c, r).await,
        Code::DetachRamPolicy => ram_policy::detach(c, r).await,
        other => Box::pin(administration::run(c, r, other)).await,
    }
}

fn not_supported(request: &Command) -> Answer {
    let code = request.code;
    Err(Refusal::new(
        ResponseCode::RequestCodeNotSupported,
        format!("request code {code} is not supported"),
    ))
}
