//! Users: who asks, how they prove it, and what they may do.

use std::{fmt, net::IpAddr, str::FromStr};

use ring::hmac;
use subtle::ConstantTimeEq;

use super::{Decision, Policy, PolicyKind, Wanted};

/// How a request is signed with a secret. Which one, the protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureMethod {
    /// HMAC-SHA1 under the secret.
    HmacSha1,
    /// HMAC-SHA1 under the secret and a `&`, as OAuth 1.0 without a token.
    HmacSha1Ampersand,
    /// HMAC-SHA256 under the secret.
    HmacSha256,
}

/// What a user proves itself with. Never shown by `Debug`.
#[derive(Clone)]
pub struct Secret {
    text: String,
    /// Of [`SignatureMethod::HmacSha1`], with which every message is signed.
    key: hmac::Key,
}

impl Secret {
    /// The secret of that text.
    pub fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            key: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()),
        }
    }

    /// The text, for administrators who copy users and for the metadata store.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `signature` is the HMAC-SHA1 of `content`. Takes as long for a wrong one as for the
    /// right one.
    pub fn signed<'a>(
        &self,
        content: impl IntoIterator<Item = &'a [u8]>,
        signature: &[u8],
    ) -> bool {
        let mut context = hmac::Context::with_key(&self.key);
        for part in content {
            context.update(part);
        }
        context.sign().as_ref().ct_eq(signature).into()
    }

    /// Whether `signature` is that of `content` by `method`. Takes as long for a wrong one as for
    /// the right one.
    pub fn signed_by<'a>(
        &self,
        method: SignatureMethod,
        content: impl IntoIterator<Item = &'a [u8]>,
        signature: &[u8],
    ) -> bool {
        let key = match method {
            SignatureMethod::HmacSha1 => return self.signed(content, signature),
            SignatureMethod::HmacSha1Ampersand => hmac::Key::new(
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                format!("{}&", self.text).as_bytes(),
            ),
            SignatureMethod::HmacSha256 => hmac::Key::new(hmac::HMAC_SHA256, self.text.as_bytes()),
        };
        let mut context = hmac::Context::with_key(&key);
        for part in content {
            context.update(part);
        }
        context.sign().as_ref().ct_eq(signature).into()
    }

    /// Whether it is this text; takes the same time for all texts of one length.
    pub fn is(&self, text: &[u8]) -> bool {
        self.text.as_bytes().ct_eq(text).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.text.as_bytes())
    }
}

impl Eq for Secret {}

macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            /// RocketMQ's name of it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                $(if text.eq_ignore_ascii_case($word) {
                    return Ok(Self::$variant);
                })*
                Err(UnknownName)
            }
        }
    };
}

/// A text names no type or status of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("user type or status is unknown, expected Super or Normal, enable or disable")]
pub struct UnknownName;

named! {
    /// What a user is without any policy.
    UserType {
        /// May do everything.
        Super = "Super",
        /// May do what policies allow.
        Normal = "Normal",
    }
}

named! {
    /// Whether a user may ask at all.
    UserStatus {
        /// It may.
        Enabled = "enable",
        /// Every request is refused.
        Disabled = "disable",
    }
}

/// One user, as it was when it was looked up: look it up again for every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub(super) name: String,
    pub(super) secret: Secret,
    pub(super) user_type: UserType,
    pub(super) status: UserStatus,
    pub(super) policies: Vec<Policy>,
}

/// A user may not do what it asks.
///
/// Compat: the text is that of `AclAuthorizationHandler` of RocketMQ 5.5.0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("User:{user} has no permission to access {resource} from {from}, {reason}")]
pub struct NotAllowed {
    /// Who asked.
    pub user: String,
    /// For what, as `Topic:orders`.
    pub resource: String,
    /// From where.
    pub from: IpAddr,
    /// Whether no policy matched, or one that denies.
    pub reason: &'static str,
}

impl User {
    /// Its name, the access key of its requests.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it proves itself with.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What it is without policies.
    pub fn user_type(&self) -> UserType {
        self.user_type
    }

    /// Whether it may do everything.
    pub fn is_super(&self) -> bool {
        self.user_type == UserType::Super
    }

    /// Whether it may ask at all.
    pub fn status(&self) -> UserStatus {
        self.status
    }

    /// What it may do besides, in the order in which it was said.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// Whether it may do one of the wanted actions, coming from `source`: a super user may; else
    /// the custom policy decides, the default policy where that says nothing, and where neither
    /// does, it may not.
    ///
    /// # Errors
    /// When it may not.
    pub fn may(&self, wanted: &Wanted<'_>, source: IpAddr) -> Result<(), NotAllowed> {
        if self.is_super() {
            return Ok(());
        }
        let decide = |kind: PolicyKind| {
            let mut policies = self.policies.iter().filter(|policy| policy.kind == kind);
            policies.find_map(|policy| policy.decide(wanted, source))
        };
        let reason = match decide(PolicyKind::Custom).or_else(|| decide(PolicyKind::Default)) {
            Some(Decision::Allow) => return Ok(()),
            Some(Decision::Deny) => "the decision is deny.",
            None => "no matched policies.",
        };
        Err(NotAllowed {
            user: self.name.clone(),
            resource: format!("{}:{}", wanted.kind.name(), wanted.name),
            from: source.to_canonical(),
            reason,
        })
    }
}
