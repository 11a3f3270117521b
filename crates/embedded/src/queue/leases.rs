//! Who works on which delivery, until when. In memory only: a lease ends with the process that holds it.

use std::collections::{BTreeSet, HashMap};

use fanfare_core::clock::Monotonic;
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::delivery_queue::LeaseToken;

use crate::codec::Standing;

/// A delivery under lease. Its body is shared with the worker's copy, so that keeping it costs next to nothing.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) row: Standing,
    pub(crate) redeliveries: u32,
    until: Monotonic,
    /// Its settlement is on its way to the file: it does not run out meanwhile.
    settling: bool,
}

/// All leases.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: HashMap<LeaseToken, Held>,
    by_delivery: HashMap<DeliveryId, LeaseToken>,
    /// Those that can run out.
    by_end: BTreeSet<(Monotonic, LeaseToken)>,
    last: u64,
}

impl Leases {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// Leases a row that is not leased.
    pub(crate) fn grant(&mut self, row: Standing, redeliveries: u32, until: Monotonic) -> LeaseToken {
        self.last += 1;
        let token = LeaseToken(self.last);
        self.by_delivery.insert(row.delivery.header.id, token);
        self.by_end.insert((until, token));
        self.held.insert(token, Held { row, redeliveries, until, settling: false });
        token
    }

    /// The lease on a delivery, and the hop it is held at.
    pub(crate) fn of(&self, delivery: DeliveryId) -> Option<(LeaseToken, Hop)> {
        let token = *self.by_delivery.get(&delivery)?;
        Some((token, self.held.get(&token)?.row.delivery.header.hop))
    }

    /// Prolongs a lease; false if it is not held any more.
    pub(crate) fn renew(&mut self, token: LeaseToken, until: Monotonic) -> bool {
        let Some(held) = self.held.get_mut(&token) else { return false };
        if self.by_end.remove(&(held.until, token)) {
            self.by_end.insert((until, token));
        }
        held.until = until;
        true
    }

    /// Marks a lease as being settled, so that it cannot run out between the statements and the commit. Returns its
    /// row;
    /// `None` if it is not the current lease of this delivery at this hop, or is being settled already.
    pub(crate) fn begin_settling(&mut self, token: LeaseToken, delivery: DeliveryId, hop: Hop) -> Option<i64> {
        let held = self.held.get_mut(&token)?;
        let header = &held.row.delivery.header;
        if held.settling || header.id != delivery || header.hop != hop {
            return None;
        }
        held.settling = true;
        self.by_end.remove(&(held.until, token));
        Some(held.row.seq)
    }

    /// The settlement did not come about: the lease goes on, or has run out meanwhile.
    pub(crate) fn undo_settling(&mut self, token: LeaseToken) {
        if let Some(held) = self.held.get_mut(&token).filter(|held| held.settling) {
            held.settling = false;
            self.by_end.insert((held.until, token));
        }
    }

    /// Ends a lease that is given up; one that is being settled stays.
    pub(crate) fn give_up(&mut self, token: LeaseToken) -> Option<Held> {
        if self.held.get(&token)?.settling {
            return None;
        }
        self.end(token)
    }

    /// Ends a lease.
    pub(crate) fn end(&mut self, token: LeaseToken) -> Option<Held> {
        let held = self.held.remove(&token)?;
        self.by_end.remove(&(held.until, token));
        self.by_delivery.remove(&held.row.delivery.header.id);
        Some(held)
    }

    /// Ends the first lease that has run out, if one has.
    pub(crate) fn pop_expired(&mut self, now: Monotonic) -> Option<Held> {
        let (until, token) = *self.by_end.first()?;
        if until > now {
            return None;
        }
        self.end(token)
    }

    /// When the next lease runs out.
    pub(crate) fn next_end(&self) -> Option<Monotonic> {
        self.by_end.first().map(|(until, _)| *until)
    }
}
