//! The services of one process: the order in which they start, and the order in which they stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use fanfare_console::{Console, Operator, with_kapso_errors};
use fanfare_core::api_key::AdminKey;
use fanfare_core::clock::{Clock, Monotonic};
use fanfare_delivery::Delivery;
use fanfare_egress::Egress;
use fanfare_fanout::Fanout;
use fanfare_history::History;
use fanfare_http::{fallback, openapi, server};
use fanfare_ingest::Ingest;
use fanfare_runtime::tasks::{Failures, TaskFailure};
use fanfare_runtime::{Chance, Registry, Tasks};
use fanfare_telemetry::{Metrics, Readiness, admin};
use tokio::net::TcpListener;

use super::drain::applied_what_is_there;
use super::engine::Engine;
use super::listeners::Listeners;
use super::ports::Ports;
use super::roles::Roles;
use super::signals::Signals;
use super::{encryption_key, first_project};
use crate::config::Config;
use crate::report::Report;

/// The API gets one part in so many of the time for stopping: most of it is for the deliveries in flight.
const API_SHARE: u32 = 3;

/// A running process.
pub(crate) struct Running {
    api_address: Option<SocketAddr>,
    admin_address: SocketAddr,
    failures: Failures,
    groups: Groups,
    readiness: Readiness,
    engine: Engine,
    ports: Ports,
    history: Option<History>,
    clock: Arc<dyn Clock>,
}

/// Tasks that stop together.
struct Groups {
    /// The API's listener and what it does by itself.
    api: Tasks,
    fanout: Tasks,
    delivery: Tasks,
    history: Tasks,
    /// The registry's watches and the admin listener: needed by all others to the end.
    base: Tasks,
}

