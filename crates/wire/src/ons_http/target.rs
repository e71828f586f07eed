//! Request targets: `/topics/<topic>/messages?<parameters>`.

use crate::percent;

/// Why a target is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The path names no messages of a topic.
    #[error("path `{start}` is not `/topics/<topic>/messages`")]
    Path {
        /// Its first characters.
        start: String,
    },
    /// A part of the target is no text.
    #[error("request target has a malformed percent escape in `{start}`")]
    Escape {
        /// Where.
        start: String,
    },
    /// A parameter that there may be once is there twice.
    #[error("parameter `{name}` is there more than once")]
    Twice {
        /// Its name.
        name: String,
    },
    /// More parameters than there may be.
    #[error("query has more than {PARAMETERS_MAX} parameters")]
    TooMany,
}

/// Parameters of one target; the protocol knows six.
const PARAMETERS_MAX: usize = 16;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The topic.
    pub topic: String,
    parameters: Vec<(String, String)>,
}

impl Target {
    /// What the path of every target starts with.
    pub const PATH_PREFIX: &str = "/topics/";

    /// Reads path and query.
    pub fn parse(path: &str, query: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError::Path {
            start: shortened(path),
        };
        let topic = path
            .strip_prefix(Self::PATH_PREFIX)
            .and_then(|rest| rest.strip_suffix("/messages"))
            .filter(|topic| !topic.is_empty() && !topic.contains('/'))
            .ok_or_else(wrong)?;
        let mut target = Self {
            topic: decoded(topic)?,
            parameters: Vec::new(),
        };
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            // Compat: mq-http-sdk 1.0.3.2 for Java writes spaces so; all escape a plus sign.
            let value = value.replace('+', " ");
            let (name, value) = (decoded(name)?, decoded(&value)?);
            if target.parameter(&name).is_some() {
                let name = shortened(&name);
                return Err(TargetError::Twice { name });
            }
            if target.parameters.len() >= PARAMETERS_MAX {
                return Err(TargetError::TooMany);
            }
            target.parameters.push((name, value));
        }
        Ok(target)
    }

    /// The value of a parameter, if it is there.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn decoded(text: &str) -> Result<String, TargetError> {
    percent::decoded(text).ok_or_else(|| TargetError::Escape {
        start: shortened(text),
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_the_sdks_are_read() {
        let query = "consumer=GID_a&numOfMessages=3&ns=MQ_INST_1_a&waitseconds=3&tag=A%7C%7CB";
        let target = Target::parse("/topics/t1/messages", query).unwrap();
        assert_eq!(target.topic, "t1");
        assert_eq!(target.parameter("consumer"), Some("GID_a"));
        assert_eq!(target.parameter("tag"), Some("A||B"));
        assert_eq!(target.parameter("trans"), None);
        let java = Target::parse("/topics/t1/messages", "tag=A||B&ns=").unwrap();
        assert_eq!(java.parameter("tag"), Some("A||B"));
        assert_eq!(java.parameter("ns"), Some(""));
        let spaces = Target::parse("/topics/t1/messages", "tag=A+%7C%7C+B%2B").unwrap();
        assert_eq!(spaces.parameter("tag"), Some("A || B+"));
    }

    #[test]
    fn other_targets_are_refused() {
        for path in [
            "/topics//messages",
            "/topics/t1",
            "/topics/t1/",
            "/topics/t1/messages/",
            "/topics/a/b/messages",
            "/queues/t1/messages",
        ] {
            let refused = Target::parse(path, "").unwrap_err();
            assert!(matches!(refused, TargetError::Path { .. }), "{path}");
        }
        for query in ["tag=%", "tag=%7", "tag=%zz", "tag=%+1", "tag=%ff"] {
            let refused = Target::parse("/topics/t1/messages", query).unwrap_err();
            assert!(matches!(refused, TargetError::Escape { .. }), "{query}");
        }
        let twice = Target::parse("/topics/t1/messages", "ns=a&ns=b");
        assert!(matches!(twice, Err(TargetError::Twice { .. })));
        let many: String = (0..40).map(|n| format!("p{n}=1&")).collect();
        let many = Target::parse("/topics/t1/messages", &many);
        assert_eq!(many, Err(TargetError::TooMany));
    }
}
