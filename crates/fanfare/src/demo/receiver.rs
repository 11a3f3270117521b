//! The demo's receivers: small HTTP servers that answer as their role says and tell of every POST they get.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use fanfare_core::clock::{Clock, Monotonic};
use fanfare_runtime::Tasks;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::cast::{RECEIVERS, Role};
use super::story::Happening;
use super::verify;
use crate::report::Report;
use crate::serve::bind;

/// A POST as its receiver saw it.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    /// Which receiver, by its place in [`RECEIVERS`].
    pub(super) receiver: usize,
    /// `X-Webhook-Event`.
    pub(super) event: String,
    /// `X-Idempotency-Key`.
    pub(super) key: String,
    /// `X-Webhook-Attempt`, zero if there is none.
    pub(super) attempt: u32,
    /// Whether it says in its header and in its body that it is a test.
    pub(super) test: bool,
    /// What was answered.
    pub(super) status: u16,
    /// What verifying both signatures came to.
    pub(super) verified: Result<(), &'static str>,
    /// When it arrived.
    pub(super) at: Monotonic,
}

/// A running receiver.
#[derive(Clone)]
pub(super) struct Receiver(Arc<Shared>);

struct Shared {
    index: usize,
    address: SocketAddr,
    secret: OnceLock<String>,
    seen: Mutex<HashMap<String, u32>>,
    happenings: mpsc::Sender<Happening>,
    clock: Arc<dyn Clock>,
}

/// The most idempotency keys that the failing receiver counts; beyond them it no longer fails.
const MOST_KEYS: usize = 10_000;

impl Receiver {
    /// Starts the receiver of this place in [`RECEIVERS`] on a free port of this machine.
    ///
    /// # Errors
    /// When there is no free port.
    pub(super) async fn start(
        index: usize,
        happenings: mpsc::Sender<Happening>,
        clock: Arc<dyn Clock>,
        tasks: &Tasks,
    ) -> Result<Self, Report> {
        let listener = bind("a receiver of the demo", SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener
            .local_addr()
            .map_err(|error| Report::because("cannot tell the address of a receiver of the demo", &error))?;
        let (secret, seen) = (OnceLock::new(), Mutex::default());
        let receiver = Self(Arc::new(Shared { index, address, secret, seen, happenings, clock }));
        let router = Router::new().route("/hooks", post(Self::receive)).with_state(receiver.clone());
        let shutdown = tasks.shutdown();
        tasks.spawn("demo-receiver", async move {
            axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
        });
        Ok(receiver)
    }

    /// Where its webhook is to point.
    pub(super) fn url(&self) -> String {
        format!("http://{}/hooks", self.0.address)
    }

    /// Tells it the secret that creating its webhook answered.
    pub(super) fn trust(&self, secret: String) {
        // Set once: each receiver has one webhook.
        let _ = self.0.secret.set(secret);
    }

    async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
        let shared = &*receiver.0;
        let at = shared.clock.monotonic();
        let secret = shared.secret.get().map_or("", String::as_str);
        let verified = verify::verify(&headers, &body, secret, shared.clock.now());
        let text = |name| verify::text(&headers, name).unwrap_or_default().to_owned();
        let key = text("x-idempotency-key");
        let status = shared.answer(&key, verified.is_ok());
        let arrival = Arrival {
            receiver: shared.index,
            event: text("x-webhook-event"),
            key,
            attempt: text("x-webhook-attempt").parse().unwrap_or(0),
            test: text("x-webhook-test") == "true" && says_test(&body),
            status: status.as_u16(),
            verified,
            at,
        };
        // Only while the demo ends does nobody listen any more.
        let _ = shared.happenings.send(Happening::Arrived(arrival)).await;
        status
    }
}

impl Shared {
    fn answer(&self, key: &str, verified: bool) -> StatusCode {
        match RECEIVERS[self.index].role {
            Role::Succeeds => StatusCode::OK,
            Role::Verifies if verified => StatusCode::NO_CONTENT,
            Role::Verifies => StatusCode::UNAUTHORIZED,
            Role::FailsTwice => {
                let mut seen = self.seen.lock();
                if seen.len() >= MOST_KEYS {
                    return StatusCode::OK;
                }
                let times = seen.entry(key.to_owned()).or_default();
                *times += 1;
                match times {
                    1 => StatusCode::INTERNAL_SERVER_ERROR,
                    2 => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::OK,
                }
            }
        }
    }
}

fn says_test(body: &[u8]) -> bool {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    parsed.is_some_and(|body| body["test"] == true)
}
