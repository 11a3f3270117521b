//! Claims and what is known of deliveries: the row says whether one has ended and which hop is live, memory says who
//! holds it.
//!
//! The worker that claims has leased the delivery, and a leased delivery has not ended and is live at the hop of its
//! lease: no statement is needed. Any other claim asks the file, in line with the operations that change it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::delivery::{End, Place};
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::dedup::{Claim, Dedup, Fence, Standing};
use rusqlite::{Connection, OptionalExtension};

use crate::Embedded;
use crate::codec::{MOVED, Stand, delivery_column, end_code, stand};
use crate::error::closed;
use crate::queue::{Known, Order};
use crate::writer::{Failed, Tx};

/// A delivery's row.
struct Row {
    seq: i64,
    at: i64,
    hop: Hop,
    stand: Stand,
}

impl Row {
    fn find(doing: &'static str, connection: &Connection, delivery: DeliveryId) -> Result<Option<Self>, Failed> {
        let found = connection
            .prepare_cached("SELECT seq, at, hop, place FROM deliveries WHERE id = ?1")?
            .query_row([delivery_column(&delivery)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, i64>(3)?))
            })
            .optional()?;
        let Some((seq, at, hop, place)) = found else { return Ok(None) };
        Ok(Some(Self { seq, at, hop: Hop(hop), stand: stand(doing, place, at)? }))
    }

    fn known(row: Option<&Self>) -> Known {
        match row.map(|row| (row.stand, row.hop)) {
            None => Known::Nothing,
            Some((Stand::Live(_) | Stand::Moved | Stand::Quarantined, hop)) => Known::Live(hop),
            Some((Stand::Ended(end), _)) => Known::Ended(end),
        }
    }
}

#[async_trait]
impl Dedup for Embedded {
    async fn claim(&self, delivery: DeliveryId, hop: Hop, ttl: Duration, _: Option<Fence>) -> StoreResult<Claim> {
        const DOING: &str = "claim a delivery";
        if self.writer.has_ended() {
            return Err(closed(DOING));
        }
        let now = self.shared.clock.monotonic();
        {
            let mut state = self.shared.queue.state.lock();
            if let Some((lease, live)) = state.leases.of(delivery) {
                return Ok(state.claims.claim(delivery, hop, Known::Live(live), Some(lease), now, ttl));
            }
        }
        let shared = Arc::clone(&self.shared);
        self.writer
            .write(
                DOING,
                0,
                move |tx| Ok(Row::known(Row::find(DOING, tx.connection, delivery)?.as_ref())),
                move |known| shared.queue.state.lock().claims.claim(delivery, hop, known, None, now, ttl),
            )
            .await
    }

    async fn release(&self, delivery: DeliveryId, hop: Hop) -> StoreResult<()> {
        let keep_until = self.shared.clock.now().after(self.shared.config.done_retention.get());
        let shared = Arc::clone(&self.shared);
        self.writer
            .write(
                "release a delivery",
                0,
                move |tx| release(tx, delivery, hop, keep_until.as_millis()),
                move |()| shared.queue.state.lock().claims.release(delivery, hop),
            )
            .await
    }

    async fn complete(&self, delivery: DeliveryId, end: End, keep: Duration) -> StoreResult<()> {
        let keep_until = self.shared.clock.now().after(keep);
        let shared = Arc::clone(&self.shared);
        self.writer
            .write(
                "mark a delivery as ended",
                0,
                move |tx| complete(tx, delivery, end, keep_until.as_millis()),
                move |left: Left| {
                    shared.queue.change(|state| {
                        let leased = state.conclude(delivery).is_some();
                        match left {
                            Left::Place(order, place) if !leased => state.leave(order, place),
                            Left::Quarantine => state.leave_quarantine(),
                            Left::Place(..) | Left::Nowhere => {}
                        }
                    });
                },
            )
            .await
    }

