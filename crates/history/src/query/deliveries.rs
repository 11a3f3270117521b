//! Lists of deliveries, most recent first.
//!
//! Every list is a range of one index that ends with `seq`, which is the cursor too: rows that are added while somebody pages
//! change nothing on the pages after the cursor. What no index tells (a type; delivered ones among all) is looked at row by
//! row, at most [`MAX_EXAMINED`] rows for a page; a page that stops there may have fewer rows than asked for, and goes on.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use fanfare_core::attempt::{Attempt, OutcomeClass};
use fanfare_core::delivery::DeliveryStatus;
use fanfare_core::ids::{DeliveryId, Hop, ProjectId, Run, RunId, WebhookId};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension as _, Row, Transaction, params, params_from_iter};

use super::{DeliveryFilter, DeliveryPage, DeliveryRow};
use crate::columns::{self, first_seq_at, from_count, status_code, to_count};
use crate::versions;

/// The most rows of a page.
pub(super) const MAX_ROWS: usize = 100;
/// The most rows that are looked at for a page.
pub(super) const MAX_EXAMINED: usize = 20_000;

const SELECT: &str = "SELECT d.seq, d.id, d.project, d.webhook, e.id, e.event_type, d.run, d.status, d.waiting_reason,
        d.created_at, d.next_attempt_at, d.attempt_count, d.last_attempt_at, d.response_status, d.last_outcome, d.ended_at,
        d.hop, e.header ->> '$.source'
    FROM deliveries AS d";
const JOIN: &str = "CROSS JOIN events AS e ON e.seq = d.event";

/// A range of one index.
pub(super) struct Range {
    pub(super) index: &'static str,
    /// Conditions on `d`, with parameters from `?3` on.
    pub(super) condition: &'static str,
    pub(super) values: Vec<Value>,
}

/// What one range brought.
struct Found {
    rows: Vec<(i64, DeliveryRow)>,
    /// Where looking stopped, if it did before the range's end and before there were enough rows.
    stopped_at: Option<i64>,
}

/// A page of a project's deliveries.
pub(crate) fn page(
    transaction: &Transaction<'_>,
    project: &ProjectId,
    filter: &DeliveryFilter,
) -> rusqlite::Result<DeliveryPage> {
    let limit = filter.limit.clamp(1, MAX_ROWS);
    let Some(ranges) = ranges(transaction, project, filter)? else {
        return Ok(DeliveryPage { rows: Vec::new(), next: None });
    };
    let mut rows = Vec::new();
    let mut stopped_at = None;
    for range in &ranges {
        let found = look(transaction, range, project, filter, limit + 1)?;
        rows.extend(found.rows);
        stopped_at = stopped_at.max(found.stopped_at);
    }
    // Below the place where one range stopped, another's rows would come before rows that have not been seen.
    rows.retain(|(seq, _)| stopped_at.is_none_or(|stopped_at| *seq >= stopped_at));
    rows.sort_unstable_by_key(|(seq, _)| std::cmp::Reverse(*seq));
    let next = if rows.len() > limit {
        rows.truncate(limit);
        rows.last().map(|(seq, _)| *seq)
    } else {
        stopped_at
    };
    let mut rows: Vec<DeliveryRow> = rows.into_iter().map(|(_, row)| row).collect();
    fill_in_urls(transaction, &mut rows)?;
    Ok(DeliveryPage { rows, next: next.map(to_count) })
}

