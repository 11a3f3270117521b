//! Lists of events, most recent first.
//!
//! As [`deliveries`](super::deliveries): a range of one index that ends with `seq`, which is the cursor too. Type, source and subject
//! are in no index and are looked at row by row, at most [`MAX_EXAMINED`] rows for a page; a page that stops there may have fewer
//! rows than asked for, and goes on.

use fanfare_core::event::{EventType, Source, Subject};
use fanfare_core::ids::ProjectId;
use rusqlite::{Row, Transaction, params};

use super::deliveries::{MAX_EXAMINED, MAX_ROWS};
use super::{EventFilter, EventPage, EventSummary};
use crate::columns::{self, first_seq_at, from_count, to_count};

/// A page of a project's events that have been fanned out.
pub(crate) fn page(
    transaction: &Transaction<'_>,
    project: &ProjectId,
    filter: &EventFilter,
) -> rusqlite::Result<EventPage> {
    let limit = filter.limit.clamp(1, MAX_ROWS);
    let from = filter.since.map_or(0, first_seq_at);
    let until = filter.until.map_or(i64::MAX, first_seq_at).min(filter.after.map_or(i64::MAX, from_count));
    let mut statement = transaction.prepare_cached(
        "SELECT seq, event_type, header ->> '$.source', header ->> '$.subject', header, data_bytes, fanned_out_at
         FROM events INDEXED BY events_by_project
         WHERE project = ?1 AND seq >= ?2 AND seq < ?3 ORDER BY seq DESC",
    )?;
    let mut cursor = statement.query(params![project.as_str(), from, until])?;
    let (mut rows, mut examined) = (Vec::new(), 0);
    let mut next = None;
    while let Some(row) = cursor.next()? {
        if is_wanted(row, filter)? {
            if rows.len() == limit {
                next = rows.last().map(|(seq, _)| *seq);
                break;
            }
            rows.push((row.get(0)?, summary(row)?));
        }
        examined += 1;
        if examined == MAX_EXAMINED {
            next = Some(row.get(0)?);
            break;
        }
    }
    let mut count = transaction.prepare_cached("SELECT count(*) FROM deliveries WHERE event = ?1")?;
    let mut events = Vec::with_capacity(rows.len());
    for (seq, row) in rows {
        let deliveries_total = count.query_row([seq], |row| row.get(0).map(to_count))?;
        events.push(EventSummary { deliveries_total, ..row });
    }
    Ok(EventPage { rows: events, next: next.map(to_count) })
}

/// Whether the event is complete, not deleted, and what is asked for.
fn is_wanted(row: &Row<'_>, filter: &EventFilter) -> rusqlite::Result<bool> {
    let text = |column| row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from);
    let is = |column, wanted: Option<&str>| match wanted {
        Some(wanted) => text(column).map(|found| found == Some(wanted)),
        None => Ok(true),
    };
    Ok(text(4)?.is_some()
        && is(1, filter.event_type.as_ref().map(EventType::as_str))?
        && is(2, filter.source.as_ref().map(Source::as_str))?
        && is(3, filter.subject.as_ref().map(Subject::as_str))?)
}

/// The event without its count of deliveries.
fn summary(row: &Row<'_>) -> rusqlite::Result<EventSummary> {
    Ok(EventSummary {
        event: columns::json(row, 4)?,
        data_bytes: to_count(row.get(5)?),
        fanned_out_at: columns::time(row, 6)?,
        deliveries_total: 0,
    })
}
