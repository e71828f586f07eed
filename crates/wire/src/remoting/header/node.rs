//! Administration of the nodes of a cluster: codes 31021 to 31023, which are this server's own.

use super::header;

header! {
    /// Request `RemoveNode` (31022).
    pub struct RemoveNodeRequest<'a> {
        /// The node.
        name: &'a str = "name",
        /// Whether what it has may be lost.
        force: bool = "force" or false,
    }
}

header! {
    /// Request `OfferNode` (31023).
    pub struct OfferNodeRequest<'a> {
        /// The node.
        name: &'a str = "name",
        /// Whether it is in the routes for sends.
        sends: bool = "sends",
    }
}
