//! Follows the journal: applies its entries as they come, and tells the engine which of them it may forget.
//!
//! An engine deletes entries after [`JournalReader::done`], and `history.db` runs with `synchronous = NORMAL`, under which a
//! loss of power can undo the last transactions. Hence this order:
//!
//! 1. A batch's rows and the journal's position are committed in one transaction. A crash before this repeats the batch; a
//!    crash after it goes on behind the batch.
//! 2. A checkpoint moves everything committed into the database file and syncs it. From here on no loss of power undoes it.
//! 3. Only then `done`, with the position that was committed before the checkpoint began. A crash before this leaves entries
//!    in the journal that nobody asks for again; the next `done` covers them.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::{Clock, Timestamp};
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::Journal;
use fanfare_core::ports::journal::{JournalPosition, JournalReader};
use fanfare_runtime::Shutdown;
use fanfare_runtime::tasks::report;
use fanfare_telemetry::Metrics;
use tokio::sync::watch;

use crate::apply;
use crate::database::Database;
use crate::error::HistoryError;

/// The most entries in one transaction.
const BATCH: usize = 1000;
/// So many entries at once say that more are on their way, and that it is no one's single delivery which somebody looks at.
const BUSY: usize = 32;
/// For how long more are waited for then: what begins and ends within one batch is written once, and a commit costs the same
/// for many entries as for few. Not for long: while a large batch is written it has a processor for itself.
const GATHER: Duration = Duration::from_millis(50);
/// How often what has been applied is made durable, and the engine told so.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// How long to wait after a failure that may pass.
const PAUSE: Duration = Duration::from_secs(1);

/// What is followed, and with what.
pub(crate) struct Follower {
    pub(crate) database: Arc<Database>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    /// Told of each position once it is committed.
    pub(crate) applied: watch::Sender<JournalPosition>,
}

enum Turn {
    Entries(Vec<(JournalPosition, JournalEntry)>),
    Chores,
}

impl Follower {
    /// Follows the journal until shutdown. After a failure that may pass it starts again from the stored position.
    pub(crate) async fn run(self, shutdown: Shutdown) -> Result<(), HistoryError> {
        loop {
            let error = match self.follow(&shutdown).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_retryable() => error,
                Err(error) => return Err(error),
            };
            tracing::warn!(error = %report(&error), "the read model cannot follow the journal for now; trying again");
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.clock.sleep(PAUSE) => {}
            }
        }
    }

    async fn follow(&self, shutdown: &Shutdown) -> Result<(), HistoryError> {
        let mut position = self.database.write("read the journal's position", apply::position).await?;
        let mut reader = self.journal.read(position).await?;
        // What an earlier process applied may not have been made durable.
        let mut unconfirmed = position > JournalPosition::default();
        let mut closing = true;
        let mut checkpoint_due = self.clock.monotonic().after(CHECKPOINT_EVERY);
        let mut gathered = self.clock.monotonic();
        self.applied.send_replace(position);
        loop {
            let entries = async {
                self.clock.sleep_until(gathered).await;
                reader.next(BATCH).await
            };
            let turn = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                entries = entries => Turn::Entries(entries?),
                () = std::future::ready(()), if closing => Turn::Chores,
                () = self.clock.sleep_until(checkpoint_due), if unconfirmed => Turn::Chores,
            };
            if let Turn::Entries(entries) = turn
                && let Some((reached, _)) = entries.last()
            {
                position = *reached;
                let is_busy = (BUSY..BATCH).contains(&entries.len());
                closing |= self.apply(entries).await?;
                if is_busy {
                    gathered = self.clock.monotonic().after(GATHER);
                }
                self.applied.send_replace(position);
                unconfirmed = true;
            }
            if closing {
                closing = self.database.write("close a deleted webhook's deliveries", apply::close_some).await?
                    | self.database.write("erase a deleted event", apply::erase_some).await?;
            }
            if unconfirmed && self.clock.monotonic() >= checkpoint_due {
                unconfirmed = !self.confirm(&mut *reader, position).await?;
                checkpoint_due = self.clock.monotonic().after(CHECKPOINT_EVERY);
            }
        }
    }

    /// Step 1 of the module's order. Answers whether a webhook or an event was deleted.
    async fn apply(&self, entries: Vec<(JournalPosition, JournalEntry)>) -> Result<bool, HistoryError> {
        let count = entries.len() as u64;
        let deletes = entries
            .iter()
            .any(|(_, entry)| matches!(entry, JournalEntry::WebhookDeleted(_) | JournalEntry::EventDeleted(_)));
        let last = entries.last().map(|(_, entry)| apply::happened_at(entry));
        // Said before as well, so that a read model that is stuck shows how far it is behind.
        self.note_lag(last);
        self.database.write("apply the journal", move |transaction| apply::apply(transaction, &entries)).await?;
        self.note_lag(last);
        self.metrics.history_entries.inc_by(count);
        Ok(deletes)
    }

    /// Steps 2 and 3. Answers whether the engine knows that everything up to `position` is durable here.
    async fn confirm(&self, reader: &mut dyn JournalReader, position: JournalPosition) -> Result<bool, HistoryError> {
        let durable = self.database.checkpoint().await?;
        self.metrics.sqlite_wal_bytes.with_label_values(&["history"]).set(wal_bytes(&self.database));
        if !durable {
            return Ok(false);
        }
        match reader.done(position).await {
            Ok(()) => Ok(true),
            Err(error) => {
                tracing::debug!(error = %report(&error), "the journal keeps entries that the read model has; saying so again");
                Ok(false)
            }
        }
    }

    fn note_lag(&self, happened_at: Option<Timestamp>) {
        if let Some(at) = happened_at {
            self.metrics.history_lag.set(self.clock.now().since(at).as_secs_f64());
        }
    }
}

fn wal_bytes(database: &Database) -> i64 {
    i64::try_from(database.wal_bytes()).unwrap_or(i64::MAX)
}
