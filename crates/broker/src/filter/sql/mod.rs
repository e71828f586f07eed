//! SQL92 filters: RocketMQ's selector language over the properties of a message.
//!
//! ```text
//! or         = and { OR and }
//! and        = equality { AND equality }
//! equality   = comparison { ("=" | "<>") comparison | IS [NOT] NULL }
//! comparison = unary { (">" | ">=" | "<" | "<=") unary
//!                    | [NOT] (CONTAINS | STARTSWITH | ENDSWITH) text
//!                    | [NOT] BETWEEN unary AND unary
//!                    | [NOT] IN "(" text { "," text } ")" }
//! unary      = { "+" | "-" | NOT } ( literal | property | "(" or ")" )
//! ```
//!
//! Words of the language may be in any case, names of properties are taken as they are. `--` to the
//! end of its line, and `/* */`, are comments. Source: the module `filter` of RocketMQ 5.5.0, whose
//! habits are kept, odd ones too, since subscriptions that work there must select the same here:
//!
//! - A property that is not there is null. Logic has three values, and only "true" matches. Two
//!   nulls are equal; null equals no value, and a value does not equal null (but "null = value" is
//!   unknown, "value = null" is false).
//! - Properties are texts. Beside a number they are read as one of its kind: 32 bits, 64 bits or
//!   floating; beside TRUE or FALSE everything but `true` is false. One that cannot be read so
//!   makes the whole message not match, wherever it stands, unless AND or OR were decided before.
//! - `<` and its like compare texts as numbers only; `BETWEEN` wants bounds in order.
//! - `NOT` binds closer than a comparison: `NOT a = 1` is `(NOT a) = 1`.
//! - What comes behind a complete expression is ignored.

mod error;
mod evaluate;
mod lexer;
mod node;
mod parser;
mod value;

use std::collections::BTreeMap;

pub use error::SqlError;
use node::Node;

/// An SQL92 expression, ready to be evaluated. Two are equal if their texts are.
#[derive(Clone, Debug)]
pub struct SqlFilter {
    expression: Box<str>,
    /// The properties that the expression looks at, numbered.
    names: BTreeMap<Box<str>, u16>,
    root: Node,
}

impl SqlFilter {
    /// Reads an expression.
    ///
    /// # Errors
    /// When it is none, or longer or deeper than [`base::limits`] allow.
    pub fn parse(expression: &str) -> Result<Self, SqlError> {
        parser::parse(expression)
    }

    /// The expression as it was written.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// Whether a message with these properties, in their stored form, matches.
    pub fn matches(&self, raw_properties: &str) -> bool {
        evaluate::matches(self, raw_properties)
    }
}

impl PartialEq for SqlFilter {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression
    }
}

impl Eq for SqlFilter {}

#[cfg(test)]
mod tests;
