//! From tokens to a tree, by recursive descent. Checks at once what no message could change: that
//! operands are fit for their operators.

use std::collections::BTreeMap;

use base::limits;

use super::{
    SqlFilter,
    error::SqlError,
    lexer::{Keyword, Lexer, Symbol, Token},
    node::{ListTest, Node, OrderTest, TextPlace, TextTest},
    value::{Number, Value, compare},
};

const TRUTH: &str = "a comparison, a property or another condition";
const ORDERED: &str = "a number or a property";

pub(super) fn parse(expression: &str) -> Result<SqlFilter, SqlError> {
    let length = expression.len();
    if length > limits::SQL_FILTER_BYTES_MAX {
        return Err(SqlError::TooLong {
            length,
            limit: limits::SQL_FILTER_BYTES_MAX,
        });
    }
    let mut parser = Parser {
        lexer: Lexer::new(expression),
        peeked: None,
        names: BTreeMap::new(),
        depth: 0,
    };
    let root = parser.or()?;
    let root = parser.truth(root)?.node;
    Ok(SqlFilter {
        expression: expression.into(),
        names: parser.names,
        root,
    })
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    peeked: Option<(Token<'a>, usize)>,
    names: BTreeMap<Box<str>, u16>,
    /// Calls of [`Parser::unary`] under way.
    depth: usize,
}

/// A part of the expression.
struct Part<'a> {
    node: Node,
    /// What it begins with, and at which byte, for errors.
    first: Token<'a>,
    at: usize,
    /// Levels of its tree.
    depth: usize,
}

