//! Users: who asks, how they prove it, and what they may do.

use std::{fmt, net::IpAddr, str::FromStr, sync::Arc};

use base::InstanceId;
use ring::hmac;
use subtle::ConstantTimeEq;

use super::{
    Action, ActionSet, Decision, Origin, Policy, PolicyKind, RamPolicy, Wanted,
    ram::{self, Request, Service},
};

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
    pub(super) remark: String,
    pub(super) policies: Vec<Policy>,
    pub(super) ram: Vec<Arc<RamPolicy>>,
}

/// In which instance a user asks for data, and which of its policies count there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The instance.
    pub instance: &'a InstanceId,
    /// Whether it is the user's own: the entries of its ACL policies are about no other.
    pub is_own: bool,
    /// Whether RAM-style policies decide about data there: on all instances but those of the 5.x
    /// series.
    pub by_ram: bool,
}

/// A call of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// Its name, as `OnsTopicCreate`.
    pub name: &'a str,
    /// The instance that it is about, if it is about one.
    pub instance: Option<&'a InstanceId>,
    /// The topic or group in the instance that it is about, if it is about one.
    pub resource: Option<&'a str>,
}

/// A call of the control plane of the 5.x series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlCall<'a> {
    /// Its name, as `CreateTopic`.
    pub name: &'a str,
    /// The region of the server.
    pub region: &'a str,
    /// The number of the account that owns everything here.
    pub account: &'a str,
    /// What it is about, as `instance/rmq-1/topic/orders`.
    pub resource: &'a str,
}

/// What RAM-style policies say of a request.
struct RamWord {
    /// Actions that may not be done.
    denied: ActionSet,
    /// Whether one of the others may.
    allows: bool,
    /// Whether the instance may be entered at all.
    enters: bool,
}

