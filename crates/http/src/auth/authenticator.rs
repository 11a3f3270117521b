//! Authentication that finds a key made a moment ago by another process, and tells the admin key from those of projects.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::api_key::{AdminKey, ApiKey, Scope};
use fanfare_core::clock::{Clock, Monotonic};
use fanfare_core::ports::config_store::{ConfigStore, Group};
use fanfare_runtime::Registry;
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{Caller, presented_key, unknown_key};
use crate::problem::Problem;

/// The time between two questions to the store about keys that are not known: however many unknown keys are tried, the
/// store is asked ten times a second at most, and a new key waits no longer than this.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How long the registry may take to catch up before the caller is told to come back.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(5);

/// Whom a request comes from, where either will do.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A project's key.
    Key(Caller),
    /// The admin key.
    Admin,
}

/// Authenticates requests against the registry, and, for a key that is not there, against the store as it is now.
///
/// All requests with unknown keys that arrive before a question is put to the store share its answer. So no key is refused
/// that existed when the request came, and guessing keys costs the store next to nothing.
pub struct Authenticator {
    registry: Arc<Registry>,
    store: Arc<dyn ConfigStore>,
    clock: Arc<dyn Clock>,
    admin: Option<AdminKey>,
    /// One question at a time: whoever has the permit asks, the others wait for the answer.
    turn: Semaphore,
    last: Mutex<Option<Question>>,
}

/// A question that was put to the store.
#[derive(Clone, Copy, Debug)]
struct Question {
    put: Monotonic,
    answer: Answer,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    /// None yet; none at all if the request that asked went away.
    None,
    /// The registry is as new as the store was.
    Refreshed,
    /// The store did not answer, or the registry did not catch up in time.
    Failed,
}

impl Authenticator {
    /// An authenticator over a registry and the store that it watches.
    pub fn new(registry: Arc<Registry>, store: Arc<dyn ConfigStore>, clock: Arc<dyn Clock>) -> Self {
        Self { registry, store, clock, admin: None, turn: Semaphore::new(1), last: Mutex::new(None) }
    }

    /// The same with an admin key; `None` if the installation has none.
    #[must_use]
    pub fn with_admin_key(self, admin: Option<AdminKey>) -> Self {
        Self { admin, ..self }
    }

    /// Authenticates a request of a project and requires a scope.
    ///
    /// # Errors
    /// 401 without a key or with an unknown one, 403 when the key lacks the scope or is the admin key, 503 when the key is not
    /// known here and the store cannot be asked.
    pub async fn authenticate(&self, headers: &HeaderMap, scope: Scope) -> Result<Caller, Problem> {
        match self.principal(headers, scope).await? {
            Principal::Key(caller) => Ok(caller),
            Principal::Admin => Err(Problem::admin_key_refused()),
        }
    }

    /// Authenticates a request of a project, of which it requires a scope, or of the admin.
    ///
    /// # Errors
    /// 401 without a key or with an unknown one, 403 when a project's key lacks the scope, 503 when the key is not known here
    /// and the store cannot be asked.
    pub async fn principal(&self, headers: &HeaderMap, scope: Scope) -> Result<Principal, Problem> {
        let text = presented_key(headers)?;
        if self.is_admin(text) {
            return Ok(Principal::Admin);
        }
        Caller::with_key(self.key(text).await?, scope).map(Principal::Key)
    }

    /// Requires the admin key.
    ///
    /// # Errors
    /// 401 without a key or with an unknown one, 403 with a project's, 503 when the key is not known here and the store cannot
    /// be asked.
    pub async fn authenticate_admin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let text = presented_key(headers)?;
        if self.is_admin(text) {
            return Ok(());
        }
        self.key(text).await?;
        Err(Problem::admin_key_needed(match self.admin {
            Some(_) => "projects are managed with the admin key, not with a project's",
            None => "projects are managed with the admin key, and this installation has none: set FANFARE_ADMIN_KEY",
        }))
    }

    fn is_admin(&self, text: &str) -> bool {
        self.admin.as_ref().is_some_and(|admin| admin.is(text))
    }

    /// The key with this text, whose use is noted, whatever comes of the request.
    async fn key(&self, text: &str) -> Result<Arc<ApiKey>, Problem> {
        let key = match self.registry.api_key(text) {
            Some(key) => key,
            None => {
                self.ask_the_store().await?;
                self.registry.api_key(text).ok_or_else(unknown_key)?
            }
        };
        self.registry.note_key_use(key.id, self.clock.now());
        Ok(key)
    }

    /// Returns when the registry is at least as new as the store was when this was called.
    async fn ask_the_store(&self) -> Result<(), Problem> {
        let arrived = self.clock.monotonic();
        let _turn = self.turn.acquire().await.map_err(|_| Problem::internal())?;
        let last = *self.last.lock();
        if let Some(last) = last {
            // A question put after this request arrived has the answer that this request needs.
            match last.answer {
                Answer::Refreshed if last.put > arrived => return Ok(()),
                Answer::Failed if last.put > arrived => return Err(not_up_to_date()),
                Answer::None | Answer::Refreshed | Answer::Failed => {}
            }
            self.clock.sleep_until(last.put.after(ASK_EVERY)).await;
        }
        let put = self.clock.monotonic();
        // Noted before it is put: a request that goes away meanwhile does not let the next one ask at once.
        *self.last.lock() = Some(Question { put, answer: Answer::None });
        let refreshed = tokio::select! {
            refreshed = self.registry.refresh(&*self.store, Group::Config) => {
                refreshed.map(|_| ()).map_err(|error| Problem::unavailable(&error))
            }
            () = self.clock.sleep_until(put.after(CATCH_UP_WITHIN)) => Err(not_up_to_date()),
        };
        let answer = if refreshed.is_ok() { Answer::Refreshed } else { Answer::Failed };
        *self.last.lock() = Some(Question { put, answer });
        refreshed
    }
}

fn not_up_to_date() -> Problem {
    Problem::overloaded("the configuration is not up to date yet, so the API key cannot be checked", 1)
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
}
