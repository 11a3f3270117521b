//! What stands behind gates, and who is told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::Delivery;
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::dedup::Fence;
use fanfare_core::ports::delivery_queue::{GateDepth, GatePosition, Lease, LeaseToken};

use super::copies::{Copies, Copy, Out, Stream};
use super::{Bounds, Now};

/// The partition of a webhook's gate.
pub(crate) fn partition_of(webhook: WebhookId, bounds: &Bounds) -> u16 {
    let sum = webhook.as_bytes().iter().fold(0_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(u16::from(*byte)));
    sum % bounds.gate_partitions.max(1)
}

/// What an owner has been told of: the last news of each webhook, and the leases that had run out. Kept by the owner, so that it
/// ends with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    news: BTreeMap<WebhookId, u64>,
    over: BTreeSet<LeaseToken>,
}

/// When a delivery behind a gate is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Over {
    /// If it expires by then.
    pub(crate) now: Timestamp,
    /// If it has been standing there since before.
    pub(crate) held_before: Timestamp,
}

impl Copies {
    fn copies(&self, sequences: impl Iterator<Item = u64>) -> impl Iterator<Item = (u64, &Copy)> {
        sequences.filter_map(|sequence| Some((sequence, self.streams.get(&(Stream::Gated, sequence))?)))
    }

    fn behind_of(&self, webhook: WebhookId) -> impl Iterator<Item = (u64, &Copy)> {
        self.copies(self.behind.of(webhook))
    }

    pub(crate) fn gate_depth(&self, webhook: WebhookId) -> GateDepth {
        let oldest = self.behind_of(webhook).next().map(|(_, copy)| copy.at);
        GateDepth { count: self.behind.count(webhook) as u64, oldest }
    }

    pub(crate) fn gate_read(&self, webhook: WebhookId, after: u64, max: usize) -> Vec<(GatePosition, Delivery)> {
        let further = self.behind_of(webhook).filter(|(sequence, copy)| *sequence > after && !copy.spoiled);
        further.take(max).map(|(sequence, copy)| (GatePosition(sequence), copy.delivery.clone())).collect()
    }

    /// The webhooks of a partition with something that the owner has not been told of; or in how long there may be one.
    pub(crate) fn arrivals(
        &self,
        partition: u16,
        told: &mut Told,
        bounds: &Bounds,
        now: Now,
    ) -> Result<Vec<WebhookId>, Option<Duration>> {
        let (mut webhooks, mut next) = (BTreeSet::new(), None::<Duration>);
        let mut news = BTreeMap::new();
        for (webhook, last) in self.behind.news().filter(|(webhook, _)| partition_of(*webhook, bounds) == partition) {
            if told.news.get(&webhook) != Some(&last) {
                webhooks.insert(webhook);
            }
            news.insert(webhook, last);
        }
        // A lease that has run out is news, once.
        let mut over = BTreeSet::new();
        for (token, leased) in self.leases.iter().filter(|(_, leased)| leased.is_from_gate()) {
            let Some(copy) = self.streams.get(&(leased.stream, leased.sequence)) else { continue };
            let webhook = copy.delivery.header.webhook;
            let is_current = copy.leased.is_some_and(|(current, _)| current == *token);
            if !is_current || partition_of(webhook, bounds) != partition {
                continue;
            }
            let wait = leased.until.since(now.monotonic);
            if !wait.is_zero() {
                next = Some(next.map_or(wait, |before| before.min(wait)));
                continue;
            }
            if !told.over.contains(token) {
                webhooks.insert(webhook);
            }
            over.insert(*token);
        }
        if webhooks.is_empty() {
            return Err(next);
        }
        *told = Told { news, over };
        Ok(webhooks.into_iter().collect())
    }

    /// What is to go into quarantine before the next ones can be taken, of the first that are free.
    pub(crate) fn unfit_behind(
        &self,
        webhook: WebhookId,
        max: usize,
        fence: u64,
        bounds: &Bounds,
        now: Now,
    ) -> Vec<Out> {
        let free = self.behind_of(webhook).filter(|(_, copy)| self.is_free(copy, fence, now.monotonic));
        let unfit = free.take(max).filter(|(_, copy)| copy.spoiled || copy.times >= bounds.quarantine_after);
        unfit.map(|(sequence, copy)| Self::out(Stream::Gated, sequence, copy)).collect()
    }

    /// Leases from the head of one gate what is not leased under this token.
    pub(crate) fn take(
        &mut self,
        webhook: WebhookId,
        max: usize,
        fence: Fence,
        by: u32,
        bounds: &Bounds,
        now: Now,
    ) -> Vec<Lease> {
        let free = self.behind_of(webhook).filter(|(_, copy)| self.is_free(copy, fence.0, now.monotonic));
        let fit = free.filter(|(_, copy)| !copy.spoiled && copy.times < bounds.quarantine_after);
        let fit: Vec<u64> = fit.take(max).map(|(sequence, _)| sequence).collect();
        let until = now.monotonic.after(bounds.lease);
        fit.into_iter().filter_map(|at| self.grant(Stream::Gated, at, Some(fence), by, until)).collect()
    }

    /// Leases, from behind any gate of a partition, what has expired or stood too long.
    #[allow(clippy::too_many_arguments, reason = "as those of `take`, and what is over")]
    pub(crate) fn take_expired(
        &mut self,
        partition: u16,
        over: &Over,
        max: usize,
        fence: Fence,
        by: u32,
        bounds: &Bounds,
        now: Now,
    ) -> Vec<Lease> {
        let over = self.copies(self.behind.over(over.now, over.held_before));
        let own = over.filter(|(_, copy)| partition_of(copy.delivery.header.webhook, bounds) == partition);
        let free = own.filter(|(_, copy)| self.is_free(copy, fence.0, now.monotonic));
        let fit = free.filter(|(_, copy)| !copy.spoiled && copy.times < bounds.quarantine_after);
        let fit: Vec<u64> = fit.take(max).map(|(sequence, _)| sequence).collect();
        let until = now.monotonic.after(bounds.lease);
        fit.into_iter().filter_map(|at| self.grant(Stream::Gated, at, Some(fence), by, until)).collect()
    }
}
