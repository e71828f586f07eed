//! The gRPC v2 front end: `apache.rocketmq.v2.MessagingService`, the protocol of the 5.x SDKs.
//!
//! One file per verb, named as in the broker. Each request becomes a [`call::Call`], the verb
//! answers with a message or a [`status::Refusal`], and the refusal becomes the status in the
//! answer: at the level of gRPC nearly every call succeeds, which is what SDKs expect. Streams end
//! with the connection, with their client, and when the server drains.

mod access;
mod ack;
pub(crate) mod admin;
mod change_invisible_duration;
pub(crate) mod client_metrics;
mod commands;
mod end_transaction;
mod forward_to_dead_letter;
mod heartbeat;
mod message;
mod offset;
mod pull;
mod recall;
mod receive;
mod route;
mod send;
mod settings;
mod sync_lite_subscription;
mod telemetry;

use std::{sync::Arc, time::Duration};

use base::limits;
use tonic::{Request, Response, Status, Streaming};
use wire::grpc_v2::{
    self as v2, Code,
    messaging_service_server::{MessagingService, MessagingServiceServer},
};

use self::{
    call::Call,
    pull::Pulled,
    receive::Handout,
    status::Refusal,
    telemetry::Commands,
    unread::{Counted, Unread},
};
use crate::{
    ConnectionInfo, Front,
    grpc::{
        call, clients, digest, inbox, names, shards, status, time, traced, transaction_id, unread,
    },
    metrics::RpcKey,
    series::Family,
};

/// The service for one connection. Clones share it; the connection counts as gone when the last
/// clone and the last call on it are.
pub(crate) fn service(
    front: Arc<Front>,
    connection: ConnectionInfo,
) -> MessagingServiceServer<Messaging> {
    front.grpc_clients.opened(connection.id);
    MessagingServiceServer::new(Messaging {
        front,
        connection,
        unread: Arc::default(),
    })
    .max_decoding_message_size(limits::GRPC_REQUEST_BYTES_MAX)
}

/// The calls of one connection.
pub(crate) struct Messaging {
    front: Arc<Front>,
    connection: ConnectionInfo,
    unread: Arc<Unread>,
}

impl Drop for Messaging {
    fn drop(&mut self) {
        self.front
            .grpc_clients
            .closed(&self.front.router, self.connection.id);
    }
}

/// A response with the status that every one of them has.
trait Answer: Default {
    fn status(&mut self) -> &mut Option<v2::Status>;
}

macro_rules! answers {
    ($($response:ident),* $(,)?) => {
        $(impl Answer for v2::$response {
            fn status(&mut self) -> &mut Option<v2::Status> {
                &mut self.status
            }
        })*
    };
}

answers!(
    QueryRouteResponse,
    HeartbeatResponse,
    SendMessageResponse,
    QueryAssignmentResponse,
    AckMessageResponse,
    ForwardMessageToDeadLetterQueueResponse,
    ChangeInvisibleDurationResponse,
    NotifyClientTerminationResponse,
    EndTransactionResponse,
    RecallMessageResponse,
    SyncLiteSubscriptionResponse,
    UpdateOffsetResponse,
    GetOffsetResponse,
    QueryOffsetResponse,
    DescribeTopicStatusResponse,
    ListSubscriptionResponse,
    DescribeSubscriptionResponse,
    DeleteSubscriptionResponse,
    DescribeGroupAccumulationResponse,
    ListConsumerConnectionResponse,
    ResetGroupOffsetResponse,
    ListMessageResponse,
    PrintThreadStackTraceResponse,
    VerifyMessageResponse,
    AdminSendMessageResponse,
    GetConsumerRunningInfoResponse,
    GetTopicRouteResponse,
    QueryTimeSpanResponse,
    GetProxyRuntimeStatsResponse,
);

impl Messaging {
    /// A call with its message, if its sender may ask that.
    fn call<T: access::Guarded>(&self, request: Request<T>) -> (Call, Result<T, Refusal>) {
        let (call, message) = self.open(request);
        let allowed = access::check(&call, &message);
        (call, allowed.map(|()| message))
    }

    /// A call that is looked at later.
    fn open<T>(&self, request: Request<T>) -> (Call, T) {
        let (metadata, _, message) = request.into_parts();
        let call = Call::new(self.front.clone(), self.connection, metadata);
        (call.of_family(Family::GrpcV2), message)
    }

