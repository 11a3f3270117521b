//! Settling: the row, the journal and the end of the lease, in one transaction.

use std::sync::Arc;

use fanfare_core::delivery::{Next, Place, Settlement};
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::journal::{JournalEntry, Settled};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::{Lease, LeaseToken, Settling};

use crate::codec::{FIRST_GATED, end_code, place_columns};
use crate::journal::{Encoded, Written};
use crate::writer::Tx;
use crate::{Embedded, Shared};

/// Keeps a lease from running out while its settlement is being committed. Dropped before that, it lets go again.
struct Mark {
    shared: Arc<Shared>,
    token: LeaseToken,
    /// The delivery's row.
    seq: i64,
}

impl Mark {
    fn set(shared: &Arc<Shared>, token: LeaseToken, delivery: DeliveryId, hop: Hop) -> Option<Self> {
        let seq = shared.queue.state.lock().leases.begin_settling(token, delivery, hop)?;
        Some(Self { shared: Arc::clone(shared), token, seq })
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // After the effects the lease is gone, and there is nothing to undo.
        self.shared.queue.change(|state| state.leases.undo_settling(self.token));
    }
}

/// What the row is to say.
#[derive(Clone, Copy)]
struct Columns {
    hop: Hop,
    attempts: u32,
    place: i64,
    at: i64,
    /// Where it stands then; `None` if nowhere.
    stays: Option<Place>,
}

/// Settles a delivery, in this order:
/// 1. The lease is compared, and marked so that it does not run out.
/// 2. The row, compared by its hop, and the journal are written.
/// 3. They are committed.
/// 4. Lease and claim end, and the delivery is handed on to where it stands now.
///
/// Where the lease is not held any more the attempt is journaled, as one that moved nothing, and nothing else is done.
///
/// A crash before 3 leaves the delivery as it was, one after it as it is to be.
pub(super) async fn settle(engine: &Embedded, lease: &Lease, settlement: Settlement) -> StoreResult<Settling> {
    let held = &lease.delivery.header;
    let (token, delivery, hop) = (lease.token, held.id, held.hop);
    let columns = columns(engine, lease, &settlement);
    let Settlement { attempt, next, at } = settlement;
    let entry = Settled { delivery: held.clone(), attempt, next, at };
    let entry = Encoded::new(vec![JournalEntry::Settled(entry)]);
    let (before, after) = (Arc::clone(&engine.shared), Arc::clone(&engine.shared));
    engine
        .writer
        .write(
            "settle a delivery",
            entry.bytes(),
            move |tx| {
                let mark = Mark::set(&before, token, delivery, hop);
                let mark = match mark {
                    Some(mark) if update(tx, mark.seq, hop, columns)? => Some(mark),
                    Some(_) | None => None,
                };
                // The attempt was made all the same.
                let entry = if mark.is_some() { Some(entry) } else { entry.into_late() };
                let written = entry.map(|entry| entry.write(tx)).transpose()?;
                Ok((mark, written))
            },
            move |(mark, written): (Option<Mark>, Option<Written>)| {
                if let Some(written) = written {
                    after.journal.extend(written);
                }
                let Some(mark) = mark else { return Settling::Superseded };
                after.queue.change(|state| {
                    let Some(held) = state.conclude(delivery) else { return };
                    let Some(place) = columns.stays else { return };
                    let mut row = held.row;
                    row.delivery.header.hop = columns.hop;
                    row.delivery.header.attempts = columns.attempts;
                    (row.place, row.at) = (place, columns.at);
                    state.enter(row);
                });
                drop(mark);
                Settling::Applied
            },
        )
        .await
}

fn columns(engine: &Embedded, lease: &Lease, settlement: &Settlement) -> Columns {
    let held = &lease.delivery.header;
    let attempts = held.attempts + u32::from(settlement.attempt.is_some());
    match settlement.next {
        Next::Move(to) => {
            let (place, at) = place_columns(to, settlement.at);
            Columns { hop: held.hop.next(), attempts, place, at, stays: Some(to) }
        }
        Next::End { end } => {
            let forget = engine.shared.clock.now().after(engine.shared.config.done_retention.get());
            Columns { hop: held.hop, attempts, place: end_code(end), at: forget.as_millis(), stays: None }
        }
    }
}

/// Writes the row; false if it does not stand in the queue at this hop any more.
fn update(tx: &mut Tx<'_>, seq: i64, hop: Hop, columns: Columns) -> rusqlite::Result<bool> {
    let gated = columns.stays.is_some() && columns.place >= FIRST_GATED;
    let gate = gated.then_some(tx.counters.gate + 1);
    let updated = tx
        .connection
        .prepare_cached(
            "UPDATE deliveries SET hop = ?1, attempts = ?2, place = ?3, at = ?4, gate = ?5 \
             WHERE seq = ?6 AND hop = ?7 AND place < 20",
        )?
        .execute((columns.hop.0, columns.attempts, columns.place, columns.at, gate, seq, hop.0))?;
    if updated == 0 {
        return Ok(false);
    }
    tx.counters.gate = gate.unwrap_or(tx.counters.gate);
    if columns.stays.is_none() {
        tx.connection.prepare_cached("DELETE FROM bodies WHERE seq = ?1")?.execute([seq])?;
    }
    Ok(true)
}
