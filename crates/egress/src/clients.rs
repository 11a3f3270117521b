//! The HTTP clients: one for all projects without exceptions, and one for each distinct policy and scheme besides.
//!
//! A client has a pool of its own. Were it shared, a connection that one project's policy allows would be handed to another
//! project whose policy does not; and since the guard of each client knows its policy and scheme, nothing that is decided
//! here depends on which task a connection is made in.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use fanfare_core::egress::EgressPolicy;
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;

use crate::EgressConfig;
use crate::connect::Connector;
use crate::probe::Probed;
use crate::resolve::{Guard, Lookups};
use crate::tls::{EgressSetupError, client_config};

/// One pool with its connector.
pub(crate) type Client = legacy::Client<Probed<Connector>, Full<Bytes>>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    policy: EgressPolicy,
    http: bool,
}

#[derive(Debug)]
struct Cached {
    client: Client,
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
    public: Client,
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
    pub(crate) fn get(&self, policy: &EgressPolicy, http: bool) -> Result<Client, EgressSetupError> {
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
) -> Result<Client, EgressSetupError> {
    /// What the HTTP library allows unasked; asking for a number makes it allocate for every answer.
    const LIBRARY_MAX_HEADERS: usize = 100;
    /// Room for the status line and the headers' punctuation; with it the least that the library accepts.
    const ROOM: usize = 8 * 1024;
    let guard = Guard { lookups: Arc::clone(lookups), policy: kind.policy, http: kind.http };
    // One black-holed connection of HTTP/2 would stall all requests to its host: HTTP/1.1 is all that the handshake offers.
    let connector = Connector::new(guard, client_config(provider, roots)?, config.connect_timeout.get());
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(config.idle_connections_per_host)
        .pool_idle_timeout(config.idle_timeout.get())
        // What is read of a head before it is complete, and what is read at once.
        .http1_max_buf_size(config.max_response_header_bytes + ROOM);
    if config.max_response_headers != LIBRARY_MAX_HEADERS {
        builder.http1_max_headers(config.max_response_headers);
    }
    Ok(builder.build(Probed::new(connector)))
}
