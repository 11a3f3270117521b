//! Gates: what stands behind them is in the file, in order; who owns them is a permit.
//!
//! One partition holds all gates, since one process has nobody to share them with.

mod expired;
mod pick;
mod share;

use fanfare_core::delivery::Delivery;
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::delivery_queue::{GateDepth, GatePosition};
use rusqlite::{Connection, OptionalExtension};

use crate::codec::{standing, standing_columns, webhook_column};
use crate::writer::Failed;
use fanfare_core::clock::Timestamp;

pub(super) use share::Share;

/// What stands behind the webhook's gate; walks the gate's part of the index.
pub(super) fn depth(file: &Connection, webhook: WebhookId) -> Result<GateDepth, Failed> {
    let webhook = webhook_column(&webhook);
    let count: i64 = file
        .prepare_cached("SELECT count(*) FROM deliveries WHERE webhook = ?1 AND gate IS NOT NULL")?
        .query_row([webhook], |row| row.get(0))?;
    let oldest: Option<i64> = file
        .prepare_cached("SELECT at FROM deliveries WHERE webhook = ?1 AND gate IS NOT NULL ORDER BY gate LIMIT 1")?
        .query_row([webhook], |row| row.get(0))
        .optional()?;
    Ok(GateDepth { count: count.unsigned_abs(), oldest: oldest.map(Timestamp::from_millis) })
}

/// What stands behind the gate after a position, in order.
pub(super) fn read(
    file: &Connection,
    webhook: WebhookId,
    after: GatePosition,
    max: usize,
) -> Result<Vec<(GatePosition, Delivery)>, Failed> {
    let mut statement = file.prepare_cached(concat!(
        "SELECT ",
        standing_columns!(),
        ", d.gate FROM deliveries d JOIN bodies b ON b.seq = d.seq \
         WHERE d.webhook = ?1 AND d.gate > ?2 ORDER BY d.gate LIMIT ?3"
    ))?;
    let after = i64::try_from(after.0).unwrap_or(i64::MAX);
    let mut rows = statement.query((webhook_column(&webhook), after, i64::try_from(max).unwrap_or(i64::MAX)))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let gate: i64 = row.get("gate")?;
        // What cannot be read goes into quarantine when its turn comes.
        if let Ok(standing) = standing("read what stands behind a gate", row) {
            found.push((GatePosition(gate.unsigned_abs()), standing.delivery));
        }
    }
    Ok(found)
}

/// Every webhook with anything behind its gate: one step in the index for each of them.
fn webhooks(file: &Connection) -> Result<Vec<WebhookId>, Failed> {
    let mut next = file.prepare_cached(
        "SELECT webhook FROM deliveries WHERE webhook > ?1 AND gate IS NOT NULL ORDER BY webhook LIMIT 1",
    )?;
    let mut found: Vec<WebhookId> = Vec::new();
    loop {
        let after: &[u8] = found.last().map_or(&[], |webhook| webhook_column(webhook));
        let Some(webhook) = next.query_row([after], |row| row.get::<_, [u8; 16]>(0)).optional()? else {
            return Ok(found);
        };
        found.push(WebhookId::from_bytes(webhook));
    }
}
