//! Policy documents, as administrators write them.

use broker::access::RamPolicy;

use super::note;

/// A RAM-style policy.
pub(super) fn ram(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match RamPolicy::new("fuzz", &text) {
        Ok(policy) => {
            note("read");
            // What is kept is what was written, and is read again at the next start.
            assert_eq!(policy.document(), text);
            assert_eq!(RamPolicy::new("fuzz", policy.document()), Ok(policy));
        }
        Err(error) => note(error),
    }
}
