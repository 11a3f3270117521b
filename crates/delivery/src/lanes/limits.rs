//! What is known of how many requests at once each receiver takes; it outlives the lane, which is there only while something
//! is in it.

use std::collections::HashMap;
use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::concurrency::{Answered, ConcurrencyLimit};
use fanfare_core::ids::WebhookId;

/// For how long what was learned is remembered after the last answer.
const REMEMBERED: Duration = Duration::from_secs(600);
/// When so many are known, those that have not answered for long are forgotten.
const SWEEP_AT: usize = 4096;

#[derive(Debug)]
struct Known {
    limit: ConcurrencyLimit,
    /// When it answered last; `None`: not since an outage.
    answered: Option<Monotonic>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Limits {
    most: usize,
    known: HashMap<WebhookId, Known>,
    /// How many there may be before the next sweep: twice what the last one left, so that sweeping costs little for each.
    sweep_at: usize,
}

impl Limits {
    pub(super) fn new(most: usize) -> Self {
        Self { most, known: HashMap::new(), sweep_at: SWEEP_AT }
    }

    pub(super) fn get(&self, webhook: WebhookId) -> usize {
        self.known.get(&webhook).map_or(ConcurrencyLimit::FIRST.min(self.most), |known| known.limit.get())
    }

    /// How long the receiver's answers have taken lately, if that is known.
    pub(super) fn latency(&self, webhook: WebhookId) -> Option<Duration> {
        self.known.get(&webhook)?.limit.latency()
    }

    pub(super) fn answered(&mut self, webhook: WebhookId, answered: &Answered) {
        if self.known.len() >= self.sweep_at {
            self.sweep(answered.ended);
        }
        let new = || Known { limit: ConcurrencyLimit::new(self.most), answered: None };
        let known = self.known.entry(webhook).or_insert_with(new);
        known.limit.answered(answered);
        known.answered = Some(answered.ended);
    }

    pub(super) fn recovering(&mut self, webhook: WebhookId) {
        self.known.insert(webhook, Known { limit: ConcurrencyLimit::recovering(self.most), answered: None });
    }

    fn sweep(&mut self, now: Monotonic) {
        self.known.retain(|_, known| {
            known.answered.is_some_and(|answered| now.since(answered) < REMEMBERED) && !known.limit.is_at_rest()
        });
        self.sweep_at = (self.known.len() * 2).max(SWEEP_AT);
    }
}

#[cfg(test)]
mod tests {
    use fanfare_core::attempt::OutcomeClass;

    use super::*;

    fn answered(seconds: u64, outcome: OutcomeClass) -> Answered {
        let at = Monotonic(Duration::from_secs(seconds));
        Answered { outcome, status: None, begun: at, ended: at, running: 1 }
    }

    #[test]
    fn forgets_who_has_not_answered_for_long_and_who_is_at_rest() {
        let mut limits = Limits::new(32);
        let webhook = |number: u32| WebhookId::from_uuid(uuid::Uuid::from_u128(number.into()));
        limits.answered(webhook(0), &answered(1, OutcomeClass::Timeout));
        for number in 1..4096 {
            limits.answered(webhook(number), &answered(900, OutcomeClass::Success));
        }
        limits.answered(webhook(5000), &answered(901, OutcomeClass::Timeout));
        assert_eq!((limits.get(webhook(0)), limits.known.len()), (ConcurrencyLimit::FIRST, 1));
        assert_eq!(limits.get(webhook(5000)), 4);
    }
}
