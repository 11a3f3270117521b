//! What the engine does by itself: removes what is past its retention, and gives pages back to the file system.
//!
//! Everything goes through the writer in small steps, between which others have their turn.

use std::sync::Arc;

use fanfare_core::ports::{StoreError, StoreResult};
use fanfare_runtime::Shutdown;
use rusqlite::Connection;

use crate::writer::{Failed, Tx};
use crate::{Embedded, WriterEnded, mark};

/// The most rows that one step removes.
const STEP: i64 = 1000;

/// Free pages that are kept for what will be written next: giving back and taking again would cost twice.
const SPARE_PAGES: i64 = 4096;

/// Free pages that one step gives back.
const VACUUM_PAGES: i64 = 256;

impl Embedded {
    /// Tends the file until shutdown, or until its writer has ended.
    pub(crate) async fn maintain(&self, shutdown: &Shutdown) -> Result<(), WriterEnded> {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.writer.ended() => return if shutdown.is_cancelled() { Ok(()) } else { Err(WriterEnded) },
                () = self.shared.clock.sleep(self.shared.config.maintenance_interval.get()) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                tended = self.tend() => if let Err(error) = tended {
                    let error = fanfare_runtime::tasks::report(&error);
                    tracing::warn!(error, "what is past its retention could not be removed; trying again");
                }
            }
        }
    }

    /// Removes everything that is past its retention, in steps.
    pub(crate) async fn tend(&self) -> StoreResult<()> {
        let now = self.shared.clock.now();
        let accepted_before = now.before(self.shared.config.event_retention.get()).as_millis();
        let now = now.as_millis();
        self.in_steps("remove read journal entries", STEP, move |tx| Ok(forget_journal(tx.connection)?)).await?;
        self.in_steps("remove old events", STEP, move |tx| Ok(forget_events(tx.connection, accepted_before)?)).await?;
        self.in_steps("forget ended deliveries", STEP, move |tx| Ok(forget_ended(tx.connection, now)?)).await?;
        self.in_steps("give free pages back", VACUUM_PAGES, |tx| Ok(give_back(tx.connection)?)).await
    }

    /// Repeats a step until it has done less than it may do at once.
    async fn in_steps<S>(&self, doing: &'static str, most: i64, step: S) -> Result<(), StoreError>
    where
        S: Fn(&mut Tx<'_>) -> Result<i64, Failed> + Send + Sync + 'static,
    {
        let step = Arc::new(step);
        loop {
            let once = Arc::clone(&step);
            if self.writer.write(doing, 0, move |tx| once(tx), |done| done).await? < most {
                return Ok(());
            }
        }
    }
}

/// Entries that the read model has. What the mark says stays true after them, so positions are not given out twice.
fn forget_journal(connection: &Connection) -> rusqlite::Result<i64> {
    let done = mark(connection, "journal_done")?;
    let mut delete = connection.prepare_cached(
        "DELETE FROM journal WHERE position IN \
         (SELECT position FROM journal WHERE position <= ?1 ORDER BY position LIMIT ?2)",
    )?;
    delete.execute((done, STEP)).map(count)
}

/// Events from the log's start on that have been fanned out and are old enough. Deliveries carry their own bodies.
fn forget_events(connection: &Connection, accepted_before: i64) -> rusqlite::Result<i64> {
    let passed = mark(connection, "events_passed")?;
    // In order of position and not of time: the first one that is still to be kept ends the search.
    let kept: Option<i64> = connection
        .prepare_cached(
            "SELECT min(position) FROM (SELECT position, accepted_at FROM events ORDER BY position LIMIT ?1) \
             WHERE accepted_at >= ?2",
        )?
        .query_row((STEP, accepted_before), |row| row.get(0))?;
    let mut delete = connection.prepare_cached(
        "DELETE FROM events WHERE position IN \
         (SELECT position FROM events WHERE position < ?1 AND position <= ?2 ORDER BY position LIMIT ?3)",
    )?;
    delete.execute((kept.unwrap_or(i64::MAX), passed, STEP)).map(count)
}

/// Deliveries that ended so long ago that nothing of them can come again.
fn forget_ended(connection: &Connection, now: i64) -> rusqlite::Result<i64> {
    // What was in quarantine still has its body.
    let mut bodies = connection.prepare_cached(
        "DELETE FROM bodies WHERE seq IN (SELECT seq FROM \
         (SELECT seq, place FROM deliveries WHERE place >= 20 AND at <= ?1 ORDER BY at LIMIT ?2) WHERE place = 40)",
    )?;
    bodies.execute((now, STEP))?;
    let mut delete = connection.prepare_cached(
        "DELETE FROM deliveries WHERE seq IN \
         (SELECT seq FROM deliveries WHERE place >= 20 AND at <= ?1 ORDER BY at LIMIT ?2)",
    )?;
    delete.execute((now, STEP)).map(count)
}

/// Gives pages back that are free beyond the spare ones; returns how many.
fn give_back(connection: &Connection) -> rusqlite::Result<i64> {
    let free: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    let pages = (free - SPARE_PAGES).min(VACUUM_PAGES);
    if pages <= 0 {
        return Ok(0);
    }
    // The pragma frees one page with each row that is asked of it.
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    Ok(pages)
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
