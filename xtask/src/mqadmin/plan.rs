//! The plan: what is run, what may differ, what is left out.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use regex::Regex;
use serde::{Deserialize, Deserializer, de::Error as _};

/// `conformance/mqadmin/commands.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    /// What is masked in every output, in order.
    #[serde(rename = "mask")]
    pub(super) masks: Vec<Mask>,
    /// What is run, in order.
    #[serde(rename = "step")]
    pub(super) steps: Vec<Step>,
    /// What may differ.
    #[serde(rename = "difference", default)]
    pub(super) differences: Vec<Difference>,
    /// What is not run.
    #[serde(default)]
    pub(super) left_out: Vec<LeftOut>,
}

/// A part of outputs that is another one at every run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mask {
    /// What it looks like.
    #[serde(deserialize_with = "pattern")]
    pub(super) pattern: Regex,
    /// What takes its place.
    pub(super) with: String,
}

/// One command of the tool, or one step of a client.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// The words, separated by blanks; words with blanks are in single quotes.
    pub(super) run: String,
    /// Whether lines come in no fixed order.
    #[serde(default)]
    pub(super) any_order: bool,
}

/// A difference that is accepted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Difference {
    /// Its name.
    pub(super) name: String,
    /// The commands in whose output it is.
    pub(super) commands: Vec<String>,
    /// Why it is accepted.
    pub(super) reason: String,
    /// Lines that are left out of the comparison on both sides.
    #[serde(deserialize_with = "patterns")]
    pub(super) lines: Vec<Regex>,
    /// What must be in Carrack's output all the same, before lines are left out.
    #[serde(default, deserialize_with = "optional_pattern")]
    pub(super) expect: Option<Regex>,
}

/// A command that is not run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeftOut {
    /// The command.
    pub(super) command: String,
    /// Why.
    pub(super) reason: String,
}

impl Plan {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("read {}", path.display()))
    }
}

impl Step {
    /// The command of the tool, unless it is a step of a client.
    pub(super) fn command(&self) -> Option<&str> {
        let first = self.run.split(' ').next().unwrap_or_default();
        (!first.starts_with('!')).then_some(first)
    }

    /// The words.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for (index, part) in self.run.split('\'').enumerate() {
            if index % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }
}

fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Regex, D::Error> {
    let text = String::deserialize(deserializer)?;
    Regex::new(&text).map_err(D::Error::custom)
}

fn patterns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Regex>, D::Error> {
    let texts: Vec<String> = Vec::deserialize(deserializer)?;
    let compiled = texts.iter().map(|text| Regex::new(text));
    compiled.collect::<Result<_, _>>().map_err(D::Error::custom)
}

fn optional_pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Regex>, D::Error> {
    pattern(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_blanks_are_quoted() {
        let step = Step {
            run: "sendMessage -p 'two words' -t orders ''".to_owned(),
            any_order: false,
        };
        assert_eq!(
            step.words(),
            ["sendMessage", "-p", "two words", "-t", "orders", ""]
        );
        assert_eq!(step.command(), Some("sendMessage"));
    }
}
