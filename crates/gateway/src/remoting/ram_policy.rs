//! RAM-style policies (codes 31001 to 31007, our own).

use broker::{Instance, access::RamPolicy};
use wire::remoting::{
    Command, ResponseCode,
    body::{RamPolicyInfo, RamPolicyList},
    header::RamPolicyRequest,
};

use super::{
    connection::Connection,
    reply::{Answer, Refusal, Reply},
    user::instance,
};

/// Code 31001.
pub(super) async fn create(connection: &Connection, request: &Command) -> Answer {
    let header: RamPolicyRequest<'_> = request.header()?;
    let instance = instance(connection)?;
    let document = document(request)?;
    let access = instance.access();
    access.create_ram_policy(header.policy, document).await?;
    Ok(Reply::success(request))
}

/// Code 31002.
pub(super) async fn update(connection: &Connection, request: &Command) -> Answer {
    let header: RamPolicyRequest<'_> = request.header()?;
    let instance = instance(connection)?;
    let document = document(request)?;
    let access = instance.access();
    access.update_ram_policy(header.policy, document).await?;
    Ok(Reply::success(request))
}

/// Code 31003.
pub(super) async fn delete(connection: &Connection, request: &Command) -> Answer {
    let header: RamPolicyRequest<'_> = request.header()?;
    let instance = instance(connection)?;
    instance.access().delete_ram_policy(header.policy).await?;
    Ok(Reply::success(request))
}

/// Code 31004.
pub(super) fn get(connection: &Connection, request: &Command) -> Answer {
    let header: RamPolicyRequest<'_> = request.header()?;
    let instance = instance(connection)?;
    let policy = instance.access().ram_policy(header.policy);
    let policy = policy.ok_or_else(|| broker::access::AccessError::RamNotFound {
        policy: header.policy.chars().take(64).collect(),
    })?;
    let document = Some(policy.document().to_owned());
    let info = RamPolicyInfo {
        document,
        ..info(&instance, &policy)
    };
    Ok(Reply::body(request, &info))
}

/// Code 31005.
pub(super) fn list(connection: &Connection, request: &Command) -> Answer {
    let instance = instance(connection)?;
    let policies = instance.access().ram_policies();
    let list = policies.iter().map(|policy| info(&instance, policy));
    Ok(Reply::body(request, &RamPolicyList(list.collect())))
}

/// Code 31006.
pub(super) async fn attach(connection: &Connection, request: &Command) -> Answer {
    let header: RamPolicyRequest<'_> = request.header()?;
    let instance = instance(connection)?;
    let user = header.user.unwrap_or_default();
    instance.access().attach(header.policy, user).await?;
    Ok(Reply::success(request))
}

/// Code 31007.
pub(super) async fn detach(connection: &Connection, request: &Command) -> Answer {
    let header: RamPolicyRequest<'_> = request.header()?;
    let instance = instance(connection)?;
    let user = header.user.unwrap_or_default();
    instance.access().detach(header.policy, user).await?;
    Ok(Reply::success(request))
}

/// The document, which is the body.
fn document(request: &Command) -> Result<&str, Refusal> {
    std::str::from_utf8(&request.body).map_err(|error| {
        let remark = format!("policy document is no UTF-8: {error}");
        Refusal::new(ResponseCode::InvalidParameter, remark)
    })
}

fn info(instance: &Instance, policy: &RamPolicy) -> RamPolicyInfo {
    let users = instance.access().users_with(policy.name());
    RamPolicyInfo {
        policy_name: policy.name().to_owned(),
        is_system: policy.is_system(),
        document: None,
        users: users.iter().map(|user| user.name().to_owned()).collect(),
    }
}
