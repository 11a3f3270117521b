//! One partition of gates: knows which webhooks have something behind their gate, and works off those that may be.
//!
//! It goes by what arrives, not by which gates are up: a fan-out that has not yet seen a gate go down still pushes behind
//! it, and that is worked off all the same. So nothing is stranded.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::health::GateReason;
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::delivery_queue::GatePartition;
use fanfare_core::ports::{StoreErrorKind, StoreResult};
use fanfare_runtime::tasks::report;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::release::{self, Released};
use crate::context::Context;

/// Looks after a partition until shutdown, or until it goes to another process.
///
/// # Errors
/// When the store fails for good: nobody else would look after the partition while this process has it.
pub(crate) async fn run(context: Arc<Context>, partition: Arc<dyn GatePartition>) -> StoreResult<()> {
    let mut changes = context.registry.changes();
    let mut behind = Behind::default();
    let mut releases = FuturesUnordered::new();
    loop {
        let room = context.config.max_releases.max(1).saturating_sub(releases.len());
        let paused = |webhook| context.registry.gate(webhook) == Some(GateReason::Paused);
        for webhook in behind.startable(room, paused) {
            releases.push(release::run(&context, &partition, webhook));
        }
        tokio::select! {
            biased;
            () = context.shutdown.cancelled() => return Ok(()),
            // Of these there are only so many; what arrives may never end.
            Some((webhook, released)) = releases.next() => behind.released(webhook, released),
            () = changes.next() => {}
            arrivals = partition.arrivals() => match arrivals {
                Ok(arrived) => behind.arrived(arrived),
                Err(error) if error.is_retryable() => {
                    tracing::warn!(error = %report(&error), "could not listen to a partition of gates; trying again");
                    tokio::select! {
                        biased;
                        () = context.shutdown.cancelled() => return Ok(()),
                        () = context.clock.sleep(Duration::from_secs(1)) => {}
                    }
                }
                Err(error) if error.kind == StoreErrorKind::Lost => {
                    // At shutdown the engine may let go of it before this does, which is nothing to tell.
                    if !context.shutdown.is_cancelled() {
                        tracing::info!(error = %report(&error), "a partition of gates is no longer ours");
                    }
                    return Ok(());
                }
                Err(error) => return Err(error),
            },
        }
    }
}

/// Which webhooks have something behind their gate.
#[derive(Debug, Default)]
struct Behind {
    /// Those that are not being worked off, in the order in which they came to wait: each has its turn.
    line: VecDeque<WebhookId>,
    /// Whoever is in the line.
    waiting: HashSet<WebhookId>,
    /// Those that are being worked off.
    releasing: HashSet<WebhookId>,
    /// Those of the latter that more has arrived for.
    again: HashSet<WebhookId>,
}

impl Behind {
    fn arrived(&mut self, webhooks: Vec<WebhookId>) {
        for webhook in webhooks {
            if self.releasing.contains(&webhook) {
                self.again.insert(webhook);
            } else {
                self.wait(webhook);
            }
        }
    }

    fn released(&mut self, webhook: WebhookId, released: Released) {
        self.releasing.remove(&webhook);
        let more = self.again.remove(&webhook);
        match released {
            Released::All if !more => {}
            Released::All | Released::NotAll => self.wait(webhook),
        }
    }

    fn wait(&mut self, webhook: WebhookId) {
        if self.waiting.insert(webhook) {
            self.line.push_back(webhook);
        }
    }

    /// Begins with at most `room` of those that are not paused, first come, first served.
    fn startable(&mut self, room: usize, paused: impl Fn(WebhookId) -> bool) -> Vec<WebhookId> {
        if room == 0 || self.line.is_empty() {
            return Vec::new();
        }
        let mut started = Vec::new();
        self.line.retain(|webhook| {
            let stays = started.len() == room || paused(*webhook);
            if !stays {
                started.push(*webhook);
            }
            stays
        });
        for webhook in &started {
            self.waiting.remove(webhook);
            self.releasing.insert(*webhook);
        }
        started
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(number: u8) -> WebhookId {
        WebhookId::from_bytes([number; 16])
    }

    #[test]
    fn what_arrives_while_a_gate_is_worked_off_is_looked_at_again() {
        let mut behind = Behind::default();
        behind.arrived(vec![webhook(1), webhook(2)]);
        assert_eq!(behind.startable(10, |id| id == webhook(2)), [webhook(1)]);
        assert!(behind.startable(10, |id| id == webhook(2)).is_empty());
        behind.arrived(vec![webhook(1)]);
        assert!(behind.startable(10, |id| id == webhook(2)).is_empty(), "one at a time for each webhook");
        behind.released(webhook(1), Released::All);
        assert_eq!(behind.startable(10, |id| id == webhook(2)), [webhook(1)]);
        behind.released(webhook(1), Released::All);
        assert_eq!(behind.startable(10, |_| false), [webhook(2)]);
        behind.released(webhook(2), Released::NotAll);
        assert_eq!(behind.startable(0, |_| false), []);
        assert_eq!(behind.startable(1, |_| false), [webhook(2)]);
    }
    #[test]
    fn whoever_has_had_a_turn_goes_to_the_end_of_the_line() {
        let mut behind = Behind::default();
        behind.arrived((1..=3).map(webhook).collect());
        let mut turns: Vec<WebhookId> = Vec::new();
        for _ in 0..6 {
            let started = behind.startable(1, |_| false);
            turns.extend(&started);
            behind.arrived(started.clone());
            behind.released(started[0], Released::NotAll);
        }
        assert_eq!(turns, [1, 2, 3, 1, 2, 3].map(webhook));
    }
}
