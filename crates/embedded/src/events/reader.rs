//! The one partition and its holder.

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
        Ok(Box::new(Reader { engine: self.engine.clone(), after, lost: Arc::clone(&self.lost) }))
    }
}

/// Reads from memory while it keeps up, else from the file.
struct Reader {
    engine: Embedded,
    after: i64,
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
                    let (events, reached) =
                        self.engine.readers.read(READING, move |file| page(file, after, max, bytes)).await?;
                    if !events.is_empty() {
                        return Ok(self.hand_out(events));
                    }
                    if reached > after {
                        // Nothing but erased ones, which are passed over.
                        self.after = reached;
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
        let position = i64::try_from(position.0).unwrap_or(i64::MAX);
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
                },
            )
            .await
    }
}

/// The next events, and how far it has been read: what was erased is left out.
fn page(file: &Connection, after: i64, max: usize, max_bytes: usize) -> Result<(Vec<(i64, Event)>, i64), Failed> {
    let mut statement = file.prepare_cached(
        "SELECT position, header, data, content, erased FROM events WHERE position > ?1 ORDER BY position LIMIT ?2",
    )?;
    let mut rows = statement.query((after, i64::try_from(max).unwrap_or(i64::MAX)))?;
    let (mut events, mut bytes, mut reached) = (Vec::new(), 0, after);
    while let Some(row) = rows.next()? {
        reached = row.get(0)?;
        if row.get(4)? {
            continue;
        }
        let event = event(READING, row, 1)??;
        bytes += event.data.len();
        events.push((reached, event));
        if bytes >= max_bytes {
            break;
        }
    }
    Ok((events, reached))
}
