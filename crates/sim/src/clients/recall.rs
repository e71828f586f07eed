//! Clients that take timed messages back.

use broker::RecallError;

use super::Client;
use crate::body;

impl Client {
    pub(super) async fn recall_on(&self) {
        loop {
            self.pause(200).await;
            let recallable: Vec<u64> = {
                let ledger = self.ledger();
                let letters = ledger.letters().iter().enumerate();
                letters
                    .filter(|(_, letter)| {
                        letter.waiting.as_ref().is_some_and(|w| w.is_recallable())
                    })
                    .map(|(number, _)| number as u64)
                    .collect()
            };
            if recallable.is_empty() {
                continue;
            }
            let number = recallable[self.below(recallable.len() as u64) as usize];
            self.recall(number).await;
        }
    }

    async fn recall(&self, number: u64) {
        let letter = self.ledger().letters()[number as usize].clone();
        let Some(sent) = letter.sent else {
            return;
        };
        self.ledger().will_recall(number);
        let recall = self.node.shard.recall(&letter.topic, sent.physical_offset);
        let answer = self.answer(recall).await;
        self.note(format_args!(
            "recall of {number}: {:?}",
            answer.as_ref().map(Result::is_ok)
        ));
        let mut ledger = self.ledger();
        match answer {
            Some(Ok(message)) => {
                ledger.was_recalled(number);
                if body::number_of(&message.body()) != Some(number) {
                    ledger.violate(format!("the recall of {number} returned {message:?}"));
                }
            }
            Some(Err(RecallError::TopicNotFound(_) | RecallError::NotFound { .. })) => {
                ledger.was_not_recalled(number);
            }
            // It may have happened.
            Some(Err(_)) | None => {}
        }
    }
}
