//! What can go wrong with the file: when it is opened, and later, as the ports' errors say it.

use std::path::PathBuf;

use fanfare_core::ports::{StoreError, StoreErrorKind};
use rusqlite::ErrorCode;

/// Why the queue cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A bound in the configuration makes no sense.
    #[error("{0}")]
    Config(&'static str),
    /// The data directory or a file in it cannot be made or opened.
    #[error("cannot use {path}; check that it exists and that this user may write there")]
    Path {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The directory is locked.
    #[error("another process is using {directory}; stop it, or give this one a data directory of its own")]
    InUse {
        /// Which.
        directory: PathBuf,
    },
    /// SQLite says that the file is not as it wrote it.
    #[error("{path} is damaged: {detail}; restore it from a backup, or move it away to start with an empty queue")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, in SQLite's words.
        detail: String,
    },
    /// A newer version of Fanfare wrote the file.
    #[error("{path} has format {found}, and this version knows formats up to {known}; run the version that wrote it")]
    Newer {
        /// Which.
        path: PathBuf,
        /// The format it has.
        found: i64,
        /// The newest that this version knows.
        known: i64,
    },
    /// Anything else that SQLite refuses.
    #[error("cannot open {path}")]
    Sqlite {
        /// Which.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start the thread that writes the queue")]
    Thread(#[source] std::io::Error),
}

/// The kind of failure that an error of SQLite is to a service.
pub(crate) fn kind_of(error: &rusqlite::Error) -> StoreErrorKind {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreErrorKind::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Unavailable,
    }
}

/// An error of SQLite as the ports say it.
pub(crate) fn store_error(doing: &'static str, error: rusqlite::Error) -> StoreError {
    StoreError::new(kind_of(&error), doing, error)
}

/// The engine has been closed, or its writer has ended.
pub(crate) fn closed(doing: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, doing, "the queue is closed")
}

/// Something stored is not in the form in which it was written.
pub(crate) fn corrupt(doing: &'static str, what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, doing, what)
}
