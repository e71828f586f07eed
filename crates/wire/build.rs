//! Compiles our protocol definitions, without a system `protoc`.

use std::env;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    // Asked at run time: a build script may outlive the folder that it was compiled in.
    let manifest = env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?;
    let root = Path::new(&manifest).join("../../protos");
    let files = [
        "apache/rocketmq/v1/service.proto",
        "apache/rocketmq/v2/service.proto",
        "apache/rocketmq/v2/admin.proto",
        "opentelemetry/proto/collector/metrics/v1/metrics_service.proto",
        "opentelemetry/proto/collector/trace/v1/trace_service.proto",
    ];
    println!("cargo::rerun-if-changed={}", root.display());

    let descriptors = protox::compile(files, [&root])?;
    tonic_prost_build::configure()
        .build_transport(false)
        // Bodies stay slices of what came in.
        .bytes(".apache.rocketmq.v1.Message.body")
        .bytes(".apache.rocketmq.v2.Message.body")
        .bytes(".apache.rocketmq.v2.AdminSendMessageRequest.body")
        .compile_fds(descriptors)?;
    Ok(())
}
