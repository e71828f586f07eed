//! What every producer and consumer of this process shares: the runtime and the address.

use std::sync::Arc;

use rocketmq_client_rust::{
    AclClientRPCHook, ClientConfig, ClientRuntime, ClientRuntimeConfig, SessionCredentials,
};
use rocketmq_observability::TelemetryRuntimeGuard;
use rocketmq_runtime::RuntimeOwner;

use crate::Failure;
use crate::protocol::Session;

pub struct Connection {
    pub runtime: Arc<ClientRuntime>,
    endpoint: String,
}

impl Connection {
    pub fn new(owner: &RuntimeOwner, endpoint: String) -> Result<Self, Failure> {
        let runtime = ClientRuntime::try_new(
            owner.root_context().component("driver"),
            ClientRuntimeConfig::default(),
            TelemetryRuntimeGuard::noop().handle(),
        )?;
        Ok(Self { runtime, endpoint })
    }

    /// `role` keeps the producer and the consumer apart: each has connections of its own.
    pub fn config(&self, role: &str, session: &Session) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_namesrv_addr(self.endpoint.as_str().into());
        config.set_instance_name(format!("{role}-{}", std::process::id()).into());
        if let Some(namespace) = &session.namespace {
            config.set_namespace(namespace.as_str().into());
        }
        config.enable_trace = session.trace;
        config
    }
}

/// Signs every request, if there are keys.
pub fn signer(session: &Session) -> Option<Arc<AclClientRPCHook>> {
    let (access_key, secret_key) = session
        .access_key
        .as_ref()
        .zip(session.secret_key.as_ref())?;
    let credentials = SessionCredentials::with_keys(access_key.as_str(), secret_key.as_str());
    Some(Arc::new(AclClientRPCHook::new(credentials)))
}
