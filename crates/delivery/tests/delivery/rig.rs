//! One delivery service on an engine of its own, and what tests ask of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_core::clock::{Clock, Timestamp};
use fanfare_core::delivery::{Delivery as Queued, DeliveryHeader, Next, Place};
use fanfare_core::egress::WebhookUrl;
use fanfare_core::event::EventType;
use fanfare_core::health::{Gate, Health, PauseReason};
use fanfare_core::ids::{DeliveryId, EventId, Hop, ProjectId, Run, WebhookId};
use fanfare_core::journal::{JournalEntry, Settled};
use fanfare_core::pattern::EventPattern;
use fanfare_core::ports::config_store::{Changed, Expected, Group, Key, Record, Versioned};
use fanfare_core::ports::delivery_queue::{DeliveryQueue, Push};
use fanfare_core::ports::journal::{Journal as _, JournalPosition};
use fanfare_core::ports::{ConfigStore, Dedup};
use fanfare_core::project::Project;
use fanfare_core::retry::RetrySchedule;
use fanfare_core::seal::SealingKey;
use fanfare_core::secret::Secret;
use fanfare_core::webhook::{AttemptTimeout, PayloadVersion, Webhook, WebhookKind};
use fanfare_delivery::{Delivery, DeliveryConfig};
use fanfare_egress::{Egress, EgressConfig};
use fanfare_embedded::{Embedded, EmbeddedConfig};
use fanfare_runtime::tasks::Failures;
use fanfare_runtime::{Chance, Registry, Tasks};
use fanfare_telemetry::Metrics;
use fanfare_testkit::ManualClock;
use tempfile::TempDir;

/// Long enough for whatever must happen on a busy machine; only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How far the clock goes at once where time passes.
const STEP: Duration = Duration::from_millis(100);

pub const BODY: &[u8] = b"{\"order\":1}";

pub struct Rig {
    pub clock: ManualClock,
    pub engine: Embedded,
    pub registry: Arc<Registry>,
    pub metrics: Metrics,
    pub tasks: Tasks,
    key: SealingKey,
    project: ProjectId,
    _failures: Failures,
    _dir: TempDir,
}

