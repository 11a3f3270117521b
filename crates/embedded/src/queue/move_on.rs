//! Changes of deliveries that nobody needs a lease for: bringing one forward, discarding those behind a gate.

use std::sync::Arc;

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{End, Place};
use fanfare_core::ids::{DeliveryId, WebhookId};
use fanfare_core::journal::{BroughtForward, JournalEntry};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::BringForward;
use rusqlite::OptionalExtension;

use super::window::Order;
use crate::codec::{Standing, delivery_column, end_code, standing, standing_columns, webhook_column};
use crate::journal::{Encoded, Written};
use crate::writer::{Failed, Tx};
use crate::{Embedded, Shared};

/// How many are discarded in one transaction.
const DISCARD: i64 = 1000;

/// Keeps a row out of the window while it is being moved, so that nobody leases it where it stood. Dropped before the
/// move's effects, it puts the row back.
pub(super) struct Withdrawn {
    shared: Arc<Shared>,
    pub(super) row: Option<Standing>,
}

impl Withdrawn {
    /// Withdraws a row; `None` if it is leased.
    pub(super) fn take(shared: &Arc<Shared>, delivery: DeliveryId, order: Order) -> Option<Self> {
        let mut state = shared.queue.state.lock();
        if state.leases.of(delivery).is_some() {
            return None;
        }
        // What is not in the window can only come there by a later operation of the writer.
        Some(Self { row: state.window.remove(order), shared: Arc::clone(shared) })
    }
}

impl Drop for Withdrawn {
    fn drop(&mut self) {
        if let Some(row) = self.row.take() {
            self.shared.queue.state.lock().window.put_back(row);
            self.shared.queue.ready.notify_waiters();
        }
    }
}

/// A delivery that was brought forward: where it stood, where it stands, and the journal's entry.
struct Brought {
    withdrawn: Withdrawn,
    from: Place,
    order: Order,
    to: Standing,
    written: Written,
}

pub(super) async fn bring_forward(
    engine: &Embedded,
    webhook: WebhookId,
    delivery: DeliveryId,
    now: Timestamp,
) -> StoreResult<BringForward> {
    let (before, after) = (Arc::clone(&engine.shared), Arc::clone(&engine.shared));
    engine
        .writer
        .write(
            "bring a delivery forward",
            0,
            move |tx| move_to_ready(tx, &before, webhook, delivery, now),
            move |done: Result<Brought, BringForward>| match done {
                Err(answer) => answer,
                Ok(Brought { mut withdrawn, from, order, to, written }) => {
                    let hop = to.delivery.header.hop;
                    withdrawn.row = None;
                    after.queue.change(|state| {
                        state.leave(order, from);
                        state.conclude(delivery);
                        state.enter(to);
                    });
                    after.journal.extend(written);
                    BringForward::Ready(hop)
                }
            },
        )
        .await
}

/// The inner error is the answer when nothing was to be done.
fn move_to_ready(
    tx: &mut Tx<'_>,
    shared: &Arc<Shared>,
    webhook: WebhookId,
    delivery: DeliveryId,
    now: Timestamp,
) -> Result<Result<Brought, BringForward>, Failed> {
    const DOING: &str = "bring a delivery forward";
    let mut select = tx.connection.prepare_cached(concat!(
        "SELECT ",
        standing_columns!(),
        " FROM deliveries d JOIN bodies b ON b.seq = d.seq \
         WHERE d.id = ?1 AND d.webhook = ?2 AND d.place < 20"
    ))?;
    let found = select
        .query_row((delivery_column(&delivery), webhook_column(&webhook)), |row| Ok(standing(DOING, row)))
        .optional()?;
    let Some(mut row) = found.transpose()? else { return Ok(Err(BringForward::Gone)) };
    let (from, order) = (row.place, Order::of(&row));
    match from {
        Place::Gated { .. } => return Ok(Err(BringForward::Gated)),
        Place::Ready => return Ok(Err(BringForward::AlreadyReady)),
        Place::Due { at, .. } if at <= now => return Ok(Err(BringForward::AlreadyReady)),
        Place::Due { .. } => {}
    }
    let Some(withdrawn) = Withdrawn::take(shared, delivery, order) else {
        return Ok(Err(BringForward::AlreadyReady));
    };
    let hop = row.delivery.header.hop.next();
    tx.connection.prepare_cached("UPDATE deliveries SET hop = ?1, place = 0, at = ?2 WHERE seq = ?3")?.execute((
        hop.0,
        now.as_millis(),
        row.seq,
    ))?;
    let project = row.delivery.header.project.clone();
    let entry = JournalEntry::BroughtForward(BroughtForward { project, delivery, hop, at: now });
    let written = Encoded::new(vec![entry]).write(tx)?;
    row.delivery.header.hop = hop;
    (row.place, row.at) = (Place::Ready, now.as_millis());
    Ok(Ok(Brought { withdrawn, from, order, to: row, written }))
}

/// Ends everything behind the webhook's gate, those under lease too: their workers' settlements come too late. In
/// steps, each of them a transaction, so that a long gate holds nobody up; a crash leaves the rest to be discarded
/// again.
pub(super) async fn discard(engine: &Embedded, webhook: WebhookId) -> StoreResult<u64> {
    let mut discarded = 0;
    loop {
        let forget = engine.shared.clock.now().after(engine.shared.config.done_retention.get());
        let shared = Arc::clone(&engine.shared);
        let step = engine
            .writer
            .write(
                "discard what stands behind a gate",
                0,
                move |tx| Ok(end_some(tx, webhook, forget)?),
                move |ended: Vec<DeliveryId>| {
                    let count = ended.len() as u64;
                    shared.queue.change(|state| {
                        for delivery in ended {
                            state.leave_gate(delivery);
                        }
                    });
                    count
                },
            )
            .await?;
        discarded += step;
        if step < DISCARD.unsigned_abs() {
            return Ok(discarded);
        }
    }
}

fn end_some(tx: &mut Tx<'_>, webhook: WebhookId, forget: Timestamp) -> rusqlite::Result<Vec<DeliveryId>> {
    let mut select = tx.connection.prepare_cached(
        "SELECT seq, id FROM deliveries WHERE webhook = ?1 AND gate IS NOT NULL ORDER BY gate LIMIT ?2",
    )?;
    let rows = select.query_map((webhook_column(&webhook), DISCARD), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows: Vec<(i64, [u8; 16])> = rows.collect::<Result<_, _>>()?;
    let mut end =
        tx.connection.prepare_cached("UPDATE deliveries SET place = ?1, at = ?2, gate = NULL WHERE seq = ?3")?;
    let mut body = tx.connection.prepare_cached("DELETE FROM bodies WHERE seq = ?1")?;
    let mut ended = Vec::with_capacity(rows.len());
    for (seq, id) in rows {
        end.execute((end_code(End::Discarded), forget.as_millis(), seq))?;
        body.execute([seq])?;
        ended.push(DeliveryId::from_bytes(id));
    }
    Ok(ended)
}
