//! What a request's connection cost: seen by the resolver and around the connector, noted in a probe that the
//! request's task carries.
//!
//! The client races a new connection against one that comes back to the pool. It starts connecting in the request's own
//! task; if the pooled one wins, the rest of the connecting is moved to a task of its own. So connecting counts for a request
//! exactly as long as it is polled in the request's task: a connection made elsewhere is not this request's.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fanfare_core::attempt::Phases;
use parking_lot::Mutex;
use tokio::time::Instant;
use tower::Service;

use crate::answer::micros;

tokio::task_local! {
    static PROBE: Arc<Probe>;
}

/// Where a request is with its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It has not asked for a new one, or has been given a pooled one.
    Pooled,
    /// Its host is being looked up.
    Resolving,
    /// It is connecting or in the TLS handshake.
    Connecting,
    /// It has a new one.
    Connected,
}

#[derive(Debug, Default)]
struct Seen {
    started: Option<Instant>,
    resolving: bool,
    resolved: Option<Duration>,
    connected: Option<Duration>,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Probe(Mutex<Seen>);

impl Probe {
    /// Runs a request with its probe.
    pub(crate) async fn watch<F: Future>(self: &Arc<Self>, request: F) -> F::Output {
        PROBE.scope(Arc::clone(self), request).await
    }

    /// The probe of the request whose task this is.
    pub(crate) fn current() -> Option<Arc<Self>> {
        PROBE.try_with(Arc::clone).ok()
    }

    /// Notes that the lookup begins.
    pub(crate) fn resolving(&self) -> Instant {
        self.0.lock().resolving = true;
        Instant::now()
    }

    /// Notes that the lookup that began at `started` is over. One that is given up stays where the request was.
    pub(crate) fn resolved(&self, started: Instant) {
        let mut seen = self.0.lock();
        seen.resolving = false;
        seen.resolved = Some(started.elapsed());
    }

    /// Where the request is now.
    pub(crate) fn progress(&self) -> Progress {
        let seen = self.0.lock();
        match (seen.connected, seen.started) {
            (Some(_), _) => Progress::Connected,
            (None, Some(_)) if seen.resolving => Progress::Resolving,
            (None, Some(_)) => Progress::Connecting,
            (None, None) => Progress::Pooled,
        }
    }

    /// Notes what was seen in the record of the phases.
    pub(crate) fn note(&self, phases: &mut Phases) {
        let seen = self.0.lock();
        phases.reused = seen.started.is_none();
        if seen.started.is_some() {
            phases.dns_us = seen.resolved.map(micros);
            let resolving = seen.resolved.unwrap_or_default();
            phases.connect_us = seen.connected.map(|connected| micros(connected.saturating_sub(resolving)));
        }
    }

    fn is_current(self: &Arc<Self>) -> bool {
        PROBE.try_with(|current| Arc::ptr_eq(current, self)).unwrap_or(false)
    }
}

/// The connector, watched.
#[derive(Clone, Debug)]
pub(crate) struct Probed<S>(S);

impl<S> Probed<S> {
    pub(crate) fn new(connector: S) -> Self {
        Self(connector)
    }
}

impl<S, R> Service<R> for Probed<S>
where
    S: Service<R>,
    S::Future: Unpin,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ProbedConnect<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let started = Instant::now();
        let probe = Probe::current();
        if let Some(probe) = &probe {
            // The client may connect more than once for a request, when a pooled connection turns out to be closed.
            *probe.0.lock() = Seen { started: Some(started), ..Seen::default() };
        }
        ProbedConnect { connecting: self.0.call(request), probe, started }
    }
}

/// A connection being made.
#[derive(Debug)]
pub(crate) struct ProbedConnect<F> {
    connecting: F,
    probe: Option<Arc<Probe>>,
    started: Instant,
}

impl<F, T, E> Future for ProbedConnect<F>
where
    F: Future<Output = Result<T, E>> + Unpin,
{
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(probe) = self.probe.take_if(|probe| !probe.is_current()) {
            // Moved to a task of its own: the request went on with a pooled connection.
            *probe.0.lock() = Seen::default();
        }
        let result = Pin::new(&mut self.connecting).poll(cx);
        if let (Poll::Ready(Ok(_)), Some(probe)) = (&result, &self.probe) {
            probe.0.lock().connected = Some(self.started.elapsed());
        }
        result
    }
}
