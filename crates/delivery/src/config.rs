//! The `[delivery]` section: how much is held and sent at once.

use std::time::Duration;

use fanfare_runtime::Span;
use serde::{Deserialize, Serialize};

/// What to do while nobody can say whether a delivery is done already, because the store of claims does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DedupOnUnavailable {
    /// Deliver all the same: a receiver may get a delivery twice, and knows it by its idempotency key.
    #[default]
    Deliver,
    /// Wait until it answers: nothing is sent meanwhile.
    Wait,
}

/// Delivery's bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryConfig {
    /// How many leases a worker holds at once: being sent, waiting in lanes, or being settled. Default 1024; with it goes
    /// memory, up to 256 KiB of body for each.
    pub max_in_flight: usize,
    /// How many deliveries are leased at once. Default 64; more would make the store's transactions long.
    pub lease_batch: usize,
    /// How many requests one webhook gets at once. Default 32: enough for 1,600 a second at 20 ms each, and few enough not
    /// to overrun a receiver that is slow.
    pub lane_limit: usize,
    /// How long a claim holds. Default 45s: a request of the longest timeout, 30 s, and its settlement. At least 35s, whatever
    /// is set.
    pub claim_ttl: Span,
    /// What to do while the store of claims does not answer: "deliver" (the default: receivers recognise what they get twice)
    /// or "wait".
    pub dedup_on_unavailable: DedupOnUnavailable,
    /// How many gates are worked off at once, for each partition of gates. Default 16: each holds up to twice `lane_limit`
    /// leases beside `max_in_flight`.
    pub max_releases: usize,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            max_in_flight: 1024,
            lease_batch: 64,
            lane_limit: 32,
            claim_ttl: Span::from_secs(45),
            dedup_on_unavailable: DedupOnUnavailable::Deliver,
            max_releases: 16,
        }
    }
}

impl DeliveryConfig {
    /// How long a claim holds: longer than the longest request, whatever is configured.
    pub(crate) fn claim_ttl(&self) -> Duration {
        const LONGEST_REQUEST_AND_MARGIN: Duration = Duration::from_secs(35);
        self.claim_ttl.get().max(LONGEST_REQUEST_AND_MARGIN)
    }
}
