//! A console over the embedded engine, two projects with keys, and deliveries in any state.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use fanfare_console::{Console, ConsoleConfig, Operator};
use fanfare_core::api_key::{AdminKey, ApiKey, KeyHash, Scope};
use fanfare_core::attempt::{Attempt, LoggedHeaders, OutcomeClass, Phases, Snippet};
use fanfare_core::clock::{Clock, Timestamp};
use fanfare_core::delivery::{Delivery, DeliveryHeader, DueReason, End, Next, Place, Settlement};
use fanfare_core::event::{ContentHash, Event, EventHeader, EventType};
use fanfare_core::health::{Gate, GateReason, Health, PauseReason};
use fanfare_core::ids::{ApiKeyId, AttemptId, DeliveryId, EventId, Hop, ProjectId, Run, WebhookId};
use fanfare_core::journal::{FannedOut, FannedOutTo, JournalEntry};
use fanfare_core::ports::config_store::{ConfigStore, Expected, Group, Key, Record};
use fanfare_core::ports::delivery_queue::{Lease, Push};
use fanfare_core::ports::{Dedup as _, DeliveryQueue as _, EventLog as _};
use fanfare_core::project::Project;
use fanfare_core::seal::SealingKey;
use fanfare_egress::{Egress, EgressConfig};
use fanfare_embedded::{Embedded, EmbeddedConfig};
use fanfare_history::{History, HistoryConfig};
use fanfare_runtime::tasks::Failures;
use fanfare_runtime::{Registry, SystemClock, Tasks};
use fanfare_telemetry::Metrics;
use fanfare_testkit::{Contract, Exchange};
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use ulid::Ulid;

use crate::tampered::{Acts, TamperedJournal, TamperedStore};

/// Of the project `acme`, by what they may do.
pub(crate) const MANAGER: &str = "acme-manager-0123456789";
pub(crate) const READER: &str = "acme-reader-0123456789";
pub(crate) const PUBLISHER: &str = "acme-publisher-0123456789";
/// Of the project `other`, which may do everything.
pub(crate) const STRANGER: &str = "other-manager-0123456789";

/// The admin key.
pub(crate) const ADMIN: &str = "the-admin-key-0123456789";

/// The document of the API, which every exchange of these tests is held to.
pub(crate) static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let parts = [fanfare_ingest::openapi(), fanfare_console::openapi()];
    Contract::new(fanfare_http::openapi::document("0.0.0", &parts))
});

