//! Whether NATS and Redis are there, as this process sees it: asked every second, since a connection that stands says little
//! about a server that has stopped answering.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fanfare_runtime::{Shutdown, Tasks};
use tokio::sync::watch;

use crate::Distributed;

const PAUSE: Duration = Duration::from_secs(1);

/// Whether a server answers; changes with it.
#[derive(Clone, Debug)]
pub struct Link(watch::Receiver<bool>);

impl Link {
    /// Waits until it is known to answer, or not to, as `wanted`; returns at once if that is so. False when nobody watches any
    /// more.
    pub async fn becomes(&mut self, wanted: bool) -> bool {
        self.0.wait_for(|answers| *answers == wanted).await.is_ok()
    }
}

impl Distributed {
    /// Watches whether JetStream answers, until shutdown. It did when the engine connected.
    pub fn watch_nats(&self, tasks: &Tasks) -> Link {
        let (answers, link) = watch::channel(true);
        let (engine, shutdown) = (self.clone(), tasks.shutdown());
        tasks.spawn("nats-link", async move {
            let mut connects = 1;
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok::<(), Infallible>(()),
                    answered = engine.ask_nats(&mut connects) => say("NATS", &answers, answered),
                }
                engine.pause(&shutdown).await;
            }
        });
        Link(link)
    }

    /// Watches whether Redis answers, until shutdown. Nothing is known of it at first.
    pub fn watch_redis(&self, tasks: &Tasks) -> Link {
        let (answers, link) = watch::channel(false);
        let (engine, shutdown) = (self.clone(), tasks.shutdown());
        tasks.spawn("redis-link", async move {
            let mut ever = false;
            loop {
                let answered = tokio::select! {
                    () = shutdown.cancelled() => return Ok::<(), Infallible>(()),
                    answered = engine.shared.claims.ping() => answered.is_ok(),
                };
                if answered && ever && !*answers.borrow() {
                    engine.shared.metrics.redis_reconnects.inc();
                }
                ever |= answered;
                say("Redis", &answers, answered);
                engine.pause(&shutdown).await;
            }
        });
        Link(link)
    }

    async fn pause(&self, shutdown: &Shutdown) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.shared.clock.sleep(PAUSE) => {}
        }
    }

    /// Whether JetStream answers; with it come the store's use and the number of connections made so far.
    async fn ask_nats(&self, connects: &mut u64) -> bool {
        let (context, metrics) = (&self.shared.store.context, &self.shared.metrics);
        let account = context.query_account().await;
        let made = context.client().statistics().connects.load(Ordering::Relaxed);
        metrics.nats_reconnects.inc_by(made.saturating_sub(*connects));
        *connects = made.max(*connects);
        match account {
            Ok(account) => {
                metrics.nats_store_bytes.set(i64::try_from(account.storage).unwrap_or(i64::MAX));
                metrics.nats_store_limit_bytes.set(account.limits.max_storage.unwrap_or(0).max(0));
                true
            }
            Err(_) => false,
        }
    }
}

fn say(server: &'static str, answers: &watch::Sender<bool>, answered: bool) {
    let changed = answers.send_if_modified(|before| std::mem::replace(before, answered) != answered);
    match (changed, answered) {
        (true, true) => tracing::info!(server, "the server answers"),
        (true, false) => tracing::warn!(server, "the server does not answer; waiting for it"),
        (false, _) => {}
    }
}
