//! What a run showed: a table for people, `results.json` for programs, `COMPAT.md` for readers of
//! the repository.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::clients::{CLIENTS, Protocol};
use super::openapi::OPENAPI_CLIENTS;
use super::scenarios::{PairResult, SCENARIOS, Scenario};

/// The scenario that all clients run together.
pub(crate) const ACROSS_PROTOCOLS: &str = "across-protocols";

/// Failures whose logs are shown.
const SHOWN_FAILURES: usize = 3;

/// Lines shown of the end of a log.
const SHOWN_LOG_LINES: usize = 15;

/// How one scenario ended.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It showed what it should.
    Passed,
    /// It did not.
    Failed { reason: String },
    /// The client library cannot do what it takes.
    NotApplicable { reason: &'static str },
    /// The server cannot be restarted from here.
    NotRun,
}

/// One line of the results.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    /// The client; of a pair, the sender.
    pub(crate) client: &'static str,
    /// Its consumer; of a pair, the receiving client.
    pub(crate) consumer: &'static str,
    /// The scenario.
    pub(crate) scenario: &'static str,
    /// How it ended.
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    /// Why the first attempt failed, where this is the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_failure: Option<String>,
    /// How long it took.
    pub(crate) milliseconds: u64,
    /// What it measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Line {
    /// The line of one pair of clients.
    pub(crate) fn of_pair(pair: PairResult) -> Self {
        Self {
            client: pair.sender,
            consumer: pair.receiver,
            scenario: ACROSS_PROTOCOLS,
            outcome: pair
                .failure
                .map_or(Outcome::Passed, |reason| Outcome::Failed { reason }),
            first_failure: None,
            milliseconds: 0,
            note: None,
        }
    }

    /// The same, with the time that it took.
    pub(crate) fn took(mut self, time: Duration) -> Self {
        self.milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Whether it counts as a failure of the run.
    pub(crate) fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. })
    }

    /// Why it failed, if it did.
    pub(crate) fn failure(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Failed { reason } => Some(reason.clone()),
            Outcome::Passed | Outcome::NotApplicable { .. } | Outcome::NotRun => None,
        }
    }
}

/// The table that a developer reads.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut text = format!(
        "{:<16} {:<22} {:<16} {:>8}  outcome\n",
        "client", "scenario", "consumer", "seconds"
    );
    for line in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", progress(line));
    }
    text
}

/// One row of the table, as soon as it is known.
pub(crate) fn progress(line: &Line) -> String {
    let outcome = match &line.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed { reason } => &format!("FAILED: {reason}"),
        Outcome::NotApplicable { reason } => &format!("n/a: {reason}"),
        Outcome::NotRun => "not run",
    };
    let seconds = Duration::from_millis(line.milliseconds).as_secs_f64();
    let note = line
        .note
        .as_ref()
        .map_or(String::new(), |note| format!(": {note}"));
    let first = line.first_failure.as_ref().map_or(String::new(), |reason| {
        format!(" at the second attempt; the first: {reason}")
    });
    format!(
        "{:<16} {:<22} {:<16} {seconds:>8.1}  {outcome}{first}{note}",
        line.client, line.scenario, line.consumer
    )
}

/// Every line that took two attempts, whatever came of it: to be looked into.
pub(crate) fn unsteady(lines: &[Line]) -> String {
    let unsteady = lines.iter().filter(|line| line.first_failure.is_some());
    unsteady.fold(String::new(), |text, line| {
        text + "two attempts: " + &progress(line) + "\n"
    })
}

/// What the logs of a case are called.
pub(crate) fn log_name(client: &str, scenario: &str, consumer: &str) -> String {
    format!("{client}-{scenario}-{consumer}")
}