/// How long a test waits for what must happen; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The fields that a problem names.
    pub(crate) fn fields(&self) -> Vec<String> {
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }

    /// The last part of a problem's type.
    pub(crate) fn code(&self) -> &str {
        self.body["type"].as_str().and_then(|name| name.rsplit(':').next()).unwrap_or_default()
    }
}

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) console: Console,
    pub(crate) engine: Embedded,
    pub(crate) store: Arc<TamperedStore>,
    pub(crate) journal: Arc<TamperedJournal>,
    pub(crate) acts: Acts,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: Tasks,
    _failures: Failures,
    _directory: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_config(ConsoleConfig::default()).await
    }

    pub(crate) async fn with_config(config: ConsoleConfig) -> Self {
        Self::with(config, Operator::default()).await
    }

    /// With these options of the operator's, and the admin key.
    pub(crate) async fn with(config: ConsoleConfig, operator: Operator) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let metrics = Metrics::new("test");
        let engine =
            Embedded::open(directory.path(), &EmbeddedConfig::default(), Arc::clone(&clock), metrics.clone()).unwrap();
        let plain: Arc<dyn ConfigStore> = Arc::new(engine.clone());
        seed(&*plain, &*clock).await;

        let failures = Failures::new();
        let tasks = failures.group();
        let (key, _) = SealingKey::generate(&mut rand::rng());
        let registry = Registry::new(key.clone());
        registry.start(&plain, &clock, &tasks);
        registry.loaded().await;
        let history =
            History::open(&directory.path().join("history.db"), &HistoryConfig::default(), metrics.clone()).unwrap();
        history.start(Arc::new(engine.clone()), Arc::clone(&plain), Arc::clone(&clock), &tasks);

        let acts = Acts::default();
        let store = TamperedStore::new(plain, acts.clone());
        let journal = TamperedJournal::new(Arc::new(engine.clone()), acts.clone());
        let console = Console {
            store: Arc::clone(&store) as Arc<dyn ConfigStore>,
            registry,
            queue: Arc::new(engine.clone()),
            log: Arc::new(engine.clone()),
            rejections: Arc::new(engine.clone()),
            journal: Arc::clone(&journal) as Arc<dyn fanfare_core::ports::Journal>,
            history,
            egress: Egress::new(&EgressConfig::default(), metrics.clone()).unwrap(),
            key,
            operator: Operator { admin_key: Some(AdminKey::new(ADMIN)), ..operator },
            config,
        };
        let router = fanfare_console::with_kapso_errors(fanfare_http::with_fallbacks(
            console.clone().router(Arc::clone(&clock), metrics),
        ));
        Self { router, console, engine, store, journal, acts, clock, tasks, _failures: failures, _directory: directory }
    }

    /// Calls with this key; a body that is a text is sent as it is.
    pub(crate) async fn call_as(&self, key: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("x-api-key", key);
        let body = match body {
            None => Body::empty(),
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.as_str().map_or_else(|| body.to_string(), str::to_owned))
            }
        };
        self.send(request.body(body).unwrap()).await
    }

    /// Sends a request. It and its answer must be as the document of the API says.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = request.into_parts();
        let sent = body.collect().await.unwrap().to_bytes();
        let (method, uri, headers) = (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
        let request = Request::from_parts(parts, Body::from(sent.clone()));
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        let sent: Option<Value> = serde_json::from_slice(&sent).ok();
        let text =
            |headers: &HeaderMap| headers.get("content-type").map(|value| value.to_str().unwrap_or("?").to_owned());
        let (sent_as, answered_as) = (text(&headers), text(&parts.headers));
        let exchange = Exchange {
            method: method.as_str(),
            path: uri.path(),
            query: uri.query(),
            sent: sent_as.as_deref().zip(sent.as_ref()),
            status: parts.status.as_u16(),
            content_type: answered_as.as_deref(),
            body: &body,
        };
        CONTRACT.check(&exchange).unwrap_or_else(|wrong| panic!("{wrong}"));
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_as(MANAGER, method, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    /// Makes a webhook and returns what create answers.
    pub(crate) async fn webhook(&self, fields: Value) -> Value {
        let answer = self.call("POST", "/v1/webhooks", Some(fields)).await;
        assert_eq!(answer.status, 201, "{:#}", answer.body);
        answer.body
    }

    /// Makes a webhook for everything, at an address that nothing is sent to.
    pub(crate) async fn some_webhook(&self) -> WebhookId {
        let created = self.webhook(json!({"url": "https://127.0.0.1:1/hooks", "events": ["**"]})).await;
        created["id"].as_str().unwrap().parse().unwrap()
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn eventually(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let asking = async {
            loop {
                ticks.tick().await;
                let answer = self.get(path).await;
                if wanted(&answer) {
                    return answer;
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{path} did not become as wanted"))
    }

    /// Waits until something is so.
    pub(crate) async fn until<F: Future<Output = bool>>(&self, what: &str, mut wanted: impl FnMut() -> F) {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let asking = async {
            while !wanted().await {
                ticks.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{what} did not come"));
    }

    /// Puts a gate up, as the delivery service does when a receiver is gone.
    pub(crate) async fn pause(&self, webhook: WebhookId) {
        let gate = Gate::Paused { by: PauseReason::Gone, since: self.clock.now() };
        let health = Health { gate: Some(gate), failing_since: Some(self.clock.now()), ..Health::new(webhook, acme()) };
        self.store.inner.put(Record::Health(health), Expected::Any).await.unwrap();
    }

    /// The health record of a webhook.
    pub(crate) async fn health(&self, webhook: WebhookId) -> Option<Health> {
        match self.store.inner.get(&Key::Health(webhook)).await.unwrap()?.record {
            Record::Health(health) => Some(health),
            other => panic!("{other:?}"),
        }
    }

    /// Accepts an event.
    pub(crate) async fn accept(&self, id: &str, data: &'static str) -> EventHeader {
        self.accept_until(id, data, None).await
    }

    pub(crate) async fn accept_until(
        &self,
        id: &str,
        data: &'static str,
        expires_at: Option<Timestamp>,
    ) -> EventHeader {
        let header = EventHeader { expires_at, ..self.event(id) };
        let event =
            Event { header: header.clone(), data: Bytes::from_static(data.as_bytes()), content: ContentHash([1; 32]) };
        self.engine.append(vec![event]).await.unwrap();
        header
    }

    /// An event that was accepted this long ago.
    pub(crate) async fn accepted_before(&self, id: &str, ago: Duration) -> EventHeader {
        let header = EventHeader { accepted_at: self.clock.now().before(ago), ..self.event(id) };
        let event = Event { header: header.clone(), data: Bytes::from_static(b"{}"), content: ContentHash([1; 32]) };
        self.engine.append(vec![event]).await.unwrap();
        header
    }

    /// The attributes of an event that is yet to be accepted, if ever.
    pub(crate) fn event(&self, id: &str) -> EventHeader {
        EventHeader {
            project: acme(),
            id: EventId::new(id).unwrap(),
            event_type: EventType::new("order.paid").unwrap(),
            source: None,
            subject: None,
            time: self.clock.now(),
            expires_at: None,
            accepted_at: self.clock.now(),
            extensions: [("region".to_owned(), json!("eu"))].into(),
        }
    }

    /// Fans an accepted event out to a webhook.
    pub(crate) async fn fan_out(&self, event: &EventHeader, webhook: WebhookId, place: Place) -> DeliveryId {
        let header = DeliveryHeader {
            id: DeliveryId::derive(webhook, &event.id, &Run::Original),
            project: event.project.clone(),
            webhook,
            event: event.id.clone(),
            event_type: event.event_type.clone(),
            source: None,
            subject: None,
            expires_at: event.expires_at,
            accepted_at: event.accepted_at,
            run: Run::Original,
            hop: Hop(0),
            attempts: 0,
        };
        let id = header.id;
        let entry = JournalEntry::FannedOut(FannedOut {
            event: event.clone(),
            data_bytes: 2,
            revision: self.store.inner.last_revision(Group::Config).await.unwrap(),
            at: self.clock.now(),
            deliveries: vec![FannedOutTo { delivery: id, webhook, place }],
        });
        let push = Push { delivery: Delivery { header, body: Bytes::from_static(b"{}") }, place, repeated: true };
        assert_eq!(self.engine.push(vec![push], vec![entry]).await.unwrap(), 1);
        id
    }

    /// Leases the one delivery that is ready.
    pub(crate) async fn lease(&self) -> Lease {
        let mut leases = tokio::time::timeout(PATIENCE, self.engine.lease(1)).await.unwrap().unwrap();
        let lease = leases.remove(0);
        let (id, hop) = (lease.delivery.header.id, lease.delivery.header.hop);
        self.engine.claim(id, hop, Duration::from_secs(60), None).await.unwrap();
        lease
    }

    /// Makes an attempt of a lease, and says what comes next.
    pub(crate) async fn settle(&self, lease: &Lease, attempt: Option<Attempt>, next: Next) {
        self.engine.settle(lease, Settlement { attempt, next, at: self.clock.now() }).await.unwrap();
    }

    /// A delivery of a new event that ended so, or waits for a retry in an hour; known to the read model.
    pub(crate) async fn delivery(&self, event: &str, webhook: WebhookId, state: State) -> DeliveryId {
        let event = self.accept(event, "{\"a\":1}").await;
        let place = match state {
            State::Gated => Place::Gated { reason: GateReason::Paused },
            State::Ready | State::InFlight | State::Waiting | State::Ended(_) => Place::Ready,
        };
        let id = self.fan_out(&event, webhook, place).await;
        let due = Place::Due { at: self.clock.now().after(Duration::from_secs(3600)), reason: DueReason::Retry };
        match state {
            State::Ready | State::Gated => {}
            State::InFlight => drop(self.lease().await),
            State::Waiting => {
                let lease = self.lease().await;
                self.settle(&lease, Some(attempt(500, b"")), Next::Move(due)).await;
            }
            State::Ended(end) => {
                let lease = self.lease().await;
                self.settle(&lease, Some(attempt(500, b"")), Next::End { end }).await;
            }
        }
        let wanted = match state {
            State::Ready | State::InFlight => "pending",
            State::Waiting => "waiting",
            State::Gated => "gated",
            State::Ended(End::Delivered) => "delivered",
            State::Ended(End::Exhausted) => "exhausted",
            State::Ended(End::Expired) => "expired",
            State::Ended(End::Discarded) => "discarded",
        };
        self.eventually(&format!("/v1/deliveries/{id}"), |answer| answer.body["status"] == wanted).await;
        id
    }
}

/// Where a delivery is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum State {
    Ready,
    InFlight,
    Waiting,
    Gated,
    Ended(End),
}

/// An attempt that was answered so.
pub(crate) fn attempt(status: u16, body: &[u8]) -> Attempt {
    Attempt {
        id: AttemptId(Ulid::from_parts(1_765_000_000_000, 7)),
        number: 1,
        at: Timestamp::from_seconds(1_765_000_000),
        took_us: 12_345,
        phases: Phases {
            dns_us: Some(1000),
            connect_us: Some(2500),
            first_byte_us: None,
            body_us: None,
            reused: false,
        },
        outcome: OutcomeClass::of_status(status),
        status: Some(status),
        error: None,
        request_headers: LoggedHeaders::from_iter([("X-Tenant", "***")]),
        response_headers: LoggedHeaders::from_iter([("set-cookie", "a"), ("set-cookie", "b")]),
        response_body: Snippet { bytes: body.to_vec(), truncated: false },
    }
}

pub(crate) fn acme() -> ProjectId {
    ProjectId::new("acme").unwrap()
}

async fn seed(store: &dyn ConfigStore, clock: &dyn Clock) {
    let other = ProjectId::new("other").unwrap();
    for id in [acme(), other.clone()] {
        let project = Project { egress_allow: vec!["127.0.0.0/8".parse().unwrap()], ..Project::new(id, clock.now()) };
        store.put(Record::Project(project), Expected::Absent).await.unwrap();
    }
    let keys = [
        (MANAGER, acme(), vec![Scope::Read, Scope::Manage]),
        (READER, acme(), vec![Scope::Read]),
        (PUBLISHER, acme(), vec![Scope::Publish]),
        (STRANGER, other, vec![Scope::Publish, Scope::Read, Scope::Manage]),
    ];
    for (number, (text, project, scopes)) in keys.into_iter().enumerate() {
        let key = api_key(number as u128, text, project, scopes, clock.now());
        store.put(Record::ApiKey(key), Expected::Absent).await.unwrap();
    }
}

pub(crate) fn api_key(number: u128, text: &str, project: ProjectId, scopes: Vec<Scope>, now: Timestamp) -> ApiKey {
    ApiKey {
        id: ApiKeyId(Ulid::from_parts(1, number)),
        project,
        name: text.to_owned(),
        hash: KeyHash::of(text),
        scopes,
        created_at: now,
    }
}
