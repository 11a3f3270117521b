//! Lanes: who is sent to now, who waits, and who has no room. One lane for each webhook, in memory, pure.
//!
//! A lane sends to its webhook with as many requests at once as its receiver is found to take
//! ([`ConcurrencyLimit`](fanfare_core::concurrency::ConcurrencyLimit)), and in order of admission. No lane can fill the worker: it may
//! hold as many deliveries as are free for it (the dynamic threshold of Choudhury and Hahne, "Dynamic queue length
//! thresholds for shared-memory packet switches", 1998). Free is what is free in the worker as a whole, and of the three quarters
//! of it that one project may have. That alone would let ten lanes that fill one after the other leave nothing, so an
//! eighth is kept for those that hold next to nothing. What a lane has no room for goes behind the webhook's gate, from
//! where it comes back as the lane frees.
//!
//! Room is kept for others. A webhook that has been alone in the worker for a while takes nobody's, and a gate for what its
//! receiver takes as fast as the worker sends would only cost: what goes behind one needs several messages more. So its lane takes
//! what was leased for it, and nothing more is leased until it has room again: it has too much by one batch at most. A newcomer
//! finds what is ready in front of it, so this is bounded: once deliveries have for a while been ready for longer than [`BEHIND`](behind::BEHIND)
//! before they are leased, or its receiver answers slowly or not at all, a gate goes up as for any other.
//!
//! A receiver that says when it wants to be asked again gets nothing from its lane until then: what waits in it would each use up
//! an attempt to be told the same.
//!
//! What comes from behind gates is bounded by the gates' owner and has no part in these shares: did it count, a few slow
//! webhooks whose gates are worked off would take the room of all others.

mod behind;
mod company;
mod limits;
mod speed;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::concurrency::Answered;
use fanfare_core::ids::{ProjectId, WebhookId};

use behind::Behind;
use company::Company;
use limits::Limits;
use speed::Speed;

/// The bounds of the lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most requests at once in one lane.
    pub(crate) limit: usize,
    /// Deliveries from the queue held in all lanes together.
    pub(crate) held: usize,
}

impl Bounds {
    /// How many a lane may hold that counts as holding next to nothing.
    const NEXT_TO_NOTHING: usize = 2;

    /// Whether one more has room beside what its lane, its project, and all hold already.
    fn has_room(self, of_lane: usize, of_project: usize, of_all: usize) -> bool {
        let kept = self.held / 8;
        let most_of_project = (self.held - self.held / 4).max(1);
        let free = self.held.saturating_sub(of_all);
        if of_lane < Self::NEXT_TO_NOTHING {
            return free > 0 && of_project < most_of_project + kept;
        }
        let free_of_project = most_of_project.saturating_sub(of_project);
        of_lane < free.min(free_of_project).saturating_sub(kept)
    }
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
    project: ProjectId,
    /// Requests being made.
    running: usize,
    /// Deliveries held that came from the queue: waiting or being sent.
    held: usize,
    /// Deliveries held that came from behind the gate.
    from_gate: usize,
    waiting: VecDeque<(Origin, T)>,
    speed: Speed,
}

impl<T> Lane<T> {
    fn new(project: ProjectId) -> Self {
        Self { project, running: 0, held: 0, from_gate: 0, waiting: VecDeque::new(), speed: Speed::default() }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    lanes: HashMap<WebhookId, Lane<T>>,
    limits: Limits,
    bounds: Bounds,
    /// Deliveries held in all lanes together that came from the queue.
    held: usize,
    /// The same by project; none that holds nothing.
    by_project: HashMap<ProjectId, usize>,
    /// Until when those webhooks get nothing that have asked for that.
    held_back: HashMap<WebhookId, Monotonic>,
    company: Company,
    behind: Behind,
    /// The one that has been given more than it had room for, and has no room yet.
    crowded: Option<WebhookId>,
    closed: bool,
}

impl<T> Lanes<T> {
    /// No lanes yet. Bounds of zero are taken as one.
    pub(crate) fn new(bounds: Bounds) -> Self {
        let bounds = Bounds { limit: bounds.limit.max(1), held: bounds.held.max(1) };
        Self {
            lanes: HashMap::new(),
            limits: Limits::new(bounds.limit),
            bounds,
            held: 0,
            by_project: HashMap::new(),
            held_back: HashMap::new(),
            company: Company::default(),
            behind: Behind::default(),
            crowded: None,
            closed: false,
        }
    }

