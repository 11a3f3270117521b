//! Events that producers hand to the broker themselves: kept there until ingest has taken them in or rejected them.
//!
//! Only an engine with a broker has an intake. A producer that was answered by the broker may rely on what it published being
//! kept (promise 1), so nothing is removed before it stands in the event log, or among the rejected.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::StoreResult;
use crate::clock::Timestamp;

/// A message's place in the intake; rises strictly, gaps allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntakePosition(pub u64);

/// A message as a producer published it: nothing of it has been looked at.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its place.
    pub position: IntakePosition,
    /// When the broker had it.
    pub at: Timestamp,
    /// The project that it was published to, as the producer wrote it; U+FFFD stands for what is no UTF-8.
    pub project: Arc<str>,
    /// The event's type that it was published under, likewise.
    pub event_type: String,
    /// Its headers; none where they are not well-formed.
    pub headers: Vec<(String, String)>,
    /// The headers as they came, byte for byte.
    pub raw_headers: Bytes,
    /// What is wrong with them, where they are not well-formed: the message is no event then.
    pub malformed: Option<&'static str>,
    /// Its body.
    pub body: Bytes,
}

/// A message that is no event.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The message.
    pub message: Published,
    /// What kind of refusal it is, such as `invalid_event`.
    pub code: &'static str,
    /// Where in it, as a JSON path or a header's name.
    pub field: String,
    /// What is wrong and what is allowed.
    pub reason: String,
}

/// How much waits in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The project; empty for all messages together whose subject names none that could exist.
    pub project: Arc<str>,
    /// How many messages.
    pub count: usize,
}

/// The intake.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Takes part in taking in: this process will be given its share of the partitions.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn take_part(&self) -> StoreResult<Box<dyn IntakeShare>>;

    /// How many messages wait, and when the oldest of them was published; approximate while it moves.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn depth(&self) -> StoreResult<IntakeDepth>;
}

/// What waits in the intake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IntakeDepth {
    /// How many messages.
    pub count: u64,
    /// When the oldest was published.
    pub oldest: Option<Timestamp>,
}

impl fmt::Debug for dyn Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Intake")
    }
}

/// This process's share of the partitions. Dropping it gives them all back.
#[async_trait]
pub trait IntakeShare: Send {
    /// Waits until this process comes to hold one more partition.
    ///
    /// # Errors
    /// When the store cannot be asked any more.
    async fn next(&mut self) -> StoreResult<Arc<dyn IntakePartition>>;
}

/// One partition, held by this process alone. All messages of a project are in the same one. Producers may write anything into
/// subjects, headers and bodies: whatever it is, it is handed out like everything else.
#[async_trait]
pub trait IntakePartition: Send + Sync {
    /// The projects that have messages waiting. Waits until there is one; answers again at once while there is.
    ///
    /// # Errors
    /// `Lost` when the partition has gone to another process.
    async fn waiting(&self) -> StoreResult<Vec<Waiting>>;

    /// Waits until more has arrived than this process knew of when it asked last what is waiting.
    ///
    /// # Errors
    /// `Lost` when the partition has gone to another process.
    async fn arrival(&self) -> StoreResult<()>;

    /// Reads a project's first messages, in order, at most `max`.
    ///
    /// # Errors
    /// `Lost` when the partition has gone to another process.
    async fn read(&self, project: &str, max: usize) -> StoreResult<Vec<Published>>;

    /// Keeps messages that are no events, whole and with the reason, for an operator to see. Repeating it keeps each once.
    ///
    /// # Errors
    /// When the store did not take all of them; repeating it is safe.
    async fn reject(&self, rejections: Vec<Rejection>) -> StoreResult<()>;

    /// Is done with a project's messages up to and including `position`: each is kept elsewhere by now. They are not handed out here
    /// again, and are removed a moment later; another holder may be handed them until then.
    ///
    /// # Errors
    /// `Lost` when the partition has gone to another process; that one is handed them again.
    async fn done(&self, project: &str, position: IntakePosition) -> StoreResult<()>;
}