/// Every failed line with the end of what its driver and its server logged: where only the output
/// of a run is kept, this is all there is to go by.
pub(crate) fn failures(lines: &[Line], logs: &Path) -> Result<String> {
    let mut text = String::new();
    for line in lines
        .iter()
        .filter(|line| line.failed())
        .take(SHOWN_FAILURES)
    {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{}", progress(line));
        let administers = OPENAPI_CLIENTS
            .iter()
            .any(|client| client.name == line.client);
        let (driver, server) = if administers {
            (line.client.to_owned(), line.client.to_owned())
        } else if line.scenario == ACROSS_PROTOCOLS {
            (
                format!("{ACROSS_PROTOCOLS}-{}", line.consumer),
                ACROSS_PROTOCOLS.to_owned(),
            )
        } else {
            let name = log_name(line.client, line.scenario, line.consumer);
            (name.clone(), name)
        };
        for name in [format!("{driver}.log"), format!("{server}-server.log")] {
            let path = logs.join(&name);
            if path.exists() {
                let log = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
                let log = String::from_utf8_lossy(&log);
                let skipped = log.lines().count().saturating_sub(SHOWN_LOG_LINES);
                let _ = writeln!(text, "--- the end of {name}");
                for line in log.lines().skip(skipped) {
                    let _ = writeln!(text, "{line}");
                }
            }
        }
    }
    Ok(text)
}

/// Writes the results as JSON.
pub(crate) fn write_results(path: &Path, lines: &[Line]) -> Result<()> {
    let text = serde_json::to_string_pretty(lines).context("encode the results")?;
    fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
}

/// The text of `COMPAT.md`: the same results give the same text.
pub(crate) fn compat(lines: &[Line]) -> String {
    let mut text = String::from(
        "# Compatibility\n\n\
         Generated by `cargo xtask conformance --write-compat` from a run of released, unmodified clients against the\n\
         built binary. Do not edit. The scenarios are in `xtask/src/conformance/scenarios/`, the drivers in\n\
         `conformance/`.\n\n\
         ## Scenarios\n\n",
    );
    for scenario in SCENARIOS {
        let _ = writeln!(text, "- **{}**: {}.", scenario.name, scenario.shows);
    }
    let _ = writeln!(
        text,
        "- **{ACROSS_PROTOCOLS}**: tags, keys, properties and body arrive intact from every client at every client."
    );
    text.push_str(
        "\n`-`: the scenario is about another kind of consumer. n/a: the client cannot do it, for the reason below.\n",
    );
    clients(&mut text, "Remoting clients", Protocol::Remoting, lines);
    clients(&mut text, "gRPC clients", Protocol::Grpc, lines);
    clients(&mut text, "gRPC v1 clients", Protocol::GrpcV1, lines);
    clients(&mut text, "ONS HTTP clients", Protocol::OnsHttp, lines);
    openapi_clients(&mut text, lines);
    text.push_str("\n## Across protocols\n\n| sent by \\ received by |");
    for client in CLIENTS {
        let _ = write!(text, " {} |", client.name);
    }
    text.push_str("\n| --- |");
    text.push_str(&" --- |".repeat(CLIENTS.len()));
    text.push('\n');
    for sender in CLIENTS {
        let _ = write!(text, "| {} |", sender.name);
        for receiver in CLIENTS {
            let _ = write!(
                text,
                " {} |",
                cell(lines, sender.name, receiver.name, ACROSS_PROTOCOLS)
            );
        }
        text.push('\n');
    }
    text
}

/// The table of the clients of one protocol, and why they cannot do what they cannot.
fn clients(text: &mut String, title: &str, protocol: Protocol, lines: &[Line]) {
    let clients = || CLIENTS.iter().filter(|client| client.protocol == protocol);
    let asked = |scenario: &Scenario| {
        clients().any(|client| {
            let mut kinds = client.consumers.iter();
            kinds.any(|kind| scenario.asks(client, *kind))
        })
    };
    let scenarios: Vec<&Scenario> = SCENARIOS.iter().filter(|one| asked(one)).collect();
    // Writing to a string cannot fail.
    let _ = write!(text, "\n## {title}\n\n| client | consumer |");
    for scenario in &scenarios {
        let _ = write!(text, " {} |", scenario.name);
    }
    text.push_str("\n| --- | --- |");
    text.push_str(&" --- |".repeat(scenarios.len()));
    text.push('\n');
    let mut reasons: Vec<&str> = Vec::new();
    for client in clients() {
        for kind in client.consumers {
            let _ = write!(text, "| {} | {} |", client.package, kind.name());
            for scenario in &scenarios {
                let lack = client.lack(*kind, scenario.needs);
                let cell = match lack {
                    _ if !scenario.asks(client, *kind) => "-".to_owned(),
                    Some(reason) => format!("n/a [{}]", note(&mut reasons, reason)),
                    None => cell(lines, client.name, kind.name(), scenario.name).to_owned(),
                };
                let _ = write!(text, " {cell} |");
            }
            text.push('\n');
        }
    }
    for (index, reason) in reasons.iter().enumerate() {
        let _ = write!(text, "\n[{}] {reason}.\n", index + 1);
    }
}

