//! What has expired, or has stood for too long, behind any gate.
//!
//! What expires by itself has an index. What has stood for too long needs none: behind each gate it is the head, one step in
//! the gates' own index.

use fanfare_core::clock::Timestamp;
use fanfare_core::ids::DeliveryId;
use rusqlite::{Connection, OptionalExtension};

use super::super::quarantine::Gone;
use super::pick::Picked;
use super::webhooks;
use crate::Shared;
use crate::codec::{Standing, webhook_column};
use crate::writer::{Failed, Tx};

const DOING: &str = "take what has expired behind gates";

/// The rows of at most `max`, by a reader: what is leased is left out, and what they say may have changed since.
pub(super) fn find(
    file: &Connection,
    shared: &Shared,
    now: Timestamp,
    held_before: Timestamp,
    max: usize,
) -> Result<Vec<i64>, Failed> {
    let mut found = Vec::new();
    let is_free = |id: Option<[u8; 16]>| {
        let id = id.map(DeliveryId::from_bytes);
        id.is_none_or(|id| shared.queue.state.lock().leases.of(id).is_none())
    };
    let mut by_expiry = file.prepare_cached(
        "SELECT seq, id FROM deliveries WHERE gate IS NOT NULL AND expires <= ?1 ORDER BY expires, seq",
    )?;
    let mut rows = by_expiry.query([now.as_millis()])?;
    while found.len() < max {
        let Some(row) = rows.next()? else { break };
        if is_free(row.get(1).ok()) {
            found.push(row.get(0)?);
        }
    }
    let mut from_the_head = file
        .prepare_cached("SELECT seq, id, at FROM deliveries WHERE webhook = ?1 AND gate IS NOT NULL ORDER BY gate")?;
    for webhook in webhooks(file)? {
        let mut rows = from_the_head.query([webhook_column(&webhook)])?;
        while found.len() < max {
            let Some(row) = rows.next()? else { break };
            let (seq, since) = (row.get(0)?, Timestamp::from_millis(row.get(2)?));
            if since >= held_before {
                break;
            }
            if is_free(row.get(1).ok()) && !found.contains(&seq) {
                found.push(seq);
            }
        }
    }
    Ok(found)
}

/// Picks of the rows that were found what still is so.
pub(super) fn pick(
    tx: &mut Tx<'_>,
    shared: &Shared,
    found: &[i64],
    now: Timestamp,
    held_before: Timestamp,
    max: usize,
) -> Result<(Vec<Standing>, Gone), Failed> {
    let mut picked = Picked::new(DOING, shared, max);
    let mut again = tx.connection.prepare_cached(
        "SELECT id FROM deliveries WHERE seq = ?1 AND gate IS NOT NULL AND (expires <= ?2 OR at < ?3)",
    )?;
    for seq in found {
        if !picked.has_room() {
            break;
        }
        let still = again.query_row((seq, now.as_millis(), held_before.as_millis()), |row| Ok(row.get(0).ok()));
        if let Some(id) = still.optional()? {
            picked.look_at(tx.connection, *seq, id.map(DeliveryId::from_bytes))?;
        }
    }
    drop(again);
    picked.settle_asides(tx)
}
