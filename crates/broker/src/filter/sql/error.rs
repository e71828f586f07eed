//! Why a text is no SQL92 filter.

/// Why an SQL92 expression was refused. Positions count characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// Something stands where it has no meaning.
    #[error("SQL92 expression: found {found} at character {position}, expected {expected}")]
    Unexpected {
        /// Where.
        position: usize,
        /// What stands there, shortened.
        found: String,
        /// What could stand there.
        expected: &'static str,
    },
    /// The expression is longer than any that is of use.
    #[error("SQL92 expression has {length} bytes, limit {limit}")]
    TooLong {
        /// Its bytes.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Parentheses and operators within each other.
    #[error("SQL92 expression is nested more than {limit} deep at character {position}")]
    TooDeep {
        /// Where the limit was passed.
        position: usize,
        /// Depth allowed.
        limit: usize,
    },
    /// Too many texts in one list.
    #[error("SQL92 expression has more than {limit} texts in the list at character {position}")]
    TooManyItems {
        /// Where the list begins.
        position: usize,
        /// Texts allowed.
        limit: usize,
    },
}
