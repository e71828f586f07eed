//! Who sends a request, and the signature that proves it.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;
use wire::remoting::Command;

/// Field that names the sender.
const ACCESS_KEY: &str = "AccessKey";

/// Field that holds the signature.
const SIGNATURE: &str = "Signature";

/// An access key and the secret that belongs to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Names the sender.
    pub access_key: String,
    /// Proves it; never sent.
    pub secret_key: String,
}

impl Credentials {
    /// Adds access key and signature to the fields of a request.
    ///
    /// The signature is the Base64 of HMAC-SHA1 over the values of all other fields, ordered by
    /// field name, followed by the body. Source: `AclUtils` and `AclSigner` of RocketMQ 5.5.0.
    pub(crate) fn sign(&self, command: &mut Command) {
        command.fields.push_str(ACCESS_KEY, &self.access_key);
        let ordered: BTreeMap<&str, &str> = command.fields.iter().collect();
        let key = hmac::Key::new(
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            self.secret_key.as_bytes(),
        );
        let mut context = hmac::Context::with_key(&key);
        for (name, value) in ordered {
            if name != SIGNATURE {
                context.update(value.as_bytes());
            }
        }
        context.update(&command.body);
        let signature = STANDARD.encode(context.sign());
        command.fields.push_str(SIGNATURE, &signature);
    }

    /// The value of gRPC's `authorization` for a request whose `x-mq-date-time` is `date_time`.
    ///
    /// Source: `Signature` of the Java SDK 5.2.0, `DefaultAuthenticationContextBuilder` of RocketMQ
    /// 5.5.0.
    pub(crate) fn authorization(&self, date_time: &str) -> String {
        use fmt::Write as _;
        let key = hmac::Key::new(
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            self.secret_key.as_bytes(),
        );
        let mut text = format!(
            "MQv2-HMAC-SHA1 Credential={}, SignedHeaders=x-mq-date-time, Signature=",
            self.access_key
        );
        for byte in hmac::sign(&key, date_time.as_bytes()).as_ref() {
            write!(text, "{byte:02X}").expect("writing to a string cannot fail");
        }
        text
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_covers_fields_in_order_and_the_body() {
        let mut command = Command::default().with_body("hello");
        for (name, value) in [("topic", "orders"), ("b", "2"), ("a", "1")] {
            command.fields.push_str(name, value);
        }
        let credentials = Credentials {
            access_key: "ak".to_owned(),
            secret_key: "sk".to_owned(),
        };
        credentials.sign(&mut command);
        assert_eq!(command.fields.get(ACCESS_KEY), Some("ak"));
        // HMAC-SHA1 of "ak12ordershello" under "sk".
        assert_eq!(
            command.fields.get(SIGNATURE),
            Some("LSTz1j6Ngi1uPlTVySAGQTv2gMI=")
        );
        assert!(!format!("{credentials:?}").contains("sk"));
    }
}
