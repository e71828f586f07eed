//! Policy documents of administrators.

use std::net::Ipv4Addr;

use base::Timestamp;
use broker::access::{Origin, RamPolicy};

use super::note;

/// A document, and behind the first zero byte the name of a resource.
pub(super) fn ram(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == 0);
    let (document, resource) = input.split_at(end.unwrap_or(input.len()));
    let document = String::from_utf8_lossy(document);
    let resource = String::from_utf8_lossy(resource);
    match RamPolicy::new("fuzzed", &document) {
        Ok(policy) => {
            assert_eq!(policy.document(), document, "the document changed");
            let origin = Origin {
                source: Ipv4Addr::new(10, 0, 0, 1).into(),
                secure: true,
                at: Timestamp::from_ms(1_800_000_000_000),
            };
            let said = policy.says("mq:PUB", resource.trim_start_matches('\0'), &origin);
            note(format_args!("{said:?}"));
            // What is kept is read again at the next start.
            assert_eq!(RamPolicy::new("fuzzed", policy.document()), Ok(policy));
        }
        Err(error) => note(error),
    }
}