/// The index ranges that hold everything that is wanted; `None` if there is nothing.
pub(super) fn ranges(
    transaction: &Transaction<'_>,
    project: &ProjectId,
    filter: &DeliveryFilter,
) -> rusqlite::Result<Option<Vec<Range>>> {
    if let Some(event) = &filter.event {
        let seq: Option<i64> = transaction
            .prepare_cached("SELECT seq FROM events WHERE project = ?1 AND id = ?2")?
            .query_row([project.as_str(), event.as_str()], |row| row.get(0))
            .optional()?;
        let range = |seq| Range { index: "deliveries_by_event", condition: "d.event = ?3", values: vec![seq] };
        return Ok(seq.map(|seq| vec![range(seq.into())]));
    }
    let by_status = !filter.statuses.is_empty() && !filter.statuses.contains(&DeliveryStatus::Delivered);
    let of = |status: DeliveryStatus| Value::from(status_code(status));
    let webhook = filter.webhook.map(|webhook| Value::from(webhook.as_bytes().to_vec()));
    let project = || Value::from(project.as_str().to_owned());
    let mut statuses = filter.statuses.clone();
    statuses.sort_unstable_by_key(|status| status_code(*status));
    statuses.dedup();
    let range_of_status = |status: DeliveryStatus| match &webhook {
        Some(webhook) => Range {
            index: "deliveries_by_webhook_and_status",
            condition: "d.webhook = ?3 AND d.status = ?4 AND d.status <> 3",
            values: vec![webhook.clone(), of(status)],
        },
        None => Range {
            index: "deliveries_by_project_and_status",
            condition: "d.project = ?3 AND d.status = ?4 AND d.status <> 3",
            values: vec![project(), of(status)],
        },
    };
    Ok(Some(match (by_status, &webhook) {
        (true, _) => statuses.into_iter().map(range_of_status).collect(),
        (false, Some(webhook)) => {
            vec![Range { index: "deliveries_by_webhook", condition: "d.webhook = ?3", values: vec![webhook.clone()] }]
        }
        (false, None) => {
            vec![Range { index: "deliveries_by_project", condition: "d.project = ?3", values: vec![project()] }]
        }
    }))
}

/// Reads a range downwards until there are `enough` rows that are wanted, or too many have been looked at.
fn look(
    transaction: &Transaction<'_>,
    range: &Range,
    project: &ProjectId,
    filter: &DeliveryFilter,
    enough: usize,
) -> rusqlite::Result<Found> {
    let sql = format!(
        "{SELECT} INDEXED BY {} {JOIN} WHERE {} AND d.seq >= ?1 AND d.seq < ?2 ORDER BY d.seq DESC",
        range.index, range.condition
    );
    let from = filter.since.map_or(0, first_seq_at);
    let until = filter.until.map_or(i64::MAX, first_seq_at).min(filter.after.map_or(i64::MAX, from_count));
    let bounds = [Value::from(from), Value::from(until)];
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut cursor = statement.query(params_from_iter(bounds.iter().chain(&range.values)))?;
    let (mut rows, mut examined) = (Vec::new(), 0);
    while let Some(row) = cursor.next()? {
        let seq: i64 = row.get(0)?;
        if is_wanted(row, project, filter)? {
            rows.push((seq, delivery(row)?));
            if rows.len() == enough {
                break;
            }
        }
        examined += 1;
        if examined == MAX_EXAMINED {
            return Ok(Found { rows, stopped_at: Some(seq) });
        }
    }
    Ok(Found { rows, stopped_at: None })
}

/// The conditions that the ranges do not hold all of.
pub(super) fn is_wanted(row: &Row<'_>, project: &ProjectId, filter: &DeliveryFilter) -> rusqlite::Result<bool> {
    Ok(row.get_ref(2)?.as_str()? == project.as_str()
        && filter.webhook.is_none_or(|webhook| row.get(3).is_ok_and(|id: [u8; 16]| id == *webhook.as_bytes()))
        && (filter.statuses.is_empty() || filter.statuses.contains(&columns::status(row, 7)?))
        && (!filter.errors_only || has_failed(row)?)
        && match &filter.event_type {
            Some(event_type) => row.get_ref(5)?.as_str()? == event_type.as_str(),
            None => true,
        })
}

/// Whether it ended otherwise than delivered or stands aside, or waits after a failed attempt.
fn has_failed(row: &Row<'_>) -> rusqlite::Result<bool> {
    Ok(match columns::status(row, 7)? {
        DeliveryStatus::Exhausted
        | DeliveryStatus::Expired
        | DeliveryStatus::Discarded
        | DeliveryStatus::Quarantined => true,
        DeliveryStatus::Delivered => false,
        DeliveryStatus::Pending | DeliveryStatus::Waiting | DeliveryStatus::Gated => {
            columns::outcome(row, 14)?.is_some_and(|outcome| outcome != OutcomeClass::Success)
        }
    })
}

