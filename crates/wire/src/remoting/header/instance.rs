//! Administration of instances: codes 31011 to 31015, which are this server's own.

use super::header;

header! {
    /// Requests `UpdateInstance` (31012), `DeleteInstance` (31013) and `GetInstance` (31014).
    pub struct InstanceRequest<'a> {
        /// The instance.
        instance_id: &'a str = "instanceId",
    }
}
