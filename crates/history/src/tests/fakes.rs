//! A journal and a configuration in memory, and a read model that follows them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::clock::Clock as _;
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::config_store::{
    Change, Changed, Changes, ConfigStore, Expected, Group, Key, Record, Revision, Versioned, Watch,
};
use fanfare_core::ports::journal::{Journal, JournalPosition, JournalReader};
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use fanfare_core::webhook::Webhook;
use fanfare_runtime::tasks::Failures;
use fanfare_runtime::{Span, Tasks};
use fanfare_telemetry::Metrics;
use fanfare_testkit::ManualClock;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::{History, HistoryConfig};

/// How long a test waits for what should come at once.
const PATIENCE: Duration = Duration::from_secs(60);
/// Some 270 years.
pub(super) const FOR_GOOD: Span = Span::from_secs(100_000 * 24 * 60 * 60);

/// Entries in memory. What is done with stays, so that a test can see what would have been lost.
#[derive(Clone, Default)]
pub(super) struct FakeJournal {
    entries: Arc<watch::Sender<Vec<(JournalPosition, JournalEntry)>>>,
    done: Arc<watch::Sender<JournalPosition>>,
    /// How many reads fail before one succeeds again.
    failures: Arc<Mutex<usize>>,
    /// Where each reader began.
    pub(super) begun: Arc<Mutex<Vec<JournalPosition>>>,
    /// Copied, without its write-ahead log, whenever a reader says that it is done.
    pub(super) copied_when_done: Arc<Mutex<Option<(PathBuf, PathBuf)>>>,
}

impl FakeJournal {
    pub(super) fn add(&self, entries: impl IntoIterator<Item = JournalEntry>) -> JournalPosition {
        self.entries.send_modify(|all| {
            for entry in entries {
                all.push((JournalPosition(all.len() as u64 + 1), entry));
            }
        });
        JournalPosition(self.entries.borrow().len() as u64)
    }

    pub(super) fn fail(&self, times: usize) {
        *self.failures.lock() = times;
    }

    pub(super) fn done(&self) -> watch::Receiver<JournalPosition> {
        self.done.subscribe()
    }
}

#[async_trait]
impl Journal for FakeJournal {
    async fn append(&self, entries: Vec<JournalEntry>) -> StoreResult<()> {
        self.add(entries);
        Ok(())
    }

    async fn read(&self, after: JournalPosition) -> StoreResult<Box<dyn JournalReader>> {
        self.begun.lock().push(after);
        Ok(Box::new(FakeReader { journal: self.clone(), entries: self.entries.subscribe(), after }))
    }
}

struct FakeReader {
    journal: FakeJournal,
    entries: watch::Receiver<Vec<(JournalPosition, JournalEntry)>>,
    after: JournalPosition,
}

#[async_trait]
impl JournalReader for FakeReader {
    async fn next(&mut self, max: usize) -> StoreResult<Vec<(JournalPosition, JournalEntry)>> {
        let after = self.after;
        let entries = self.entries.wait_for(|all| all.last().is_some_and(|(at, _)| *at > after)).await.unwrap();
        {
            let mut failures = self.journal.failures.lock();
            if *failures > 0 {
                *failures -= 1;
                return Err(StoreError { kind: StoreErrorKind::Unavailable, doing: "read the journal", source: None });
            }
        }
        let next: Vec<_> = entries.iter().filter(|(at, _)| *at > after).take(max).cloned().collect();
        self.after = next.last().unwrap().0;
        Ok(next)
    }

    async fn done(&mut self, position: JournalPosition) -> StoreResult<()> {
        if let Some((from, to)) = &*self.journal.copied_when_done.lock() {
            std::fs::copy(from, to).unwrap();
        }
        self.journal.done.send_replace(position);
        Ok(())
    }
}

/// Webhooks in memory. Each change has the next revision.
#[derive(Clone, Default)]
pub(super) struct FakeStore(Arc<watch::Sender<Vec<Change>>>);

impl FakeStore {
    /// Stores a webhook; answers the revision.
    pub(super) fn set(&self, webhook: Webhook) -> u64 {
        self.change(Key::Webhook(webhook.id), Some(Record::Webhook(webhook)))
    }

    pub(super) fn delete(&self, webhook: &Webhook) -> u64 {
        self.change(Key::Webhook(webhook.id), None)
    }

    fn change(&self, key: Key, record: Option<Record>) -> u64 {
        self.0.send_modify(|all| {
            let revision = Revision(all.len() as u64 + 1);
            all.push(Change { revision, key, record });
        });
        self.0.borrow().len() as u64
    }
}

#[async_trait]
impl ConfigStore for FakeStore {
    async fn get(&self, _: &Key) -> StoreResult<Option<Versioned>> {
        Err(StoreError::lost("read a record of a watched store"))
    }

