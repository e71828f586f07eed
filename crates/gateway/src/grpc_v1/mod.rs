//! The gRPC v1 front end: `apache.rocketmq.v1.MessagingService`, the protocol of ONS TCP 2.x SDKs.
//!
//! One file per verb, named as in the broker. Every call has one answer; what the core tells or
//! asks a client waits until the client fetches it (`poll_command.rs`). A refusal becomes the
//! status in the answer, with the codes of `google.rpc`; at the level of gRPC nearly every call
//! succeeds, which is what SDKs expect. Names, receipts, statuses, access and the stored form of
//! messages are shared with gRPC v2 (`grpc/`).

mod access;
mod ack;
mod change_invisible_duration;
mod end_transaction;
mod forward_to_dead_letter;
mod heartbeat;
mod message;
mod nack;
mod offset;
mod poll_command;
mod pull;
mod receive;
mod route;
mod send;
pub(crate) mod traces;

use std::{sync::Arc, time::Duration};

use base::limits;
use broker::{Filter, Instance};
use parking_lot::Mutex;
use tonic::{Request, Response, Status};
use wire::grpc_v1::{
    self as v1,
    messaging_service_server::{MessagingService, MessagingServiceServer},
};

use self::poll_command::{Parted, Questions};
use crate::{
    ConnectionInfo, Front,
    grpc::{
        access::Guarded,
        call::Call,
        names,
        status::Refusal,
        unread::{Counted, Unread},
    },
    metrics::RpcKey,
    series::Family,
};

/// What the paths of this service start with.
pub(crate) const PATH: &str = "/apache.rocketmq.v1.MessagingService/";

/// The service for one connection. Clones share it.
pub(crate) fn service(
    front: Arc<Front>,
    connection: ConnectionInfo,
) -> MessagingServiceServer<Messaging> {
    MessagingServiceServer::new(Messaging {
        front,
        connection,
        unread: Arc::default(),
        questions: Mutex::default(),
        parted: Mutex::default(),
    })
    .max_decoding_message_size(limits::GRPC_REQUEST_BYTES_MAX)
}

/// The calls of one connection.
pub(crate) struct Messaging {
    front: Arc<Front>,
    connection: ConnectionInfo,
    unread: Arc<Unread>,
    /// What clients of this connection were asked. They answer on the connection on which they
    /// heard of it.
    questions: Mutex<Questions>,
    parted: Mutex<Parted>,
}

/// The status of what is done.
fn ok() -> Option<v1::ResponseCommon> {
    common(tonic::Code::Ok, "OK".to_owned())
}

fn refused(refusal: &Refusal) -> Option<v1::ResponseCommon> {
    common(refusal.rpc_code(), refusal.text().to_owned())
}

fn common(code: tonic::Code, message: String) -> Option<v1::ResponseCommon> {
    let code = code.into();
    let status = Some(v1::Status { code, message });
    Some(v1::ResponseCommon { status })
}

/// A response with the status that every one of them but that of PollCommand has.
trait Answer: Default {
    fn common(&mut self) -> &mut Option<v1::ResponseCommon>;
}

macro_rules! answers {
    ($($response:ident),* $(,)?) => {
        $(impl Answer for v1::$response {
            fn common(&mut self) -> &mut Option<v1::ResponseCommon> {
                &mut self.common
            }
        })*
    };
}

answers!(
    QueryRouteResponse,
    HeartbeatResponse,
    HealthCheckResponse,
    SendMessageResponse,
    QueryAssignmentResponse,
    ReceiveMessageResponse,
    AckMessageResponse,
    NackMessageResponse,
    ForwardMessageToDeadLetterQueueResponse,
    EndTransactionResponse,
    QueryOffsetResponse,
    PullMessageResponse,
    ReportThreadStackTraceResponse,
    ReportMessageConsumptionResultResponse,
    NotifyClientTerminationResponse,
    ChangeInvisibleDurationResponse,
);

/// The filter that a client asks for. None is every message.
fn filter(expression: Option<&v1::FilterExpression>) -> Result<Filter, Refusal> {
    let Some(expression) = expression else {
        return Ok(Filter::All);
    };
    match expression.r#type() {
        v1::FilterType::Tag => Ok(Filter::tags(&expression.expression)?),
        v1::FilterType::Sql => Ok(Filter::sql(&expression.expression)?),
    }
}

/// The broker that a partition names, empty if it names none.
fn broker_of(partition: &v1::Partition) -> &str {
    let broker = partition.broker.as_ref();
    broker.map_or("", |broker| broker.name.as_str())
}

