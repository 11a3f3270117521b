//! The registry: a service's own copy of the configuration and the webhooks' health, kept up by watches.
//!
//! Reads are from memory and never wait. [`Registry::caught_up`] is how promise 2 is kept: ask the store for its last
//! revision, wait until the registry is there, then match. A record that cannot be opened (the encryption key is another
//! one) ends the watch with an error, and so the process: serving without it would lose deliveries quietly.

mod key_uses;
mod keys;
mod own_types;
mod view;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::Clock;
use fanfare_core::egress::EgressPolicy;
use fanfare_core::event::Event;
use fanfare_core::filter::FilterData;
use fanfare_core::health::{GateReason, Health, WebhookState};
use fanfare_core::ids::{ProjectId, WebhookId};
use fanfare_core::ports::config_store::{Changes, ConfigStore, Group, Revision};
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use fanfare_core::project::Project;
use fanfare_core::request::RequestTemplate;
use fanfare_core::seal::{SealError, SealingKey};
use fanfare_core::webhook::Webhook;
use parking_lot::RwLock;
use tokio::sync::{Notify, watch};

use crate::tasks::{Shutdown, Tasks};
use key_uses::KeyUses;
pub use own_types::ServedType;
use view::View;

/// A webhook ready to be served.
#[derive(Clone, Debug)]
pub struct ServedWebhook {
    /// The record.
    pub webhook: Webhook,
    /// The revision of its last change.
    pub revision: Revision,
    /// Its opened secret and headers.
    pub template: RequestTemplate,
}

/// A project with its egress policy made ready.
#[derive(Clone, Debug)]
pub struct ServedProject {
    /// The record.
    pub project: Project,
    /// The revision of its last change.
    pub revision: Revision,
    /// What its webhooks may connect to.
    pub egress: EgressPolicy,
}

/// A health record with its revision, for compare-and-set.
#[derive(Clone, Debug)]
pub struct ServedHealth {
    /// The record.
    pub health: Health,
    /// The revision of its last change.
    pub revision: Revision,
}

/// Why the registry cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A webhook's secret or header cannot be opened.
    #[error("cannot open what is sealed in webhook {webhook}; is this the encryption key the data was written with?")]
    Seal {
        /// The webhook.
        webhook: WebhookId,
        /// Why not.
        source: SealError,
    },
    /// What is stored cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    config: Option<Revision>,
    state: Option<Revision>,
}

