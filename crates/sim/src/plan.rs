//! What a seed decides beforehand: how large the world is, what is published when, how receivers behave, what goes wrong.
//!
//! Worlds are small: a fault in a large one is found as well in a small one, and sooner.

use std::time::Duration;

use fanfare_core::rate_limit::RateLimit;
use fanfare_core::retry::RetrySchedule;
use fanfare_delivery::{DedupOnUnavailable, DeliveryConfig};
use fanfare_fanout::FanoutConfig;
use fanfare_runtime::Span;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::client::Server;

/// How a receiver behaves for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// 200 after so long.
    Well(Duration),
    /// This status, at once.
    Status(u16),
    /// 429 with `Retry-After` in seconds.
    ComeBackIn(u32),
    /// No answer before any timeout.
    Hangs,
    /// The connection breaks.
    Resets,
    /// 200 after so long for so many at once, 429 for the others.
    Serves(usize, Duration),
}

#[derive(Clone, Debug)]
pub(crate) struct WebhookPlan {
    pub(crate) delays: Vec<u32>,
    pub(crate) timeout: u64,
    pub(crate) rate: Option<RateLimit>,
    /// From when on which behaviour.
    pub(crate) behaves: Vec<(Duration, Behaviour)>,
}

impl WebhookPlan {
    pub(crate) fn schedule(&self) -> RetrySchedule {
        RetrySchedule::custom(&self.delays).unwrap_or(RetrySchedule::Kapso)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct EventPlan {
    pub(crate) at: Duration,
    /// In how long it expires.
    pub(crate) expires_in: Option<Duration>,
}

/// Something that happens at its time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// A process dies and another takes its place.
    Crash { slot: usize, down: Duration },
    /// A process is told to stop, and another takes its place.
    Restart { slot: usize },
    /// A process stands still.
    Freeze { slot: usize, lasting: Duration },
    /// A server does not answer.
    Away { server: Server, lasting: Duration },
    /// The claims are lost.
    EmptyClaims,
    /// A server forgets that something is leased, while the holder knows nothing of it.
    ForgetLease { which: usize },
    /// A partition of gates passes on, while its owner knows nothing of it.
    ForgetOwner { partition: u16 },
    /// A wall clock jumps: a process's, or the servers'.
    Jump { slot: Option<usize>, millis: i64 },
    /// Its owner deactivates a webhook.
    Pause { webhook: usize },
    /// Its owner activates it.
    Activate { webhook: usize },
    /// Its owner deletes it.
    Delete { webhook: usize },
}

/// Something that happens between two steps of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trigger {
    pub(crate) slot: usize,
    /// At this one of its calls about a delivery.
    pub(crate) call: u32,
    /// After the server has done it, or before.
    pub(crate) after: bool,
    pub(crate) then: Then,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    Crash { down: Duration },
    Freeze { lasting: Duration },
}

/// What befalls calls by chance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    /// How many of a thousand calls do not arrive.
    pub(crate) lost: u32,
    /// How many of a thousand answers do not arrive.
    pub(crate) unanswered: u32,
    /// How many of a thousand take longer.
    pub(crate) slow: u32,
    /// How much longer, at most.
    pub(crate) slowest: Duration,
}

/// What happens in one world, and when: all of it follows from the seed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) seed: u64,
    pub(crate) slots: usize,
    pub(crate) webhooks: Vec<WebhookPlan>,
    pub(crate) events: Vec<EventPlan>,
    pub(crate) acts: Vec<(Duration, Act)>,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) noise: Noise,
    pub(crate) delivery: DeliveryConfig,
    pub(crate) fanout: FanoutConfig,
    pub(crate) gate_partitions: u16,
    /// Whether requests alone are noted, of which there are many.
    pub(crate) requests_only: bool,
    /// From then on nothing goes wrong any more.
    pub(crate) heals: Duration,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let rng = &mut rng;
        let heals = seconds(rng, 20..90);
        let slots = rng.random_range(1..=3);
        let webhooks: Vec<WebhookPlan> = (0..rng.random_range(1..=4)).map(|_| webhook(rng, heals)).collect();
        let acts = (0..rng.random_range(0..=6)).map(|_| (seconds_below(rng, heals), act(rng, slots, webhooks.len())));
        let acts = acts.collect();
        let triggers = (0..rng.random_range(0..=4)).map(|_| trigger(rng, slots)).collect();
        Self {
            seed,
            slots,
            events: events(rng, heals),
            acts,
            triggers,
            noise: noise(rng),
            delivery: delivery(rng),
            fanout: FanoutConfig { batch_events: 4, push_deliveries: 3, ..FanoutConfig::default() },
            requests_only: false,
            gate_partitions: rng.random_range(1..=4),
            webhooks,
            heals,
        }
    }
}

fn seconds(rng: &mut StdRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range.start * 1000..range.end * 1000))
}

fn seconds_below(rng: &mut StdRng, end: Duration) -> Duration {
    Duration::from_millis(rng.random_range(0..u64::try_from(end.as_millis()).unwrap_or(1).max(1)))
}

