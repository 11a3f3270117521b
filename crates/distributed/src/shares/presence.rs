//! Which processes are there, of those that own gates: each renews a key of its own until its work has ended, longer than it
//! takes part in sharing partitions.
//!
//! A claim says which process made it. Whoever has seen that process's key unchanged for the time of a lease on a partition, by
//! its own monotonic clock, or has looked for as long without seeing one, takes it to be gone. A process makes its key before it
//! owns anything.

use std::collections::HashMap;
use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::config_store::Group;
use fanfare_runtime::tasks::report;
use parking_lot::Mutex;

use crate::Distributed;
use crate::message::Draft;
use crate::store::BatchRequest;

const DOING: &str = "look which processes are there";
/// More than there can be.
const ALL: usize = 100_000;
/// So many lease times after a process was seen last its key is removed: nobody could have a claim of it any more.
const LONG: u32 = 100;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Presence(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Whether this process has shown itself.
    is_shown: bool,
    /// Since when it has been looked again and again; `None` before the first time.
    first: Option<Monotonic>,
    last: Monotonic,
    processes: HashMap<String, Sighting>,
}

/// A key, and since when it has been seen to be as it is.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    revision: u64,
    since: Monotonic,
}

impl Presence {
    /// Whether a process is known to be gone, as of the last look.
    pub(crate) fn is_gone(&self, process: &str, lease: Duration) -> bool {
        let seen = self.0.lock();
        let Some(first) = seen.first else { return false };
        let since = seen.processes.get(process).map_or(first, |sighting| sighting.since);
        seen.last.since(since) >= lease
    }

    /// Takes in the keys that there are; returns the processes that have been gone for long.
    fn look(&self, keys: &[(&str, u64)], now: Monotonic, lease: Duration) -> Vec<String> {
        let mut seen = self.0.lock();
        if seen.first.is_none() || now.since(seen.last) >= lease {
            // Who has not been looked for, while NATS was away or this process frozen, could not be seen.
            seen.first = Some(now);
            seen.processes.clear();
        }
        seen.last = now;
        for (process, revision) in keys {
            let sighting = seen.processes.entry((*process).to_owned());
            let sighting = sighting.or_insert(Sighting { revision: *revision, since: now });
            if sighting.revision != *revision {
                *sighting = Sighting { revision: *revision, since: now };
            }
        }
        let is_there = |process: &str| keys.iter().any(|(other, _)| *other == process);
        // Of what has no key any more nothing else is known after that than of what never had one.
        seen.processes.retain(|process, sighting| now.since(sighting.since) < lease || is_there(process));
        let long = |(_, sighting): &(&String, &Sighting)| now.since(sighting.since) >= lease * LONG;
        seen.processes.iter().filter(long).map(|(process, _)| process.clone()).collect()
    }
}

impl Distributed {
    /// Shows that this process is there, before it owns anything, and from then on until the engine is closed.
    pub(super) async fn be_present(&self) -> StoreResult<()> {
        if self.shared.presence.0.lock().is_shown {
            return Ok(());
        }
        self.show_presence().await?;
        if std::mem::replace(&mut self.shared.presence.0.lock().is_shown, true) {
            return Ok(());
        }
        let engine = self.clone();
        self.shared.tasks.spawn_work("presence", async move {
            let (shared, shutdown) = (&engine.shared, engine.shared.tasks.shutdown());
            loop {
                let looked = async {
                    engine.show_presence().await?;
                    engine.look_for_others().await
                };
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    looked = looked => if let Err(error) = looked {
                        tracing::debug!(error = %report(&error), "could not look which processes are there; trying again");
                    },
                }
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = shared.clock.sleep(shared.config.partition_lease.get() / 3) => {}
                }
            }
        });
        Ok(())
    }

    async fn show_presence(&self) -> StoreResult<()> {
        let key = self.presence_key(&self.shared.instance);
        self.shared.store.publish(DOING, Draft::new(key, self.shared.instance.clone().into())).await.map(|_| ())
    }

    async fn look_for_others(&self) -> StoreResult<()> {
        let (shared, all) = (&self.shared, self.presence_key("*"));
        let request = BatchRequest { from: None, next: None, last_of: &[&all], batch: ALL };
        let stream = shared.names.bucket_stream(Group::State);
        let keys = shared.store.batch(DOING, &stream, &request).await?;
        let prefix = self.presence_key("");
        let keys: Vec<(&str, u64)> =
            keys.iter().filter_map(|key| Some((key.subject.strip_prefix(&prefix)?, key.sequence))).collect();
        let (now, lease) = (shared.clock.monotonic(), shared.config.partition_lease.get());
        for process in shared.presence.look(&keys, now, lease) {
            shared.store.purge(DOING, &stream, &self.presence_key(&process)).await?;
        }
        Ok(())
    }

    fn presence_key(&self, process: &str) -> String {
        self.shared.names.key(Group::State, &format!("process.{process}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(5);

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn a_process_is_gone_that_has_not_been_seen_to_change_for_a_lease_time() {
        let presence = Presence::default();
        assert!(!presence.is_gone("one", LEASE), "nobody has looked");
        for second in [0, 2, 4] {
            presence.look(&[("one", second), ("two", 7)], at(second), LEASE);
            assert!(!presence.is_gone("one", LEASE) && !presence.is_gone("two", LEASE));
            assert!(!presence.is_gone("three", LEASE), "it may have been overlooked for so long");
        }
        presence.look(&[("one", 5), ("two", 7)], at(5), LEASE);
        assert!(!presence.is_gone("one", LEASE));
        assert!(presence.is_gone("two", LEASE) && presence.is_gone("three", LEASE));
        presence.look(&[("two", 8)], at(8), LEASE);
        assert!(!presence.is_gone("two", LEASE), "it was frozen, and is back");
        presence.look(&[("two", 8)], at(9), LEASE);
        assert!(!presence.is_gone("one", LEASE), "its key is gone, and it may make another");
        presence.look(&[("two", 8)], at(10), LEASE);
        assert!(presence.is_gone("one", LEASE));
    }

    #[test]
    fn after_a_pause_nobody_is_gone_before_it_has_been_looked_for_a_lease_time() {
        let presence = Presence::default();
        presence.look(&[("one", 1)], at(0), LEASE);
        presence.look(&[("one", 1)], at(60), LEASE);
        assert!(!presence.is_gone("one", LEASE) && !presence.is_gone("two", LEASE));
        presence.look(&[("one", 1)], at(62), LEASE);
        assert!(!presence.is_gone("one", LEASE));
        presence.look(&[("one", 1)], at(65), LEASE);
        assert!(presence.is_gone("one", LEASE) && presence.is_gone("two", LEASE));
    }

    #[test]
    fn keys_of_those_that_have_been_gone_for_long_are_named() {
        let presence = Presence::default();
        for second in (0..500).step_by(2) {
            assert!(presence.look(&[("one", 1), ("two", second)], at(second), LEASE).is_empty());
        }
        assert_eq!(presence.look(&[("one", 1), ("two", 500)], at(500), LEASE), ["one"]);
    }
}
