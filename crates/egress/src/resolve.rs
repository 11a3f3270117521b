//! Name lookup, and the guard behind it: a name becomes the addresses that the policy allows, or an error.
//!
//! Lookups of one name at one time are one lookup, so that a name server that does not answer for one zone holds one thread
//! for it, not one for each request. Nothing is cached here; the system resolver knows how long an answer holds.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fanfare_core::egress::{ConnectRefusal, EgressPolicy};
use hyper_util::client::legacy::connect::dns::Name;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tower::Service;

use crate::probe::Probe;

/// Why a name has no addresses.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum LookupError {
    /// The resolver said no.
    #[error("{host} does not resolve: {reason}")]
    Failed {
        /// The name.
        host: String,
        /// The resolver's words.
        reason: Arc<str>,
    },
    /// The resolver said nothing.
    #[error("{host} did not resolve within {within:?}")]
    TimedOut {
        /// The name.
        host: String,
        /// How long was waited.
        within: Duration,
    },
}

/// A host that the policy does not allow. Its text does not name the address: what a private name resolves to is none of a
/// tenant's business.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{host} may not be connected to: {refusal}")]
pub(crate) struct Denied {
    /// The host.
    pub(crate) host: String,
    /// Why its address, or the first of them, is not allowed.
    pub(crate) refusal: ConnectRefusal,
}

/// What names are looked up with: blocks, and may take its time. The error is the resolver's words.
pub type Resolver = dyn Fn(&str) -> Result<Vec<IpAddr>, String> + Send + Sync;

type Found = Result<Arc<[IpAddr]>, Arc<str>>;

/// Lookups under way.
pub(crate) struct Lookups {
    resolver: Arc<Resolver>,
    running: Mutex<HashMap<String, watch::Receiver<Option<Found>>>>,
    permits: Arc<Semaphore>,
    timeout: Duration,
}

impl Lookups {
    pub(crate) fn new(resolver: Arc<Resolver>, at_once: usize, timeout: Duration) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS)));
        Arc::new(Self { resolver, running: Mutex::default(), permits, timeout })
    }

    /// The addresses of a name, in the order to be tried.
    pub(crate) async fn lookup(self: &Arc<Self>, host: &str) -> Result<Arc<[IpAddr]>, LookupError> {
        match tokio::time::timeout(self.timeout, self.join(host)).await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(reason)) => Err(LookupError::Failed { host: host.to_owned(), reason }),
            Err(_) => Err(LookupError::TimedOut { host: host.to_owned(), within: self.timeout }),
        }
    }

    /// Joins the lookup of this name that is under way, or begins one.
    async fn join(self: &Arc<Self>, host: &str) -> Found {
        let under_way = self.running.lock().get(host).cloned();
        let mut result = match under_way {
            Some(result) => result,
            None => self.begin(host).await,
        };
        match result.wait_for(Option::is_some).await {
            Ok(found) => found.clone().unwrap_or_else(|| Err("no answer".into())),
            Err(_) => Err("the lookup was given up".into()),
        }
    }

    async fn begin(self: &Arc<Self>, host: &str) -> watch::Receiver<Option<Found>> {
        // The semaphore is never closed; without a permit the lookup would merely not be counted.
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let (sender, receiver) = watch::channel(None);
        {
            let mut running = self.running.lock();
            if let Some(other) = running.get(host) {
                return other.clone();
            }
            running.insert(host.to_owned(), receiver.clone());
        }
        let (lookups, host) = (Arc::clone(self), host.to_owned());
        // The system resolver blocks and cannot be interrupted: the permit is held until it is back, whoever still waits.
        tokio::task::spawn_blocking(move || {
            let found = match (lookups.resolver)(&host) {
                Ok(addresses) if addresses.is_empty() => Err("it has no addresses".into()),
                Ok(addresses) => Ok(addresses.into()),
                Err(reason) => Err(reason.into()),
            };
            lookups.running.lock().remove(&host);
            sender.send_replace(Some(found));
            drop(permit);
        });
        receiver
    }
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Asks the system.
pub(crate) fn system(host: &str) -> Result<Vec<IpAddr>, String> {
    let found = (host, 0).to_socket_addrs().map_err(|error| error.to_string())?;
    Ok(found.map(|address| address.ip()).collect())
}

/// The resolver of one client: hands on only what its policy allows. (It is not asked about hosts that are addresses.)
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) lookups: Arc<Lookups>,
    pub(crate) policy: EgressPolicy,
    pub(crate) http: bool,
}

impl Guard {
    fn allowed(&self, host: &str, found: &[IpAddr]) -> Result<Vec<SocketAddr>, Denied> {
        let mut refused = None;
        let mut allowed = Vec::with_capacity(found.len());
        for address in found {
            match self.policy.check_connect(*address, self.http) {
                Ok(()) => allowed.push(SocketAddr::new(*address, 0)),
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        match refused {
            Some(refusal) if allowed.is_empty() => Err(Denied { host: host.to_owned(), refusal }),
            Some(_) | None => Ok(allowed),
        }
    }
}

impl Service<Name> for Guard {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        // Connecting begins in the request's own task, so its probe is found here.
        let probe = Probe::current();
        let guard = self.clone();
        Box::pin(async move {
            let timed = probe.as_ref().map(|probe| (probe, probe.resolving()));
            let found = guard.lookups.lookup(name.as_str()).await;
            if let Some((probe, started)) = timed {
                probe.resolved(started);
            }
            Ok(guard.allowed(name.as_str(), &found?)?.into_iter())
        })
    }
}