/// Short, beyond a partition's lease, beyond a delivery's, beyond a claim.
fn standstill(rng: &mut StdRng) -> Duration {
    match rng.random_range(0..6) {
        0 | 1 => seconds(rng, 0..4),
        2 | 3 => seconds(rng, 5..9),
        4 => seconds(rng, 10..20),
        _ => seconds(rng, 40..70),
    }
}

fn webhook(rng: &mut StdRng, heals: Duration) -> WebhookPlan {
    let delays = (0..rng.random_range(1..=5)).map(|_| rng.random_range(1..=12)).collect();
    let mut behaves = vec![(Duration::ZERO, behaviour(rng))];
    for _ in 0..rng.random_range(0..=3) {
        behaves.push((seconds_below(rng, heals), behaviour(rng)));
    }
    behaves.sort_by_key(|(from, _)| *from);
    let limited = rng.random_range(0..5) == 0;
    let rate = (rng.random_range(1..=5), rng.random_range(1..=3), rng.random_range(1..=3));
    let rate = RateLimit::new(rate.0, rate.1, rate.2).ok().filter(|_| limited);
    WebhookPlan { delays, timeout: rng.random_range(1..=8), rate, behaves }
}

fn behaviour(rng: &mut StdRng) -> Behaviour {
    match rng.random_range(0..12) {
        0..=3 => Behaviour::Well(Duration::from_millis(rng.random_range(0..200))),
        4 => Behaviour::Well(Duration::from_millis(rng.random_range(500..4_000))),
        5 => Behaviour::Status([500, 502, 503, 404, 301][rng.random_range(0..5)]),
        6 => Behaviour::Status(429),
        7 => Behaviour::ComeBackIn(rng.random_range(1..20)),
        8 => Behaviour::Status(410),
        9 => Behaviour::Hangs,
        10 => Behaviour::Resets,
        _ => Behaviour::Serves(rng.random_range(1..=4), Duration::from_millis(rng.random_range(10..500))),
    }
}

/// Some in bursts, since it takes several at once to raise a gate.
fn events(rng: &mut StdRng, heals: Duration) -> Vec<EventPlan> {
    let mut events = Vec::new();
    for _ in 0..rng.random_range(1..=6) {
        let at = seconds_below(rng, heals);
        for _ in 0..rng.random_range(1..=8) {
            let at = at + Duration::from_millis(rng.random_range(0..300));
            let expires_in = (rng.random_range(0..10) == 0).then(|| seconds(rng, 1..40));
            events.push(EventPlan { at, expires_in });
        }
    }
    events.sort_by_key(|event| event.at);
    events
}

fn act(rng: &mut StdRng, slots: usize, webhooks: usize) -> Act {
    let (slot, webhook) = (rng.random_range(0..slots), rng.random_range(0..webhooks));
    match rng.random_range(0..20) {
        0..=2 => Act::Crash { slot, down: seconds(rng, 0..15) },
        3 | 4 => Act::Restart { slot },
        5..=7 => Act::Freeze { slot, lasting: standstill(rng) },
        8 | 9 => Act::Away { server: Server::Streams, lasting: seconds(rng, 0..20) },
        10 => Act::Away { server: Server::Claims, lasting: seconds(rng, 0..20) },
        11 => Act::EmptyClaims,
        12 => Act::ForgetLease { which: rng.random_range(0..4) },
        13 => Act::ForgetOwner { partition: rng.random_range(0..4) },
        14 | 15 => {
            let millis = rng.random_range(-30_000..30_000);
            Act::Jump { slot: (rng.random_range(0..3) > 0).then_some(slot), millis }
        }
        16 | 17 => Act::Pause { webhook },
        18 => Act::Activate { webhook },
        _ => Act::Delete { webhook },
    }
}

fn trigger(rng: &mut StdRng, slots: usize) -> Trigger {
    let then = match rng.random_range(0..3) {
        0 => Then::Freeze { lasting: standstill(rng) },
        _ => Then::Crash { down: seconds(rng, 0..15) },
    };
    Trigger { slot: rng.random_range(0..slots), call: rng.random_range(1..150), after: rng.random(), then }
}

fn noise(rng: &mut StdRng) -> Noise {
    let bad = rng.random_range(0..3);
    Noise {
        lost: [0, 0, 20][bad],
        unanswered: [0, 5, 20][bad],
        slow: [0, 100, 300][rng.random_range(0..3)],
        slowest: Duration::from_millis([5, 200, 3_000][rng.random_range(0..3)]),
    }
}

fn delivery(rng: &mut StdRng) -> DeliveryConfig {
    let waits = rng.random_range(0..4) == 0;
    DeliveryConfig {
        max_in_flight: rng.random_range(2..=12),
        lease_batch: rng.random_range(1..=4),
        lane_limit: [1, 1, 2, 4][rng.random_range(0..4)],
        max_releases: rng.random_range(1..=3),
        breaker_failures: rng.random_range(2..=10),
        probe_longest: Span::from_secs(rng.random_range(1..=20)),
        pause_after: Span::from_secs([20, 60, 5 * 24 * 3600][rng.random_range(0..3)]),
        dedup_on_unavailable: if waits { DedupOnUnavailable::Wait } else { DedupOnUnavailable::Deliver },
        ..DeliveryConfig::default()
    }
}
