//! An operation on its way through the writer: statements, then effects, then the answer.

use std::sync::Arc;

use fanfare_core::ports::{StoreError, StoreResult};
use tokio::sync::oneshot;

use super::Tx;
use crate::error::kind_of;

/// Why an operation's statements did not succeed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// SQLite failed, so that the batch cannot be committed.
    Batch(rusqlite::Error),
    /// The operation alone cannot be done. It must not have written anything; the batch goes on without it.
    Alone(StoreError),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Failed::Batch(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Failed::Alone(error)
    }
}

/// What an operation does inside the transaction. What it returns must undo, when dropped, any mark it has set in
/// memory.
pub(crate) trait Statements<T>: FnOnce(&mut Tx<'_>) -> Result<T, Failed> + Send + 'static {}
impl<T, F: FnOnce(&mut Tx<'_>) -> Result<T, Failed> + Send + 'static> Statements<T> for F {}

/// An operation without its types, as the thread handles it.
pub(crate) trait Operation: Send {
    /// About how many bytes it carries.
    fn bytes(&self) -> usize;

    /// Runs its statements.
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()>;

    /// The batch is durable: applies the effects and answers.
    fn committed(self: Box<Self>);

    /// The batch was rolled back: answers so.
    fn rolled_back(self: Box<Self>, cause: &Arc<rusqlite::Error>);
}

enum Progress<S, T> {
    Waiting(S),
    Running,
    Done(Result<T, StoreError>),
}

/// The one implementation of [`Operation`].
pub(crate) struct Pending<S, E, T, R> {
    doing: &'static str,
    bytes: usize,
    progress: Progress<S, T>,
    effects: E,
    answer: oneshot::Sender<StoreResult<R>>,
}

impl<S, E, T, R> Pending<S, E, T, R> {
    pub(crate) fn new(
        doing: &'static str,
        bytes: usize,
        statements: S,
        effects: E,
        answer: oneshot::Sender<StoreResult<R>>,
    ) -> Self {
        Self { doing, bytes, progress: Progress::Waiting(statements), effects, answer }
    }
}

impl<S, E, T, R> Operation for Pending<S, E, T, R>
where
    S: Statements<T>,
    E: FnOnce(T) -> R + Send,
    T: Send,
    R: Send,
{
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        match std::mem::replace(&mut self.progress, Progress::Running) {
            Progress::Waiting(statements) => {
                self.progress = Progress::Done(match statements(tx) {
                    Ok(done) => Ok(done),
                    Err(Failed::Alone(error)) => Err(error),
                    Err(Failed::Batch(error)) => return Err(error),
                });
            }
            // The thread runs each operation once.
            done @ (Progress::Running | Progress::Done(_)) => self.progress = done,
        }
        Ok(())
    }

    fn committed(self: Box<Self>) {
        let Self { progress, effects, answer, .. } = *self;
        let result = match progress {
            Progress::Done(Ok(done)) => Ok(effects(done)),
            Progress::Done(Err(error)) => Err(error),
            // Dropping the answer says that nothing is known of it.
            Progress::Waiting(_) | Progress::Running => return,
        };
        // Nobody waits for the answer any more: the effects have been applied all the same.
        let _ = answer.send(result);
    }

    fn rolled_back(self: Box<Self>, cause: &Arc<rusqlite::Error>) {
        let Self { doing, progress, answer, .. } = *self;
        // What the statements had marked in memory is unmarked before the caller can try again.
        drop(progress);
        let _ = answer.send(Err(StoreError::new(kind_of(cause), doing, Arc::clone(cause))));
    }
}
