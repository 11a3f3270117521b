//! The `[delivery]` section: how much is held and sent at once.

use std::time::Duration;

use fanfare_core::breaker::{Probing, Tripping};
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
    /// memory, up to 256 KiB of body for each. While a quarter of them wait for the stores, to be claimed or settled, no more are leased.
    pub max_in_flight: usize,
    /// How many deliveries are leased at once. Default 64; more would make the store's transactions long.
    pub lease_batch: usize,
    /// How many requests one webhook gets at once at most. Default 32: enough for 1,600 a second at 20 ms each. How many it
    /// does get is found out: from 8 on more while it takes them, fewer on timeouts, broken connections, 429, 502 to 504, and
    /// when answers become slower with more at once.
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
    /// After how many failures in a row a webhook's breaker opens: then it is only probed. Default 10: a receiver that restarts
    /// fails a few, one that is down fails all.
    pub breaker_failures: u32,
    /// The window over which the share of failures is looked at. Default 1m.
    pub breaker_window: Span,
    /// How many attempts have to be in the window before their share says anything. Default 20.
    pub breaker_window_attempts: u32,
    /// The share of failures in the window, in percent, from which on the breaker opens. Default 50.
    pub breaker_percent: u32,
    /// How long after opening the first probe is made; the intervals double. Default 1s: a receiver that only restarted is
    /// hardly held up.
    pub probe_first: Span,
    /// The longest interval between probes. Default 20s: a receiver that is back has its deliveries within half a minute, and
    /// one that is down gets three requests a minute.
    pub probe_longest: Span,
    /// How long a webhook may fail without a break before it is paused until it is activated. Default 5d.
    pub pause_after: Span,
    /// How long a delivery stands behind its webhook's gate before it ends as expired. Default 30d: as long as its event is
    /// kept, so that one that ends so can be replayed until about then.
    pub hold_max_age: Span,
    /// How often the owner of gates looks for deliveries behind them whose time is over. Default 10s: a look costs next to
    /// nothing, and nothing is sent past its expiry however seldom it is.
    pub expiry_interval: Span,
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
            breaker_failures: 10,
            breaker_window: Span::from_secs(60),
            breaker_window_attempts: 20,
            breaker_percent: 50,
            probe_first: Span::from_secs(1),
            probe_longest: Span::from_secs(20),
            pause_after: Span::from_secs(5 * 24 * 3600),
            hold_max_age: Span::from_secs(30 * 24 * 60 * 60),
            expiry_interval: Span::from_secs(10),
        }
    }
}

impl DeliveryConfig {
    /// When a breaker opens.
    pub(crate) fn tripping(&self) -> Tripping {
        Tripping {
            consecutive: self.breaker_failures,
            window: self.breaker_window.get(),
            attempts: self.breaker_window_attempts,
            percent: self.breaker_percent,
        }
    }

    /// When one that is open is probed.
    pub(crate) fn probing(&self) -> Probing {
        Probing { first: self.probe_first.get(), longest: self.probe_longest.get() }
    }

    /// How long a claim holds: longer than the longest request, whatever is configured.
    pub(crate) fn claim_ttl(&self) -> Duration {
        const LONGEST_REQUEST_AND_MARGIN: Duration = Duration::from_secs(35);
        self.claim_ttl.get().max(LONGEST_REQUEST_AND_MARGIN)
    }
}
