//! Settling: several steps, each of which may be the last before a crash.
//!
//! A move: 1. journal the attempt, 2. publish the new place, 3. release the claim, 4. remove the copy. After a crash before 2
//! the copy is leased again and the attempt repeated; after 2 both copies come up, and claims tell the old one from the new.
//!
//! An end: 1. mark it as done, 2. journal it, 3. remove the copy. After a crash in between the copy is leased again, its claim
//! is answered `done`, and the worker settles it with that end once more.
//!
//! A settlement that comes too late, because the lease is over: what has been received is marked as done all the same, and
//! journaled, and the copy that somebody else has ends by it. Gates change hands whenever a process comes or goes, with
//! requests under way: each would be made twice. Any other attempt is journaled as one that moved nothing; and the claim ends,
//! since nobody works under it any more, and the next holder would otherwise have to wait until it runs out.
//!
//! Each step may be repeated: message ids recognise what has been published, and readers of the journal what it tells twice.
//! Redis being away holds nothing up; what it does not know is at worst sent twice.

use bytes::Bytes;
use fanfare_core::delivery::{DeliveryHeader, End, Next, Place, Settlement};
use fanfare_core::ids::DeliveryId;
use fanfare_core::journal::{AttemptedLate, JournalEntry, Settled};
use fanfare_core::ports::dedup::Standing;
use fanfare_core::ports::delivery_queue::{Lease, Settling};
use fanfare_core::ports::{Dedup, StoreResult};
use fanfare_runtime::tasks::report;

use super::cut;
use super::encode;
use super::leases::{self, Held, Leased};
use crate::{Distributed, journal};

const DOING: &str = "settle a delivery";

pub(super) async fn settle(engine: &Distributed, lease: &Lease, settlement: Settlement) -> StoreResult<Settling> {
    let held = &lease.delivery.header;
    let Some(leased) = current(engine, lease) else {
        too_late(engine, lease, settlement).await;
        return Ok(Settling::Superseded);
    };
    let attempts = held.attempts + u32::from(settlement.attempt.is_some());
    let next = settlement.next;
    let entry = entry(held, settlement);
    cut(engine, "before step 1")?;
    match next {
        Next::Move(place) => {
            journal::append(engine, DOING, &entry).await?;
            cut(engine, "after step 1")?;
            let moved = DeliveryHeader { hop: held.hop.next(), attempts, ..held.clone() };
            publish(engine, &moved, lease.delivery.body.clone(), place).await?;
            cut(engine, "after step 2")?;
            if let Err(error) = engine.release(held.id, held.hop).await {
                tracing::debug!(error = %report(&error), "a claim was not released; the next hop takes it over");
            }
        }
        Next::End { end } => {
            mark_done(engine, held, Some(&leased.held), end).await;
            cut(engine, "after step 1")?;
            journal::append(engine, DOING, &entry).await?;
            cut(engine, "after step 2")?;
        }
    }
    cut(engine, "before the copy is removed")?;
    remove(engine, lease, &leased).await?;
    Ok(Settling::Applied)
}

/// Says of a delivery that is somebody else's by now what is true whoever has it: that it was received, unless it has another end
/// already; and that an attempt was made.
async fn too_late(engine: &Distributed, lease: &Lease, settlement: Settlement) {
    let held = &lease.delivery.header;
    let is_received = settlement.attempt.is_some() && settlement.next == (Next::End { end: End::Delivered });
    if is_received {
        mark_done(engine, held, None, End::Delivered).await;
    } else {
        // First, since somebody may be waiting for it.
        leases::give_claim_up(engine, lease).await;
    }
    let ends = is_received && !has_another_end(engine, held.id, End::Delivered).await;
    let told = if ends { Some(entry(held, settlement)) } else { late(held, settlement) };
    if let Some(told) = told
        && let Err(error) = journal::append(engine, DOING, &told).await
    {
        tracing::warn!(delivery = %held.id, error = %report(&error), "a late attempt is not in the journal");
    }
}

/// The attempt as one that moved nothing, if one was made.
fn late(held: &DeliveryHeader, settlement: Settlement) -> Option<[JournalEntry; 1]> {
    let Settlement { attempt, at, .. } = settlement;
    Some([JournalEntry::AttemptedLate(AttemptedLate { delivery: held.clone(), attempt: attempt?, at })])
}

/// Where nobody answers, it is taken to have none.
async fn has_another_end(engine: &Distributed, delivery: DeliveryId, end: End) -> bool {
    let standing = engine.standing(&[delivery]).await;
    matches!(standing.as_deref(), Ok([Standing::Done(known)]) if *known != end)
}

/// Removes a copy that is known to be no longer needed.
pub(super) async fn drop_copy(engine: &Distributed, lease: &Lease) -> StoreResult<()> {
    match current(engine, lease) {
        Some(leased) => remove(engine, lease, &leased).await,
        None => Ok(()),
    }
}

/// The lease, if it is this process's still; by the gate's ownership too, where it comes from one.
fn current(engine: &Distributed, lease: &Lease) -> Option<Leased> {
    let now = engine.shared.clock.monotonic();
    let leased = engine.shared.queue.leases.lock().get(lease.token, now)?;
    match &leased.held {
        Held::Ready { .. } => Some(leased),
        Held::Gated { gate, .. } => gate.is_owned().then_some(leased),
    }
}

fn entry(held: &DeliveryHeader, settlement: Settlement) -> [JournalEntry; 1] {
    let Settlement { attempt, next, at } = settlement;
    [JournalEntry::Settled(Settled { delivery: held.clone(), attempt, next, at })]
}

async fn publish(engine: &Distributed, moved: &DeliveryHeader, body: Bytes, place: Place) -> StoreResult<()> {
    let draft = encode::draft(&engine.shared.names, moved, body, place, engine.shared.clock.now());
    engine.shared.store.publish(DOING, draft).await.map(|_| ())
}

/// `from` is where the copy stood; `None` where it has gone to somebody else, and may stand behind a gate by now.
async fn mark_done(engine: &Distributed, held: &DeliveryHeader, from: Option<&Held>, end: End) {
    let config = &engine.shared.config;
    let keep = match from {
        Some(Held::Ready { .. }) => config.done_retention.get(),
        // After a crash before the copy is removed the webhook may be paused, and the copy come up only when it is activated.
        Some(Held::Gated { .. }) | None => config.done_retention.get().max(config.gated_done_retention.get()),
    };
    if let Err(error) = engine.complete(held.id, end, keep).await {
        tracing::debug!(error = %report(&error), "an end was not marked; a copy of it would be sent again");
    }
}

/// Removes the copy and gives up the lease. The server's word is not waited for: a copy that is still there is leased again, and
/// its claim says what has become of it.
async fn remove(engine: &Distributed, lease: &Lease, leased: &Leased) -> StoreResult<()> {
    match &leased.held {
        Held::Ready { answer } => engine.shared.store.tell(DOING, answer, "+ACK").await?,
        Held::Gated { gate, sequence } => gate.remove(DOING, *sequence).await?,
    }
    engine.shared.queue.leases.lock().end(lease.token);
    Ok(())
}
