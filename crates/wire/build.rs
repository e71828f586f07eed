//! Compiles our protocol definitions, without a system `protoc`.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protos");
    let file = "apache/rocketmq/v2/service.proto";
    println!("cargo::rerun-if-changed={}", root.display());

    let descriptors = protox::compile([file], [&root])?;
    tonic_prost_build::configure()
        .build_transport(false)
        // Bodies stay slices of what came in.
        .bytes(".apache.rocketmq.v2.Message.body")
        .compile_fds(descriptors)?;
    Ok(())
}
