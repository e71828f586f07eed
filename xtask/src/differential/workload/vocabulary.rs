//! The words of which the workload makes messages and filters.

use crate::differential::operation::Filter;

/// Tags that messages have.
pub(super) const TAGS: [Option<&str>; 4] = [None, Some("red"), Some("blue"), Some("green tea")];

/// What consumers subscribe to.
pub(super) const SUBSCRIPTIONS: [Filter; 4] = [
    Filter {
        kind: "TAG",
        expression: "*",
    },
    Filter {
        kind: "TAG",
        expression: "red",
    },
    Filter {
        kind: "TAG",
        expression: "red || green tea",
    },
    Filter {
        kind: "SQL92",
        expression: "size BETWEEN 1 AND 6 OR TAGS = 'blue'",
    },
];

/// Filter types and expressions, good ones and bad ones.
pub(super) const FILTERS: [(&str, &str); 12] = [
    ("TAG", "*"),
    ("TAG", "red"),
    ("TAG", "red || blue"),
    ("TAG", "none-has-it"),
    ("TAG", ""),
    ("SQL92", "size > 3"),
    ("SQL92", "size BETWEEN 2 AND 5 AND colour = 'red'"),
    ("SQL92", "colour IS NOT NULL"),
    ("SQL92", "TAGS IN ('red', 'blue')"),
    ("SQL92", "NOT (size = 1) OR colour IS NULL"),
    ("SQL92", "size >"),
    ("NONE", "x"),
];
