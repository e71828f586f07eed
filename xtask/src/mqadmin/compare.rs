//! Comparing what the tool printed here and there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use regex::Regex;

use super::plan::{Difference, Plan, Step};
use super::target::Output;

/// How the outputs of one step compare.
pub(super) enum Outcome {
    /// They are the same.
    Same,
    /// They are the same but for these differences.
    Accepted {
        /// Names of the differences.
        names: BTreeSet<String>,
    },
    /// They differ.
    Different {
        /// Lines that only Apache printed, masked, and that are not accepted.
        apache: Vec<String>,
        /// The same of Carrack.
        carrack: Vec<String>,
    },
}

/// Which side a line is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Apache,
    Carrack,
}

/// A pattern of a difference that was seen in the output of a command.
type Seen<'a> = (&'a str, &'a str, Side, &'a str);

/// All steps so far.
pub(super) struct Comparison<'a> {
    plan: &'a Plan,
    steps: Vec<(&'a Step, Outcome, Output, Output)>,
    seen: BTreeSet<Seen<'a>>,
}

impl<'a> Comparison<'a> {
    /// Nothing compared yet.
    pub(super) fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            steps: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Compares the outputs of one step.
    pub(super) fn step(&mut self, step: &'a Step, apache: Output, carrack: Output) {
        let mut names = BTreeSet::new();
        let mut left = self.lines(step, &apache.text, Side::Apache, &mut names);
        let mut right = self.lines(step, &carrack.text, Side::Carrack, &mut names);
        if left != right {
            let (only_left, only_right) = (only_in(&left, &right), only_in(&right, &left));
            let left_out = self.accepted(step, only_left, Side::Apache, &mut names);
            let right_out = self.accepted(step, only_right, Side::Carrack, &mut names);
            take(&mut left, &left_out);
            take(&mut right, &right_out);
        }
        let outcome = if left != right {
            let (mut apache, mut carrack) = (only_in(&left, &right), only_in(&right, &left));
            if apache.is_empty() && carrack.is_empty() {
                // The same lines in another order.
                (apache, carrack) = (left, right);
            }
            Outcome::Different { apache, carrack }
        } else if names.is_empty() {
            Outcome::Same
        } else {
            Outcome::Accepted { names }
        };
        self.steps.push((step, outcome, apache, carrack));
    }

    /// The lines that count: masked, blanks reduced to one, stack traces to their messages.
    fn lines(
        &mut self,
        step: &'a Step,
        output: &str,
        side: Side,
        names: &mut BTreeSet<String>,
    ) -> Vec<String> {
        let mut masked = output.to_owned();
        let command = step.command().unwrap_or_default();
        for mask in &self.plan.masks {
            if !mask.except.iter().any(|name| name == command) {
                let with = mask.with.as_str();
                masked = mask.pattern.replace_all(&masked, with).into_owned();
            }
        }
        let mut lines = Vec::new();
        for line in masked.lines().filter(|line| !is_stack(line)) {
            let mut line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            for difference in of_command(self.plan, command) {
                let value = format!("<{}>", difference.name);
                let parts = match side {
                    Side::Apache => difference.apache_parts.as_slice(),
                    Side::Carrack => &[],
                };
                let values = difference.values.iter().map(|pattern| (pattern, &*value));
                for (pattern, with) in values.chain(parts.iter().map(|pattern| (pattern, ""))) {
                    if pattern.is_match(&line) {
                        line = pattern.replace_all(&line, with).into_owned();
                        let seen = (&*difference.name, command, side, pattern.as_str());
                        self.seen.insert(seen);
                        names.insert(difference.name.clone());
                    }
                }
            }
            if !line.is_empty() {
                lines.push(line);
            }
        }
        if step.any_order {
            lines.sort();
        }
        lines
    }

    /// Those of the lines that are accepted to be on one side only.
    fn accepted(
        &mut self,
        step: &'a Step,
        lines: Vec<String>,
        side: Side,
        names: &mut BTreeSet<String>,
    ) -> Vec<String> {
        let command = step.command().unwrap_or_default();
        let mut accepted = Vec::new();
        for line in lines {
            let mut is_accepted = false;
            for difference in of_command(self.plan, command) {
                for pattern in lines_of(difference, side) {
                    if pattern.is_match(&line) {
                        let seen = (&*difference.name, command, side, pattern.as_str());
                        self.seen.insert(seen);
                        names.insert(difference.name.clone());
                        is_accepted = true;
                    }
                }
            }
            if is_accepted {
                accepted.push(line);
            }
        }
        accepted
    }

