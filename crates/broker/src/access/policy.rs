//! Policies: who may do what to which resource, and from where.

use std::{net::IpAddr, str::FromStr};

use base::limits;

use super::{Action, ActionSet, Resource, ResourceKind, SourceRange};

/// What an entry says to a request that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allow,
    /// It may not.
    Deny,
}

impl Decision {
    /// RocketMQ's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

impl FromStr for Decision {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        [Self::Allow, Self::Deny]
            .into_iter()
            .find(|decision| decision.name().eq_ignore_ascii_case(text))
            .ok_or(PolicyError::Decision)
    }
}

/// Which of a user's two policies is meant. The default one is asked where the custom one says
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// Asked first.
    Custom,
    /// Asked second.
    Default,
}

impl PolicyKind {
    /// RocketMQ's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Custom => "Custom",
            Self::Default => "Default",
        }
    }

    /// The policy of that name; custom where there is none, as Apache's broker reads it.
    pub fn of(name: &str) -> Self {
        if name.eq_ignore_ascii_case(Self::Default.name()) {
            Self::Default
        } else {
            Self::Custom
        }
    }
}

/// Why a policy is not taken.
///
/// Compat: the texts are those of `AuthorizationMetadataManagerImpl` of RocketMQ 5.5.0, which
/// `mqadmin` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No policy at all.
    #[error("The policies is empty.")]
    NoPolicy,
    /// A policy without entries.
    #[error("The policy entries is empty.")]
    NoEntry,
    /// An entry about nothing.
    #[error("The resource is null.")]
    Resource,
    /// An entry without actions.
    #[error("The actions is empty.")]
    NoAction,
    /// An action that only requests have.
    #[error("The actions can not be Any.")]
    AnyAction,
    /// An empty source.
    #[error("The source ip is empty.")]
    EmptySource,
    /// A source that is neither address nor range.
    #[error("The source ip is invalid.")]
    Source,
    /// Neither Allow nor Deny.
    #[error("The decision is null or illegal.")]
    Decision,
    /// More sources than an entry may have.
    #[error("policy entry has {count} sources, expected at most {max}")]
    TooManySources {
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyEntry {
    resource: Resource,
    actions: Vec<Action>,
    action_set: ActionSet,
    sources: Vec<SourceRange>,
    decision: Decision,
}

impl PolicyEntry {
    /// Reads an entry from RocketMQ's names. Unknown actions are left out, as Apache's broker does.
    ///
    /// # Errors
    /// When nothing is left of a part, or a part cannot be read.
    pub fn read<'a>(
        resource: &str,
        actions: impl IntoIterator<Item = &'a str>,
        sources: impl IntoIterator<Item = &'a str>,
        decision: &str,
    ) -> Result<Self, PolicyError> {
        let resource = resource.parse().map_err(|_| PolicyError::Resource)?;
        let mut known = Vec::new();
        for name in actions {
            if name.eq_ignore_ascii_case("Any") {
                return Err(PolicyError::AnyAction);
            }
            if let Ok(action) = name.parse()
                && !known.contains(&action)
            {
                known.push(action);
            }
        }
        if known.is_empty() {
            return Err(PolicyError::NoAction);
        }
        let mut ranges = Vec::new();
        for source in sources {
            if source.trim().is_empty() {
                return Err(PolicyError::EmptySource);
            }
            ranges.push(source.parse().map_err(|_| PolicyError::Source)?);
        }
        let (count, max) = (ranges.len(), limits::ACCESS_SOURCES_PER_ENTRY_MAX);
        if count > max {
            return Err(PolicyError::TooManySources { count, max });
        }
        Ok(Self {
            resource,
            action_set: ActionSet::of(&known),
            actions: known,
            sources: ranges,
            decision: decision.parse()?,
        })
    }

    /// What it is about.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// What is done to it.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// From where; empty is everywhere.
    pub fn sources(&self) -> &[SourceRange] {
        &self.sources
    }

    /// What it says.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    pub(super) fn matches(&self, wanted: &Wanted<'_>, source: IpAddr) -> bool {
        self.resource.matches(wanted.kind, wanted.name)
            && self.action_set.covers_one_of(wanted.any_of)
            && (self.sources.is_empty() || self.sources.iter().any(|range| range.contains(source)))
    }
}

/// What a request needs: one of some actions on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Kind of the resource; not [`ResourceKind::Any`].
    pub kind: ResourceKind,
    /// Its name inside the instance.
    pub name: &'a str,
    /// Any of these actions is enough.
    pub any_of: ActionSet,
}

/// Entries that are asked together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which policy.
    pub kind: PolicyKind,
    /// Its entries, in the order in which they were given.
    pub entries: Vec<PolicyEntry>,
}

impl Policy {
    /// What it says to a request: the word of the most exact entry that matches, and Deny of two
    /// equally exact ones.
    pub(super) fn decide(&self, wanted: &Wanted<'_>, source: IpAddr) -> Option<Decision> {
        let matching = self
            .entries
            .iter()
            .filter(|entry| entry.matches(wanted, source));
        let best = matching.max_by_key(|entry| {
            let denies = entry.decision == Decision::Deny;
            (entry.resource.exactness(), denies)
        });
        best.map(|entry| entry.decision)
    }

    /// Takes over entries: one about a resource that is there already replaces what is said of it.
    pub(super) fn merge(&mut self, entries: Vec<PolicyEntry>) {
        for entry in entries {
            let known = self
                .entries
                .iter_mut()
                .find(|known| known.resource == entry.resource);
            match known {
                Some(known) => *known = entry,
                None => self.entries.push(entry),
            }
        }
    }
}
