//! Copies of deliveries in the streams: ready, due, behind gates, in quarantine; and the leases on them.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use fanfare_core::clock::{Monotonic, Timestamp};
use fanfare_core::delivery::{Delivery, DeliveryHeader, DueReason, Place, QuarantineReason};
use fanfare_core::ids::{DeliveryId, Hop, WebhookId};
use fanfare_core::ports::dedup::Fence;
use fanfare_core::ports::delivery_queue::{Lease, LeaseToken, QueueDepth};

use super::behind::Behind;
use super::{Bounds, Now};

/// One copy.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) delivery: Delivery,
    pub(crate) place: Place,
    /// When it was stored.
    pub(crate) at: Timestamp,
    /// How often it has been leased.
    pub(crate) times: u32,
    /// By whom, and the fencing token of the gate's owner at that time.
    pub(crate) leased: Option<(LeaseToken, u64)>,
    /// It cannot be read.
    pub(crate) spoiled: bool,
}

impl Copy {
    fn ready_at(&self) -> Timestamp {
        match self.place {
            Place::Due { at, .. } => at,
            Place::Ready | Place::Gated { .. } => self.at,
        }
    }
}

/// The two streams that copies are leased from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stream {
    Deliveries,
    Gated,
}

/// A lease, as it is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leased {
    pub(crate) stream: Stream,
    pub(crate) sequence: u64,
    pub(crate) until: Monotonic,
    pub(crate) by: u32,
    pub(crate) delivery: DeliveryId,
    pub(crate) hop: Hop,
}

impl Leased {
    pub(crate) fn is_from_gate(self) -> bool {
        self.stream == Stream::Gated
    }
}

/// Something that is not handed out, and why.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    pub(crate) stream: Stream,
    pub(crate) sequence: u64,
    pub(crate) delivery: Delivery,
    pub(crate) reason: QuarantineReason,
}

/// Where an open delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// Ready, due or leased.
    InQueue,
    /// Behind its webhook's gate.
    Gated,
    /// Aside, until an operator looks at it.
    Quarantined,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Copies {
    pub(super) streams: BTreeMap<(Stream, u64), Copy>,
    pub(super) behind: Behind,
    quarantined: BTreeMap<DeliveryId, Copy>,
    pub(super) leases: BTreeMap<LeaseToken, Leased>,
    /// Message ids, and until when they are recognised.
    seen: BTreeMap<(Stream, DeliveryId, Hop), Monotonic>,
    sequence: u64,
    tokens: u64,
    changes: u64,
    /// How many leases there were at once at most.
    most_leased: usize,
}

impl Copies {
    /// Rises with whatever may let somebody lease something.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// How many leases there were at once at most.
    pub(crate) fn most_leased(&self) -> usize {
        self.most_leased
    }

    /// Stores a copy; false if its message id has been seen lately.
    pub(crate) fn publish(
        &mut self,
        header: &DeliveryHeader,
        body: Bytes,
        place: Place,
        bounds: &Bounds,
        now: Now,
    ) -> bool {
        let stream = match place {
            Place::Ready | Place::Due { .. } => Stream::Deliveries,
            Place::Gated { .. } => Stream::Gated,
        };
        let id = (stream, header.id, header.hop);
        if self.seen.get(&id).is_some_and(|until| *until > now.monotonic) {
            return false;
        }
        self.seen.insert(id, now.monotonic.after(bounds.duplicate_window));
        self.sequence += 1;
        self.changes += 1;
        let delivery = Delivery { header: header.clone(), body };
        let copy = Copy { delivery, place, at: now.wall, times: 0, leased: None, spoiled: false };
        if stream == Stream::Gated {
            self.behind.enter(self.sequence, &copy);
        }
        self.streams.insert((stream, self.sequence), copy);
        true
    }

    /// Whether a copy of the delivery stands ready, leased or not.
    pub(crate) fn stands_ready(&self, delivery: DeliveryId, now: Now) -> bool {
        self.streams.iter().any(|((stream, _), copy)| {
            *stream == Stream::Deliveries && copy.ready_at() <= now.wall && copy.delivery.header.id == delivery
        })
    }

    pub(crate) fn remove(&mut self, stream: Stream, sequence: u64) {
        if let Some(copy) = self.streams.remove(&(stream, sequence))
            && stream == Stream::Gated
        {
            self.behind.leave(sequence, &copy);
        }
    }

