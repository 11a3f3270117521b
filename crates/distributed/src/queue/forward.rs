//! Bringing a delivery forward: its schedule is replaced by a ready copy at the next hop, in one step of the server.

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DeliveryHeader, Place};
use fanfare_core::ids::{DeliveryId, Hop, WebhookId};
use fanfare_core::journal::{BroughtForward, JournalEntry};
use fanfare_core::ports::dedup::Standing;
use fanfare_core::ports::delivery_queue::BringForward;
use fanfare_core::ports::{Dedup, StoreResult};
use fanfare_runtime::tasks::report;

use super::{encode, gates, quarantine};
use crate::store::{Placed, Stored};
use crate::{Distributed, journal};

const DOING: &str = "bring a delivery forward";

/// How often a delivery that is live and nowhere to be found is looked for: it moves from place to place meanwhile.
const LOOKS: usize = 5;

pub(super) async fn bring_forward(
    engine: &Distributed,
    webhook: WebhookId,
    delivery: DeliveryId,
    now: Timestamp,
) -> StoreResult<BringForward> {
    let (shared, names) = (&engine.shared, &engine.shared.names);
    let stream = names.deliveries();
    for _ in 0..LOOKS {
        let scheduled = shared.store.last(DOING, &stream, &names.due_anytime(webhook, delivery)).await?;
        if let Some(scheduled) = scheduled {
            match replace(engine, scheduled, now).await? {
                Some(answer) => return Ok(answer),
                // It fell due in this very moment.
                None => continue,
            }
        }
        if shared.store.last(DOING, &stream, &names.ready(webhook, delivery)).await?.is_some() {
            return Ok(BringForward::AlreadyReady);
        }
        if let Some(answer) = quarantine::put_back(engine, webhook, delivery, now).await? {
            return Ok(answer);
        }
        if gates::holds(engine, webhook, delivery).await? {
            return Ok(BringForward::Gated);
        }
        let standing = engine.standing(&[delivery]).await?;
        if !matches!(standing.as_slice(), [Standing::Live(_)]) {
            break;
        }
    }
    Ok(BringForward::Gone)
}

async fn replace(engine: &Distributed, scheduled: Stored, now: Timestamp) -> StoreResult<Option<BringForward>> {
    let place = encode::place(DOING, Some(&scheduled.headers))?;
    // Once a worker may have it, it is not to be moved under its hands.
    if matches!(place, Place::Due { at, .. } if at <= now || at <= engine.shared.clock.now()) {
        return Ok(Some(BringForward::AlreadyReady));
    }
    Ok(move_to_ready(engine, scheduled, now).await?.map(BringForward::Ready))
}

/// `None` if the schedule is not there any more.
///
/// 1. The ready copy is published; by the same step its schedule goes, if it is still there. 2. The hop it had is stale.
/// 3. The journal tells of it. After a crash in between the copy is ready, and what becomes of it is journaled then.
pub(super) async fn move_to_ready(engine: &Distributed, scheduled: Stored, now: Timestamp) -> StoreResult<Option<Hop>> {
    let shared = &engine.shared;
    let held = encode::header(DOING, Some(&scheduled.headers))?;
    let hop = held.hop.next();
    let moved = DeliveryHeader { hop, ..held.clone() };
    let draft = encode::draft(&shared.names, &moved, scheduled.payload, Place::Ready, now)
        .header("Nats-Scheduler", &scheduled.subject)
        .header("Nats-Schedule-Next", "purge")
        .expecting_on(&scheduled.subject, scheduled.sequence);
    match shared.store.place(DOING, draft).await? {
        Placed::Conflict => return Ok(None),
        Placed::At(_) => {}
    }
    if let Err(error) = engine.release(held.id, held.hop).await {
        tracing::debug!(error = %report(&error), "a hop was not noted as past");
    }
    let entry = BroughtForward { project: held.project, delivery: held.id, hop, at: now };
    let id = format!("{}:forward", encode::move_id(held.id, hop));
    let draft = journal::draft(engine, &JournalEntry::BroughtForward(entry), &id);
    shared.store.publish(DOING, draft).await?;
    Ok(Some(hop))
}
