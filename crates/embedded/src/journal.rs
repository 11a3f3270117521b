//! The journal: a table that grows at its end, a tail of it in memory, and a mark up to which it may be forgotten.

use std::sync::Arc;

use async_trait::async_trait;
use fanfare_core::journal::{AttemptedLate, JournalEntry, Settled};
use fanfare_core::ports::journal::{JournalPosition, JournalReader};
use fanfare_core::ports::{Journal, StoreResult};
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Notify;

use crate::Embedded;
use crate::codec::{from_json, to_json};
use crate::error::closed;
use crate::page::Page;
use crate::tail::{Tail, Taken};
use crate::writer::{Failed, Tx};

/// The part of the journal that is in memory.
#[derive(Debug)]
pub(crate) struct JournalTail {
    tail: Mutex<Tail<JournalEntry>>,
    grown: Notify,
}

/// Entries in the form in which they are written.
#[derive(Debug)]
pub(crate) struct Encoded {
    entries: Vec<(JournalEntry, Vec<u8>)>,
}

/// Entries that have been written, with their positions.
#[derive(Debug)]
pub(crate) struct Written {
    entries: Vec<(i64, usize, JournalEntry)>,
}

impl Encoded {
    /// Encodes entries: on the caller's thread, since the writer is the one thing that everybody waits for.
    pub(crate) fn new(entries: Vec<JournalEntry>) -> Self {
        Self {
            entries: entries
                .into_iter()
                .map(|entry| (to_json(&entry), entry))
                .map(|(json, entry)| (entry, json))
                .collect(),
        }
    }

    /// Of settlements that came too late, the attempts that were made; `None` if none was.
    pub(crate) fn into_late(self) -> Option<Self> {
        let late = self.entries.into_iter().filter_map(|(entry, _)| match entry {
            JournalEntry::Settled(Settled { delivery, attempt: Some(attempt), at, .. }) => {
                Some(JournalEntry::AttemptedLate(AttemptedLate { delivery, attempt, at }))
            }
            _ => None,
        });
        let late: Vec<JournalEntry> = late.collect();
        (!late.is_empty()).then(|| Self::new(late))
    }

    /// How many bytes they have.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.iter().map(|(_, json)| json.len()).sum()
    }

    /// Writes them, inside an operation.
    pub(crate) fn write(self, tx: &mut Tx<'_>) -> rusqlite::Result<Written> {
        let mut insert = tx.connection.prepare_cached("INSERT INTO journal (position, entry) VALUES (?1, ?2)")?;
        let mut written = Vec::with_capacity(self.entries.len());
        for (entry, json) in self.entries {
            let position = tx.counters.journal + 1;
            insert.execute((position, &json))?;
            tx.counters.journal = position;
            written.push((position, json.len(), entry));
        }
        Ok(Written { entries: written })
    }
}

impl JournalTail {
    pub(crate) fn new(last: i64, max_items: usize, max_bytes: usize) -> Self {
        Self { tail: Mutex::new(Tail::new(last, max_items, max_bytes)), grown: Notify::new() }
    }

    /// Hands on what has been committed: the effect of an operation that wrote entries.
    pub(crate) fn extend(&self, written: Written) {
        if written.entries.is_empty() {
            return;
        }
        {
            let mut tail = self.tail.lock();
            for (position, bytes, entry) in written.entries {
                // In memory an entry takes about twice the room of its JSON.
                tail.push(position, 2 * bytes, entry);
            }
        }
        self.grown.notify_waiters();
    }
}

