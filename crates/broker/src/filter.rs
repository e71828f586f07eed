//! Which messages a consumer wants: everything, or those of some tags.

use std::collections::BTreeSet;

use base::{ErrorKind, stdx::java_string_hash};

/// What a consumer subscribes to within a topic. Evaluated before a message counts as delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// Every message.
    #[default]
    All,
    /// Messages that have one of these tags.
    Tags(BTreeSet<String>),
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
    /// The kind of expression is not evaluated here.
    #[error("filter type `{kind}` is not supported, expected TAG")]
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

/// Most tags in one expression. Clients write a handful; each is compared for each candidate.
const TAGS_MAX: usize = 512;

impl Filter {
    /// Reads a tag expression: empty or `*` is everything, else tags joined by `||`.
    /// Source: `FilterAPI.buildSubscriptionData` of the Java clients.
    pub fn tags(expression: &str) -> Result<Self, FilterError> {
        let expression = expression.trim();
        if expression.is_empty() || expression == "*" {
            return Ok(Self::All);
        }
        let mut tags = BTreeSet::new();
        for tag in expression.split("||").map(str::trim) {
            if tag.is_empty() {
                let expression = expression.chars().take(64).collect();
                return Err(FilterError::EmptyTag { expression });
            }
            if tag == "*" {
                return Ok(Self::All);
            }
            tags.insert(tag.to_owned());
            if tags.len() > TAGS_MAX {
                return Err(FilterError::TooMany {
                    count: tags.len(),
                    limit: TAGS_MAX,
                });
            }
        }
        Ok(Self::Tags(tags))
    }

    /// The expression that [`Filter::tags`] would read as this filter.
    pub fn expression(&self) -> String {
        match self {
            Self::All => "*".to_owned(),
            Self::Tags(tags) => tags
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" || "),
        }
    }

    /// Whether a message whose tag hashes to `tag_hash` may match: the index knows only the hash.
    pub(crate) fn may_match(&self, tag_hash: i32) -> bool {
        match self {
            Self::All => true,
            Self::Tags(tags) => tags.iter().any(|tag| java_string_hash(tag) == tag_hash),
        }
    }

    /// Whether a message of this tag matches.
    pub(crate) fn matches(&self, tag: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Tags(tags) => tag.is_some_and(|tag| tags.contains(tag)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_expressions_read_as_clients_write_them() {
        assert_eq!(Filter::tags("*"), Ok(Filter::All));
        assert_eq!(Filter::tags(""), Ok(Filter::All));
        let filter = Filter::tags("TagA || TagB||TagC").unwrap();
        assert!(filter.matches(Some("TagB")));
        assert!(!filter.matches(Some("TagD")));
        assert!(!filter.matches(None));
        assert_eq!(filter.expression(), "TagA || TagB || TagC");
        assert!(matches!(
            Filter::tags("A || "),
            Err(FilterError::EmptyTag { .. })
        ));
    }

    #[test]
    fn equal_hashes_are_told_apart_by_the_tag_itself() {
        // "Aa" and "BB" share a Java hash.
        let filter = Filter::tags("Aa").unwrap();
        assert!(filter.may_match(java_string_hash("BB")));
        assert!(!filter.matches(Some("BB")));
    }
}