/// The rows of these keys, in their order; those that were removed meanwhile are left out.
pub(super) fn rows(transaction: &Transaction<'_>, seqs: &[i64]) -> rusqlite::Result<Vec<DeliveryRow>> {
    let mut statement = transaction.prepare_cached(&format!("{SELECT} {JOIN} WHERE d.seq = ?1"))?;
    let mut rows = Vec::with_capacity(seqs.len());
    for seq in seqs {
        rows.extend(statement.query_row([seq], delivery).optional()?);
    }
    fill_in_urls(transaction, &mut rows)?;
    Ok(rows)
}

/// A row of [`SELECT`], its URL still empty.
fn delivery(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    let again = row.get_ref(6)?.as_str_or_null()?.is_some();
    Ok(DeliveryRow {
        id: columns::delivery_id(row, 1)?,
        webhook: columns::webhook_id(row, 3)?,
        webhook_url: String::new(),
        event: columns::parsed(row, 4)?,
        event_type: columns::parsed(row, 5)?,
        source: if row.get_ref(17)?.as_str_or_null()?.is_some() { Some(columns::parsed(row, 17)?) } else { None },
        run: if again { Run::Again(columns::parsed::<RunId>(row, 6)?) } else { Run::Original },
        status: columns::status(row, 7)?,
        waiting_reason: columns::waiting_reason(row, 8)?.map(str::to_owned),
        created_at: columns::time(row, 9)?,
        next_attempt_at: columns::optional_time(row, 10)?,
        attempt_count: row.get(11)?,
        last_attempt_at: columns::optional_time(row, 12)?,
        response_status: row.get(13)?,
        last_outcome: columns::outcome(row, 14)?,
        ended_at: columns::optional_time(row, 15)?,
        hop: Hop(row.get(16)?),
    })
}

fn fill_in_urls(transaction: &Transaction<'_>, rows: &mut [DeliveryRow]) -> rusqlite::Result<()> {
    let mut known: HashMap<WebhookId, String> = HashMap::new();
    for row in rows {
        let url = match known.entry(row.webhook) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(versions::url(transaction, row.webhook)?),
        };
        row.webhook_url.clone_from(url);
    }
    Ok(())
}

/// An event's deliveries, most recent first, at most [`MAX_ROWS`].
pub(super) fn of_event(transaction: &Transaction<'_>, event: i64) -> rusqlite::Result<Vec<DeliveryRow>> {
    let sql = format!("{SELECT} {JOIN} WHERE d.event = ?1 ORDER BY d.seq DESC LIMIT ?2");
    let mut rows = transaction
        .prepare_cached(&sql)?
        .query_map(params![event, from_count(MAX_ROWS as u64)], delivery)?
        .collect::<Result<Vec<_>, _>>()?;
    fill_in_urls(transaction, &mut rows)?;
    Ok(rows)
}

/// A delivery with its attempts, first to last.
pub(crate) fn one(
    transaction: &Transaction<'_>,
    project: &ProjectId,
    id: DeliveryId,
) -> rusqlite::Result<Option<(DeliveryRow, Vec<Attempt>)>> {
    let sql = format!("{SELECT} {JOIN} WHERE d.id = ?1 AND d.project = ?2");
    let found = transaction
        .prepare_cached(&sql)?
        .query_row(params![id.as_bytes(), project.as_str()], |row| Ok((row.get::<_, i64>(0)?, delivery(row)?)))
        .optional()?;
    let Some((seq, row)) = found else { return Ok(None) };
    let mut rows = [row];
    fill_in_urls(transaction, &mut rows)?;
    let [row] = rows;
    let mut attempts: Vec<Attempt> = transaction
        .prepare_cached("SELECT record FROM attempts WHERE delivery = ?1")?
        .query_map([seq], |row| columns::json(row, 0))?
        .collect::<Result<_, _>>()?;
    attempts.sort_by_key(|attempt| (attempt.number, attempt.id));
    Ok(Some((row, attempts)))
}