/// Why nobody is let in who has policies for what is in an instance, but none for itself.
const NOT_ENTERED: &str = "no policy allows mq:QueryInstanceBaseInfo on its instance.";

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

    /// What somebody noted about it.
    pub fn remark(&self) -> &str {
        &self.remark
    }

    /// What it may do besides, in the order in which it was said.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The RAM-style policies that are attached to it, in the order in which they were.
    pub fn ram_policies(&self) -> &[Arc<RamPolicy>] {
        &self.ram
    }

    pub(super) fn has(&self, policy: &str) -> bool {
        self.ram.iter().any(|known| known.name() == policy)
    }

    /// Whether it may do one of the wanted actions: a super user may. Else what its RAM-style
    /// policies deny it may not, nor what its ACL policies deny (the custom policy decides, the
    /// default policy where that says nothing); what one of the two allows it may.
    ///
    /// # Errors
    /// When it may not.
    pub fn may(
        &self,
        wanted: &Wanted<'_>,
        scope: &Scope<'_>,
        origin: &Origin,
    ) -> Result<(), NotAllowed> {
        if self.is_super() {
            return Ok(());
        }
        let mut any_of = wanted.any_of;
        let mut ram = None;
        if scope.by_ram && !self.ram.is_empty() {
            let word = self.ram_word(wanted, scope.instance, origin);
            let denied = word.denied.each();
            any_of = denied.fold(any_of, ActionSet::without);
            ram = Some(word);
        }
        let wanted = Wanted { any_of, ..*wanted };
        let decide = |kind: PolicyKind| {
            let policies = self.policies.iter().filter(|_| scope.is_own);
            let mut policies = policies.filter(|policy| policy.kind == kind);
            policies.find_map(|policy| policy.decide(&wanted, origin.source))
        };
        let acl = match any_of.is_empty() {
            true => Some(Decision::Deny),
            false => decide(PolicyKind::Custom).or_else(|| decide(PolicyKind::Default)),
        };
        let reason = match (acl, &ram) {
            (Some(Decision::Allow), _) => return Ok(()),
            (None, Some(word)) if word.allows && word.enters => return Ok(()),
            (Some(Decision::Deny), _) => "the decision is deny.",
            (None, Some(word)) if !word.enters => NOT_ENTERED,
            (None, _) => "no matched policies.",
        };
        let resource = format!("{}:{}", wanted.kind.name(), wanted.name);
        Err(self.not_allowed(resource, origin, reason))
    }

    /// Whether it has any business in an instance: its own users have, super users, and those whom
    /// RAM-style policies let in.
    pub fn may_enter(&self, scope: &Scope<'_>, origin: &Origin) -> bool {
        scope.is_own || self.is_super() || scope.by_ram && self.enters(scope.instance, origin)
    }

    /// Whether it may call an operation of the control plane: a super user may, others what their
    /// RAM-style policies allow, and in an instance only if they allow `mq:QueryInstanceBaseInfo`
    /// on it first.
    ///
    /// # Errors
    /// When it may not.
    pub fn may_operate(
        &self,
        operation: &Operation<'_>,
        origin: &Origin,
    ) -> Result<(), NotAllowed> {
        if self.is_super() {
            return Ok(());
        }
        let resources = match operation.instance {
            Some(instance) => ram::resource_names(instance, operation.resource),
            None => vec![operation.resource.unwrap_or("*").to_owned()],
        };
        let actions = ram::of_operation(operation.name);
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        let reason = match self.ram_decide(&actions, &resources, origin) {
            Some(Decision::Deny) => "the decision is deny.",
            None => "no matched policies.",
            Some(Decision::Allow) => match operation.instance {
                Some(instance) if !self.enters(instance, origin) => NOT_ENTERED,
                _ => return Ok(()),
            },
        };
        let resource = format!("mq:{} of {}", operation.name, resources[0]);
        Err(self.not_allowed(resource, origin, reason))
    }

    /// Whether it may call an operation of the control plane of the 5.x series: a super user may,
    /// others what their RAM-style policies allow.
    ///
    /// # Errors
    /// When it may not.
    pub fn may_control(&self, call: &ControlCall<'_>, origin: &Origin) -> Result<(), NotAllowed> {
        if self.is_super() {
            return Ok(());
        }
        let action = format!("rocketmq:{}", call.name.to_ascii_lowercase());
        let request = Request {
            service: Service::RocketMq,
            region: call.region,
            account: call.account,
            actions: &[&action],
            resources: &[call.resource],
        };
        let policies = self.ram.iter().map(|policy| &**policy);
        let reason = match ram::decide(policies, &request, origin) {
            Some(Decision::Allow) => return Ok(()),
            Some(Decision::Deny) => "the decision is deny.",
            None => "no matched policies.",
        };
        let resource = format!("rocketmq:{} of {}", call.name, call.resource);
        Err(self.not_allowed(resource, origin, reason))
    }

    fn ram_word(&self, wanted: &Wanted<'_>, instance: &InstanceId, origin: &Origin) -> RamWord {
        let enters =
            match self.ram_decide(ram::BASE_INFO, &ram::resource_names(instance, None), origin) {
                Some(Decision::Deny) => {
                    let denied = wanted.any_of;
                    return RamWord {
                        denied,
                        allows: false,
                        enters: false,
                    };
                }
                word => word.is_some(),
            };
        let mut word = RamWord {
            denied: ActionSet::default(),
            allows: false,
            enters,
        };
        for action in wanted.any_of.each() {
            let actions = ram::data_actions(wanted.kind, action);
            // A list is of what is in the instance.
            let name = (action != Action::List).then_some(wanted.name);
            let resources = ram::resource_names(instance, name);
            match self.ram_decide(actions, &resources, origin) {
                Some(Decision::Deny) => word.denied = word.denied.with(action),
                Some(Decision::Allow) => word.allows = true,
                None => {}
            }
        }
        word
    }

    fn enters(&self, instance: &InstanceId, origin: &Origin) -> bool {
        let names = ram::resource_names(instance, None);
        self.ram_decide(ram::BASE_INFO, &names, origin) == Some(Decision::Allow)
    }

    fn ram_decide(
        &self,
        actions: &[&str],
        resources: &[String],
        origin: &Origin,
    ) -> Option<Decision> {
        let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
        let request = Request {
            service: Service::Mq,
            region: "",
            account: "",
            actions,
            resources: &resources,
        };
        ram::decide(self.ram.iter().map(|policy| &**policy), &request, origin)
    }

    fn not_allowed(&self, resource: String, origin: &Origin, reason: &'static str) -> NotAllowed {
        NotAllowed {
            user: self.name.clone(),
            resource,
            from: origin.source.to_canonical(),
            reason,
        }
    }
}
