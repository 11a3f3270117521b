//! An event log in memory that can be full, away, behind, or slow.

use std::collections::HashMap;

use async_trait::async_trait;
use fanfare_core::event::{ContentHash, Event};
use fanfare_core::ids::{EventId, ProjectId};
use fanfare_core::ports::event_log::{Appended, EventLog, PartitionShare};
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct MemoryLog {
    state: Mutex<State>,
    /// Appends pass while it has a permit; taken away, they wait.
    pub(crate) open: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    events: Vec<Event>,
    contents: HashMap<(ProjectId, EventId), ContentHash>,
    backlog: u64,
    crowded: u64,
    failing: Option<StoreErrorKind>,
    asked: Asked,
}

/// How often it was asked for something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// How long its backlog is.
    pub(crate) backlog: usize,
    /// Whether a line is crowded.
    pub(crate) crowded: usize,
    /// For anything else, while it failed.
    pub(crate) refused: usize,
}

impl MemoryLog {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), open: Semaphore::new(1) }
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.state.lock().events.clone()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.state.lock().events.iter().map(|event| event.header.id.to_string()).collect()
    }

    pub(crate) fn fail_with(&self, kind: Option<StoreErrorKind>) {
        self.state.lock().failing = kind;
    }

    pub(crate) fn asked(&self) -> Asked {
        self.state.lock().asked
    }

    pub(crate) fn set_crowded(&self, crowded: u64) {
        self.state.lock().crowded = crowded;
    }

    pub(crate) fn set_backlog(&self, backlog: u64) {
        self.state.lock().backlog = backlog;
    }

    fn healthy(&self, doing: &'static str) -> StoreResult<()> {
        let mut state = self.state.lock();
        let Some(kind) = state.failing else { return Ok(()) };
        state.asked.refused += 1;
        Err(StoreError::new(kind, doing, "disk /dev/secret is gone"))
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn append(&self, events: Vec<Event>) -> StoreResult<Vec<Appended>> {
        let _open = self.open.acquire().await.unwrap();
        self.healthy("append events")?;
        let mut state = self.state.lock();
        let mut appended = Vec::new();
        for event in events {
            let key = (event.header.project.clone(), event.header.id.clone());
            appended.push(match state.contents.get(&key) {
                None => {
                    state.contents.insert(key, event.content);
                    state.events.push(event);
                    Appended::Accepted
                }
                Some(content) if *content == event.content => Appended::Duplicate,
                Some(_) => Appended::Conflict,
            });
        }
        Ok(appended)
    }

    async fn get(&self, project: &ProjectId, id: &EventId) -> StoreResult<Option<Event>> {
        let found = |event: &&Event| event.header.project == *project && event.header.id == *id;
        Ok(self.state.lock().events.iter().find(found).cloned())
    }

    async fn erase(&self, _: &ProjectId, _: &EventId) -> StoreResult<()> {
        Err(StoreError::lost("erase an event in a test of ingest"))
    }

    async fn backlog(&self) -> StoreResult<u64> {
        let mut state = self.state.lock();
        state.asked.backlog += 1;
        Ok(state.backlog)
    }

    async fn is_crowded(&self, _: &[Event], max: u64) -> StoreResult<bool> {
        let mut state = self.state.lock();
        state.asked.crowded += 1;
        Ok(state.crowded >= max)
    }

    async fn consume(&self) -> StoreResult<Box<dyn PartitionShare>> {
        Err(StoreError::lost("consume events in a test of ingest"))
    }
}
