//! A configuration whose watches can be held back, as those of a slow process are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::config_store::{
    Changed, Changes, ConfigStore, Expected, Group, Key, Record, Revision, Versioned, Watch,
};
use fanfare_embedded::Embedded;
use tokio::sync::watch;

pub(crate) struct LaggingStore {
    engine: Embedded,
    held_back: watch::Sender<bool>,
    asked: AtomicUsize,
}

impl LaggingStore {
    pub(crate) fn new(engine: Embedded) -> Arc<Self> {
        Arc::new(Self { engine, held_back: watch::Sender::new(false), asked: AtomicUsize::new(0) })
    }

    /// How often the last revision has been asked for.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// From now on the watches tell of nothing, or of everything that they have held back.
    pub(crate) fn hold_back(&self, held_back: bool) {
        self.held_back.send_replace(held_back);
    }
}

#[async_trait]
impl ConfigStore for LaggingStore {
    async fn get(&self, key: &Key) -> StoreResult<Option<Versioned>> {
        self.engine.get(key).await
    }

    async fn put(&self, record: Record, expected: Expected) -> StoreResult<Changed> {
        self.engine.put(record, expected).await
    }

    async fn remove(&self, key: &Key, expected: Expected) -> StoreResult<Changed> {
        self.engine.remove(key, expected).await
    }

    async fn last_revision(&self, group: Group) -> StoreResult<Revision> {
        let revision = self.engine.last_revision(group).await;
        self.asked.fetch_add(1, Ordering::SeqCst);
        revision
    }

    async fn watch(&self, group: Group) -> StoreResult<Box<dyn Watch>> {
        let watch = self.engine.watch(group).await?;
        Ok(Box::new(LaggingWatch { watch, held_back: self.held_back.subscribe() }))
    }
}

struct LaggingWatch {
    watch: Box<dyn Watch>,
    held_back: watch::Receiver<bool>,
}

#[async_trait]
impl Watch for LaggingWatch {
    async fn next(&mut self) -> StoreResult<Changes> {
        let changes = self.watch.next().await?;
        // The store outlives its watches in these tests.
        let _ = self.held_back.wait_for(|held_back| !held_back).await;
        Ok(changes)
    }
}
