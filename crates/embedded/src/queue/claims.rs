//! Claims: who may send a delivery at which hop. In memory only, like the leases.
//!
//! A claim outlives the lease under which it was made: when a frozen worker's lease runs out, the next holder at the
//! same hop is told that the first may still be sending. No owner of gates is gone while its claims are known: they end with the
//! process, so a fence displaces none of them.

use std::collections::HashMap;
use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::delivery::End;
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::dedup::Claim;
use fanfare_core::ports::delivery_queue::LeaseToken;

/// What the file says of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing.
    Nothing,
    /// It is live, here or elsewhere; no hop below this one is.
    Live(Hop),
    /// It has ended so.
    Ended(End),
}

#[derive(Debug)]
struct Claimed {
    hop: Hop,
    until: Monotonic,
    /// The lease that its holder had, if the delivery was leased.
    lease: Option<LeaseToken>,
}

/// All claims.
#[derive(Debug)]
pub(crate) struct Claims {
    held: HashMap<DeliveryId, Claimed>,
    /// When there are this many, those that have run out are removed.
    sweep_at: usize,
}

/// Below this many claims, removing old ones is not worth looking for them.
const FEW: usize = 1024;

impl Default for Claims {
    fn default() -> Self {
        Self { held: HashMap::new(), sweep_at: FEW }
    }
}

impl Claims {
    /// Answers a claim, in the order of [`Claim`]; `lease` is the one that the claimer has, if the delivery is leased.
    pub(crate) fn claim(
        &mut self,
        delivery: DeliveryId,
        hop: Hop,
        known: Known,
        lease: Option<LeaseToken>,
        now: Monotonic,
        ttl: Duration,
    ) -> Claim {
        let lowest = match known {
            Known::Ended(end) => return Claim::Done(end),
            Known::Live(lowest) => lowest,
            Known::Nothing => Hop(0),
        };
        let holder = self.holder(delivery, now);
        if hop < lowest || holder.is_some_and(|holder| hop < holder) {
            return Claim::Stale;
        }
        let answer = match holder {
            Some(holder) if holder == hop => return Claim::Busy,
            Some(_) => Claim::TakenOver,
            None => Claim::Claimed,
        };
        self.sweep(now);
        self.held.insert(delivery, Claimed { hop, until: now.after(ttl), lease });
        answer
    }

    /// The hop at which a delivery is claimed now.
    pub(crate) fn holder(&self, delivery: DeliveryId, now: Monotonic) -> Option<Hop> {
        self.held.get(&delivery).filter(|claimed| claimed.until > now).map(|claimed| claimed.hop)
    }

    /// Ends the claim of a delivery that has moved or ended.
    pub(crate) fn close(&mut self, delivery: DeliveryId) {
        self.held.remove(&delivery);
    }

    /// Ends the claim at this hop.
    pub(crate) fn release(&mut self, delivery: DeliveryId, hop: Hop) {
        if self.held.get(&delivery).is_some_and(|claimed| claimed.hop <= hop) {
            self.held.remove(&delivery);
        }
    }

    /// Ends the claim of a worker that gives its lease back. Another's stays: it may be sending.
    pub(crate) fn give_up(&mut self, delivery: DeliveryId, lease: LeaseToken) {
        if self.held.get(&delivery).is_some_and(|claimed| claimed.lease == Some(lease)) {
            self.held.remove(&delivery);
        }
    }

    /// Removes what has run out whenever the claims have doubled since: memory follows the number of live ones.
    fn sweep(&mut self, now: Monotonic) {
        if self.held.len() >= self.sweep_at {
            self.held.retain(|_, claimed| claimed.until > now);
            self.sweep_at = (2 * self.held.len()).max(FEW);
        }
    }
}
