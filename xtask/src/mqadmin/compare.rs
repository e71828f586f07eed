//! Comparing what the tool printed here and there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::plan::{Difference, Plan, Step};

/// How the outputs of one step compare.
pub(super) enum Outcome {
    /// They are the same.
    Same,
    /// They are the same but for these differences.
    Accepted {
        /// Names of the differences.
        names: Vec<String>,
    },
    /// They differ.
    Different {
        /// Masked, without what may differ.
        apache: Vec<String>,
        /// The same.
        carrack: Vec<String>,
    },
}

/// All steps so far.
pub(super) struct Comparison<'a> {
    plan: &'a Plan,
    steps: Vec<(&'a Step, Outcome, String, String)>,
    used: BTreeSet<&'a str>,
}

impl<'a> Comparison<'a> {
    /// Nothing compared yet.
    pub(super) fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            steps: Vec::new(),
            used: BTreeSet::new(),
        }
    }

    /// Compares the outputs of one step.
    pub(super) fn step(&mut self, step: &'a Step, apache: &str, carrack: &str) {
        let differences: Vec<&'a Difference> = self
            .plan
            .differences
            .iter()
            .filter(|difference| {
                let command = step.command().unwrap_or_default();
                difference.commands.iter().any(|name| name == command)
            })
            .collect();
        let (all_apache, all_carrack) = (self.lines(step, apache), self.lines(step, carrack));
        let outcome = if all_apache == all_carrack {
            Outcome::Same
        } else {
            self.accept(&differences, all_apache, all_carrack)
        };
        let (apache, carrack) = (apache.to_owned(), carrack.to_owned());
        self.steps.push((step, outcome, apache, carrack));
    }

    fn accept(
        &mut self,
        differences: &[&'a Difference],
        mut apache: Vec<String>,
        mut carrack: Vec<String>,
    ) -> Outcome {
        let mut names = Vec::new();
        let mut missing = Vec::new();
        for difference in differences {
            let whole = carrack.join("\n");
            let may_differ = |line: &str| {
                difference
                    .lines
                    .iter()
                    .any(|pattern| pattern.is_match(line))
            };
            let before = (apache.len(), carrack.len());
            apache.retain(|line| !may_differ(line));
            carrack.retain(|line| !may_differ(line));
            if (apache.len(), carrack.len()) == before {
                continue;
            }
            if let Some(expect) = &difference.expect
                && !expect.is_match(&whole)
            {
                missing.push(format!("expected: {expect}\n{whole}"));
            }
            self.used.insert(&difference.name);
            names.push(difference.name.clone());
        }
        if apache == carrack && missing.is_empty() {
            return Outcome::Accepted { names };
        }
        carrack.extend(missing);
        Outcome::Different { apache, carrack }
    }

    /// The lines that count: masked, blanks reduced to one, stack traces to their messages.
    fn lines(&self, step: &Step, output: &str) -> Vec<String> {
        let mut masked = output.to_owned();
        for mask in &self.plan.masks {
            masked = mask
                .pattern
                .replace_all(&masked, mask.with.as_str())
                .into_owned();
        }
        let mut lines: Vec<String> = masked
            .lines()
            .filter(|line| !is_stack(line))
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|line| !line.is_empty())
            .collect();
        if step.any_order {
            lines.sort();
        }
        lines
    }

    /// Accepted differences that no step had.
    pub(super) fn unused_differences(&self) -> Vec<&'a str> {
        let all = self.plan.differences.iter().map(|d| d.name.as_str());
        all.filter(|name| !self.used.contains(name)).collect()
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
                Outcome::Accepted { names } => format!("accepted: {}", names.join(", ")),
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
                let _ = write!(text, "\n--- Apache\n+++ Carrack\n");
                for line in apache.iter().filter(|line| !carrack.contains(line)) {
                    let _ = writeln!(text, "- {line}");
                }
                for line in carrack.iter().filter(|line| !apache.contains(line)) {
                    let _ = writeln!(text, "+ {line}");
                }
            }
            let _ = write!(text, "\n=== Apache\n{apache}\n=== Carrack\n{carrack}\n");
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

/// Whether a line is of a stack trace: where, not what.
fn is_stack(line: &str) -> bool {
    line.starts_with("\tat ") || line.trim_start().starts_with("... ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let text = r#"
            [[mask]]
            pattern = '\d+\.\d+\.\d+\.\d+:\d+'
            with = "<address>"
            [[step]]
            run = "topicList"
            any_order = true
            [[difference]]
            name = "system-topics"
            commands = ["topicList"]
            reason = "another server has others"
            lines = ["^SYS_"]
            expect = "orders"
        "#;
        toml::from_str(text).expect("a plan")
    }

    fn outcome_of(apache: &str, carrack: &str) -> (String, usize) {
        let plan = plan();
        let mut comparison = Comparison::new(&plan);
        comparison.step(&plan.steps[0], apache, carrack);
        let outcome = match &comparison.steps[0].1 {
            Outcome::Same => "same".to_owned(),
            Outcome::Accepted { names } => names.join(","),
            Outcome::Different { .. } => "different".to_owned(),
        };
        (outcome, comparison.unused_differences().len())
    }

    #[test]
    fn masks_blanks_order_and_stacks_do_not_count() {
        let apache = "b  1.2.3.4:5\na\n\tat com.example\n";
        assert_eq!(outcome_of(apache, "a\nb 5.6.7.8:90").0, "same");
        assert_eq!(outcome_of("a", "b").0, "different");
    }

    #[test]
    fn accepted_differences_are_named_and_must_occur() {
        let accepted = outcome_of("orders\nSYS_A", "orders\nSYS_B");
        assert_eq!(accepted, ("system-topics".to_owned(), 0));
        // The same output uses no difference up.
        assert_eq!(outcome_of("orders", "orders"), ("same".to_owned(), 1));
        // What is expected must be there.
        assert_eq!(outcome_of("SYS_A", "SYS_B").0, "different");
    }
}
