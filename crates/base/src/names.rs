//! Names of topics, groups and instances: checked once, trusted afterwards.

use std::{borrow::Borrow, fmt, sync::Arc};

use crate::limits;

/// Why a text cannot be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("{what} is empty, expected 1 to {max} characters")]
    Empty {
        /// Kind of name, e.g. "topic".
        what: &'static str,
        /// Longest allowed name, in bytes.
        max: usize,
    },
    /// The text is too long. Only its start is kept, so that an error stays small.
    #[error("{what} `{start}...` has {length} characters, expected at most {max}")]
    TooLong {
        /// Kind of name.
        what: &'static str,
        /// First characters of the text.
        start: String,
        /// Length of the text in bytes.
        length: usize,
        /// Longest allowed name, in bytes.
        max: usize,
    },
    /// The text holds a character that RocketMQ names may not have.
    #[error(
        "{what} `{text}` holds the character {character:?}, expected letters, digits, % | - and _"
    )]
    Character {
        /// Kind of name.
        what: &'static str,
        /// The whole text.
        text: String,
        /// The first character that is not allowed.
        character: char,
    },
}

fn check(what: &'static str, text: &str, max: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what, max });
    }
    if text.len() > max {
        let start = text.chars().take(32).collect();
        return Err(NameError::TooLong {
            what,
            start,
            length: text.len(),
            max,
        });
    }
    // RocketMQ's TopicValidator: ^[%|a-zA-Z0-9_-]+$
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '%' | '|' | '_' | '-');
    match text.chars().find(|c| !allowed(*c)) {
        Some(character) => Err(NameError::Character {
            what,
            text: text.to_owned(),
            character,
        }),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $what:literal, $max:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text and keeps it.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check($what, text, $max)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name! {
    /// Name of a topic inside its instance, without any instance prefix.
    TopicName, "topic", limits::TOPIC_NAME_BYTES_MAX
}
name! {
    /// Name of a consumer or producer group inside its instance.
    GroupName, "group", limits::GROUP_NAME_BYTES_MAX
}
name! {
    /// Name of a LiteTopic inside its parent topic.
    LiteTopicName, "LiteTopic", limits::LITE_TOPIC_NAME_BYTES_MAX
}
name! {
    /// Id of an instance, the tenant of everything below it.
    InstanceId, "instance", limits::INSTANCE_ID_BYTES_MAX
}

const RETRY_PREFIX: &str = "%RETRY%";
const DEAD_LETTER_PREFIX: &str = "%DLQ%";

impl InstanceId {
    /// The instance that every server has from its first start.
    pub fn default_instance() -> Self {
        Self("default".into())
    }
}

impl TopicName {
    /// The topic where a group's messages wait for their next delivery: `%RETRY%group`.
    pub fn retry_of(group: &GroupName) -> Self {
        Self(format!("{RETRY_PREFIX}{group}").into())
    }

    /// The topic where a group's messages end after their last attempt: `%DLQ%group`.
    pub fn dead_letter_of(group: &GroupName) -> Self {
        Self(format!("{DEAD_LETTER_PREFIX}{group}").into())
    }

    /// The group whose retry topic this is.
    pub fn retry_group(&self) -> Option<&str> {
        self.0.strip_prefix(RETRY_PREFIX)
    }

    /// The group whose dead-letter topic this is.
    pub fn dead_letter_group(&self) -> Option<&str> {
        self.0.strip_prefix(DEAD_LETTER_PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_rocketmq_rules() {
        assert!(TopicName::new("orders_2-a|b%c").is_ok());
        assert!(matches!(TopicName::new(""), Err(NameError::Empty { .. })));
        assert!(matches!(
            TopicName::new("or ders"),
            Err(NameError::Character { character: ' ', .. })
        ));
        let long = "x".repeat(limits::TOPIC_NAME_BYTES_MAX + 1);
        assert!(matches!(
            TopicName::new(&long),
            Err(NameError::TooLong { length: 128, .. })
        ));
    }

    #[test]
    fn a_group_has_its_own_retry_and_dead_letter_topics() {
        let group = GroupName::new("billing").unwrap();
        assert_eq!(TopicName::retry_of(&group).retry_group(), Some("billing"));
        assert_eq!(TopicName::dead_letter_of(&group).as_str(), "%DLQ%billing");
    }
}