    /// Admits a delivery from the queue, if its lane has room, or is alone and fast and the worker is not [behind](Behind).
    pub(crate) fn admit(
        &mut self,
        webhook: WebhookId,
        project: &ProjectId,
        (ready_for, now): (Duration, Monotonic),
        item: T,
    ) -> Admission<T> {
        if self.closed {
            return Admission::Closed(item);
        }
        let is_alone = self.company.is_alone(webhook, now);
        let is_behind = self.behind.is_behind(ready_for, now);
        if !self.has_room(webhook, project) {
            if !is_alone || is_behind || !self.is_fast(webhook, now) {
                return Admission::Surplus(item);
            }
            self.crowded = Some(webhook);
        }
        let was_idle = self.running(webhook) == 0;
        let admission = self.enter(webhook, project, Origin::Queue, item);
        if was_idle && let Some(lane) = self.lanes.get_mut(&webhook) {
            lane.speed.begins(now);
        }
        admission
    }

    fn has_room(&self, webhook: WebhookId, project: &ProjectId) -> bool {
        let of_lane = self.lanes.get(&webhook).map_or(0, |lane| lane.held);
        let of_project = self.by_project.get(project).copied().unwrap_or(0);
        self.bounds.has_room(of_lane, of_project, self.held)
    }

    /// Whether a receiver takes hundreds a second, by the answers that have come lately or by how fast they were.
    fn is_fast(&self, webhook: WebhookId, now: Monotonic) -> bool {
        const MANY: usize = 250;
        /// For each request that is made at once: so it takes five hundred a second.
        const FAST: Duration = Duration::from_millis(2);
        const SILENT: Duration = Duration::from_millis(250);
        let Some(lane) = self.lanes.get(&webhook) else { return false };
        if self.held_back.contains_key(&webhook) || lane.speed.silent(now) > SILENT {
            return false;
        }
        let at_once = u32::try_from(self.limits.get(webhook)).unwrap_or(u32::MAX);
        lane.speed.lately(now) >= MANY
            || self.limits.latency(webhook).is_some_and(|latency| latency <= FAST.saturating_mul(at_once))
    }

    /// Whether a lane has more than it has room for and is about to work it off: nothing is to be leased meanwhile. One that has
    /// become slow is waited for no longer.
    pub(crate) fn is_crowded(&mut self, now: Monotonic) -> bool {
        self.crowded = self.crowded.filter(|webhook| {
            let project = self.lanes.get(webhook).map(|lane| &lane.project);
            project.is_some_and(|project| !self.has_room(*webhook, project)) && self.is_fast(*webhook, now)
        });
        self.crowded.is_some()
    }

    /// Admits a delivery from behind a gate, of which the gate's owner bounds the number.
    pub(crate) fn admit_from_gate(&mut self, webhook: WebhookId, project: &ProjectId, item: T) -> Admission<T> {
        if self.closed { Admission::Closed(item) } else { self.enter(webhook, project, Origin::Gate, item) }
    }

    fn enter(&mut self, webhook: WebhookId, project: &ProjectId, origin: Origin, item: T) -> Admission<T> {
        let lane = self.lanes.entry(webhook).or_insert_with(|| Lane::new(project.clone()));
        match origin {
            Origin::Queue => {
                self.held += 1;
                lane.held += 1;
                *self.by_project.entry(lane.project.clone()).or_default() += 1;
            }
            Origin::Gate => lane.from_gate += 1,
        }
        if lane.running < self.limits.get(webhook) && !self.held_back.contains_key(&webhook) {
            lane.running += 1;
            return Admission::Start(item);
        }
        lane.waiting.push_back((origin, item));
        Admission::Waits
    }

