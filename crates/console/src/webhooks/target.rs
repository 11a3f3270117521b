//! No two webhooks of a project have the same source and URL.
//!
//! The check and the write are two steps, so a lock is held across both, one of a fixed number by hash of the project. It
//! holds within this process. Where several consoles run, two creates at the same moment through two of them could both
//! pass the check; closing that needs a record in the store under the target itself, put if absent.

use std::hash::{BuildHasher, RandomState};

use fanfare_core::ids::{ProjectId, WebhookId};
use fanfare_core::ports::config_store::Group;
use fanfare_core::webhook::Webhook;
use fanfare_http::Problem;
use tokio::sync::{Mutex, MutexGuard};

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
pub(crate) async fn check(api: &Api, webhook: &Webhook) -> Result<(), Problem> {
    api.fresh(Group::Config).await?;
    let source = webhook.source.as_ref().map(fanfare_core::event::Source::as_str);
    match api.console.registry.webhook_at(&webhook.project, source, webhook.url.as_str()) {
        Some(existing) if existing != webhook.id => Err(taken(existing)),
        Some(_) | None => Ok(()),
    }
}

fn taken(existing: WebhookId) -> Problem {
    let detail = format!("webhook {existing} has this source and URL already; change that one");
    Problem::conflict("webhook-exists", detail, existing.to_string())
}
