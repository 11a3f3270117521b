//! Removes what is past retention, in steps so small that applying the journal never waits long.
//!
//! An event goes with all its deliveries: once it was fanned out, and the last of them ended, longer ago than the retention.
//! Deliveries that still wait keep their event, however old. Where rows were removed the file has free pages; when they are
//! more than a reserve for new rows, they are given back.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::{Clock, Timestamp};
use fanfare_runtime::Shutdown;
use fanfare_runtime::tasks::report;
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::columns::{first_seq_at, from_count};
use crate::database::Database;
use crate::error::HistoryError;

/// How often it is looked for what is past retention.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// The most rows that one transaction removes.
const STEP_ROWS: usize = 1000;
/// The most events that one transaction looks at.
const STEP_EVENTS: usize = 1000;
/// The most pages that one transaction gives back: 4 MiB.
const STEP_PAGES: i64 = 1000;
/// Free pages up to this part of the file stay for new rows.
const RESERVE: i64 = 8;

/// Sweeps until shutdown.
pub(crate) async fn run(
    database: Arc<Database>,
    retention: Duration,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
) -> Result<(), HistoryError> {
    loop {
        match sweep(&database, retention, clock.now(), &shutdown).await {
            Ok(()) => {}
            Err(error) if error.is_retryable() => {
                tracing::warn!(error = %report(&error), "could not remove what is past retention; trying again later");
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = clock.sleep(SWEEP_EVERY) => {}
        }
    }
}

/// Removes everything that is past retention now. What it leaves in the middle, the next sweep removes.
async fn sweep(
    database: &Arc<Database>,
    retention: Duration,
    now: Timestamp,
    shutdown: &Shutdown,
) -> Result<(), HistoryError> {
    const DOING: &str = "remove what is past retention";
    let cutoff = now.before(retention);
    let mut after = i64::MIN;
    while !shutdown.is_cancelled() {
        match database.write(DOING, move |transaction| remove_events(transaction, cutoff, after)).await? {
            Some(reached) => after = reached,
            None => break,
        }
    }
    // Kept twice as long as events, whose non-matches are told from them.
    let versions_cutoff = cutoff.before(retention);
    while !shutdown.is_cancelled()
        && database.write(DOING, move |transaction| remove_notes(transaction, cutoff, versions_cutoff)).await?
    {}
    while !shutdown.is_cancelled() && database.write("give back free pages", give_back).await? {}
    Ok(())
}

/// Looks at events after the `seq` `after` and removes those past retention, up to the bounds of a step. Answers after which
/// `seq` the next step goes on; `None` when there is nothing more.
pub(crate) fn remove_events(
    transaction: &Transaction<'_>,
    cutoff: Timestamp,
    after: i64,
) -> rusqlite::Result<Option<i64>> {
    let candidates: Vec<(i64, bool)> = transaction
        .prepare_cached(
            "SELECT seq, coalesce(fanned_out_at, 0) < ?3 AND NOT EXISTS (
                        SELECT 1 FROM deliveries INDEXED BY deliveries_by_event
                        WHERE event = events.seq AND (status < 3 OR ended_at >= ?3))
             FROM events WHERE seq > ?1 AND seq < ?2 ORDER BY seq LIMIT ?4",
        )?
        .query_map(params![after, first_seq_at(cutoff), cutoff.as_millis(), from_count(STEP_EVENTS as u64)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut budget = STEP_ROWS;
    let mut reached = None;
    for (event, past) in candidates {
        if past && !remove_event(transaction, event, &mut budget)? {
            // The step is full: the next one goes on with the rest of this event.
            return Ok(Some(event - 1));
        }
        reached = Some(event);
    }
    Ok(reached)
}

/// Removes an event's attempts and deliveries, then itself; answers whether the budget sufficed.
fn remove_event(transaction: &Transaction<'_>, event: i64, budget: &mut usize) -> rusqlite::Result<bool> {
    while *budget > 0 {
        let delivery: Option<i64> = transaction
            .prepare_cached("SELECT seq FROM deliveries WHERE event = ?1 LIMIT 1")?
            .query_row([event], |row| row.get(0))
            .optional()?;
        let Some(delivery) = delivery else {
            transaction.prepare_cached("DELETE FROM events WHERE seq = ?1")?.execute([event])?;
            *budget -= 1;
            return Ok(true);
        };
        *budget -= transaction
            .prepare_cached(
                "DELETE FROM attempts WHERE rowid IN (SELECT rowid FROM attempts WHERE delivery = ?1 LIMIT ?2)",
            )?
            .execute(params![delivery, from_count(*budget as u64)])?;
        if *budget == 0 {
            return Ok(false);
        }
        transaction.prepare_cached("DELETE FROM deliveries WHERE seq = ?1")?.execute([delivery])?;
        *budget -= 1;
    }
    Ok(false)
}

/// Removes what was noted beside events and deliveries; answers whether there may be more.
fn remove_notes(
    transaction: &Transaction<'_>,
    cutoff: Timestamp,
    versions_cutoff: Timestamp,
) -> rusqlite::Result<bool> {
    let step = from_count(STEP_ROWS as u64 / 4);
    let moves = transaction
        .prepare_cached(
            "DELETE FROM brought_forward WHERE delivery IN (SELECT delivery FROM brought_forward WHERE at < ?1 LIMIT ?2)",
        )?
        .execute(params![cutoff.as_millis(), step])?;
    let deletions = transaction
        .prepare_cached(
            "DELETE FROM deleted_webhooks
             WHERE webhook IN (SELECT webhook FROM deleted_webhooks WHERE closed = 1 AND at < ?1 LIMIT ?2)",
        )?
        .execute(params![versions_cutoff.as_millis(), step])?;
    let versions = transaction
        .prepare_cached(
            "DELETE FROM webhook_versions
             WHERE rowid IN (SELECT rowid FROM webhook_versions WHERE superseded_at < ?1 LIMIT ?2)",
        )?
        .execute(params![versions_cutoff.as_millis(), step])?;
    Ok(moves + deletions + versions > 0)
}

/// Gives back some free pages; answers whether there may be more to give back.
pub(crate) fn give_back(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    let pages = |pragma: &str| transaction.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let (all, free) = (pages("PRAGMA page_count")?, pages("PRAGMA freelist_count")?);
    let surplus = free - all / RESERVE;
    if surplus <= 0 {
        return Ok(false);
    }
    let step = surplus.min(STEP_PAGES);
    // Each step of this statement gives back one page.
    let mut statement = transaction.prepare(&format!("PRAGMA incremental_vacuum({step})"))?;
    let mut freed = statement.query([])?;
    while freed.next()?.is_some() {}
    Ok(surplus > step)
}
