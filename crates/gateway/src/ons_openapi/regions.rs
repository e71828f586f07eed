//! OpenOnsService and OnsRegionList: the service is always open, and the server is one region.

use serde_json::json;

use super::{Fields, call::Call, status::Refusal};

/// OpenOnsService: there is nothing to order.
pub(super) async fn open(_: &Call) -> Result<Fields, Refusal> {
    Ok(Fields::from_iter([("OrderId".to_owned(), json!("0"))]))
}

/// OnsRegionList.
pub(super) async fn list(call: &Call) -> Result<Fields, Refusal> {
    let region = &call.front.settings.region;
    let now = call.now().ms();
    let since = now.saturating_sub(i64::try_from(call.front.uptime().as_millis()).unwrap_or(now));
    let data = json!({ "RegionDo": [{
        "Id": 1,
        "OnsRegionId": region,
        "RegionName": region,
        "ChannelName": "CLOUD",
        "CreateTime": since,
        "UpdateTime": since,
    }] });
    Ok(Fields::from_iter([("Data".to_owned(), data)]))
}
