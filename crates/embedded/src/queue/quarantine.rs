//! Quarantine: what was leased too often, and what cannot be read, stands aside in the file, with its body, until it is put
//! back or its time is over.
//!
//! Going there is one transaction with the journal's entry, so that a delivery is never in two places or in none.

use std::sync::Arc;

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{End, Place, QuarantineReason};
use fanfare_core::ids::{DeliveryId, WebhookId};
use fanfare_core::journal::{BroughtForward, JournalEntry, Quarantined};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::BringForward;
use rusqlite::{Connection, OptionalExtension};

use super::window::Order;
use crate::codec::{QUARANTINED, Stand, Standing, delivery_column, end_code, stand, standing, webhook_column};
use crate::journal::{Encoded, Written};
use crate::writer::{Failed, Tx};
use crate::{Embedded, Shared};

const DOING: &str = "put deliveries into quarantine";

/// A row that is to go, or has gone, into quarantine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aside {
    pub(super) seq: i64,
    pub(super) reason: QuarantineReason,
}

/// What has gone into quarantine in a transaction, and is to be followed by what is in memory.
#[must_use]
pub(super) struct Gone {
    rows: Vec<GoneRow>,
    written: Written,
}

struct GoneRow {
    delivery: Option<DeliveryId>,
    reason: QuarantineReason,
    from: From,
}

/// Where it was counted before.
enum From {
    Place(Order, Place),
    Gate,
    /// Its place made no sense.
    Nowhere,
}

/// Moves rows into quarantine, inside an operation. What does not stand in the queue any more stays as it is.
pub(super) fn put(tx: &mut Tx<'_>, shared: &Shared, asides: &[Aside]) -> rusqlite::Result<Gone> {
    let now = shared.clock.now();
    let until = now.after(shared.config.quarantine_retention.get()).as_millis();
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    for Aside { seq, reason } in asides.iter().copied() {
        let found = tx
            .connection
            .prepare_cached(
                "SELECT id, hop, place, at, gate IS NOT NULL FROM deliveries WHERE seq = ?1 AND place < 20",
            )?
            .query_row([seq], |row| {
                // Identity and hop may be what cannot be read.
                let known = (row.get(0).ok().map(DeliveryId::from_bytes), row.get(1).ok());
                Ok((known, row.get::<_, i64>(2)?, row.get(3)?, row.get::<_, bool>(4)?))
            })
            .optional()?;
        let Some(((delivery, hop), place, at, is_gated)) = found else { continue };
        tx.connection
            .prepare_cached("UPDATE deliveries SET place = ?1, at = ?2, hop = hop + 1, gate = NULL WHERE seq = ?3")?
            .execute((QUARANTINED, until, seq))?;
        let hop: Option<u32> = hop;
        tracing::error!(
            row = seq,
            delivery = delivery.map(|id| id.to_string()),
            reason = reason.as_str(),
            "a delivery goes into quarantine; look at it, and retry it through the API"
        );
        if let (Some(delivery), Some(hop)) = (delivery, hop) {
            let hop = fanfare_core::ids::Hop(hop).next();
            entries.push(JournalEntry::Quarantined(Quarantined { delivery, hop, reason, at: now }));
        }
        let from = match stand(DOING, place, at) {
            _ if is_gated => From::Gate,
            Ok(Stand::Live(place)) => From::Place(Order { at, seq }, place),
            Ok(Stand::Moved | Stand::Quarantined | Stand::Ended(_)) | Err(_) => From::Nowhere,
        };
        rows.push(GoneRow { delivery, reason, from });
    }
    Ok(Gone { rows, written: Encoded::new(entries).write(tx)? })
}

impl Gone {
    /// After the commit.
    pub(super) fn take_effect(self, shared: &Shared) {
        shared.queue.change(|state| {
            for row in &self.rows {
                let was_leased = state.go_aside(row.delivery);
                match row.from {
                    From::Place(..) | From::Gate if was_leased => {}
                    From::Place(order, place) => state.leave(order, place),
                    From::Gate => state.leave_gate_unleased(),
                    From::Nowhere => {}
                }
            }
        });
        for row in &self.rows {
            shared.metrics.delivery_quarantined.with_label_values(&[row.reason.as_str()]).inc();
        }
        shared.journal.extend(self.written);
    }
}

