//! The journal: what happened, appended by every service, consumed by each read model for itself.

use std::fmt;

use async_trait::async_trait;

use super::StoreResult;
use crate::journal::JournalEntry;

/// An entry's place in the journal; rises strictly, gaps allowed. Zero is before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct JournalPosition(pub u64);

/// The journal.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends entries, in order.
    ///
    /// # Errors
    /// When the store did not take them; repeating the call may write them twice, which readers stand.
    async fn append(&self, entries: Vec<JournalEntry>) -> StoreResult<()>;

    /// Reads from the entry after `after` on. A position that this journal has not reached is one of another journal, which
    /// this one has replaced: then it is read from its start, and positions begin anew.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn read(&self, after: JournalPosition) -> StoreResult<Box<dyn JournalReader>>;
}

impl fmt::Debug for dyn Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Journal")
    }
}

/// Reads the journal in order.
#[async_trait]
pub trait JournalReader: Send {
    /// Waits for the next entries, at least one and at most `max`.
    ///
    /// # Errors
    /// When the store does not answer; the reader may be asked again.
    async fn next(&mut self, max: usize) -> StoreResult<Vec<(JournalPosition, JournalEntry)>>;

    /// Entries up to and including `position` are durable in the read model and will not be asked for again. An engine
    /// that serves a single reader may then forget them.
    ///
    /// # Errors
    /// When the store does not answer; it is only a permission, so nothing is lost.
    async fn done(&mut self, position: JournalPosition) -> StoreResult<()>;
}
