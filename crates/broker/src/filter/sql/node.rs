//! The tree of an expression.

use std::cmp::Ordering;

use super::value::Number;

/// One operator or operand.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// The property of this number.
    Property(u16),
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
    Negate(Box<Node>),
    /// A property where a truth is expected: false whatever its text, since texts are no truths.
    Truth(u16),
    Not(Box<Node>),
    /// AND of all.
    All(Vec<Node>),
    /// OR of all.
    Any(Vec<Node>),
    Equal(Box<[Node; 2]>),
    IsNull(Box<Node>),
    Order(OrderTest, Box<[Node; 2]>),
    /// A value and its bounds; a truth says whether it shall be outside.
    Between(Box<[Node; 3]>, bool),
    Matches(Box<TextTest>),
    In(Box<ListTest>),
}

/// Comparison by order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderTest {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl OrderTest {
    pub(super) fn accepts(self, found: Ordering) -> bool {
        match self {
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
        }
    }
}

/// Where a text is looked for in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextPlace {
    Anywhere,
    Start,
    End,
}

/// A text that shall, or shall not, be part of another.
#[derive(Clone, Debug)]
pub(super) struct TextTest {
    pub(super) value: Node,
    pub(super) place: TextPlace,
    pub(super) part: Box<str>,
    pub(super) is_negated: bool,
}

/// A property that shall, or shall not, be one of a list.
#[derive(Clone, Debug)]
pub(super) struct ListTest {
    pub(super) property: u16,
    /// In order, to be searched.
    pub(super) items: Vec<Box<str>>,
    pub(super) is_negated: bool,
}

impl Node {
    /// Whether it is true, false or unknown by its form, and so fit for AND, OR and NOT.
    pub(super) fn is_truth(&self) -> bool {
        match self {
            Self::Property(_) | Self::Number(_) | Self::Text(_) | Self::Negate(_) => false,
            Self::Null
            | Self::Bool(_)
            | Self::Truth(_)
            | Self::Not(_)
            | Self::All(_)
            | Self::Any(_)
            | Self::Equal(_)
            | Self::IsNull(_)
            | Self::Order(..)
            | Self::Between(..)
            | Self::Matches(_)
            | Self::In(_) => true,
        }
    }

    /// Whether it has an order: not so literals other than numbers, and truths.
    pub(super) fn has_order(&self) -> bool {
        !self.is_truth() && !matches!(self, Self::Text(_))
    }
}
