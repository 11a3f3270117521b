//! One event: where it went, and to which webhooks of its project it did not go, and why.

use std::collections::HashSet;

use fanfare_core::event::EventHeader;
use fanfare_core::filter::FilterData;
use fanfare_core::ids::{EventId, ProjectId, WebhookId};
use fanfare_core::matching::{NonMatch, non_match};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{EventRow, deliveries};
use crate::columns::{self, to_count};
use crate::versions;

/// The most non-matches that are listed.
const MAX_NON_MATCHES: usize = 100;

/// The event, if it has been fanned out. Its data, if it is known, is asked of the filters of those it did not go to.
pub(crate) fn one(
    transaction: &Transaction<'_>,
    project: &ProjectId,
    id: &EventId,
    data: Option<&[u8]>,
) -> rusqlite::Result<Option<EventRow>> {
    let found = transaction
        .prepare_cached(
            "SELECT seq, header, data_bytes, revision, fanned_out_at FROM events
             WHERE project = ?1 AND id = ?2 AND header IS NOT NULL",
        )?
        .query_row([project.as_str(), id.as_str()], |row| {
            let (seq, revision): (i64, i64) = (row.get(0)?, row.get(3)?);
            let event: EventHeader = columns::json(row, 1)?;
            Ok((seq, event, to_count(row.get(2)?), revision, columns::time(row, 4)?))
        })
        .optional()?;
    let Some((seq, event, data_bytes, revision, fanned_out_at)) = found else { return Ok(None) };
    let deliveries_total = transaction
        .prepare_cached("SELECT count(*) FROM deliveries WHERE event = ?1")?
        .query_row([seq], |row| row.get(0).map(to_count))?;
    Ok(Some(EventRow {
        deliveries: deliveries::of_event(transaction, seq)?,
        deliveries_total,
        non_matches: non_matches(transaction, seq, revision, &event, data)?,
        non_matches_total: non_matches_total(transaction, seq, revision, project)?,
        event,
        data_bytes,
        fanned_out_at,
    }))
}

/// The webhooks that the project had at that revision and that have no delivery of the event, in order of their id.
///
/// A webhook that was made later is not among them: nothing kept the event from it but its not being there yet. The index
/// tells which webhooks there were; a record is read only for those listed.
fn non_matches(
    transaction: &Transaction<'_>,
    event: i64,
    revision: i64,
    header: &EventHeader,
    data: Option<&[u8]>,
) -> rusqlite::Result<Vec<(WebhookId, NonMatch)>> {
    let delivered: HashSet<WebhookId> = transaction
        .prepare_cached("SELECT webhook FROM deliveries WHERE event = ?1")?
        .query_map([event], |row| columns::webhook_id(row, 0))?
        .collect::<Result<_, _>>()?;
    let mut there = transaction.prepare_cached(
        "SELECT rowid, webhook FROM webhook_versions INDEXED BY webhook_versions_by_project
         WHERE project = ?1 AND revision <= ?2 AND until > ?2 ORDER BY webhook",
    )?;
    let mut there = there.query(params![header.project.as_str(), revision])?;
    let mut record = transaction.prepare_cached("SELECT record FROM webhook_versions WHERE rowid = ?1")?;
    let data = data.map(FilterData::new);
    let mut found = Vec::new();
    while let Some(row) = there.next()? {
        let (rowid, id): (i64, _) = (row.get(0)?, columns::webhook_id(row, 1)?);
        if delivered.contains(&id) {
            continue;
        }
        let webhook = record.query_row([rowid], |row| versions::record(row, 0))?;
        found.extend(non_match(&webhook, header, data.as_ref()).map(|why| (id, why)));
        if found.len() == MAX_NON_MATCHES {
            break;
        }
    }
    Ok(found)
}

/// How many webhooks the project had at that revision, less those of them that have a delivery of the event.
fn non_matches_total(
    transaction: &Transaction<'_>,
    event: i64,
    revision: i64,
    project: &ProjectId,
) -> rusqlite::Result<u64> {
    let there: i64 = transaction
        .prepare_cached(
            "SELECT count(*) FROM webhook_versions INDEXED BY webhook_versions_by_project
             WHERE project = ?1 AND revision <= ?2 AND until > ?2",
        )?
        .query_row(params![project.as_str(), revision], |row| row.get(0))?;
    let matched: i64 = transaction
        .prepare_cached(
            "SELECT count(DISTINCT webhook) FROM deliveries AS d WHERE event = ?1 AND EXISTS (
                SELECT 1 FROM webhook_versions AS v WHERE v.webhook = d.webhook AND v.revision <= ?2 AND v.until > ?2)",
        )?
        .query_row([event, revision], |row| row.get(0))?;
    Ok(to_count(there - matched))
}