/// Puts what has been leased too often into quarantine.
pub(super) async fn put_spoiled(engine: &Embedded, spoiled: Vec<(DeliveryId, i64)>) -> StoreResult<()> {
    let (before, after) = (Arc::clone(&engine.shared), Arc::clone(&engine.shared));
    let reason = QuarantineReason::LeasedTooOften;
    let asides: Vec<_> = spoiled.iter().map(|(_, seq)| Aside { seq: *seq, reason }).collect();
    let effects = move |gone: Gone| {
        gone.take_effect(&after);
        // Those that had moved meanwhile as well.
        after.queue.change(|state| spoiled.iter().for_each(|(delivery, _)| state.forget_spoiled(*delivery)));
    };
    engine.writer.write(DOING, 0, move |tx| Ok(put(tx, &before, &asides)?), effects).await
}

/// How many are in quarantine.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<u64> {
    let count: i64 = connection.query_row("SELECT count(*) FROM deliveries WHERE place = 40", [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Puts a delivery back: it is ready, at its next hop.
pub(super) async fn put_back(
    engine: &Embedded,
    webhook: WebhookId,
    delivery: DeliveryId,
    now: Timestamp,
) -> StoreResult<BringForward> {
    let after = Arc::clone(&engine.shared);
    let effects = move |back: Option<(Standing, Written)>| {
        let Some((row, written)) = back else { return BringForward::Gone };
        let hop = row.delivery.header.hop;
        after.queue.change(|state| {
            state.leave_quarantine();
            state.enter(row);
        });
        after.journal.extend(written);
        BringForward::Ready(hop)
    };
    engine.writer.write(DOING, 0, move |tx| restore(tx, webhook, delivery, now), effects).await
}

/// `None` if it is not there, or cannot be read.
fn restore(
    tx: &mut Tx<'_>,
    webhook: WebhookId,
    delivery: DeliveryId,
    now: Timestamp,
) -> Result<Option<(Standing, Written)>, Failed> {
    // As a ready row reads.
    let mut select = tx.connection.prepare_cached(
        "SELECT d.seq, ?3, 0, d.hop + 1, d.attempts, b.header, b.body \
         FROM deliveries d JOIN bodies b ON b.seq = d.seq WHERE d.id = ?1 AND d.webhook = ?2 AND d.place = 40",
    )?;
    let asked = (delivery_column(&delivery), webhook_column(&webhook), now.as_millis());
    let Some(Ok(row)) = select.query_row(asked, |row| Ok(standing(DOING, row))).optional()? else { return Ok(None) };
    let hop = row.delivery.header.hop;
    tx.connection.prepare_cached("UPDATE deliveries SET hop = ?1, place = 0, at = ?2 WHERE seq = ?3")?.execute((
        hop.0,
        now.as_millis(),
        row.seq,
    ))?;
    let project = row.delivery.header.project.clone();
    let entry = JournalEntry::BroughtForward(BroughtForward { project, delivery, hop, at: now });
    let written = Encoded::new(vec![entry]).write(tx)?;
    Ok(Some((row, written)))
}

/// Ends what is in quarantine of a deleted webhook.
pub(super) async fn discard(engine: &Embedded, webhook: WebhookId) -> StoreResult<u64> {
    let forget = engine.shared.clock.now().after(engine.shared.config.done_retention.get());
    let after = Arc::clone(&engine.shared);
    let effects = move |count: u64| {
        after.queue.change(|state| (0..count).for_each(|_| state.leave_quarantine()));
        count
    };
    engine.writer.write("discard what is in quarantine", 0, move |tx| Ok(end_all(tx, webhook, forget)?), effects).await
}

fn end_all(tx: &mut Tx<'_>, webhook: WebhookId, forget: Timestamp) -> rusqlite::Result<u64> {
    let webhook = webhook_column(&webhook);
    tx.connection
        .prepare_cached(
            "DELETE FROM bodies WHERE seq IN (SELECT seq FROM deliveries WHERE webhook = ?1 AND place = 40)",
        )?
        .execute([webhook])?;
    let ended = tx
        .connection
        .prepare_cached("UPDATE deliveries SET place = ?1, at = ?2 WHERE webhook = ?3 AND place = 40")?
        .execute((end_code(End::Discarded), forget.as_millis(), webhook))?;
    Ok(ended as u64)
}
