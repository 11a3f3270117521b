//! What operators ask a process for: `/metrics`, `/livez`, `/readyz`. Without authentication, so on a listener of its own.
//!
//! Alive means that the process answers; nothing else is looked at, since a restart would not mend a broker that is away.
//! Ready means that every [`Condition`] is met; what it waits for is said in the answer, for whoever looks. So is what it goes on
//! without.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::RwLock;
use serde::Serialize;

use crate::Metrics;

/// What the text form of the metrics is called, as Prometheus wants it.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The routes of the admin listener.
pub fn router(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/metrics", get(scrape).with_state((metrics, readiness.clone())))
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready).with_state(readiness))
}

async fn scrape(State((metrics, readiness)): State<(Metrics, Readiness)>) -> impl IntoResponse {
    metrics.ready.set(i64::from(readiness.is_ready()));
    ([(header::CONTENT_TYPE, METRICS_TYPE)], metrics.render())
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let answer = readiness.answer();
    let status = if answer.status == Status::Ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // A balancer between us and whoever asks must not remember the answer.
    (status, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

/// What must be so for the process to take work. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    conditions: RwLock<Vec<Condition>>,
    draining: AtomicBool,
}

/// Something that must be so before the process is ready; not met until it is said to be. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Condition {
    name: &'static str,
    /// Whether the process is not ready without it.
    needed: bool,
    met: Arc<AtomicBool>,
}

impl Condition {
    /// It is so from now on.
    pub fn met(&self) {
        self.met.store(true, Ordering::Release);
    }

    /// It is not so any more.
    pub fn unmet(&self) {
        self.met.store(false, Ordering::Release);
    }
}

impl Readiness {
    /// Without conditions: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition, not met yet. Its name completes "waiting for …", such as `the configuration`. To be called while the
    /// process starts: conditions are never removed.
    pub fn condition(&self, name: &'static str) -> Condition {
        self.add(name, true)
    }

    /// Adds something that the process goes on without: while it is not met the process is ready, and says in its answer what
    /// it is without.
    pub fn wish(&self, name: &'static str) -> Condition {
        self.add(name, false)
    }

    fn add(&self, name: &'static str, needed: bool) -> Condition {
        let condition = Condition { name, needed, met: Arc::default() };
        self.0.conditions.write().push(condition.clone());
        condition
    }

    /// The process is stopping: not ready from now on, whatever the conditions, so that balancers look elsewhere before it
    /// stops taking connections.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Whether every condition is met and the process is not stopping.
    pub fn is_ready(&self) -> bool {
        self.answer().status == Status::Ready
    }

    fn answer(&self) -> Answer {
        if self.0.draining.load(Ordering::Acquire) {
            return Answer { status: Status::Draining, waiting_for: Vec::new(), without: Vec::new() };
        }
        let conditions = self.0.conditions.read();
        let unmet = |needed| {
            let unmet = conditions.iter().filter(|condition| !condition.met.load(Ordering::Acquire));
            unmet.filter(|condition| condition.needed == needed).map(|condition| condition.name).collect::<Vec<_>>()
        };
        let (waiting_for, without) = (unmet(true), unmet(false));
        let status = if waiting_for.is_empty() { Status::Ready } else { Status::Waiting };
        Answer { status, waiting_for, without }
    }
}

/// What `/readyz` says.
#[derive(Debug, Serialize)]
struct Answer {
    status: Status,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waiting_for: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    without: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ready,
    Waiting,
    Draining,
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn get(path: &str, readiness: &Readiness) -> (StatusCode, String, String) {
        let router = router(Metrics::new("1.2.3"), readiness.clone());
        let answer = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status();
        let content_type = answer.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, content_type, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_only_while_every_condition_is_met_and_not_while_draining() {
        let readiness = Readiness::new();
        let (engine, configuration) = (readiness.condition("the engine"), readiness.condition("the configuration"));
        configuration.met();
        let (status, _, body) = get("/readyz", &readiness).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body, r#"{"status":"waiting","waiting_for":["the engine"]}"#);

        engine.met();
        let (status, _, body) = get("/readyz", &readiness).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"status":"ready"}"#));

        engine.unmet();
        assert!(!readiness.is_ready());
        engine.met();
        readiness.drain();
        let (status, _, body) = get("/readyz", &readiness).await;
        assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining"}"#));
        assert_eq!(get("/livez", &readiness).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn what_is_only_wished_for_is_said_and_not_waited_for() {
        let readiness = Readiness::new();
        let (engine, redis) = (readiness.condition("the engine"), readiness.wish("Redis"));
        let (status, _, body) = get("/readyz", &readiness).await;
        let both = r#"{"status":"waiting","waiting_for":["the engine"],"without":["Redis"]}"#;
        assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, both));
        engine.met();
        let (status, _, body) = get("/readyz", &readiness).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"status":"ready","without":["Redis"]}"#));
        redis.met();
        assert_eq!(get("/readyz", &readiness).await.2, r#"{"status":"ready"}"#);
    }

    #[tokio::test]
    async fn metrics_are_served_as_prometheus_reads_them() {
        let (status, content_type, body) = get("/metrics", &Readiness::new()).await;
        assert_eq!(status, StatusCode::OK);
        assert!(content_type.starts_with("text/plain; version=0.0.4"), "{content_type}");
        assert!(body.contains("fanfare_build_info{version=\"1.2.3\"} 1\n"), "{body}");
        assert!(body.contains("\nfanfare_ready 1\n"), "{body}");
        let readiness = Readiness::new();
        readiness.drain();
        assert!(get("/metrics", &readiness).await.2.contains("\nfanfare_ready 0\n"));
    }
}
