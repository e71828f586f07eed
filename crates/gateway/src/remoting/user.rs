//! Users (codes 3001 to 3005).
//!
//! Answers hold secrets in clear, as Apache's do: `copyUser` copies them. Only a super user is
//! shown those of super users, or may change one. Source: `AdminBrokerProcessor` of RocketMQ 5.5.0.

use std::sync::Arc;

use broker::{
    Instance,
    access::{Secret, User, UserChange, UserType},
};
use wire::remoting::{
    Command, ResponseCode,
    body::{Body, UserInfo, UserList},
    header::{ListUsersRequest, UserRequest},
};

use super::{
    access,
    connection::Connection,
    reply::{Answer, Refusal, Reply},
};

/// The instance whose users are meant. Names of users have no instance in front.
pub(super) fn instance(connection: &Connection) -> Result<Arc<Instance>, Refusal> {
    Ok(connection.front.settle([])?)
}

/// Code 3001.
pub(super) async fn create(connection: &Connection, request: &Command) -> Answer {
    let (instance, name) = (instance(connection)?, name(request)?);
    let change = change(request)?;
    if change.user_type == Some(UserType::Super)
        && !access::is_super(connection, &instance, request)
    {
        return Err(only_super("create"));
    }
    instance.access().create_user(name, change).await?;
    Ok(Reply::success(request))
}

/// Code 3002.
pub(super) async fn update(connection: &Connection, request: &Command) -> Answer {
    let (instance, name) = (instance(connection)?, name(request)?);
    let change = change(request)?;
    let is_super = access::is_super(connection, &instance, request);
    if change.user_type == Some(UserType::Super) && !is_super {
        return Err(only_super("update"));
    }
    may_change(&instance, name, is_super)?;
    instance.access().update_user(name, change).await?;
    Ok(Reply::success(request))
}

/// Code 3003.
pub(super) async fn delete(connection: &Connection, request: &Command) -> Answer {
    let (instance, name) = (instance(connection)?, name(request)?);
    let is_super = access::is_super(connection, &instance, request);
    may_change(&instance, name, is_super)?;
    instance.access().delete_user(name).await?;
    Ok(Reply::success(request))
}

/// Code 3004.
pub(super) fn get(connection: &Connection, request: &Command) -> Answer {
    let (instance, name) = (instance(connection)?, name(request)?);
    let is_super = access::is_super(connection, &instance, request);
    Ok(match instance.access().user(name) {
        Some(user) => Reply::body(request, &info(&user, is_super)),
        None => Reply::success(request),
    })
}

/// Code 3005.
pub(super) fn list(connection: &Connection, request: &Command) -> Answer {
    let header: ListUsersRequest<'_> = request.header()?;
    let instance = instance(connection)?;
    let is_super = access::is_super(connection, &instance, request);
    let filter = header.filter.map_or("", str::trim);
    let users = instance.access().users();
    let asked = users.iter().filter(|user| user.name().contains(filter));
    let list = UserList(asked.map(|user| info(user, is_super)).collect());
    if list.0.is_empty() {
        return Ok(Reply::success(request));
    }
    Ok(Reply::body(request, &list))
}

fn name(request: &Command) -> Result<&str, Refusal> {
    let header: UserRequest<'_> = request.header()?;
    let name = header.username.filter(|name| !name.trim().is_empty());
    name.ok_or_else(|| Refusal::new(ResponseCode::InvalidParameter, "The username is blank"))
}

/// What a body says; types and statuses that nobody knows say nothing, as Apache's broker reads
/// them.
fn change(request: &Command) -> Result<UserChange, Refusal> {
    let body = UserInfo::decode(&request.body)?;
    Ok(UserChange {
        secret: body.password.as_deref().map(Secret::new),
        user_type: body.user_type.and_then(|name| name.parse().ok()),
        status: body.user_status.and_then(|name| name.parse().ok()),
        remark: None,
    })
}

fn may_change(instance: &Instance, name: &str, is_super: bool) -> Result<(), Refusal> {
    let user = instance.access().user(name);
    if user.is_some_and(|user| user.is_super()) && !is_super {
        let remark = "The super user can only be update by super user";
        return Err(Refusal::new(ResponseCode::NoPermission, remark));
    }
    Ok(())
}

fn only_super(what: &str) -> Refusal {
    let remark = format!("The super user can only be {what} by super user");
    Refusal::new(ResponseCode::SystemError, remark)
}

fn info(user: &User, for_super: bool) -> UserInfo {
    let secret = user.secret().text();
    UserInfo {
        password: (for_super || !user.is_super()).then(|| secret.to_owned()),
        user_status: Some(user.status().name().to_owned()),
        user_type: Some(user.user_type().name().to_owned()),
        username: Some(user.name().to_owned()),
    }
}
