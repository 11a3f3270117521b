//! What this process has leased, and until when.

use std::collections::HashMap;
use std::sync::Arc;

use fanfare_core::clock::Monotonic;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::{Lease, LeaseToken};
use fanfare_runtime::tasks::report;
use futures_util::future::join_all;

use super::gates::owner::Gate;
use crate::Distributed;

/// Below this many leases, looking for those that have run out is not worth it.
const FEW: usize = 1024;

/// How a lease is given up or prolonged.
#[derive(Clone)]
pub(super) enum Held {
    /// By answering the message on this subject.
    Ready {
        /// Where acknowledgements go.
        answer: String,
    },
    /// By the gate's owner alone.
    Gated {
        /// The owned partition.
        gate: Arc<Gate>,
        /// The copy's sequence.
        sequence: u64,
    },
}

/// One lease.
#[derive(Clone)]
pub(super) struct Leased {
    pub(super) until: Monotonic,
    pub(super) held: Held,
}

/// All leases.
#[derive(Default)]
pub(super) struct Leases {
    held: HashMap<LeaseToken, Leased>,
    last: u64,
    sweep_at: usize,
}

impl Leases {
    pub(super) fn grant(&mut self, leased: Leased, now: Monotonic) -> LeaseToken {
        if self.held.len() >= self.sweep_at.max(FEW) {
            self.held.retain(|_, leased| leased.until > now);
            self.sweep_at = 2 * self.held.len();
        }
        self.last += 1;
        let token = LeaseToken(self.last);
        self.held.insert(token, leased);
        token
    }

    /// The lease, if it is held and has not run out.
    pub(super) fn get(&self, token: LeaseToken, now: Monotonic) -> Option<Leased> {
        self.held.get(&token).filter(|leased| leased.until > now).cloned()
    }

    pub(super) fn end(&mut self, token: LeaseToken) {
        self.held.remove(&token);
    }

    /// How many are held of what stands behind gates.
    pub(super) fn gated(&self, now: Monotonic) -> usize {
        self.held.values().filter(|leased| leased.until > now && matches!(leased.held, Held::Gated { .. })).count()
    }

    fn prolong(&mut self, token: LeaseToken, until: Monotonic) {
        if let Some(leased) = self.held.get_mut(&token) {
            leased.until = leased.until.max(until);
        }
    }
}

/// Prolongs leases. The server's word is waited for: a renewal that is still under way when the lease runs out is none.
pub(super) async fn renew(engine: &Distributed, tokens: &[LeaseToken]) -> StoreResult<Vec<LeaseToken>> {
    const DOING: &str = "renew leases";
    let shared = &engine.shared;
    let now = shared.clock.monotonic();
    let until = now.after(shared.config.lease.get());
    let renewed = join_all(tokens.iter().map(|token| async move {
        let Some(leased) = shared.queue.leases.lock().get(*token, now) else { return Ok(Some(*token)) };
        match &leased.held {
            Held::Ready { answer } => shared.store.confirm(DOING, answer, "+WPI").await?,
            Held::Gated { gate, sequence } => {
                if !gate.prolong(*sequence, until) {
                    return Ok(Some(*token));
                }
            }
        }
        shared.queue.leases.lock().prolong(*token, until);
        Ok(None)
    }));
    let mut lost = Vec::new();
    for token in renewed.await {
        lost.extend(token?);
    }
    Ok(lost)
}

/// 1. The claim ends, or the next holder would be told that this one may be sending: also where the lease is over, since the
///    claim lasts longer. 2. The copy is free.
pub(super) async fn abandon(engine: &Distributed, lease: &Lease) -> StoreResult<()> {
    let shared = &engine.shared;
    give_claim_up(engine, lease).await;
    let Some(leased) = shared.queue.leases.lock().get(lease.token, shared.clock.monotonic()) else { return Ok(()) };
    match &leased.held {
        Held::Ready { answer } => shared.store.confirm("give a lease back", answer, "-NAK").await?,
        Held::Gated { gate, sequence } => gate.give_back(*sequence),
    }
    shared.queue.leases.lock().end(lease.token);
    Ok(())
}

/// Ends this process's claim on a delivery that it does not work on any more. Where that fails the claim runs out.
pub(super) async fn give_claim_up(engine: &Distributed, lease: &Lease) {
    let header = &lease.delivery.header;
    if let Err(error) = engine.give_up_claim(header.id, header.hop, lease.fence).await {
        tracing::debug!(error = %report(&error), "a claim was not given up; it runs out");
    }
}
