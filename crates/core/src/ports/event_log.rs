//! Accepted events: appended once, consumed by partition in order, read back for replay.

use std::fmt;

use async_trait::async_trait;

use super::StoreResult;
use crate::event::Event;
use crate::ids::{EventId, ProjectId};

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is kept, and will be fanned out.
    Accepted,
    /// The same event was accepted before, with the same content.
    Duplicate,
    /// Another event was accepted before under this id; this one is not kept.
    Conflict,
}

/// An event's place in its partition; rises strictly, gaps allowed. Zero is before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// A partition of the log: all events of one project and ordering key are in the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u16);

/// An event with its place.
#[derive(Clone, Debug)]
pub struct LoggedEvent {
    /// Its place in its partition.
    pub position: Position,
    /// The event.
    pub event: Event,
    /// Whether it may have been handed out before, so that deliveries of it may exist already.
    pub redelivered: bool,
}

/// Appends and finds accepted events, and shares out the partitions among those that consume them.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Appends events; the answers are in their order. All that are `Accepted` are durable.
    ///
    /// Of two events with one `(project, id)`, in one call or many, exactly one is accepted.
    ///
    /// # Errors
    /// When the store did not take them; then none is known to be kept, and the same call may be made again.
    async fn append(&self, events: Vec<Event>) -> StoreResult<Vec<Appended>>;

    /// Reads an event back while it is retained.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn get(&self, project: &ProjectId, id: &EventId) -> StoreResult<Option<Event>>;

    /// Erases an event that its owner has deleted: it is not read back and not handed out again, and its data and attributes are
    /// removed from where they are stored. Its id stays used as long as the event would have been recognised, so that a producer
    /// who repeats it late does not bring it back. Erasing what is not there, or is erased already, is done.
    ///
    /// It is for events that have been fanned out: one that has not may have been handed out and be fanned out yet.
    ///
    /// # Errors
    /// When the store does not answer; repeating it is safe.
    async fn erase(&self, project: &ProjectId, id: &EventId) -> StoreResult<()>;

    /// How many accepted events no position has passed yet, over all partitions. The more wait, the longer it may take to count
    /// them.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn backlog(&self) -> StoreResult<u64>;

    /// The same, if it is more than `max`. Cheap: asked for every request. Where several processes append and consume, what others
    /// do is noticed late, within seconds.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn backlog_above(&self, max: u64) -> StoreResult<Option<u64>> {
        Ok(Some(self.backlog().await?).filter(|backlog| *backlog > max))
    }

    /// Whether `max` or more events of one project, in the partition of one of these events, have not been passed by a position
    /// yet. Cheap: asked for every request. Where several processes append, each may notice late by an eighth of `max`.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn is_crowded(&self, events: &[Event], max: u64) -> StoreResult<bool>;

    /// Takes part in consuming: this process will be given its share of the partitions.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn consume(&self) -> StoreResult<Box<dyn PartitionShare>>;
}

impl fmt::Debug for dyn EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventLog")
    }
}

/// This process's share of the partitions. Dropping it gives them all back.
#[async_trait]
pub trait PartitionShare: Send {
    /// Waits until this process comes to hold one more partition.
    ///
    /// # Errors
    /// When the store cannot be asked any more.
    async fn next(&mut self) -> StoreResult<Box<dyn PartitionReader>>;
}

/// One partition, held by this process alone, read from its position on.
#[async_trait]
pub trait PartitionReader: Send {
    /// Which partition.
    fn partition(&self) -> Partition;

    /// Waits for the next events, at least one and at most `max`, in order. Each is handed out once by this reader,
    /// whether or not its position has been advanced.
    ///
    /// # Errors
    /// `Lost` when the partition has gone to another process.
    async fn next(&mut self, max: usize) -> StoreResult<Vec<LoggedEvent>>;

    /// Everything up to and including `position` is done with: the next holder starts after it.
    ///
    /// # Errors
    /// `Lost` when the partition has gone to another process; then nothing was changed.
    async fn advance(&mut self, position: Position) -> StoreResult<()>;
}
