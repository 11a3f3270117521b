//! The configuration records as a start asks for them: of servers that may come, go and elect a leader meanwhile, it waits.
//!
//! Only what passes is waited for. A change whose answer was lost is made again, and may then meet itself as a conflict.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::clock::Clock;
use fanfare_core::ports::config_store::{Changed, Changes, Expected, Group, Key, Record, Revision, Versioned, Watch};
use fanfare_core::ports::{ConfigStore, StoreResult};
use fanfare_runtime::tasks::report;

/// How long to wait before the store is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// A store that is asked until it answers.
#[derive(Clone)]
pub(super) struct Patient {
    store: Arc<dyn ConfigStore>,
    clock: Arc<dyn Clock>,
}

impl Patient {
    /// The same store, asked until it answers.
    pub(super) fn new(store: Arc<dyn ConfigStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// An answer that stands; `None`, after a pause, if the store is to be asked again.
    async fn standing<T>(&self, answer: StoreResult<T>) -> Option<StoreResult<T>> {
        match answer {
            Err(error) if error.is_retryable() => {
                tracing::warn!(error = %report(&error), "waiting for the configuration records");
                self.clock.sleep(PAUSE).await;
                None
            }
            answer => Some(answer),
        }
    }
}

#[async_trait]
impl ConfigStore for Patient {
    async fn get(&self, key: &Key) -> StoreResult<Option<Versioned>> {
        loop {
            if let Some(answer) = self.standing(self.store.get(key).await).await {
                return answer;
            }
        }
    }

    async fn put(&self, record: Record, expected: Expected) -> StoreResult<Changed> {
        loop {
            if let Some(answer) = self.standing(self.store.put(record.clone(), expected).await).await {
                return answer;
            }
        }
    }

    async fn remove(&self, key: &Key, expected: Expected) -> StoreResult<Changed> {
        loop {
            if let Some(answer) = self.standing(self.store.remove(key, expected).await).await {
                return answer;
            }
        }
    }

    async fn last_revision(&self, group: Group) -> StoreResult<Revision> {
        loop {
            if let Some(answer) = self.standing(self.store.last_revision(group).await).await {
                return answer;
            }
        }
    }

    async fn watch(&self, group: Group) -> StoreResult<Box<dyn Watch>> {
        let watch = self.new_watch(group).await?;
        Ok(Box::new(PatientWatch { patient: self.clone(), group, watch }))
    }
}

impl Patient {
    async fn new_watch(&self, group: Group) -> StoreResult<Box<dyn Watch>> {
        loop {
            if let Some(answer) = self.standing(self.store.watch(group).await).await {
                return answer;
            }
        }
    }
}

/// A watch that begins anew, with the whole group, when it cannot go on.
struct PatientWatch {
    patient: Patient,
    group: Group,
    watch: Box<dyn Watch>,
}

#[async_trait]
impl Watch for PatientWatch {
    async fn next(&mut self) -> StoreResult<Changes> {
        loop {
            if let Some(answer) = self.patient.standing(self.watch.next().await).await {
                return answer;
            }
            self.watch = self.patient.new_watch(self.group).await?;
        }
    }
}

#[cfg(test)]
mod tests;
