//! The embedded engine's bounds: what it keeps in memory, how it groups commits, how long it keeps what is over.

use std::time::Duration;

use fanfare_runtime::Span;
use serde::{Deserialize, Serialize};

/// The embedded engine's bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddedConfig {
    /// How long a lease lasts unless it is renewed. Default 10s: three renewals of 3 s fit in, and what a frozen worker
    /// held is taken up by another soon.
    pub lease: Span,
    /// How many operations may wait for the writer; callers beyond that wait. Default 4096: several full commits.
    pub writer_queue: usize,
    /// The most operations in one commit. Default 1000: more gains nothing over the cost of the sync.
    pub commit_operations: usize,
    /// A commit takes no more operations once those in it carry this many bytes. Default 16777216 (16 MiB).
    pub commit_bytes: usize,
    /// How many events, journal entries and deliveries, each, are kept in memory to be handed on without being read
    /// back. Default 5000: several full commits. What does not fit is read from the file.
    pub window_items: usize,
    /// How many bytes each of these three windows may hold. Default 16777216 (16 MiB).
    pub window_bytes: usize,
    /// How many reads may use the file at once, beside the writer. Default 2: reads are short.
    pub read_connections: usize,
    /// SQLite's page cache for the writer, in bytes. Default 16777216 (16 MiB): holds the inner pages of every index,
    /// and the leaves of recent deliveries. Most commits walk over all of it, so a larger one makes them slower.
    pub cache_bytes: usize,
    /// The write-ahead log is copied into the file when it has this many bytes. Default 33554432 (32 MiB): pages that
    /// change in every commit are then copied once for many commits.
    pub wal_bytes: usize,
    /// How long events that have been fanned out are kept for retries and replays. Default 30d.
    pub event_retention: Span,
    /// How long a delivery that has ended is remembered, so that a late repetition of it is recognised. Default 24h.
    pub done_retention: Span,
    /// How often a delivery may be leased without being settled before it goes into quarantine. Default 20: a worker that is
    /// killed or frozen costs one or a few. 1 or more.
    pub quarantine_after: u32,
    /// How long what is in quarantine is kept there. Default 30d.
    pub quarantine_retention: Span,
    /// How often what is past its retention is removed. Default 1s: the journal grows with every settlement, so that
    /// seldom would mean much at once.
    pub maintenance_interval: Span,
    /// Whether the file is checked for damage when it is opened. Default true; the check reads the whole file, so that
    /// the time it takes grows with what is kept.
    pub check_on_open: bool,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            lease: Span::from_secs(10),
            writer_queue: 4096,
            commit_operations: 1000,
            commit_bytes: 16 * 1024 * 1024,
            window_items: 5_000,
            window_bytes: 16 * 1024 * 1024,
            read_connections: 2,
            cache_bytes: 16 * 1024 * 1024,
            wal_bytes: 32 * 1024 * 1024,
            event_retention: Span::from_secs(30 * 24 * 60 * 60),
            done_retention: Span::from_secs(24 * 60 * 60),
            quarantine_after: 20,
            quarantine_retention: Span::from_secs(30 * 24 * 60 * 60),
            maintenance_interval: Span::from_secs(1),
            check_on_open: true,
        }
    }
}

impl EmbeddedConfig {
    /// What makes no sense, in words; `None` if all is well.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        let counts = [
            self.writer_queue,
            self.commit_operations,
            self.commit_bytes,
            self.window_items,
            self.window_bytes,
            self.read_connections,
        ];
        if counts.contains(&0) {
            return Some("the counts and sizes of the embedded engine must be at least 1");
        }
        if self.lease.get() < Duration::from_secs(1) {
            return Some("lease must be at least 1s");
        }
        if self.quarantine_after == 0 {
            return Some("quarantine_after must be at least 1");
        }
        if self.maintenance_interval.get().is_zero() {
            return Some("maintenance_interval must be more than 0ms");
        }
        None
    }
}
