//! What an operator of instances needs beside the broker: version numbers, maintenance windows, the
//! catalogue of releases, update tasks and the durable workflows that carry them out.
//!
//! The crate knows no broker type and no protocol. It acts on nodes through a trait, keeps what it
//! knows in the metadata store, and takes time from [`base::Clock`].

mod control;
mod data_version;
mod day;
mod nodes;
mod provision;
mod release;
mod rolling;
mod stored;
mod supervisor;
#[cfg(test)]
mod test_world;
mod under_way;
mod update;
mod version;
mod window;
mod workflow;
mod zone;

pub use control::{AnnounceError, Announced, Control, Event, TaskProgress};
pub use data_version::{
    DataVersionError, check_data_version, raise_data_version, read_data_version,
};
pub use day::{Day, DayError};
pub use nodes::{Node, NodeError, NodeName, Nodes};
pub use provision::{
    Fulfilment, Grounds, Order, OrderKind, Orders, Provision, ProvisionStep, Provisioner,
};
pub use release::{
    BinaryError, Catalogue, KeyError, NewRelease, OpenCatalogueError, PublishError, Release,
    TrustedKeys,
};
pub use rolling::{RollError, Rollout, Scheduler, UpdateStep};
pub use supervisor::{NodeCalls, NodeRecord, OwnEtcd, OwnEtcdError, Supervisor, halt};
pub use update::{
    Due, Operation, Permit, Task, TaskState, UpdateError, UpdateInProgress, UpdateRecord, Updates,
};
pub use version::{UpdateKind, Version, VersionError};
pub use window::{Window, WindowError};
pub use workflow::{
    DriveError, Outcome, Progress, StepError, StepState, Steps, WorkflowRecord, WorkflowStatus,
    drive,
};
pub use zone::{Zone, ZoneError};
