//! The data directory, and the lock that keeps a second process out of it.
//!
//! The lock is advisory and on an open file, so it ends with the process, however that ends, and leaves nothing to tidy
//! up.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::error::OpenError;

/// Holds the directory for this process until it is dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Makes the directory if need be, for this user alone, and locks it.
    ///
    /// # Errors
    /// When another process has it, or it cannot be made or written to.
    pub fn acquire(directory: &Path) -> Result<Self, OpenError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| OpenError::Path { path: directory.to_owned(), source })?;
        let path = directory.join("queue.lock");
        let file = open_private(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { directory: directory.to_owned() }),
            Err(TryLockError::Error(source)) => Err(OpenError::Path { path, source }),
        }
    }
}

/// Opens or creates a file that only this user may read.
pub(crate) fn open_private(path: &Path) -> Result<File, OpenError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| OpenError::Path { path: path.to_owned(), source })
}
