//! How an instance is paid for, and until when.

use base::Timestamp;
use jiff::{Timestamp as Instant, ToSpan, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::coded;

coded! {
    /// In what a subscription is counted: `periodUnit`.
    PeriodUnit {
        /// Months of the calendar.
        Month = "Month",
        /// Years of the calendar.
        Year = "Year",
    }
}

/// How long a subscription runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// How many: 1 to 6 months, or 1 to 3 years.
    pub count: u32,
    /// Of what.
    pub unit: PeriodUnit,
}

impl Period {
    /// So many months.
    pub const fn months(count: u32) -> Self {
        let unit = PeriodUnit::Month;
        Self { count, unit }
    }

    /// The same day of the month, or its last where it is shorter (UTC), that much after `from`.
    pub fn after(self, from: Timestamp) -> Timestamp {
        let months = match self.unit {
            PeriodUnit::Month => self.count,
            PeriodUnit::Year => self.count.saturating_mul(12),
        };
        let end = Instant::from_millisecond(from.ms())
            .map(|from| from.to_zoned(TimeZone::UTC))
            .and_then(|from| from.checked_add(i64::from(months).months()));
        // Past the end of the calendar nothing ends.
        end.map_or(Timestamp::from_ms(i64::MAX), |end| {
            Timestamp::from_ms(end.timestamp().as_millisecond())
        })
    }
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// How long it was ordered for.
    pub period: Period,
    /// By how many months it is prolonged each time that it would end: `autoRenewPeriod`; `None`
    /// lets it end.
    pub auto_renew_months: Option<u32>,
    /// When it ends, in ms since 1970. Creating and renewing set it.
    #[serde(rename = "expires_at_ms", with = "as_ms")]
    pub expires_at: Timestamp,
}

/// How an instance is paid for: `paymentType`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payment {
    /// For what is used.
    PayAsYouGo,
    /// Ahead, for a time.
    Subscription(Subscription),
}

impl Payment {
    /// A subscription that begins when its instance is created.
    pub fn subscription(period: Period, auto_renew_months: Option<u32>) -> Self {
        Self::Subscription(Subscription {
            period,
            auto_renew_months,
            expires_at: Timestamp::default(),
        })
    }

    /// Its code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PayAsYouGo => "PayAsYouGo",
            Self::Subscription(_) => "Subscription",
        }
    }

    /// Begins now.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        if let Self::Subscription(subscription) = self {
            subscription.expires_at = subscription.period.after(now);
        }
    }
}

impl Subscription {
    /// Prolongs it: from its end, or from now if that has passed.
    pub(crate) fn renew(&mut self, period: Period, now: Timestamp) {
        self.expires_at = period.after(self.expires_at.max(now));
    }
}

mod as_ms {
    use base::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(time.ms())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_ms(text.parse::<Instant>().unwrap().as_millisecond())
    }

    #[test]
    fn periods_follow_the_calendar() {
        let year = Period {
            count: 1,
            unit: PeriodUnit::Year,
        };
        for (from, period, to) in [
            (
                "2026-01-31T10:00:00Z",
                Period::months(1),
                "2026-02-28T10:00:00Z",
            ),
            (
                "2026-11-30T10:00:00Z",
                Period::months(3),
                "2027-02-28T10:00:00Z",
            ),
            ("2028-02-29T00:00:00Z", year, "2029-02-28T00:00:00Z"),
        ] {
            assert_eq!(period.after(at(from)), at(to), "{from}");
        }
        let end = Timestamp::from_ms(i64::MAX);
        assert_eq!(year.after(end), end);
    }

    #[test]
    fn a_renewal_counts_from_the_end_or_from_now() {
        let mut payment = Payment::subscription(Period::months(1), None);
        payment.begin(at("2026-01-15T00:00:00Z"));
        let Payment::Subscription(mut subscription) = payment else {
            panic!("not a subscription");
        };
        assert_eq!(subscription.expires_at, at("2026-02-15T00:00:00Z"));
        subscription.renew(Period::months(2), at("2026-01-20T00:00:00Z"));
        assert_eq!(subscription.expires_at, at("2026-04-15T00:00:00Z"));
        subscription.renew(Period::months(1), at("2026-06-01T00:00:00Z"));
        assert_eq!(subscription.expires_at, at("2026-07-01T00:00:00Z"));
    }
}