    async fn put(&self, _: Record, _: Expected) -> StoreResult<Changed> {
        Err(StoreError::lost("change a watched store"))
    }

    async fn remove(&self, _: &Key, _: Expected) -> StoreResult<Changed> {
        Err(StoreError::lost("change a watched store"))
    }

    async fn last_revision(&self, _: Group) -> StoreResult<Revision> {
        Ok(Revision(self.0.borrow().len() as u64))
    }

    async fn watch(&self, _: Group) -> StoreResult<Box<dyn Watch>> {
        Ok(Box::new(FakeWatch { changes: self.0.subscribe(), told: None }))
    }
}

struct FakeWatch {
    changes: watch::Receiver<Vec<Change>>,
    told: Option<usize>,
}

#[async_trait]
impl Watch for FakeWatch {
    async fn next(&mut self) -> StoreResult<Changes> {
        let told = self.told;
        let all = self.changes.wait_for(|all| told.is_none_or(|told| all.len() > told)).await.unwrap();
        let changes = match told {
            Some(told) => all[told..].to_vec(),
            // The whole is what is there now, each with its last revision.
            None => {
                let last = |change: &&Change| all.iter().rev().find(|other| other.key == change.key) == Some(change);
                all.iter().filter(last).filter(|change| change.record.is_some()).cloned().collect()
            }
        };
        self.told = Some(all.len());
        Ok(Changes { changes, up_to: Revision(all.len() as u64) })
    }
}

/// A read model that follows a journal and a configuration.
pub(super) struct Running {
    pub(super) history: History,
    pub(super) journal: FakeJournal,
    pub(super) store: FakeStore,
    pub(super) clock: ManualClock,
    pub(super) metrics: Metrics,
    pub(super) directory: TempDir,
    tasks: Tasks,
    _failures: Failures,
}

impl Running {
    /// Keeps everything longer than any test's clock goes.
    pub(super) fn start() -> Self {
        Self::start_with(FOR_GOOD)
    }

    pub(super) fn start_with(retention: Span) -> Self {
        let (journal, store, clock) = (FakeJournal::default(), FakeStore::default(), ManualClock::new());
        Self::start_in(tempfile::tempdir().unwrap(), retention, journal, store, clock)
    }

    pub(super) fn start_in(
        directory: TempDir,
        retention: Span,
        journal: FakeJournal,
        store: FakeStore,
        clock: ManualClock,
    ) -> Self {
        let failures = Failures::new();
        let (tasks, metrics) = (failures.group(), Metrics::new("test"));
        let config = HistoryConfig { retention, ..HistoryConfig::default() };
        let history = History::open(&file(directory.path()), &config, metrics.clone()).unwrap();
        history.start(Arc::new(journal.clone()), Arc::new(store.clone()), Arc::new(clock.clone()), &tasks);
        Self { history, journal, store, clock, metrics, directory, tasks, _failures: failures }
    }

    /// Stops and starts again on the same file.
    pub(super) async fn restart(self) -> Self {
        let (directory, journal, store, clock) = self.stop().await;
        Self::start_in(directory, FOR_GOOD, journal, store, clock)
    }

    pub(super) async fn stop(self) -> (TempDir, FakeJournal, FakeStore, ManualClock) {
        self.tasks.stop(PATIENCE).await.unwrap();
        drop(self.history);
        (self.directory, self.journal, self.store, self.clock)
    }

    /// Adds entries and waits until they can be read.
    pub(super) async fn tell(&self, entries: impl IntoIterator<Item = JournalEntry>) {
        let position = self.journal.add(entries);
        self.caught_up(position).await;
    }

    /// Waits for entries to be applied.
    pub(super) async fn caught_up(&self, position: JournalPosition) {
        let mut applied = self.history.applied();
        let waiting = applied.wait_for(|applied| *applied >= position);
        tokio::time::timeout(PATIENCE, waiting).await.expect("the entries should have been applied").unwrap();
    }

    /// Waits until the webhook's newest version is what was stored last.
    pub(super) async fn knows_url(&self, webhook: &Webhook) {
        let url = webhook.url.to_string();
        let id = webhook.id;
        self.as_time_goes_by(async || {
            let read =
                self.history.database.read("read a url", move |transaction| crate::versions::url(transaction, id));
            read.await.unwrap() == url
        })
        .await;
    }

    /// Waits until something is so, a second of the manual clock after the other.
    pub(super) async fn as_time_goes_by(&self, mut is_so: impl AsyncFnMut() -> bool) {
        let waiting = async {
            while !is_so().await {
                self.clock.advance(Duration::from_secs(1));
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it should have become so");
    }

    pub(super) fn now(&self) -> fanfare_core::clock::Timestamp {
        self.clock.now()
    }
}

pub(super) fn file(directory: &Path) -> PathBuf {
    directory.join("history.db")
}
