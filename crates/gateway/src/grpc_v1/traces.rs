//! The receiver of the spans that ONS TCP 2.x SDKs write of what they send and consume:
//! `opentelemetry.proto.collector.trace.v1.TraceService`, at the addresses that routes give.
//!
//! SDKs trace unless they are told not to, and sign these calls as all others. Nobody reads client
//! spans back through this protocol; they are taken, counted as calls, and not kept.

use std::sync::Arc;

use base::limits;
use tonic::{Request, Response, Status};
use wire::otlp::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};

use crate::{
    ConnectionInfo, Front,
    grpc::{access, call::Call, names, status::Refusal},
};

/// What the paths of this service start with.
pub(crate) const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/";

/// The service for one connection.
pub(crate) fn service(front: Arc<Front>, connection: ConnectionInfo) -> TraceServiceServer<Traces> {
    TraceServiceServer::new(Traces { front, connection })
        .max_decoding_message_size(limits::GRPC_REQUEST_BYTES_MAX)
}

/// The spans that come over one connection.
pub(crate) struct Traces {
    front: Arc<Front>,
    connection: ConnectionInfo,
}

#[tonic::async_trait]
impl TraceService for Traces {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, _) = request.into_parts();
        let call = Call::new(Arc::clone(&self.front), self.connection, metadata);
        let begun = self.front.clock.elapsed();
        let result = take(&call);
        let code = result
            .as_ref()
            .map_or_else(Refusal::rpc_code, |()| tonic::Code::Ok);
        super::measure(&self.front, "export_trace", code, false, begun);
        result.map_err(|refusal| refusal.end_of_stream())?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Checks that the spans come from somebody whom the client's instance knows.
fn take(call: &Call) -> Result<(), Refusal> {
    let instance = names::instance(call)?;
    access::check_known(call, &instance)
}
