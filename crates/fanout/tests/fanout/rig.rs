//! One fan-out service on an engine of its own, and what tests ask of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_core::clock::Clock;
use fanfare_core::delivery::{End, Next, Settlement};
use fanfare_core::event::{ContentHash, Event, EventHeader, EventType};
use fanfare_core::ids::{EventId, ProjectId, WebhookId};
use fanfare_core::journal::{FannedOut, JournalEntry};
use fanfare_core::ports::Dedup;
use fanfare_core::ports::config_store::{Changed, ConfigStore, Expected, Record};
use fanfare_core::ports::delivery_queue::{DeliveryQueue as _, Lease, Settling};
use fanfare_core::ports::event_log::{Appended, EventLog};
use fanfare_core::ports::journal::{Journal as _, JournalPosition, JournalReader};
use fanfare_core::seal::SealingKey;
use fanfare_core::secret::Secret;
use fanfare_core::webhook::Webhook;
use fanfare_embedded::{Embedded, EmbeddedConfig};
use fanfare_fanout::{Fanout, FanoutConfig};
use fanfare_runtime::tasks::Failures;
use fanfare_runtime::{Registry, Tasks};
use fanfare_telemetry::Metrics;
use fanfare_testkit::ManualClock;
use serde_json::json;
use tempfile::TempDir;

use super::lagging::LaggingStore;

/// Long enough for whatever must happen on a busy machine; only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    pub(crate) clock: ManualClock,
    pub(crate) engine: Embedded,
    /// What the registry watches, and can be kept from seeing.
    pub(crate) store: Arc<LaggingStore>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: Metrics,
    key: SealingKey,
    project: ProjectId,
    failures: Failures,
    _registry_tasks: Tasks,
    _dir: TempDir,
}