/// The instance of a request that names a group, or nothing.
fn instance_of(call: &Call, group: Option<&v1::Resource>) -> Result<Arc<Instance>, Refusal> {
    match group.filter(|group| !group.name.is_empty()) {
        Some(group) => Ok(names::group(call, Some(group))?.0),
        None => names::instance(call),
    }
}

impl Messaging {
    /// A call with its message, if its sender may ask that.
    fn call<T: Guarded>(&self, request: Request<T>) -> (Call, Result<T, Refusal>) {
        let (metadata, _, message) = request.into_parts();
        let call = Call::new(self.front.clone(), self.connection, metadata);
        let call = call.of_family(Family::GrpcV1);
        let allowed = access::check(&call, &message);
        (call, allowed.map(|()| message))
    }

    /// Does the work of a call and answers.
    async fn answer<R: Answer>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<R, Refusal>> + Send,
    ) -> Result<Response<R>, Status> {
        let begun = self.front.clock.elapsed();
        let result = work.await;
        let code = result
            .as_ref()
            .map_or_else(Refusal::rpc_code, |_| tonic::Code::Ok);
        hold_throttled(&self.front, code).await;
        measure(&self.front, name, code, false, begun);
        Ok(Response::new(result.unwrap_or_else(|refusal| {
            let mut response = R::default();
            *response.common() = refused(&refusal);
            response
        })))
    }
}

/// Waits before a request past a quota is answered.
async fn hold_throttled(front: &Front, code: tonic::Code) {
    if code == tonic::Code::ResourceExhausted {
        front.hold_throttled().await;
    }
}

/// Counts a call.
fn measure(
    front: &Front,
    request: &'static str,
    code: tonic::Code,
    long_polling: bool,
    begun: Duration,
) {
    let result = match code {
        tonic::Code::Ok => "success",
        _ => "process_request_failed",
    };
    let key = RpcKey {
        protocol: "grpc_v1",
        request,
        response: code.description(),
        long_polling,
        result,
    };
    let took = front.clock.elapsed().saturating_sub(begun);
    front.metrics.latency(key).observe(took);
}

/// An answer that is counted while its client reads it.
fn with_guard<R>(answer: R, counted: Option<Arc<Counted>>) -> Response<R> {
    let mut response = Response::new(answer);
    if let Some(counted) = counted {
        response.extensions_mut().insert(counted);
    }
    response
}

