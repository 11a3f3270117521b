//! One partition of gates: knows which webhooks have something behind their gate, and works off or probes those that may be.
//!
//! It goes by what arrives, not by which gates are up: a fan-out that has not yet seen a gate go down still pushes behind
//! it, and that is worked off all the same. So nothing is stranded.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::health::{Gate, GateReason};
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::delivery_queue::GatePartition;
use fanfare_core::ports::{StoreErrorKind, StoreResult};
use fanfare_core::rate_limit::RateLimit;
use fanfare_runtime::tasks::report;
use futures_util::StreamExt as _;
use futures_util::future::Either;
use futures_util::stream::FuturesUnordered;

use super::pacing::Pacing;
use super::probe;
use super::release::{self, Released};
use crate::context::Context;

/// How many webhooks of a partition are probed at once: a probe is one request, but may take the longest timeout.
const PROBES_AT_ONCE: usize = 64;

/// Looks after a partition until shutdown, or until it goes to another process.
///
/// # Errors
/// When the store fails for good: nobody else would look after the partition while this process has it.
pub(crate) async fn run(context: Arc<Context>, partition: Arc<dyn GatePartition>) -> StoreResult<()> {
    let mut changes = context.registry.changes();
    let mut behind = Behind::default();
    let mut paces = Paces { owned_since: context.clock.monotonic(), by_webhook: HashMap::new() };
    let mut releases = FuturesUnordered::new();
    loop {
        let now = context.clock.monotonic();
        let rooms = Rooms { releases: context.config.max_releases.max(1), probes: PROBES_AT_ONCE };
        let (started, look_again) = behind.startable(&rooms, now, |webhook| may(&context, webhook, now));
        for (webhook, act) in started {
            let pacing = paces.of(&context, webhook, now);
            releases.push(match act {
                Act::Release => Either::Left(release::run(&context, &partition, webhook, pacing)),
                Act::Probe => Either::Right(probe::run(&context, &partition, webhook, pacing)),
            });
        }
        let look_again = async {
            match look_again {
                Some(at) => context.clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
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
            () = look_again => {}
        }
    }
}

/// What may be done with what stands behind a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    /// It may be sent.
    Now(Act),
    /// Not before this time.
    At(Monotonic),
    /// Not until something changes.
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Release,
    Probe,
}

fn may(context: &Context, webhook: WebhookId, now: Monotonic) -> May {
    match context.registry.gate(webhook) {
        Some(GateReason::Paused) => May::Not,
        Some(GateReason::Releasing | GateReason::Congested | GateReason::RateLimit) | None => May::Now(Act::Release),
        Some(GateReason::BreakerOpen) => {
            let Some(served) = context.registry.health(webhook) else { return May::Now(Act::Release) };
            let Some(Gate::BreakerOpen { next_probe, .. }) = &served.health.gate else { return May::Not };
            let wait = next_probe.since(context.clock.now());
            if wait.is_zero() { May::Now(Act::Probe) } else { May::At(now.after(wait)) }
        }
    }
}

/// The rates of those gates that have one; they are exact only as long as they are kept.
struct Paces {
    /// Since when nobody else has sent for the webhooks of this partition.
    owned_since: Monotonic,
    by_webhook: HashMap<WebhookId, Arc<Pacing>>,
}

impl Paces {
    fn of(&mut self, context: &Context, webhook: WebhookId, now: Monotonic) -> Option<Arc<Pacing>> {
        let Some(rate) = rate(context, webhook) else {
            self.by_webhook.remove(&webhook);
            return None;
        };
        let known = self.by_webhook.get(&webhook);
        if let Some(pacing) = known.filter(|pacing| pacing.rate() == rate) {
            return Some(Arc::clone(pacing));
        }
        // Of one that is new here it is known that nothing was sent since the partition is ours.
        let since = if known.is_some() { now } else { self.owned_since };
        let pacing = Pacing::new(rate, since);
        self.by_webhook.insert(webhook, Arc::clone(&pacing));
        Some(pacing)
    }
}

/// The slower one of the webhook's own rate and that of its release.
fn rate(context: &Context, webhook: WebhookId) -> Option<RateLimit> {
    let own = context.registry.webhook(webhook).and_then(|served| served.webhook.rate_limit);
    let release = context.registry.health(webhook).and_then(|served| match &served.health.gate {
        Some(Gate::Releasing { rate, .. }) => rate.and_then(|rate| RateLimit::new(rate.into(), 1, 1).ok()),
        Some(Gate::Paused { .. } | Gate::Congested { .. } | Gate::BreakerOpen { .. }) | None => None,
    });
    match (own, release) {
        (Some(own), Some(release)) if own.interval() > release.interval() => Some(own),
        (own, release) => release.or(own),
    }
}

/// How many of each may be under way at once.
struct Rooms {
    releases: usize,
    probes: usize,
}

/// Which webhooks have something behind their gate.
#[derive(Debug, Default)]
struct Behind {
    /// Those that nothing is being done with, in the order in which they came to wait: each has its turn.
    line: VecDeque<WebhookId>,
    /// Whoever is in the line.
    waiting: HashSet<WebhookId>,
    /// Those of the line for which it is no use to look before a time.
    not_before: HashMap<WebhookId, Monotonic>,
    /// Those that are being worked off or probed.
    under_way: HashMap<WebhookId, Act>,
    /// Those of the latter that more has arrived for.
    again: HashSet<WebhookId>,
}