impl Rig {
    /// An engine without webhooks and events; fan-out is not started yet.
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::new();
        let metrics = Metrics::new("test");
        let shared_clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let engine =
            Embedded::open(dir.path(), &EmbeddedConfig::default(), Arc::clone(&shared_clock), metrics.clone()).unwrap();
        let failures = Failures::new();
        let registry_tasks = failures.group();
        let (key, _) = SealingKey::generate(&mut rand::rng());
        let registry = Registry::new(key.clone());
        let store = LaggingStore::new(engine.clone());
        let watched: Arc<dyn ConfigStore> = Arc::clone(&store) as Arc<dyn ConfigStore>;
        registry.start(&watched, &shared_clock, &registry_tasks);
        registry.loaded().await;
        let project = ProjectId::new("acme").unwrap();
        Self {
            clock,
            engine,
            store,
            registry,
            metrics,
            key,
            project,
            failures,
            _registry_tasks: registry_tasks,
            _dir: dir,
        }
    }

    /// Starts fan-out; the group stops it.
    pub(crate) fn start(&self, config: FanoutConfig) -> Tasks {
        self.start_asking(Arc::new(self.engine.clone()), config)
    }

    /// The same, where this says what is known of deliveries.
    pub(crate) fn start_asking(&self, dedup: Arc<dyn Dedup>, config: FanoutConfig) -> Tasks {
        let tasks = self.failures.group();
        let fanout = Fanout {
            log: Arc::new(self.engine.clone()),
            queue: Arc::new(self.engine.clone()),
            dedup,
            store: Arc::clone(&self.store) as Arc<dyn ConfigStore>,
            registry: Arc::clone(&self.registry),
            config,
        };
        fanout.start(Arc::new(self.clock.clone()), self.metrics.clone(), &tasks);
        tasks
    }

    /// Stores a webhook that subscribes to `order.*`; nothing says that the registry has it.
    pub(crate) async fn webhook(&self) -> WebhookId {
        let id = WebhookId::from_uuid(uuid::Uuid::from_u128(rand::random()));
        let secret = Secret::generate(&mut rand::rng());
        let webhook = json!({
            "id": id,
            "project": self.project,
            "url": format!("https://example.com/{id}"),
            "events": ["order.*"],
            "active": true,
            "secret": self.key.seal(secret.expose(), &Webhook::secret_context(id), &mut rand::rng()),
            "secret_last4": secret.last4(),
            "created_at": self.clock.now(),
            "updated_at": self.clock.now(),
        });
        let webhook: Webhook = serde_json::from_value(webhook).unwrap();
        self.engine.put(Record::Webhook(webhook), Expected::Absent).await.unwrap();
        id
    }

    /// Stores a record and waits until the registry has it.
    pub(crate) async fn put(&self, record: Record) {
        let group = record.key().group();
        let Changed::Done(revision) = self.engine.put(record, Expected::Any).await.unwrap() else {
            panic!("a put without expectation conflicted")
        };
        self.registry.caught_up(group, revision).await;
    }

    /// An event as it is accepted.
    pub(crate) fn event(&self, event_type: &str, id: &str) -> Event {
        let header = EventHeader {
            project: self.project.clone(),
            id: EventId::new(id).unwrap(),
            event_type: EventType::new(event_type).unwrap(),
            source: None,
            subject: None,
            time: self.clock.now(),
            expires_at: None,
            accepted_at: self.clock.now(),
            extensions: std::collections::BTreeMap::new(),
        };
        let data = Bytes::from(format!("{{\"order\":\"{id}\"}}"));
        Event { header, data, content: ContentHash([7; 32]) }
    }

    pub(crate) async fn publish(&self, event_type: &str, id: &str) {
        let answers = EventLog::append(&self.engine, vec![self.event(event_type, id)]).await.unwrap();
        assert_eq!(answers, [Appended::Accepted]);
    }

    pub(crate) async fn publish_many(&self, count: usize) {
        let events = (0..count).map(|n| self.event("order.paid", &format!("order-{n}"))).collect();
        EventLog::append(&self.engine, events).await.unwrap();
    }

    /// Reads what the journal says of fan-out, from its start.
    pub(crate) async fn fanned_out(&self) -> FannedOutReader {
        FannedOutReader(self.engine.read(JournalPosition(0)).await.unwrap())
    }

    /// Leases exactly that many, whatever number of calls that takes.
    pub(crate) async fn lease(&self, count: usize) -> Vec<Lease> {
        let mut leases = Vec::new();
        while leases.len() < count {
            let more = self.engine.lease(count - leases.len());
            leases.extend(tokio::time::timeout(PATIENCE, more).await.expect("deliveries are leased").unwrap());
        }
        leases
    }

    /// Says what comes next for a leased delivery.
    pub(crate) async fn settle(&self, lease: &Lease, next: Next) {
        let settlement = Settlement { attempt: None, next, at: self.clock.now() };
        assert_eq!(self.engine.settle(lease, settlement).await.unwrap(), Settling::Applied);
    }

    pub(crate) async fn deliver(&self, lease: &Lease) {
        self.settle(lease, Next::End { end: End::Delivered }).await;
    }

    /// Moves the clock on in small steps until a condition is met that nothing announces.
    pub(crate) async fn until(&self, wanted: &str, condition: impl AsyncFn() -> bool) {
        let waiting = async {
            while !condition().await {
                self.clock.advance(Duration::from_millis(1));
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited {PATIENCE:?} for {wanted}");
    }
}

/// The journal's entries of fan-out, in order.
pub(crate) struct FannedOutReader(Box<dyn JournalReader>);

impl FannedOutReader {
    /// The next entries, exactly that many.
    pub(crate) async fn next(&mut self, count: usize) -> Vec<FannedOut> {
        let mut found = Vec::new();
        while found.len() < count {
            let next = self.0.next(1);
            let entries = tokio::time::timeout(PATIENCE, next).await.expect("fan-out journals its events").unwrap();
            found.extend(entries.into_iter().filter_map(|(_, entry)| match entry {
                JournalEntry::FannedOut(entry) => Some(entry),
                _ => None,
            }));
        }
        found
    }

    pub(crate) async fn one(&mut self) -> FannedOut {
        self.next(1).await.remove(0)
    }
}
