//! Giving spans to a collector of OpenTelemetry.

use std::time::Duration;

use tokio::time::timeout;
use tonic::Request;
use wire::otlp::{
    collector::trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
    trace::v1::ResourceSpans,
};

use super::channel::{self, Channel};
use crate::ClientError;

/// A connection to a collector that takes OTLP over gRPC.
#[derive(Clone, Debug)]
pub struct SpanCollector {
    stub: TraceServiceClient<Channel>,
    address: String,
    request_timeout: Duration,
}

impl SpanCollector {
    /// Connects to `address`, a host and port; any certificate is taken where `tls` asks for one.
    /// Neither this nor a request waits longer than `limit`.
    ///
    /// # Errors
    /// When nobody listens there, or does not answer within the limit.
    pub async fn connect(address: &str, tls: bool, limit: Duration) -> Result<Self, ClientError> {
        let connected = timeout(limit, channel::connect(address, tls)).await;
        let (channel, origin) = connected
            .map_err(|_| ClientError::ConnectTimeout {
                address: address.to_owned(),
                after: limit,
            })?
            .map_err(|source| ClientError::Connect {
                address: address.to_owned(),
                source,
            })?;
        Ok(Self {
            stub: TraceServiceClient::with_origin(channel, origin),
            address: address.to_owned(),
            request_timeout: limit,
        })
    }

    /// Gives spans to the collector. How many of them it did not take.
    ///
    /// # Errors
    /// When it refuses all of them or does not answer.
    pub async fn export(&self, resource_spans: Vec<ResourceSpans>) -> Result<i64, ClientError> {
        const NAME: &str = "export spans";
        let limit = self.request_timeout;
        let mut stub = self.stub.clone();
        let request = Request::new(ExportTraceServiceRequest { resource_spans });
        match timeout(limit, stub.export(request)).await {
            Ok(Ok(answer)) => {
                let partial = answer.into_inner().partial_success;
                Ok(partial.map_or(0, |partial| partial.rejected_spans))
            }
            Ok(Err(status)) => Err(ClientError::RefusedGrpc {
                address: self.address.clone(),
                request: NAME,
                code: format!("{:?}", status.code()),
                remark: status.message().to_owned(),
            }),
            Err(_) => Err(ClientError::Timeout {
                address: self.address.clone(),
                request: NAME,
                after: limit,
            }),
        }
    }
}
