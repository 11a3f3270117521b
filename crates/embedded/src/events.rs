//! The event log: appended by the writer, handed to fan-out from memory, read back from the file.
//!
//! There is one partition. Partitions exist so that several processes can share the work while each conversation stays
//! in order; in one process they would only cut the batches smaller, and order comes for free in one line.

mod append;
mod lines;
mod reader;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use fanfare_core::event::{ContentHash, Event};
use fanfare_core::ids::{EventId, ProjectId};
use fanfare_core::ports::event_log::{Appended, PartitionShare};
use fanfare_core::ports::{EventLog, StoreResult};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Row};
use tokio::sync::{Notify, Semaphore};

use crate::codec::from_json;
use crate::config::EmbeddedConfig;
use crate::error::corrupt;
use crate::tail::Tail;
use crate::writer::Tx;
use crate::{Embedded, mark};

/// The part of the log that is in memory.
#[derive(Debug)]
pub(crate) struct EventTail {
    tail: Mutex<Tail<Event>>,
    grown: Notify,
    /// What waits of each project.
    lines: Mutex<lines::Lines>,
    /// The last committed position; positions have no gaps after `passed`.
    last: AtomicI64,
    /// Every event up to here is done with.
    passed: AtomicI64,
    /// Every event up to here may have been handed out before.
    handed: AtomicI64,
    /// One permit: one holder of the one partition.
    holder: Arc<Semaphore>,
}

impl EventTail {
    /// The state as it is in the file.
    pub(crate) fn load(connection: &Connection, last: i64, config: &EmbeddedConfig) -> rusqlite::Result<Self> {
        let passed = mark(connection, "events_passed")?;
        Ok(Self {
            lines: Mutex::new(lines::Lines::load(connection, passed)?),
            tail: Mutex::new(Tail::new(last, config.window_items, config.window_bytes)),
            grown: Notify::new(),
            last: AtomicI64::new(last),
            passed: AtomicI64::new(passed),
            handed: AtomicI64::new(last),
            holder: Arc::new(Semaphore::new(1)),
        })
    }

    /// Hands on what has been committed.
    fn extend(&self, accepted: Vec<(i64, Event)>) {
        let Some((last, _)) = accepted.last() else { return };
        let last = *last;
        {
            let (mut tail, mut lines) = (self.tail.lock(), self.lines.lock());
            for (position, event) in accepted {
                lines.add(position, &event.header.project);
                tail.push(position, 1024 + event.data.len(), event);
            }
        }
        self.last.store(last, Ordering::Release);
        self.grown.notify_waiters();
    }
}

#[async_trait]
impl EventLog for Embedded {
    async fn append(&self, events: Vec<Event>) -> StoreResult<Vec<Appended>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let append = append::Append::new(events);
        let shared = Arc::clone(&self.shared);
        self.writer
            .write(
                "append events",
                append.bytes(),
                move |tx| Ok(append.write(tx)?),
                move |written: append::Written| {
                    shared.events.extend(written.accepted);
                    written.answers
                },
            )
            .await
    }

    async fn get(&self, project: &ProjectId, id: &EventId) -> StoreResult<Option<Event>> {
        const DOING: &str = "read an event";
        let (project, id) = (project.clone(), id.clone());
        self.readers
            .read(DOING, move |file| {
                let mut statement = file.prepare_cached(
                    "SELECT header, data, content FROM events WHERE project = ?1 AND id = ?2 AND erased = 0",
                )?;
                let found =
                    statement.query_row((project.as_str(), id.as_str()), |row| event(DOING, row, 0)).optional()?;
                Ok(found.transpose()?)
            })
            .await
    }

    async fn erase(&self, project: &ProjectId, id: &EventId) -> StoreResult<()> {
        let (project, id) = (project.clone(), id.clone());
        let erase = move |tx: &mut Tx<'_>| {
            // The content's hash stays: a late repetition is told from another event as before.
            let mut update = tx.connection.prepare_cached(
                "UPDATE events SET erased = 1, header = x'', data = x'' WHERE project = ?1 AND id = ?2 AND erased = 0",
            )?;
            update.execute((project.as_str(), id.as_str()))?;
            Ok(())
        };
        self.writer.write("erase an event", 0, erase, |()| ()).await
    }

    async fn backlog(&self) -> StoreResult<u64> {
        // `passed` first: read the other way round, an advance in between could make it look negative.
        let passed = self.shared.events.passed.load(Ordering::Acquire);
        let last = self.shared.events.last.load(Ordering::Acquire);
        Ok(u64::try_from(last - passed).unwrap_or(0))
    }

    async fn is_crowded(&self, events: &[Event], max: u64) -> StoreResult<bool> {
        Ok(self.shared.events.lines.lock().is_crowded(events, max))
    }

    async fn consume(&self) -> StoreResult<Box<dyn PartitionShare>> {
        Ok(Box::new(reader::Share::new(self.clone())))
    }
}

/// Reads the columns `header`, `data`, `content`, the first of which is number `first`.
fn event(doing: &'static str, row: &Row<'_>, first: usize) -> rusqlite::Result<StoreResult<Event>> {
    let header = row.get_ref(first)?.as_blob()?;
    let data = Bytes::copy_from_slice(row.get_ref(first + 1)?.as_blob()?);
    let content = <[u8; 32]>::try_from(row.get_ref(first + 2)?.as_blob()?);
    Ok(match content {
        Ok(content) => from_json(doing, header).map(|header| Event { header, data, content: ContentHash(content) }),
        Err(_) => Err(corrupt(doing, "an event's content hash has not 32 bytes")),
    })
}
