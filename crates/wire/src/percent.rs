//! Percent escapes in queries and forms, taken strictly: what is no escape is an error.

/// What `text` stands for; `None` if an escape is malformed or the outcome is not UTF-8.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else {
            return None;
        };
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        out.push((digit(high)? << 4 | digit(low)?) as u8);
        rest = tail;
    }
    String::from_utf8(out).ok()
}
