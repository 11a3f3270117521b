//! Why the read model does not answer or cannot go on.

use std::path::PathBuf;

use fanfare_core::ports::{StoreError, StoreErrorKind};

/// A failure of the read model.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file cannot be opened, or is not a database that can be read.
    #[error(
        "could not open the history database {}; if it is damaged, restore it from a backup, or move it away: the delivery \
         log then begins anew, and no delivery is lost by that",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rusqlite::Error,
    },
    /// The file was written by a newer version.
    #[error(
        "the history database {} has schema {found}, and this version knows only up to {known}: run the newer version again",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema of the file.
        found: u32,
        /// The newest schema that this version knows.
        known: u32,
    },
    /// SQLite refused, or a stored value cannot be read.
    #[error("could not {doing} in the history database")]
    Database {
        /// What was being done, such as `read deliveries`.
        doing: &'static str,
        /// Why it failed.
        source: rusqlite::Error,
    },
    /// The journal or the configuration cannot be read.
    #[error(transparent)]
    Source(#[from] StoreError),
    /// The process is stopping.
    #[error("could not {doing}: the process is stopping")]
    Stopping {
        /// What was being done.
        doing: &'static str,
    },
}

impl HistoryError {
    /// Whether waiting and trying again can help.
    pub fn is_retryable(&self) -> bool {
        match self {
            HistoryError::Open { .. } | HistoryError::Newer { .. } | HistoryError::Stopping { .. } => false,
            HistoryError::Database { source, .. } => passes(source),
            // A reader that was lost is not needed: another one starts at the stored position.
            HistoryError::Source(error) => match error.kind {
                StoreErrorKind::Unavailable | StoreErrorKind::Full | StoreErrorKind::Lost => true,
                StoreErrorKind::Corrupt => false,
            },
        }
    }
}

/// Whether SQLite's refusal passes by itself, or as soon as an operator has made room.
fn passes(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull))
}
