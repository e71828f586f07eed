//! What a policy is about: one topic, group or cluster, all that begin alike, or everything.

use std::{fmt, str::FromStr};

/// The kind of thing that is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// Everything, whatever its kind.
    Any,
    /// The server as a whole: users, settings, statistics.
    Cluster,
    /// A namespace; kept for Apache's tools, nothing asks for it.
    Namespace,
    /// A topic.
    Topic,
    /// A consumer group, its retry topic included.
    Group,
}

impl ResourceKind {
    const ALL: [Self; 5] = [
        Self::Any,
        Self::Cluster,
        Self::Namespace,
        Self::Topic,
        Self::Group,
    ];

    /// RocketMQ's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "Any",
            Self::Cluster => "Cluster",
            Self::Namespace => "Namespace",
            Self::Topic => "Topic",
            Self::Group => "Group",
        }
    }
}

/// Which names of a kind are meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pattern {
    Any,
    Literal(String),
    Prefix(String),
}

/// A resource of a policy, as `*`, `Topic:*`, `Topic:orders` or `Topic:orders*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    pub(super) kind: ResourceKind,
    pub(super) pattern: Pattern,
}

impl Resource {
    /// Whether the thing of that kind and name is meant.
    pub(super) fn matches(&self, kind: ResourceKind, name: &str) -> bool {
        if self.kind == ResourceKind::Any {
            return true;
        }
        self.kind == kind
            && match &self.pattern {
                Pattern::Any => true,
                Pattern::Literal(literal) => literal == name,
                Pattern::Prefix(prefix) => name.starts_with(prefix),
            }
    }

    /// How exactly it says what it means; of several that match, the most exact decides. A kind is
    /// more than none, a name more than a prefix, a long prefix more than a short one.
    ///
    /// Source: `AclAuthorizationHandler.comparePolicyEntries` of RocketMQ 5.5.0.
    pub(super) fn exactness(&self) -> (bool, u8, usize) {
        let (pattern, length) = match &self.pattern {
            Pattern::Any => (0, 0),
            Pattern::Prefix(prefix) => (1, prefix.len()),
            Pattern::Literal(_) => (2, 0),
        };
        (self.kind != ResourceKind::Any, pattern, length)
    }
}

/// A text is no resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resource `{text}` is neither `*` nor Topic:, Group:, Cluster: or Namespace: and a name")]
pub struct ResourceError {
    /// First characters of the text.
    pub text: String,
}

impl FromStr for Resource {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        if text == "*" {
            return Ok(Self {
                kind: ResourceKind::Any,
                pattern: Pattern::Any,
            });
        }
        let wrong = || ResourceError {
            text: text.chars().take(64).collect(),
        };
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        let mut kinds = ResourceKind::ALL.into_iter();
        let kind = kinds
            .find(|known| known.name().eq_ignore_ascii_case(kind))
            .ok_or_else(wrong)?;
        let pattern = if name == "*" {
            Pattern::Any
        } else if name.ends_with('*') {
            let (prefix, _) = name.split_once('*').ok_or_else(wrong)?;
            Pattern::Prefix(prefix.to_owned())
        } else if name.is_empty() {
            return Err(wrong());
        } else {
            Pattern::Literal(name.to_owned())
        };
        Ok(Self { kind, pattern })
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.name();
        match &self.pattern {
            _ if self.kind == ResourceKind::Any => f.write_str("*"),
            Pattern::Any => write!(f, "{kind}:*"),
            Pattern::Literal(name) => write!(f, "{kind}:{name}"),
            Pattern::Prefix(prefix) => write!(f, "{kind}:{prefix}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_written_as_they_are_read() {
        for text in [
            "*",
            "Topic:*",
            "Topic:orders",
            "Topic:orders*",
            "Group:billing",
            "Cluster:DefaultCluster",
            "Namespace:a",
            "Topic:%DLQ%a:b",
        ] {
            assert_eq!(text.parse::<Resource>().unwrap().to_string(), text);
        }
        assert_eq!(
            "topic:A".parse::<Resource>().unwrap().to_string(),
            "Topic:A"
        );
        for wrong in ["", "orders", "Queue:1", "Topic:", ":a", "**"] {
            let error = wrong.parse::<Resource>().unwrap_err();
            assert_eq!(error.text, wrong);
        }
    }
}