impl Progress {
    fn of(&self, group: Group) -> Option<Revision> {
        match group {
            Group::Config => self.config,
            Group::State => self.state,
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub struct Registry {
    view: RwLock<View>,
    uses: KeyUses,
    key: SealingKey,
    progress: watch::Sender<Progress>,
    /// The same, for those who wait for a revision: it wakes them in the order in which they came, as a watch does not, so that a
    /// simulation can be repeated.
    moved: Notify,
}

impl Registry {
    /// An empty registry; [`Registry::start`] fills it.
    pub fn new(key: SealingKey) -> Arc<Self> {
        let (view, uses, progress) = (RwLock::default(), KeyUses::default(), watch::Sender::new(Progress::default()));
        Arc::new(Self { view, uses, key, progress, moved: Notify::new() })
    }

    /// Starts the watches of both groups, and the task that stores when keys were last used.
    pub fn start(self: &Arc<Self>, store: &Arc<dyn ConfigStore>, clock: &Arc<dyn Clock>, tasks: &Tasks) {
        for (name, group) in [("watch-config", Group::Config), ("watch-state", Group::State)] {
            let (registry, store, clock) = (Arc::clone(self), Arc::clone(store), Arc::clone(clock));
            let shutdown = tasks.shutdown();
            tasks.spawn(name, async move { registry.follow(&*store, group, &*clock, &shutdown).await });
        }
        let (registry, store, clock) = (Arc::clone(self), Arc::clone(store), Arc::clone(clock));
        let shutdown = tasks.shutdown();
        tasks.spawn("store-key-uses", async move { registry.store_key_uses(&*store, &*clock, &shutdown).await });
    }

    /// Follows one group until shutdown; a watch that breaks is made anew, and told again of everything.
    async fn follow(
        &self,
        store: &dyn ConfigStore,
        group: Group,
        clock: &dyn Clock,
        shutdown: &Shutdown,
    ) -> Result<(), RegistryError> {
        const PAUSE: Duration = Duration::from_secs(1);
        loop {
            let error = match self.follow_one_watch(store, group, shutdown).await {
                Ok(()) => return Ok(()),
                // A watch that was lost is told of everything again by the next one; what cannot be read stays so.
                Err(RegistryError::Store(error)) if error.kind != StoreErrorKind::Corrupt => error,
                Err(error) => return Err(error),
            };
            tracing::warn!(?group, error = %crate::tasks::report(&error), "the configuration's watch broke; watching anew");
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                () = clock.sleep(PAUSE) => {}
            }
        }
    }

    async fn follow_one_watch(
        &self,
        store: &dyn ConfigStore,
        group: Group,
        shutdown: &Shutdown,
    ) -> Result<(), RegistryError> {
        let mut watch = store.watch(group).await?;
        let mut whole = true;
        loop {
            let changes = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                changes = watch.next() => changes?,
            };
            self.apply(group, changes, whole)?;
            whole = false;
        }
    }

    fn apply(&self, group: Group, changes: Changes, whole: bool) -> Result<(), RegistryError> {
        let up_to = changes.up_to;
        {
            let mut view = self.view.write();
            if whole {
                view.forget_all_but(group, &changes);
            }
            for change in changes.changes {
                view.apply(change, &self.key)?;
            }
            if group == Group::Config {
                view.config_revision = view.config_revision.max(up_to);
            }
        }
        self.progress.send_modify(|progress| match group {
            Group::Config => progress.config = Some(up_to),
            Group::State => progress.state = Some(up_to),
        });
        self.moved.notify_waiters();
        Ok(())
    }

    /// Waits until both groups have been loaded once.
    pub async fn loaded(&self) {
        let mut progress = self.progress.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = progress.wait_for(|progress| progress.config.is_some() && progress.state.is_some()).await;
    }

    /// Whether both groups have been loaded once.
    pub fn is_loaded(&self) -> bool {
        let progress = self.progress.borrow();
        progress.config.is_some() && progress.state.is_some()
    }

    /// Waits until every change of the group up to `revision` is here.
    pub async fn caught_up(&self, group: Group, revision: Revision) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            if self.progress.borrow().of(group) >= Some(revision) {
                return;
            }
            moved.await;
        }
    }

    /// Asks the store for the group's last revision and waits until it is here: what is read afterwards is at least as new
    /// as anything whose change was answered before this was called.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn refresh(&self, store: &dyn ConfigStore, group: Group) -> StoreResult<Revision> {
        let revision = store.last_revision(group).await?;
        self.caught_up(group, revision).await;
        Ok(revision)
    }

    /// Tells of changes of either group from now on.
    pub fn changes(&self) -> RegistryChanges {
        RegistryChanges(self.progress.subscribe())
    }

    /// A webhook.
    pub fn webhook(&self, id: WebhookId) -> Option<Arc<ServedWebhook>> {
        self.view.read().webhooks.get(&id).cloned()
    }

    /// The webhooks of a project after `after`, in order of their id, at most `max`.
    pub fn webhooks_of(&self, project: &ProjectId, after: Option<WebhookId>, max: usize) -> Vec<Arc<ServedWebhook>> {
        self.view.read().webhooks_of(project, after, max)
    }

    /// How many webhooks a project has.
    pub fn webhook_count(&self, project: &ProjectId) -> usize {
        self.view.read().webhook_count(project)
    }

    /// Webhooks that have a health record and are not here: their deletion was cut off, or their record is yet to come.
    pub fn stray_health(&self) -> Vec<WebhookId> {
        let view = self.view.read();
        view.health.keys().filter(|id| !view.webhooks.contains_key(id)).copied().collect()
    }

    /// The webhook of a project that has this source and URL, if there is one.
    pub fn webhook_at(&self, project: &ProjectId, source: Option<&str>, url: &str) -> Option<WebhookId> {
        self.view.read().webhook_at(project, source, url)
    }

    /// The webhooks that an event goes to, in order of their id, and the revision they were matched at.
    ///
    /// The event's data is read only if one of those that are subscribed has a filter, and then once for all of them.
    pub fn matches(&self, event: &Event) -> (Revision, Vec<Arc<ServedWebhook>>) {
        let (revision, mut found) = {
            let view = self.view.read();
            (view.config_revision, view.subscribed(&event.header))
        };
        // Asked when the view is free again: a filter may take longer than a change of the configuration should wait.
        let data = FilterData::new(&event.data);
        found.retain(|served| served.webhook.filter.as_ref().is_none_or(|filter| filter.matches(&data)));
        (revision, found)
    }

    /// The gate in front of a webhook: paused while its owner has it inactive, else what its health record says.
    pub fn gate(&self, webhook: WebhookId) -> Option<GateReason> {
        self.view.read().gate(webhook)
    }

    /// The webhooks whose gate is up only to be worked off.
    pub fn worked_off(&self) -> Vec<WebhookId> {
        self.view.read().worked_off.iter().copied().collect()
    }

    /// A webhook's health record, if it has one.
    pub fn health(&self, webhook: WebhookId) -> Option<Arc<ServedHealth>> {
        self.view.read().health.get(&webhook).cloned()
    }

    /// What the API calls the webhook's state.
    pub fn state(&self, webhook: WebhookId) -> WebhookState {
        let view = self.view.read();
        view.state(webhook, view.gate(webhook))
    }

    /// How many webhooks are in which state, and behind which gates; reads all of them.
    pub fn standing(&self) -> Standing {
        self.view.read().standing()
    }
}

/// How many webhooks are in which state, and how many have a gate up for which reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// By state.
    pub states: HashMap<WebhookState, u64>,
    /// By the gate's reason.
    pub gates: HashMap<GateReason, u64>,
}

/// Tells of changes of the registry.
#[derive(Debug)]
pub struct RegistryChanges(watch::Receiver<Progress>);

impl RegistryChanges {
    /// Waits for a change since the last call.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
