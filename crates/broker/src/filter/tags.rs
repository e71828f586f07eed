//! Filters by tag: `*`, or tags joined by `||`.

use std::collections::BTreeSet;

use base::stdx::java_string_hash;

use super::{Filter, FilterError};

/// Most tags in one expression. Clients write a handful; each is compared for each candidate.
const TAGS_MAX: usize = 512;

pub(super) fn parse(expression: &str) -> Result<Filter, FilterError> {
    let expression = expression.trim();
    if expression.is_empty() || expression == "*" {
        return Ok(Filter::All);
    }
    let mut tags = BTreeSet::new();
    for tag in expression.split("||").map(str::trim) {
        if tag.is_empty() {
            let expression = expression.chars().take(64).collect();
            return Err(FilterError::EmptyTag { expression });
        }
        if tag == "*" {
            return Ok(Filter::All);
        }
        tags.insert(tag.to_owned());
        if tags.len() > TAGS_MAX {
            return Err(FilterError::TooMany {
                count: tags.len(),
                limit: TAGS_MAX,
            });
        }
    }
    Ok(Filter::Tags(tags))
}

pub(super) fn may_match(tags: &BTreeSet<String>, tag_hash: i32) -> bool {
    tags.iter().any(|tag| java_string_hash(tag) == tag_hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_expressions_read_as_clients_write_them() {
        assert_eq!(Filter::tags("*"), Ok(Filter::All));
        assert_eq!(Filter::tags(""), Ok(Filter::All));
        let filter = Filter::tags("TagA || TagB||TagC").unwrap();
        assert!(filter.matches("TAGS\u{1}TagB\u{2}"));
        assert!(!filter.matches("TAGS\u{1}TagD\u{2}"));
        assert!(!filter.matches(""));
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
        assert!(!filter.matches("TAGS\u{1}BB\u{2}"));
    }
}
