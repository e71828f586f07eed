//! RAM-style policies: JSON documents with names that are attached to users.
//!
//! A document is a list of statements; a statement allows or denies actions on resources under
//! conditions. Of all statements of all policies of a user that speak of a request, one that denies
//! decides; else one that allows; else nothing is said, which is no.
//!
//! A resource is `acs:mq:*:*:` and `{instance}` for an instance, `{instance}%{name}` for a topic or
//! group in it. Names in the default instance also stand without `default%`, as those of instances
//! without a namespace do. The control plane of the 5.x series has forms of its own:
//! `acs:rocketmq:{region}:{account}:instance/{instance}`, with `/topic/{topic}` or
//! `/consumergroup/{group}` behind it.
//!
//! Source: the service's "Custom policies for ApsaraMQ for RocketMQ" (4.x and 5.x) and the policy
//! grammar of RAM.

mod actions;
mod condition;
mod document;
mod system;
mod wildcard;

use std::net::IpAddr;

use base::{InstanceId, Timestamp, limits};

pub(super) use self::actions::{BASE_INFO, data_actions, of_operation};
use self::document::Document;
use super::Decision;

/// Where and when a request comes from, as conditions see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Address of its sender.
    pub source: IpAddr,
    /// Whether it came through TLS.
    pub secure: bool,
    /// When it is looked at.
    pub at: Timestamp,
}

/// Why a policy is not taken. Texts name the part and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RamPolicyError {
    /// A name that is none.
    #[error("policy name `{start}...` is not 1 to {max} letters, digits or `-`")]
    Name {
        /// First characters of it.
        start: String,
        /// Most characters.
        max: usize,
    },
    /// A name of the system's.
    #[error("policy `{policy}` is a system policy, which nobody changes")]
    System {
        /// Its name.
        policy: String,
    },
    /// A document that is too long.
    #[error("policy document has {length} bytes, expected at most {max}")]
    TooLong {
        /// Its length.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// No JSON, or not of the form of a policy.
    #[error("policy document is malformed: {reason}")]
    Malformed {
        /// What is wrong, and where.
        reason: String,
    },
    /// Another version of the grammar.
    #[error("Version of policy document is `{version}`, expected `1`")]
    Version {
        /// First characters of it.
        version: String,
    },
    /// A list with nothing in it.
    #[error("{what} of policy document is empty, expected at least one")]
    Empty {
        /// Which list.
        what: &'static str,
    },
    /// Neither Allow nor Deny.
    #[error("Effect of policy statement is `{effect}`, expected Allow or Deny")]
    Effect {
        /// First characters of it.
        effect: String,
    },
    /// An action that is none.
    #[error("Action `{action}` is neither `*` nor of the form `mq:PUB`")]
    Action {
        /// First characters of it.
        action: String,
    },
    /// A resource that is none.
    #[error(
        "Resource `{resource}` is neither `*` nor of the form `acs:mq:*:*:<name>` or \
         `acs:rocketmq:*:*:instance/<name>`"
    )]
    Resource {
        /// First characters of it.
        resource: String,
    },
    /// A resource of some region or account.
    #[error(
        "Resource `{resource}` names a region or an account, expected `*` for both: a server has \
         one of each"
    )]
    Region {
        /// First characters of it.
        resource: String,
    },
    /// A condition that cannot be checked here.
    #[error(
        "Condition operator `{operator}` is not known, expected IpAddress, NotIpAddress, Bool, or \
         Date with Equals, NotEquals, LessThan, LessThanEquals, GreaterThan or GreaterThanEquals"
    )]
    Operator {
        /// First characters of it.
        operator: String,
    },
    /// A key that its operator does not have.
    #[error("Condition key `{key}` is not known to operator `{operator}`, expected `{expected}`")]
    ConditionKey {
        /// The operator.
        operator: String,
        /// First characters of the key.
        key: String,
        /// The key that it has.
        expected: &'static str,
    },
    /// A value that is none of its key's.
    #[error("value `{value}` of Condition key `{key}` cannot be read")]
    ConditionValue {
        /// The key.
        key: String,
        /// First characters of the value.
        value: String,
    },
}

