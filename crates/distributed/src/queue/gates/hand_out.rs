//! Handing out copies that have been leased in the index: their bodies are read, and what may not be handed out goes into
//! quarantine.

use std::sync::Arc;

use fanfare_core::clock::{Monotonic, Timestamp};
use fanfare_core::delivery::{Delivery, QuarantineReason};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::Lease;
use fanfare_runtime::tasks::report;
use futures_util::future::join_all;

use super::super::leases::{Held, Leased};
use super::super::{encode, quarantine};
use super::owner::Gate;
use crate::store::Stored;

/// Hands out the copies under these sequences, each with how often it had been leased before. Whatever ends this before it
/// has done so gives them back.
pub(super) async fn hand_out(
    gate: &Arc<Gate>,
    doing: &'static str,
    copies: Vec<(u64, u32)>,
    until: Monotonic,
) -> StoreResult<Vec<Lease>> {
    let shared = &gate.engine.shared;
    let taken = Taken { gate: Arc::clone(gate), doing, copies };
    let read = join_all(taken.copies.iter().map(|(sequence, _)| {
        let name = shared.names.gated();
        async move { shared.store.message(doing, &name, *sequence).await }
    }));
    let read = read.await;
    gate.holding.check(&*shared.clock, doing)?;
    let read = read.into_iter().collect::<StoreResult<Vec<_>>>()?;
    let (good, bad) = taken.sort(read);
    for (copy, reason) in bad {
        // It is removed only once it is in quarantine; else all of it is given back, and taken again.
        quarantine::put(&gate.engine, &copy, reason).await?;
        gate.remove(doing, copy.sequence).await?;
    }
    gate.holding.check(&*shared.clock, doing)?;
    Ok(taken.grant(good, until))
}

/// A copy that may be handed out: its sequence, how often it was leased before, since when it stands there, the delivery.
type Good = (u64, u32, Timestamp, Delivery);

/// Copies that have been leased in the index and not been handed out yet: given back if they never are.
struct Taken {
    gate: Arc<Gate>,
    doing: &'static str,
    copies: Vec<(u64, u32)>,
}

impl Taken {
    /// What may be handed out, and what is to go into quarantine.
    fn sort(&self, read: Vec<Option<Stored>>) -> (Vec<Good>, Vec<(Stored, QuarantineReason)>) {
        let most = self.gate.engine.shared.config.quarantine_after;
        let (mut good, mut bad) = (Vec::with_capacity(read.len()), Vec::new());
        for ((sequence, redeliveries), stored) in self.copies.iter().zip(read) {
            if *redeliveries > 0 {
                self.gate.engine.shared.metrics.nats_redeliveries.with_label_values(&["gated"]).inc();
            }
            let Some(stored) = stored else {
                // Discarded by somebody since.
                self.gate.index.lock().leave(*sequence);
                continue;
            };
            if *redeliveries >= most {
                bad.push((stored, QuarantineReason::LeasedTooOften));
                continue;
            }
            match encode::delivery(self.doing, Some(&stored.headers), stored.payload.clone()) {
                Ok(delivery) => good.push((*sequence, *redeliveries, stored.at, delivery)),
                Err(error) => {
                    tracing::error!(subject = stored.subject, error = %report(&error), "a delivery behind a gate cannot be read");
                    bad.push((stored, QuarantineReason::Unreadable));
                }
            }
        }
        (good, bad)
    }

    /// Nothing is awaited here: what is granted is handed out.
    fn grant(mut self, found: Vec<Good>, until: Monotonic) -> Vec<Lease> {
        let now = self.gate.engine.shared.clock.monotonic();
        self.copies.clear();
        let mut leases = self.gate.engine.shared.queue.leases.lock();
        let grant = |(sequence, redeliveries, ready_at, delivery): Good| {
            let held = Held::Gated { gate: Arc::clone(&self.gate), sequence };
            let leased = Leased { until, held };
            let fence = Some(self.gate.holding.fence());
            Lease { token: leases.grant(leased, now), delivery, until, ready_at, redeliveries, fence }
        };
        found.into_iter().map(grant).collect()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        for (sequence, _) in &self.copies {
            self.gate.give_back(*sequence);
        }
    }
}
