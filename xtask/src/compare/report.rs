//! The result: medians and spread of both sides, their ratios, and which targets are met.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::disk;
use super::load::Sample;
use super::scenario::{Metric, Scenario, Target};
use super::server::{Programs, Side};

/// Everything that was measured, by scenario and side.
pub(super) type Samples = BTreeMap<(&'static str, Side), Vec<Sample>>;

/// The result of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Where it ran.
    processors: String,
    /// Median time of one write of 64 records with `fdatasync`, in ms.
    disk_write_ms: f64,
    /// What a log could take per second that waits for each such write.
    disk_messages_per_second: f64,
    rows: Vec<Row>,
}

/// One figure of a scenario.
#[derive(Debug, Serialize)]
struct Row {
    scenario: &'static str,
    metric: Metric,
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
    /// What the samples say.
    pub(super) fn of(
        scenarios: &[Scenario],
        samples: &Samples,
        disk_seconds: &[f64],
        programs: &Programs,
    ) -> Self {
        let disk = Spread::of(disk_seconds.to_vec()).map_or(f64::NAN, |spread| spread.median);
        Self {
            processors: programs.processors.text(),
            disk_write_ms: disk * 1e3,
            disk_messages_per_second: disk::RECORDS as f64 / disk,
            rows: scenarios
                .iter()
                .flat_map(|scenario| rows(scenario, samples))
                .collect(),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{}; the disk writes {} records in {:.2} ms, or {:.0} messages/s\n\n",
            self.processors,
            disk::RECORDS,
            self.disk_write_ms,
            self.disk_messages_per_second
        );
        let mut lines = vec![
            [
                "scenario", "figure", "Apache", "Carrack", "ratio", "target", "",
            ]
            .map(str::to_owned),
        ];
        for row in &self.rows {
            lines.push(row.cells());
        }
        let widths: Vec<usize> = (0..lines[0].len())
            .map(|cell| lines.iter().map(|line| line[cell].len()).max().unwrap_or(0))
            .collect();
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
    fn cells(&self) -> [String; 7] {
        let spread = |spread: Option<Spread>| spread.map_or_else(|| "-".to_owned(), Spread::text);
        let mut remark = match self.is_met {
            Some(true) => "met".to_owned(),
            Some(false) => "MISSED".to_owned(),
            None => String::new(),
        };
        if self.failed > 0 {
            write!(remark, " {} failed", self.failed).expect("a string takes everything");
        }
        if self.noise_percent > super::NOISE_PERCENT_MAX {
            write!(remark, " noise {:.0} %", self.noise_percent)
                .expect("a string takes everything");
        }
        [
            self.scenario.to_owned(),
            self.metric.title().to_owned(),
            spread(self.apache),
            spread(self.carrack),
            spread(self.ratio),
            match self.target {
                Some(Target::OneIn(n)) => format!("<= 1/{n} = {:.3}", 1.0 / n),
                Some(Target::Times(n)) => format!(">= {n}"),
                None => String::new(),
            },
            remark.trim().to_owned(),
        ]
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
            Row {
                scenario: scenario.name,
                metric,
                apache: spread(apache, metric),
                carrack: spread(carrack, metric),
                ratio,
                target,
                is_met: target
                    .zip(ratio)
                    .map(|(target, ratio)| target.is_met(ratio.median)),
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
        assert_eq!(rows.len(), 1);
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
    }
}
