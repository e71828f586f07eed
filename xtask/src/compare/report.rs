//! The result: medians and spread of both sides, their ratios, and which targets are met.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::load::Sample;
use super::scenario::{Metric, Scenario, Target};
use super::server::Side;
use super::{Comparison, disk};

/// Everything that was measured, by scenario and side.
pub(super) type Samples = BTreeMap<(&'static str, Side), Vec<Sample>>;

/// What the machine can do by itself, measured in each round.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    /// Time of one write of [`disk::RECORDS`] records with `fdatasync`, in s.
    pub(super) disk_write_seconds: Vec<f64>,
    /// Requests and answers over one connection, as many under way as such a write has records.
    pub(super) loopback_messages_per_second: Vec<f64>,
}

/// The result of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Where it ran.
    processors: String,
    /// What was measured, and for how long.
    size: String,
    /// Whether measurements were kept during which others used the processors: a trial.
    is_noise_allowed: bool,
    /// Median time of one write of 64 records with `fdatasync`, in ms.
    disk_write_ms: f64,
    /// What a log could take per second that waits for each such write.
    disk_messages_per_second: f64,
    /// Median of requests per second over one connection if nothing is done with them.
    loopback_messages_per_second: f64,
    rows: Vec<Row>,
    /// What was left out, as others did not keep still.
    given_up: Vec<String>,
    /// What could not be run, and why.
    failures: Vec<String>,
}

/// One figure of a scenario.
#[derive(Debug, Serialize)]
struct Row {
    scenario: &'static str,
    metric: Metric,
    /// Messages measured per round, on both sides.
    messages: [Option<Spread>; 2],
    apache: Option<Spread>,
    carrack: Option<Spread>,
    /// Carrack's figure through Apache's, round by round.
    ratio: Option<Spread>,
    target: Option<Target>,
    is_met: Option<bool>,
    /// Others used the processors meanwhile, in percent of all; the worst of all rounds.
    noise_percent: f64,
    /// Messages that failed, in all rounds.
    failed: u64,
}

/// Median, least and greatest of some numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
    count: usize,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let (min, max) = (*values.first()?, *values.last()?);
        let upper = values[count / 2];
        let median = if count % 2 == 1 {
            upper
        } else {
            f64::midpoint(values[count / 2 - 1], upper)
        };
        Some(Self {
            median,
            min,
            max,
            count,
        })
    }

    fn text(self) -> String {
        if self.count == 1 {
            return number(self.median);
        }
        format!(
            "{} [{}..{}]",
            number(self.median),
            number(self.min),
            number(self.max)
        )
    }
}