    async fn standing(&self, deliveries: &[DeliveryId]) -> StoreResult<Vec<Standing>> {
        const DOING: &str = "look deliveries up";
        let asked = deliveries.to_vec();
        let known = self
            .readers
            .read(DOING, move |file| {
                asked
                    .into_iter()
                    .map(|delivery| Ok((delivery, Row::known(Row::find(DOING, file, delivery)?.as_ref()))))
                    .collect::<Result<Vec<_>, Failed>>()
            })
            .await?;
        let now = self.shared.clock.monotonic();
        let state = self.shared.queue.state.lock();
        let standing = |(delivery, known)| match (known, state.claims.holder(delivery, now)) {
            (Known::Ended(end), _) => Standing::Done(end),
            (Known::Live(hop), holder) => Standing::Live(holder.map_or(hop, |holder| hop.max(holder))),
            (Known::Nothing, Some(holder)) => Standing::Live(holder),
            (Known::Nothing, None) => Standing::Unknown,
        };
        Ok(known.into_iter().map(standing).collect())
    }
}

/// Notes the lowest live hop of a delivery that has no copy in this queue. Where there is a row of a live one, the
/// row's hop is the truth.
fn release(tx: &mut Tx<'_>, delivery: DeliveryId, hop: Hop, keep_until: i64) -> Result<(), Failed> {
    let lowest = hop.next();
    match Row::find("release a delivery", tx.connection, delivery)? {
        Some(Row { stand: Stand::Live(_) | Stand::Quarantined | Stand::Ended(_), .. }) => {}
        Some(Row { seq, hop: known, stand: Stand::Moved, .. }) => {
            tx.connection.prepare_cached("UPDATE deliveries SET hop = ?1, at = ?2 WHERE seq = ?3")?.execute((
                known.max(lowest).0,
                keep_until,
                seq,
            ))?;
        }
        None => insert(tx, delivery, lowest, MOVED, keep_until)?,
    }
    Ok(())
}

/// Where a delivery stood that has ended.
enum Left {
    Place(Order, Place),
    Quarantine,
    Nowhere,
}

/// Ends a delivery; returns where its row stood, if it stood somewhere.
fn complete(tx: &mut Tx<'_>, delivery: DeliveryId, end: End, keep_until: i64) -> Result<Left, Failed> {
    let row = Row::find("mark a delivery as ended", tx.connection, delivery)?;
    let (seq, left) = match row {
        None => {
            insert(tx, delivery, Hop(0), end_code(end), keep_until)?;
            return Ok(Left::Nowhere);
        }
        Some(Row { stand: Stand::Ended(_), .. }) => return Ok(Left::Nowhere),
        Some(Row { seq, stand: Stand::Moved, .. }) => (seq, Left::Nowhere),
        Some(Row { seq, stand: Stand::Quarantined, .. }) => (seq, Left::Quarantine),
        Some(Row { seq, at, stand: Stand::Live(place), .. }) => (seq, Left::Place(Order { at, seq }, place)),
    };
    tx.connection
        .prepare_cached("UPDATE deliveries SET place = ?1, at = ?2, gate = NULL WHERE seq = ?3")?
        .execute((end_code(end), keep_until, seq))?;
    tx.connection.prepare_cached("DELETE FROM bodies WHERE seq = ?1")?.execute([seq])?;
    Ok(left)
}

/// A row of a delivery of which nothing but this is known; it has no webhook and no body.
fn insert(tx: &mut Tx<'_>, delivery: DeliveryId, hop: Hop, place: i64, keep_until: i64) -> rusqlite::Result<()> {
    let seq = tx.counters.delivery + 1;
    tx.connection
        .prepare_cached(
            "INSERT INTO deliveries (seq, id, webhook, hop, attempts, place, at) VALUES (?1, ?2, x'', ?3, 0, ?4, ?5)",
        )?
        .execute((seq, delivery_column(&delivery), hop.0, place, keep_until))?;
    tx.counters.delivery = seq;
    Ok(())
}
