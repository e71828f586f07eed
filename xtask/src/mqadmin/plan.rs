//! The plan: what is run, what may differ, what is left out.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
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
    /// What is not compared.
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
    /// Commands whose output is not masked so.
    #[serde(default)]
    pub(super) except: Vec<String>,
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
    /// The command that a step belongs to which is none itself: it shows what that one has written.
    pub(super) shows: Option<String>,
}

/// A difference that is accepted. Each of its patterns must be seen in the output of each of its
/// commands: what does not occur any more is no difference.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Difference {
    /// Its name.
    pub(super) name: String,
    /// The commands in whose output it is.
    pub(super) commands: Vec<String>,
    /// Why it is accepted, for operators.
    pub(super) reason: String,
    /// Whether these commands are refused.
    #[serde(default)]
    pub(super) refused: bool,
    /// Parts of lines that both print, each with a value of its own.
    #[serde(default, deserialize_with = "patterns")]
    pub(super) values: Vec<Regex>,
    /// Parts of lines that only Apache prints, which are taken out.
    #[serde(default, deserialize_with = "patterns")]
    pub(super) apache_parts: Vec<Regex>,
    /// Whole lines that only Apache prints.
    #[serde(default, deserialize_with = "patterns")]
    pub(super) apache: Vec<Regex>,
    /// Whole lines that only Carrack prints.
    #[serde(default, deserialize_with = "patterns")]
    pub(super) carrack: Vec<Regex>,
}

/// A command that is not compared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeftOut {
    /// The command.
    pub(super) command: String,
    /// How it stands.
    pub(super) state: LeftOutState,
    /// Why, for operators.
    pub(super) reason: String,
    /// Arguments with which Carrack refuses it.
    pub(super) arguments: Option<String>,
    /// What the tool prints then, if that is not the answer of the server.
    pub(super) prints: Option<String>,
}

/// How a command stands that is not compared.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LeftOutState {
    /// Carrack says that it does not know the request.
    Refused,
    /// It is about something that Carrack has not, and asks nobody for it.
    NotApplicable,
    /// It works, but there is nothing to compare.
    NotCompared,
}

impl Plan {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let plan: Self =
            toml::from_str(&text).with_context(|| format!("read {}", path.display()))?;
        for left_out in &plan.left_out {
            ensure!(
                (left_out.state == LeftOutState::Refused) == left_out.arguments.is_some(),
                "{} has arguments if, and only if, it is refused",
                left_out.command
            );
        }
        Ok(plan)
    }
}

impl Step {
    /// The command of the tool, unless it is a step of a client.
    pub(super) fn command(&self) -> Option<&str> {
        let first = self.run.split(' ').next().unwrap_or_default();
        let own = (!first.starts_with('!')).then_some(first);
        own.or(self.shows.as_deref())
    }

    /// The words.
    pub(super) fn words(&self) -> Vec<String> {
        words(&self.run)
    }
}

impl LeftOut {
    /// The words of the command that is refused.
    pub(super) fn words(&self) -> Option<Vec<String>> {
        let arguments = self.arguments.as_ref()?;
        Some(words(&format!("{} {arguments}", self.command)))
    }
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in text.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_blanks_are_quoted() {
        let step = Step {
            run: "sendMessage -p 'two words' -t orders ''".to_owned(),
            any_order: false,
            shows: None,
        };
        assert_eq!(
            step.words(),
            ["sendMessage", "-p", "two words", "-t", "orders", ""]
        );
        assert_eq!(step.command(), Some("sendMessage"));
    }
}
