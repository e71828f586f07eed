//! Heartbeat: a client lives; NotifyClientTermination: it is about to end.

use wire::grpc_v2::{self as v2, ClientType};

use super::{
    call::Call,
    names, settings,
    status::{self, Refusal},
};

pub(super) fn heartbeat(
    call: &Call,
    request: &v2::HeartbeatRequest,
) -> Result<v2::HeartbeatResponse, Refusal> {
    let kind = request.client_type();
    let (instance, group) = match &request.group {
        Some(group) if consumes(kind) => {
            let (instance, group) = names::group(call, Some(group))?;
            (instance, Some(group))
        }
        _ => (names::instance(call)?, None),
    };
    // Compat: Go (5.1) sends an empty heartbeat to find out whether the server is back.
    let identity = call.identity(None)?;
    let role = settings::role_of_heartbeat(kind, group);
    call.front
        .grpc_clients
        .alive(&instance, identity, role, call.now())?;
    Ok(v2::HeartbeatResponse {
        status: Some(status::ok()),
    })
}

pub(super) fn consumes(kind: ClientType) -> bool {
    match kind {
        ClientType::PushConsumer
        | ClientType::SimpleConsumer
        | ClientType::PullConsumer
        | ClientType::LitePushConsumer
        | ClientType::LiteSimpleConsumer => true,
        ClientType::Producer | ClientType::Unspecified => false,
    }
}

pub(super) fn notify_client_termination(
    call: &Call,
    request: &v2::NotifyClientTerminationRequest,
) -> Result<v2::NotifyClientTerminationResponse, Refusal> {
    let instance = match &request.group {
        Some(group) if !group.name.is_empty() => names::group(call, Some(group))?.0,
        _ => names::instance(call)?,
    };
    // Compat: Apache's proxy refuses to part with a client that it does not know. Rust (5.0) takes
    // that for a failure to stop, when the server has restarted and heard nothing of it since.
    // Test: `good_bye_is_taken_from_everybody`.
    call.front
        .grpc_clients
        .terminated(&instance, call.client_id()?);
    Ok(v2::NotifyClientTerminationResponse {
        status: Some(status::ok()),
    })
}
