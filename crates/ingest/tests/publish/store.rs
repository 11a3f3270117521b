//! A configuration store in memory whose watch can be held back, as if its news travelled slowly.

use async_trait::async_trait;
use fanfare_core::ports::config_store::{
    Change, Changed, Changes, ConfigStore, Expected, Group, Key, Record, Revision, Versioned, Watch,
};
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use tokio::sync::watch;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct MemoryStore {
    state: watch::Sender<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// Every change ever, in order; its revision is its place, from 1.
    changes: Vec<(Key, Option<Record>)>,
    held_back: bool,
    failing: bool,
    asked: usize,
}

impl State {
    fn last(&self) -> Revision {
        Revision(self.changes.len() as u64)
    }

    fn after(&self, seen: Revision) -> Vec<Change> {
        let numbered = self.changes.iter().zip(1..).filter(|(_, number)| *number > seen.0);
        let change = |((key, record), number): (&(Key, Option<Record>), u64)| Change {
            revision: Revision(number),
            key: key.clone(),
            record: record.clone(),
        };
        numbered.map(change).collect()
    }
}

impl MemoryStore {
    pub(crate) fn new() -> Self {
        Self { state: watch::Sender::new(State::default()) }
    }

    pub(crate) fn set(&self, record: Record) {
        self.state.send_modify(|state| state.changes.push((record.key(), Some(record))));
    }

    pub(crate) fn delete(&self, key: Key) {
        self.state.send_modify(|state| state.changes.push((key, None)));
    }

    /// Whether the watch is silent.
    pub(crate) fn hold_back(&self, held_back: bool) {
        self.state.send_modify(|state| state.held_back = held_back);
    }

    pub(crate) fn fail(&self, failing: bool) {
        self.state.send_modify(|state| state.failing = failing);
    }

    /// How often the last revision was asked for.
    pub(crate) fn asked(&self) -> usize {
        self.state.borrow().asked
    }

    /// Waits until the last revision has been asked for so often.
    pub(crate) async fn asked_times(&self, times: usize) {
        self.state.subscribe().wait_for(|state| state.asked >= times).await.unwrap();
    }
}

#[async_trait]
impl ConfigStore for MemoryStore {
    async fn get(&self, key: &Key) -> StoreResult<Option<Versioned>> {
        let found = self.state.borrow().after(Revision(0)).into_iter().rfind(|change| change.key == *key);
        Ok(found.and_then(|change| Some(Versioned { revision: change.revision, record: change.record? })))
    }

    async fn put(&self, record: Record, _: Expected) -> StoreResult<Changed> {
        self.set(record);
        Ok(Changed::Done(self.state.borrow().last()))
    }

    async fn remove(&self, key: &Key, _: Expected) -> StoreResult<Changed> {
        self.delete(key.clone());
        Ok(Changed::Done(self.state.borrow().last()))
    }

    async fn last_revision(&self, _: Group) -> StoreResult<Revision> {
        self.state.send_modify(|state| state.asked += 1);
        let state = self.state.borrow();
        if state.failing {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "read the last revision", "connection refused"));
        }
        Ok(state.last())
    }

    async fn watch(&self, group: Group) -> StoreResult<Box<dyn Watch>> {
        Ok(Box::new(MemoryWatch { state: self.state.subscribe(), group, seen: None }))
    }
}

struct MemoryWatch {
    state: watch::Receiver<State>,
    group: Group,
    seen: Option<Revision>,
}

#[async_trait]
impl Watch for MemoryWatch {
    async fn next(&mut self) -> StoreResult<Changes> {
        let seen = self.seen;
        let news = |state: &State| !state.held_back && seen.is_none_or(|seen| state.last() > seen);
        let Ok(state) = self.state.wait_for(news).await else {
            return std::future::pending().await;
        };
        let mut changes = state.after(seen.unwrap_or_default());
        changes.retain(|change| change.key.group() == self.group);
        self.seen = Some(state.last());
        Ok(Changes { changes, up_to: state.last() })
    }
}
