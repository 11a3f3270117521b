//! Quarantine: a stream of its own, with limits, for copies that were leased too often or that cannot be read.
//!
//! A copy goes there as it is, its headers included, so that whoever looks at it sees what was there, and a later version that
//! can read it can put it back.

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DeliveryHeader, Place, QuarantineReason};
use fanfare_core::ids::{DeliveryId, Hop, WebhookId};
use fanfare_core::journal::{BroughtForward, JournalEntry, Quarantined};
use fanfare_core::ports::dedup::Standing;
use fanfare_core::ports::delivery_queue::BringForward;
use fanfare_core::ports::{Dedup, StoreResult};
use fanfare_runtime::tasks::report;
use serde::Serialize;

use super::{cut, encode};
use crate::message::Draft;
use crate::store::Stored;
use crate::{Distributed, journal};

const DOING: &str = "put a delivery into quarantine";
/// Why and when it came there, as JSON; for whoever looks at the stream.
const QUARANTINE: &str = "Fanfare-Quarantine";

#[derive(Serialize)]
struct Note {
    reason: QuarantineReason,
    at: Timestamp,
    /// The subject it stood on.
    from: String,
}

/// In this order:
///
/// 1. The copy is published to quarantine.
/// 2. The journal tells of it.
/// 3. Its hop is noted as past.
/// 4. The caller removes the copy from where it stood.
///
/// After a crash in between, the copy comes again, and is put there again: the message ids recognise it, and the stream keeps
/// one copy of a delivery. A copy of what has ended or moved on is only to be removed.
pub(super) async fn put(engine: &Distributed, copy: &Stored, reason: QuarantineReason) -> StoreResult<()> {
    let (shared, now) = (&engine.shared, engine.shared.clock.now());
    let known = encode::copy(Some(&copy.headers));
    let webhook = shared.names.webhook_of(&copy.subject);
    if let Some((delivery, hop)) = known
        && is_over(engine, delivery, hop).await
    {
        return Ok(());
    }
    let (subject, id) = match (webhook, known) {
        (Some(webhook), Some((delivery, hop))) => {
            (shared.names.quarantine(webhook, delivery), format!("{}:quarantine", encode::move_id(delivery, hop)))
        }
        (_, _) => (shared.names.quarantine_unknown(copy.sequence), format!("{}:quarantine", copy.sequence)),
    };
    let note = Note { reason, at: now, from: copy.subject.clone() };
    let draft = Draft::copy(subject, copy.payload.clone(), &copy.headers).id(&id).describe(QUARANTINE, &note);
    shared.store.publish(DOING, draft).await?;
    cut(engine, "after the quarantine")?;
    if let Some((delivery, hop)) = known {
        let hop_there = hop.next();
        let entry = JournalEntry::Quarantined(Quarantined { delivery, hop: hop_there, reason, at: now });
        shared.store.publish(DOING, journal::draft(engine, &entry, &id)).await?;
        release(engine, delivery, hop).await;
    }
    let delivery = known.map(|(delivery, _)| delivery.to_string());
    tracing::error!(
        subject = %copy.subject,
        sequence = copy.sequence,
        delivery,
        reason = reason.as_str(),
        "a delivery goes into quarantine; look at it, and retry it through the API"
    );
    shared.metrics.delivery_quarantined.with_label_values(&[reason.as_str()]).inc();
    Ok(())
}

/// Whether the copy's delivery is known to have ended or to have moved past this hop.
async fn is_over(engine: &Distributed, delivery: DeliveryId, hop: Hop) -> bool {
    match engine.standing(&[delivery]).await.as_deref() {
        Ok([Standing::Done(_)]) => true,
        Ok([Standing::Live(lowest)]) => *lowest > hop,
        Ok(_) | Err(_) => false,
    }
}

async fn release(engine: &Distributed, delivery: DeliveryId, hop: Hop) {
    if let Err(error) = engine.release(delivery, hop).await {
        tracing::debug!(error = %report(&error), "a hop was not noted as past");
    }
}

/// Puts a delivery back into the queue; `None` if it is not in quarantine.
///
/// In this order:
///
/// 1. The ready copy is published, at the hop after the one it had in quarantine.
/// 2. That one is noted as past.
/// 3. The journal tells of it.
/// 4. The copy in quarantine goes.
///
/// After a crash in between the ready copy is found first, or the claims say that it has been.
pub(super) async fn put_back(
    engine: &Distributed,
    webhook: WebhookId,
    delivery: DeliveryId,
    now: Timestamp,
) -> StoreResult<Option<BringForward>> {
    const DOING: &str = "put a delivery back from quarantine";
    let (shared, names) = (&engine.shared, &engine.shared.names);
    let found = shared.store.last(DOING, &names.quarantined(), &names.quarantine(webhook, delivery)).await?;
    let Some(stored) = found else { return Ok(None) };
    let Ok(held) = encode::header(DOING, Some(&stored.headers)) else { return Ok(Some(BringForward::Gone)) };
    let there = held.hop.next();
    if is_over(engine, delivery, there).await {
        shared.store.delete(DOING, &names.quarantined(), stored.sequence).await?;
        return Ok(None);
    }
    let hop = there.next();
    let ready = DeliveryHeader { hop, ..held };
    let draft = encode::draft(names, &ready, stored.payload, Place::Ready, now);
    shared.store.publish(DOING, draft).await?;
    release(engine, delivery, there).await;
    let entry = BroughtForward { project: ready.project, delivery, hop, at: now };
    let id = format!("{}:forward", encode::move_id(delivery, hop));
    shared.store.publish(DOING, journal::draft(engine, &JournalEntry::BroughtForward(entry), &id)).await?;
    shared.store.delete(DOING, &names.quarantined(), stored.sequence).await?;
    Ok(Some(BringForward::Ready(hop)))
}

/// Removes what is in quarantine of a deleted webhook.
pub(super) async fn discard(engine: &Distributed, webhook: WebhookId) -> StoreResult<u64> {
    let names = &engine.shared.names;
    let subject = names.quarantine_of(webhook);
    engine.shared.store.purge("discard what is in quarantine", &names.quarantined(), &subject).await
}
