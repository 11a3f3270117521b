//! Settling: several steps, each of which may be the last before a crash.
//!
//! A move: 1. journal the attempt, 2. publish the new place, 3. release the claim, 4. remove the copy. An end: 1. mark it as
//! done, 2. journal it, 3. remove the copy. Claims being away hold nothing up.

use fanfare_core::delivery::{DeliveryHeader, End, Next, Settlement};
use fanfare_core::journal::{AttemptedLate, JournalEntry, Settled};
use fanfare_core::ports::dedup::Standing;
use fanfare_core::ports::delivery_queue::{Lease, Settling};
use fanfare_core::ports::{Dedup as _, StoreResult};

use super::super::{Call, Client};
use crate::model::{Data, Leased};

/// The steps' names, in errors and traces.
pub(crate) const JOURNAL: &str = "journal a settlement";
pub(crate) const PUBLISH: &str = "publish the next place";
pub(crate) const REMOVE: &str = "remove a settled copy";

pub(super) async fn settle(client: &Client, lease: &Lease, settlement: Settlement) -> StoreResult<Settling> {
    let held = &lease.delivery.header;
    let Some(leased) = current(client, lease) else {
        too_late(client, lease, settlement).await;
        return Ok(Settling::Superseded);
    };
    let attempts = held.attempts + u32::from(settlement.attempt.is_some());
    let next = settlement.next;
    match next {
        Next::Move(place) => {
            journal(client, held, settlement).await?;
            let moved = DeliveryHeader { hop: held.hop.next(), attempts, ..held.clone() };
            let body = lease.delivery.body.clone();
            let publish = |data: &mut Data, now| {
                let bounds = data.bounds;
                data.copies.publish(&moved, body, place, &bounds, now)
            };
            client.call(Call::streams(PUBLISH).of(held.id, moved.hop), publish).await?;
            let _ = client.release(held.id, held.hop).await;
        }
        Next::End { end } => {
            let keep = client.0.servers.bounds().done_retention;
            let _ = client.complete(held.id, end, keep).await;
            journal(client, held, settlement).await?;
        }
    }
    remove(client, lease, leased, REMOVE).await?;
    Ok(Settling::Applied)
}

/// A settlement that comes too late. What has been received has been received, whoever has the delivery now: that is noted, and
/// the copy that is left ends by it, unless it has another end already. Of any other the claim ends, since nobody works under it
/// any more. That an attempt was made is told in any case.
async fn too_late(client: &Client, lease: &Lease, settlement: Settlement) {
    let held = &lease.delivery.header;
    let is_received = settlement.attempt.is_some() && settlement.next == (Next::End { end: End::Delivered });
    if is_received {
        let keep = client.0.servers.bounds().done_retention;
        let _ = client.complete(held.id, End::Delivered, keep).await;
        let standing = client.standing(&[held.id]).await;
        if !matches!(standing.as_deref(), Ok([Standing::Done(end)]) if *end != End::Delivered) {
            let _ = journal(client, held, settlement).await;
            return;
        }
    } else {
        client.give_claim_up(lease).await;
    }
    let Settlement { attempt: Some(attempt), at, .. } = settlement else { return };
    let id = Some(attempt.id.to_string());
    let late = JournalEntry::AttemptedLate(AttemptedLate { delivery: held.clone(), attempt, at });
    let append = |data: &mut Data, _| data.journal.append(late, id);
    let _ = client.call(Call::streams(JOURNAL).of(held.id, held.hop), append).await;
}

pub(super) async fn drop_copy(client: &Client, lease: &Lease) -> StoreResult<()> {
    match current(client, lease) {
        Some(leased) => remove(client, lease, leased, "drop a copy").await,
        None => Ok(()),
    }
}

/// The lease, if it is this process's still; by the gate's ownership too, where it comes from one.
fn current(client: &Client, lease: &Lease) -> Option<Leased> {
    let leased = client.0.servers.read(|data, now| data.copies.current(lease.token, now.monotonic))?;
    let gate = client.0.from_gates.lock().get(&lease.token).cloned();
    gate.is_none_or(|holding| holding.is_held(&*client.0.clock)).then_some(leased)
}

async fn journal(client: &Client, held: &DeliveryHeader, settlement: Settlement) -> StoreResult<()> {
    let id = match &settlement.attempt {
        Some(attempt) => attempt.id.to_string(),
        // After a crash it may come to another decision, of which the journal is to tell as well.
        None => format!("{}:{}:{:?}", held.id, held.hop.0, settlement.next),
    };
    let Settlement { attempt, next, at } = settlement;
    let entry = JournalEntry::Settled(Settled { delivery: held.clone(), attempt, next, at });
    let append = |data: &mut Data, _| data.journal.append(entry, Some(id));
    client.call(Call::streams(JOURNAL).of(held.id, held.hop), append).await
}

async fn remove(client: &Client, lease: &Lease, leased: Leased, doing: &'static str) -> StoreResult<()> {
    let remove = |data: &mut Data, _| {
        data.copies.remove(leased.stream, leased.sequence);
        data.copies.end(lease.token);
    };
    client.call(Call::streams(doing).of(leased.delivery, leased.hop), remove).await?;
    client.0.from_gates.lock().remove(&lease.token);
    Ok(())
}
