//! Values and how they compare: the rules of Java's boxed types, which clients have come to rely
//! on.

use std::cmp::Ordering;

/// What an expression evaluates to. A property is always a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(&'a str),
}

/// A number. Which of the three a literal is decides how a text beside it is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i32),
    Long(i64),
    Double(f64),
}

/// Two values cannot be compared; the whole expression then matches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mismatch;

impl Number {
    /// Reads a text as a number of the same kind as this one.
    fn read(self, text: &str) -> Result<Self, Mismatch> {
        match self {
            Self::Int(_) => text.parse().map(Self::Int).map_err(|_| Mismatch),
            Self::Long(_) => text.parse().map(Self::Long).map_err(|_| Mismatch),
            Self::Double(_) => double(text).map(Self::Double),
        }
    }

    fn compare(self, other: Self) -> Ordering {
        match (self.whole(), other.whole()) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => compare_doubles(self.as_double(), other.as_double()),
        }
    }

    fn whole(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(number.into()),
            Self::Long(number) => Some(number),
            Self::Double(_) => None,
        }
    }

    fn as_double(self) -> f64 {
        match self {
            Self::Int(number) => number.into(),
            Self::Long(number) => number as f64,
            Self::Double(number) => number,
        }
    }

    pub(super) fn negated(self) -> Self {
        match self {
            Self::Int(number) => Self::Int(number.wrapping_neg()),
            Self::Long(number) => Self::Long(number.wrapping_neg()),
            Self::Double(number) => Self::Double(-number),
        }
    }
}

/// Which of two values other than null is greater. Values of kinds that have nothing to do with
/// each other compare as less, in both directions.
pub(super) fn compare(left: Value<'_>, right: Value<'_>) -> Result<Ordering, Mismatch> {
    Ok(match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.cmp(&right),
        (Value::Number(left), Value::Number(right)) => left.compare(right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Number(left), Value::Text(right)) => left.compare(left.read(right)?),
        (Value::Text(left), Value::Number(right)) => right.read(left)?.compare(right),
        (Value::Text(left), Value::Bool(right)) => left.eq_ignore_ascii_case("true").cmp(&right),
        // Compat: Apache fails on this one, though not on its mirror image.
        (Value::Bool(_), Value::Text(_)) => return Err(Mismatch),
        (Value::Bool(_), Value::Number(_))
        | (Value::Number(_), Value::Bool(_))
        | (Value::Null, _)
        | (_, Value::Null) => Ordering::Less,
    })
}

/// As [`compare`], for an operator that asks for an order: texts have one only as numbers.
pub(super) fn compare_order(left: Value<'_>, right: Value<'_>) -> Result<Ordering, Mismatch> {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => {
            Ok(compare_doubles(double(left)?, double(right)?))
        }
        _ => compare(left, right),
    }
}

/// The total order of `Double.compareTo`: -0 before 0, and NaN, of which there is one, at the end.
fn compare_doubles(left: f64, right: f64) -> Ordering {
    match (left.is_nan(), right.is_nan()) {
        (false, false) => left.total_cmp(&right),
        (left, right) => left.cmp(&right),
    }
}

/// Reads a text as Java's `Double.valueOf` does, but for numbers in hexadecimal.
fn double(text: &str) -> Result<f64, Mismatch> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    match unsigned {
        "NaN" => return Ok(f64::NAN),
        "Infinity" => return Ok(sign * f64::INFINITY),
        _ => {}
    }
    let digits = unsigned
        .strip_suffix(['f', 'F', 'd', 'D'])
        .unwrap_or(unsigned);
    // Rust reads more words than Java, and a second sign.
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(Mismatch);
    }
    let number: f64 = digits.parse().map_err(|_| Mismatch)?;
    Ok(sign * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_read_as_in_java() {
        for (text, number) in [
            ("5", 5.0),
            (" +5.5 ", 5.5),
            ("-.5e1", -5.0),
            ("5.", 5.0),
            ("5d", 5.0),
            ("5.5F", 5.5),
            ("-Infinity", f64::NEG_INFINITY),
            ("1e999", f64::INFINITY),
        ] {
            assert_eq!(double(text), Ok(number), "{text}");
        }
        assert!(double("NaN").unwrap().is_nan());
        for text in [
            "", " ", "+", ".", "e5", "1e", "inf", "nan", "infinity", "--5", "1_0", "5 5", "5dd",
            "\u{ff15}", "\u{a0}5",
        ] {
            assert_eq!(double(text), Err(Mismatch), "{text}");
        }
    }

    #[test]
    fn the_order_of_doubles_is_total() {
        assert_eq!(compare_doubles(-0.0, 0.0), Ordering::Less);
        assert_eq!(compare_doubles(f64::NAN, f64::INFINITY), Ordering::Greater);
        assert_eq!(compare_doubles(f64::NAN, -f64::NAN), Ordering::Equal);
    }
}
