//! The writer: one thread with the only connection that writes, which groups whatever waits into one commit.
//!
//! An operation has two halves. Its *statements* run inside the transaction; its *effects* change what is kept in
//! memory, and run after the commit, in the order of the statements. So memory reflects committed state only, and an
//! operation's statements see everything that operations before it did. If a statement or the commit fails, the whole
//! batch is rolled back, no effect runs, and every operation of it is answered with the failure; its caller may repeat
//! it. For a while after that operations are kept apart by savepoints, so that one whose statements fail fails alone.

mod operation;
mod thread;

use std::path::Path;
use std::sync::Arc;

use fanfare_core::clock::Clock;
use fanfare_core::ports::StoreResult;
use fanfare_telemetry::Metrics;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::EmbeddedConfig;
use crate::error::{OpenError, closed};
use operation::{Operation, Pending};

pub(crate) use operation::{Failed, Statements};
#[cfg(test)]
pub(crate) use thread::{Cut, Faults};

/// The numbers that the writer gives out next. They are its own: a batch that is rolled back takes its numbers back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// The last event's position.
    pub(crate) event: i64,
    /// The last delivery's row.
    pub(crate) delivery: i64,
    /// The last place given out in any gate's order.
    pub(crate) gate: i64,
    /// The last journal entry's position.
    pub(crate) journal: i64,
}

/// What statements work with.
#[derive(Debug)]
pub(crate) struct Tx<'a> {
    /// The connection, inside the batch's transaction.
    pub(crate) connection: &'a Connection,
    /// The numbers to give out.
    pub(crate) counters: &'a mut Counters,
}

enum Message {
    Operation(Box<dyn Operation>),
    Close(oneshot::Sender<()>),
}

/// The way to the writer's thread. Cloning shares it; the thread ends when the last clone is gone.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    messages: mpsc::Sender<Message>,
    ended: watch::Receiver<bool>,
}

/// The thread itself, to be waited for.
pub(crate) type WriterThread = std::thread::JoinHandle<()>;

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        connection: Connection,
        counters: Counters,
        path: &Path,
        config: &EmbeddedConfig,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        #[cfg(test)] faults: Faults,
    ) -> Result<(Self, WriterThread), OpenError> {
        let (messages, queue) = mpsc::channel(config.writer_queue);
        let (ended, has_ended) = watch::channel(false);
        let thread = thread::Thread {
            connection,
            counters,
            queue,
            clock,
            metrics,
            wal: path.with_extension("db-wal"),
            commit_operations: config.commit_operations,
            commit_bytes: config.commit_bytes,
            careful_until: None,
            _ended: thread::Ended(ended),
            #[cfg(test)]
            faults,
        };
        let thread = std::thread::Builder::new()
            .name("queue-writer".to_owned())
            .spawn(move || thread.run())
            .map_err(OpenError::Thread)?;
        Ok((Self { messages, ended: has_ended }, thread))
    }

    /// Has the writer do something; ready when it is durable and its effects have been applied.
    ///
    /// `bytes` is about what the operation carries, for the bound of a commit. Once this has been polled the operation
    /// may take effect even if the future is dropped.
    pub(crate) async fn write<T, R>(
        &self,
        doing: &'static str,
        bytes: usize,
        statements: impl Statements<T>,
        effects: impl FnOnce(T) -> R + Send + 'static,
    ) -> StoreResult<R>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let pending = Pending::new(doing, bytes, statements, effects, answer);
        self.messages.send(Message::Operation(Box::new(pending))).await.map_err(|_| closed(doing))?;
        answered.await.map_err(|_| closed(doing))?
    }

    /// Has the writer do something if it has room for it, and does not wait for it. Dropped if there is no room.
    pub(crate) fn write_if_idle<T>(
        &self,
        doing: &'static str,
        statements: impl Statements<T>,
        effects: impl FnOnce(T) + Send + 'static,
    ) where
        T: Send + 'static,
    {
        let (answer, _) = oneshot::channel();
        let pending = Pending::new(doing, 0, statements, effects, answer);
        // No room: whoever finds the window empty will ask again, and wait.
        let _ = self.messages.try_send(Message::Operation(Box::new(pending)));
    }

    /// Writes what is queued, copies the log into the file and closes it.
    pub(crate) async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.messages.send(Message::Close(answer)).await.is_ok() {
            // An error means that the thread ended on the way, which is what was wanted.
            let _ = answered.await;
        }
        self.ended().await;
    }

    /// Waits until the thread has ended, for whatever reason: nothing can be written any more.
    pub(crate) async fn ended(&self) {
        let mut ended = self.ended.clone();
        // An error means that the sender is gone, and with it the thread.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Whether the thread has ended.
    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }
}
