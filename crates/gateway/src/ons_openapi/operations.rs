//! The table of operations: what each is called, which parameters it has, and what carries it out.
//!
//! Source: the models of `alibabacloud-ons20190214` 3.0.0 for Python.

use futures::future::BoxFuture;

use super::{Fields, call::Call, regions, status::Refusal};

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A whole number; times are ms since 1970.
    Integer,
    /// `true` or `false`, in any case.
    Boolean,
    /// Texts: `Name.1`, `Name.2`.
    List,
    /// Tags: `Name.1.Key`, `Name.1.Value`.
    Tags,
}

/// One parameter of an operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
}

/// What a permission for an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The account as a whole.
    Account,
    /// The instance.
    Instance,
    /// The topic of parameter `Topic`.
    Topic,
    /// The group of parameter `GroupId`.
    Group,
}

/// One operation.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) subject: Subject,
    pub(super) parameters: &'static [Parameter],
    pub(super) run: fn(&Call) -> BoxFuture<'_, Result<Fields, Refusal>>,
}

/// The operation of that name.
pub(super) fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

macro_rules! operations {
    ($($name:ident($($parameter:ident: $kind:ident $($required:ident)?),*)
        about $subject:ident => $run:path;)*) => {
        /// All operations.
        pub(super) static OPERATIONS: &[Operation] = &[$(Operation {
            name: stringify!($name),
            subject: Subject::$subject,
            parameters: &[$(Parameter {
                name: stringify!($parameter),
                kind: Kind::$kind,
                is_required: operations!(@required $($required)?),
            }),*],
            run: |call| Box::pin($run(call)),
        }),*];
    };
    (@required) => { false };
    (@required required) => { true };
}

operations! {
    OpenOnsService() about Account => regions::open;
    OnsRegionList() about Account => regions::list;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_is_there_once() {
        let names: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
        assert_eq!(names.len(), OPERATIONS.len());
    }
}