impl Rig {
    /// An engine with a project that may send to loopback; delivery is not started yet.
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::new();
        let metrics = Metrics::new("test");
        let shared_clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let engine =
            Embedded::open(dir.path(), &EmbeddedConfig::default(), Arc::clone(&shared_clock), metrics.clone()).unwrap();
        let failures = Failures::new();
        let tasks = failures.group();
        let (key, _) = SealingKey::generate(&mut rand::rng());
        let registry = Registry::new(key.clone());
        let store: Arc<dyn ConfigStore> = Arc::new(engine.clone());
        registry.start(&store, &shared_clock, &tasks);
        let project = ProjectId::new("acme").unwrap();
        let egress_allow = vec!["127.0.0.0/8".parse().unwrap()];
        let record = Project { egress_allow, ..Project::new(project.clone(), clock.now()) };
        store.put(Record::Project(record), Expected::Absent).await.unwrap();
        Self { clock, engine, registry, metrics, tasks, key, project, _failures: failures, _dir: dir }
    }

    pub async fn started() -> Self {
        let rig = Self::new().await;
        rig.start(DeliveryConfig::default());
        rig
    }

    /// Starts delivery on the engine itself.
    pub fn start(&self, config: DeliveryConfig) {
        self.start_on(Arc::new(self.engine.clone()), Arc::new(self.engine.clone()), config);
    }

    /// Starts delivery on these ports, the others being the engine's.
    pub fn start_on(&self, queue: Arc<dyn DeliveryQueue>, dedup: Arc<dyn Dedup>, config: DeliveryConfig) {
        self.start_with(queue, dedup, Arc::new(self.engine.clone()), config);
    }

    /// Starts delivery on these ports and this store.
    pub fn start_with(
        &self,
        queue: Arc<dyn DeliveryQueue>,
        dedup: Arc<dyn Dedup>,
        store: Arc<dyn ConfigStore>,
        config: DeliveryConfig,
    ) {
        self.start_all(queue, dedup, store, Arc::new(self.engine.clone()), config);
    }

    /// Starts delivery with this event log, all else being the engine's.
    pub fn start_telling(&self, log: Arc<dyn fanfare_core::ports::EventLog>, config: DeliveryConfig) {
        let engine = Arc::new(self.engine.clone());
        self.start_all(engine.clone(), engine.clone(), engine, log, config);
    }

    fn start_all(
        &self,
        queue: Arc<dyn DeliveryQueue>,
        dedup: Arc<dyn Dedup>,
        store: Arc<dyn ConfigStore>,
        log: Arc<dyn fanfare_core::ports::EventLog>,
        config: DeliveryConfig,
    ) {
        let delivery = Delivery {
            queue,
            dedup,
            store,
            journal: Arc::new(self.engine.clone()),
            log,
            registry: Arc::clone(&self.registry),
            egress: Arc::new(Egress::new(&EgressConfig::default(), self.metrics.clone()).unwrap()),
            chance: Chance::system(),
            config,
        };
        delivery.start(Arc::new(self.clock.clone()), self.metrics.clone(), &self.tasks);
    }

    /// Stores a webhook, and waits until the registry has it.
    pub async fn webhook(&self, url: &str, change: impl FnOnce(&mut Webhook)) -> WebhookId {
        let id = WebhookId::from_uuid(uuid::Uuid::from_u128(rand::random()));
        let secret = Secret::generate(&mut rand::rng());
        let mut webhook = Webhook {
            id,
            project: self.project.clone(),
            url: WebhookUrl::parse(url).unwrap(),
            events: vec![EventPattern::new("order.*").unwrap()],
            source: None,
            filter: None,
            description: None,
            active: true,
            inactive_since: None,
            headers: Vec::new(),
            kind: WebhookKind::Kapso,
            payload_version: PayloadVersion::V2,
            inactivity_minutes: None,
            rate_limit: None,
            retry_schedule: RetrySchedule::custom(&[5, 30]).unwrap(),
            timeout: AttemptTimeout::from_seconds(30).unwrap(),
            secret: self.key.seal(secret.expose(), &Webhook::secret_context(id), &mut rand::rng()),
            secret_last4: secret.last4().to_owned(),
            previous_secret: None,
            created_at: self.clock.now(),
            updated_at: self.clock.now(),
        };
        change(&mut webhook);
        self.put(Record::Webhook(webhook)).await;
        id
    }

    /// Stores a record and waits until the registry has it.
    pub async fn put(&self, record: Record) {
        let group = record.key().group();
        let Changed::Done(revision) = self.engine.put(record, Expected::Any).await.unwrap() else {
            panic!("a put without expectation conflicted")
        };
        self.registry.caught_up(group, revision).await;
    }

    pub async fn health(&self, webhook: WebhookId) -> Option<Health> {
        match self.engine.get(&Key::Health(webhook)).await.unwrap() {
            Some(Versioned { record: Record::Health(health), .. }) => Some(health),
            Some(other) => panic!("{other:?}"),
            None => None,
        }
    }

    /// The health record of a webhook that its receiver's 410 paused.
    pub fn paused(&self, webhook: WebhookId) -> Health {
        let gate = Some(Gate::Paused { by: PauseReason::Gone, since: self.clock.now() });
        Health { gate, ..Health::new(webhook, self.project.clone()) }
    }

    /// What activating a webhook does to its health record.
    pub async fn release(&self, webhook: WebhookId) {
        let health = self.health(webhook).await.unwrap_or_else(|| Health::new(webhook, self.project.clone()));
        let gate = Some(Gate::Releasing { since: self.clock.now(), rate: None });
        self.put(Record::Health(Health { gate, ..health })).await;
    }

    /// Waits until the registry shows no gate in front of a webhook.
    pub async fn gate_down(&self, webhook: WebhookId) {
        let mut changes = self.registry.changes();
        let waiting = async {
            while self.registry.gate(webhook).is_some() {
                changes.next().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the gate goes down");
    }

    /// Pushes one delivery, as fan-out does.
    pub async fn push(&self, webhook: WebhookId, event: &str) -> DeliveryId {
        self.push_with(webhook, event, Place::Ready, None).await
    }

    pub async fn push_with(
        &self,
        webhook: WebhookId,
        event: &str,
        place: Place,
        expires_at: Option<Timestamp>,
    ) -> DeliveryId {
        let event = EventId::new(event).unwrap();
        let id = DeliveryId::derive(webhook, &event, &Run::Original);
        let header = DeliveryHeader {
            id,
            project: self.project.clone(),
            webhook,
            event,
            event_type: EventType::new("order.placed").unwrap(),
            source: None,
            subject: None,
            expires_at,
            accepted_at: self.clock.now(),
            run: Run::Original,
            hop: Hop(0),
            attempts: 0,
        };
        let delivery = Queued { header, body: Bytes::from_static(BODY) };
        assert_eq!(self.engine.push(vec![Push { delivery, place, repeated: true }], Vec::new()).await.unwrap(), 1);
        id
    }

    /// Every settlement in the journal, until they are as wanted.
    pub async fn settled_until(&self, wanted: &str, done: impl Fn(&[Settled]) -> bool) -> Vec<Settled> {
        let mut settled = Vec::new();
        let reading = async {
            let mut reader = self.engine.read(JournalPosition(0)).await.unwrap();
            loop {
                for (_, entry) in reader.next(100).await.unwrap() {
                    if let JournalEntry::Settled(entry) = entry {
                        settled.push(entry);
                    }
                }
                if done(&settled) {
                    return;
                }
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, reading).await.is_ok();
        assert!(in_time, "waited {PATIENCE:?} for {wanted}, got {settled:#?}");
        settled
    }

    /// The settlements of one delivery, at least `count` of them.
    pub async fn settled(&self, delivery: DeliveryId, count: usize) -> Vec<Settled> {
        let of = |settled: &[Settled]| settled.iter().filter(|entry| entry.delivery.id == delivery).count();
        let all = self.settled_until(&format!("{count} settlements of {delivery}"), |all| of(all) >= count).await;
        all.into_iter().filter(|entry| entry.delivery.id == delivery).collect()
    }

    /// Goes on to the time at which a settled delivery is due.
    pub fn advance_to(&self, settled: &Settled) {
        let Next::Move(Place::Due { at, .. }) = settled.next else { panic!("not due later: {settled:?}") };
        self.clock.advance(at.since(self.clock.now()));
    }

    pub fn ended(&self, how: &str) -> u64 {
        self.metrics.delivery_ended.with_label_values(&[how]).get()
    }

    /// Waits until the registry is as new as the store.
    pub async fn caught_up(&self) {
        self.registry.refresh(&self.engine, Group::State).await.unwrap();
    }

    /// Lets time pass in small steps until something has happened; between two, those who do it have a moment of real time.
    pub async fn pass_until(&self, wanted: &str, condition: impl AsyncFn() -> bool) {
        until(wanted, async || {
            self.clock.advance(STEP);
            tokio::time::sleep(Duration::from_millis(1)).await;
            condition().await
        })
        .await;
    }
}

/// Waits for a condition that nothing announces.
pub async fn until(wanted: &str, condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited {PATIENCE:?} for {wanted}");
}
