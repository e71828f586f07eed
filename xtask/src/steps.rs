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
    done: Vec<(&'static str, Duration, End)>,
    tests: TestCount,
    /// The step to begin with, until it comes.
    from: Option<String>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Passed,
    Failed,
    /// It comes before the one to begin with.
    LeftOut,
}

/// What test runners said at their end, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestCount {
    passed: u64,
    failed: u64,
}

impl Steps {
    /// No step yet. Those before `from` will be left out.
    pub(crate) fn new(from: Option<&str>) -> Self {
        Self {
            root: workspace::root(),
            watch: Stopwatch::start(),
            done: Vec::new(),
            tests: TestCount::default(),
            from: from.map(str::to_owned),
        }
    }

    /// Fails if there was no step of the name to begin with.
    pub(crate) fn check_begun(&self) -> Result<()> {
        if let Some(from) = &self.from {
            let names: Vec<&str> = self.done.iter().map(|(name, ..)| *name).collect();
            bail!("no step `{from}`, expected one of {}", names.join(", "));
        }
        Ok(())
    }

    /// Whether a step comes before the one to begin with.
    fn leaves_out(&mut self, name: &'static str) -> bool {
        if self.from.as_deref().is_none_or(|from| from == name) {
            self.from = None;
            return false;
        }
        self.done.push((name, Duration::ZERO, End::LeftOut));
        true
    }

    /// Runs a step of our own.
    pub(crate) fn run(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if self.leaves_out(name) {
            return Ok(());
        }
        println!("\n==> {name}");
        let watch = Stopwatch::start();
        let result = step();
        let end = match result {
            Ok(()) => End::Passed,
            Err(_) => End::Failed,
        };
        self.note(name, watch.elapsed(), end);
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
        self.counted(name, |count| run_tests(command, count))
    }

    /// Counts a step as a test: the crash tests and the like have no runner that counts.
    pub(crate) fn test(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        self.counted(name, |count| {
            let result = step();
            match result {
                Ok(()) => count.passed += 1,
                Err(_) => count.failed += 1,
            }
            result
        })
    }

    /// Runs a step that counts tests.
    fn counted(
        &mut self,
        name: &'static str,
        step: impl FnOnce(&mut TestCount) -> Result<()>,
    ) -> Result<()> {
        let mut count = TestCount::default();
        let result = self.run(name, || step(&mut count));
        self.tests.passed += count.passed;
        self.tests.failed += count.failed;
        result
    }

    /// Prints what took how long, and how many tests there were on a line of its own.
    pub(crate) fn report(&self) {
        println!("\n{}", self.table());
        println!("{} passed, {} failed", self.tests.passed, self.tests.failed);
    }

    fn note(&mut self, name: &'static str, took: Duration, end: End) {
        println!("<== {name}: {} after {}", end.word(), seconds(took));
        self.done.push((name, took, end));
    }

    fn table(&self) -> String {
        let mut table = String::new();
        for (name, took, end) in &self.done {
            writeln!(table, "{name:<22} {:>9}  {}", seconds(*took), end.word())
                .expect("a string takes everything");
        }
        let total = seconds(self.watch.elapsed());
        write!(table, "{:<22} {total:>9}", "total").expect("a string takes everything");
        table
    }
}

impl End {
    fn word(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed => "FAILED",
            Self::LeftOut => "left out",
        }
    }
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
        let mut steps = Steps::new(None);
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

    #[test]
    fn steps_before_the_one_to_begin_with_are_left_out() {
        let mut steps = Steps::new(Some("third"));
        let mut never = Command::new("false");
        steps.program("first", &mut never).expect("left out");
        steps
            .test("second", || bail!("broken"))
            .expect("left out too");
        assert!(steps.check_begun().is_err());
        steps.test("third", || Ok(())).expect("it is fine");
        steps.check_begun().expect("it has begun");
        assert!(steps.run("fourth", || bail!("broken")).is_err());
        let ends: Vec<End> = steps.done.iter().map(|(.., end)| *end).collect();
        let expected = [End::LeftOut, End::LeftOut, End::Passed, End::Failed];
        assert_eq!(ends, expected);
        assert_eq!(steps.tests.passed, 1);
    }
}