    /// Patterns of accepted differences that no step of their command had: difference, command and
    /// pattern.
    pub(super) fn unseen(&self) -> Vec<String> {
        let mut unseen = Vec::new();
        for difference in &self.plan.differences {
            for command in &difference.commands {
                let of_both = difference.values.iter();
                let of_both = of_both.flat_map(|p| [(Side::Apache, p), (Side::Carrack, p)]);
                let of_apache = difference.apache_parts.iter().chain(&difference.apache);
                let of_carrack = difference.carrack.iter();
                let all = of_both
                    .chain(of_apache.map(|pattern| (Side::Apache, pattern)))
                    .chain(of_carrack.map(|pattern| (Side::Carrack, pattern)));
                for (side, pattern) in all {
                    let seen = (&*difference.name, &**command, side, pattern.as_str());
                    if !self.seen.contains(&seen) {
                        let name = &difference.name;
                        unseen.push(format!("{name} in {command}, {side:?}: {pattern}"));
                    }
                }
            }
        }
        unseen
    }

    /// Steps with such an outcome.
    pub(super) fn count(&self, is_wanted: impl Fn(&Outcome) -> bool) -> usize {
        let outcomes = self.steps.iter().map(|(_, outcome, ..)| outcome);
        outcomes.filter(|outcome| is_wanted(outcome)).count()
    }

    /// The table for people: one row per command of the tool, and the sums.
    pub(super) fn table(&self) -> String {
        let mut table = String::new();
        for (number, (step, outcome, ..)) in self.steps.iter().enumerate() {
            let said = match outcome {
                Outcome::Same if step.command().is_none() => continue,
                Outcome::Same => "same".to_owned(),
                Outcome::Accepted { names } => {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    format!("accepted: {}", names.join(", "))
                }
                Outcome::Different { .. } => "DIFFERENT".to_owned(),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{number:>3}  {:<90} {said}", step.run);
        }
        let same = self.count(|outcome| matches!(outcome, Outcome::Same));
        let accepted = self.count(|outcome| matches!(outcome, Outcome::Accepted { .. }));
        let different = self.steps.len() - same - accepted;
        let _ = write!(
            table,
            "{same} same, {accepted} with accepted differences, {different} different"
        );
        table
    }

    /// Writes the outputs of every step, and of those that differ what differs.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder).context("remove the differences of the last run")?;
        }
        fs::create_dir_all(folder).context("create the folder of differences")?;
        for (number, (step, outcome, apache, carrack)) in self.steps.iter().enumerate() {
            let name = step.run.split(' ').next().unwrap_or_default();
            let name = format!("{number:03}-{}", name.trim_start_matches('!'));
            let mut text = format!("{}\n", step.run);
            if let Outcome::Different { apache, carrack } = outcome {
                text.push_str("\n--- Apache\n+++ Carrack\n");
                for (sign, lines) in [('-', apache), ('+', carrack)] {
                    for line in lines {
                        let _ = writeln!(text, "{sign} {line}");
                    }
                }
            }
            for (side, output) in [("Apache", apache), ("Carrack", carrack)] {
                let (took, output) = (output.took.as_secs_f64(), &output.text);
                let _ = write!(text, "\n=== {side}, {took:.2} s\n{output}\n");
            }
            let kind = match outcome {
                Outcome::Different { .. } => "different",
                Outcome::Accepted { .. } => "accepted",
                Outcome::Same => "same",
            };
            let path = folder.join(format!("{name}.{kind}"));
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }
}

fn of_command<'a>(plan: &'a Plan, command: &str) -> impl Iterator<Item = &'a Difference> {
    let is_of = move |difference: &&Difference| {
        let mut names = difference.commands.iter();
        names.any(|name| name == command)
    };
    plan.differences.iter().filter(is_of)
}

fn lines_of(difference: &Difference, side: Side) -> &[Regex] {
    match side {
        Side::Apache => &difference.apache,
        Side::Carrack => &difference.carrack,
    }
}

/// Lines that are in `lines` more often than in `others`, in their order.
fn only_in(lines: &[String], others: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in others {
        *counts.entry(line).or_default() += 1;
    }
    let is_more = |line: &&String| match counts.get_mut(line.as_str()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    lines.iter().filter(is_more).cloned().collect()
}

/// Takes each of `out` out of `lines` once.
fn take(lines: &mut Vec<String>, out: &[String]) {
    for line in out {
        if let Some(at) = lines.iter().rposition(|other| other == line) {
            lines.remove(at);
        }
    }
}

/// Whether a line is of a stack trace: where, not what.
fn is_stack(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("at ") || (line.starts_with("... ") && line.ends_with(" more"))
}

#[cfg(test)]
mod tests;
