//! A store that is nothing but its watches: each is a script that the test writes while it goes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::clock::Clock;
use fanfare_core::ports::config_store::{
    Change, Changed, Changes, ConfigStore, Expected, Group, Key, Record, Revision, Versioned, Watch,
};
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use fanfare_core::seal::SealingKey;
use fanfare_runtime::tasks::{Failures, TaskFailure};
use fanfare_runtime::{Registry, Tasks};
use fanfare_testkit::ManualClock;
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Long enough for whatever must happen on a busy machine; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that is to happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("what was waited for happens")
}

type Script = mpsc::UnboundedReceiver<StoreResult<Changes>>;

/// See the [module](self). Of a group without a script a watch says that it is empty, and nothing more.
#[derive(Default)]
pub(crate) struct ScriptedStore {
    config: Mutex<VecDeque<Script>>,
    last: Mutex<u64>,
}

/// What one watch of the configuration says.
pub(crate) struct Told(mpsc::UnboundedSender<StoreResult<Changes>>);

impl Told {
    /// Records with their revisions, `None` for one that was removed; and how far the watch has come then.
    pub(crate) fn tell(&self, changes: Vec<(u64, Key, Option<Record>)>, up_to: u64) {
        let change = |(revision, key, record)| Change { revision: Revision(revision), key, record };
        self.0
            .send(Ok(Changes { changes: changes.into_iter().map(change).collect(), up_to: Revision(up_to) }))
            .unwrap();
    }

    /// Records that are there, each under its key.
    pub(crate) fn tell_records(&self, records: Vec<(u64, Record)>, up_to: u64) {
        self.tell(
            records.into_iter().map(|(revision, record)| (revision, record.key(), Some(record))).collect(),
            up_to,
        );
    }

    pub(crate) fn fail(&self, kind: StoreErrorKind) {
        self.0.send(Err(StoreError { kind, doing: "watch", source: None })).unwrap();
    }
}

#[async_trait]
impl ConfigStore for ScriptedStore {
    async fn get(&self, _: &Key) -> StoreResult<Option<Versioned>> {
        unreachable!("the registry reads by watches alone")
    }

    async fn put(&self, _: Record, _: Expected) -> StoreResult<Changed> {
        unreachable!("the registry does not write")
    }

    async fn remove(&self, _: &Key, _: Expected) -> StoreResult<Changed> {
        unreachable!("the registry does not write")
    }

    async fn last_revision(&self, _: Group) -> StoreResult<Revision> {
        Ok(Revision(*self.last.lock()))
    }

    async fn watch(&self, group: Group) -> StoreResult<Box<dyn Watch>> {
        let script = match group {
            Group::Config => self.config.lock().pop_front(),
            Group::State => None,
        };
        Ok(Box::new(ScriptedWatch { script, began: false }))
    }
}

struct ScriptedWatch {
    script: Option<Script>,
    began: bool,
}

#[async_trait]
impl Watch for ScriptedWatch {
    async fn next(&mut self) -> StoreResult<Changes> {
        match &mut self.script {
            Some(script) => match script.recv().await {
                Some(said) => said,
                None => std::future::pending().await,
            },
            None if std::mem::replace(&mut self.began, true) => std::future::pending().await,
            None => Ok(Changes::default()),
        }
    }
}

/// A registry on a scripted store.
pub(crate) struct Rig {
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Arc<ScriptedStore>,
    pub(crate) clock: ManualClock,
    pub(crate) key: SealingKey,
    failures: Failures,
    _tasks: Tasks,
}

impl Rig {
    /// A registry, and its watch of the configuration, which has said nothing yet.
    pub(crate) fn start() -> (Self, Told) {
        let (key, _) = SealingKey::generate(&mut rand::rng());
        Self::start_with(key.clone(), key)
    }

    /// A registry that opens with one key what tests seal with the other.
    pub(crate) fn start_with(opens: SealingKey, seals: SealingKey) -> (Self, Told) {
        let store = Arc::new(ScriptedStore::default());
        let clock = ManualClock::new();
        let failures = Failures::new();
        let tasks = failures.group();
        let registry = Registry::new(opens);
        let rig = Self { registry, store, clock, key: seals, failures, _tasks: tasks };
        let told = rig.next_watch();
        let store: Arc<dyn ConfigStore> = Arc::clone(&rig.store) as Arc<dyn ConfigStore>;
        let clock: Arc<dyn Clock> = Arc::new(rig.clock.clone());
        rig.registry.start(&store, &clock, &rig._tasks);
        (rig, told)
    }

    /// What the next watch of the configuration will say.
    pub(crate) fn next_watch(&self) -> Told {
        let (sender, script) = mpsc::unbounded_channel();
        self.store.config.lock().push_back(script);
        Told(sender)
    }

    /// What the store calls its last revision.
    pub(crate) fn last_revision(&self, revision: u64) {
        *self.store.last.lock() = revision;
    }

    /// Waits until the registry has been told that far.
    pub(crate) async fn told_up_to(&self, revision: u64) {
        soon(self.registry.caught_up(Group::Config, Revision(revision))).await;
    }

    /// Waits as [`Rig::told_up_to`] does, while the clock goes on: the registry pauses before it watches anew.
    pub(crate) async fn told_anew_up_to(&self, revision: u64) {
        let told = self.registry.caught_up(Group::Config, Revision(revision));
        let ticking = async {
            loop {
                self.clock.advance(Duration::from_millis(100));
                tokio::task::yield_now().await;
            }
        };
        soon(async {
            tokio::select! {
                () = told => {}
                () = ticking => {}
            }
        })
        .await;
    }

    pub(crate) async fn failure(&mut self) -> TaskFailure {
        soon(self.failures.first()).await
    }
}
