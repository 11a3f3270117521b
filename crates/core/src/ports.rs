//! The ports: what services need from an engine, named by what they are for.
//!
//! Two engines implement them (SQLite in one process; JetStream and Redis) and pass one conformance suite. No service
//! asks which engine it runs on. Every operation that changes something is durable when its future is ready; a future
//! dropped before that may or may not have taken effect, and repeating the act is always safe. Operations that wait for
//! something (`next`, `lease`, `arrivals`) lose nothing when they are dropped.

pub mod config_store;
pub mod dedup;
pub mod delivery_queue;
pub mod event_log;
pub mod intake;
pub mod journal;
pub mod rejections;

use std::error::Error;
use std::fmt;

pub use config_store::ConfigStore;
pub use dedup::Dedup;
pub use delivery_queue::DeliveryQueue;
pub use event_log::EventLog;
pub use intake::Intake;
pub use journal::Journal;
pub use rejections::Rejections;

/// The kinds of failure of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The store cannot be reached or refuses for now: wait and try again.
    Unavailable,
    /// The store has no room: nothing can be accepted until some is freed.
    Full,
    /// The partition, the gate or the lease is no longer ours: stop working on it.
    Lost,
    /// What is stored cannot be read: an operator has to look.
    Corrupt,
}

/// A failure of an engine: what was being done, and why it could not be.
#[derive(Debug)]
pub struct StoreError {
    /// What kind, which decides what to do next.
    pub kind: StoreErrorKind,
    /// What was being done, such as `append events`.
    pub doing: &'static str,
    /// Why it failed.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// A failure with a cause.
    pub fn new(kind: StoreErrorKind, doing: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, doing, source: Some(source.into()) }
    }

    /// Something that was ours is not any more.
    pub fn lost(doing: &'static str) -> Self {
        Self { kind: StoreErrorKind::Lost, doing, source: None }
    }

    /// Whether waiting and trying again can help.
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            StoreErrorKind::Unavailable | StoreErrorKind::Full => true,
            StoreErrorKind::Lost | StoreErrorKind::Corrupt => false,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            StoreErrorKind::Unavailable => "the store is unavailable",
            StoreErrorKind::Full => "the store is full",
            StoreErrorKind::Lost => "it is no longer held by this process",
            StoreErrorKind::Corrupt => "what is stored cannot be read",
        };
        write!(f, "could not {}: {what}", self.doing)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// What a port operation returns.
pub type StoreResult<T> = Result<T, StoreError>;
