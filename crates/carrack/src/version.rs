//! Which release this binary is.

use control::{Version, VersionError};

/// The version that a release was built as, with `CARRACK_VERSION` in the environment of the build;
/// that of other builds is below every release.
pub(crate) const VERSION: &str = match option_env!("CARRACK_VERSION") {
    Some(version) => version,
    None => "0.0.0-rmq-0.0.0",
};

/// The version as releases are compared.
pub(crate) fn own() -> Result<Version, VersionError> {
    VERSION.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_this_build_is_one() {
        assert_eq!(own().unwrap().to_string(), VERSION);
    }
}
