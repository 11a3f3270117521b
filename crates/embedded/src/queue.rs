//! The delivery queue: rows in the file, and in memory what is handed out next, what is leased, and what is claimed.
//!
//! A delivery that is due needs no write to become ready: from its time on its row may be leased. Leases and claims are
//! in memory only, since they end with the process. Every change of a row is an operation of the writer, compared there
//! with the lease and the hop, and what is in memory follows after the commit.

mod claims;
mod depth;
mod gates;
mod lease;
mod leases;
mod move_on;
mod push;
mod quarantine;
mod refill;
mod settle;
mod state;
mod window;
mod withdraw;

use async_trait::async_trait;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{Delivery, Settlement};
use fanfare_core::ids::{DeliveryId, WebhookId};
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::delivery_queue::{
    BringForward, GateDepth, GatePosition, GateShare, Lease, LeaseToken, Push, QueueDepth, Settling, Withdrawal,
};
use fanfare_core::ports::{DeliveryQueue, StoreResult};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::{Notify, Semaphore};

use crate::Embedded;
use crate::config::EmbeddedConfig;
use state::State;

pub(crate) use claims::Known;
pub(crate) use window::Order;

/// The queue's part in memory.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Held for no await and no statement.
    pub(crate) state: Mutex<State>,
    /// Something may have become leasable, or sooner than it was.
    ready: Notify,
    /// Something has come to stand behind a gate.
    arrived: Notify,
    /// One permit: one owner of the one partition of gates.
    gate_owner: Arc<Semaphore>,
    /// How many have owned the gates so far.
    gate_owners: AtomicU64,
}

impl Queue {
    /// The state as it is in the file.
    pub(crate) fn load(connection: &Connection, config: &EmbeddedConfig, now: Timestamp) -> rusqlite::Result<Self> {
        Ok(Self {
            state: Mutex::new(State::load(connection, config, now)?),
            ready: Notify::new(),
            arrived: Notify::new(),
            gate_owner: Arc::new(Semaphore::new(1)),
            gate_owners: AtomicU64::new(0),
        })
    }

    /// Changes the state, then wakes whom the change concerns.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let (result, wake) = {
            let mut state = self.state.lock();
            let result = change(&mut state);
            (result, state.take_wake())
        };
        if wake.ready {
            self.ready.notify_waiters();
        }
        if wake.arrived {
            self.arrived.notify_waiters();
        }
        result
    }
}

#[async_trait]
impl DeliveryQueue for Embedded {
    async fn push(&self, pushes: Vec<Push>, entries: Vec<JournalEntry>) -> StoreResult<usize> {
        push::push(self, pushes, entries).await
    }

    async fn lease(&self, max: usize) -> StoreResult<Vec<Lease>> {
        lease::lease(self, max).await
    }

    async fn renew(&self, tokens: &[LeaseToken]) -> StoreResult<Vec<LeaseToken>> {
        let until = self.shared.clock.monotonic().after(self.shared.config.lease.get());
        Ok(self.shared.queue.change(|state| state.renew(tokens, until)))
    }

    async fn settle(&self, lease: &Lease, settlement: Settlement) -> StoreResult<Settling> {
        settle::settle(self, lease, settlement).await
    }

    async fn abandon(&self, lease: &Lease) -> StoreResult<()> {
        self.shared.queue.change(|state| {
            // Also where the lease is over: the claim lasts longer, and the next holder would wait for it.
            state.claims.give_up(lease.delivery.header.id, lease.token);
            state.give_back(lease.token);
        });
        Ok(())
    }

    async fn drop_copy(&self, lease: &Lease) -> StoreResult<()> {
        // A delivery has one copy here, its row. If it has ended, that copy is gone; if it has not, the row under a
        // current lease is the last copy, and removing it would lose the delivery. Either way the lease is given up.
        self.shared.queue.change(|state| state.give_back(lease.token));
        Ok(())
    }

    async fn bring_forward(
        &self,
        webhook: WebhookId,
        delivery: DeliveryId,
        now: Timestamp,
    ) -> StoreResult<BringForward> {
        match move_on::bring_forward(self, webhook, delivery, now).await? {
            BringForward::Gone => quarantine::put_back(self, webhook, delivery, now).await,
            other => Ok(other),
        }
    }

    async fn depth(&self) -> StoreResult<QueueDepth> {
        let (now, monotonic) = (self.shared.clock.now(), self.shared.clock.monotonic());
        Ok(self.shared.queue.change(|state| state.queue_depth(now, monotonic)))
    }

    async fn own_gates(&self) -> StoreResult<Box<dyn GateShare>> {
        Ok(Box::new(gates::Share::new(self.clone())))
    }

    async fn gate_depth(&self, webhook: WebhookId) -> StoreResult<GateDepth> {
        self.readers.read("count what stands behind a gate", move |file| gates::depth(file, webhook)).await
    }

    async fn gate_read(
        &self,
        webhook: WebhookId,
        after: GatePosition,
        max: usize,
    ) -> StoreResult<Vec<(GatePosition, Delivery)>> {
        self.readers.read("read what stands behind a gate", move |file| gates::read(file, webhook, after, max)).await
    }

    async fn withdraw(&self, webhook: WebhookId, delivery: DeliveryId) -> StoreResult<Withdrawal> {
        withdraw::withdraw(self, webhook, delivery).await
    }

    async fn discard(&self, webhook: WebhookId) -> StoreResult<u64> {
        Ok(move_on::discard(self, webhook).await? + quarantine::discard(self, webhook).await?)
    }
}
