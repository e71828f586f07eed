//! The texts that people choose: names, remarks and tags.

use base::limits;

use super::{call::Call, status::Refusal};
use crate::openapi_request;

/// The tags that an answer shows of a thing.
pub(super) fn shown_tags(tags: &std::collections::BTreeMap<String, String>) -> serde_json::Value {
    let tags = tags.iter();
    let tags = tags.map(|(key, value)| serde_json::json!({ "Key": key, "Value": value }));
    serde_json::json!({ "Tag": tags.collect::<Vec<_>>() })
}

/// Checks a name by the API's rule: so many letters, digits, `-` and `_`.
pub(super) fn check_name(
    parameter: &'static str,
    name: &str,
    least: usize,
    is_allowed: impl Fn(char) -> bool,
) -> Result<(), Refusal> {
    const MOST: usize = 64;
    let length = name.chars().count();
    if !(least..=MOST).contains(&length) {
        let reason = format!("{length} characters, expected {least} to {MOST}");
        return Err(Refusal::field(parameter, reason));
    }
    match name.chars().find(|c| !is_allowed(*c)) {
        None => Ok(()),
        Some(other) => {
            let reason = format!("holds {other:?}, expected letters, digits, `-` and `_`");
            Err(Refusal::field(parameter, reason))
        }
    }
}

/// What a name of a topic or group is made of.
pub(super) fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_')
}

/// The remark of a new thing; empty where there is none.
pub(super) fn remark(call: &Call) -> Result<String, Refusal> {
    let remark = call.text("Remark").unwrap_or_default();
    let (length, max) = (remark.chars().count(), limits::REMARK_CHARACTERS_MAX);
    if length > max {
        let reason = format!("{length} characters, expected at most {max}");
        return Err(Refusal::field("Remark", reason));
    }
    if let Some(control) = remark.chars().find(|c| c.is_control()) {
        let reason = format!("holds the control character {control:?}");
        return Err(Refusal::field("Remark", reason));
    }
    Ok(remark.to_owned())
}

/// Checks a tag that is to be put on something.
pub(super) fn check_tag(key: &str, value: &str) -> Result<(), Refusal> {
    openapi_request::check_tag(key, value).map_err(|reason| Refusal::field("Tag", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_the_length_and_letters_of_the_api() {
        let check = |name: &str| check_name("Topic", name, 3, is_name_letter);
        for name in ["abc", "A-b_9", &"x".repeat(64)] {
            check(name).unwrap();
        }
        for name in [
            "",
            "ab",
            &"x".repeat(65),
            "a b",
            "a%b",
            "\u{4e2d}\u{4e2d}\u{4e2d}",
        ] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
