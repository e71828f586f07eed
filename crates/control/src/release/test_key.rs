//! A key pair that signs in minisign's format, for tests: Ed25519 over BLAKE2b-512 of the file, and
//! over that signature with the trusted comment.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use blake2::{Blake2b512, Digest as _};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

pub(crate) struct TestKey {
    id: [u8; 8],
    pair: Ed25519KeyPair,
}

impl TestKey {
    /// The key pair number `number`.
    pub(crate) fn new(number: u8) -> Self {
        Self {
            id: [number; 8],
            pair: Ed25519KeyPair::from_seed_unchecked(&[number; 32]).expect("a seed has 32 bytes"),
        }
    }

    /// As in a public key file.
    pub(crate) fn public(&self) -> String {
        let key = [b"Ed", &self.id[..], self.pair.public_key().as_ref()].concat();
        format!("untrusted comment: test\n{}\n", STANDARD.encode(key))
    }

    /// As in a signature file.
    pub(crate) fn sign(&self, bytes: &[u8]) -> String {
        self.sign_as(b"ED", &Blake2b512::digest(bytes))
    }

    /// As minisign signed before it hashed first.
    pub(crate) fn sign_legacy(&self, bytes: &[u8]) -> String {
        self.sign_as(b"Ed", bytes)
    }

    fn sign_as(&self, algorithm: &[u8; 2], signed: &[u8]) -> String {
        let signature = self.pair.sign(signed);
        let line = STANDARD.encode([algorithm, &self.id[..], signature.as_ref()].concat());
        let comment = "made by a test";
        let global = [signature.as_ref(), comment.as_bytes()].concat();
        let global = STANDARD.encode(self.pair.sign(&global));
        format!("untrusted comment: test\n{line}\ntrusted comment: {comment}\n{global}\n")
    }
}
