//! Requests out, through hostile country: one guarded HTTP client for deliveries and tests.
//!
//! Every connection goes to an address that the project's [`EgressPolicy`] allows, checked at the address connected to. No
//! proxy, no redirects, no decompression; every size and time is bounded; an answer's body is read to a small cap.

mod answer;
mod classify;
mod clients;
mod config;
mod connect;
mod interim;
mod post;
mod probe;
mod resolve;
mod tls;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fanfare_core::attempt::LoggedHeaders;
use fanfare_core::egress::{EgressPolicy, WebhookUrl};
use fanfare_telemetry::Metrics;
use http::HeaderMap;

pub use answer::Answer;
pub use config::EgressConfig;
pub use resolve::Resolver;
pub use tls::EgressSetupError;

use clients::Clients;
use resolve::Lookups;

/// A request to be made.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// Where to.
    pub url: &'a WebhookUrl,
    /// What the project may connect to.
    pub policy: &'a EgressPolicy,
    /// All headers but `Host` and `Content-Length`.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long it may take in all.
    pub timeout: Duration,
}

impl Outgoing<'_> {
    /// Adds the headers that the HTTP library adds to those given to a log of the request, names in lowercase.
    pub fn log_added(&self, logged: &mut LoggedHeaders) {
        let url = self.url.as_url();
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| Cow::from(host), |port| format!("{host}:{port}").into());
        logged.push("accept", "*/*");
        logged.push("host", &host);
        logged.push("content-length", &self.body.len().to_string());
    }
}

/// What makes POSTs. A port, so that delivery can be run without a network.
#[async_trait]
pub trait Post: fmt::Debug + Send + Sync {
    /// Makes one POST. Never fails: whatever happens is an answer of some class.
    async fn post(&self, request: Outgoing<'_>) -> Answer;
}

#[async_trait]
impl Post for Egress {
    async fn post(&self, request: Outgoing<'_>) -> Answer {
        Egress::post(self, request).await
    }
}

/// The guarded client. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Egress(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: EgressConfig,
    clients: Clients,
    lookups: Arc<Lookups>,
    metrics: Metrics,
}

impl Egress {
    /// Sets the client up.
    ///
    /// # Errors
    /// When the certificate authorities cannot be read.
    pub fn new(config: &EgressConfig, metrics: Metrics) -> Result<Self, EgressSetupError> {
        Self::with_resolver(config, metrics, Arc::new(resolve::system))
    }

    /// Sets the client up with a resolver other than the system's. The guard is behind it all the same.
    ///
    /// # Errors
    /// When the certificate authorities cannot be read.
    pub fn with_resolver(
        config: &EgressConfig,
        metrics: Metrics,
        resolver: Arc<Resolver>,
    ) -> Result<Self, EgressSetupError> {
        let lookups = Lookups::new(resolver, config.dns_lookups, config.dns_timeout.get());
        let roots = tls::roots(&config.ca_file)?;
        let clients = Clients::new(config, &roots, &lookups)?;
        Ok(Self(Arc::new(Shared { config: config.clone(), clients, lookups, metrics })))
    }

    /// Makes one POST. Never fails: whatever happens is an answer of some class.
    pub async fn post(&self, request: Outgoing<'_>) -> Answer {
        post::post(&self.0, request).await
    }

    /// Looks a webhook's host up, to warn on create when it does not resolve. True for addresses.
    pub async fn resolves(&self, url: &WebhookUrl) -> bool {
        url.address().is_some() || self.0.lookups.lookup(url.host()).await.is_ok()
    }
}
