//! Which messages a consumer wants: everything, those of some tags, or those that an SQL92
//! expression matches. Evaluated before a message counts as delivered.

pub(crate) mod sql;
mod tags;

use std::{collections::BTreeSet, sync::Arc};

use base::ErrorKind;
use wire::message::properties;

pub use sql::{SqlError, SqlFilter};

/// What a consumer subscribes to within a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// Every message.
    #[default]
    All,
    /// Messages that have one of these tags.
    Tags(BTreeSet<String>),
    /// Messages whose properties match an expression.
    Sql(Arc<SqlFilter>),
}

/// Why a filter expression was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Tags are joined by `||`, with nothing empty between.
    #[error("tag expression `{expression}` has an empty tag, expected `*` or `tag || tag`")]
    EmptyTag {
        /// The expression, shortened.
        expression: String,
    },
    /// Too many tags for one filter.
    #[error("tag expression names {count} tags, limit {limit}")]
    TooMany {
        /// Tags named.
        count: usize,
        /// Tags allowed.
        limit: usize,
    },
    /// The SQL92 expression cannot be evaluated.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// The kind of expression is not evaluated here.
    #[error("filter type `{kind}` is not supported, expected TAG or SQL92")]
    Unsupported {
        /// The kind asked for.
        kind: String,
    },
}

impl FilterError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Request
    }
}

impl Filter {
    /// Reads a tag expression: empty or `*` is everything, else tags joined by `||`.
    /// Source: `FilterAPI.buildSubscriptionData` of the Java clients.
    ///
    /// # Errors
    /// When a tag is empty or there are too many.
    pub fn tags(expression: &str) -> Result<Self, FilterError> {
        tags::parse(expression)
    }

    /// Reads an SQL92 expression, see [`SqlFilter`].
    ///
    /// # Errors
    /// When it is not one, or breaks a limit; the text names the place.
    pub fn sql(expression: &str) -> Result<Self, FilterError> {
        Ok(Self::Sql(Arc::new(SqlFilter::parse(expression)?)))
    }

    /// The expression that [`Filter::tags`] or [`Filter::sql`] would read as this filter.
    pub fn expression(&self) -> String {
        match self {
            Self::All => "*".to_owned(),
            Self::Tags(tags) => tags
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" || "),
            Self::Sql(sql) => sql.expression().to_owned(),
        }
    }

    /// Whether a message whose tag hashes to `tag_hash` may match: the index knows only the hash.
    pub(crate) fn may_match(&self, tag_hash: i32) -> bool {
        match self {
            Self::All | Self::Sql(_) => true,
            Self::Tags(tags) => tags::may_match(tags, tag_hash),
        }
    }

    /// Whether a message with these properties, in their stored form, matches.
    pub(crate) fn matches(&self, raw_properties: &str) -> bool {
        match self {
            Self::All => true,
            Self::Tags(tags) => properties::get(raw_properties, properties::TAGS)
                .is_some_and(|tag| tags.contains(tag)),
            Self::Sql(sql) => sql.matches(raw_properties),
        }
    }
}
