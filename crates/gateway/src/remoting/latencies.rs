//! How long the requests of one connection took, for metrics.

use std::{sync::Arc, time::Duration};

use super::exchange::Done;
use crate::metrics::{FrontMetrics, Histogram, RpcKey};

/// The histograms that a connection has counted into, so that it need not look for them in those of
/// all front ends.
#[derive(Default)]
pub(super) struct Latencies(Vec<(RpcKey, Arc<Histogram>)>);

impl Latencies {
    /// Counts a request that is done `now`, by [`base::Clock::elapsed`].
    pub(super) fn count(&mut self, metrics: &FrontMetrics, done: &Done, now: Duration) {
        let key = RpcKey {
            protocol: "remoting",
            request: done.request,
            response: done.response,
            long_polling: done.is_poll,
            result: if done.reply.is_some() {
                "success"
            } else {
                "oneway"
            },
        };
        let latency = now.saturating_sub(done.at);
        if let Some((_, known)) = self.0.iter().find(|(known, _)| *known == key) {
            known.observe(latency);
            return;
        }
        let histogram = metrics.latency(key);
        histogram.observe(latency);
        self.0.push((key, histogram));
    }
}
