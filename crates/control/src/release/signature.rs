//! Who may sign releases, in minisign's formats of keys and signatures.

use base::limits::SIGNATURE_BYTES_MAX;
use minisign_verify::{Error, PublicKey, Signature};

use super::PublishError;

/// The keys whose signatures are believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys(Vec<PublicKey>);

/// Why a text holds no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A line is neither comment nor key.
    #[error("line {line} of the public keys is no minisign key: {reason}")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There is none at all.
    #[error("no public key found, expected a minisign public key file")]
    None,
}

impl TrustedKeys {
    /// Reads one or more public key files of minisign, one after the other: lines of comments and
    /// lines of keys.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with("untrusted comment:") {
                continue;
            }
            let key = PublicKey::from_base64(line.trim()).map_err(|error| KeyError::Line {
                line: index + 1,
                reason: error.to_string(),
            })?;
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(KeyError::None);
        }
        Ok(Self(keys))
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether all of the others are among these.
    pub(super) fn has_all(&self, others: &Self) -> bool {
        others.0.iter().all(|key| self.0.contains(key))
    }
}

/// A signature by a trusted key, of which we do not know yet whether it fits.
pub(super) struct PendingSignature {
    key: PublicKey,
    signature: Signature,
}

impl PendingSignature {
    pub(super) fn read(keys: &TrustedKeys, text: &str) -> Result<Self, PublishError> {
        let unusable = |reason: String| PublishError::SignatureFormat { reason };
        if text.len() as u64 > SIGNATURE_BYTES_MAX {
            let length = text.len();
            return Err(unusable(format!("it has {length} bytes")));
        }
        let signature = Signature::decode(text).map_err(|error| unusable(error.to_string()))?;
        for key in &keys.0 {
            match key.verify_stream(&signature) {
                Ok(_) => {
                    return Ok(Self {
                        key: key.clone(),
                        signature,
                    });
                }
                Err(Error::UnexpectedKeyId) => {}
                Err(error) => return Err(unusable(error.to_string())),
            }
        }
        Err(PublishError::UnknownKey {
            trusted: keys.0.len(),
        })
    }

    /// Takes the bytes that it should be of, piece by piece.
    pub(super) fn verifier(&self) -> Result<minisign_verify::StreamVerifier<'_>, PublishError> {
        let verifier = self.key.verify_stream(&self.signature);
        verifier.map_err(|error| PublishError::SignatureFormat {
            reason: error.to_string(),
        })
    }
}
