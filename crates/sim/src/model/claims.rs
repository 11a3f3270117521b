//! Claims, as the scripts in Redis have them.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::delivery::End;
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::dedup::{Claim, Fence, Standing};

/// How long a delivery that has not ended is remembered after its last move.
const LIVE: Duration = Duration::from_secs(35 * 24 * 60 * 60);

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    done: Option<End>,
    low: Option<Hop>,
    held: Option<Held>,
    forgotten: Monotonic,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    hop: Hop,
    until: Monotonic,
    by: Claimer,
}

/// Who claims: a process, and under which ownership of a gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claimer {
    pub(crate) process: u32,
    pub(crate) fence: Option<Fence>,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Claims(BTreeMap<DeliveryId, Known>);

impl Claims {
    fn known(&mut self, delivery: DeliveryId, now: Monotonic) -> &mut Known {
        let known = self.0.entry(delivery).or_default();
        if known.forgotten <= now {
            *known = Known::default();
        }
        known
    }

    /// Claims a delivery; a holder whose process is gone is displaced, unless it is a later owner of the gate.
    pub(crate) fn claim(
        &mut self,
        delivery: DeliveryId,
        hop: Hop,
        ttl: Duration,
        by: Claimer,
        is_gone: impl Fn(u32) -> bool,
        now: Monotonic,
    ) -> Claim {
        let known = self.known(delivery, now);
        if let Some(end) = known.done {
            return Claim::Done(end);
        }
        let held = known.held.filter(|held| held.until > now);
        if known.low.is_some_and(|low| hop < low) || held.is_some_and(|held| hop < held.hop) {
            return Claim::Stale;
        }
        let displaces = |held: Claimer| {
            let is_newer = held.fence.zip(by.fence).is_some_and(|(held, by)| held >= by);
            !is_newer && is_gone(held.process)
        };
        if held.is_some_and(|held| held.hop == hop && !displaces(held.by)) {
            return Claim::Busy;
        }
        known.low = Some(hop);
        known.held = Some(Held { hop, until: now.after(ttl), by });
        known.forgotten = now.after(LIVE.max(ttl));
        if held.is_some() { Claim::TakenOver } else { Claim::Claimed }
    }

    /// Raises the lowest live hop, and ends claims of lower ones.
    pub(crate) fn raise(&mut self, delivery: DeliveryId, low: Hop, now: Monotonic) {
        let known = self.known(delivery, now);
        if known.done.is_some() {
            return;
        }
        known.low = Some(known.low.map_or(low, |before| before.max(low)));
        known.held = known.held.filter(|held| held.hop >= low);
        known.forgotten = now.after(LIVE);
    }

    /// The first end stays.
    pub(crate) fn complete(&mut self, delivery: DeliveryId, end: End, keep: Duration, now: Monotonic) {
        let known = self.known(delivery, now);
        if known.done.is_none() {
            *known = Known { done: Some(end), forgotten: now.after(keep), ..Known::default() };
        }
    }

    /// Ends a claim whose holder gives its lease back; another's stays.
    pub(crate) fn give_up(&mut self, delivery: DeliveryId, hop: Hop, by: Claimer, now: Monotonic) {
        let known = self.known(delivery, now);
        let is_own = |held: Held| (held.by.process, held.by.fence) == (by.process, by.fence);
        known.held = known.held.filter(|held| held.hop != hop || !is_own(*held));
    }

    pub(crate) fn standing(&mut self, delivery: DeliveryId, now: Monotonic) -> Standing {
        let known = self.known(delivery, now);
        match (known.done, known.low) {
            (Some(end), _) => Standing::Done(end),
            (None, Some(low)) => Standing::Live(low),
            (None, None) => Standing::Unknown,
        }
    }

    /// Whether this process has the delivery claimed at this hop.
    pub(crate) fn holds(&mut self, delivery: DeliveryId, hop: Hop, by: u32, now: Monotonic) -> bool {
        self.known(delivery, now).held.is_some_and(|held| held.until > now && held.hop == hop && held.by.process == by)
    }

    /// Loses everything, as a store without a disk does.
    pub(crate) fn empty(&mut self) {
        self.0.clear();
    }
}
