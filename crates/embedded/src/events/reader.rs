//! The one partition and its holder.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use fanfare_core::event::Event;
use fanfare_core::ports::event_log::{LoggedEvent, Partition, PartitionReader, PartitionShare, Position};
use fanfare_core::ports::{StoreError, StoreResult};
use rusqlite::Connection;
use tokio::sync::OwnedSemaphorePermit;

use super::event;
use crate::Embedded;
use crate::error::closed;
use crate::page::Page;
use crate::tail::Taken;
use crate::writer::Failed;

const READING: &str = "read the next events";

/// Takes part in consuming; holds the partition once nobody else does.
pub(super) struct Share {
    engine: Embedded,
    permit: Option<OwnedSemaphorePermit>,
    /// Whether the share has been dropped, and the partition with it.
    lost: Arc<AtomicBool>,
}

impl Share {
    pub(super) fn new(engine: Embedded) -> Self {
        Self { engine, permit: None, lost: Arc::default() }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // First the reader loses the partition, then the next holder may get it.
        self.lost.store(true, Ordering::SeqCst);
        self.engine.shared.events.grown.notify_waiters();
    }
}

#[async_trait]
impl PartitionShare for Share {
    async fn next(&mut self) -> StoreResult<Box<dyn PartitionReader>> {
        const DOING: &str = "wait for a partition of events";
        if self.permit.is_some() {
            // There is no second partition to come.
            self.engine.writer.ended().await;
            return Err(closed(DOING));
        }
        let holder = Arc::clone(&self.engine.shared.events.holder);
        let permit = tokio::select! {
            permit = holder.acquire_owned() => permit.map_err(|_| closed(DOING))?,
            () = self.engine.writer.ended() => return Err(closed(DOING)),
        };
        self.permit = Some(permit);
        let after = self.engine.shared.events.passed.load(Ordering::Acquire);
        let lost = Arc::clone(&self.lost);
        Ok(Box::new(Reader { engine: self.engine.clone(), after, passed_over: BTreeSet::new(), lost }))
    }
}

/// Reads from memory while it keeps up, else from the file.
struct Reader {
    engine: Embedded,
    after: i64,
    /// What was passed over and no position has passed yet: nobody will say that it is done with.
    passed_over: BTreeSet<i64>,
    lost: Arc<AtomicBool>,
}

impl Reader {
    fn hand_out(&mut self, events: Vec<(i64, Event)>) -> Vec<LoggedEvent> {
        let tail = &self.engine.shared.events;
        let handed = tail.handed.load(Ordering::Acquire);
        if let Some((last, _)) = events.last() {
            self.after = *last;
            tail.handed.fetch_max(*last, Ordering::AcqRel);
        }
        let logged = |(position, event): (i64, Event)| LoggedEvent {
            position: Position(position.unsigned_abs()),
            event,
            redelivered: position <= handed,
        };
        events.into_iter().map(logged).collect()
    }
}

#[async_trait]
impl PartitionReader for Reader {
    fn partition(&self) -> Partition {
        Partition(0)
    }

    async fn next(&mut self, max: usize) -> StoreResult<Vec<LoggedEvent>> {
        let max = max.max(1);
        loop {
            let shared = Arc::clone(&self.engine.shared);
            let mut grown = std::pin::pin!(shared.events.grown.notified());
            grown.as_mut().enable();
            if self.lost.load(Ordering::SeqCst) {
                return Err(StoreError::lost(READING));
            }
            if self.engine.writer.has_ended() {
                return Err(closed(READING));
            }
            let taken = shared.events.tail.lock().take(self.after, max);
            match taken {
                Taken::Items(events) => return Ok(self.hand_out(events)),
                Taken::Behind => {
                    let (after, bytes) = (self.after, shared.config.window_bytes);
                    let page = self.engine.readers.read(READING, move |file| page(file, after, max, bytes)).await?;
                    shared.tell("event", &page.unreadable);
                    self.passed_over.extend(page.unreadable.iter().map(|(position, _)| *position));
                    self.passed_over.extend(page.erased);
                    if let Some(reached) = page.reached {
                        let items = self.hand_out(page.items);
                        self.after = reached;
                        if !items.is_empty() {
                            return Ok(items);
                        }
                        // Nobody says that the position may pass these: what is before them is done with, or not.
                        let passed = shared.events.passed.load(Ordering::Acquire);
                        self.advance(Position(passed.unsigned_abs())).await?;
                        continue;
                    }
                    // Everything up to the end of what was there has been removed: that is only done with passed
                    // events.
                    self.after = self.after.max(shared.events.passed.load(Ordering::Acquire));
                }
                Taken::Nothing => {
                    tokio::select! {
                        () = grown => {}
                        () = self.engine.writer.ended() => {}
                    }
                }
            }
        }
    }

    async fn advance(&mut self, position: Position) -> StoreResult<()> {
        const DOING: &str = "advance a partition's position";
        let (lost, shared) = (Arc::clone(&self.lost), Arc::clone(&self.engine.shared));
        let mut position = i64::try_from(position.0).unwrap_or(i64::MAX);
        while self.passed_over.contains(&position.saturating_add(1)) {
            position += 1;
        }
        self.engine
            .writer
            .write(
                DOING,
                0,
                move |tx| {
                    // The next holder may be reading already: its position is not this one's to move.
                    if lost.load(Ordering::SeqCst) {
                        return Err(StoreError::lost(DOING).into());
                    }
                    let position = position.min(tx.counters.event);
                    tx.connection
                        .prepare_cached("UPDATE marks SET value = ?1 WHERE name = 'events_passed' AND value < ?1")?
                        .execute([position])?;
                    Ok(position)
                },
                move |position| {
                    shared.events.passed.fetch_max(position, Ordering::AcqRel);
                    shared.events.lines.lock().pass(position);
                },
            )
            .await?;
        self.passed_over.retain(|unreadable| *unreadable > position);
        Ok(())
    }
}

fn page(file: &Connection, after: i64, max: usize, max_bytes: usize) -> Result<Page<Event>, Failed> {
    let mut statement = file.prepare_cached(
        "SELECT position, header, data, content, erased FROM events WHERE position > ?1 ORDER BY position LIMIT ?2",
    )?;
    let mut rows = statement.query((after, i64::try_from(max).unwrap_or(i64::MAX)))?;
    let (mut page, mut bytes) = (Page::default(), 0);
    while let Some(row) = rows.next()? {
        if row.get(4)? {
            page.pass_over(row.get(0)?);
            continue;
        }
        let event = event(READING, row, 1)?;
        bytes += event.as_ref().map_or(0, |event| event.data.len());
        page.take(row.get(0)?, event);
        if bytes >= max_bytes {
            break;
        }
    }
    Ok(page)
}
