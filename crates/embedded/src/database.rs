//! The file `queue.db`: opened, checked, migrated; its connections.
//!
//! One connection writes, in WAL mode with `synchronous=FULL`, so that what has been committed survives a power cut.
//! The others may only read, and see what has been committed when their transaction begins.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::config::EmbeddedConfig;
use crate::error::{OpenError, kind_of};
use crate::lock::open_private;
use fanfare_core::ports::StoreErrorKind;

/// Each brings the file one format further; the first makes format 1 of an empty file.
const MIGRATIONS: [&str; 4] = [
    include_str!("../migrations/0001_queue.sql"),
    include_str!("../migrations/0002_quarantine.sql"),
    include_str!("../migrations/0003_erased.sql"),
    include_str!("../migrations/0004_expiry.sql"),
];

/// SQLite's page size, which the WAL's bound is counted in.
const PAGE_BYTES: usize = 4096;

/// How long a connection waits for a lock that some other program has on the file, such as a backup's.
const BUSY: Duration = Duration::from_secs(5);

/// Opens the writing connection; the file is whole and of the newest format afterwards.
pub(crate) fn open_writer(path: &Path, config: &EmbeddedConfig) -> Result<Connection, OpenError> {
    // SQLite would create it readable by everybody.
    drop(open_private(path)?);
    let refused = |error| refusal(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(refused)?;
    configure_writer(&connection, config).map_err(refused)?;
    if config.check_on_open {
        check(path, &connection)?;
    }
    migrate(path, &mut connection)?;
    Ok(connection)
}

fn configure_writer(connection: &Connection, config: &EmbeddedConfig) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Before anything else writes to the file: it cannot be turned on later. Does nothing to a file that has pages.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -i64::try_from(config.cache_bytes / 1024).unwrap_or(i64::MAX))?;
    // The checkpoint runs in the writer, right after the commit that passed the bound: nobody appends meanwhile, so it
    // reaches the log's end and the next commit starts the log anew. Beside a writer it would never get there.
    let pages = i64::try_from(config.wal_bytes / PAGE_BYTES).unwrap_or(i64::MAX).max(1);
    connection.pragma_update(None, "wal_autocheckpoint", pages)?;
    // What a long read made it grow to is given back when the log starts anew.
    let limit = i64::try_from(config.wal_bytes).unwrap_or(i64::MAX).saturating_mul(2);
    connection.pragma_update(None, "journal_size_limit", limit)?;
    Ok(())
}

/// Opens a connection that can only read.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let refused = |error| refusal(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(refused)?;
    connection.busy_timeout(BUSY).map_err(refused)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Reads the whole file and refuses one that is damaged: better now than when a delivery is lost by it.
fn check(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| refusal(path, error))?;
    if verdict == "ok" { Ok(()) } else { Err(OpenError::Damaged { path: path.to_owned(), detail: verdict }) }
}

fn migrate(path: &Path, connection: &mut Connection) -> Result<(), OpenError> {
    let refused = |error| refusal(path, error);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(refused)?;
    let known = MIGRATIONS.len() as i64;
    let done = usize::try_from(found).ok().filter(|done| *done <= MIGRATIONS.len());
    let Some(done) = done else {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    };
    for (migration, version) in MIGRATIONS.iter().zip(1_i64..).skip(done) {
        // The format's number is in the file's header, which is part of the transaction: a crash leaves the old format
        // whole.
        let transaction = connection.transaction().map_err(refused)?;
        transaction.execute_batch(migration).map_err(refused)?;
        transaction.pragma_update(None, "user_version", version).map_err(refused)?;
        transaction.commit().map_err(refused)?;
        if found > 0 {
            tracing::info!(path = %path.display(), version, "the queue was brought to a newer format");
        }
    }
    if found == 0 {
        tracing::info!(path = %path.display(), version = known, "made the queue");
    }
    Ok(())
}

fn refusal(path: &Path, error: rusqlite::Error) -> OpenError {
    match kind_of(&error) {
        StoreErrorKind::Corrupt => OpenError::Damaged { path: path.to_owned(), detail: error.to_string() },
        StoreErrorKind::Unavailable | StoreErrorKind::Full | StoreErrorKind::Lost => {
            OpenError::Sqlite { path: path.to_owned(), source: error }
        }
    }
}