#[tonic::async_trait]
impl MessagingService for Messaging {
    async fn query_route(
        &self,
        request: Request<v1::QueryRouteRequest>,
    ) -> Result<Response<v1::QueryRouteResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { route::query_route(&call, request?).await };
        self.answer("query_route", work).await
    }

    async fn query_assignment(
        &self,
        request: Request<v1::QueryAssignmentRequest>,
    ) -> Result<Response<v1::QueryAssignmentResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { route::query_assignment(&call, request?).await };
        self.answer("query_assignment", work).await
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async {
            let request = request?;
            self.parted.lock().came(&request.client_id);
            heartbeat::heartbeat(&call, request).await
        };
        self.answer("heartbeat", work).await
    }

    async fn health_check(
        &self,
        request: Request<v1::HealthCheckRequest>,
    ) -> Result<Response<v1::HealthCheckResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { request.and_then(|_| heartbeat::health_check(&call)) };
        self.answer("health_check", work).await
    }

    async fn notify_client_termination(
        &self,
        request: Request<v1::NotifyClientTerminationRequest>,
    ) -> Result<Response<v1::NotifyClientTerminationResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async {
            let request = request?;
            let answer = heartbeat::notify_client_termination(&call, &request)?;
            self.parted.lock().went(&request.client_id);
            Ok(answer)
        };
        self.answer("notify_client_termination", work).await
    }

    async fn send_message(
        &self,
        request: Request<v1::SendMessageRequest>,
    ) -> Result<Response<v1::SendMessageResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { send::send(&call, request?).await };
        self.answer("send_message", work).await
    }

    async fn receive_message(
        &self,
        request: Request<v1::ReceiveMessageRequest>,
    ) -> Result<Response<v1::ReceiveMessageResponse>, Status> {
        let (call, request) = self.call(request);
        let begun = self.front.clock.elapsed();
        let result = match request {
            Ok(request) => {
                let work = async |request| receive::receive(&call, &self.unread, request).await;
                access::while_allowed(&call, request, work).await
            }
            Err(refusal) => Err(refusal),
        };
        let code = result
            .as_ref()
            .map_or_else(Refusal::rpc_code, |_| tonic::Code::Ok);
        hold_throttled(&self.front, code).await;
        measure(&self.front, "receive_message", code, true, begun);
        let (answer, counted) = result.unwrap_or_else(|refusal| {
            let common = refused(&refusal);
            let answer = v1::ReceiveMessageResponse {
                common,
                ..Default::default()
            };
            (answer, None)
        });
        Ok(with_guard(answer, counted))
    }

    async fn ack_message(
        &self,
        request: Request<v1::AckMessageRequest>,
    ) -> Result<Response<v1::AckMessageResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { ack::ack(&call, request?).await };
        self.answer("ack_message", work).await
    }

    async fn nack_message(
        &self,
        request: Request<v1::NackMessageRequest>,
    ) -> Result<Response<v1::NackMessageResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { nack::nack(&call, request?).await };
        self.answer("nack_message", work).await
    }

    async fn forward_message_to_dead_letter_queue(
        &self,
        request: Request<v1::ForwardMessageToDeadLetterQueueRequest>,
    ) -> Result<Response<v1::ForwardMessageToDeadLetterQueueResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { forward_to_dead_letter::forward_to_dead_letter(&call, request?).await };
        self.answer("forward_message_to_dead_letter_queue", work)
            .await
    }

    async fn end_transaction(
        &self,
        request: Request<v1::EndTransactionRequest>,
    ) -> Result<Response<v1::EndTransactionResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { end_transaction::end_transaction(&call, request?).await };
        self.answer("end_transaction", work).await
    }

    async fn query_offset(
        &self,
        request: Request<v1::QueryOffsetRequest>,
    ) -> Result<Response<v1::QueryOffsetResponse>, Status> {
        let (call, request) = self.call(request);
        let work = async { offset::query_offset(&call, request?) };
        self.answer("query_offset", work).await
    }

    async fn pull_message(
        &self,
        request: Request<v1::PullMessageRequest>,
    ) -> Result<Response<v1::PullMessageResponse>, Status> {
        let from = request.get_ref().offset;
        let (call, request) = self.call(request);
        let begun = self.front.clock.elapsed();
        let result = match request {
            Ok(request) => {
                let work = async |request| pull::pull(&call, &self.unread, request).await;
                access::while_allowed(&call, request, work).await
            }
            Err(refusal) => Err(refusal),
        };
        let code = result
            .as_ref()
            .map_or_else(Refusal::rpc_code, |_| tonic::Code::Ok);
        hold_throttled(&self.front, code).await;
        measure(&self.front, "pull_message", code, true, begun);
        let (answer, counted) =
            result.unwrap_or_else(|refusal| (pull::refused(&refusal, from), None));
        Ok(with_guard(answer, counted))
    }

    async fn poll_command(
        &self,
        request: Request<v1::PollCommandRequest>,
    ) -> Result<Response<v1::PollCommandResponse>, Status> {
        let (call, request) = self.call(request);
        let begun = self.front.clock.elapsed();
        let result = match request {
            Ok(request) => {
                let (questions, parted) = (&self.questions, &self.parted);
                let work = async |request| {
                    poll_command::poll_command(&call, questions, parted, request).await
                };
                access::while_allowed(&call, request, work).await
            }
            Err(refusal) => Err(refusal),
        };
        let code = result
            .as_ref()
            .map_or_else(Refusal::rpc_code, |_| tonic::Code::Ok);
        hold_throttled(&self.front, code).await;
        measure(&self.front, "poll_command", code, true, begun);
        // The answer has no status of its own.
        let answer = result.map_err(|refusal| refusal.end_of_stream())?;
        Ok(Response::new(answer))
    }

    async fn report_thread_stack_trace(
        &self,
        request: Request<v1::ReportThreadStackTraceRequest>,
    ) -> Result<Response<v1::ReportThreadStackTraceResponse>, Status> {
        let (_, request) = self.call(request);
        let work = async {
            poll_command::stack_trace(&self.questions, request?);
            Ok(v1::ReportThreadStackTraceResponse { common: ok() })
        };
        self.answer("report_thread_stack_trace", work).await
    }

    async fn report_message_consumption_result(
        &self,
        request: Request<v1::ReportMessageConsumptionResultRequest>,
    ) -> Result<Response<v1::ReportMessageConsumptionResultResponse>, Status> {
        let (_, request) = self.call(request);
        let work = async {
            poll_command::consumption_result(&self.questions, request?);
            Ok(v1::ReportMessageConsumptionResultResponse { common: ok() })
        };
        self.answer("report_message_consumption_result", work).await
    }

    async fn change_invisible_duration(
        &self,
        request: Request<v1::ChangeInvisibleDurationRequest>,
    ) -> Result<Response<v1::ChangeInvisibleDurationResponse>, Status> {
        let (call, request) = self.call(request);
        let work =
            async { change_invisible_duration::change_invisible_duration(&call, request?).await };
        self.answer("change_invisible_duration", work).await
    }
}
