//! Compiles our definitions of etcd's API, without a system `protoc`.

use std::env;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    // Asked at run time: a build script may outlive the folder that it was compiled in.
    let manifest = env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?;
    let root = Path::new(&manifest).join("../../protos");
    println!(
        "cargo::rerun-if-changed={}",
        root.join("etcdserverpb").display()
    );

    let descriptors = protox::compile(["etcdserverpb/rpc.proto"], [&root])?;
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .bytes(".etcdserverpb.KeyValue.value")
        .bytes(".etcdserverpb.PutRequest.value")
        .compile_fds(descriptors)?;
    Ok(())
}
