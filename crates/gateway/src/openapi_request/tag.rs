//! What a tag may be, in the APIs of both series.

use base::limits;

/// Checks a tag that is to be put on something.
pub(crate) fn check_tag(key: &str, value: &str) -> Result<(), String> {
    for (what, text) in [("key", key), ("value", value)] {
        let (length, max) = (text.chars().count(), limits::TAG_CHARACTERS_MAX);
        if length > max {
            let reason = format!("{what} has {length} characters, expected at most {max}");
            return Err(reason);
        }
        if ["http://", "https://"]
            .iter()
            .any(|part| text.contains(part))
        {
            let reason = format!("{what} `{text}` holds `http://` or `https://`");
            return Err(reason);
        }
        if ["acs:", "aliyun"]
            .iter()
            .any(|start| text.starts_with(start))
        {
            let reason = format!("{what} `{text}` begins with `acs:` or `aliyun`");
            return Err(reason);
        }
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            let reason = format!("{what} holds the control character {control:?}");
            return Err(reason);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_keep_away_from_what_is_reserved() {
        let long = "\u{4e2d}".repeat(limits::TAG_CHARACTERS_MAX);
        for (key, value) in [
            ("env", ""),
            ("a:b", "v w"),
            (&long, &long),
            ("my-aliyun", ""),
        ] {
            check_tag(key, value).unwrap();
        }
        let longer = format!("{long}x");
        for (key, value) in [
            ("acs:x", ""),
            ("k", "acs:x"),
            ("aliyun", ""),
            ("k", "see http://x"),
            ("https://", "v"),
            ("k\n", "v"),
            (&longer, ""),
            ("k", &longer),
        ] {
            assert!(check_tag(key, value).is_err(), "{key} {value}");
        }
    }
}
