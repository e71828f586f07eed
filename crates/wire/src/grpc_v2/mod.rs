//! The gRPC protocol of RocketMQ 5.x SDKs: messages, and stubs for both sides.
//!
//! Generated from `protos/apache/rocketmq/v2`, where the meaning of every field is written.

mod generated {
    #![expect(
        missing_docs,
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        clippy::large_enum_variant,
        reason = "generated; the definitions in protos/ carry the documentation"
    )]
    tonic::include_proto!("apache.rocketmq.v2");
}

pub use generated::*;

/// Bytes of a message on the wire, without the frame around it.
pub fn encoded_len(message: &impl prost::Message) -> usize {
    message.encoded_len()
}
