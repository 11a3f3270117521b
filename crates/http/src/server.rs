//! A listener: HTTP/1.1 with keep-alive and HTTP/2 in clear text, bounded, drained on shutdown.

use std::time::Duration;

use axum::Router;
use fanfare_runtime::{Shutdown, Span};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// Bounds of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Connections at a time; further ones wait in the system's backlog. Each costs some 20 KiB.
    pub max_connections: usize,
    /// How long a client may take to send a request's header; also how long an idle connection is kept.
    pub header_timeout: Span,
    /// How long a client may take to send a request's body.
    pub body_timeout: Span,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { max_connections: 4096, header_timeout: Span::from_secs(60), body_timeout: Span::from_secs(30) }
    }
}

/// Serves until shutdown; then stops accepting, lets requests in flight finish for at most `grace`, and returns.
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
    let _ = (listener, router, config, grace, shutdown);
    todo!()
}
