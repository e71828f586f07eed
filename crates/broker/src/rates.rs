//! Rates: what was counted over the last seconds, minutes, hours and since midnight.
//!
//! Nothing measures by itself: whoever asks, and every heartbeat of a client, takes a sample if the
//! last one is old enough. A rate is what came since the newest sample that is at least as old as
//! its window, so it is exact as long as somebody looks or is connected.

use std::{collections::HashMap, sync::Arc, time::Duration};

use base::{GroupName, Timestamp, TopicName};

use crate::{Instance, InstanceMetrics};

/// Time over which a rate is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Ten seconds.
    TenSeconds,
    /// A minute.
    Minute,
    /// Ten minutes.
    TenMinutes,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Window {
    const ALL: [Self; 5] = [
        Self::TenSeconds,
        Self::Minute,
        Self::TenMinutes,
        Self::Hour,
        Self::Day,
    ];

    /// How long it is.
    pub const fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::TenSeconds => 10,
            Self::Minute => 60,
            Self::TenMinutes => 600,
            Self::Hour => 3_600,
            Self::Day => DAY.as_secs(),
        })
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Samples are at least this far apart.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Messages stored in a topic.
    MessagesIn(TopicName),
    /// Bytes stored in a topic.
    BytesIn(TopicName),
    /// Messages of a topic handed out to a group.
    MessagesOut(TopicName, GroupName),
    /// Bytes of a topic handed out to a group.
    BytesOut(TopicName, GroupName),
    /// Messages stored altogether.
    AllMessagesIn,
    /// Messages handed out altogether.
    AllMessagesOut,
    /// Sends refused as a budget was used up.
    ThrottledSends,
    /// Requests for messages refused as a budget was used up.
    ThrottledReceives,
}

/// What came in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// How much.
    pub sum: u64,
    /// How much per second.
    pub per_second: f64,
}

/// How much of a counter came by day, the days beginning at midnight UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Daily {
    /// Since the start of the process.
    pub now: u64,
    /// Up to the start of this day.
    pub this_morning: u64,
    /// Up to the start of the day before.
    pub yesterday_morning: u64,
}

#[derive(Debug, Default)]
struct Sample {
    at: Duration,
    counts: HashMap<Counter, u64>,
}

impl Sample {
    fn count(&self, counter: &Counter) -> u64 {
        self.counts.get(counter).copied().unwrap_or(0)
    }
}

/// The samples of one instance.
#[derive(Debug)]
pub(crate) struct Rates {
    newest: Arc<Sample>,
    /// Of each window: the sample that a rate is taken from, and the one that takes its place once
    /// it is old enough.
    windows: [(Arc<Sample>, Arc<Sample>); 5],
    day: i64,
    this_morning: Arc<Sample>,
    yesterday_morning: Arc<Sample>,
}

impl Rates {
    /// Nothing counted yet, at a time of the monotonic clock and a day.
    pub(crate) fn new(at: Duration, now: Timestamp) -> Self {
        let start = Arc::new(Sample {
            at,
            counts: HashMap::new(),
        });
        Self {
            newest: start.clone(),
            windows: std::array::from_fn(|_| (start.clone(), start.clone())),
            day: day_of(now),
            this_morning: start.clone(),
            yesterday_morning: start,
        }
    }

    fn is_due(&self, at: Duration) -> bool {
        at.saturating_sub(self.newest.at) >= INTERVAL
    }

    fn take(&mut self, at: Duration, now: Timestamp, metrics: &InstanceMetrics) {
        let sample = Arc::new(Sample {
            at,
            counts: counts(metrics),
        });
        let day = day_of(now);
        if day != self.day {
            self.day = day;
            // What was counted at midnight is not known; the last look before it comes closest.
            self.yesterday_morning = std::mem::replace(&mut self.this_morning, self.newest.clone());
        }
        for (window, (base, next)) in Window::ALL.into_iter().zip(&mut self.windows) {
            if at.saturating_sub(next.at) >= window.length() {
                *base = std::mem::replace(next, sample.clone());
            }
        }
        self.newest = sample;
    }