impl Running {
    /// Starts the services of these roles, in this order:
    ///
    /// 1. the admin listener, which says "not ready" and why;
    /// 2. the engine, which locks the data directory, or waits for its servers;
    /// 3. the encryption key, the first project and its key;
    /// 4. the registry, until it is loaded: nothing is served before;
    /// 5. history, delivery, fan-out, from the end of the pipeline to its beginning;
    /// 6. the API, and with it readiness.
    ///
    /// A crash between any two of these is repaired by the next start, which does them all again.
    ///
    /// # Errors
    /// When any of it fails; what was started stops with the runtime.
    pub(crate) async fn start(
        config: &Config,
        roles: Roles,
        listeners: Listeners,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Report> {
        let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
        let mut failures = Failures::new();
        let groups = Groups::new(&failures);
        let readiness = Readiness::new();
        let Listeners { api, admin } = listeners;
        let api_address = api.as_ref().map(address).transpose()?;
        let admin_address = address(&admin)?;
        let loaded = readiness.condition("the configuration");
        let serving = readiness.condition("the services");
        let admin_router = admin::router(metrics.clone(), readiness.clone());
        let grace = config.shutdown_grace.get();
        let shutdown = groups.base.shutdown();
        groups.base.spawn("admin", server::serve(admin, admin_router, config.server.clone(), grace, shutdown));

        let engine = Engine::open(config, roles, &clock, &metrics, &readiness).await?;
        engine.start(&groups.base);
        let ports = engine.ports();
        let records = engine.records_at_start(&clock);
        let key = encryption_key::load(config, &records).await?;
        if roles.console {
            first_project::ensure(config, &records, &clock).await?;
        }
        let registry = Registry::new(key.clone());
        registry.start(&ports.store, &clock, &groups.base);
        tokio::select! {
            () = registry.loaded() => {}
            failure = failures.first() => return Err(Report::because("cannot load the configuration records", &failure)),
        }
        loaded.met();

        let egress = Egress::new(&config.egress, metrics.clone())
            .map_err(|error| Report::because("cannot set the HTTP client for deliveries up", &error))?;
        let services = Services { config, ports: &ports, registry, egress };
        let mut router = Router::new();
        let mut parts = Vec::new();
        let mut history = None;
        if roles.console {
            let opened = open_history(config, &metrics)?;
            opened.start(Arc::clone(&ports.journal), Arc::clone(&ports.store), Arc::clone(&clock), &groups.history);
            let console = services.console(opened.clone(), key);
            console.start(Arc::clone(&clock), &groups.api);
            router = router.merge(console.router(Arc::clone(&clock), metrics.clone()));
            parts.push(fanfare_console::openapi());
            history = Some(opened);
        }
        if roles.delivery {
            services.delivery().start(Arc::clone(&clock), metrics.clone(), &groups.delivery);
        }
        if roles.fanout {
            services.fanout().start(Arc::clone(&clock), metrics.clone(), &groups.fanout);
        }
        if roles.ingest {
            if let Some(intake) = engine.intake() {
                services.ingest().start(intake, Arc::clone(&clock), metrics.clone(), &groups.api);
            }
            router = router.merge(services.ingest().router(Arc::clone(&clock), metrics.clone()));
            parts.push(fanfare_ingest::openapi());
        }
        if let Some(api) = api {
            let router = router.merge(openapi::router(&openapi::document(env!("CARGO_PKG_VERSION"), &parts)));
            let (router, shutdown) = (with_kapso_errors(fallback::with_fallbacks(router)), groups.api.shutdown());
            groups.api.spawn("api", server::serve(api, router, config.server.clone(), grace / API_SHARE, shutdown));
        }
        serving.met();
        let listen = api_address.map_or_else(|| "none".to_owned(), |address| address.to_string());
        tracing::info!(%listen, admin_listen = %admin_address, data_dir = %config.data_dir.display(), "serving");
        Ok(Self { api_address, admin_address, failures, groups, readiness, engine, ports, history, clock })
    }

    /// Where the API listens, if it does.
    pub(crate) fn api_address(&self) -> Option<SocketAddr> {
        self.api_address
    }

    /// Where metrics and health are served.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// A further group of tasks; its failures are failures of this process.
    pub(crate) fn group(&self) -> Tasks {
        self.failures.group()
    }

    /// Waits for a task that ends unasked.
    pub(crate) async fn failed(&mut self) -> TaskFailure {
        self.failures.first().await
    }

    /// Stops as [`Running::stop`] does; a further signal ends the process at once.
    ///
    /// # Errors
    /// When a signal cut it short.
    pub(crate) async fn stop_unless_asked_again(
        self,
        grace: Duration,
        delay: Duration,
        signals: &mut Signals,
    ) -> Result<(), Report> {
        tokio::select! {
            () = self.stop(grace, delay) => Ok(()),
            signal = signals.next() => Err(Report::new(format!("stopped at once, on a second signal ({signal})"))
                .advise("everything accepted is kept; what was in flight is sent again after the next start")),
        }
    }

    /// Stops everything within about `grace`, in this order:
    ///
    /// 1. readiness off, so that load balancers look elsewhere; everything goes on for `delay`, so that they can;
    /// 2. the API stops accepting and finishes its requests: nothing new comes in;
    /// 3. fan-out and delivery take nothing new, finish what is in flight and give the rest back;
    /// 4. history applies what the journal holds by now, then stops;
    /// 5. the registry and the admin listener;
    /// 6. the engine writes what it was given and closes its file.
    ///
    /// What does not finish in its share of the time is left as a crash would leave it, and loses nothing.
    async fn stop(self, grace: Duration, delay: Duration) {
        let time = Time { clock: &*self.clock, end: self.clock.monotonic().after(grace) };
        self.readiness.drain();
        if !delay.is_zero() {
            tracing::info!(?delay, "not ready any more, and working on until balancers have noticed");
            self.clock.sleep(delay).await;
        }
        stop("the API", &self.groups.api, time.share(API_SHARE)).await;
        let pipeline = time.share(4) * 3;
        tokio::join!(stop("fan-out", &self.groups.fanout, pipeline), stop("delivery", &self.groups.delivery, pipeline));
        if let Some(history) = &self.history {
            tokio::select! {
                () = applied_what_is_there(history, &*self.ports.journal, &*self.clock) => {}
                () = self.clock.sleep(time.share(3)) => tracing::warn!("history is behind; it goes on at the next start"),
            }
        }
        stop("history", &self.groups.history, time.share(2)).await;
        stop("the registry and the admin listener", &self.groups.base, time.share(2)).await;
        // The file is closed in any case: at least a second is for that.
        let closing = time.share(1).max(Duration::from_secs(1));
        tokio::select! {
            () = self.engine.close() => tracing::info!("stopped"),
            () = self.clock.sleep(closing) => tracing::warn!("the queue was not closed in time; nothing is lost by that"),
        }
    }
}

impl Groups {
    fn new(failures: &Failures) -> Self {
        let group = || failures.group();
        Self { api: group(), fanout: group(), delivery: group(), history: group(), base: group() }
    }
}

/// What services are made of.
struct Services<'a> {
    config: &'a Config,
    ports: &'a Ports,
    registry: Arc<Registry>,
    egress: Egress,
}

