//! When each key was last used: noted in memory by every request, stored by a task once a minute.
//!
//! A request pays one read lock and one atomic maximum. The store is written at most once a minute for a key, however many
//! processes serve it: whoever finds the stored time younger than that leaves it. What a crash takes with it is the uses of the
//! last minute; an orderly stop stores them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fanfare_core::api_key::KeyUse;
use fanfare_core::clock::{Clock, Timestamp};
use fanfare_core::ids::ApiKeyId;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::config_store::{Changed, ConfigStore, Expected, Record};
use parking_lot::RwLock;

use super::Registry;
use crate::tasks::{Shutdown, report};

/// The time between two looks, and the least between two writes of one key: `last_used_at` tells whether a key can be
/// deleted, for which a minute is exact enough.
const STORE_EVERY: Duration = Duration::from_secs(60);

/// The uses that are not stored yet, in milliseconds since the Unix epoch. Only keys that exist are noted, so that there are
/// never more than those.
#[derive(Debug, Default)]
pub(super) struct KeyUses(RwLock<HashMap<ApiKeyId, AtomicI64>>);

impl KeyUses {
    fn note(&self, key: ApiKeyId, now: Timestamp) {
        let millis = now.as_millis();
        if let Some(last) = self.0.read().get(&key) {
            // No other memory hangs on it; what counts is that the latest time stays.
            last.fetch_max(millis, Ordering::Relaxed);
            return;
        }
        self.0.write().entry(key).or_insert_with(|| AtomicI64::new(millis)).fetch_max(millis, Ordering::Relaxed);
    }

    pub(super) fn noted(&self, key: ApiKeyId) -> Option<Timestamp> {
        self.0.read().get(&key).map(|last| Timestamp::from_millis(last.load(Ordering::Relaxed)))
    }

    fn all(&self) -> Vec<KeyUse> {
        let noted = self.0.read();
        let used = |(key, last): (&ApiKeyId, &AtomicI64)| KeyUse {
            key: *key,
            last_used_at: Timestamp::from_millis(last.load(Ordering::Relaxed)),
        };
        noted.iter().map(used).collect()
    }

    /// Forgets a use that is stored, unless there was a later one meanwhile.
    fn stored(&self, used: &KeyUse) {
        let mut noted = self.0.write();
        if noted.get(&used.key).is_some_and(|last| last.load(Ordering::Relaxed) <= used.last_used_at.as_millis()) {
            noted.remove(&used.key);
        }
    }
}

impl Registry {
    /// Notes that a request presented this key. Costs next to nothing; see the module `key_uses`.
    pub fn note_key_use(&self, key: ApiKeyId, now: Timestamp) {
        self.uses.note(key, now);
    }

    /// Stores what is noted, again and again, and once more on shutdown.
    pub(super) async fn store_key_uses(
        &self,
        store: &dyn ConfigStore,
        clock: &dyn Clock,
        shutdown: &Shutdown,
    ) -> Result<(), Infallible> {
        loop {
            let stopping = tokio::select! {
                biased;
                () = shutdown.cancelled() => true,
                () = clock.sleep(STORE_EVERY) => false,
            };
            for used in self.uses.all() {
                if let Err(error) = self.store_key_use(store, used, clock.now(), stopping).await {
                    tracing::warn!(error = %report(&error), "when keys were last used could not be stored; trying again later");
                    break;
                }
            }
            if stopping {
                return Ok(());
            }
        }
    }

    /// Stores one use, if it is time to. By compare-and-set: where another process was faster, the next look decides anew.
    async fn store_key_use(
        &self,
        store: &dyn ConfigStore,
        used: KeyUse,
        now: Timestamp,
        stopping: bool,
    ) -> StoreResult<()> {
        if self.api_key_with_id(used.key).is_none() {
            // Deleted: storing it would leave a trace for nobody.
            self.uses.stored(&used);
            return Ok(());
        }
        let stored = self.view.read().key_uses.get(&used.key).copied();
        let expected = match stored {
            Some((stored, _)) if stored.last_used_at >= used.last_used_at => {
                self.uses.stored(&used);
                return Ok(());
            }
            Some((stored, _)) if !stopping && now.since(stored.last_used_at) < STORE_EVERY => return Ok(()),
            Some((_, revision)) => Expected::At(revision),
            None => Expected::Absent,
        };
        match store.put(Record::KeyUse(used), expected).await? {
            // It stays noted until the watch tells of it, so that reads in between do not fall back.
            Changed::Done(_) | Changed::Conflict => Ok(()),
        }
    }
}
