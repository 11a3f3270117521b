//! Owning gates: an index of each owned partition, kept up by following the stream's headers; bodies are read when they are
//! taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::clock::{Monotonic, Timestamp};
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::delivery_queue::{GatePartition, GateShare, Lease};
use fanfare_core::ports::{StoreError, StoreResult};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::super::encode;
use super::hand_out::hand_out;
use super::index::Index;
use crate::Distributed;
use crate::follow::{self, Follow};
use crate::names::gated_webhook;
use crate::shares::{self, Holding, Kind};
use crate::store::timestamp;

const WAITING: &str = "wait for arrivals behind gates";
const TAKING: &str = "take from behind a gate";
/// How many headers are read ahead.
const AHEAD: usize = 1000;
/// How often the stream's end is looked up again while the index comes up to it: what stood there may have gone.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Takes part in owning gates.
pub(in crate::queue) struct Share {
    engine: Distributed,
    share: shares::Share,
}

impl Share {
    pub(in crate::queue) fn join(engine: &Distributed) -> Self {
        Self { engine: engine.clone(), share: shares::Share::join(engine, Kind::Gates) }
    }
}

#[async_trait]
impl GateShare for Share {
    async fn next(&mut self) -> StoreResult<Arc<dyn GatePartition>> {
        let holding = self.share.next("wait for a partition of gates").await?;
        let gate = Arc::new(Gate {
            engine: self.engine.clone(),
            holding,
            index: Mutex::default(),
            changed: Notify::new(),
            seen: watch::Sender::new(0),
            is_whole: AtomicBool::new(false),
        });
        let following = Arc::clone(&gate);
        self.engine.shared.tasks.spawn_work("gate-index", async move { following.follow().await });
        Ok(Arc::new(Owned(gate)))
    }
}

/// One owned partition.
pub(in crate::queue) struct Gate {
    pub(super) engine: Distributed,
    pub(super) holding: Arc<Holding>,
    pub(super) index: Mutex<Index>,
    changed: Notify,
    /// Everything up to this sequence is in the index.
    seen: watch::Sender<u64>,
    /// Whether everything that stood here at the takeover is known to be in the index.
    is_whole: AtomicBool,
}

impl Gate {
    /// Keeps the index up with the stream until the partition is lost.
    async fn follow(&self) {
        let shared = &self.engine.shared;
        let what = Follow {
            stream: shared.names.gated(),
            subject: shared.names.gate_partition(self.holding.partition),
            headers_only: true,
            from: 1,
            ahead: AHEAD,
        };
        follow::while_held(shared, &self.holding, what, WAITING, |sequence, message| {
            if let Some(webhook) = gated_webhook(&message.subject) {
                let since = message.info().ok().and_then(|info| timestamp(WAITING, info.published).ok());
                // One that the server tells no time of has been standing there since now.
                let since = since.unwrap_or_else(|| shared.clock.now());
                self.index.lock().arrive(webhook, sequence, since, encode::expires_at(message.headers.as_ref()));
            }
            self.seen.send_replace(sequence);
            self.changed.notify_waiters();
        })
        .await;
    }

    pub(in crate::queue) fn is_owned(&self) -> bool {
        self.holding.is_held(&*self.engine.shared.clock)
    }

    /// Prolongs a lease; false if it is not held any more.
    pub(in crate::queue) fn prolong(&self, sequence: u64, until: Monotonic) -> bool {
        self.is_owned() && self.index.lock().prolong(sequence, until)
    }

    pub(in crate::queue) fn give_back(&self, sequence: u64) {
        self.index.lock().give_back(sequence);
        self.changed.notify_waiters();
    }

    /// Removes a copy: first from the stream, then from the index.
    pub(in crate::queue) async fn remove(&self, doing: &'static str, sequence: u64) -> StoreResult<()> {
        self.engine.shared.store.delete(doing, &self.engine.shared.names.gated(), sequence).await?;
        self.index.lock().leave(sequence);
        Ok(())
    }

    /// Waits until the index has everything that matches and is in the stream now.
    async fn catch_up(&self, doing: &'static str, subject: &str) -> StoreResult<()> {
        let shared = &self.engine.shared;
        let mut seen = self.seen.subscribe();
        loop {
            let last = shared.store.last(doing, &shared.names.gated(), subject).await?;
            let Some(last) = last.map(|last| last.sequence) else { return Ok(()) };
            tokio::select! {
                come = seen.wait_for(|seen| *seen >= last) => {
                    // The sender lives as long as `self`.
                    return come.map(|_| ()).map_err(|_| StoreError::lost(doing));
                }
                () = self.holding.lost() => return Err(StoreError::lost(doing)),
                () = shared.clock.sleep(LOOK_AGAIN) => {}
            }
        }
    }
}

/// The port's view of an owned partition.
struct Owned(Arc<Gate>);

#[async_trait]
impl GatePartition for Owned {
    async fn arrivals(&self) -> StoreResult<Vec<WebhookId>> {
        let gate = &self.0;
        let clock = &gate.engine.shared.clock;
        loop {
            let mut changed = std::pin::pin!(gate.changed.notified());
            changed.as_mut().enable();
            gate.holding.check(&**clock, WAITING)?;
            // From here to the return nothing is awaited: what is taken is told.
            let (webhooks, next_end) = {
                let mut index = gate.index.lock();
                index.expire(clock.monotonic());
                (index.take_arrivals(), index.next_end())
            };
            if !webhooks.is_empty() {
                return Ok(webhooks);
            }
            let lease_ends = async {
                match next_end {
                    Some(end) => clock.sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = lease_ends => {}
                () = gate.holding.lost() => {}
            }
        }
    }

    fn is_held(&self) -> bool {
        self.0.is_owned()
    }

    async fn take(&self, webhook: WebhookId, max: usize) -> StoreResult<Vec<Lease>> {
        let (gate, shared) = (&self.0, &self.0.engine.shared);
        gate.holding.check(&*shared.clock, TAKING)?;
        if shared.names.gate_partition_of(webhook) != gate.holding.partition {
            return Ok(Vec::new());
        }
        gate.index.lock().expire(shared.clock.monotonic());
        if gate.index.lock().free(webhook, max) < max {
            // What was pushed before this call is to be found by it.
            gate.catch_up(TAKING, &shared.names.gate(webhook)).await?;
        }
        let until = shared.clock.monotonic().after(shared.config.lease.get());
        let copies = gate.index.lock().lease(webhook, max, until);
        hand_out(gate, TAKING, copies, until).await
    }

    async fn take_expired(&self, now: Timestamp, held_before: Timestamp, max: usize) -> StoreResult<Vec<Lease>> {
        const DOING: &str = "take what has expired behind gates";
        let (gate, shared) = (&self.0, &self.0.engine.shared);
        gate.holding.check(&*shared.clock, DOING)?;
        if !gate.is_whole.load(Ordering::Relaxed) {
            // An owner that has just taken over would find little of what stands there, and come again only later.
            gate.catch_up(DOING, &shared.names.gate_partition(gate.holding.partition)).await?;
            gate.is_whole.store(true, Ordering::Relaxed);
        }
        let until = shared.clock.monotonic().after(shared.config.lease.get());
        let copies = {
            let mut index = gate.index.lock();
            index.expire(shared.clock.monotonic());
            index.lease_expired(now, held_before, max, until)
        };
        hand_out(gate, DOING, copies, until).await
    }
}
