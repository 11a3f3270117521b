//! Authentication that finds a key made a moment ago by another process.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::api_key::Scope;
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

/// Authenticates requests against the registry, and, for a key that is not there, against the store as it is now.
///
/// All requests with unknown keys that arrive before a question is put to the store share its answer. So no key is refused
/// that existed when the request came, and guessing keys costs the store next to nothing.
pub struct Authenticator {
    registry: Arc<Registry>,
    store: Arc<dyn ConfigStore>,
    clock: Arc<dyn Clock>,
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
        Self { registry, store, clock, turn: Semaphore::new(1), last: Mutex::new(None) }
    }

    /// Authenticates a request and requires a scope.
    ///
    /// # Errors
    /// 401 without a key or with an unknown one, 403 when the key lacks the scope, 503 when the key is not known here and the
    /// store cannot be asked.
    pub async fn authenticate(&self, headers: &HeaderMap, scope: Scope) -> Result<Caller, Problem> {
        let text = presented_key(headers)?;
        if let Some(key) = self.registry.api_key(text) {
            return Caller::with_key(key, scope);
        }
        self.ask_the_store().await?;
        Caller::with_key(self.registry.api_key(text).ok_or_else(unknown_key)?, scope)
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