impl Report {
    /// What a comparison has found so far.
    pub(super) fn of(scenarios: &[Scenario], comparison: &Comparison, limits: &Limits) -> Self {
        let median =
            |values: &[f64]| Spread::of(values.to_vec()).map_or(f64::NAN, |spread| spread.median);
        let disk = median(&limits.disk_write_seconds);
        let given_up = comparison.given_up.iter();
        Self {
            processors: comparison.programs.processors.text(),
            size: comparison.size.text(),
            is_noise_allowed: comparison.allow_noise,
            disk_write_ms: disk * 1e3,
            disk_messages_per_second: disk::messages_per_second(disk),
            loopback_messages_per_second: median(&limits.loopback_messages_per_second),
            rows: scenarios
                .iter()
                .flat_map(|scenario| rows(scenario, &comparison.samples))
                .collect(),
            given_up: given_up
                .map(|(round, name, side)| format!("{name} of {side:?} in round {round}"))
                .collect(),
            failures: comparison.failures.clone(),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if self.is_noise_allowed {
            text.push_str("A TRIAL: measurements were kept while others used the processors\n");
        }
        let records = disk::RECORDS;
        writeln!(
            text,
            "{}; {}\nthe disk writes {records} records in {:.2} ms, or {:.0} messages/s; \
             loopback answers {:.0} requests/s, {records} at a time\n",
            self.processors,
            self.size,
            self.disk_write_ms,
            self.disk_messages_per_second,
            self.loopback_messages_per_second,
        )
        .expect("a string takes everything");
        text.push_str(&self.table());
        let judged: Vec<&Row> = self.rows.iter().filter(|r| r.target.is_some()).collect();
        let met = judged.iter().filter(|row| row.is_met == Some(true));
        writeln!(text, "\n{} of {} targets met", met.count(), judged.len())
            .expect("a string takes everything");
        for row in &judged {
            text.push_str(&row.verdict());
        }
        for row in self.rows.iter().filter(|row| row.metric.is_distance()) {
            text.push_str(&row.distance());
        }
        if !self.given_up.is_empty() {
            writeln!(text, "left out, too noisy: {}", self.given_up.join("; "))
                .expect("a string takes everything");
        }
        for failure in &self.failures {
            writeln!(text, "FAILED {failure}").expect("a string takes everything");
        }
        text
    }

    fn table(&self) -> String {
        let head = [
            "scenario", "messages", "figure", "Apache", "Carrack", "ratio", "target", "result",
        ];
        let mut lines = vec![head.map(str::to_owned)];
        for (index, row) in self.rows.iter().enumerate() {
            let before = index
                .checked_sub(1)
                .map(|before| self.rows[before].scenario);
            lines.push(row.cells(before != Some(row.scenario)));
        }
        let widths: Vec<usize> = (0..lines[0].len())
            .map(|cell| lines.iter().map(|line| line[cell].len()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for line in &lines {
            let mut cells = String::new();
            for (cell, width) in line.iter().zip(&widths) {
                write!(cells, "{cell:<width$}  ").expect("a string takes everything");
            }
            text.push_str(cells.trim_end());
            text.push('\n');
        }
        text
    }
}

impl Row {
    /// Whether its target is met, on a line of its own.
    fn verdict(&self) -> String {
        let word = match self.is_met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "not measured",
        };
        let (scenario, figure) = (self.scenario, self.metric.title());
        let (value, of) = match self.target {
            Some(Target::AtLeast(_)) | None => (self.carrack, "Carrack"),
            Some(Target::OneIn(_) | Target::Times(_)) => (self.ratio, "ratio"),
        };
        let value = value.map_or_else(|| "-".to_owned(), Spread::text);
        let wanted = self.target.map(Target::text).unwrap_or_default();
        format!("{word:<12}  {scenario} {figure}: {of} {value}, wanted {wanted}\n")
    }

    /// How far both are from what the machine can do by itself.
    fn distance(&self) -> String {
        let percent = |spread: Option<Spread>| {
            spread.map_or_else(|| "-".to_owned(), |s| number(s.median * 100.0) + " %")
        };
        let (scenario, figure) = (self.scenario, self.metric.title());
        let (apache, carrack) = (percent(self.apache), percent(self.carrack));
        format!("distance      {scenario} {figure}: Carrack {carrack}, Apache {apache}\n")
    }

    /// Its cells; a scenario is named in the first of its rows.
    fn cells(&self, is_first: bool) -> [String; 8] {
        let spread = |spread: Option<Spread>| spread.map_or_else(|| "-".to_owned(), Spread::text);
        let count = |spread: Option<Spread>| {
            spread.map_or_else(|| "-".to_owned(), |spread| thousands(spread.median))
        };
        let [of_apache, of_carrack] = self.messages;
        let mut result = match (self.target, self.is_met) {
            (_, Some(true)) => "met".to_owned(),
            (_, Some(false)) => "MISSED".to_owned(),
            (Some(_), None) => "not measured".to_owned(),
            (None, None) => String::new(),
        };
        if self.failed > 0 {
            write!(result, " {} failed", self.failed).expect("a string takes everything");
        }
        if self.noise_percent > super::NOISE_PERCENT_MAX {
            write!(result, " noise {:.0} %", self.noise_percent)
                .expect("a string takes everything");
        }
        let once = |text: String| if is_first { text } else { String::new() };
        [
            once(self.scenario.to_owned()),
            once(match (of_apache, of_carrack) {
                (None, None) => String::new(),
                _ => format!("{} / {}", count(of_apache), count(of_carrack)),
            }),
            self.metric.title().to_owned(),
            spread(self.apache),
            spread(self.carrack),
            spread(self.ratio),
            self.target.map(Target::text).unwrap_or_default(),
            result.trim().to_owned(),
        ]
    }
}

/// A number of messages.
fn thousands(count: f64) -> String {
    if count >= 10_000.0 {
        format!("{:.0}k", count / 1e3)
    } else {
        format!("{count:.0}")
    }
}

fn rows(scenario: &Scenario, samples: &Samples) -> Vec<Row> {
    let of_side = |side| {
        samples
            .get(&(scenario.name, side))
            .map_or(&[][..], Vec::as_slice)
    };
    let (apache, carrack) = (of_side(Side::Apache), of_side(Side::Carrack));
    let mut metrics: Vec<Metric> = apache
        .iter()
        .chain(carrack)
        .flat_map(|sample| sample.figures.keys().copied())
        .collect();
    // What was wanted and not measured is seen as such.
    metrics.extend(scenario.targets.iter().map(|(metric, _)| *metric));
    metrics.sort();
    metrics.dedup();
    metrics
        .into_iter()
        .map(|metric| {
            let ratios = carrack.iter().filter_map(|sample| {
                let other = apache.iter().find(|other| other.round == sample.round)?;
                let (value, other) = (sample.figures.get(&metric)?, other.figures.get(&metric)?);
                (*other > 0.0).then(|| value / other)
            });
            let ratio = Spread::of(ratios.collect());
            let target = scenario
                .targets
                .iter()
                .find(|(of, _)| *of == metric)
                .map(|(_, target)| *target);
            let all = || apache.iter().chain(carrack);
            let (of_apache, of_carrack) = (spread(apache, metric), spread(carrack, metric));
            let median = |spread: Option<Spread>| spread.map(|spread| spread.median);
            Row {
                scenario: scenario.name,
                metric,
                messages: [messages(apache), messages(carrack)],
                apache: of_apache,
                carrack: of_carrack,
                ratio,
                target,
                is_met: target.and_then(|target| target.is_met(median(of_carrack), median(ratio))),
                noise_percent: all().map(|s| s.noise_percent).fold(0.0, f64::max),
                failed: all().map(|s| s.failed).sum(),
            }
        })
        .collect()
}

fn spread(samples: &[Sample], metric: Metric) -> Option<Spread> {
    let values = samples
        .iter()
        .filter_map(|s| s.figures.get(&metric).copied());
    Spread::of(values.collect())
}

/// Messages measured, where a scenario has any.
fn messages(samples: &[Sample]) -> Option<Spread> {
    let counts = samples.iter().map(|sample| sample.messages as f64);
    Spread::of(counts.filter(|count| *count > 0.0).collect())
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::scenario::SCENARIOS;

    fn sample(round: u32, cpu: f64) -> Sample {
        Sample {
            figures: BTreeMap::from([(Metric::CpuSeconds, cpu)]),
            round,
            ..Sample::default()
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let scenario = SCENARIOS.iter().find(|s| s.name == "send-64").unwrap();
        // The machine was twice as slow in round 1; Apache has no round 2.
        let samples = Samples::from([
            (
                ("send-64", Side::Apache),
                vec![sample(0, 30.0), sample(1, 60.0)],
            ),
            (
                ("send-64", Side::Carrack),
                vec![sample(0, 3.0), sample(1, 6.0), sample(2, 50.0)],
            ),
        ]);
        let rows = rows(scenario, &samples);
        let ratio = rows[0].ratio.unwrap();
        assert_eq!((ratio.min, ratio.max, ratio.count), (0.1, 0.1, 2));
        assert_eq!(rows[0].is_met, Some(true));
        assert_eq!(rows[0].carrack.unwrap().median, 6.0);
        assert_eq!(rows[0].apache.unwrap().median, 45.0);
    }

    #[test]
    fn a_side_that_was_too_noisy_has_no_ratio() {
        let scenario = SCENARIOS.iter().find(|s| s.name == "send-64").unwrap();
        let samples = Samples::from([(("send-64", Side::Carrack), vec![sample(0, 3.0)])]);
        let rows = rows(scenario, &samples);
        assert_eq!((rows[0].ratio, rows[0].is_met), (None, None));
        assert_eq!(rows[0].cells(true)[7], "not measured");
    }

    #[test]
    fn a_figure_can_be_judged_by_itself() {
        let scenario = SCENARIOS.iter().find(|s| s.name == "sync-send-64").unwrap();
        let share = |value| Sample {
            figures: BTreeMap::from([(Metric::DiskShare, value)]),
            messages: 12_345,
            ..Sample::default()
        };
        let samples = Samples::from([
            (("sync-send-64", Side::Apache), vec![share(0.1)]),
            (("sync-send-64", Side::Carrack), vec![share(0.75)]),
        ]);
        let rows = rows(scenario, &samples);
        let row = rows.iter().find(|row| row.metric == Metric::DiskShare);
        let cells = row.unwrap().cells(true);
        assert_eq!(cells[1], "12k / 12k");
        assert_eq!(&cells[6..], ["Carrack >= 0.8", "MISSED"]);
        assert_eq!(
            row.unwrap().verdict(),
            "MISSED        sync-send-64 of disk: Carrack 0.750, wanted Carrack >= 0.8\n"
        );
        assert_eq!(
            row.unwrap().distance(),
            "distance      sync-send-64 of disk: Carrack 75.0 %, Apache 10.0 %\n"
        );
    }
}
