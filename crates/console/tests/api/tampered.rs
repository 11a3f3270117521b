//! Ports that tell what was asked of them in which order, and refuse what a test wants refused: where a crash or a store
//! that goes away would cut an act in two.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use fanfare_core::health::Gate;
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::config_store::{
    Changed, ConfigStore, Expected, Group, Key, Record, Revision, Versioned, Watch,
};
use fanfare_core::ports::journal::{Journal, JournalPosition, JournalReader};
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use parking_lot::Mutex;

/// What was done, in order, in words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acts(Arc<Mutex<Vec<String>>>);

impl Acts {
    fn note(&self, act: String) {
        self.0.lock().push(act);
    }

    /// Everything since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

fn away(doing: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, doing, "the test says so")
}

/// A store whose changes are noted, and refused while they begin with a text.
pub(crate) struct TamperedStore {
    pub(crate) inner: Arc<dyn ConfigStore>,
    pub(crate) acts: Acts,
    refused: Mutex<Option<&'static str>>,
}

impl TamperedStore {
    pub(crate) fn new(inner: Arc<dyn ConfigStore>, acts: Acts) -> Arc<Self> {
        Arc::new(Self { inner, acts, refused: Mutex::default() })
    }

    /// Refuses every change whose words begin so; `None` for none.
    pub(crate) fn refuse(&self, words: Option<&'static str>) {
        *self.refused.lock() = words;
    }

    fn pass(&self, act: String) -> StoreResult<()> {
        if self.refused.lock().is_some_and(|words| act.starts_with(words)) {
            return Err(away("change a record"));
        }
        self.acts.note(act);
        Ok(())
    }
}

fn words(record: &Record) -> String {
    match record {
        Record::Webhook(webhook) => format!("put webhook active={}", webhook.active),
        Record::Health(health) => match &health.gate {
            None => "put health open".to_owned(),
            Some(Gate::Paused { .. }) => "put health paused".to_owned(),
            Some(Gate::Releasing { .. }) => "put health releasing".to_owned(),
            Some(Gate::Congested { .. }) => "put health congested".to_owned(),
            Some(Gate::BreakerOpen { .. }) => "put health breaker open".to_owned(),
        },
        Record::Project(_) => "put project".to_owned(),
        Record::ApiKey(_) => "put key".to_owned(),
        Record::EventType(_) => "put event-type".to_owned(),
        Record::KeyUse(_) => "put key-use".to_owned(),
    }
}

#[async_trait]
impl ConfigStore for TamperedStore {
    async fn get(&self, key: &Key) -> StoreResult<Option<Versioned>> {
        self.inner.get(key).await
    }

    async fn put(&self, record: Record, expected: Expected) -> StoreResult<Changed> {
        self.pass(words(&record))?;
        self.inner.put(record, expected).await
    }

    async fn remove(&self, key: &Key, expected: Expected) -> StoreResult<Changed> {
        let kind = key.to_string();
        self.pass(format!("remove {}", kind.split('.').next().unwrap_or_default()))?;
        self.inner.remove(key, expected).await
    }

    async fn last_revision(&self, group: Group) -> StoreResult<Revision> {
        self.inner.last_revision(group).await
    }

    async fn watch(&self, group: Group) -> StoreResult<Box<dyn Watch>> {
        self.inner.watch(group).await
    }
}

/// A journal whose entries are noted, and refused while it is broken.
pub(crate) struct TamperedJournal {
    inner: Arc<dyn Journal>,
    acts: Acts,
    broken: AtomicBool,
}

impl TamperedJournal {
    pub(crate) fn new(inner: Arc<dyn Journal>, acts: Acts) -> Arc<Self> {
        Arc::new(Self { inner, acts, broken: AtomicBool::new(false) })
    }

    pub(crate) fn broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }
}

#[async_trait]
impl Journal for TamperedJournal {
    async fn append(&self, entries: Vec<JournalEntry>) -> StoreResult<()> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(away("append to the journal"));
        }
        for entry in &entries {
            self.acts.note(match entry {
                JournalEntry::WebhookDeleted(_) => "journal deleted".to_owned(),
                JournalEntry::EventDeleted(_) => "journal event deleted".to_owned(),
                JournalEntry::HealthChanged(_) => "journal health".to_owned(),
                JournalEntry::FannedOut(_)
                | JournalEntry::Pushed(_)
                | JournalEntry::Settled(_)
                | JournalEntry::AttemptedLate(_)
                | JournalEntry::BroughtForward(_)
                | JournalEntry::Quarantined(_) => "journal delivery".to_owned(),
            });
        }
        self.inner.append(entries).await
    }

    async fn read(&self, after: JournalPosition) -> StoreResult<Box<dyn JournalReader>> {
        self.inner.read(after).await
    }
}