    /// How many requests the webhook gets at once.
    pub(crate) fn limit(&self, webhook: WebhookId) -> usize {
        self.limits.get(webhook)
    }

    /// How many requests are being made to the webhook.
    pub(crate) fn running(&self, webhook: WebhookId) -> usize {
        self.lanes.get(&webhook).map_or(0, |lane| lane.running)
    }

    /// Takes in what came of a request, before [`sent`](Self::sent) is told that it is over.
    pub(crate) fn answered(&mut self, webhook: WebhookId, answered: &Answered) {
        self.limits.answered(webhook, answered);
        if let Some(lane) = self.lanes.get_mut(&webhook) {
            lane.speed.answered(answered.ended);
        }
    }

    /// From now on the webhook gets one request at a time at first, as after an outage.
    pub(crate) fn recovering(&mut self, webhook: WebhookId) {
        self.limits.recovering(webhook);
    }

    /// A request of this lane is over. Returns those to be started now; after closing there are none.
    pub(crate) fn sent(&mut self, webhook: WebhookId) -> Vec<T> {
        if let Some(lane) = self.lanes.get_mut(&webhook) {
            lane.running = lane.running.saturating_sub(1);
        }
        self.startable(webhook)
    }

    fn startable(&mut self, webhook: WebhookId) -> Vec<T> {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return Vec::new() };
        if self.held_back.contains_key(&webhook) {
            return Vec::new();
        }
        let room = self.limits.get(webhook).saturating_sub(lane.running).min(lane.waiting.len());
        lane.running += room;
        lane.waiting.drain(..room).map(|(_, item)| item).collect()
    }

    /// Its receiver wants no request before a time: the lane starts none, and one at a time from then on at first. True if it is
    /// news, and the caller has to see to it that the lane [goes on](Self::go_on).
    pub(crate) fn hold_back(&mut self, webhook: WebhookId, until: Monotonic) -> bool {
        self.limits.recovering(webhook);
        let known = self.held_back.get(&webhook).copied();
        self.held_back.insert(webhook, known.map_or(until, |known| known.max(until)));
        known.is_none()
    }

    /// Until when a lane is held back, if it is.
    pub(crate) fn held_back_until(&self, webhook: WebhookId) -> Option<Monotonic> {
        self.held_back.get(&webhook).copied()
    }

    /// How many lanes are held back.
    pub(crate) fn held_back(&self) -> usize {
        self.held_back.len()
    }

    /// A lane that was held back goes on. Returns those to be started now.
    pub(crate) fn go_on(&mut self, webhook: WebhookId) -> Vec<T> {
        self.held_back.remove(&webhook);
        self.startable(webhook)
    }

    /// A delivery that was started is not held any more. True if its lane was crowded, and may not be so any more.
    pub(crate) fn left(&mut self, webhook: WebhookId, origin: Origin) -> bool {
        self.release(webhook, origin);
        self.crowded == Some(webhook)
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
        // In an order that a simulation can repeat.
        let mut webhooks: Vec<WebhookId> = self.lanes.keys().copied().collect();
        webhooks.sort_unstable();
        webhooks.into_iter().flat_map(|webhook| self.take_waiting(webhook, |_| true)).collect()
    }

    fn release(&mut self, webhook: WebhookId, origin: Origin) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        match origin {
            Origin::Queue => {
                lane.held = lane.held.saturating_sub(1);
                self.held = self.held.saturating_sub(1);
                if let Some(of_project) = self.by_project.get_mut(&lane.project) {
                    *of_project = of_project.saturating_sub(1);
                    if *of_project == 0 {
                        self.by_project.remove(&lane.project);
                    }
                }
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
