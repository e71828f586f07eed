//! Inspections: what an operator would look at on an instance, looked at by the server.
//!
//! An instance has at most one configuration: which [`templates`] it is inspected by, with which
//! parameters, which topics and groups are looked at, and when that happens by itself. A run looks
//! at everything once, and keeps what it found as long as it is one of the newest runs. It changes
//! nothing and asks no client, so that one that was cut short is simply carried out again.
//!
//! ```text
//!   (asked for, or due) --> pending --> running --> succeeded
//!                              ^           |
//!                              +-- crash --+--> failed, after some attempts
//! ```
//!
//! What is kept where, and how a run is carried out, is in `instances/inspect.rs`. Each node of an
//! instance sees its own shards and clients (`seen.rs`); the one that carries the run out judges by
//! what all of them see (`instances/see.rs`). The operations and their fields are those of the
//! service's OpenAPI of 2022-08-01; its templates are not told, so these are ours.

mod cron;
mod look;
mod on_groups;
mod on_instances;
mod on_topics;
mod record;
mod seen;
mod spec;
mod templates;

pub use self::{
    cron::{Cron, CronError},
    record::{
        InspectedResource, Inspection, InspectionItemOutcome, InspectionResult, InspectionRun,
        InspectionRunStatus, InspectionTrigger,
    },
    spec::{
        InspectionChange, InspectionItem, InspectionSchedule, InspectionScope, InspectionSpec,
        InspectionValueError,
    },
    templates::{InspectionParameter, InspectionTemplate, ResourceKind, template, templates},
};
pub(crate) use self::{
    look::Inspected,
    record::{StoredInspection, StoredRequest},
    seen::SeenByItem,
};
