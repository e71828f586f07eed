//! ListRegions and ListAvailableZones: a server is one region, and one zone of it.

use base::Timestamp;
use serde_json::{Value, json};

use super::{call::Call, page::shown_time, status::Refusal};

/// When the default instance, and with it the server, was made.
fn made(call: &Call) -> Option<Timestamp> {
    let instances = call.front.instances.as_ref()?;
    let record = instances.get(call.front.account().ok()?.id());
    Some(record.ok()?.created_at)
}

/// ListRegions.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    let made = shown_time(made(call));
    Ok(json!([{
        "createTime": made,
        "regionId": call.region(),
        "regionName": call.region(),
        "supportRocketmqV4": true,
        "supportRocketmqV5": true,
        "tags": [],
        "updateTime": made,
    }]))
}

/// The one zone.
pub(super) fn zone(call: &Call) -> String {
    format!("{}-a", call.region())
}

/// ListAvailableZones.
pub(super) async fn zones(call: &Call) -> Result<Value, Refusal> {
    let made = shown_time(made(call));
    let zone = zone(call);
    Ok(json!([{
        "createTime": made, "updateTime": made, "zoneId": zone, "zoneName": zone,
    }]))
}