    /// Does the work of a call whose client has an id, and answers.
    async fn answer<R: Answer>(
        &self,
        name: &'static str,
        call: &Call,
        work: impl Future<Output = Result<R, Refusal>> + Send,
    ) -> Result<Response<R>, Status> {
        let begun = self.front.clock.elapsed();
        let result = match call.client_id() {
            Ok(_) => work.await,
            Err(refusal) => Err(refusal),
        };
        let mut response = result.unwrap_or_else(|refusal| {
            let mut response = R::default();
            *response.status() = Some(refusal.status());
            response
        });
        let code = response
            .status()
            .as_ref()
            .map_or(Code::Unspecified, v2::Status::code);
        hold_throttled(&self.front, code).await;
        measure(&self.front, name, code, false, begun);
        Ok(Response::new(response))
    }
}

/// Waits before a request past a quota is answered.
async fn hold_throttled(front: &Front, code: Code) {
    if code == Code::TooManyRequests {
        front.hold_throttled().await;
    }
}

/// Counts a call.
fn measure(front: &Front, request: &'static str, code: Code, long_polling: bool, begun: Duration) {
    let result = match code {
        Code::Ok | Code::MultipleResults | Code::MessageNotFound => "success",
        _ => "process_request_failed",
    };
    let key = RpcKey {
        protocol: "grpc_v2",
        request,
        response: code.as_str_name(),
        long_polling,
        result,
    };
    let took = front.clock.elapsed().saturating_sub(begun);
    front.metrics.latency(key).observe(took);
}

/// An answer that is counted while its client reads it.
fn with_guard<R>((answer, counted): (R, Arc<Counted>)) -> Response<R> {
    let mut response = Response::new(answer);
    response.extensions_mut().insert(counted);
    response
}

