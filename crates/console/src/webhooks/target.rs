//! No two webhooks of a project have the same source and URL, unless they are made through Kapso's API, and no two of kind `meta` the same source.
//!
//! The check and the write are two steps, so a lock is held across both, one of a fixed number by hash of the project. It
//! holds within this process. Where several consoles run, two creates at the same moment through two of them could both
//! pass the check; closing that needs a record in the store under the target itself, put if absent.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use fanfare_core::ids::{ProjectId, WebhookId};
use fanfare_core::ports::config_store::Group;
use fanfare_core::webhook::{Webhook, WebhookKind};
use fanfare_http::Problem;
use fanfare_runtime::registry::ServedWebhook;
use tokio::sync::{Mutex, MutexGuard};

use super::rules::Surface;
use crate::api::Api;

/// How many locks there are: projects that share one only wait for each other's store.
const LOCKS: usize = 64;

/// The locks.
#[derive(Debug)]
pub(crate) struct TargetLocks {
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
}

impl TargetLocks {
    /// All free.
    pub(crate) fn new() -> Self {
        Self { locks: std::array::from_fn(|_| Mutex::new(())), hasher: RandomState::new() }
    }

    /// Waits for the project's lock, which is held across the store's answers: an async one, in order of arrival.
    pub(crate) async fn hold(&self, project: &ProjectId) -> MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one(project);
        // The remainder is below `LOCKS`, so the index is in bounds and fits.
        self.locks[(hash % LOCKS as u64) as usize].lock().await
    }
}

impl Default for TargetLocks {
    fn default() -> Self {
        Self::new()
    }
}

/// Checks that no other webhook of the project has this one's source and URL. The project's lock is held by the caller.
///
/// # Errors
/// 409 naming the other one, 503 when the store does not answer.
pub(crate) async fn check(api: &Api, webhook: &Webhook, surface: Surface) -> Result<(), Problem> {
    api.fresh(Group::Config).await?;
    if surface == Surface::Kapso {
        return Ok(());
    }
    let source = webhook.source.as_ref().map(fanfare_core::event::Source::as_str);
    match api.console.registry.webhook_at(&webhook.project, source, webhook.url.as_str()) {
        Some(existing) if existing != webhook.id => Err(taken(existing)),
        Some(_) | None => Ok(()),
    }
}

/// Checks that a webhook of kind `meta` is the only one of its number. The project's lock is held by the caller.
///
/// # Errors
/// 409 naming the other one, 503 when the store does not answer.
pub(crate) async fn check_meta(api: &Api, webhook: &Webhook) -> Result<(), Problem> {
    if webhook.kind != WebhookKind::Meta {
        return Ok(());
    }
    api.fresh(Group::Config).await?;
    // Such webhooks are made seldom enough to look at all of the project's.
    let others = api.console.registry.webhooks_of(&webhook.project, None, usize::MAX);
    let same = |other: &&Arc<ServedWebhook>| {
        let other = &other.webhook;
        other.id != webhook.id && other.kind == webhook.kind && other.source == webhook.source
    };
    match others.iter().find(same) {
        None => Ok(()),
        Some(other) => {
            let existing = other.webhook.id;
            let detail = format!("webhook {existing} of kind meta has this number already; there is at most one");
            Err(Problem::conflict("meta-webhook-exists", detail, existing.to_string()))
        }
    }
}

fn taken(existing: WebhookId) -> Problem {
    let detail = format!("webhook {existing} has this source and URL already; change that one");
    Problem::conflict("webhook-exists", detail, existing.to_string())
}
