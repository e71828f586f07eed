//! Wraps comments that are longer than a line may be: rustfmt on the stable toolchain does not.

use super::text::{LINE_COLUMNS_MAX, is_comment};

/// The text with every too long line comment wrapped; the rest of a line goes before the next one
/// of the same paragraph.
pub(super) fn wrap_comments(text: &str) -> String {
    let mut wrapped = String::with_capacity(text.len());
    let mut carried: Option<(String, String)> = None;
    let mut fenced = false;
    for line in text.lines() {
        let (start, words) = split(line);
        fenced ^= is_comment(line) && words.starts_with("```");
        let mut current = line.to_owned();
        if let Some((before, rest)) = carried.take() {
            if before == start && continues(words) && !fenced {
                current = format!("{start}{rest} {words}");
            } else {
                push(&mut wrapped, &format!("{before}{rest}"));
            }
        }
        if is_comment(line) && !fenced {
            carried = cut(&mut current);
        }
        push(&mut wrapped, &current);
        // What was cut off may be longer than a line itself.
        while let Some((start, rest)) = carried.take() {
            let mut next = format!("{start}{rest}");
            if next.chars().count() <= LINE_COLUMNS_MAX {
                carried = Some((start, rest));
                break;
            }
            carried = cut(&mut next);
            push(&mut wrapped, &next);
            if carried.is_none() {
                break;
            }
        }
    }
    if let Some((start, rest)) = carried {
        push(&mut wrapped, &format!("{start}{rest}"));
    }
    if !text.ends_with('\n') {
        wrapped.pop();
    }
    wrapped
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// Indentation and slashes with the space after them, and the words.
fn split(line: &str) -> (&str, &str) {
    let at = line
        .find(|character: char| !character.is_whitespace() && character != '/' && character != '!')
        .unwrap_or(line.len());
    line.split_at(at)
}

/// Whether a line goes on with the paragraph before it, rather than begin a list, table or heading.
fn continues(words: &str) -> bool {
    let begins = words.starts_with(['-', '*', '|', '#', '+']) || words.starts_with("```");
    // `[name]: ...` says where links of that name lead.
    let leads = words.starts_with('[') && words.contains("]: ");
    !words.is_empty() && !begins && !leads
}

/// Length of the marker that begins an item of a list: its further lines are indented by as much.
fn marker_len(words: &str) -> usize {
    let Some((marker, _)) = words.split_once(' ') else {
        return 0;
    };
    let number = marker.strip_suffix('.').unwrap_or_default();
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if numbered || matches!(marker, "-" | "*" | "+") {
        marker.len() + 1
    } else {
        0
    }
}

/// Tables and drawings lose their meaning when they are wrapped.
pub(super) fn is_drawn(line: &str) -> bool {
    let (_, words) = split(line);
    words.starts_with('|') || words.trim_end().contains("  ")
}

/// Shortens a line that is too long, and returns what goes to the next one.
fn cut(line: &mut String) -> Option<(String, String)> {
    if line.chars().count() <= LINE_COLUMNS_MAX {
        return None;
    }
    let (start, words) = split(line);
    if is_drawn(line) {
        return None;
    }
    let limit = line
        .char_indices()
        .nth(LINE_COLUMNS_MAX)
        .map_or(line.len(), |(at, _)| at);
    let space = line[..=limit.min(line.len() - 1)]
        .rfind(' ')
        .filter(|at| *at > start.len())?;
    let start = format!("{start}{}", " ".repeat(marker_len(words)));
    let carried = (start, line[space + 1..].to_owned());
    line.truncate(space);
    Some(carried)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_comments_flow_into_the_next_line() {
        let words = "word ".repeat(30);
        let text = format!(
            "//! {}\n//! end.\n//!\n//! - item\nfn f() {{}}\n",
            words.trim_end()
        );
        let wrapped = wrap_comments(&text);
        assert!(
            wrapped
                .lines()
                .all(|line| line.chars().count() <= LINE_COLUMNS_MAX),
            "{wrapped}"
        );
        assert_eq!(wrapped.lines().count(), 5, "{wrapped}");
        assert!(
            wrapped.contains("word end.\n//!\n//! - item\nfn f() {}\n"),
            "{wrapped}"
        );
        assert_eq!(wrap_comments(&wrapped), wrapped);
    }

    #[test]
    fn very_long_lines_become_several() {
        let text = format!("    // {}\n", "word ".repeat(80).trim_end());
        let wrapped = wrap_comments(&text);
        assert!(
            wrapped
                .lines()
                .all(|line| line.chars().count() <= LINE_COLUMNS_MAX)
        );
        assert!(
            wrapped.lines().all(|line| line.starts_with("    // word")),
            "{wrapped}"
        );
        assert_eq!(wrapped.matches("word").count(), 80);
    }

    #[test]
    fn items_of_lists_stay_items() {
        let words = "word ".repeat(30);
        let text = format!("//! 1. {}\n//!    end\n", words.trim_end());
        let wrapped = wrap_comments(&text);
        assert!(wrapped.contains("\n//!    word"), "{wrapped}");
        assert!(wrapped.ends_with("word end\n"), "{wrapped}");
        let text = format!("/// - {}\n", words.trim_end());
        assert!(wrap_comments(&text).contains("\n///   word"));
    }

    #[test]
    fn strings_and_tables_stay() {
        for line in [
            format!("let text = \"{}\";\n", "word ".repeat(30)),
            format!("//! | {} |\n", "cell | ".repeat(30)),
            format!("// https://{}\n", "a".repeat(120)),
        ] {
            assert_eq!(wrap_comments(&line), line);
        }
    }
}
