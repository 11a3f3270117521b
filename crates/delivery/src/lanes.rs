//! Lanes: who is sent to now, who waits, and who has no room. One lane for each webhook, in memory, pure.
//!
//! A lane sends to its webhook with at most `limit` requests at once and in order of admission. No lane can fill the
//! worker: it may hold as many deliveries as are free in the worker as a whole (the dynamic threshold of Choudhury and
//! Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998). One busy lane takes half, ten take
//! less than a tenth each, and some room is always left for a webhook that holds nothing yet. What a lane has no room for
//! goes behind the webhook's gate, from where it comes back as the lane frees.
//!
//! What comes from behind gates is bounded by the gates' owner and has no part in these shares: did it count, a few slow
//! webhooks whose gates are worked off would take the room of all others.

use std::collections::{HashMap, VecDeque};

use fanfare_core::ids::WebhookId;

/// The bounds of the lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Requests at once in one lane.
    pub(crate) limit: usize,
    /// Deliveries from the queue held in all lanes together.
    pub(crate) held: usize,
}

/// The answer to an admission.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission<T> {
    /// Its request may be made now.
    Start(T),
    /// It waits in its lane.
    Waits,
    /// Its lane has no room.
    Surplus(T),
    /// The lanes are closed.
    Closed(T),
}

/// Where a delivery was leased from, and so what bounds the number of its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The queue of those that are ready: bounded here, by the shares.
    Queue,
    /// Behind its webhook's gate, by the gate's owner, who bounds it.
    Gate,
}

#[derive(Debug)]
struct Lane<T> {
    /// Requests being made.
    running: usize,
    /// Deliveries held that came from the queue: waiting, being sent, being settled.
    held: usize,
    /// Deliveries held that came from behind the gate.
    from_gate: usize,
    waiting: VecDeque<(Origin, T)>,
}

impl<T> Lane<T> {
    fn new() -> Self {
        Self { running: 0, held: 0, from_gate: 0, waiting: VecDeque::new() }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    lanes: HashMap<WebhookId, Lane<T>>,
    bounds: Bounds,
    /// Deliveries held in all lanes together that came from the queue.
    held: usize,
    closed: bool,
}

impl<T> Lanes<T> {
    /// No lanes yet. Bounds of zero are taken as one.
    pub(crate) fn new(bounds: Bounds) -> Self {
        let bounds = Bounds { limit: bounds.limit.max(1), held: bounds.held.max(1) };
        Self { lanes: HashMap::new(), bounds, held: 0, closed: false }
    }

    /// Admits a delivery from the queue, if its lane has room.
    pub(crate) fn admit(&mut self, webhook: WebhookId, item: T) -> Admission<T> {
        if self.closed {
            return Admission::Closed(item);
        }
        let free = self.bounds.held.saturating_sub(self.held);
        if self.lanes.get(&webhook).map_or(0, |lane| lane.held) >= free {
            return Admission::Surplus(item);
        }
        self.enter(webhook, Origin::Queue, item)
    }

    /// Admits a delivery from behind a gate, of which the gate's owner bounds the number.
    pub(crate) fn admit_from_gate(&mut self, webhook: WebhookId, item: T) -> Admission<T> {
        if self.closed { Admission::Closed(item) } else { self.enter(webhook, Origin::Gate, item) }
    }

    fn enter(&mut self, webhook: WebhookId, origin: Origin, item: T) -> Admission<T> {
        let lane = self.lanes.entry(webhook).or_insert_with(Lane::new);
        match origin {
            Origin::Queue => {
                self.held += 1;
                lane.held += 1;
            }
            Origin::Gate => lane.from_gate += 1,
        }
        if lane.running < self.bounds.limit {
            lane.running += 1;
            return Admission::Start(item);
        }
        lane.waiting.push_back((origin, item));
        Admission::Waits
    }

    /// A request of this lane is over. Returns the one to be started in its place; after closing there is none.
    pub(crate) fn sent(&mut self, webhook: WebhookId) -> Option<T> {
        let lane = self.lanes.get_mut(&webhook)?;
        let next = lane.waiting.pop_front();
        if next.is_none() {
            lane.running = lane.running.saturating_sub(1);
        }
        next.map(|(_, item)| item)
    }

    /// A delivery that was started is not held any more.
    pub(crate) fn left(&mut self, webhook: WebhookId, origin: Origin) {
        self.release(webhook, origin);
    }

    /// Takes the waiting ones of which this is true out of a lane.
    pub(crate) fn take_waiting(&mut self, webhook: WebhookId, mut which: impl FnMut(&T) -> bool) -> Vec<T> {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return Vec::new() };
        let (taken, kept): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut lane.waiting).into_iter().partition(|(_, item)| which(item));
        lane.waiting = kept;
        let leave = |(origin, item)| {
            self.release(webhook, origin);
            item
        };
        taken.into_iter().map(leave).collect()
    }

    /// Admits and starts nothing any more. Returns all that wait.
    pub(crate) fn close(&mut self) -> Vec<T> {
        self.closed = true;
        let webhooks: Vec<WebhookId> = self.lanes.keys().copied().collect();
        webhooks.into_iter().flat_map(|webhook| self.take_waiting(webhook, |_| true)).collect()
    }

    fn release(&mut self, webhook: WebhookId, origin: Origin) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        match origin {
            Origin::Queue => {
                lane.held = lane.held.saturating_sub(1);
                self.held = self.held.saturating_sub(1);
            }
            Origin::Gate => lane.from_gate = lane.from_gate.saturating_sub(1),
        }
        if lane.held + lane.from_gate == 0 {
            self.lanes.remove(&webhook);
        }
    }
}

#[cfg(test)]
mod tests;
