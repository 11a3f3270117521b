//! The HTTP clients: one for all projects without exceptions, and one for each distinct policy and scheme besides.
//!
//! A client has a pool of its own. Were it shared, a connection that one project's policy allows would be handed to another
//! project whose policy does not; and since the guard of each client knows its policy and scheme, nothing that is decided
//! here depends on which task a connection is made in.

use std::collections::HashMap;
use std::sync::Arc;

use fanfare_core::egress::EgressPolicy;
use parking_lot::Mutex;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;

use crate::EgressConfig;
use crate::probe::ProbeLayer;
use crate::resolve::{Guard, Lookups};
use crate::tls::{EgressSetupError, client_config};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    policy: EgressPolicy,
    http: bool,
}

#[derive(Debug)]
struct Cached {
    client: reqwest::Client,
    last_used: u64,
}

#[derive(Debug, Default)]
struct Cache {
    clients: HashMap<Kind, Cached>,
    uses: u64,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Clients {
    public: reqwest::Client,
    cache: Mutex<Cache>,
    config: EgressConfig,
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    lookups: Arc<Lookups>,
}

impl Clients {
    pub(crate) fn new(
        config: &EgressConfig,
        roots: &Arc<RootCertStore>,
        lookups: &Arc<Lookups>,
    ) -> Result<Self, EgressSetupError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let public = Kind { policy: EgressPolicy::default(), http: false };
        Ok(Self {
            public: build(config, &provider, roots, lookups, public)?,
            cache: Mutex::default(),
            config: config.clone(),
            provider,
            roots: Arc::clone(roots),
            lookups: Arc::clone(lookups),
        })
    }

    /// The client for this policy and scheme.
    pub(crate) fn get(&self, policy: &EgressPolicy, http: bool) -> Result<reqwest::Client, EgressSetupError> {
        if !policy.has_exceptions() && !http {
            return Ok(self.public.clone());
        }
        let kind = Kind { policy: policy.clone(), http };
        let mut cache = self.cache.lock();
        cache.uses += 1;
        let now = cache.uses;
        if let Some(cached) = cache.clients.get_mut(&kind) {
            cached.last_used = now;
            return Ok(cached.client.clone());
        }
        let client = build(&self.config, &self.provider, &self.roots, &self.lookups, kind.clone())?;
        while cache.clients.len() >= self.config.policy_clients.max(1) {
            let oldest = cache.clients.iter().min_by_key(|(_, cached)| cached.last_used).map(|(kind, _)| kind.clone());
            // Requests under way keep the client that they have.
            let Some(oldest) = oldest else { break };
            cache.clients.remove(&oldest);
        }
        cache.clients.insert(kind, Cached { client: client.clone(), last_used: now });
        Ok(client)
    }
}

fn build(
    config: &EgressConfig,
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    lookups: &Arc<Lookups>,
    kind: Kind,
) -> Result<reqwest::Client, EgressSetupError> {
    /// What the HTTP library allows unasked; asking for a number makes it allocate for every answer.
    const LIBRARY_MAX_HEADERS: usize = 100;
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(client_config(provider, roots)?)
        .https_only(!kind.http)
        // A proxy would be what is connected to, and the guard would check the wrong address.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        // A POST that may have been received is repeated by the schedule, visibly, or not at all.
        .retry(reqwest::retry::never())
        .referer(false)
        // One black-holed connection of HTTP/2 would stall all requests to its host.
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(config.connect_timeout.get())
        .pool_max_idle_per_host(config.idle_connections_per_host)
        .pool_idle_timeout(config.idle_timeout.get())
        .connector_layer(ProbeLayer);
    if config.max_response_headers != LIBRARY_MAX_HEADERS {
        builder = builder.http1_max_headers(config.max_response_headers);
    }
    let guard = Guard { lookups: Arc::clone(lookups), policy: kind.policy, http: kind.http };
    Ok(builder.dns_resolver(guard).build()?)
}
