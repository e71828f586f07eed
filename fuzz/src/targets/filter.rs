//! Filter expressions of consumers.

use broker::{Filter, SqlFilter};

use super::note;

/// An expression, and behind the first zero byte the properties of a message.
pub(super) fn sql(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == 0);
    let (expression, raw_properties) = input.split_at(end.unwrap_or(input.len()));
    let expression = String::from_utf8_lossy(expression);
    let raw_properties = String::from_utf8_lossy(raw_properties);
    match SqlFilter::parse(&expression) {
        Ok(filter) => {
            assert_eq!(filter.expression(), expression, "the expression changed");
            note(filter.matches(raw_properties.trim_start_matches('\0')));
        }
        Err(error) => note(error),
    }
    note(Filter::tags(&expression).is_ok());
}
