//! Deliveries that are not settled yet: what their receipt said, for the record of their end.

use std::collections::{HashMap, VecDeque};

use base::{Timestamp, limits};

use super::{Delivery, Subject};

/// What is remembered of a delivery.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub(super) at: Timestamp,
    pub(super) message: Subject,
}

/// The newest deliveries, no more than there is room for.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    begun: HashMap<Delivery, Begun>,
    /// In the order in which they began; some are settled by now.
    order: VecDeque<Delivery>,
}

impl Deliveries {
    pub(super) fn begin(&mut self, delivery: Delivery, begun: Begun) {
        if self.order.len() >= limits::TRACE_DELIVERIES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.begun.remove(&oldest);
        }
        self.order.push_back(delivery);
        self.begun.insert(delivery, begun);
    }

    pub(super) fn end(&mut self, delivery: &Delivery) -> Option<Begun> {
        self.begun.remove(delivery)
    }
}

#[cfg(test)]
mod tests {
    use base::{GroupId, QueueId, QueueOffset, ShardId, TopicId};
    use broker::ReceiptHandle;

    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let delivery = |offset: usize, nonce| {
            Delivery::of(&ReceiptHandle {
                shard: ShardId::new(0),
                topic: TopicId::new(1),
                group: GroupId::new(2),
                queue: QueueId::new(3),
                offset: QueueOffset::new(offset as u64),
                attempt: 1,
                nonce,
            })
        };
        let mut deliveries = Deliveries::default();
        let begun = Begun {
            at: Timestamp::from_ms(5),
            message: Subject::named("id"),
        };
        for offset in 0..=limits::TRACE_DELIVERIES_MAX {
            deliveries.begin(delivery(offset, 1), begun.clone());
        }
        assert!(deliveries.end(&delivery(0, 1)).is_none());
        // The handle was renewed since.
        let ended = deliveries.end(&delivery(1, 9)).unwrap();
        assert_eq!((ended.at.ms(), ended.message.id.as_str()), (5, "id"));
        assert!(deliveries.end(&delivery(1, 1)).is_none());
        assert_eq!(deliveries.order.len(), limits::TRACE_DELIVERIES_MAX);
    }
}
