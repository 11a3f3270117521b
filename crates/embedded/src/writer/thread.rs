//! The writer's thread: takes what waits, runs it in one transaction, commits, answers.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::{Clock, Monotonic};
use fanfare_telemetry::Metrics;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Counters, Message, Operation, Tx};

/// How long after a failure operations are kept apart from each other: longer than callers wait before they try again.
const CAREFUL_FOR: Duration = Duration::from_secs(120);

/// Says that the thread has ended when it is dropped, by a panic too.
pub(super) struct Ended(pub(super) watch::Sender<bool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// Everything the thread owns. The connection comes before the sign that it has been closed.
pub(super) struct Thread {
    pub(super) connection: Connection,
    pub(super) counters: Counters,
    pub(super) queue: mpsc::Receiver<Message>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
    pub(super) wal: PathBuf,
    pub(super) commit_operations: usize,
    pub(super) commit_bytes: usize,
    /// Until when each operation of a batch gets a savepoint of its own. They cost too much to have always.
    pub(super) careful_until: Option<Monotonic>,
    #[cfg(test)]
    pub(super) faults: Faults,
    pub(super) _ended: Ended,
}

type Batch = Vec<Box<dyn Operation>>;

/// What comes after a batch.
enum Then {
    GoOn,
    Close(oneshot::Sender<()>),
}

impl Thread {
    pub(super) fn run(mut self) {
        while let Some(first) = self.queue.blocking_recv() {
            let (batch, then) = self.gather(first);
            if self.process(batch).is_break() {
                return;
            }
            if let Then::Close(answer) = then {
                return self.close(answer);
            }
        }
    }

    /// The first operation and whatever waits behind it, up to the bounds. Nothing is waited for: while one batch is
    /// being committed the next one gathers by itself.
    fn gather(&mut self, first: Message) -> (Batch, Then) {
        let mut batch = Batch::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Operation(operation) => {
                    bytes += operation.bytes();
                    batch.push(operation);
                }
                Message::Close(answer) => return (batch, Then::Close(answer)),
            }
            let full = batch.len() >= self.commit_operations || bytes >= self.commit_bytes;
            next = if full { None } else { self.queue.try_recv().ok() };
        }
        (batch, Then::GoOn)
    }

    /// Commits a batch. Breaks off only where a test has the process die.
    fn process(&mut self, mut batch: Batch) -> ControlFlow<()> {
        if batch.is_empty() {
            return ControlFlow::Continue(());
        }
        let began = self.clock.monotonic();
        let size = batch.len();
        let before = self.counters;
        let changes = self.connection.total_changes();
        match self.transact(&mut batch) {
            Ok(()) => {
                #[cfg(test)]
                if self.faults.strike(Cut::AfterCommit) {
                    return ControlFlow::Break(());
                }
                let took = self.clock.monotonic().since(began);
                // A batch that only read has no commit to speak of.
                if self.connection.total_changes() > changes {
                    self.metrics.queue_commit_batch_size.observe(size as f64);
                    self.metrics.queue_commit_duration.observe(took.as_secs_f64());
                    self.measure_wal();
                }
                for operation in batch {
                    operation.committed();
                }
            }
            #[cfg(test)]
            Err(_) if self.faults.strike(Cut::BeforeCommit) => return ControlFlow::Break(()),
            Err(error) => {
                tracing::error!(%error, operations = size, "the queue could not be written; its callers try again");
                self.counters = before;
                self.careful_until = Some(self.clock.monotonic().after(CAREFUL_FOR));
                self.roll_back();
                let cause = Arc::new(error);
                for operation in batch {
                    operation.rolled_back(&cause);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn transact(&mut self, batch: &mut Batch) -> rusqlite::Result<()> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        if self.careful_until.is_some_and(|until| self.clock.monotonic() < until) {
            self.run_apart(batch)?;
        } else {
            self.careful_until = None;
            let mut tx = Tx { connection: &self.connection, counters: &mut self.counters };
            for operation in batch {
                operation.run(&mut tx)?;
            }
        }
        #[cfg(test)]
        if self.faults.is_planned(Cut::BeforeCommit) || self.faults.strike(Cut::Failure) {
            return Err(rusqlite::Error::InvalidQuery);
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Runs operations so that one whose statements fail is answered and taken out, and the others are committed: else one
    /// that always fails would take down with it, again and again, whatever it is batched with.
    fn run_apart(&mut self, batch: &mut Batch) -> rusqlite::Result<()> {
        let mut at = 0;
        while at < batch.len() {
            let before = self.counters;
            self.connection.prepare_cached("SAVEPOINT operation")?.execute([])?;
            let mut tx = Tx { connection: &self.connection, counters: &mut self.counters };
            match batch[at].run(&mut tx) {
                Ok(()) => {
                    self.connection.prepare_cached("RELEASE operation")?.execute([])?;
                    at += 1;
                }
                // SQLite has rolled the whole transaction back.
                Err(error) if self.connection.is_autocommit() => return Err(error),
                Err(error) => {
                    self.connection.execute_batch("ROLLBACK TO operation; RELEASE operation")?;
                    tracing::error!(%error, "an operation on the queue failed; its caller tries again");
                    self.counters = before;
                    self.careful_until = Some(self.clock.monotonic().after(CAREFUL_FOR));
                    batch.remove(at).rolled_back(&Arc::new(error));
                }
            }
        }
        Ok(())
    }

    fn roll_back(&self) {
        // SQLite has rolled back by itself after some errors, such as a full disk.
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.connection.execute_batch("ROLLBACK") {
            tracing::error!(%error, "a failed transaction could not be rolled back");
        }
    }

    fn measure_wal(&self) {
        if let Ok(file) = std::fs::metadata(&self.wal) {
            let bytes = i64::try_from(file.len()).unwrap_or(i64::MAX);
            self.metrics.sqlite_wal_bytes.with_label_values(&["queue"]).set(bytes);
        }
    }

    /// 1. Nothing more is taken in. 2. What is queued is written. 3. The log is copied into the file and emptied.
    fn close(mut self, answer: oneshot::Sender<()>) {
        self.queue.close();
        while let Some(message) = self.queue.blocking_recv() {
            let (batch, then) = self.gather(message);
            if self.process(batch).is_break() {
                return;
            }
            if let Then::Close(other) = then {
                let _ = other.send(());
            }
        }
        let checkpoint = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = checkpoint {
            tracing::warn!(%error, "the queue's log could not be emptied; it will be when the queue is next opened");
        }
        self.measure_wal();
        drop(self);
        let _ = answer.send(());
    }
}

/// Where a test kills the writer.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// With the statements of a batch not committed.
    BeforeCommit,
    /// With a batch committed, and neither applied nor answered.
    AfterCommit,
    /// Nowhere: the batch cannot be committed, and the writer goes on.
    Failure,
}

/// What a test has planned for the writer. Where it dies, it does as if the process had been killed: nobody is
/// answered.
#[cfg(test)]
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<parking_lot::Mutex<Option<Cut>>>);

#[cfg(test)]
impl Faults {
    /// Kills the writer at the next batch.
    pub(crate) fn plan(&self, cut: Cut) {
        *self.0.lock() = Some(cut);
    }

    /// The next batch cannot be committed.
    pub(crate) fn fail_next(&self) {
        self.plan(Cut::Failure);
    }

    fn is_planned(&self, here: Cut) -> bool {
        *self.0.lock() == Some(here)
    }

    fn strike(&self, here: Cut) -> bool {
        self.0.lock().take_if(|cut| *cut == here).is_some()
    }
}
