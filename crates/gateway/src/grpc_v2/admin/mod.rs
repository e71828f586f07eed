//! `apache.rocketmq.v2.Admin`: how tools look after topics, groups and clients over gRPC.
//!
//! Tools say who they are as SDKs do; what each call needs is in `../access.rs`. A client id is not
//! asked for. `deployment_name`, where a request has it, is the instance that the names of the
//! request belong to.

mod clients;
mod groups;
mod lite_topics;
mod messages;
mod server;
mod subscriptions;
mod topics;

use std::sync::Arc;

use base::{InstanceId, limits};
use tonic::{Request, Response, Status};
use wire::grpc_v2::{
    self as v2, Code,
    admin_server::{self, AdminServer},
};

use super::{Answer, access, call::Call, measure, status::Refusal};
use crate::{ConnectionInfo, Front};

/// Where calls of this service go.
pub(crate) const PATH: &str = "/apache.rocketmq.v2.Admin/";

/// The service for one connection.
pub(crate) fn service(front: Arc<Front>, connection: ConnectionInfo) -> AdminServer<Admin> {
    AdminServer::new(Admin { front, connection })
        .max_decoding_message_size(limits::GRPC_REQUEST_BYTES_MAX)
}

/// The calls of one connection.
pub(crate) struct Admin {
    front: Arc<Front>,
    connection: ConnectionInfo,
}

/// A request that may name the instance that it is about.
trait Deployed {
    fn deployment(&self) -> &str;
}

macro_rules! deployed {
    ($($request:ident),* $(,)?) => {
        $(impl Deployed for v2::$request {
            fn deployment(&self) -> &str {
                self.deployment_name.as_deref().unwrap_or_default()
            }
        })*
    };
}

deployed!(
    DescribeTopicStatusRequest,
    ListSubscriptionRequest,
    DescribeSubscriptionRequest,
    DeleteSubscriptionRequest,
    DescribeGroupAccumulationRequest,
    ListConsumerConnectionRequest,
    ResetGroupOffsetRequest,
    ListMessageRequest,
    PrintThreadStackTraceRequest,
    VerifyMessageRequest,
    AdminSendMessageRequest,
    GetConsumerRunningInfoRequest,
    GetTopicRouteRequest,
    QueryTimeSpanRequest,
);

impl Deployed for v2::ChangeLogLevelRequest {
    fn deployment(&self) -> &'static str {
        ""
    }
}

impl Deployed for v2::GetProxyRuntimeStatsRequest {
    fn deployment(&self) -> &'static str {
        ""
    }
}

impl Admin {
    /// A call whose sender may make it, and its message.
    fn call<Q: access::Guarded + Deployed>(
        &self,
        request: Request<Q>,
    ) -> Result<(Call, Q), Refusal> {
        let (metadata, _, request) = request.into_parts();
        let mut call = Call::new(self.front.clone(), self.connection, metadata);
        let deployment = request.deployment();
        if !deployment.is_empty() {
            let id = InstanceId::new(deployment).ok();
            let id = id.filter(|id| self.front.router.instance(id).is_ok());
            let Some(id) = id else {
                access::check_believed(&call)?;
                let start: String = deployment.chars().take(64).collect();
                let text = format!("deployment {start:?} is no instance of this server");
                return Err(Refusal::new(Code::NotFound, text));
            };
            call = call.about(&id);
        }
        access::check(&call, &request)?;
        Ok((call, request))
    }

    async fn answer<Q, R, F>(
        &self,
        name: &'static str,
        request: Request<Q>,
        work: impl FnOnce(Call, Q) -> F,
    ) -> Result<Response<R>, Status>
    where
        Q: access::Guarded + Deployed,
        R: Answer,
        F: Future<Output = Result<R, Refusal>>,
    {
        let begun = self.front.clock.elapsed();
        let result = match self.call(request) {
            Ok((call, request)) => work(call, request).await,
            Err(refusal) => Err(refusal),
        };
        let code = result.as_ref().map_or_else(Refusal::code, |_| Code::Ok);
        measure(&self.front, name, code, false, begun);
        Ok(Response::new(match result {
            Ok(mut response) => {
                response.status().get_or_insert_with(super::status::ok);
                response
            }
            Err(refusal) => {
                let mut response = R::default();
                *response.status() = Some(refusal.status());
                response
            }
        }))
    }
}

macro_rules! calls {
    ($($method:ident($request:ident) -> $response:ident = $work:path;)*) => {
        #[tonic::async_trait]
        impl admin_server::Admin for Admin {
            // Its answer has no status.
            async fn change_log_level(
                &self,
                request: Request<v2::ChangeLogLevelRequest>,
            ) -> Result<Response<v2::ChangeLogLevelResponse>, Status> {
                let begun = self.front.clock.elapsed();
                let result = self
                    .call(request)
                    .and_then(|(call, request)| server::change_log_level(&call, &request));
                let code = result.as_ref().map_or_else(Refusal::code, |_| Code::Ok);
                measure(&self.front, "change_log_level", code, false, begun);
                result
                    .map(Response::new)
                    .map_err(|refusal| refusal.end_of_stream())
            }

            $(async fn $method(
                &self,
                request: Request<v2::$request>,
            ) -> Result<Response<v2::$response>, Status> {
                self.answer(stringify!($method), request, $work).await
            })*
        }
    };
}

calls! {
    describe_topic_status(DescribeTopicStatusRequest) -> DescribeTopicStatusResponse
        = topics::describe_topic_status;
    list_subscription(ListSubscriptionRequest) -> ListSubscriptionResponse
        = subscriptions::list_subscription;
    describe_subscription(DescribeSubscriptionRequest) -> DescribeSubscriptionResponse
        = subscriptions::describe_subscription;
    delete_subscription(DeleteSubscriptionRequest) -> DeleteSubscriptionResponse
        = subscriptions::delete_subscription;
    describe_group_accumulation(DescribeGroupAccumulationRequest)
        -> DescribeGroupAccumulationResponse
        = groups::describe_group_accumulation;
    list_consumer_connection(ListConsumerConnectionRequest) -> ListConsumerConnectionResponse
        = clients::list_consumer_connection;
    reset_group_offset(ResetGroupOffsetRequest) -> ResetGroupOffsetResponse
        = groups::reset_group_offset;
    query_message(ListMessageRequest) -> ListMessageResponse
        = messages::query_message;
    print_thread_stack_trace(PrintThreadStackTraceRequest) -> PrintThreadStackTraceResponse
        = clients::print_thread_stack_trace;
    verify_message(VerifyMessageRequest) -> VerifyMessageResponse
        = messages::verify_message;
    admin_send_message(AdminSendMessageRequest) -> AdminSendMessageResponse
        = messages::admin_send_message;
    get_consumer_running_info(GetConsumerRunningInfoRequest) -> GetConsumerRunningInfoResponse
        = clients::get_consumer_running_info;
    get_topic_route(GetTopicRouteRequest) -> GetTopicRouteResponse
        = topics::get_topic_route;
    query_time_span(QueryTimeSpanRequest) -> QueryTimeSpanResponse
        = groups::query_time_span;
    get_proxy_runtime_stats(GetProxyRuntimeStatsRequest) -> GetProxyRuntimeStatsResponse
        = server::get_proxy_runtime_stats;
}