impl Behind {
    fn arrived(&mut self, webhooks: Vec<WebhookId>) {
        for webhook in webhooks {
            if self.under_way.contains_key(&webhook) {
                self.again.insert(webhook);
            } else {
                self.wait(webhook);
            }
        }
    }

    fn released(&mut self, webhook: WebhookId, released: Released) {
        self.under_way.remove(&webhook);
        let more = self.again.remove(&webhook);
        match released {
            Released::All if !more => {}
            Released::All | Released::NotAll => self.wait(webhook),
            Released::NotBefore(at) => {
                self.not_before.insert(webhook, at);
                self.wait(webhook);
            }
        }
    }

    fn wait(&mut self, webhook: WebhookId) {
        if self.waiting.insert(webhook) {
            self.line.push_back(webhook);
        }
    }

    /// Begins with those that may be, first come, first served, as many as there is room for. Returns them, and when it is to
    /// be looked again at the latest.
    fn startable(
        &mut self,
        rooms: &Rooms,
        now: Monotonic,
        may: impl Fn(WebhookId) -> May,
    ) -> (Vec<(WebhookId, Act)>, Option<Monotonic>) {
        let (mut started, mut look_again) = (Vec::new(), None::<Monotonic>);
        let used = |act| self.under_way.values().filter(|under_way| **under_way == act).count();
        let mut releases = rooms.releases.saturating_sub(used(Act::Release));
        let mut probes = rooms.probes.saturating_sub(used(Act::Probe));
        let not_before = &mut self.not_before;
        self.line.retain(|webhook| {
            let may = match not_before.get(webhook) {
                Some(at) if *at > now => May::At(*at),
                Some(_) | None => may(*webhook),
            };
            let act = match may {
                May::Not => return true,
                May::At(at) => {
                    look_again = Some(look_again.map_or(at, |earliest| earliest.min(at)));
                    return true;
                }
                May::Now(act) => act,
            };
            let room = match act {
                Act::Release => &mut releases,
                Act::Probe => &mut probes,
            };
            if *room == 0 {
                return true;
            }
            *room -= 1;
            not_before.remove(webhook);
            started.push((*webhook, act));
            false
        });
        for (webhook, act) in &started {
            self.waiting.remove(webhook);
            self.under_way.insert(*webhook, *act);
        }
        (started, look_again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(number: u8) -> WebhookId {
        WebhookId::from_bytes([number; 16])
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    fn releases(behind: &mut Behind, room: usize, may: impl Fn(WebhookId) -> May) -> Vec<WebhookId> {
        let (started, _) = behind.startable(&Rooms { releases: room, probes: 1 }, at(10), may);
        started.into_iter().map(|(webhook, _)| webhook).collect()
    }

    fn all(_: WebhookId) -> May {
        May::Now(Act::Release)
    }

    #[test]
    fn what_arrives_while_a_gate_is_worked_off_is_looked_at_again() {
        let but_two = |id| if id == webhook(2) { May::Not } else { all(id) };
        let mut behind = Behind::default();
        behind.arrived(vec![webhook(1), webhook(2)]);
        assert_eq!(releases(&mut behind, 10, but_two), [webhook(1)]);
        assert!(releases(&mut behind, 10, but_two).is_empty());
        behind.arrived(vec![webhook(1)]);
        assert!(releases(&mut behind, 10, but_two).is_empty(), "one at a time for each webhook");
        behind.released(webhook(1), Released::All);
        assert_eq!(releases(&mut behind, 10, but_two), [webhook(1)]);
        behind.released(webhook(1), Released::All);
        assert_eq!(releases(&mut behind, 10, all), [webhook(2)]);
        behind.released(webhook(2), Released::NotAll);
        assert_eq!(releases(&mut behind, 0, all), []);
        assert_eq!(releases(&mut behind, 1, all), [webhook(2)]);
    }

    #[test]
    fn whoever_has_had_a_turn_goes_to_the_end_of_the_line() {
        let mut behind = Behind::default();
        behind.arrived((1..=3).map(webhook).collect());
        let mut turns: Vec<WebhookId> = Vec::new();
        for _ in 0..6 {
            let started = releases(&mut behind, 1, all);
            turns.extend(&started);
            behind.arrived(started.clone());
            behind.released(started[0], Released::NotAll);
        }
        assert_eq!(turns, [1, 2, 3, 1, 2, 3].map(webhook));
    }

    #[test]
    fn what_may_not_go_yet_is_looked_at_when_the_first_of_it_may_and_holds_up_nobody() {
        let mut behind = Behind::default();
        behind.arrived((1..=4).map(webhook).collect());
        let probes = |id| match id {
            id if id == webhook(1) => May::At(at(30)),
            id if id == webhook(2) => May::At(at(20)),
            id if id == webhook(3) => May::Now(Act::Probe),
            id => all(id),
        };
        let rooms = Rooms { releases: 1, probes: 1 };
        let (started, look_again) = behind.startable(&rooms, at(10), probes);
        assert_eq!(started, [(webhook(3), Act::Probe), (webhook(4), Act::Release)]);
        assert_eq!(look_again, Some(at(20)));
        behind.released(webhook(4), Released::NotBefore(at(15)));
        let (started, look_again) = behind.startable(&rooms, at(11), probes);
        assert_eq!((started, look_again), (vec![], Some(at(15))));
        let (started, _) = behind.startable(&rooms, at(15), probes);
        assert_eq!(started, [(webhook(4), Act::Release)]);
    }
}