#[async_trait]
impl Journal for Embedded {
    async fn append(&self, entries: Vec<JournalEntry>) -> StoreResult<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let encoded = Encoded::new(entries);
        let shared = Arc::clone(&self.shared);
        self.writer
            .write(
                "append to the journal",
                encoded.bytes(),
                move |tx| Ok(encoded.write(tx)?),
                move |written| shared.journal.extend(written),
            )
            .await
    }

    async fn read(&self, after: JournalPosition) -> StoreResult<Box<dyn JournalReader>> {
        let asked = i64::try_from(after.0).unwrap_or(i64::MAX);
        let last = self.shared.journal.tail.lock().last();
        let after = if asked > last { 0 } else { asked };
        if asked > last {
            // Positions only rise, so this is another file than the one that was read before; waiting until it has
            // grown past that position would leave out everything up to there.
            tracing::warn!(asked, last, "the journal ends before the position asked for; reading it from its start");
        }
        let done = self.journal_done().await?;
        if after < done {
            tracing::warn!(
                from = after,
                forgotten_up_to = done,
                "the read model is new or older than the queue: what happened before is not in the delivery log; \
                 no delivery is lost by that"
            );
        }
        Ok(Box::new(Reader { engine: self.clone(), after }))
    }
}

/// Reads from memory while it keeps up, else from the file.
struct Reader {
    engine: Embedded,
    after: i64,
}

#[async_trait]
impl JournalReader for Reader {
    async fn next(&mut self, max: usize) -> StoreResult<Vec<(JournalPosition, JournalEntry)>> {
        const DOING: &str = "read the journal";
        let max = max.max(1);
        loop {
            let shared = Arc::clone(&self.engine.shared);
            let journal = &shared.journal;
            let mut grown = std::pin::pin!(journal.grown.notified());
            grown.as_mut().enable();
            if self.engine.writer.has_ended() {
                return Err(closed(DOING));
            }
            let taken = journal.tail.lock().take(self.after, max);
            let (entries, reached) = match taken {
                Taken::Items(entries) => {
                    let reached = entries.last().map(|(position, _)| *position);
                    (entries, reached)
                }
                Taken::Behind => {
                    let (after, bytes) = (self.after, self.engine.shared.config.window_bytes);
                    let page =
                        self.engine.readers.read(DOING, move |file| page(file, DOING, after, max, bytes)).await?;
                    self.engine.shared.tell("journal", &page.unreadable);
                    (page.items, page.reached)
                }
                Taken::Nothing => {
                    tokio::select! {
                        () = grown => {}
                        () = self.engine.writer.ended() => {}
                    }
                    continue;
                }
            };
            let Some(reached) = reached else {
                // What stood here was forgotten by permission of another reader: go on with what is left.
                self.after = self.after.max(self.engine.journal_done().await?);
                continue;
            };
            self.after = reached;
            if entries.is_empty() {
                continue;
            }
            return Ok(entries
                .into_iter()
                .map(|(position, entry)| (JournalPosition(position.unsigned_abs()), entry))
                .collect());
        }
    }

    async fn done(&mut self, position: JournalPosition) -> StoreResult<()> {
        let position = i64::try_from(position.0).unwrap_or(i64::MAX);
        let shared = Arc::clone(&self.engine.shared);
        self.engine
            .writer
            .write(
                "note how far the journal was read",
                0,
                move |tx| {
                    // Never past the end: positions up to the mark are not given out again.
                    let position = position.min(tx.counters.journal);
                    tx.connection
                        .prepare_cached("UPDATE marks SET value = ?1 WHERE name = 'journal_done' AND value < ?1")?
                        .execute([position])?;
                    Ok(position)
                },
                move |position| shared.journal.tail.lock().forget(position),
            )
            .await
    }
}

fn page(
    file: &Connection,
    doing: &'static str,
    after: i64,
    max: usize,
    max_bytes: usize,
) -> Result<Page<JournalEntry>, Failed> {
    let mut statement =
        file.prepare_cached("SELECT position, entry FROM journal WHERE position > ?1 ORDER BY position LIMIT ?2")?;
    let mut rows = statement.query((after, i64::try_from(max).unwrap_or(i64::MAX)))?;
    let (mut page, mut bytes) = (Page::default(), 0);
    while let Some(row) = rows.next()? {
        let json = row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?;
        bytes += json.len();
        page.take(row.get(0)?, from_json(doing, json));
        if bytes >= max_bytes {
            break;
        }
    }
    Ok(page)
}

impl Embedded {
    async fn journal_done(&self) -> StoreResult<i64> {
        self.readers.read("read the journal", |file| Ok(crate::mark(file, "journal_done")?)).await
    }
}
