//! The hash by which queue indexes and clients compare tags.

/// Hash of a tag as clients compute it for `codeSet`: Java's `String.hashCode`, sign-extended.
/// 0 for the empty tag, which stands for "no tag".
pub fn tags_code(tag: &str) -> i64 {
    let hash = tag.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(unit.into())
    });
    hash.into()
}

#[cfg(test)]
mod tests {
    use super::tags_code;

    // Values printed by Java's String.hashCode.
    #[test]
    fn equals_java_string_hash() {
        for (tag, code) in [
            ("", 0),
            ("TagA", 2_598_919),
            ("polygenelubricants", i64::from(i32::MIN)),
            ("订单", 1_129_459),
            ("😀", 1_772_899),
        ] {
            assert_eq!(tags_code(tag), code, "{tag}");
        }
    }
}
