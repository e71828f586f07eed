//! Properties as one text: `name:value|name:value|`, the last separator optional.

/// What neither a name nor a value may hold, since there is no way to escape it.
const SEPARATORS: [char; 2] = [':', '|'];

/// Names and values in their order. A value goes on behind further colons; what has no name, no
/// value or no colon is passed over, as the SDKs do.
pub fn iterate(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('|')
        .filter_map(|pair| pair.split_once(':'))
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
}

/// Appends a property; `false` and nothing appended if it cannot be written, for which SDKs would
/// pass it over or take a part of it for another one.
pub fn push(out: &mut String, name: &str, value: &str) -> bool {
    let fits = |text: &str| !text.is_empty() && !text.contains(SEPARATORS);
    if !fits(name) || !fits(value) {
        return false;
    }
    for part in [name, ":", value, "|"] {
        out.push_str(part);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_with_and_without_the_last_separator() {
        for text in ["KEYS:k1|a:b|", "KEYS:k1|a:b", "|KEYS:k1||x|y:|:z|a:b"] {
            let pairs: Vec<_> = iterate(text).collect();
            assert_eq!(pairs, [("KEYS", "k1"), ("a", "b")], "{text}");
        }
        assert_eq!(iterate("at:12:30").collect::<Vec<_>>(), [("at", "12:30")]);
        assert_eq!(iterate("").count(), 0);
    }

    #[test]
    fn what_cannot_be_written_is_left_out() {
        let mut out = String::new();
        assert!(push(&mut out, "a", "b c"));
        for (name, value) in [
            ("a:b", "c"),
            ("a", "b:c"),
            ("a", "b|c"),
            ("", "c"),
            ("a", ""),
        ] {
            assert!(!push(&mut out, name, value), "{name} {value}");
        }
        assert!(push(&mut out, "d", "\"<e>\""));
        assert_eq!(out, "a:b c|d:\"<e>\"|");
    }
}
