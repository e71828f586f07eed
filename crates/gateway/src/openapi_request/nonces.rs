//! Nonces: no signed request is carried out twice.
//!
//! A request is taken only while its time is near the server's, so that a nonce need be kept only
//! until the request could not come again. They are in memory: after a restart, a request that was
//! made just before could be made once more by whoever has recorded it, within
//! [`limits::OPENAPI_TIME_MS_OFF_MAX`].

use std::collections::{BTreeMap, HashMap, HashSet};

use base::{Timestamp, limits};
use parking_lot::Mutex;
use ring::digest;

/// First half of the SHA-256 of user and nonce.
type Key = [u8; 16];

/// Why a request is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NonceError {
    /// The request was made before.
    #[error("signature nonce `{nonce}` was used before")]
    Used {
        /// The nonce, shortened.
        nonce: String,
    },
    /// More requests than are kept.
    #[error("{count} signed requests within half an hour, expected at most {max}")]
    TooMany {
        /// How many there are, of this user or of all.
        count: usize,
        /// The limit.
        max: usize,
    },
}

/// The nonces of the last half hour.
#[derive(Default)]
pub(crate) struct Nonces(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    known: HashSet<Key>,
    /// By the time (ms since 1970) at which the request could not be made any more.
    until: BTreeMap<(i64, Key), String>,
    per_user: HashMap<String, usize>,
}

impl Nonces {
    /// Notes that `user` makes a request of time `sent` with this nonce.
    ///
    /// # Errors
    /// When it has done so before, or there are too many to be kept.
    pub(super) fn note(
        &self,
        user: &str,
        nonce: &str,
        sent: i64,
        now: Timestamp,
    ) -> Result<(), NonceError> {
        let mut kept = self.0.lock();
        kept.forget(now.ms());
        let key = key(user, nonce);
        if kept.known.contains(&key) {
            let nonce = nonce.chars().take(64).collect();
            return Err(NonceError::Used { nonce });
        }
        let of_user = kept.per_user.get(user).copied().unwrap_or(0);
        for (count, max) in [
            (of_user, limits::OPENAPI_NONCES_PER_USER_MAX),
            (kept.known.len(), limits::OPENAPI_NONCES_MAX),
        ] {
            if count >= max {
                return Err(NonceError::TooMany { count, max });
            }
        }
        let life = limits::OPENAPI_TIME_MS_OFF_MAX.cast_signed();
        kept.known.insert(key);
        kept.until
            .insert((sent.saturating_add(life), key), user.to_owned());
        kept.per_user.insert(user.to_owned(), of_user + 1);
        Ok(())
    }
}

impl Kept {
    fn forget(&mut self, now: i64) {
        while let Some(entry) = self.until.first_entry() {
            if entry.key().0 >= now {
                return;
            }
            let ((_, key), user) = entry.remove_entry();
            self.known.remove(&key);
            if let Some(count) = self.per_user.get_mut(&user) {
                *count -= 1;
                if *count == 0 {
                    self.per_user.remove(&user);
                }
            }
        }
    }
}

fn key(user: &str, nonce: &str) -> Key {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [user.as_bytes(), b"\0", nonce.as_bytes()] {
        context.update(part);
    }
    let digest = context.finish();
    let (key, _) = digest
        .as_ref()
        .split_first_chunk()
        .expect("SHA-256 has 32 bytes");
    *key
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: i64 = limits::OPENAPI_TIME_MS_OFF_MAX.cast_signed();

    #[test]
    fn a_nonce_is_used_once_by_each_user_while_its_request_is_good() {
        let nonces = Nonces::default();
        let at = |ms| Timestamp::from_ms(ms);
        nonces.note("alice", "n", 1_000, at(0)).unwrap();
        let used = NonceError::Used {
            nonce: "n".to_owned(),
        };
        // The request is from ahead of this clock, and good until a second past a quarter.
        assert_eq!(nonces.note("alice", "n", 0, at(LIFE + 1_000)), Err(used));
        nonces.note("bob", "n", 0, at(0)).unwrap();
        nonces.note("alice", "n", 0, at(LIFE + 1_001)).unwrap();
    }

    #[test]
    fn one_user_cannot_take_the_room_of_the_others() {
        let nonces = Nonces::default();
        let max = limits::OPENAPI_NONCES_PER_USER_MAX;
        for n in 0..max {
            nonces
                .note("alice", &n.to_string(), 0, Timestamp::from_ms(0))
                .unwrap();
        }
        let refused = nonces.note("alice", "one more", 0, Timestamp::from_ms(0));
        assert_eq!(refused, Err(NonceError::TooMany { count: max, max }));
        nonces.note("bob", "one", 0, Timestamp::from_ms(0)).unwrap();
        let later = Timestamp::from_ms(LIFE + 1);
        nonces.note("alice", "one more", later.ms(), later).unwrap();
        let kept = nonces.0.lock();
        assert_eq!(
            (kept.known.len(), kept.until.len(), kept.per_user.len()),
            (1, 1, 1)
        );
    }
}