    fn rate(&self, counter: &Counter, window: Window) -> Rate {
        let index = Window::ALL.iter().position(|w| *w == window);
        let (base, _) = &self.windows[index.unwrap_or(0)];
        let sum = self
            .newest
            .count(counter)
            .saturating_sub(base.count(counter));
        let seconds = self.newest.at.saturating_sub(base.at).as_secs_f64();
        let per_second = if seconds > 0.0 {
            sum as f64 / seconds
        } else {
            0.0
        };
        Rate { sum, per_second }
    }

    fn daily(&self, counter: &Counter) -> Daily {
        Daily {
            now: self.newest.count(counter),
            this_morning: self.this_morning.count(counter),
            yesterday_morning: self.yesterday_morning.count(counter),
        }
    }
}

fn day_of(now: Timestamp) -> i64 {
    let day_ms = i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX);
    now.ms().div_euclid(day_ms)
}

/// Everything that is not zero.
fn counts(metrics: &InstanceMetrics) -> HashMap<Counter, u64> {
    let mut counts = HashMap::new();
    let mut add = |counter: Counter, count: u64| {
        if count > 0 {
            *counts.entry(counter).or_insert(0) += count;
        }
    };
    for topic in &metrics.topics {
        add(Counter::MessagesIn(topic.topic.clone()), topic.messages_in);
        add(Counter::BytesIn(topic.topic.clone()), topic.bytes_in);
        add(Counter::AllMessagesIn, topic.messages_in);
    }
    for group in &metrics.groups {
        let pair = || (group.topic.clone(), group.group.clone());
        let (topic, name) = pair();
        add(Counter::MessagesOut(topic, name), group.messages_out);
        let (topic, name) = pair();
        add(Counter::BytesOut(topic, name), group.bytes_out);
        add(Counter::AllMessagesOut, group.messages_out);
    }
    add(Counter::ThrottledSends, metrics.throttled_sends);
    add(Counter::ThrottledReceives, metrics.throttled_receives);
    counts
}

impl Instance {
    /// How much of `counter` came over `window`.
    pub fn rate(&self, counter: &Counter, window: Window) -> Rate {
        self.sample();
        self.rates.lock().rate(counter, window)
    }

    /// How much of `counter` came by day.
    pub fn daily(&self, counter: &Counter) -> Daily {
        self.sample();
        self.rates.lock().daily(counter)
    }

    /// Takes a sample if it is time.
    pub(crate) fn sample(&self) {
        let (at, now) = (self.clock.elapsed(), self.clock.now());
        if !self.rates.lock().is_due(at) {
            return;
        }
        let metrics = self.metrics();
        let mut rates = self.rates.lock();
        if rates.is_due(at) {
            rates.take(at, now, &metrics);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TopicMetrics;

    fn metrics(messages_in: u64) -> InstanceMetrics {
        InstanceMetrics {
            topics: vec![TopicMetrics {
                topic: TopicName::new("orders").unwrap(),
                topic_type: "NORMAL",
                messages_in,
                bytes_in: messages_in * 10,
            }],
            ..InstanceMetrics::default()
        }
    }

    #[test]
    fn a_rate_is_taken_from_a_sample_as_old_as_its_window() {
        let at = Duration::from_secs;
        let mut rates = Rates::new(at(0), Timestamp::from_ms(0));
        for second in 1..=30 {
            rates.take(at(second), Timestamp::from_ms(0), &metrics(second * 5));
        }
        let counter = Counter::MessagesIn(TopicName::new("orders").unwrap());
        let rate = rates.rate(&counter, Window::TenSeconds);
        assert!((50..=100).contains(&rate.sum), "{rate:?}");
        assert!((rate.per_second - 5.0).abs() < 1e-9, "{rate:?}");
        assert_eq!(rates.rate(&counter, Window::Hour).sum, 150);
    }

    #[test]
    fn days_are_kept_apart() {
        let day = 24 * 60 * 60 * 1_000;
        let mut rates = Rates::new(Duration::ZERO, Timestamp::from_ms(0));
        let mut take = |second, ms, count| {
            rates.take(
                Duration::from_secs(second),
                Timestamp::from_ms(ms),
                &metrics(count),
            );
        };
        take(1, 0, 3);
        take(2, day, 5);
        take(3, 2 * day, 9);
        let daily = rates.daily(&Counter::AllMessagesIn);
        assert_eq!(
            daily,
            Daily {
                now: 9,
                this_morning: 5,
                yesterday_morning: 3
            }
        );
    }
}
