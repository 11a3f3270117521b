//! The embedded engine: all ports over one SQLite file, `queue.db`, for one process.
//!
//! What an operation has answered is durable: one writer thread groups whatever waits into one synced commit. What is
//! handed on next (events to fan-out, deliveries to workers, entries to the read model) comes from bounded windows in
//! memory that only ever hold what has been committed, and from the file where a window does not reach. Leases and
//! claims are in memory alone: there is one process, and they end with it.

mod codec;
mod config;
mod config_store;
mod database;
mod dedup;
mod error;
mod events;
mod journal;
mod lock;
mod maintenance;
mod page;
mod queue;
mod readers;
mod rejections;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use fanfare_core::clock::Clock;
use fanfare_runtime::Tasks;
use fanfare_telemetry::Metrics;
use parking_lot::Mutex;
use rusqlite::Connection;

pub use config::EmbeddedConfig;
pub use error::OpenError;
pub use lock::DirectoryLock;

use config_store::Revisions;
use events::EventTail;
use journal::JournalTail;
use queue::Queue;
use readers::Readers;
use writer::{Counters, Writer, WriterThread};

/// The engine: implements every port. Cloning shares it.
#[derive(Clone)]
pub struct Embedded {
    // The order matters when the last clone is dropped: the writer's thread ends when nobody can send to it any more,
    // and only then does the owner wait for it and unlock the directory.
    writer: Writer,
    readers: Readers,
    shared: Arc<Shared>,
    owner: Arc<Owner>,
}

/// What the ports' operations share. Nothing in it leads back to the writer, so that effects may hold it.
struct Shared {
    clock: Arc<dyn Clock>,
    config: EmbeddedConfig,
    events: EventTail,
    journal: JournalTail,
    queue: Queue,
    revisions: Revisions,
    metrics: Metrics,
}

/// Waits for the writer's thread, then gives up the directory.
struct Owner {
    thread: Mutex<Option<WriterThread>>,
    lock: Mutex<Option<DirectoryLock>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.get_mut().take()
            && thread.join().is_err()
        {
            tracing::error!("the queue's writer had panicked");
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Embedded")
    }
}

/// The writer's thread has ended although nobody closed the queue: nothing can be kept any more.
#[derive(Debug, thiserror::Error)]
#[error("the thread that writes the queue has ended; restart the process, and look for its last error in the log")]
pub struct WriterEnded;

impl Embedded {
    /// Opens or creates `<data_dir>/queue.db`, locks it for this process, checks and migrates it.
    ///
    /// Blocks: the check for damage reads the whole file.
    ///
    /// # Errors
    /// When another process has it, it is damaged, or was written by a newer version.
    pub fn open(
        data_dir: &Path,
        config: &EmbeddedConfig,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Result<Self, OpenError> {
        Self::open_with(
            data_dir,
            config,
            clock,
            metrics,
            #[cfg(test)]
            writer::Faults::default(),
        )
    }

    fn open_with(
        data_dir: &Path,
        config: &EmbeddedConfig,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        #[cfg(test)] faults: writer::Faults,
    ) -> Result<Self, OpenError> {
        if let Some(refusal) = config.refusal() {
            return Err(OpenError::Config(refusal));
        }
        let lock = DirectoryLock::acquire(data_dir)?;
        let path = data_dir.join("queue.db");
        let connection = database::open_writer(&path, config)?;
        let refused = |source| OpenError::Sqlite { path: path.clone(), source };
        config_store::forget_removed(&connection).map_err(refused)?;
        let counters = counters(&connection).map_err(refused)?;
        let shared = Shared {
            events: EventTail::load(&connection, counters.event, config).map_err(refused)?,
            journal: JournalTail::new(counters.journal, config.window_items, config.window_bytes),
            queue: Queue::load(&connection, config, clock.now()).map_err(refused)?,
            revisions: Revisions::load(&connection).map_err(refused)?,
            clock: Arc::clone(&clock),
            config: config.clone(),
            metrics: metrics.clone(),
        };
        let readers = Readers::open(&path, config.read_connections)?;
        let (writer, thread) = Writer::start(
            connection,
            counters,
            &path,
            config,
            clock,
            metrics,
            #[cfg(test)]
            faults,
        )?;
        let owner = Owner { thread: Mutex::new(Some(thread)), lock: Mutex::new(Some(lock)) };
        Ok(Self { writer, readers, shared: Arc::new(shared), owner: Arc::new(owner) })
    }

    /// Starts what the engine does by itself: removing what is past its retention, and watching over its writer's
    /// thread.
    pub fn start(&self, tasks: &Tasks) {
        let (engine, shutdown) = (self.clone(), tasks.shutdown());
        tasks.spawn("queue-maintenance", async move { engine.maintain(&shutdown).await });
    }

    /// Writes what is still queued, checkpoints, closes the file and unlocks the directory. Operations after this
    /// answer
    /// `Unavailable`.
    ///
    /// An engine that is dropped without this writes what is still queued as well, blocking the thread that drops the
    /// last clone for that long; the log is then worked in by the next one who opens the file.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close();
        drop(self.owner.lock.lock().take());
    }
}

/// The numbers that were given out last. Of what has been deleted since, the marks tell.
fn counters(connection: &Connection) -> rusqlite::Result<Counters> {
    let last =
        |sql: &str| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).map(|last| last.unwrap_or(0));
    Ok(Counters {
        event: last("SELECT max(position) FROM events")?.max(mark(connection, "events_passed")?),
        delivery: last("SELECT max(seq) FROM deliveries")?,
        gate: last("SELECT max(gate) FROM deliveries WHERE gate IS NOT NULL")?,
        journal: last("SELECT max(position) FROM journal")?.max(mark(connection, "journal_done")?),
    })
}

/// One of the numbers in the table `marks`.
fn mark(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT value FROM marks WHERE name = ?1")?.query_row([name], |row| row.get(0))
}
