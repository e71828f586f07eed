//! OTLP, the protocol of OpenTelemetry, as far as it is spoken here: SDKs report metrics to the
//! server, and the server gives spans to a collector.
//!
//! Generated from `protos/opentelemetry`, where the meaning of every field is written. Modules are
//! nested as the packages of the protocol are.

#![expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    reason = "generated; the definitions in protos/ carry the documentation"
)]

/// What metrics and spans have in common.
pub mod common {
    pub mod v1 {
        tonic::include_proto!("opentelemetry.proto.common.v1");
    }
}

/// The program that measured.
pub mod resource {
    pub mod v1 {
        tonic::include_proto!("opentelemetry.proto.resource.v1");
    }
}

/// Metrics as clients report them.
pub mod metrics {
    pub mod v1 {
        tonic::include_proto!("opentelemetry.proto.metrics.v1");
    }
}

/// Spans as they are exported.
pub mod trace {
    pub mod v1 {
        tonic::include_proto!("opentelemetry.proto.trace.v1");
    }
}

/// The services of collectors.
pub mod collector {
    pub mod metrics {
        pub mod v1 {
            tonic::include_proto!("opentelemetry.proto.collector.metrics.v1");
        }
    }
    pub mod trace {
        pub mod v1 {
            tonic::include_proto!("opentelemetry.proto.collector.trace.v1");
        }
    }
}
