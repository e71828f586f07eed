//! How long a run takes: expected before, and what is left of it while it goes on.

use std::time::Duration;

use super::load::Size;
use super::scenario::{Load, Reading, Scenario, Setup};
use super::server::Side;
use crate::conformance::deadline::Stopwatch;

/// What is to be done, what of it is done, and since when.
pub(super) struct Schedule {
    size: Size,
    /// Seconds of everything, as expected.
    all: f64,
    done: f64,
    watch: Stopwatch,
}

impl Schedule {
    /// A run of `rounds` that starts now.
    pub(super) fn of(scenarios: &[Scenario], size: Size, rounds: u32) -> Self {
        let round: f64 = Setup::ALL
            .into_iter()
            .map(|setup| {
                let of_setup = scenarios.iter().filter(|s| s.setup == setup);
                let of_setup: Vec<&Scenario> = of_setup.collect();
                let boot = |side| if of_setup.is_empty() { 0.0 } else { boot(side) };
                let is_warmed = of_setup.iter().any(|s| s.load.needs_warm_server());
                let warm_up = f64::from(u8::from(is_warmed)) * size.warm_up_server.as_secs_f64();
                let of_side = |side| -> f64 {
                    let loads = of_setup.iter().map(|s| seconds(s.load, side, &size));
                    boot(side) + warm_up + loads.sum::<f64>()
                };
                of_side(Side::Apache) + of_side(Side::Carrack)
            })
            .sum();
        Self {
            size,
            all: round * f64::from(rounds),
            done: 0.0,
            watch: Stopwatch::start(),
        }
    }

    /// A server is up and warm.
    pub(super) fn has_started(&mut self, side: Side, is_warmed: bool) {
        self.done += boot(side);
        if is_warmed {
            self.done += self.size.warm_up_server.as_secs_f64();
        }
    }

    /// A scenario was measured.
    pub(super) fn has_measured(&mut self, load: Load, side: Side) {
        self.done += seconds(load, side, &self.size);
    }

    /// How long all of it should take on a machine that nobody else uses.
    pub(super) fn expected(&self) -> String {
        format!("{:.0} min", (self.all / 60.0).ceil())
    }

    /// How far it is. What is left is expected to be as slow, or as quick, as what is done.
    pub(super) fn progress(&self) -> String {
        let share = (self.done / self.all).min(1.0);
        let left = left(self.watch.elapsed(), share, self.all);
        format!("[{:>3.0} %, {:.0} min left]", share * 100.0, left / 60.0)
    }
}

/// Seconds left after `elapsed` for `share` of what should take `all`.
fn left(elapsed: Duration, share: f64, all: f64) -> f64 {
    // The first few say little of the others.
    let pace = if share > 0.05 {
        elapsed.as_secs_f64() / (share * all)
    } else {
        1.0
    };
    (1.0 - share) * all * pace
}

/// Seconds that a start takes, about.
fn boot(side: Side) -> f64 {
    match side {
        Side::Apache => 10.0,
        Side::Carrack => 0.5,
    }
}

/// Seconds that a scenario takes, about: found on two processors.
fn seconds(load: Load, side: Side, size: &Size) -> f64 {
    let is_apache = side == Side::Apache;
    let either = |apache: f64, carrack: f64| if is_apache { apache } else { carrack };
    // Messages at so many microseconds each.
    let messages = |count: u64, us: f64| count as f64 * us / 1e6;
    let store = |count| messages(count, either(40.0, 15.0));
    match load {
        Load::Start => 0.0,
        Load::Idle => size.idle.as_secs_f64(),
        Load::Send(sending) => {
            let topics = messages(sending.topics as u64, either(1_500.0, 500.0));
            1.0 + topics + (size.warm_up + size.measured).as_secs_f64()
        }
        Load::SendAtShare { .. } => 1.0 + (size.warm_up + size.measured).as_secs_f64(),
        Load::Consume(Reading::Pull) => {
            store(size.pulled) + 2.0 * messages(size.pulled, either(12.0, 6.0)) + 1.0
        }
        Load::Consume(Reading::Pop) => {
            store(size.acknowledged) + 2.0 * messages(size.acknowledged, either(100.0, 20.0)) + 3.0
        }
        Load::Consume(Reading::Receive) => {
            store(size.acknowledged) + 2.0 * messages(size.acknowledged, either(160.0, 25.0)) + 3.0
        }
        Load::ColdQueue { .. } => {
            messages(size.interleaved, either(90.0, 15.0)) + either(25.0, 2.0)
        }
        Load::Connections(count) => 13.0 + messages(count as u64, either(500.0, 200.0)),
        Load::Restart => boot(side),
        // At 64 KiB each.
        Load::RestartLarge => boot(side) + messages(size.stored_large, either(700.0, 500.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{Preset, chosen};
    use super::*;

    #[test]
    fn the_headline_fits_into_25_minutes() {
        let scenarios = chosen(&[], Preset::Headline).unwrap();
        let schedule = Schedule::of(&scenarios, Size::of(Preset::Headline), 3);
        assert!(schedule.all < 22.0 * 60.0, "{} s", schedule.all);
    }

    #[test]
    fn everything_done_leaves_nothing() {
        let scenarios = chosen(&[], Preset::Full).unwrap();
        let mut schedule = Schedule::of(&scenarios, Size::of(Preset::Full), 1);
        for side in [Side::Apache, Side::Carrack] {
            for setup in Setup::ALL {
                let of_setup = || scenarios.iter().filter(move |s| s.setup == setup);
                schedule.has_started(side, of_setup().any(|s| s.load.needs_warm_server()));
                for scenario in of_setup() {
                    schedule.has_measured(scenario.load, side);
                }
            }
        }
        assert!((schedule.done - schedule.all).abs() < 1e-6);
        assert_eq!(schedule.progress(), "[100 %, 0 min left]");
    }

    #[test]
    fn a_slow_machine_takes_longer() {
        assert_eq!(left(Duration::from_secs(100), 0.25, 200.0), 300.0);
        assert_eq!(left(Duration::from_secs(100), 0.0, 200.0), 200.0);
    }
}
