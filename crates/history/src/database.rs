//! `history.db`: its connections, its settings, its migrations.
//!
//! One connection writes; a few others read, each in a short transaction of its own, which sees the last commit whatever is
//! being written meanwhile. SQLite blocks its thread, so everything runs on the runtime's blocking threads.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;

use crate::error::HistoryError;

/// One entry for each schema, oldest first; a file's `user_version` says how many of them it has.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_read_model.sql"),
    include_str!("../migrations/0002_quarantine.sql"),
    include_str!("../migrations/0003_events.sql"),
];
/// Statements that a connection keeps prepared; there are fewer than this.
const PREPARED: usize = 64;
/// How many pages the write-ahead log may have before a commit checkpoints it by itself: 64 MiB. Many, since a page that
/// several batches change is then moved once; the follower checkpoints every second anyway.
const WAL_PAGES: u32 = 16 * 1024;
/// What is left of the write-ahead log's file when a burst is over: 64 MiB.
const WAL_KEPT_BYTES: u32 = 64 * 1024 * 1024;

/// The connections of one file.
pub(crate) struct Database {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// Those not in use; never empty while a permit of `reading` is held.
    readers: Mutex<Vec<Connection>>,
    reading: Arc<Semaphore>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens or creates the file, brings its schema up to date, and opens `readers` connections beside the writing one.
    pub(crate) fn open(path: &Path, readers: usize) -> Result<Self, HistoryError> {
        let refused = |source| HistoryError::Open { path: path.to_owned(), source };
        let mut writer = Connection::open(path).map_err(refused)?;
        settle(&writer).map_err(refused)?;
        let found = user_version(&writer).map_err(refused)?;
        let known = MIGRATIONS.len();
        if found as usize > known {
            return Err(HistoryError::Newer {
                path: path.to_owned(),
                found,
                known: u32::try_from(known).unwrap_or(u32::MAX),
            });
        }
        migrate(&mut writer, found as usize).map_err(refused)?;
        let readers: Vec<_> = (0..readers).map(|_| open_reader(path)).collect::<Result<_, _>>().map_err(refused)?;
        let reading = Arc::new(Semaphore::new(readers.len()));
        Ok(Self { path: path.to_owned(), writer: Mutex::new(writer), readers: Mutex::new(readers), reading })
    }

    /// Does something in one write transaction: all of it is there afterwards, or, on an error, nothing.
    ///
    /// Once begun it runs to its end, even if the future is dropped.
    pub(crate) async fn write<T, F>(self: &Arc<Self>, doing: &'static str, act: F) -> Result<T, HistoryError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.on_writer(doing, move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = act(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
        .await
    }

    /// Moves what is committed from the write-ahead log to the database, without waiting for readers. Answers whether all of
    /// it has been moved, and so will survive a loss of power.
    pub(crate) async fn checkpoint(self: &Arc<Self>) -> Result<bool, HistoryError> {
        self.on_writer("write a checkpoint", |connection| {
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                let (busy, in_log, moved): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(!busy && in_log == moved)
            })
        })
        .await
    }

    async fn on_writer<T, F>(self: &Arc<Self>, doing: &'static str, act: F) -> Result<T, HistoryError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let database = Arc::clone(self);
        let ended = tokio::task::spawn_blocking(move || act(&mut database.writer.lock())).await;
        finished(ended, doing)
    }

    /// Reads in one transaction: everything that `act` sees is of the same moment.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, doing: &'static str, act: F) -> Result<T, HistoryError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&self.reading).acquire_owned().await else {
            return Err(HistoryError::Stopping { doing });
        };
        let database = Arc::clone(self);
        let ended = tokio::task::spawn_blocking(move || {
            let mut reader = Reader { connection: database.readers.lock().pop(), home: &database.readers };
            let connection = reader.connection.as_mut().expect("there are as many connections as permits");
            let transaction = connection.transaction()?;
            let answer = act(&transaction);
            drop(transaction);
            drop(reader);
            drop(permit);
            answer
        })
        .await;
        finished(ended, doing)
    }

    /// The size of the write-ahead log in bytes; zero if there is none.
    pub(crate) fn wal_bytes(&self) -> u64 {
        let mut path = self.path.clone().into_os_string();
        path.push("-wal");
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    }
}

/// A reading connection on loan; goes home when dropped, after a panic too.
struct Reader<'d> {
    connection: Option<Connection>,
    home: &'d Mutex<Vec<Connection>>,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.home.lock().extend(self.connection.take());
    }
}

fn finished<T>(
    ended: Result<rusqlite::Result<T>, tokio::task::JoinError>,
    doing: &'static str,
) -> Result<T, HistoryError> {
    match ended {
        Ok(result) => result.map_err(|source| HistoryError::Database { doing, source }),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(HistoryError::Stopping { doing }),
    }
}

/// Settings of the writing connection. `auto_vacuum` comes first: the file takes it on only while it is empty.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
    connection.execute_batch("PRAGMA journal_mode = WAL")?;
    connection.execute_batch("PRAGMA synchronous = NORMAL")?;
    connection.execute_batch(&format!("PRAGMA wal_autocheckpoint = {WAL_PAGES}"))?;
    connection.execute_batch(&format!("PRAGMA journal_size_limit = {WAL_KEPT_BYTES}"))?;
    // In KiB when negative: the indexes' pages that a batch touches are all over the file.
    connection.execute_batch("PRAGMA cache_size = -16384")?;
    prepare_both(connection)
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    prepare_both(&connection)?;
    Ok(connection)
}

fn prepare_both(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(PREPARED);
    connection.busy_timeout(std::time::Duration::from_secs(5))
}

fn user_version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Runs the migrations that the file does not have yet, each in a transaction with its number.
fn migrate(connection: &mut Connection, from: usize) -> rusqlite::Result<()> {
    for (index, sql) in MIGRATIONS.iter().enumerate().skip(from) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.execute_batch(&format!("PRAGMA user_version = {}", index + 1))?;
        transaction.commit()?;
    }
    Ok(())
}

/// A database of the newest schema, for tests of what runs in one transaction.
#[cfg(test)]
pub(crate) fn in_memory() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    settle(&connection).unwrap();
    migrate(&mut connection, 0).unwrap();
    connection
}