impl<'a> Parser<'a> {
    fn or(&mut self) -> Result<Part<'a>, SqlError> {
        self.joined(Keyword::Or, Self::and, Node::Any)
    }

    fn and(&mut self) -> Result<Part<'a>, SqlError> {
        self.joined(Keyword::And, Self::equality, Node::All)
    }

    /// One operand, or several truths joined by `keyword`.
    fn joined(
        &mut self,
        keyword: Keyword,
        operand: fn(&mut Self) -> Result<Part<'a>, SqlError>,
        join: fn(Vec<Node>) -> Node,
    ) -> Result<Part<'a>, SqlError> {
        let first = operand(self)?;
        if self.peek()?.0 != Token::Keyword(keyword) {
            return Ok(first);
        }
        let whole = Whole::of(&first);
        let first = self.truth(first)?;
        let (mut nodes, mut depth) = (vec![first.node], first.depth);
        while self.take_keyword(keyword)? {
            let next = operand(self)?;
            let next = self.truth(next)?;
            depth = depth.max(next.depth);
            nodes.push(next.node);
        }
        self.part(join(nodes), whole, depth)
    }

    fn equality(&mut self) -> Result<Part<'a>, SqlError> {
        let mut left = self.comparison()?;
        loop {
            let whole = Whole::of(&left);
            let (token, _) = self.peek()?;
            let is_equal = token == Token::Symbol(Symbol::Equal);
            if is_equal || token == Token::Symbol(Symbol::NotEqual) {
                self.next()?;
                let right = self.comparison()?;
                self.check_equality(&left, &right)?;
                let depth = left.depth.max(right.depth);
                let node = Node::Equal(Box::new([left.node, right.node]));
                left = self.part(negated_unless(is_equal, node), whole, depth)?;
            } else if token == Token::Keyword(Keyword::Is) {
                self.next()?;
                let is_not = self.take_keyword(Keyword::Not)?;
                let expected = if is_not { "NULL" } else { "NULL or NOT NULL" };
                self.expect(Token::Keyword(Keyword::Null), expected)?;
                let node = Node::IsNull(Box::new(left.node));
                left = self.part(negated_unless(!is_not, node), whole, left.depth)?;
            } else {
                return Ok(left);
            }
        }
    }

    fn comparison(&mut self) -> Result<Part<'a>, SqlError> {
        let mut left = self.unary()?;
        loop {
            let (token, _) = self.peek()?;
            let order = match token {
                Token::Symbol(Symbol::Greater) => OrderTest::Greater,
                Token::Symbol(Symbol::GreaterOrEqual) => OrderTest::GreaterOrEqual,
                Token::Symbol(Symbol::Less) => OrderTest::Less,
                Token::Symbol(Symbol::LessOrEqual) => OrderTest::LessOrEqual,
                Token::Keyword(
                    Keyword::Not
                    | Keyword::Between
                    | Keyword::In
                    | Keyword::Contains
                    | Keyword::StartsWith
                    | Keyword::EndsWith,
                ) => {
                    left = self.test(left)?;
                    continue;
                }
                _ => return Ok(left),
            };
            self.next()?;
            let whole = Whole::of(&left);
            let right = self.unary()?;
            self.check_order(&left)?;
            self.check_order(&right)?;
            let depth = left.depth.max(right.depth);
            let node = Node::Order(order, Box::new([left.node, right.node]));
            left = self.part(node, whole, depth)?;
        }
    }

    /// A test by word, which may have NOT before it.
    fn test(&mut self, left: Part<'a>) -> Result<Part<'a>, SqlError> {
        let is_negated = self.take_keyword(Keyword::Not)?;
        let found = self.peek()?;
        let place = match found.0 {
            Token::Keyword(Keyword::Contains) => TextPlace::Anywhere,
            Token::Keyword(Keyword::StartsWith) => TextPlace::Start,
            Token::Keyword(Keyword::EndsWith) => TextPlace::End,
            Token::Keyword(Keyword::Between) => return self.between(left, is_negated),
            Token::Keyword(Keyword::In) => return self.list(left, is_negated),
            _ => {
                let expected = "CONTAINS, STARTSWITH, ENDSWITH, BETWEEN or IN behind NOT";
                return Err(self.unexpected(found, expected));
            }
        };
        self.next()?;
        let part = self.text()?;
        let whole = Whole::of(&left);
        let node = Node::Matches(Box::new(TextTest {
            value: left.node,
            place,
            part,
            is_negated,
        }));
        self.part(node, whole, left.depth)
    }

    fn between(&mut self, left: Part<'a>, is_outside: bool) -> Result<Part<'a>, SqlError> {
        self.next()?;
        let low = self.unary()?;
        self.expect(Token::Keyword(Keyword::And), "AND and the upper bound")?;
        let high = self.unary()?;
        for part in [&left, &low, &high] {
            self.check_order(part)?;
        }
        if let (Node::Number(from), Node::Number(to)) = (&low.node, &high.node)
            && !is_outside
            && compare(Value::Number(*to), Value::Number(*from)).is_ok_and(|order| order.is_lt())
        {
            let expected = "an upper bound not below the lower bound";
            return Err(self.unexpected((high.first, high.at), expected));
        }
        let whole = Whole::of(&left);
        let depth = left.depth.max(low.depth).max(high.depth);
        let parts = Box::new([left.node, low.node, high.node]);
        self.part(Node::Between(parts, is_outside), whole, depth)
    }

    fn list(&mut self, left: Part<'a>, is_negated: bool) -> Result<Part<'a>, SqlError> {
        self.next()?;
        let (_, list_at) = self.expect(Token::Symbol(Symbol::Open), "`(` and a list of texts")?;
        let mut items = Vec::new();
        loop {
            items.push(self.text()?);
            if items.len() > limits::SQL_FILTER_ITEMS_MAX {
                return Err(SqlError::TooManyItems {
                    position: self.lexer.character_at(list_at),
                    limit: limits::SQL_FILTER_ITEMS_MAX,
                });
            }
            let (token, at) = self.next()?;
            match token {
                Token::Symbol(Symbol::Comma) => {}
                Token::Symbol(Symbol::Close) => break,
                _ => return Err(self.unexpected((token, at), "`,` or `)`")),
            }
        }
        let Node::Property(property) = left.node else {
            return Err(self.unexpected((left.first, left.at), "a property before IN"));
        };
        items.sort_unstable();
        let whole = Whole::of(&left);
        let node = Node::In(Box::new(ListTest {
            property,
            items,
            is_negated,
        }));
        self.part(node, whole, left.depth)
    }

    fn unary(&mut self) -> Result<Part<'a>, SqlError> {
        let (token, at) = self.next()?;
        if self.depth >= limits::SQL_FILTER_DEPTH_MAX {
            return Err(self.too_deep(at));
        }
        self.depth += 1;
        let part = self.unary_from(token, at);
        self.depth -= 1;
        part
    }

    fn unary_from(&mut self, token: Token<'a>, at: usize) -> Result<Part<'a>, SqlError> {
        let whole = Whole { first: token, at };
        let node = match token {
            Token::Symbol(Symbol::Plus) => {
                let operand = self.unary()?;
                return self.part(operand.node, whole, operand.depth);
            }
            Token::Symbol(Symbol::Minus) => {
                let operand = self.unary()?;
                return self.part(Node::Negate(Box::new(operand.node)), whole, operand.depth);
            }
            Token::Keyword(Keyword::Not) => {
                let operand = self.unary()?;
                let operand = self.truth(operand)?;
                return self.part(Node::Not(Box::new(operand.node)), whole, operand.depth);
            }
            Token::Symbol(Symbol::Open) => {
                let inner = self.or()?;
                self.expect(Token::Symbol(Symbol::Close), "an operator or `)`")?;
                return Ok(Part {
                    first: token,
                    at,
                    ..inner
                });
            }
            Token::Keyword(Keyword::True) => Node::Bool(true),
            Token::Keyword(Keyword::False) => Node::Bool(false),
            Token::Keyword(Keyword::Null) => Node::Null,
            Token::Text(text) => Node::Text(unquoted(text)),
            Token::Decimal(text) => self.decimal(text, whole)?,
            Token::Float(text) => self.float(text, whole)?,
            Token::Name(name) => Node::Property(self.property(name)),
            Token::Keyword(_) | Token::Symbol(_) | Token::End => {
                let expected = "a property, a literal, NOT, a sign or `(`";
                return Err(self.unexpected((token, at), expected));
            }
        };
        self.part(node, whole, 0)
    }

    fn decimal(&self, text: &str, whole: Whole<'a>) -> Result<Node, SqlError> {
        let digits = text.trim_end_matches(['l', 'L']);
        let number: i64 = digits
            .parse()
            .map_err(|_| self.unexpected((whole.first, whole.at), "a number of at most 64 bits"))?;
        Ok(Node::Number(match i32::try_from(number) {
            Ok(number) => Number::Int(number),
            Err(_) => Number::Long(number),
        }))
    }

    fn float(&self, text: &str, whole: Whole<'a>) -> Result<Node, SqlError> {
        let number: f64 = text.parse().unwrap_or(f64::NAN);
        // Compat: zero is no floating number on Apache either, since the least one is above it.
        if !(number.is_finite() && number > 0.0) {
            let expected = "a floating number above 0 and below 1.8e308";
            return Err(self.unexpected((whole.first, whole.at), expected));
        }
        Ok(Node::Number(Number::Double(number)))
    }

    /// The number of a property. The longest expression has no room for more than 16 bits of them.
    fn property(&mut self, name: &str) -> u16 {
        if let Some(number) = self.names.get(name) {
            return *number;
        }
        let number = self.names.len() as u16;
        self.names.insert(name.into(), number);
        number
    }

    /// A literal text, as its value.
    fn text(&mut self) -> Result<Box<str>, SqlError> {
        match self.next()? {
            (Token::Text(text), _) => Ok(unquoted(text)),
            found => Err(self.unexpected(found, "a text in quotes")),
        }
    }

    /// A part where a truth is needed.
    fn truth(&self, mut part: Part<'a>) -> Result<Part<'a>, SqlError> {
        if let Node::Property(number) = part.node {
            part.node = Node::Truth(number);
        } else if !part.node.is_truth() {
            return Err(self.unexpected((part.first, part.at), TRUTH));
        }
        Ok(part)
    }

    fn check_order(&self, part: &Part<'a>) -> Result<(), SqlError> {
        if !part.node.has_order() {
            return Err(self.unexpected((part.first, part.at), ORDERED));
        }
        Ok(())
    }

    fn check_equality(&self, left: &Part<'a>, right: &Part<'a>) -> Result<(), SqlError> {
        for part in [left, right] {
            if matches!(part.node, Node::Null) {
                let expected = "a value (IS NULL tells whether there is none)";
                return Err(self.unexpected((part.first, part.at), expected));
            }
        }
        let literal = |node: &Node| matches!(node, Node::Number(_) | Node::Text(_));
        if matches!(left.node, Node::Bool(_)) && literal(&right.node) {
            let expected = "TRUE, FALSE or a property";
            return Err(self.unexpected((right.first, right.at), expected));
        }
        Ok(())
    }

    /// A part one level above parts of `depth` levels.
    fn part(&self, node: Node, whole: Whole<'a>, depth: usize) -> Result<Part<'a>, SqlError> {
        if depth >= limits::SQL_FILTER_DEPTH_MAX {
            return Err(self.too_deep(whole.at));
        }
        let Whole { first, at } = whole;
        let depth = depth + 1;
        Ok(Part {
            node,
            first,
            at,
            depth,
        })
    }

    fn peek(&mut self) -> Result<(Token<'a>, usize), SqlError> {
        if let Some(peeked) = self.peeked {
            return Ok(peeked);
        }
        let next = self.lexer.next()?;
        self.peeked = Some(next);
        Ok(next)
    }

    fn next(&mut self) -> Result<(Token<'a>, usize), SqlError> {
        match self.peeked.take() {
            Some(peeked) => Ok(peeked),
            None => self.lexer.next(),
        }
    }

    fn take_keyword(&mut self, keyword: Keyword) -> Result<bool, SqlError> {
        let is_next = self.peek()?.0 == Token::Keyword(keyword);
        if is_next {
            self.next()?;
        }
        Ok(is_next)
    }

    fn expect(
        &mut self,
        wanted: Token<'_>,
        expected: &'static str,
    ) -> Result<(Token<'a>, usize), SqlError> {
        let found = self.next()?;
        if found.0 != wanted {
            return Err(self.unexpected(found, expected));
        }
        Ok(found)
    }

    fn unexpected(&self, (found, at): (Token<'a>, usize), expected: &'static str) -> SqlError {
        SqlError::Unexpected {
            position: self.lexer.character_at(at),
            found: found.to_string(),
            expected,
        }
    }

    fn too_deep(&self, at: usize) -> SqlError {
        SqlError::TooDeep {
            position: self.lexer.character_at(at),
            limit: limits::SQL_FILTER_DEPTH_MAX,
        }
    }
}

/// Where a part begins.
#[derive(Clone, Copy)]
struct Whole<'a> {
    first: Token<'a>,
    at: usize,
}

impl<'a> Whole<'a> {
    fn of(part: &Part<'a>) -> Self {
        Self {
            first: part.first,
            at: part.at,
        }
    }
}

fn negated_unless(is_plain: bool, node: Node) -> Node {
    if is_plain {
        node
    } else {
        Node::Not(Box::new(node))
    }
}

/// The value of a text literal: two quotes within it stand for one.
fn unquoted(text: &str) -> Box<str> {
    text.replace("''", "'").into()
}
