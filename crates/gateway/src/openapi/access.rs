//! Whether who sends a request may: a super user, which is the account, may; others what their
//! RAM-style policies allow. What a policy is about is `instance/{instance}`, with
//! `/topic/{topic}` or `/consumergroup/{group}` behind it.

use broker::access::ControlCall;

use super::{
    call::{Call, GROUP, INSTANCE, TOPIC},
    inspection::REPORT,
    inspection_report,
    operations::Subject,
    status::{Code, Refusal},
    tags,
};
use crate::access::origin;

/// Checks that the sender may ask for the operation.
pub(super) fn check(call: &Call) -> Result<(), Refusal> {
    let text = |name| call.text(name).unwrap_or("*");
    let instance = || format!("instance/{}", text(INSTANCE));
    match call.operation.subject {
        Subject::Account => may(call, "*"),
        Subject::Instances => may(call, "instance/*"),
        Subject::Instance => may(call, &instance()),
        Subject::Topic => may(call, &format!("{}/topic/{}", instance(), text(TOPIC))),
        Subject::Group => may(
            call,
            &format!("{}/consumergroup/{}", instance(), text(GROUP)),
        ),
        Subject::Report => {
            let report = call.text(REPORT).and_then(inspection_report::parts);
            let instance = report.map_or("*", |(instance, _)| instance);
            may(call, &format!("instance/{instance}"))
        }
        Subject::Tagged => match tags::instance_ids(call)? {
            ids if ids.is_empty() => may(call, "instance/*"),
            ids => ids
                .iter()
                .try_for_each(|id| may(call, &format!("instance/{id}"))),
        },
    }
}

fn may(call: &Call, resource: &str) -> Result<(), Refusal> {
    let Some(user) = &call.user else {
        return Ok(());
    };
    let asked = ControlCall {
        name: call.operation.name,
        region: call.region(),
        account: &call.account(),
        resource,
    };
    let origin = origin(&call.front, &call.connection);
    let allowed = user.may_control(&asked, &origin);
    allowed.map_err(|error| Refusal::of(Code::NoPermission, &error))
}
