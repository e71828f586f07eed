//! Claim: what one receive takes out of a queue, in the order that its group asks for.

use std::{collections::HashSet, sync::Arc, time::Duration};

use base::{StreamKey, Timestamp, limits};

use crate::{
    Group, ReceiveError, ReceiveRequest, Shard, Topic,
    claims::{Claim, Claims},
    consumption::{InFlight, Order, Renewal},
    exhausted::Exhausted,
    receive::{consumption, state_error},
    records::{ReceiptState, Receipts},
    state::State,
};

/// How often one receive looks again at a queue because messages went that held back others.
const DUE_ROUNDS_MAX: usize = 64;

impl Shard {
    /// Claims deliveries whose time has ended by `now`, and buries those without an attempt left.
    /// Says whether it stopped before it was through.
    pub(crate) async fn take_due<'a>(
        &'a self,
        request: &ReceiveRequest,
        claims: &mut Claims<'a>,
        topic: &Topic,
        (stream, now): (StreamKey, Timestamp),
        messages_max: usize,
    ) -> Result<bool, ReceiveError> {
        let group = claims.group;
        for _ in 0..DUE_ROUNDS_MAX {
            let (exhausted, gone) = self.claim_due(request, claims, (stream, now), messages_max)?;
            let is_through = exhausted.is_empty() && gone == 0;
            exhausted.bury_all(topic).await?;
            // What went may have held back others of its message group.
            if is_through || order(request, group) == Order::None {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Claims deliveries whose time has ended by `as_of`. Returns those without an attempt left,
    /// and the number of those that retention has taken.
    fn claim_due<'a>(
        &'a self,
        request: &ReceiveRequest,
        claims: &mut Claims<'a>,
        (stream, as_of): (StreamKey, Timestamp),
        messages_max: usize,
    ) -> Result<(Exhausted<'a>, usize), ReceiveError> {
        let group = claims.group;
        let now = self.clock.now();
        let until = now.after(request.invisible);
        // Before the state: on the way out it takes that lock, should anything fail.
        let mut exhausted = Exhausted::new(self, group, stream);
        let mut state = self.state.lock();
        if self.is_locked(&state, stream, group.id) {
            return Ok((exhausted, 0));
        }
        let (mut again, mut gone) = (Vec::new(), Vec::new());
        let begun = consumption(&mut state, stream, group, &request.topic)?;
        begun.in_order |= request.in_order;
        let room = messages_max - claims.count();
        let order = order(request, group);
        if order == Order::MessageGroup {
            begun.prolong_lapsed(as_of, room, |delivery| self.prolong(delivery, now));
        }
        let due = begun.due_in(order, as_of, room);
        let Some(next) = begun.next() else {
            return Ok((exhausted, 0));
        };
        for (offset, delivery) in due {
            if claims.count() + again.len() >= messages_max {
                break;
            }
            if let Some(prolonged) = self.prolong(&delivery, now) {
                let consumption = consumption(&mut state, stream, group, &request.topic)?;
                consumption.put(offset, prolonged);
                continue;
            }
            let entry = self
                .entry_in_flight(&mut state, stream, offset)
                .map_err(|source| state_error(&request.topic, source))?;
            match entry {
                // Retention has ended while nobody worked on it.
                None => gone.push(offset),
                Some(_) if delivery.state.attempt >= group.spec.max_attempts => {
                    // Held while it moves, so that nobody else takes it meanwhile.
                    let until = now.after(Duration::from_millis(limits::INVISIBLE_MS_MIN));
                    let held = ReceiptState {
                        until,
                        // The receipt of the delivery that has ended is over all the same.
                        nonce: claims.nonce,
                        ..delivery.state
                    };
                    let consumption = consumption(&mut state, stream, group, &request.topic)?;
                    consumption.put(offset, held.into());
                    exhausted.push(offset, held.nonce);
                }
                Some(entry) => {
                    let attempt = delivery.state.attempt + 1;
                    let claim = ReceiptState {
                        until,
                        attempt,
                        nonce: claims.nonce,
                        message_group: entry.message_group,
                    };
                    again.push(Claim {
                        stream,
                        offset,
                        entry,
                        claim,
                        before: Some(delivery.state),
                    });
                }
            }
        }
        let gone_count = gone.len();
        if gone_count > 0 {
            self.settle(&mut state, stream, group.id, gone);
        }
        if !again.is_empty() {
            let at = (stream, next);
            self.record_claims(&mut state, request, claims, at, again, Vec::new())?;
        }
        Ok((exhausted, gone_count))
    }

    /// Claims messages that the group has not seen. Says whether it stopped before the end of the
    /// queue because too many did not match.
    pub(crate) fn claim_new(
        &self,
        request: &ReceiveRequest,
        claims: &mut Claims<'_>,
        stream: StreamKey,
        messages_max: usize,
    ) -> Result<bool, ReceiveError> {
        let group = claims.group;
        let order = order(request, group);
        let mut scanned = 0;
        // Message groups whose messages this receive has, all that there are.
        let mut begun = HashSet::new();
        // In order: what holds back the rest is what this receive has taken itself just now. The
        // entries of a queue come block by block.
        let mut is_mine = false;
        // Grows while nothing matches: each look costs a record in the log.
        let mut window = 32;
        while claims.count() < messages_max && scanned < limits::PULL_SCAN_ENTRIES_MAX {
            let (min, max) = self.range_of(&request.topic, stream)?;
            let (from, has_room) = self.group_state(request, group, stream, |c| {
                c.in_order |= request.in_order;
                let is_free = !request.in_order || is_mine || c.is_settled();
                (c.next(), is_free && c.has_room())
            })?;
            let start = request.start.offset(min, max);
            let mut next = from.unwrap_or(start).max(min);
            if next >= max || !has_room {
                return Ok(false);
            }
            let count = (messages_max - claims.count()).max(window);
            window = (window * 2).min(limits::PULL_MESSAGES_MAX);
            let entries = self.entries(&request.topic, stream, next, count)?;
            if entries.is_empty() {
                return Ok(false);
            }
            let mut state = self.state.lock();
            if self.is_locked(&state, stream, group.id) {
                return Ok(false);
            }
            scanned += 1;
            let consumption = consumption(&mut state, stream, group, &request.topic)?;
            let is_busy = request.in_order && !is_mine && !consumption.is_settled();
            if consumption.next() != from || is_busy {
                // Another receive was here meanwhile: look again.
                continue;
            }
            let room = (messages_max - claims.count())
                .min(limits::IN_FLIGHT_PER_QUEUE_MAX.saturating_sub(consumption.in_flight_count()));
            let until = self.clock.now().after(request.invisible);
            let (mut taken, mut parked) = (Vec::new(), Vec::new());
            for entry in entries {
                if taken.len() >= room || !consumption.has_parking_room(parked.len()) {
                    break;
                }
                scanned += 1;
                let offset = next;
                next += 1;
                if !request.filter.may_match(entry.tag_hash) {
                    continue;
                }
                let message_group = entry.message_group;
                if order == Order::MessageGroup && !begun.contains(&message_group) {
                    if consumption.is_blocked(message_group) {
                        parked.push((offset, ReceiptState::parked(message_group)));
                        continue;
                    }
                    begun.insert(message_group);
                }
                let claim = ReceiptState {
                    until,
                    attempt: 1,
                    nonce: claims.nonce,
                    message_group,
                };
                taken.push(Claim {
                    stream,
                    offset,
                    entry,
                    claim,
                    before: None,
                });
            }
            is_mine |= !taken.is_empty();
            self.record_claims(&mut state, request, claims, (stream, next), taken, parked)?;
        }
        Ok(claims.count() < messages_max)
    }

    /// Writes claims, and what they pass over, into the log and then into memory; without a record
    /// there is no hand-out, since after a crash the group would be thought to be further than its
    /// receipts tell.
    fn record_claims(
        &self,
        state: &mut State,
        request: &ReceiveRequest,
        claims: &mut Claims<'_>,
        (stream, next): (StreamKey, u64),
        taken: Vec<Claim>,
        parked: Vec<(u64, ReceiptState)>,
    ) -> Result<(), ReceiveError> {
        let group = claims.group;
        let claimed = taken.iter().map(|claim| (claim.offset, claim.claim));
        let receipts = claimed.chain(parked.iter().copied()).collect();
        let record = Receipts {
            group: group.id,
            next,
            receipts,
        };
        self.append_receipts(stream, &record)
            .map_err(|source| ReceiveError::Log {
                topic: request.topic.clone(),
                group: group.name().clone(),
                source,
            })?;
        let now = self.clock.now();
        let client: Option<Arc<str>> = request.renew_while_alive.as_deref().map(Into::into);
        let consumption = consumption(state, stream, group, &request.topic)?;
        let order = order(request, group);
        let due_before = consumption.next_due_in(order);
        consumption.advance(next);
        for (offset, state) in parked {
            consumption.put(offset, state.into());
        }
        for claim in taken {
            let renewal = client.clone().map(|client| {
                Box::new(Renewal {
                    client,
                    step: request.invisible,
                    end: now.after(Duration::from_millis(limits::INVISIBLE_MS_MAX)),
                })
            });
            consumption.put(
                claim.offset,
                InFlight {
                    state: claim.claim,
                    renewal,
                },
            );
            claims.unread.push_back(claim);
        }
        // Who waits already knows when to look again; a delivery that is due before that changes
        // it.
        if let Some(due) = consumption.next_due_in(order)
            && due_before.is_none_or(|before| due < before)
        {
            state.wake_group(stream, group.id);
        }
        Ok(())
    }

    /// The delivery with a later end, if its client lives and may still have it.
    pub(crate) fn prolong(&self, delivery: &InFlight, now: Timestamp) -> Option<InFlight> {
        let renewal = delivery.renewal.as_ref()?;
        if now >= renewal.end || !self.clients.is_alive(&renewal.client, now) {
            return None;
        }
        let mut prolonged = delivery.clone();
        prolonged.state.until = now.after(renewal.step).min(renewal.end);
        Some(prolonged)
    }
}

pub(crate) fn order(request: &ReceiveRequest, group: &Group) -> Order {
    if request.in_order {
        Order::Queue
    } else {
        Order::of(group)
    }
}
