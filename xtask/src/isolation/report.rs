//! All runs, and what they mean.

use serde::Serialize;

use super::load::{Protocol, Run};
use super::tenants::SEND_TPS;
use super::{NOISE_PERCENT_MAX, RATIO_MAX};

/// The flooder must get this part of its quota at least: it is limited, not shut out.
const SHARE_MIN: f64 = 0.5;

/// A budget is of seconds of the clock, of which a run begins and ends in the middle: so much of a
/// quota may come on top.
const SHARE_MAX: f64 = 1.25;

/// The flood must be so many times the quota at least to be one.
const FLOOD_MIN: f64 = 8.0;

/// The result.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    protocols: Vec<Verdict>,
    runs: Vec<Run>,
}

/// What the runs of one protocol say.
#[derive(Debug, Serialize)]
struct Verdict {
    protocol: Protocol,
    rounds: usize,
    send: Growth,
    receive: Growth,
    flood: FloodMedian,
    /// The most that others used the processors in a run.
    noise_percent_max: f64,
}

/// Medians of a p99 in ms, and by how much it grows.
#[derive(Clone, Copy, Debug, Serialize)]
struct Growth {
    alone_ms: f64,
    flooded_ms: f64,
    ratio: f64,
}

/// Medians of what the flooder did and got in a second.
#[derive(Clone, Copy, Debug, Serialize)]
struct FloodMedian {
    sent: f64,
    confirmed: f64,
    throttled: f64,
}

impl Report {
    /// What these runs say.
    pub(super) fn of(runs: Vec<Run>) -> Self {
        let mut protocols: Vec<Protocol> = runs.iter().map(|run| run.protocol).collect();
        protocols.dedup();
        let of_protocol = |protocol| {
            let runs: Vec<&Run> = runs.iter().filter(|run| run.protocol == protocol).collect();
            Verdict::of(protocol, &runs)
        };
        Self {
            protocols: protocols.into_iter().map(of_protocol).collect(),
            runs,
        }
    }

    /// What contradicts that tenants are isolated; with `ratio` also that a p99 grows too much.
    pub(super) fn faults(&self, ratio: bool) -> Vec<String> {
        let mut faults: Vec<String> = self.runs.iter().flat_map(faults_of).collect();
        for verdict in self.protocols.iter().filter(|_| ratio) {
            for (what, growth) in [("sends", verdict.send), ("deliveries", verdict.receive)] {
                if growth.ratio > RATIO_MAX {
                    faults.push(format!(
                        "p99 of {what} over {} is {:.2} times that of the victim alone, expected \
                         {RATIO_MAX} at most",
                        verdict.protocol.name(),
                        growth.ratio
                    ));
                }
            }
        }
        faults
    }

    /// The result, for people.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{:<9} {:>6} {:>24} {:>24} {:>8} {:>9} {:>9}\n",
            "protocol", "rounds", "send p99, ms", "receive p99, ms", "flood/s", "taken/s", "noise"
        );
        for verdict in &self.protocols {
            let noise = verdict.noise_percent_max;
            let mark = if noise > NOISE_PERCENT_MAX { " !" } else { "" };
            text.push_str(&format!(
                "{:<9} {:>6} {:>24} {:>24} {:>8.0} {:>9.0} {:>9}\n",
                verdict.protocol.name(),
                verdict.rounds,
                verdict.send.text(),
                verdict.receive.text(),
                verdict.flood.sent,
                verdict.flood.confirmed,
                format!("{noise:.0} %{mark}"),
            ));
        }
        text
    }
}

impl Verdict {
    fn of(protocol: Protocol, runs: &[&Run]) -> Self {
        let floods = || runs.iter().filter_map(|run| run.flood.as_ref());
        let noise = runs.iter().map(|run| run.noise_percent);
        Self {
            protocol,
            rounds: floods().count(),
            send: Growth::of(runs, |run| run.send_p99_ms),
            receive: Growth::of(runs, |run| run.receive_p99_ms),
            flood: FloodMedian {
                sent: median(floods().map(|flood| flood.sent).collect()),
                confirmed: median(floods().map(|flood| flood.confirmed).collect()),
                throttled: median(floods().map(|flood| flood.throttled).collect()),
            },
            noise_percent_max: noise.fold(0.0, f64::max),
        }
    }
}

