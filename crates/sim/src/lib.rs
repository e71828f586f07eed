//! Deterministic simulation of store and broker, with checkers of the invariants; never shipped.
//!
//! One seed is one run. It decides what the run is (`plan.rs`), in which order tasks go on
//! (`scheduler.rs`), when time moves (`world.rs`), at which operation the machine stops
//! (`machine.rs`) and what disk and KV have kept then (`disk.rs`, `kv.rs`). The node (`node.rs`) is
//! the real log and the real broker. Clients (`clients/`) use it and write down what they see in
//! the ledger (`ledger.rs`), which holds the invariants. `run.rs` puts it together.
//!
//! A run of another kind is about isolation: two tenants and a server whose time is modelled
//! (`tenants.rs`).
//!
//! What is not simulated: front ends and network, the real KV engine, more than one shard.

mod body;
pub mod clients;
pub mod disk;
pub mod figures;
pub mod kv;
pub mod ledger;
pub mod machine;
pub mod meta;
pub mod node;
pub mod plan;
pub mod planted;
pub mod run;
pub mod scheduler;
pub mod tenants;
pub mod world;

pub use planted::Planted;
pub use run::{Options, Outcome, run};
pub use tenants::{TenantOptions, TenantOutcome, run_tenants};