impl Services<'_> {
    fn delivery(&self) -> Delivery {
        Delivery {
            queue: Arc::clone(&self.ports.queue),
            dedup: Arc::clone(&self.ports.dedup),
            store: Arc::clone(&self.ports.store),
            journal: Arc::clone(&self.ports.journal),
            log: Arc::clone(&self.ports.log),
            registry: Arc::clone(&self.registry),
            egress: Arc::new(self.egress.clone()),
            chance: Chance::system(),
            config: self.config.delivery.clone(),
        }
    }

    fn fanout(&self) -> Fanout {
        Fanout {
            log: Arc::clone(&self.ports.log),
            queue: Arc::clone(&self.ports.queue),
            dedup: Arc::clone(&self.ports.dedup),
            store: Arc::clone(&self.ports.store),
            registry: Arc::clone(&self.registry),
            config: self.config.fanout.clone(),
        }
    }

    fn console(&self, history: History, key: fanfare_core::seal::SealingKey) -> Console {
        Console {
            store: Arc::clone(&self.ports.store),
            registry: Arc::clone(&self.registry),
            queue: Arc::clone(&self.ports.queue),
            log: Arc::clone(&self.ports.log),
            journal: Arc::clone(&self.ports.journal),
            rejections: Arc::clone(&self.ports.rejections),
            history,
            egress: self.egress.clone(),
            key,
            operator: Operator {
                admin_key: self.config.admin_key.expose().map(AdminKey::new),
                egress_by_option: !self.config.egress_allow.networks().is_empty(),
                first_key_by_option: self.config.api_key.expose().is_some(),
            },
            config: self.config.console.clone(),
        }
    }

    fn ingest(&self) -> Ingest {
        Ingest {
            log: Arc::clone(&self.ports.log),
            store: Arc::clone(&self.ports.store),
            registry: Arc::clone(&self.registry),
            admin_key: self.config.admin_key.expose().map(AdminKey::new),
            config: self.config.ingest.clone(),
        }
    }
}

/// What is left of the time for stopping.
struct Time<'a> {
    clock: &'a dyn Clock,
    end: Monotonic,
}

impl Time<'_> {
    /// One part in `parts` of what is left now.
    fn share(&self, parts: u32) -> Duration {
        self.end.since(self.clock.monotonic()) / parts
    }
}

async fn stop(what: &str, tasks: &Tasks, within: Duration) {
    if let Err(running) = tasks.stop(within).await {
        tracing::warn!(?running, "{what} did not stop in time; what it had not finished goes on at the next start");
    }
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Report> {
    listener.local_addr().map_err(|error| Report::because("cannot tell the address of a listener", &error))
}

/// Opening reads and may migrate files: other tasks of this thread go on elsewhere meanwhile.
fn open_history(config: &Config, metrics: &Metrics) -> Result<History, Report> {
    let path = config.data_dir.join("history.db");
    let opened = tokio::task::block_in_place(|| History::open(&path, &config.history, metrics.clone()));
    opened.map_err(|error| Report::because("cannot start the read model", &error))
}