    /// Whether nothing stands anywhere.
    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.quarantined.is_empty()
    }

    /// Whether a copy may be leased: nobody has it, or not any more. A lease under an older fencing token does not count.
    pub(super) fn is_free(&self, copy: &Copy, fence: u64, now: Monotonic) -> bool {
        copy.leased.is_none_or(|(token, under)| {
            under != fence || self.leases.get(&token).is_none_or(|leased| leased.until <= now)
        })
    }

    /// Leases what is ready or due, oldest first; or says in how long something may be.
    pub(crate) fn lease(
        &mut self,
        max: usize,
        by: u32,
        bounds: &Bounds,
        now: Now,
    ) -> Result<Vec<Lease>, Option<Duration>> {
        let mut free: Vec<(Timestamp, u64)> = Vec::new();
        let mut next: Option<Duration> = None;
        for ((_, sequence), copy) in self.streams.range((Stream::Deliveries, 0)..=(Stream::Deliveries, u64::MAX)) {
            let in_time = copy.ready_at().since(now.wall);
            let wait = if matches!(copy.place, Place::Due { .. }) && !in_time.is_zero() {
                Some(in_time)
            } else if self.is_free(copy, 0, now.monotonic) {
                None
            } else {
                copy.leased.and_then(|(token, _)| self.leases.get(&token)).map(|held| held.until.since(now.monotonic))
            };
            match wait {
                None if !copy.spoiled && copy.times < bounds.quarantine_after => {
                    free.push((copy.ready_at(), *sequence));
                }
                None => {}
                Some(wait) => next = Some(next.map_or(wait, |before| before.min(wait))),
            }
        }
        free.sort_unstable();
        free.truncate(max);
        if free.is_empty() {
            return Err(next);
        }
        let until = now.monotonic.after(bounds.lease);
        Ok(free.into_iter().filter_map(|(_, at)| self.grant(Stream::Deliveries, at, None, by, until)).collect())
    }

    /// What is ready and belongs into quarantine.
    pub(crate) fn unfit(&self, bounds: &Bounds, now: Now) -> Vec<Out> {
        let ready = self.streams.range((Stream::Deliveries, 0)..=(Stream::Deliveries, u64::MAX));
        let unfit = ready.filter(|(_, copy)| {
            (copy.spoiled || copy.times >= bounds.quarantine_after)
                && (!matches!(copy.place, Place::Due { .. }) || copy.ready_at() <= now.wall)
                && self.is_free(copy, 0, now.monotonic)
        });
        unfit.map(|((stream, sequence), copy)| Self::out(*stream, *sequence, copy)).collect()
    }

    pub(super) fn out(stream: Stream, sequence: u64, copy: &Copy) -> Out {
        let reason = if copy.spoiled { QuarantineReason::Unreadable } else { QuarantineReason::LeasedTooOften };
        Out { stream, sequence, delivery: copy.delivery.clone(), reason }
    }

    pub(super) fn grant(
        &mut self,
        stream: Stream,
        sequence: u64,
        fence: Option<Fence>,
        by: u32,
        until: Monotonic,
    ) -> Option<Lease> {
        let copy = self.streams.get_mut(&(stream, sequence))?;
        self.tokens += 1;
        let token = LeaseToken(self.tokens);
        let header = &copy.delivery.header;
        let leased = Leased { stream, sequence, until, by, delivery: header.id, hop: header.hop };
        self.leases.insert(token, leased);
        self.most_leased = self.most_leased.max(self.leases.len());
        copy.leased = Some((token, fence.map_or(0, |Fence(token)| token)));
        copy.times += 1;
        let (delivery, ready_at, redeliveries) = (copy.delivery.clone(), copy.ready_at(), copy.times - 1);
        Some(Lease { token, delivery, until, ready_at, redeliveries, fence })
    }

    /// The lease, if it is held and has not run out.
    pub(crate) fn current(&self, token: LeaseToken, now: Monotonic) -> Option<Leased> {
        self.leases.get(&token).copied().filter(|leased| leased.until > now)
    }

    /// The leases that a process has got of a delivery, run out or not, the last one first.
    pub(crate) fn held_by(&self, by: u32, delivery: DeliveryId) -> Vec<(LeaseToken, Leased)> {
        let of = self.leases.iter().rev().filter(|(_, held)| held.by == by && held.delivery == delivery);
        of.map(|(token, held)| (*token, *held)).collect()
    }

    pub(crate) fn renew(&mut self, token: LeaseToken, bounds: &Bounds, now: Monotonic) -> bool {
        let held = self.leases.get_mut(&token).filter(|leased| leased.until > now);
        held.map(|leased| leased.until = now.after(bounds.lease)).is_some()
    }

    pub(crate) fn end(&mut self, token: LeaseToken) {
        if let Some(leased) = self.leases.remove(&token)
            && leased.is_from_gate()
            && let Some(copy) = self.streams.get(&(leased.stream, leased.sequence))
        {
            self.behind.tell(copy.delivery.header.webhook);
        }
        self.changes += 1;
    }

    /// Forgets that a copy is leased, as a server does that has lost the word of it; the holder knows nothing of that.
    pub(crate) fn forget_lease(&mut self, which: usize) -> Option<DeliveryId> {
        let leased = self.streams.values_mut().filter(|copy| copy.leased.is_some());
        let copy = leased.take(which + 1).last()?;
        copy.leased = None;
        self.behind.tell(copy.delivery.header.webhook);
        let id = copy.delivery.header.id;
        self.changes += 1;
        Some(id)
    }

    /// Puts a copy into quarantine.
    pub(crate) fn quarantine(&mut self, out: &Out, now: Timestamp) {
        let header = DeliveryHeader { hop: out.delivery.header.hop.next(), ..out.delivery.header.clone() };
        let spoiled = out.reason == QuarantineReason::Unreadable;
        let delivery = Delivery { header, body: out.delivery.body.clone() };
        let copy = Copy { delivery, place: Place::Ready, at: now, times: 0, leased: None, spoiled };
        self.quarantined.insert(out.delivery.header.id, copy);
    }

    pub(crate) fn in_quarantine(&self, delivery: DeliveryId) -> Option<&Copy> {
        self.quarantined.get(&delivery)
    }

    pub(crate) fn leave_quarantine(&mut self, delivery: DeliveryId) {
        self.quarantined.remove(&delivery);
    }

    /// The copies of a delivery.
    pub(crate) fn of(&self, delivery: DeliveryId) -> impl Iterator<Item = (Stream, u64, &Copy)> {
        let all = self.streams.iter().filter(move |(_, copy)| copy.delivery.header.id == delivery);
        all.map(|((stream, sequence), copy)| (*stream, *sequence, copy))
    }

    /// What stands where, of every delivery that is open.
    pub(crate) fn open(&self) -> BTreeMap<DeliveryId, Where> {
        let quarantined = self.quarantined.keys().map(|id| (*id, Where::Quarantined));
        let standing = self.streams.iter().map(|((stream, _), copy)| {
            let at = if *stream == Stream::Gated { Where::Gated } else { Where::InQueue };
            (copy.delivery.header.id, at)
        });
        quarantined.chain(standing).collect()
    }

    /// Removes what is behind the webhook's gate and in quarantine.
    pub(crate) fn discard(&mut self, webhook: WebhookId) -> u64 {
        let before = self.streams.len() + self.quarantined.len();
        for sequence in self.behind.of(webhook).collect::<Vec<u64>>() {
            let leased = self.streams.get(&(Stream::Gated, sequence)).and_then(|copy| copy.leased);
            self.remove(Stream::Gated, sequence);
            if let Some((token, _)) = leased {
                self.leases.remove(&token);
            }
        }
        self.quarantined.retain(|_, copy| copy.delivery.header.webhook != webhook);
        (before - self.streams.len() - self.quarantined.len()) as u64
    }

    pub(crate) fn depth(&self, now: Now) -> QueueDepth {
        let mut depth = QueueDepth { quarantined: self.quarantined.len() as u64, ..QueueDepth::default() };
        let of_gated = self.leases.iter().filter(|(token, leased)| {
            let copy = self.streams.get(&(leased.stream, leased.sequence));
            let is_current = copy.and_then(|copy| copy.leased).is_some_and(|(current, _)| current == **token);
            leased.is_from_gate() && leased.until > now.monotonic && is_current
        });
        depth.in_flight = of_gated.count() as u64;
        depth.gated = (self.behind.len() as u64).saturating_sub(depth.in_flight);
        for (_, copy) in self.streams.range((Stream::Deliveries, 0)..=(Stream::Deliveries, u64::MAX)) {
            let held = copy.leased.and_then(|(token, _)| self.leases.get(&token));
            let count = match copy.place {
                _ if held.is_some_and(|leased| leased.until > now.monotonic) => &mut depth.in_flight,
                Place::Due { at, reason } if at > now.wall => match reason {
                    DueReason::Retry => &mut depth.due_retry,
                    DueReason::RetryAfter => &mut depth.due_retry_after,
                    DueReason::Congested => &mut depth.due_congested,
                },
                Place::Ready | Place::Due { .. } | Place::Gated { .. } => {
                    let since = copy.ready_at();
                    depth.oldest_ready = Some(depth.oldest_ready.map_or(since, |before| before.min(since)));
                    &mut depth.ready
                }
            };
            *count += 1;
        }
        depth
    }

    /// Makes what is stored of a delivery unreadable.
    #[cfg(test)]
    pub(crate) fn spoil(&mut self, delivery: DeliveryId) {
        let copies = self.streams.values_mut().filter(|copy| copy.delivery.header.id == delivery);
        copies.for_each(|copy| copy.spoiled = true);
    }
}
