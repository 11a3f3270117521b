//! The leases this worker holds, until when, and which of them it has lost.
//!
//! A lease is in the table from the moment it is leased until it is settled, given back or dropped; the renewal task goes
//! by the table. A [`Hold`] is one lease's place in it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::{Clock, Monotonic};
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::delivery_queue::{GatePartition, Lease, LeaseToken};
use parking_lot::Mutex;
use tokio::sync::Notify;

#[derive(Clone, Copy, Debug)]
struct Entry {
    webhook: WebhookId,
    until: Monotonic,
    lost: bool,
}

#[derive(Debug, Default)]
struct Table {
    leases: HashMap<LeaseToken, Entry>,
    /// How long the engine's leases last, as seen.
    lease_time: Duration,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Held {
    table: Mutex<Table>,
    /// Something is held, or nothing is any more.
    turned: Notify,
}

impl Held {
    /// Enters a lease that was just taken.
    pub(crate) fn enter(self: &Arc<Self>, lease: &Lease, clock: &dyn Clock) -> Hold {
        let mut table = self.table.lock();
        let lease_time = lease.until.since(clock.monotonic());
        table.lease_time = table.lease_time.max(lease_time);
        let entry = Entry { webhook: lease.delivery.header.webhook, until: lease.until, lost: false };
        table.leases.insert(lease.token, entry);
        if table.leases.len() == 1 {
            self.turned.notify_one();
        }
        Hold { held: Arc::clone(self), token: lease.token, gate: None }
    }

    /// How long leases last; `None` while none is held.
    pub(crate) fn lease_time(&self) -> Option<Duration> {
        let table = self.table.lock();
        (!table.leases.is_empty()).then_some(table.lease_time)
    }

    /// Waits until something is held that was not, or nothing is any more.
    pub(crate) async fn turned(&self) {
        self.turned.notified().await;
    }

    /// The leases of which a third has passed.
    pub(crate) fn to_renew(&self, now: Monotonic) -> Vec<LeaseToken> {
        let table = self.table.lock();
        let enough = now.after(table.lease_time * 2 / 3);
        table.leases.iter().filter(|(_, entry)| !entry.lost && entry.until <= enough).map(|(token, _)| *token).collect()
    }

    /// These were renewed at `asked`, but for the lost ones; returns the webhooks of those.
    pub(crate) fn renewed(
        &self,
        tokens: &[LeaseToken],
        lost: &[LeaseToken],
        asked: Monotonic,
    ) -> Vec<(LeaseToken, WebhookId)> {
        let mut table = self.table.lock();
        let until = asked.after(table.lease_time);
        for token in tokens {
            if let Some(entry) = table.leases.get_mut(token) {
                entry.until = until;
            }
        }
        let mut gone = Vec::with_capacity(lost.len());
        for token in lost {
            if let Some(entry) = table.leases.get_mut(token) {
                entry.lost = true;
                gone.push((*token, entry.webhook));
            }
        }
        gone
    }
}

/// One lease's place in the table; dropping it gives the place up, and with it the renewal.
#[derive(Debug)]
pub(crate) struct Hold {
    held: Arc<Held>,
    token: LeaseToken,
    /// Where it was taken from behind a gate: what is lost with the partition is lost, whatever the lease says.
    gate: Option<Arc<dyn GatePartition>>,
}

impl Hold {
    /// The lease was taken from this partition of gates.
    pub(crate) fn taken_from(&mut self, gate: &Arc<dyn GatePartition>) {
        self.gate = Some(Arc::clone(gate));
    }

    /// Whether the lease was taken from this partition of gates.
    pub(crate) fn is_from(&self, gate: &Arc<dyn GatePartition>) -> bool {
        self.gate.as_ref().is_some_and(|own| Arc::ptr_eq(own, gate))
    }

    /// Whether the lease is still ours, by this worker's own monotonic clock: after a freeze it is the clock that knows first.
    pub(crate) fn is_ours(&self, now: Monotonic) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.is_held())
            && self.held.table.lock().leases.get(&self.token).is_some_and(|entry| !entry.lost && now < entry.until)
    }
}

impl Hold {
    /// Notes that the lease is not ours any more; answers whether that is news.
    pub(crate) fn lose(&self) -> bool {
        let mut table = self.held.table.lock();
        table.leases.get_mut(&self.token).is_some_and(|entry| !std::mem::replace(&mut entry.lost, true))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut table = self.held.table.lock();
        table.leases.remove(&self.token);
        if table.leases.is_empty() {
            self.held.turned.notify_one();
        }
    }
}
