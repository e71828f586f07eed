//! Policies (codes 3006 to 3010). Source: `AdminBrokerProcessor` and `AclConverter` of RocketMQ
//! 5.5.0.

use broker::access::{Action, Policy, PolicyEntry, PolicyError, PolicyKind, SourceRange, User};
use wire::remoting::{
    Command, ResponseCode,
    body::{AclInfo, AclList, Body, PolicyEntryInfo, PolicyInfo},
    header::{AclRequest, DeleteAclRequest, ListAclsRequest},
};

use super::{
    connection::Connection,
    reply::{Answer, Refusal, Reply},
    user::instance,
};

/// What stands before the name of a user in a subject; the case does not matter.
const USER: &str = "User:";

/// Codes 3006 and 3007, which are the same: what is said of a resource that has been spoken of
/// before replaces that.
pub(super) async fn put(connection: &Connection, request: &Command) -> Answer {
    let header: AclRequest<'_> = request.header()?;
    let instance = instance(connection)?;
    let body = AclInfo::decode(&request.body)?;
    let subject = body.subject.as_deref().or(header.subject);
    let user = user_of(subject.unwrap_or_default())?;
    let mut policies = Vec::new();
    for policy in body.policies.unwrap_or_default() {
        let kind = PolicyKind::of(policy.policy_type.as_deref().unwrap_or_default());
        let entries = policy.entries.iter().map(read).collect::<Result<_, _>>();
        let entries: Vec<PolicyEntry> = entries.map_err(broker::access::AccessError::from)?;
        if !entries.is_empty() {
            policies.push(Policy { kind, entries });
        }
    }
    instance.access().put_policies(user, policies).await?;
    Ok(Reply::success(request))
}

/// Code 3008.
pub(super) async fn delete(connection: &Connection, request: &Command) -> Answer {
    let header: DeleteAclRequest<'_> = request.header()?;
    let instance = instance(connection)?;
    let user = user_of(header.subject.unwrap_or_default())?;
    let kind = PolicyKind::of(header.policy_type.unwrap_or_default());
    // Apache's broker takes a resource that it cannot read for none, and deletes everything.
    let what = match header
        .resource
        .map(str::trim)
        .filter(|text| !text.is_empty())
    {
        None => None,
        Some(text) => {
            let resource = text
                .parse()
                .map_err(|_| no_permission(PolicyError::Resource))?;
            Some((kind, resource))
        }
    };
    instance.access().delete_policies(user, what).await?;
    Ok(Reply::success(request))
}

/// Code 3009.
pub(super) fn get(connection: &Connection, request: &Command) -> Answer {
    let header: AclRequest<'_> = request.header()?;
    let instance = instance(connection)?;
    let name = user_of(header.subject.unwrap_or_default())?;
    let user = instance.access().user(name);
    let user = user.ok_or(broker::access::AccessError::NoSubject)?;
    if user.policies().is_empty() {
        return Ok(Reply::success(request));
    }
    Ok(Reply::body(request, &info(&user, |_| true)))
}

/// Code 3010.
pub(super) fn list(connection: &Connection, request: &Command) -> Answer {
    let header: ListAclsRequest<'_> = request.header()?;
    let instance = instance(connection)?;
    let part = |filter: Option<&str>| filter.map_or("", str::trim).to_owned();
    let (subjects, resources) = (part(header.subject_filter), part(header.resource_filter));
    let mut list = AclList::default();
    for user in instance.access().users() {
        let subject = format!("{USER}{}", user.name());
        if !subject.contains(&subjects) {
            continue;
        }
        // Compat: a subject with that text in it is shown whole.
        let all = subject.contains(&resources);
        let acl = info(&user, |resource| all || resource.contains(&resources));
        if acl.policies.is_some() {
            list.0.push(acl);
        }
    }
    if list.0.is_empty() {
        return Ok(Reply::success(request));
    }
    Ok(Reply::body(request, &list))
}

fn no_permission(error: impl ToString) -> Refusal {
    Refusal::new(ResponseCode::NoPermission, error.to_string())
}

fn user_of(subject: &str) -> Result<&str, Refusal> {
    let name = subject
        .split_at_checked(USER.len())
        .filter(|(kind, _)| kind.eq_ignore_ascii_case(USER))
        .map(|(_, name)| name);
    name.ok_or_else(|| no_permission("The subject is null."))
}

fn read(entry: &PolicyEntryInfo) -> Result<PolicyEntry, PolicyError> {
    PolicyEntry::read(
        entry.resource.trim(),
        entry.actions.iter().map(|action| action.trim()),
        entry.source_ips.iter().flatten().map(String::as_str),
        &entry.decision,
    )
}

/// What is said of a user about the resources that are asked for.
fn info(user: &User, asked: impl Fn(&str) -> bool) -> AclInfo {
    let mut policies = Vec::new();
    for policy in user.policies() {
        let entries = policy.entries.iter().map(shown);
        let entries: Vec<_> = entries.filter(|entry| asked(&entry.resource)).collect();
        if !entries.is_empty() {
            policies.push(PolicyInfo {
                entries,
                policy_type: Some(policy.kind.name().to_owned()),
            });
        }
    }
    AclInfo {
        policies: (!policies.is_empty()).then_some(policies),
        subject: Some(format!("{USER}{}", user.name())),
    }
}

fn shown(entry: &PolicyEntry) -> PolicyEntryInfo {
    let sources = entry.sources().iter().map(SourceRange::to_string);
    let actions = entry.actions().iter();
    PolicyEntryInfo {
        actions: actions
            .map(|action| Action::name(*action).to_owned())
            .collect(),
        decision: entry.decision().name().to_owned(),
        resource: entry.resource().to_string(),
        source_ips: (!entry.sources().is_empty()).then(|| sources.collect()),
    }
}
