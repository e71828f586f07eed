//! A list of steps that run one after the other, each timed, with a table at the end.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::conformance::deadline::Stopwatch;
use crate::workspace;

/// Steps done so far, and the tests that test runners counted in them.
pub(crate) struct Steps {
    root: PathBuf,
    watch: Stopwatch,
    done: Vec<(&'static str, Duration, bool)>,
    tests: TestCount,
}

/// What test runners said at their end, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestCount {
    passed: u64,
    failed: u64,
}

impl Steps {
    /// No step yet.
    pub(crate) fn new() -> Self {
        Self {
            root: workspace::root(),
            watch: Stopwatch::start(),
            done: Vec::new(),
            tests: TestCount::default(),
        }
    }

    /// Runs a step of our own.
    pub(crate) fn run(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        println!("\n==> {name}");
        let watch = Stopwatch::start();
        let result = step();
        self.note(name, watch.elapsed(), result.is_ok());
        result.with_context(|| format!("step {name}"))
    }

    /// Runs a program.
    pub(crate) fn program(&mut self, name: &'static str, command: &mut Command) -> Result<()> {
        command.current_dir(&self.root).stdin(Stdio::null());
        self.run(name, || run_program(command))
    }

    /// Runs a test program and counts its tests. One that ran no test has failed.
    pub(crate) fn tests(&mut self, name: &'static str, command: &mut Command) -> Result<()> {
        command.current_dir(&self.root).stdin(Stdio::null());
        let mut count = TestCount::default();
        let result = self.run(name, || run_tests(command, &mut count));
        self.tests.passed += count.passed;
        self.tests.failed += count.failed;
        result
    }

    /// Counts a step as a test: the crash tests and the like have no runner that counts.
    pub(crate) fn test(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let result = self.run(name, step);
        match result {
            Ok(()) => self.tests.passed += 1,
            Err(_) => self.tests.failed += 1,
        }
        result
    }

    /// Prints what took how long, and how many tests there were on a line of its own.
    pub(crate) fn report(&self) {
        println!("\n{}", self.table());
        println!("{} passed, {} failed", self.tests.passed, self.tests.failed);
    }

    fn note(&mut self, name: &'static str, took: Duration, passed: bool) {
        println!("<== {name}: {} after {}", word(passed), seconds(took));
        self.done.push((name, took, passed));
    }

    fn table(&self) -> String {
        let mut table = String::new();
        for (name, took, passed) in &self.done {
            writeln!(table, "{name:<22} {:>9}  {}", seconds(*took), word(*passed))
                .expect("a string takes everything");
        }
        let total = seconds(self.watch.elapsed());
        write!(table, "{:<22} {total:>9}", "total").expect("a string takes everything");
        table
    }
}

fn word(passed: bool) -> &'static str {
    if passed { "ok" } else { "FAILED" }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn run_program(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

fn run_tests(command: &mut Command, count: &mut TestCount) -> Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {command:?}"))?;
    let output = child.stdout.take().context("output of the tests")?;
    for line in BufReader::new(output).lines() {
        let line = line.context("read the output of the tests")?;
        println!("{line}");
        count.add(&line);
    }
    let status = child.wait().context("wait for the tests")?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    if count.passed == 0 {
        bail!("{command:?} ran no test");
    }
    Ok(())
}

impl TestCount {
    /// Adds a closing line such as `test result: ok. 3 passed; 0 failed; ...`.
    fn add(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        let numbers = rest.split_once(". ").map_or(rest, |(_, numbers)| numbers);
        for part in numbers.split("; ") {
            match part.split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_added_up() {
        let mut count = TestCount::default();
        count.add("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        count.add("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured");
        count.add("test passed; 5 passed");
        assert_eq!(
            count,
            TestCount {
                passed: 7,
                failed: 2
            }
        );
    }

    #[test]
    fn failed_programs_and_runs_without_tests_fail_the_step() {
        let mut steps = Steps::new();
        steps
            .program("true", &mut Command::new("true"))
            .expect("true succeeds");
        assert!(steps.program("false", &mut Command::new("false")).is_err());
        assert!(steps.tests("none", &mut Command::new("true")).is_err());
        let line = "test result: ok. 1 passed; 0 failed;";
        steps
            .tests("one", Command::new("echo").arg(line))
            .expect("one test");
        assert!(steps.test("own", || bail!("broken")).is_err());
        assert_eq!(
            steps.tests,
            TestCount {
                passed: 1,
                failed: 1
            }
        );
        let table = steps.table();
        assert_eq!(table.matches("FAILED").count(), 3, "{table}");
    }
}
