//! Administration of instances: codes 31011 to 31019, which are this server's own.

use super::header;

header! {
    /// Requests about one instance: `UpdateInstance` (31012), `DeleteInstance` (31013),
    /// `GetInstance` (31014), `RenewInstance` (31016), `UnsubscribeInstance` (31017) and
    /// `ReleaseInstance` (31018).
    pub struct InstanceRequest<'a> {
        /// The instance.
        instance_id: &'a str = "instanceId",
    }
}

header! {
    /// Request `ListUsage` (31019).
    pub struct UsageRequest<'a> {
        /// The instance; `None` for all, also those that are gone.
        instance_id: Option<&'a str> = "instanceId",
        /// First hour, ms since 1970.
        from_ms: i64 = "fromMs" or 0,
        /// End, ms since 1970: hours that begin before it.
        to_ms: i64 = "toMs" or i64::MAX,
    }
}
