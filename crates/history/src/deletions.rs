//! What is left to do of deletions of events: the read model erases its own rows as the journal tells of them; it remembers which
//! deletions whoever makes them has not finished in the log and in the queue.

use fanfare_core::clock::Timestamp;
use fanfare_core::ids::{DeliveryId, EventId, ProjectId, WebhookId};
use rusqlite::{Params, Transaction, params};

use crate::columns;
use crate::query::OpenDeletion;

/// The most deletions that are read at once.
const STEP: i64 = 20;

/// The deliveries of an event that may still be delivered.
pub(crate) fn open_deliveries(
    transaction: &Transaction<'_>,
    project: &ProjectId,
    event: &EventId,
) -> rusqlite::Result<Vec<(WebhookId, DeliveryId)>> {
    deliveries(
        transaction,
        "SELECT d.webhook, d.id FROM events AS e CROSS JOIN deliveries AS d INDEXED BY deliveries_by_event ON d.event = e.seq
         WHERE e.project = ?1 AND e.id = ?2 AND d.status IN (0, 1, 2, 7)",
        [project.as_str(), event.as_str()],
    )
}

/// Some deletions whose rows are erased here and that are not finished elsewhere.
pub(crate) fn open(transaction: &Transaction<'_>, before: Timestamp) -> rusqlite::Result<Vec<OpenDeletion>> {
    let events = transaction
        .prepare_cached(
            "SELECT seq, project, id, deleted_at FROM events INDEXED BY events_in_deletion
             WHERE deletion = 1 AND deletion < 2 AND deleted_at <= ?1 ORDER BY deleted_at LIMIT ?2",
        )?
        .query_map(params![before.as_millis(), STEP], |row| {
            Ok((row.get::<_, i64>(0)?, columns::parsed(row, 1)?, columns::parsed(row, 2)?, columns::time(row, 3)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let mut open = Vec::with_capacity(events.len());
    for (seq, project, event, at) in events {
        let of_event =
            "SELECT webhook, id FROM deliveries INDEXED BY deliveries_by_event WHERE event = ?1 AND status = 6";
        open.push(OpenDeletion { project, event, at, deliveries: deliveries(transaction, of_event, [seq])? });
    }
    Ok(open)
}

/// Notes that a deletion is finished.
pub(crate) fn finish(transaction: &Transaction<'_>, project: &ProjectId, event: &EventId) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE events SET deletion = 2 WHERE project = ?1 AND id = ?2 AND deletion = 1")?
        .execute([project.as_str(), event.as_str()])
        .map(drop)
}

fn deliveries(
    transaction: &Transaction<'_>,
    sql: &str,
    of: impl Params,
) -> rusqlite::Result<Vec<(WebhookId, DeliveryId)>> {
    transaction
        .prepare_cached(sql)?
        .query_map(of, |row| Ok((columns::webhook_id(row, 0)?, columns::delivery_id(row, 1)?)))?
        .collect()
}
