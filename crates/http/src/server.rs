//! A listener: HTTP/1.1 with keep-alive and HTTP/2 in clear text, bounded, drained on shutdown.
//!
//! Nobody can hold a connection without using it: headers, bodies and answers each have a time, idle connections are
//! closed. On shutdown idle connections close at once, requests in flight finish within the grace period, and what is left
//! then is dropped. All tasks belong to the call of [`serve`] and end with it.

mod accept;
mod connection;
mod edge;
mod request_body;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use fanfare_runtime::{Shutdown, Span};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use request_body::{BodyTimeout, TimedBody};

use accept::Backoff;
use connection::Connections;

/// Bounds of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Connections at a time, at least 1; further ones wait in the system's backlog. Default 4096: below the usual limit of
    /// open files, with room for the connections to receivers.
    #[serde(deserialize_with = "at_least_one")]
    pub max_connections: usize,
    /// How long a client may take to send a request's header. A connection without a request is closed after this time, or
    /// twice this time at the latest. Default 60 s: longer than the pauses of a busy client that keeps connections.
    #[serde(deserialize_with = "not_zero")]
    pub header_timeout: Span,
    /// How long a client may take to send a request's body, all in all, and to take in the next piece of an answer. Default
    /// 30 s: 8 MiB at 2.3 Mbit/s.
    #[serde(deserialize_with = "not_zero")]
    pub body_timeout: Span,
    /// The most bytes of a request's header, 8 KiB to 1 MiB. Default 64 KiB: room for binary mode with all 32 extension
    /// attributes.
    #[serde(deserialize_with = "header_bytes")]
    pub max_header_bytes: u32,
    /// Requests at a time on one HTTP/2 connection, at least 1. Default 100: what RFC 9113 advises as the least.
    #[serde(deserialize_with = "at_least_one")]
    pub max_streams: u32,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            header_timeout: Span::from_secs(60),
            body_timeout: Span::from_secs(30),
            max_header_bytes: 64 * 1024,
            max_streams: 100,
        }
    }
}

fn at_least_one<'de, D, N>(deserializer: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: Deserialize<'de> + From<u8> + PartialOrd,
{
    let number = N::deserialize(deserializer)?;
    if number < N::from(1) { Err(serde::de::Error::custom("must be at least 1")) } else { Ok(number) }
}

fn not_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let span = Span::deserialize(deserializer)?;
    if span.get().is_zero() { Err(serde::de::Error::custom("must be longer than zero")) } else { Ok(span) }
}

fn header_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let bytes = u32::deserialize(deserializer)?;
    if (8 * 1024..=1024 * 1024).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(serde::de::Error::custom("must be from 8192 to 1048576"))
    }
}

/// Serves until shutdown; then stops accepting, lets requests in flight finish for at most `grace`, and returns.
///
/// Failures to accept that pass (a connection that is gone again, no file descriptors left) are waited out. Dropping the
/// future drops all connections.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: ServerConfig,
    grace: Duration,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    // A child, so that a listener that fails stops its own connections and not the whole process.
    let shutdown = shutdown.child_token();
    let slots = Arc::new(Semaphore::new(config.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    let tasks = TaskTracker::new();
    let abort = CancellationToken::new();
    let _abort_when_dropped = abort.clone().drop_guard();
    let connections = Connections::new(router, &config, tasks.clone(), shutdown.clone(), abort.clone());
    let accepted =
        shutdown.run_until_cancelled(accept_all(&listener, &connections, &slots, &tasks)).await.unwrap_or(Ok(()));
    shutdown.cancel();
    // Closed before the drain, so that clients go elsewhere at once instead of waiting in the system's backlog.
    drop(listener);
    tasks.close();
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!(
            connections = tasks.len(),
            ?grace,
            "requests were still in flight after the grace period; dropping them"
        );
        abort.cancel();
        tasks.wait().await;
    }
    accepted
}

/// Accepts connections; returns only when the listener fails for good.
async fn accept_all(
    listener: &TcpListener,
    connections: &Arc<Connections>,
    slots: &Arc<Semaphore>,
    tasks: &TaskTracker,
) -> std::io::Result<()> {
    let mut backoff = Backoff::new();
    loop {
        // The slot comes first: a connection that there is no room for stays in the backlog.
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else {
            return Ok(());
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                backoff.reset();
                let connections = Arc::clone(connections);
                tasks.spawn(async move {
                    connections.serve(stream).await;
                    drop(slot);
                });
            }
            Err(error) => match backoff.after(&error) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            },
        }
    }
}
