//! Ingest with everything around it in memory, and a client for it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use fanfare_core::api_key::{AdminKey, ApiKey, KeyHash, Scope};
use fanfare_core::clock::{Clock, Timestamp};
use fanfare_core::ids::{ApiKeyId, ProjectId};
use fanfare_core::ports::ConfigStore;
use fanfare_core::ports::config_store::{Key, Record};
use fanfare_core::seal::SealingKey;
use fanfare_ingest::{Ingest, IngestConfig};
use fanfare_runtime::tasks::Failures;
use fanfare_runtime::{Registry, Tasks};
use fanfare_telemetry::Metrics;
use fanfare_testkit::{Contract, Exchange, ManualClock};
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;
use ulid::Ulid;

use crate::intake::MemoryIntake;
use crate::log::MemoryLog;
use crate::store::MemoryStore;

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const ONE: (&str, &str) = ("content-type", "application/cloudevents+json");
pub(crate) const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");
/// A key of project `shop` that may publish.
pub(crate) const KEY: (&str, &str) = ("x-api-key", "key-shop");
/// A key of project `bank` that may publish.
pub(crate) const BANK: (&str, &str) = ("x-api-key", "key-bank");
/// A key of project `shop` that may do everything but publish.
pub(crate) const READER: (&str, &str) = ("x-api-key", "key-reader");

/// The admin key.
pub(crate) const ADMIN: (&str, &str) = ("x-api-key", "the-admin-key-of-all");

/// The document of the API.
static CONTRACT: LazyLock<Contract> =
    LazyLock::new(|| Contract::new(fanfare_http::openapi::document("0.0.0", &[fanfare_ingest::openapi()])));

/// Far more than anything here takes; only a bug lets it pass.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for what has to happen.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}

/// See the [module](self).
pub(crate) struct World {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: ManualClock,
    pub(crate) router: Router,
    ingest: Ingest,
    metrics: Metrics,
    tasks: Tasks,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Answer {
    /// The only wrong field that it names.
    pub(crate) fn field(&self) -> &str {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.json["status"], self.status, "{self:?}");
        assert_eq!(self.json["errors"].as_array().map(Vec::len), Some(1), "{self:?}");
        self.json["errors"][0]["field"].as_str().unwrap()
    }

    /// The last part of the problem's type.
    pub(crate) fn code(&self) -> &str {
        self.json["type"].as_str().and_then(|name| name.strip_prefix("urn:fanfare:problem:")).unwrap_or_default()
    }

    pub(crate) fn retry_after(&self) -> u64 {
        self.headers["retry-after"].to_str().unwrap().parse().unwrap()
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(IngestConfig::default()).await
    }

    pub(crate) async fn with(config: IngestConfig) -> Self {
        let (log, store, clock) = (Arc::new(MemoryLog::new()), Arc::new(MemoryStore::new()), ManualClock::new());
        for (number, (key, project, scopes)) in [
            (KEY, "shop", vec![Scope::Publish]),
            (BANK, "bank", vec![Scope::Publish, Scope::Read]),
            (READER, "shop", vec![Scope::Read, Scope::Manage]),
        ]
        .into_iter()
        .enumerate()
        {
            store.set(api_key(number as u128, key.1, project, scopes));
        }
        let sealing = SealingKey::parse(&format!("{}=", "A".repeat(43))).unwrap();
        let (registry, tasks, metrics) = (Registry::new(sealing), Failures::new().group(), Metrics::new("test"));
        let as_store: Arc<dyn ConfigStore> = store.clone();
        let as_clock: Arc<dyn Clock> = Arc::new(clock.clone());
        registry.start(&as_store, &as_clock, &tasks);
        soon("the load of the registry", registry.loaded()).await;
        let ingest =
            Ingest { log: log.clone(), store: as_store, registry, admin_key: Some(AdminKey::new(ADMIN.1)), config };
        let router = fanfare_http::with_fallbacks(ingest.clone().router(as_clock, metrics.clone()));
        Self { log, store, clock, router, ingest, metrics, tasks }
    }

    /// Takes in what comes to this intake.
    pub(crate) fn take_in(&self, intake: &MemoryIntake) {
        let clock = Arc::new(self.clock.clone());
        self.ingest.start(Arc::new(intake.clone()), clock, self.metrics.clone(), &self.tasks);
    }

    /// Another process makes a key.
    pub(crate) fn make_key(&self, text: &str, project: &str) {
        self.store.set(api_key(1000, text, project, vec![Scope::Publish]));
    }

    /// Another process deletes the key that [`Self::make_key`] made.
    pub(crate) fn delete_made_key(&self) {
        self.store.delete(Key::ApiKey(ApiKeyId(Ulid::from_parts(1, 1000))));
    }

    /// Posts with exactly these headers. The answer must be as the document of the API says.
    pub(crate) fn post_as<B: Into<Body>>(
        &self,
        headers: &[(&str, &str)],
        body: B,
    ) -> impl Future<Output = Answer> + Send + 'static + use<B> {
        let mut request = Request::post("/v1/events");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.router.clone().oneshot(request.body(body.into()).unwrap());
        async move {
            let (parts, body) = soon("an answer", answer).await.unwrap().into_parts();
            let json: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
            let exchange = Exchange {
                method: "POST",
                path: "/v1/events",
                query: None,
                // It may come piece by piece, so that only the server has the whole of it.
                sent: None,
                status: parts.status.as_u16(),
                content_type: parts.headers["content-type"].to_str().ok(),
                body: &json,
            };
            CONTRACT.check(&exchange).unwrap_or_else(|wrong| panic!("{wrong}"));
            Answer { status: parts.status.as_u16(), headers: parts.headers, json }
        }
    }

    /// Posts with a good key and this header more.
    pub(crate) fn post<B: Into<Body>>(
        &self,
        header: (&str, &str),
        body: B,
    ) -> impl Future<Output = Answer> + Send + 'static + use<B> {
        self.post_as(&[KEY, header], body)
    }

    /// The value of `fanfare_ingest_events_total` for a result.
    pub(crate) fn counted(&self, result: &str) -> u64 {
        self.metrics.ingest_events.with_label_values(&[result]).get()
    }

    /// How many requests were timed, and how many seconds they took in all.
    pub(crate) fn timed(&self) -> (u64, f64) {
        (self.metrics.ingest_duration.get_sample_count(), self.metrics.ingest_duration.get_sample_sum())
    }
}

fn api_key(number: u128, text: &str, project: &str, scopes: Vec<Scope>) -> Record {
    Record::ApiKey(ApiKey {
        id: ApiKeyId(Ulid::from_parts(1, number)),
        project: ProjectId::new(project).unwrap(),
        name: text.to_owned(),
        hash: KeyHash::of(text),
        scopes,
        created_at: Timestamp::EPOCH,
    })
}
