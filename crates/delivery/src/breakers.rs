//! The breakers of the webhooks that this process sends to: what their attempts came to, and when that is enough.

use std::collections::HashMap;

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::breaker::{Breaker, Tripping};
use fanfare_core::clock::Monotonic;
use fanfare_core::ids::WebhookId;
use parking_lot::Mutex;

/// When so many are kept, those that remember no failure are dropped.
const SWEEP_AT: usize = 4096;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Breakers(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    breakers: HashMap<WebhookId, Breaker>,
    /// How many there may be before the next sweep: twice what the last one left.
    sweep_at: usize,
}

impl Breakers {
    /// Counts an attempt. True if the webhook's breaker is to open.
    pub(crate) fn count(&self, webhook: WebhookId, outcome: OutcomeClass, now: Monotonic, tripping: &Tripping) -> bool {
        let mut kept = self.0.lock();
        if kept.breakers.len() >= kept.sweep_at.max(SWEEP_AT) {
            kept.breakers.retain(|_, breaker| !breaker.is_at_rest(now, tripping.window));
            kept.sweep_at = kept.breakers.len() * 2;
        }
        kept.breakers.entry(webhook).or_default().count(outcome, now, tripping)
    }

    /// Counts anew: what was counted was before an outage.
    pub(crate) fn forget(&self, webhook: WebhookId) {
        self.0.lock().breakers.remove(&webhook);
    }
}
