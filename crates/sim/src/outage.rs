//! One long outage, on the virtual clock: a receiver that is down for hours while much is published for it, and then back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::attempt::OutcomeClass;
use fanfare_delivery::DeliveryConfig;
use fanfare_fanout::FanoutConfig;
use fanfare_telemetry::Metrics;

use crate::plan::{Behaviour, EventPlan, Noise, Plan, WebhookPlan};
use crate::trace::Fact;
use crate::world::World;

/// An outage of one receiver, and what is published for it meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// How many events are published, evenly, in bursts.
    pub events: usize,
    /// How many of them come together.
    pub burst: usize,
    /// How long the receiver is down; it is so from the first burst on.
    pub lasts: Duration,
    /// How long it takes for an answer when it is back.
    pub answers_in: Duration,
}

/// How it was weathered.
#[derive(Clone, Debug)]
pub struct Weathered {
    /// When each request was made that came to nothing, since the start.
    pub failed: Vec<Duration>,
    /// When each was made that succeeded.
    pub succeeded: Vec<Duration>,
    /// When each of those began: how many were under way, itself included, and how many had been answered well by then.
    pub pace: Vec<(usize, usize)>,
    /// The most requests under way at once while the receiver was down, after the first minute.
    pub most_probes_at_once: usize,
    /// How many events were received.
    pub received: usize,
    /// How many leases there were at once at most: what the processes held of the deliveries.
    pub most_leased: usize,
    /// Whether every delivery has ended within the time.
    pub all_ended: bool,
    /// When that was looked at.
    pub ended_by: Duration,
}

impl Outage {
    /// Plays it with two processes; everything has to end within `patience` after the receiver is back.
    pub fn play(&self, seed: u64, delivery: &DeliveryConfig, patience: Duration) -> Weathered {
        let world = World::new(self.plan(seed, delivery), Arc::new(|ports| ports), Metrics::new("outage"));
        let all_ended = world.play_until_all_has_ended(Duration::from_secs(5), self.lasts + patience);
        let ended_by = world.stage.now().0;
        let most_leased = world.servers.read(|data, _| data.copies.most_leased());
        let mut weathered = Weathered {
            failed: Vec::new(),
            succeeded: Vec::new(),
            pace: Vec::new(),
            most_probes_at_once: 0,
            received: 0,
            most_leased,
            all_ended,
            ended_by,
        };
        self.read(&world.take_trace().0, &mut weathered);
        weathered
    }

    fn read(&self, trace: &[(Duration, Fact)], weathered: &mut Weathered) {
        let outcomes: std::collections::BTreeMap<usize, OutcomeClass> = trace
            .iter()
            .filter_map(|(_, fact)| match fact {
                Fact::Answered { post, outcome } => Some((*post, *outcome)),
                _ => None,
            })
            .collect();
        let (mut received, mut under_way, mut answered) = (BTreeSet::new(), 0_usize, 0);
        for (at, fact) in trace {
            match fact {
                Fact::Sent(sent) => {
                    under_way += 1;
                    if outcomes.get(&sent.post) == Some(&OutcomeClass::Success) {
                        weathered.succeeded.push(*at);
                        weathered.pace.push((under_way, answered));
                        received.insert(sent.event);
                        continue;
                    }
                    weathered.failed.push(*at);
                    if *at > Duration::from_secs(60) && *at < self.lasts {
                        weathered.most_probes_at_once = weathered.most_probes_at_once.max(under_way);
                    }
                }
                Fact::Answered { outcome, .. } => {
                    under_way = under_way.saturating_sub(1);
                    answered += usize::from(*outcome == OutcomeClass::Success);
                }
                _ => {}
            }
        }
        weathered.received = received.len();
    }

    fn plan(&self, seed: u64, delivery: &DeliveryConfig) -> Plan {
        let bursts = self.events.div_ceil(self.burst.max(1)).max(1);
        let apart = self.lasts / u32::try_from(bursts).unwrap_or(u32::MAX);
        let events = (0..self.events).map(|number| {
            let burst = u32::try_from(number / self.burst.max(1)).unwrap_or(u32::MAX);
            EventPlan { at: Duration::from_secs(1) + apart * burst, expires_in: None }
        });
        let behaves = vec![(Duration::ZERO, Behaviour::Status(503)), (self.lasts, Behaviour::Well(self.answers_in))];
        Plan {
            seed,
            slots: 2,
            webhooks: vec![WebhookPlan { delays: vec![60; 20], timeout: 10, rate: None, behaves }],
            events: events.collect(),
            acts: Vec::new(),
            triggers: Vec::new(),
            noise: Noise { lost: 0, unanswered: 0, slow: 0, slowest: Duration::ZERO },
            delivery: delivery.clone(),
            fanout: FanoutConfig::default(),
            gate_partitions: 4,
            requests_only: true,
            heals: Duration::MAX,
        }
    }
}
