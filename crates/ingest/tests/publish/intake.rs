//! An intake in memory, of one partition, whose rejections can be held up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fanfare_core::clock::Timestamp;
use fanfare_core::ports::intake::{
    Intake, IntakeDepth, IntakePartition, IntakePosition, IntakeShare, Published, Rejection, Waiting,
};
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use tokio::sync::{Semaphore, watch};

/// See the [module](self). Clones share it.
#[derive(Clone)]
pub(crate) struct MemoryIntake {
    state: Arc<watch::Sender<State>>,
    /// Rejections pass while it has a permit; taken away, they wait.
    pub(crate) open: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<Arc<str>, VecDeque<Published>>,
    rejected: Vec<Rejection>,
    /// How many have arrived, and how many had when somebody asked what waits.
    arrived: u64,
    told: u64,
    lost: bool,
}

impl MemoryIntake {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), open: Arc::new(Semaphore::new(1)) }
    }

    /// A producer publishes.
    pub(crate) fn publish(&self, project: &str, body: &str) {
        self.state.send_modify(|state| {
            state.arrived += 1;
            let message = Published {
                position: IntakePosition(state.arrived),
                at: Timestamp::from_seconds(1_765_000_000),
                project: project.into(),
                event_type: "order.paid".to_owned(),
                headers: Vec::new(),
                raw_headers: Bytes::new(),
                malformed: None,
                body: Bytes::copy_from_slice(body.as_bytes()),
            };
            state.waiting.entry(project.into()).or_default().push_back(message);
        });
    }

    /// The partition goes to another process.
    pub(crate) fn lose(&self) {
        self.state.send_modify(|state| state.lost = true);
    }

    /// Whether somebody has the partition, beside the test and who shares partitions out.
    pub(crate) fn is_held(&self) -> bool {
        Arc::strong_count(&self.open) > 2
    }

    pub(crate) fn rejected(&self) -> usize {
        self.state.borrow().rejected.len()
    }

    /// How many wait, or are being taken in.
    pub(crate) fn count(&self) -> usize {
        self.state.borrow().waiting.values().map(VecDeque::len).sum()
    }

    fn check(&self) -> StoreResult<()> {
        if self.state.borrow().lost { Err(StoreError::lost("work an intake off")) } else { Ok(()) }
    }

    async fn wait_for(&self, is_so: impl FnMut(&State) -> bool) -> StoreResult<()> {
        let mut state = self.state.subscribe();
        let mut is_so = is_so;
        let _ = state.wait_for(|state| state.lost || is_so(state)).await;
        self.check()
    }
}

#[async_trait]
impl Intake for MemoryIntake {
    async fn take_part(&self) -> StoreResult<Box<dyn IntakeShare>> {
        Ok(Box::new(Share(Some(self.clone()))))
    }

    async fn depth(&self) -> StoreResult<IntakeDepth> {
        Ok(IntakeDepth { count: self.count() as u64, oldest: None })
    }
}

struct Share(Option<MemoryIntake>);

#[async_trait]
impl IntakeShare for Share {
    async fn next(&mut self) -> StoreResult<Arc<dyn IntakePartition>> {
        match self.0.take() {
            Some(only) => Ok(Arc::new(only)),
            None => std::future::pending().await,
        }
    }
}

#[async_trait]
impl IntakePartition for MemoryIntake {
    async fn waiting(&self) -> StoreResult<Vec<Waiting>> {
        self.wait_for(|state| !state.waiting.is_empty()).await?;
        self.state.send_if_modified(|state| {
            state.told = state.arrived;
            false
        });
        let state = self.state.borrow();
        let waiting = state.waiting.iter();
        Ok(waiting.map(|(project, waiting)| Waiting { project: project.clone(), count: waiting.len() }).collect())
    }

    async fn arrival(&self) -> StoreResult<()> {
        self.wait_for(|state| state.arrived > state.told).await
    }

    async fn read(&self, project: &str, max: usize) -> StoreResult<Vec<Published>> {
        self.check()?;
        let state = self.state.borrow();
        Ok(state.waiting.get(project).into_iter().flatten().take(max).cloned().collect())
    }

    async fn reject(&self, rejections: Vec<Rejection>) -> StoreResult<()> {
        let open = self.open.acquire().await;
        let _open = open.map_err(|error| StoreError::new(StoreErrorKind::Unavailable, "reject", error))?;
        self.state.send_modify(|state| state.rejected.extend(rejections));
        Ok(())
    }

    async fn done(&self, project: &str, position: IntakePosition) -> StoreResult<()> {
        self.check()?;
        self.state.send_modify(|state| {
            let waiting = state.waiting.entry(project.into()).or_default();
            waiting.retain(|message| message.position > position);
            state.waiting.retain(|_, waiting| !waiting.is_empty());
        });
        Ok(())
    }
}
