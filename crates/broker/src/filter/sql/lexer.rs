//! From text to tokens, one at a time: what comes behind the expression is never looked at.

use std::fmt;

use super::error::SqlError;

/// What a text consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Keyword(Keyword),
    Symbol(Symbol),
    /// The name of a property.
    Name(&'a str),
    /// A whole number, with its `L` if it has one.
    Decimal(&'a str),
    /// A number with a point or an exponent.
    Float(&'a str),
    /// A text between quotes, without them but with doubled quotes as they are.
    Text(&'a str),
    End,
}

/// A word with a meaning, in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Not,
    And,
    Or,
    Between,
    In,
    True,
    False,
    Null,
    Is,
    Contains,
    StartsWith,
    EndsWith,
}

const KEYWORDS: [(&str, Keyword); 12] = [
    ("NOT", Keyword::Not),
    ("AND", Keyword::And),
    ("OR", Keyword::Or),
    ("BETWEEN", Keyword::Between),
    ("IN", Keyword::In),
    ("TRUE", Keyword::True),
    ("FALSE", Keyword::False),
    ("NULL", Keyword::Null),
    ("IS", Keyword::Is),
    ("CONTAINS", Keyword::Contains),
    ("STARTSWITH", Keyword::StartsWith),
    ("ENDSWITH", Keyword::EndsWith),
];

/// An operator or a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Open,
    Comma,
    Close,
    Plus,
    Minus,
}

/// Longer ones before those that they begin with.
const SYMBOLS: [(&str, Symbol); 11] = [
    ("<>", Symbol::NotEqual),
    (">=", Symbol::GreaterOrEqual),
    ("<=", Symbol::LessOrEqual),
    ("=", Symbol::Equal),
    (">", Symbol::Greater),
    ("<", Symbol::Less),
    ("(", Symbol::Open),
    (",", Symbol::Comma),
    (")", Symbol::Close),
    ("+", Symbol::Plus),
    ("-", Symbol::Minus),
];

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyword(keyword) => {
                let named = KEYWORDS.iter().find(|(_, known)| known == keyword);
                f.write_str(named.map_or("", |(name, _)| name))
            }
            Self::Symbol(symbol) => {
                let named = SYMBOLS.iter().find(|(_, known)| known == symbol);
                write!(f, "`{}`", named.map_or("", |(name, _)| name))
            }
            Self::Name(text) | Self::Decimal(text) | Self::Float(text) => {
                write!(f, "`{}`", Shortened(text))
            }
            Self::Text(text) => write!(f, "`'{}'`", Shortened(text)),
            Self::End => f.write_str("the end"),
        }
    }
}

/// Shows the first characters of a text.
pub(super) struct Shortened<'a>(pub(super) &'a str);

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(32) {
            Some((end, _)) => write!(f, "{}...", &self.0[..end]),
            None => f.write_str(self.0),
        }
    }
}

/// Where reading has come to in a text.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// A comment to the end of its line ends with a line break, so behind this there is none.
    last_line_break: Option<usize>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            last_line_break: text.rfind(['\n', '\r']),
        }
    }

    /// The next token and the byte at which it begins.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, usize), SqlError> {
        self.skip_blanks()?;
        let start = self.at;
        let rest = &self.text[start..];
        let Some(first) = rest.bytes().next() else {
            return Ok((Token::End, start));
        };
        let (token, len) = match first {
            b'\'' => self.text_literal(rest)?,
            b'0'..=b'9' => number(rest),
            b'.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' => word(rest),
            _ => {
                let known = SYMBOLS.iter().find(|(name, _)| rest.starts_with(name));
                let Some((name, symbol)) = known else {
                    return Err(self.unexpected_character(rest));
                };
                (Token::Symbol(*symbol), name.len())
            }
        };
        self.at += len;
        Ok((token, start))
    }

    /// Whether the byte at `position` is the `n`th character, for errors.
    pub(super) fn character_at(&self, position: usize) -> usize {
        1 + self.text[..position].chars().count()
    }

    fn skip_blanks(&mut self) -> Result<(), SqlError> {
        loop {
            let rest = &self.text[self.at..];
            if rest.starts_with([' ', '\t', '\n', '\r', '\u{c}']) {
                self.at += 1;
            } else if rest.starts_with("--") && self.last_line_break > Some(self.at) {
                // Compat: two hyphens without a line break behind them are two minus signs.
                let len = rest.find(['\n', '\r']).unwrap_or(rest.len());
                self.at += len;
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let Some(len) = comment.find("*/") else {
                    return Err(self.unexpected("a comment without end", "`*/` behind it"));
                };
                self.at += len + 4;
            } else {
                return Ok(());
            }
        }
    }

    /// The longest text at the start of `rest`: up to a quote that is not doubled, or, where there
    /// is none, up to the first of the last doubled ones.
    fn text_literal(&self, rest: &'a str) -> Result<(Token<'a>, usize), SqlError> {
        let (mut from, mut end) = (1, None);
        while let Some(quote) = rest[from..].find('\'') {
            let quote = from + quote;
            end = Some(quote);
            if !rest[quote + 1..].starts_with('\'') {
                break;
            }
            from = quote + 2;
        }
        match end {
            Some(end) => Ok((Token::Text(&rest[1..end]), end + 1)),
            None => Err(self.unexpected("a text without end", "a quote behind it")),
        }
    }

    fn unexpected_character(&self, rest: &str) -> SqlError {
        let found: String = rest.chars().take(1).collect();
        self.unexpected(format!("`{found}`"), "a name, a literal or an operator")
    }

    fn unexpected(&self, found: impl Into<String>, expected: &'static str) -> SqlError {
        SqlError::Unexpected {
            position: self.character_at(self.at),
            found: found.into(),
            expected,
        }
    }
}

fn word(rest: &str) -> (Token<'_>, usize) {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
    let len = rest
        .bytes()
        .position(|byte| !is_part(byte))
        .unwrap_or(rest.len());
    let word = &rest[..len];
    let keyword = KEYWORDS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word));
    let token = match keyword {
        Some((_, keyword)) => Token::Keyword(*keyword),
        None => Token::Name(word),
    };
    (token, len)
}

/// The longest number at the start of `rest`, which begins with a digit or with a point and a
/// digit.
fn number(rest: &str) -> (Token<'_>, usize) {
    let digits = |from: usize| {
        let digits = rest[from..].bytes().take_while(u8::is_ascii_digit);
        from + digits.count()
    };
    let whole = digits(0);
    let mut end = whole;
    if rest[end..].starts_with('.') {
        end = digits(end + 1);
    }
    if rest[end..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    if end > whole {
        return (Token::Float(&rest[..end]), end);
    }
    // Compat: a whole number has no leading zero, so `007` is three of them.
    if rest.starts_with('0') {
        return (Token::Decimal(&rest[..1]), 1);
    }
    let end = whole + usize::from(rest[whole..].starts_with(['l', 'L']));
    (Token::Decimal(&rest[..end]), end)
}
