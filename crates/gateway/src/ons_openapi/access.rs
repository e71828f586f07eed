//! Whether who sends a request of the OpenAPI may.

use base::InstanceId;
use broker::access::Operation;

use super::{
    call::Call,
    operations::Subject,
    status::{Code, Refusal},
    tags,
};
use crate::access::origin;

/// Checks that the sender may ask for the operation: a super user, which is the account, may;
/// others what their RAM-style policies allow.
pub(super) fn check(call: &Call) -> Result<(), Refusal> {
    let Some(user) = &call.user else {
        return Ok(());
    };
    let origin = origin(&call.front, &call.connection);
    let may = |instance: Option<&InstanceId>, resource: Option<&str>| {
        let operation = Operation {
            name: call.operation.name,
            instance,
            resource,
        };
        user.may_operate(&operation, &origin)
            .map_err(|error| Refusal::of(Code::ForbiddenRam, &error))
    };
    match call.operation.subject {
        Subject::Account => may(None, None),
        Subject::Instance => may(Some(call.instance_id()), None),
        Subject::Topic => may(Some(call.instance_id()), call.text("Topic")),
        Subject::Group => may(Some(call.instance_id()), call.text("GroupId")),
        Subject::Tagged => {
            let kind = tags::Kind::of(call)?;
            let ids = call.list("ResourceId")?;
            // Where none is named, all of the kind are meant.
            match (kind, ids.is_empty()) {
                (tags::Kind::Instance, true) => may(None, None),
                (tags::Kind::Topic | tags::Kind::Group, true) => {
                    may(Some(call.instance_id()), None)
                }
                (tags::Kind::Instance, false) => ids.into_iter().try_for_each(|id| {
                    let id = InstanceId::new(id);
                    let id = id.map_err(|error| Refusal::field("ResourceId", error))?;
                    may(Some(&id), None)
                }),
                (tags::Kind::Topic | tags::Kind::Group, false) => {
                    let instance = call.instance_id();
                    ids.into_iter()
                        .try_for_each(|id| may(Some(instance), Some(id)))
                }
            }
        }
    }
}
