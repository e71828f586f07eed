//! Counts between bounds, as a client reports them and as they are added up.

use base::Timestamp;

use super::ClientMetric;

/// Why a histogram is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HistogramError {
    /// The counts do not fit the bounds.
    #[error("histogram has {counts} counts for {bounds} bounds, expected one more than bounds")]
    Counts {
        /// How many counts there are.
        counts: usize,
        /// How many bounds there are.
        bounds: usize,
    },
    /// A bound or the sum is no number, or the bounds do not rise.
    #[error("bounds of a histogram are not rising numbers, or its sum is not a number")]
    Number,
}

/// How many values there were below which bound, and their sum.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Counts {
    /// One for each bound of the metric and one for what is beyond.
    buckets: Vec<u64>,
    sum: f64,
}

impl Counts {
    pub(super) fn none(metric: ClientMetric) -> Self {
        Self {
            buckets: vec![0; metric.bounds().len() + 1],
            sum: 0.0,
        }
    }

    /// What a client reported between bounds of its own, between those of the metric. Bounds that
    /// the metric does not have count as the next higher one.
    pub(crate) fn new(
        metric: ClientMetric,
        bounds: &[f64],
        counts: &[u64],
        sum: f64,
    ) -> Result<Self, HistogramError> {
        if counts.len() != bounds.len() + 1 {
            return Err(HistogramError::Counts {
                counts: counts.len(),
                bounds: bounds.len(),
            });
        }
        let rises = bounds.is_sorted_by(|lower, higher| lower < higher);
        if !rises || !bounds.iter().all(|bound| bound.is_finite()) || !sum.is_finite() {
            return Err(HistogramError::Number);
        }
        let mut own = Self::none(metric);
        let own_bounds = metric.bounds();
        for (index, count) in counts.iter().enumerate() {
            let place = bounds
                .get(index)
                .and_then(|bound| own_bounds.iter().position(|own| bound <= own))
                .unwrap_or(own_bounds.len());
            own.buckets[place] = own.buckets[place].saturating_add(*count);
        }
        own.sum = sum;
        Ok(own)
    }

    pub(super) fn add(&mut self, more: &Self) {
        for (own, more) in self.buckets.iter_mut().zip(&more.buckets) {
            *own = own.saturating_add(*more);
        }
        let sum = self.sum + more.sum;
        // A sum that left the numbers would stay outside for ever.
        self.sum = if sum.is_finite() { sum } else { self.sum };
    }

    /// What is here and was not in `before`; `None` if less is here.
    fn beyond(&self, before: &Self) -> Option<Self> {
        let pairs = self.buckets.iter().zip(&before.buckets);
        let buckets = pairs.map(|(now, before)| now.checked_sub(*before));
        Some(Self {
            buckets: buckets.collect::<Option<Vec<u64>>>()?,
            sum: self.sum - before.sum,
        })
    }

    pub(super) fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    pub(super) fn sum(&self) -> f64 {
        self.sum
    }
}

/// A histogram in a report.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reported {
    /// What it counted.
    pub(crate) counts: Counts,
    /// When it began to count; `None` if each report begins anew.
    pub(crate) began: Option<Timestamp>,
}

impl Reported {
    /// What is new since the report before. Everything, where counting began anew.
    pub(super) fn since(&self, before: &Self) -> Counts {
        if self.began.is_none() || self.began != before.began {
            return self.counts.clone();
        }
        let more = self.counts.beyond(&before.counts);
        more.unwrap_or_else(|| self.counts.clone())
    }
}