/// A policy: its name and its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RamPolicy {
    name: String,
    document: Document,
    is_system: bool,
}

impl RamPolicy {
    /// Reads a policy of an administrator's.
    ///
    /// # Errors
    /// When the name is none or the system's, or the document is not of the form described in this
    /// module.
    pub fn new(name: &str, document: &str) -> Result<Self, RamPolicyError> {
        let max = limits::RAM_POLICY_NAME_BYTES_MAX;
        let is_name = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        if name.is_empty() || name.len() > max || !name.bytes().all(is_name) {
            let start = condition::start(name);
            return Err(RamPolicyError::Name { start, max });
        }
        if system::document(name).is_some() {
            let policy = name.to_owned();
            return Err(RamPolicyError::System { policy });
        }
        Ok(Self {
            name: name.to_owned(),
            document: Document::read(document)?,
            is_system: false,
        })
    }

    /// The policies that every instance has.
    pub(super) fn system() -> impl Iterator<Item = Self> {
        system::NAMES.into_iter().filter_map(|name| {
            let document = Document::read(system::document(name)?).ok()?;
            Some(Self {
                name: name.to_owned(),
                document,
                is_system: true,
            })
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its document, as it was written.
    pub fn document(&self) -> &str {
        &self.document.text
    }

    /// Whether it is one of those that every instance has and nobody changes.
    pub fn is_system(&self) -> bool {
        self.is_system
    }

    /// What it alone says of an action, as `mq:PUB`, on a resource, without `acs:mq:*:*:`.
    pub fn says(&self, action: &str, resource: &str, origin: &Origin) -> Option<Decision> {
        let request = Request {
            service: Service::Mq,
            region: "",
            account: "",
            actions: &[&action.to_ascii_lowercase()],
            resources: &[resource],
        };
        self.decide(&request, origin)
    }

    fn decide(&self, request: &Request<'_>, origin: &Origin) -> Option<Decision> {
        let statements = self.document.statements.iter();
        strictest(statements.map(|statement| statement.decide(request, origin)))
    }
}

/// Whose words a policy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Data of all series but 5.x, and the control plane of the 4.x series.
    Mq,
    /// The control plane of the 5.x series.
    RocketMq,
}

impl Service {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Mq => "mq",
            Self::RocketMq => "rocketmq",
        }
    }
}

/// A request in the words of policies.
pub(super) struct Request<'a> {
    /// Whose resources these are.
    pub(super) service: Service,
    /// The region and the account of the server; empty where the words of the service name none.
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    /// Names of what is done, in lower case: they all mean the same.
    pub(super) actions: &'a [&'a str],
    /// Names of what it is done to, without what stands before them: they all mean the same.
    pub(super) resources: &'a [&'a str],
}

/// What all policies together say.
pub(super) fn decide<'p>(
    policies: impl IntoIterator<Item = &'p RamPolicy>,
    request: &Request<'_>,
    origin: &Origin,
) -> Option<Decision> {
    let policies = policies.into_iter();
    strictest(policies.map(|policy| policy.decide(request, origin)))
}

/// Deny before Allow before nothing.
fn strictest(words: impl Iterator<Item = Option<Decision>>) -> Option<Decision> {
    let mut said = None;
    for word in words {
        match word {
            Some(Decision::Deny) => return word,
            Some(Decision::Allow) => said = word,
            None => {}
        }
    }
    said
}

/// The names of an instance, or of a topic or group in it, in policies.
pub(super) fn resource_names(instance: &InstanceId, name: Option<&str>) -> Vec<String> {
    let Some(name) = name else {
        return vec![instance.to_string()];
    };
    let mut names = vec![format!("{instance}%{name}")];
    if *instance == InstanceId::default_instance() {
        names.push(name.to_owned());
    }
    names
}

#[cfg(test)]
mod tests;