impl Growth {
    fn of(runs: &[&Run], p99: impl Fn(&Run) -> f64) -> Self {
        let median_of = |is_flooded: bool| {
            let runs = runs.iter().filter(|run| run.flood.is_some() == is_flooded);
            median(runs.map(|run| p99(run)).collect())
        };
        let (alone_ms, flooded_ms) = (median_of(false), median_of(true));
        Self {
            alone_ms,
            flooded_ms,
            ratio: flooded_ms / alone_ms.max(0.001),
        }
    }

    fn text(self) -> String {
        format!(
            "{:.2} -> {:.2} (x{:.2})",
            self.alone_ms, self.flooded_ms, self.ratio
        )
    }
}

/// What no machine excuses.
fn faults_of(run: &Run) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |what: String| {
        faults.push(format!(
            "round {} {}: {what}",
            run.round,
            run.protocol.name()
        ));
    };
    if run.lost > 0 || run.confirmed == 0 {
        fault(format!(
            "the victim lost {} messages of {}: {:?}",
            run.lost, run.confirmed, run.failures
        ));
    }
    let Some(flood) = &run.flood else {
        return faults;
    };
    if !(SEND_TPS * SHARE_MIN..=SEND_TPS * SHARE_MAX).contains(&flood.confirmed) {
        fault(format!(
            "{:.0} messages a second were taken from the flooder, expected about {SEND_TPS}",
            flood.confirmed
        ));
    }
    if flood.wanted < SEND_TPS * FLOOD_MIN || flood.throttled <= 0.0 {
        fault(format!(
            "a flood of {:.0} messages a second of which {:.0} are throttled is none",
            flood.wanted, flood.throttled
        ));
    }
    if !flood.failures.is_empty() {
        fault(format!("the flooder is told {:?}", flood.failures));
    }
    faults
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::Flood;
    use super::*;

    fn run(p99_ms: f64, flood: Option<f64>) -> Run {
        Run {
            protocol: Protocol::Remoting,
            round: 0,
            send_p99_ms: p99_ms,
            receive_p99_ms: 1.0,
            confirmed: 5_000,
            lost: 0,
            failures: Vec::new(),
            flood: flood.map(|confirmed| Flood {
                wanted: 10_000.0,
                sent: 10_000.0,
                confirmed,
                throttled: 9_000.0,
                failures: Vec::new(),
            }),
            server_cpu_seconds: 0.1,
            noise_percent: 0.0,
        }
    }

    #[test]
    fn the_medians_of_all_runs_are_compared() {
        let flooded = [1.5, 1.6, 9.0].map(|p99_ms| run(p99_ms, Some(1_000.0)));
        let alone = [0.5, 1.0, 1.2].map(|p99_ms| run(p99_ms, None));
        let report = Report::of(flooded.into_iter().chain(alone).collect());
        assert_eq!(report.protocols[0].send.ratio, 1.6);
        assert_eq!(report.faults(true), Vec::<String>::new());
        let report = Report::of(vec![run(1.0, None), run(2.1, Some(1_000.0))]);
        assert!(report.faults(true)[0].contains("p99 of sends over remoting is 2.10 times"));
        assert_eq!(report.faults(false), Vec::<String>::new());
    }

    #[test]
    fn tenants_get_their_own_and_no_more() {
        let fault = |run: Run| Report::of(vec![run]).faults(false).join(" ");
        assert!(fault(run(1.0, Some(2_000.0))).contains("2000 messages a second were taken"));
        assert!(fault(run(1.0, Some(100.0))).contains("100 messages a second were taken"));
        let lost = Run {
            lost: 1,
            ..run(1.0, None)
        };
        assert!(fault(lost).contains("the victim lost 1 messages"));
        let mut no_flood = run(1.0, Some(1_000.0));
        no_flood.flood = no_flood.flood.map(|flood| Flood {
            throttled: 0.0,
            ..flood
        });
        assert!(fault(no_flood).contains("is none"));
    }
}