#[tonic::async_trait]
impl MessagingService for Messaging {
    async fn query_route(
        &self,
        request: Request<v2::QueryRouteRequest>,
    ) -> Result<Response<v2::QueryRouteResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { route::query_route(&call, request?).await };
        self.answer("query_route", &call, work).await
    }

    async fn query_assignment(
        &self,
        request: Request<v2::QueryAssignmentRequest>,
    ) -> Result<Response<v2::QueryAssignmentResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { route::query_assignment(&call, request?).await };
        self.answer("query_assignment", &call, work).await
    }

    async fn heartbeat(
        &self,
        request: Request<v2::HeartbeatRequest>,
    ) -> Result<Response<v2::HeartbeatResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { heartbeat::heartbeat(&call, &request?) };
        self.answer("heartbeat", &call, work).await
    }

    async fn notify_client_termination(
        &self,
        request: Request<v2::NotifyClientTerminationRequest>,
    ) -> Result<Response<v2::NotifyClientTerminationResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { heartbeat::notify_client_termination(&call, &request?) };
        self.answer("notify_client_termination", &call, work).await
    }

    type TelemetryStream = Commands;

    async fn telemetry(
        &self,
        request: Request<Streaming<v2::TelemetryCommand>>,
    ) -> Result<Response<Self::TelemetryStream>, Status> {
        let (call, incoming) = self.open(request);
        call.client_id()
            .map_err(|refusal| refusal.end_of_stream())?;
        Ok(Response::new(telemetry::telemetry(call, incoming)))
    }

    async fn send_message(
        &self,
        request: Request<v2::SendMessageRequest>,
    ) -> Result<Response<v2::SendMessageResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { send::send(&call, request?).await };
        self.answer("send_message", &call, work).await
    }

    type ReceiveMessageStream = Handout;

    async fn receive_message(
        &self,
        request: Request<v2::ReceiveMessageRequest>,
    ) -> Result<Response<Self::ReceiveMessageStream>, Status> {
        let (call, request) = self.call(request);
        let begun = self.front.clock.elapsed();
        let result = match (call.client_id(), request) {
            (Ok(_), Ok(request)) => {
                let work = async |request| receive::receive(&call, &self.unread, request).await;
                access::while_allowed(&call, request, work).await
            }
            (Err(refusal), _) | (Ok(_), Err(refusal)) => Err(refusal),
        };
        let code = result.as_ref().map_or_else(Refusal::code, |_| Code::Ok);
        hold_throttled(&self.front, code).await;
        measure(&self.front, "receive_message", code, true, begun);
        Ok(match result {
            Ok(counted) => with_guard(counted),
            Err(refusal) => Response::new(Handout::refused(&refusal, call.now())),
        })
    }

    async fn ack_message(
        &self,
        request: Request<v2::AckMessageRequest>,
    ) -> Result<Response<v2::AckMessageResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { ack::ack(&call, request?).await };
        self.answer("ack_message", &call, work).await
    }

    async fn change_invisible_duration(
        &self,
        request: Request<v2::ChangeInvisibleDurationRequest>,
    ) -> Result<Response<v2::ChangeInvisibleDurationResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async {
            let request = request?;
            let result = change_invisible_duration::change_invisible_duration(&call, &request);
            // Compat: Python (5.1) takes over the handle before it looks at the status.
            Ok(result
                .await
                .unwrap_or_else(|refusal| v2::ChangeInvisibleDurationResponse {
                    status: Some(refusal.status()),
                    receipt_handle: request.receipt_handle.clone(),
                }))
        };
        self.answer("change_invisible_duration", &call, work).await
    }

    async fn forward_message_to_dead_letter_queue(
        &self,
        request: Request<v2::ForwardMessageToDeadLetterQueueRequest>,
    ) -> Result<Response<v2::ForwardMessageToDeadLetterQueueResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { forward_to_dead_letter::forward_to_dead_letter(&call, request?).await };
        self.answer("forward_message_to_dead_letter_queue", &call, work)
            .await
    }

    async fn end_transaction(
        &self,
        request: Request<v2::EndTransactionRequest>,
    ) -> Result<Response<v2::EndTransactionResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { end_transaction::end_transaction(&call, request?).await };
        self.answer("end_transaction", &call, work).await
    }

    async fn recall_message(
        &self,
        request: Request<v2::RecallMessageRequest>,
    ) -> Result<Response<v2::RecallMessageResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { recall::recall(&call, request?).await };
        self.answer("recall_message", &call, work).await
    }

    async fn sync_lite_subscription(
        &self,
        request: Request<v2::SyncLiteSubscriptionRequest>,
    ) -> Result<Response<v2::SyncLiteSubscriptionResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { sync_lite_subscription::sync_lite_subscription(&call, request?).await };
        // Boxed: what is handed on is there twice, and these may wait for long.
        let work = Box::pin(work);
        self.answer("sync_lite_subscription", &call, work).await
    }

    type PullMessageStream = Pulled;

    async fn pull_message(
        &self,
        request: Request<v2::PullMessageRequest>,
    ) -> Result<Response<Self::PullMessageStream>, Status> {
        let (call, request) = self.call(request);
        let begun = self.front.clock.elapsed();
        let result = match (call.client_id(), request) {
            (Ok(_), Ok(request)) => {
                let work = async |request| pull::pull(&call, &self.unread, request).await;
                access::while_allowed(&call, request, work).await
            }
            (Err(refusal), _) | (Ok(_), Err(refusal)) => Err(refusal),
        };
        let code = result.as_ref().map_or_else(Refusal::code, |_| Code::Ok);
        hold_throttled(&self.front, code).await;
        measure(&self.front, "pull_message", code, true, begun);
        Ok(match result {
            Ok(counted) => with_guard(counted),
            Err(refusal) => Response::new(pull::refused(&refusal)),
        })
    }

    async fn update_offset(
        &self,
        request: Request<v2::UpdateOffsetRequest>,
    ) -> Result<Response<v2::UpdateOffsetResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { offset::update_offset(&call, request?).await };
        self.answer("update_offset", &call, work).await
    }

    async fn get_offset(
        &self,
        request: Request<v2::GetOffsetRequest>,
    ) -> Result<Response<v2::GetOffsetResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { offset::get_offset(&call, request?).await };
        self.answer("get_offset", &call, work).await
    }

    async fn query_offset(
        &self,
        request: Request<v2::QueryOffsetRequest>,
    ) -> Result<Response<v2::QueryOffsetResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { offset::query_offset(&call, &request?) };
        self.answer("query_offset", &call, work).await
    }
}

/// The broker that a queue names, empty if it names none.
fn broker_of(queue: &v2::MessageQueue) -> &str {
    let broker = queue.broker.as_ref();
    broker.map_or("", |broker| broker.name.as_str())
}
