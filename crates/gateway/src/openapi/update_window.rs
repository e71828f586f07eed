//! Operations on maintenance windows.

use control::{UpdateRecord, Window, Zone};
use serde_json::{Value, json};

use super::{call::Call, status::Refusal};

fn shown(call: &Call, record: &UpdateRecord) -> Value {
    let next = record.window.next_start(&record.zone, call.now());
    json!({
        "instanceId": record.instance.as_str(),
        "maintainTime": record.window.to_string(),
        "nextStartTime": record.zone.show(next),
        "timeZone": record.zone.name(),
    })
}

/// GetMaintenanceWindow.
pub(super) async fn get(call: &Call) -> Result<Value, Refusal> {
    let record = call.control()?.updates().describe(call.instance()?.id())?;
    record.check_managed()?;
    Ok(shown(call, &record))
}

/// UpdateMaintenanceWindow: counts for tasks to come.
pub(super) async fn set(call: &Call) -> Result<Value, Refusal> {
    let (instance, control) = (call.instance()?, call.control()?);
    let window = match call.text("maintainTime") {
        None => None,
        Some(_) => Some(call.name("maintainTime", str::parse::<Window>)?),
    };
    let zone = match call.text("timeZone") {
        None => None,
        Some(_) => Some(call.name("timeZone", Zone::new)?),
    };
    if window.is_none() && zone.is_none() {
        return Err(Refusal::missing("maintainTime"));
    }
    let updates = control.updates();
    updates.set_window(instance.id(), window, zone).await?;
    Ok(shown(call, &*updates.describe(instance.id())?))
}
