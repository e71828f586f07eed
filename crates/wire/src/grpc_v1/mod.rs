//! The gRPC protocol of ONS TCP 2.x SDKs: messages, and stubs for both sides.
//!
//! Generated from `protos/apache/rocketmq/v1`, where the meaning of every field is written.

mod generated {
    #![expect(
        missing_docs,
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        reason = "generated; the definitions in protos/ carry the documentation"
    )]
    tonic::include_proto!("apache.rocketmq.v1");
}

pub use generated::*;
