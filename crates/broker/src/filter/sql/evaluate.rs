//! Evaluation of an expression on the properties of one message.

use wire::message::properties;

use super::{
    SqlFilter,
    node::{ListTest, Node, OrderTest, TextPlace, TextTest},
    value::{Mismatch, Value, compare, compare_order},
};

/// Properties whose values are held without asking for memory. Expressions name a few.
const INLINE_PROPERTIES: usize = 16;

/// Goes once through the properties and then through the tree.
pub(super) fn matches(filter: &SqlFilter, raw_properties: &str) -> bool {
    let count = filter.names.len();
    let mut inline = [None; INLINE_PROPERTIES];
    let mut more;
    let values = if count <= INLINE_PROPERTIES {
        &mut inline[..count]
    } else {
        more = vec![None; count];
        &mut more[..]
    };
    for (name, value) in properties::iterate(raw_properties) {
        if let Some(number) = filter.names.get(name) {
            // The last of several of one name counts.
            values[usize::from(*number)] = Some(value);
        }
    }
    matches!(
        Message(values).evaluate(&filter.root),
        Ok(Value::Bool(true))
    )
}

/// The values of the properties that the expression names, by number.
struct Message<'v, 'a>(&'v [Option<&'a str>]);

/// True, false or unknown.
fn truth<'a>(known: impl Into<Option<bool>>) -> Value<'a> {
    known.into().map_or(Value::Null, Value::Bool)
}

impl<'a> Message<'_, 'a> {
    fn property(&self, number: u16) -> Option<&'a str> {
        self.0.get(usize::from(number)).copied().flatten()
    }

    fn evaluate<'n>(&self, node: &'n Node) -> Result<Value<'n>, Mismatch>
    where
        'a: 'n,
    {
        Ok(match node {
            Node::Property(number) => self.property(*number).map_or(Value::Null, Value::Text),
            Node::Null => Value::Null,
            Node::Bool(known) => Value::Bool(*known),
            Node::Number(number) => Value::Number(*number),
            Node::Text(text) => Value::Text(text),
            Node::Negate(node) => match self.evaluate(node)? {
                Value::Number(number) => Value::Number(number.negated()),
                Value::Null | Value::Bool(_) | Value::Text(_) => Value::Null,
            },
            Node::Truth(number) => truth(self.property(*number).map(|_| false)),
            Node::Not(node) => truth(self.truth(node)?.map(|known| !known)),
            Node::All(nodes) => truth(self.decide(nodes, false)?),
            Node::Any(nodes) => truth(self.decide(nodes, true)?),
            Node::Equal(sides) => self.equal(sides)?,
            Node::IsNull(node) => truth(self.evaluate(node)? == Value::Null),
            Node::Order(test, sides) => {
                let left = self.evaluate(&sides[0])?;
                truth(self.order(*test, left, &sides[1])?)
            }
            Node::Between(parts, is_outside) => truth(self.between(parts, *is_outside)?),
            Node::Matches(test) => truth(self.text_matches(test)?),
            Node::In(test) => truth(self.is_in(test)),
        })
    }

    fn truth(&self, node: &Node) -> Result<Option<bool>, Mismatch> {
        Ok(match self.evaluate(node)? {
            Value::Bool(known) => Some(known),
            Value::Null | Value::Number(_) | Value::Text(_) => None,
        })
    }

    /// `decisive` as soon as one of the nodes is, else unknown if one of them is, else the
    /// opposite.
    fn decide(&self, nodes: &[Node], decisive: bool) -> Result<Option<bool>, Mismatch> {
        let mut decided = Some(!decisive);
        for node in nodes {
            match self.truth(node)? {
                Some(known) if known == decisive => return Ok(Some(decisive)),
                Some(_) => {}
                None => decided = None,
            }
        }
        Ok(decided)
    }

    fn equal<'n>(&self, [left, right]: &'n [Node; 2]) -> Result<Value<'n>, Mismatch>
    where
        'a: 'n,
    {
        let (left, right) = (self.evaluate(left)?, self.evaluate(right)?);
        Ok(match (left, right) {
            (Value::Null, Value::Null) => Value::Bool(true),
            (Value::Null, _) => Value::Null,
            (_, Value::Null) => Value::Bool(false),
            (left, right) => Value::Bool(compare(left, right)?.is_eq()),
        })
    }

    fn order(
        &self,
        test: OrderTest,
        left: Value<'_>,
        right: &Node,
    ) -> Result<Option<bool>, Mismatch> {
        if left == Value::Null {
            return Ok(None);
        }
        let right = self.evaluate(right)?;
        if right == Value::Null {
            return Ok(None);
        }
        Ok(Some(test.accepts(compare_order(left, right)?)))
    }

    /// As the two comparisons that it stands for, the second of which is left out if the first
    /// decides.
    fn between(&self, parts: &[Node; 3], is_outside: bool) -> Result<Option<bool>, Mismatch> {
        let [value, low, high] = parts;
        let (from_low, to_high) = if is_outside {
            (OrderTest::Less, OrderTest::Greater)
        } else {
            (OrderTest::GreaterOrEqual, OrderTest::LessOrEqual)
        };
        let value = self.evaluate(value)?;
        let first = self.order(from_low, value, low)?;
        if first == Some(is_outside) {
            return Ok(first);
        }
        let second = self.order(to_high, value, high)?;
        if second == Some(is_outside) {
            return Ok(second);
        }
        Ok(first.and(second))
    }

    /// Never unknown. Compat: what is no text, and the empty part, match neither way.
    fn text_matches(&self, test: &TextTest) -> Result<bool, Mismatch> {
        let part: &str = &test.part;
        if part.is_empty() {
            return Ok(false);
        }
        let Value::Text(text) = self.evaluate(&test.value)? else {
            return Ok(false);
        };
        let is_part = match test.place {
            TextPlace::Anywhere => text.contains(part),
            TextPlace::Start => text.starts_with(part),
            TextPlace::End => text.ends_with(part),
        };
        Ok(is_part != test.is_negated)
    }

    fn is_in(&self, test: &ListTest) -> Option<bool> {
        let text = self.property(test.property)?;
        let found = test.items.binary_search_by(|item| (**item).cmp(text));
        Some(found.is_ok() != test.is_negated)
    }
}
