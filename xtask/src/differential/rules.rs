//! The differences that are accepted, each by name.
//!
//! A rule is narrow: it says of which operations it speaks, what Apache's answer to them is and
//! what ours is. What it says of Apache is checked on every such operation of every run, also where
//! nothing differs: should Apache do otherwise, the rule fails, for its reason is gone.

use super::operation::Operation;
use super::outcome::Outcome;

/// An accepted difference.
pub(super) struct Rule {
    /// Its name.
    pub(super) name: &'static str,
    /// Which operations it speaks of.
    pub(super) speaks_of: fn(&Operation) -> bool,
    /// What Apache does; all that Apache may answer to such an operation.
    pub(super) apache: fn(&Operation, &Outcome) -> bool,
    /// What Carrack may answer where Apache answered so: the whole difference.
    pub(super) accepts: fn(&Operation, &Outcome, &Outcome) -> bool,
    /// What Apache does, and why ours differs.
    pub(super) reason: &'static str,
}

/// All of them.
pub(super) const RULES: &[Rule] = &[Rule {
    name: "timers fire in slots of a second",
    speaks_of: |operation| {
        matches!(
            operation,
            Operation::Await {
                is_expected: true,
                ..
            }
        )
    },
    apache: |_, apache| {
        matches!(
            apache.value("when"),
            None | Some("due" | "in the second before")
        )
    },
    accepts: |_, apache, carrack| {
        apache.value("when") == Some("in the second before")
            && carrack.value("when") == Some("due")
            && apache.lines[1..] == carrack.lines[1..]
    },
    reason: "Apache rounds the due time down to a whole slot of its wheel and delivers up to a \
             second early; Carrack delivers no message before it is due",
}];
