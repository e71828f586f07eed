//! Pulling clients that give messages back.

use std::time::Duration;

use base::PhysicalOffset;
use broker::{QueryError, SendBackError, SendBackRequest};
use wire::message::StoredMessage;

use super::Client;
use crate::{ledger::returned::Return, plan::PlannedGroup};

impl Client {
    /// Gives a message back that this client could not consume.
    pub(super) async fn give_back(&self, group: &PlannedGroup, letter: u64, of: &StoredMessage) {
        let retries_max = match self.chance(50) {
            true => Some(self.below(4) as i32),
            false => None,
        };
        let (delay_level, pause_ms) = match self.below(6) {
            0 => (-1, 0),
            1 => (1, 1_000),
            2 => (2, 5_000),
            _ => (0, self.settings.retry.pause_ms(of.reconsume_times())),
        };
        let limit = retries_max.unwrap_or(group.max_attempts.cast_signed() - 1);
        let dead = delay_level < 0 || of.reconsume_times() >= limit;
        let pause = Duration::from_millis(if dead { 0 } else { pause_ms });
        let back = Return {
            group: group.name.clone(),
            letter,
            times: of.reconsume_times() + 1,
            dead,
            pause,
            due: self.node.world.now().after(pause),
        };
        self.ledger().will_return(&back);
        let request = SendBackRequest {
            group: group.name.clone(),
            message: PhysicalOffset::from_wire(of.physical_offset()),
            delay_level,
            retries_max,
        };
        let answer = self.answer(self.node.shard.send_back(request)).await;
        self.note(format_args!("back {back:?}: {answer:?}"));
        match answer {
            Some(Ok(())) => self.ledger().was_returned(&back),
            Some(Err(
                SendBackError::GroupNotFound(_)
                | SendBackError::Read(QueryError::MessageNotFound { .. }),
            )) => self.ledger().was_not_returned(&back),
            // It may have happened.
            Some(Err(_)) | None => {}
        }
    }
}