/// The tables of the clients that administer: those with the same checks are in one.
fn openapi_clients(text: &mut String, lines: &[Line]) {
    let mut told: Vec<&str> = Vec::new();
    for first in &OPENAPI_CLIENTS {
        let same = || {
            OPENAPI_CLIENTS
                .iter()
                .filter(|client| client.checks == first.checks)
        };
        if told.contains(&first.name) {
            continue;
        }
        told.extend(same().map(|client| client.name));
        let packages: Vec<&str> = same().map(|client| client.package).collect();
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## OpenAPI clients: {}\n\n", packages.join(", "));
        for (check, shows) in first.checks {
            let _ = writeln!(text, "- **{check}**: {shows}.");
        }
        text.push_str("\n| client |");
        for (check, _) in first.checks {
            let _ = write!(text, " {check} |");
        }
        text.push_str("\n| --- |");
        text.push_str(&" --- |".repeat(first.checks.len()));
        text.push('\n');
        for client in same() {
            let _ = write!(text, "| {} |", client.package);
            for &(check, _) in client.checks {
                let found = lines
                    .iter()
                    .find(|line| (line.client, line.scenario) == (client.name, check));
                let _ = write!(text, " {} |", shown(found));
            }
            text.push('\n');
        }
    }
}

/// The number of a reason, from 1; each is said once.
fn note<'a>(reasons: &mut Vec<&'a str>, reason: &'a str) -> usize {
    let known = reasons.iter().position(|other| *other == reason);
    let index = known.unwrap_or_else(|| {
        reasons.push(reason);
        reasons.len() - 1
    });
    index + 1
}

fn cell(lines: &[Line], client: &str, consumer: &str, scenario: &str) -> &'static str {
    let mut lines = lines.iter();
    shown(
        lines.find(|line| {
            (line.client, line.consumer, line.scenario) == (client, consumer, scenario)
        }),
    )
}

fn shown(line: Option<&Line>) -> &'static str {
    line.map_or("not run", |line| match line.outcome {
        Outcome::Passed => "yes",
        Outcome::Failed { .. } => "**no**",
        Outcome::NotApplicable { .. } | Outcome::NotRun => "not run",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(outcome: Outcome) -> Line {
        Line {
            client: "go",
            consumer: "push",
            scenario: "thousand-messages",
            outcome,
            first_failure: None,
            milliseconds: 1234,
            note: None,
        }
    }

    #[test]
    fn compat_tells_success_from_failure_and_silence() {
        let row = |lines: &[Line]| {
            let text = compat(lines);
            text.lines()
                .find(|row| row.contains("golang") && row.contains("| push |"))
                .expect("row")
                .to_owned()
        };
        assert!(row(&[line(Outcome::Passed)]).contains("| push | yes | not run | not run |"));
        let failed = Outcome::Failed {
            reason: "no".to_owned(),
        };
        assert!(row(&[line(failed)]).contains("| push | **no** | not run | not run |"));
    }

    #[test]
    fn compat_does_not_depend_on_time() {
        let later = line(Outcome::Passed).took(Duration::from_secs(99));
        assert_eq!(compat(&[line(Outcome::Passed)]), compat(&[later]));
    }

    #[test]
    fn the_table_names_the_reason() {
        let text = table(&[line(Outcome::Failed {
            reason: "key `k` is missing".to_owned(),
        })]);
        assert!(text.contains("FAILED: key `k` is missing"), "{text}");
        assert!(text.contains(" 1.2 "), "{text}");
    }
}
