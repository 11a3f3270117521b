//! What stands behind gates, and who is told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::Delivery;
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::delivery_queue::{GateDepth, GatePosition, Lease};

use super::copies::{Copies, Copy, Out, Stream};
use super::{Bounds, Now};

/// The partition of a webhook's gate.
pub(crate) fn partition_of(webhook: WebhookId, bounds: &Bounds) -> u16 {
    let sum = webhook.as_bytes().iter().fold(0_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(u16::from(*byte)));
    sum % bounds.gate_partitions.max(1)
}

/// What an owner has been told of: each copy, with how often it had been leased then. Kept by the owner, so that it ends
/// with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(BTreeMap<u64, u32>);

/// When a delivery behind a gate is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Over {
    /// If it expires by then.
    pub(crate) now: Timestamp,
    /// If it has been standing there since before.
    pub(crate) held_before: Timestamp,
}

impl Copies {
    fn behind(&self) -> impl Iterator<Item = (u64, &Copy)> {
        let gated = self.streams.range((Stream::Gated, 0)..=(Stream::Gated, u64::MAX));
        gated.map(|((_, sequence), copy)| (*sequence, copy))
    }

    fn behind_of(&self, webhook: WebhookId) -> impl Iterator<Item = (u64, &Copy)> {
        self.behind().filter(move |(_, copy)| copy.delivery.header.webhook == webhook)
    }

    pub(crate) fn gate_depth(&self, webhook: WebhookId) -> GateDepth {
        let mut behind = self.behind_of(webhook);
        let oldest = behind.next().map(|(_, copy)| copy.at);
        GateDepth { count: behind.count() as u64 + u64::from(oldest.is_some()), oldest }
    }

    pub(crate) fn gate_read(&self, webhook: WebhookId, after: u64, max: usize) -> Vec<(GatePosition, Delivery)> {
        let further = self.behind_of(webhook).filter(|(sequence, copy)| *sequence > after && !copy.spoiled);
        further.take(max).map(|(sequence, copy)| (GatePosition(sequence), copy.delivery.clone())).collect()
    }

    /// The webhooks of a partition with something that the owner has not been told of; or in how long there may be one.
    pub(crate) fn arrivals(
        &self,
        partition: u16,
        fence: u64,
        told: &mut Told,
        bounds: &Bounds,
        now: Now,
    ) -> Result<Vec<WebhookId>, Option<Duration>> {
        let (mut webhooks, mut next) = (BTreeSet::new(), None::<Duration>);
        let mut seen = BTreeMap::new();
        for (sequence, copy) in self.behind() {
            let webhook = copy.delivery.header.webhook;
            if partition_of(webhook, bounds) != partition {
                continue;
            }
            if self.is_free(copy, fence, now.monotonic) {
                // What was leased since is free again, which is news.
                if told.0.get(&sequence) != Some(&copy.times) {
                    webhooks.insert(webhook);
                }
                seen.insert(sequence, copy.times);
            } else {
                let held = copy.leased.and_then(|(token, _)| self.leases.get(&token));
                let wait = held.map_or(Duration::ZERO, |held| held.until.since(now.monotonic));
                next = Some(next.map_or(wait, |before| before.min(wait)));
            }
        }
        if webhooks.is_empty() {
            return Err(next);
        }
        told.0 = seen;
        Ok(webhooks.into_iter().collect())
    }

    /// What is to go into quarantine before the next ones can be taken.
    pub(crate) fn unfit_behind(&self, webhook: WebhookId, fence: u64, bounds: &Bounds, now: Now) -> Vec<Out> {
        let free = self.behind_of(webhook).filter(|(_, copy)| self.is_free(copy, fence, now.monotonic));
        let unfit = free.filter(|(_, copy)| copy.spoiled || copy.times >= bounds.quarantine_after);
        unfit.map(|(sequence, copy)| Self::out(Stream::Gated, sequence, copy)).collect()
    }

    /// Leases from the head of one gate what is not leased under this token.
    pub(crate) fn take(
        &mut self,
        webhook: WebhookId,
        max: usize,
        fence: u64,
        by: u32,
        bounds: &Bounds,
        now: Now,
    ) -> Vec<Lease> {
        let free = self.behind_of(webhook).filter(|(_, copy)| self.is_free(copy, fence, now.monotonic));
        let fit = free.filter(|(_, copy)| !copy.spoiled && copy.times < bounds.quarantine_after);
        let fit: Vec<u64> = fit.take(max).map(|(sequence, _)| sequence).collect();
        let until = now.monotonic.after(bounds.lease);
        fit.into_iter().filter_map(|at| self.grant(Stream::Gated, at, fence, by, until)).collect()
    }

    /// Leases, from behind any gate of a partition, what has expired or stood too long.
    #[allow(clippy::too_many_arguments, reason = "as those of `take`, and what is over")]
    pub(crate) fn take_expired(
        &mut self,
        partition: u16,
        over: &Over,
        max: usize,
        fence: u64,
        by: u32,
        bounds: &Bounds,
        now: Now,
    ) -> Vec<Lease> {
        let own = self.behind().filter(|(_, copy)| partition_of(copy.delivery.header.webhook, bounds) == partition);
        let over = own.filter(|(_, copy)| {
            let expires_at = copy.delivery.header.expires_at;
            expires_at.is_some_and(|expiry| expiry <= over.now) || copy.at < over.held_before
        });
        let free = over.filter(|(_, copy)| self.is_free(copy, fence, now.monotonic));
        let fit = free.filter(|(_, copy)| !copy.spoiled && copy.times < bounds.quarantine_after);
        let fit: Vec<u64> = fit.take(max).map(|(sequence, _)| sequence).collect();
        let until = now.monotonic.after(bounds.lease);
        fit.into_iter().filter_map(|at| self.grant(Stream::Gated, at, fence, by, until)).collect()
    }
}
