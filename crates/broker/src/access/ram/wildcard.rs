//! Patterns with `*` (any characters, also none) and `?` (one character).

/// Whether all of `text` is what `pattern` says.
///
/// The pieces between stars are looked for from left to right, each where it fits first, and none
/// is ever looked for again: a pattern cannot make it slow.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return after(pattern, text).is_some_and(str::is_empty);
    };
    let Some(mut text) = after(first, text) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        match first_fit(piece, text) {
            Some(behind) => text = behind,
            None => return false,
        }
    }
    ends_with(text, last)
}

/// What stands behind `piece`, where `text` begins with it.
fn after<'t>(piece: &str, text: &'t str) -> Option<&'t str> {
    if !piece.contains('?') {
        return text.strip_prefix(piece);
    }
    let mut characters = text.chars();
    for wanted in piece.chars() {
        let found = characters.next()?;
        if wanted != '?' && wanted != found {
            return None;
        }
    }
    Some(characters.as_str())
}

/// What stands behind the first place of `text` where `piece` fits.
fn first_fit<'t>(piece: &str, text: &'t str) -> Option<&'t str> {
    if !piece.contains('?') {
        return text.split_once(piece).map(|(_, behind)| behind);
    }
    text.char_indices()
        .find_map(|(at, _)| after(piece, &text[at..]))
}

fn ends_with(text: &str, piece: &str) -> bool {
    if !piece.contains('?') {
        return text.ends_with(piece);
    }
    let behind = piece.chars().count();
    let Some(before) = text.chars().count().checked_sub(behind) else {
        return false;
    };
    let at = text
        .char_indices()
        .nth(before)
        .map_or(text.len(), |at| at.0);
    after(piece, &text[at..]).is_some()
}

#[cfg(test)]
mod tests {
    use base::{Random, SeededRandom};

    use super::*;

    #[test]
    fn stars_stand_for_any_characters_and_question_marks_for_one() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "abc", true),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("?", "", false),
            ("?", "\u{e9}", true),
            ("??", "\u{e9}", false),
            ("a?c*", "abcd", true),
            ("*?b", "b", false),
            ("*?b*", "xbx", true),
            ("MQ_INST_1%orders*", "MQ_INST_1%orders-new", true),
            ("MQ_INST_1*", "MQ_INST_1", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    /// By the definition, one character at a time.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skipped| naive(rest, &text[skipped..])),
            Some((wanted, rest)) => text.split_first().is_some_and(|(found, behind)| {
                (*wanted == '?' || wanted == found) && naive(rest, behind)
            }),
        }
    }

    #[test]
    fn it_agrees_with_the_definition() {
        let random = SeededRandom::new(11);
        let word = |letters: &[char], max: u64| -> Vec<char> {
            let length = random.below(max + 1);
            let letter = |_| letters[random.below(letters.len() as u64) as usize];
            (0..length).map(letter).collect()
        };
        let mut fitting = 0;
        for _ in 0..20_000 {
            let pattern = word(&['a', 'b', '*', '?'], 7);
            let text = word(&['a', 'b'], 8);
            let fits = naive(&pattern, &text);
            fitting += usize::from(fits);
            let (pattern, text): (String, String) =
                (pattern.into_iter().collect(), text.into_iter().collect());
            assert_eq!(matches(&pattern, &text), fits, "{pattern} {text}");
        }
        assert!(fitting > 1_000, "{fitting}");
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_time() {
        let pattern = "*a".repeat(2_000) + "b";
        let text = "a".repeat(4_000);
        assert!(!matches(&pattern, &text));
        assert!(matches(&pattern, &(text + "b")));
    }
}
