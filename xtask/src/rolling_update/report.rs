//! What a run showed: a table for people, JSON for programs, and the verdict.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use super::ledger::Account;
use super::traffic::Kind;

/// The longest time in which messages of a group may not be taken.
const ORDERED_GAP_MS_MAX: u64 = 10_000;

/// All scenarios.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    scenarios: Vec<Outcome>,
}

/// What one scenario showed.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    scenario: &'static str,
    /// How long the update took.
    update_seconds: f64,
    /// How long all of it took.
    seconds: f64,
    clients: Vec<Row>,
}

/// What one client saw.
#[derive(Debug, Serialize)]
struct Row {
    client: &'static str,
    ordered: bool,
    #[serde(flatten)]
    account: Account,
}

impl Outcome {
    /// What the clients saw in `scenario`.
    pub(super) fn of(
        scenario: &'static str,
        accounts: Vec<(Kind, Account)>,
        update: Duration,
        took: Duration,
    ) -> Self {
        let rows = accounts.into_iter().map(|(kind, account)| Row {
            client: kind.topic,
            ordered: kind.ordered,
            account,
        });
        Self {
            scenario,
            update_seconds: update.as_secs_f64(),
            seconds: took.as_secs_f64(),
            clients: rows.collect(),
        }
    }

    /// Whether sends failed or took too long, and nothing was lost or overtaken.
    pub(super) fn is_late_only(&self) -> bool {
        let is_whole = |row: &Row| {
            let it = &row.account;
            it.acknowledged > 0 && it.lost == 0 && !(row.ordered && it.overtaken > 0)
        };
        self.problems().next().is_some() && self.clients.iter().all(is_whole)
    }

    /// What is not as it must be.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        let of = |row: &Row| {
            let problems = row.problems().into_iter();
            let place = format!("{}, {}", self.scenario, row.client);
            problems.map(move |problem| format!("{place}: {problem}"))
        };
        self.clients.iter().flat_map(of)
    }
}

impl Row {
    fn problems(&self) -> Vec<String> {
        let it = &self.account;
        let mut problems = Vec::new();
        if it.acknowledged == 0 {
            problems.push("nothing was sent".to_owned());
        }
        if it.lost > 0 {
            let keys = it.lost_keys.join(", ");
            problems.push(format!("{} messages were lost: {keys} ...", it.lost));
        }
        if self.ordered && it.overtaken > 0 {
            problems.push(format!("{} messages were overtaken", it.overtaken));
        }
        if !self.ordered && it.send_errors > 0 {
            let errors = it.first_errors.join("; ");
            problems.push(format!("{} sends failed: {errors}", it.send_errors));
        }
        if self.ordered && it.lane_gap_ms > ORDERED_GAP_MS_MAX {
            problems.push(format!(
                "no message of a group was taken for {} ms, expected {ORDERED_GAP_MS_MAX} at most",
                it.lane_gap_ms
            ));
        }
        problems
    }
}

impl Report {
    /// The report of these scenarios.
    pub(super) fn of(scenarios: Vec<Outcome>) -> Self {
        Self { scenarios }
    }

    /// Writes it as JSON.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self).context("encode the report")?;
        fs::write(path, json).with_context(|| format!("write {}", path.display()))
    }

    /// A table, with times in milliseconds.
    pub(super) fn table(&self) -> String {
        let mut table = format!(
            "{:<20} {:<16} {:>8} {:>8} {:>5} {:>10} {:>11} {:>9} {:>7} {:>8}\n",
            "scenario",
            "client",
            "sent",
            "received",
            "lost",
            "duplicates",
            "send errors",
            "overtaken",
            "gap ms",
            "lane gap"
        );
        for outcome in &self.scenarios {
            for row in &outcome.clients {
                let it = &row.account;
                writeln!(
                    table,
                    "{:<20} {:<16} {:>8} {:>8} {:>5} {:>10} {:>11} {:>9} {:>7} {:>8}",
                    outcome.scenario,
                    row.client,
                    it.acknowledged,
                    it.received,
                    it.lost,
                    it.duplicates,
                    it.send_errors,
                    it.overtaken,
                    it.gap_ms,
                    it.lane_gap_ms
                )
                .expect("a string takes everything");
            }
            writeln!(
                table,
                "{:<20} update {:.1} s of {:.1} s",
                outcome.scenario, outcome.update_seconds, outcome.seconds
            )
            .expect("a string takes everything");
        }
        table
    }

    /// Fails if anything is not as it must be.
    pub(super) fn verdict(&self) -> Result<()> {
        let problems: Vec<String> = self.scenarios.iter().flat_map(Outcome::problems).collect();
        if !problems.is_empty() {
            bail!("{}", problems.join("\n"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(ordered: bool, account: Account) -> usize {
        let client = "client";
        let row = Row {
            client,
            ordered,
            account,
        };
        row.problems().len()
    }

    #[test]
    fn what_must_not_be_is_a_problem_and_what_may_be_is_none() {
        let good = Account {
            acknowledged: 9,
            duplicates: 3,
            lane_gap_ms: ORDERED_GAP_MS_MAX,
            ..Account::default()
        };
        let lost = Account {
            lost: 1,
            ..good.clone()
        };
        let failed = Account {
            send_errors: 1,
            ..good.clone()
        };
        let overtaken = Account {
            overtaken: 1,
            ..good.clone()
        };
        let late = Account {
            lane_gap_ms: ORDERED_GAP_MS_MAX + 1,
            ..good.clone()
        };
        let cases = [good, lost, failed, overtaken, late, Account::default()];
        // A group waits for its own node, and messages without one have no order.
        assert_eq!(
            cases.clone().map(|it| problems(false, it)),
            [0, 1, 1, 0, 0, 1]
        );
        assert_eq!(cases.map(|it| problems(true, it)), [0, 1, 0, 1, 1, 1]);
    }
}
