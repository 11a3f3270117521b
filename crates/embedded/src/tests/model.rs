//! The queue against a model of it: whatever is done, in whatever order, with hardly anything in memory, the oldest
//! delivery that may be leased is the one that is, and none is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare_core::clock::{Clock, Monotonic};
use fanfare_core::delivery::{Delivery, DueReason, End, Next, Place as Stand, Settlement};
use fanfare_core::ports::DeliveryQueue;
use fanfare_core::ports::delivery_queue::{Lease, Push, Settling};
use fanfare_testkit::conformance::fixtures::{delivery, soon, webhook};
use proptest::prelude::*;

use super::harness::{Place, tiny};
use crate::Embedded;

#[derive(Clone, Debug)]
enum Step {
    Push { waits: u64 },
    Lease { max: usize },
    End { lease: usize },
    Move { lease: usize, waits: u64 },
    Abandon { lease: usize },
    Renew { lease: usize },
    BringForward { which: usize },
    Pass { millis: u64 },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let waits = prop_oneof![Just(0_u64), 1_u64..6000];
    prop_oneof![
        6 => waits.clone().prop_map(|waits| Step::Push { waits }),
        6 => (1_usize..5).prop_map(|max| Step::Lease { max }),
        2 => (0_usize..50).prop_map(|lease| Step::End { lease }),
        2 => (0_usize..50, waits).prop_map(|(lease, waits)| Step::Move { lease, waits }),
        5 => (0_usize..50).prop_map(|lease| Step::Abandon { lease }),
        1 => (0_usize..50).prop_map(|lease| Step::Renew { lease }),
        1 => (0_usize..50).prop_map(|which| Step::BringForward { which }),
        2 => (1_u64..4000).prop_map(|millis| Step::Pass { millis }),
        1 => Just(Step::Reopen),
    ]
}

/// A delivery as it ought to stand.
#[derive(Debug)]
struct Standing {
    delivery: Delivery,
    /// From when on it may be leased, in milliseconds.
    at: i64,
    ready: bool,
    leased_until: Option<Monotonic>,
}

/// Deliveries by the order in which they were pushed, which decides between equal times.
struct Model {
    place: Place,
    engine: Option<Embedded>,
    standing: BTreeMap<usize, Standing>,
    leases: Vec<(usize, Lease)>,
    pushed: usize,
}

impl Model {
    fn new() -> Self {
        let place = Place::new(tiny());
        let engine = Some(place.open());
        Self { place, engine, standing: BTreeMap::new(), leases: Vec::new(), pushed: 0 }
    }

    fn engine(&self) -> &Embedded {
        self.engine.as_ref().unwrap()
    }

    fn stand(&self, waits: u64) -> (Stand, i64) {
        let at = self.place.clock.now().after(Duration::from_millis(waits));
        let place = if waits == 0 { Stand::Ready } else { Stand::Due { at, reason: DueReason::Retry } };
        (place, at.as_millis())
    }

    /// Those that may be leased now, oldest first.
    fn leasable(&self) -> Vec<usize> {
        let (now, monotonic) = (self.place.clock.now().as_millis(), self.place.clock.monotonic());
        let free = |standing: &Standing| standing.leased_until.is_none_or(|until| until <= monotonic);
        let mut found: Vec<(i64, usize)> = self
            .standing
            .iter()
            .filter(|(_, standing)| standing.at <= now && free(standing))
            .map(|(number, standing)| (standing.at, *number))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, number)| number).collect()
    }

    /// A lease that the worker has, and whether it is still its own: nobody else was given it.
    fn pick(&mut self, which: usize) -> Option<(usize, Lease)> {
        if self.leases.is_empty() {
            return None;
        }
        let which = which % self.leases.len();
        Some(self.leases.swap_remove(which))
    }

    fn is_current(&self, number: usize, lease: &Lease) -> bool {
        !self.leases.iter().any(|(other, later)| *other == number && later.token > lease.token)
            && self.standing.get(&number).is_some_and(|standing| {
                standing.leased_until.is_some() && standing.delivery.header.hop == lease.delivery.header.hop
            })
    }

    async fn take(&mut self, step: Step) {
        let engine = self.engine().clone();
        match step {
            Step::Push { waits } => {
                let number = self.pushed;
                self.pushed += 1;
                let delivery = delivery(webhook(1), &number.to_string(), self.place.clock.now());
                let (place, at) = self.stand(waits);
                engine
                    .push(vec![Push { delivery: delivery.clone(), place, repeated: true }], Vec::new())
                    .await
                    .unwrap();
                self.standing.insert(number, Standing { delivery, at, ready: waits == 0, leased_until: None });
            }
            Step::Lease { max } => self.lease(&engine, max).await,
            Step::End { lease } => {
                let Some((number, lease)) = self.pick(lease) else { return };
                let current = self.is_current(number, &lease);
                self.settle(&engine, &lease, Next::End { end: End::Delivered }, current).await;
                if current {
                    self.standing.remove(&number);
                }
            }
            Step::Move { lease, waits } => {
                let Some((number, lease)) = self.pick(lease) else { return };
                let current = self.is_current(number, &lease);
                let (place, at) = self.stand(waits);
                self.settle(&engine, &lease, Next::Move(place), current).await;
                if current {
                    let standing = self.standing.get_mut(&number).unwrap();
                    standing.delivery.header.hop = standing.delivery.header.hop.next();
                    (standing.at, standing.ready, standing.leased_until) = (at, waits == 0, None);
                }
            }
            Step::Abandon { lease } => {
                let Some((number, lease)) = self.pick(lease) else { return };
                engine.abandon(&lease).await.unwrap();
                if self.is_current(number, &lease) {
                    self.standing.get_mut(&number).unwrap().leased_until = None;
                }
            }
            Step::Renew { lease } => {
                let Some((number, lease)) = self.pick(lease) else { return };
                let lost = engine.renew(&[lease.token]).await.unwrap();
                assert_eq!(lost.is_empty(), self.is_current(number, &lease));
                if lost.is_empty() {
                    let until = self.place.clock.monotonic().after(self.place.config.lease.get());
                    self.standing.get_mut(&number).unwrap().leased_until = Some(until);
                }
                self.leases.push((number, lease));
            }
            Step::BringForward { which } => self.bring_forward(&engine, which).await,
            Step::Pass { millis } => {
                self.place.clock.advance(Duration::from_millis(millis));
                // The engine notices by itself as soon as anybody asks it anything; so does the model.
                engine.depth().await.unwrap();
                let now = self.place.clock.monotonic();
                for standing in self.standing.values_mut() {
                    standing.leased_until = standing.leased_until.filter(|until| *until > now);
                }
            }
            Step::Reopen => {
                self.leases.clear();
                for standing in self.standing.values_mut() {
                    standing.leased_until = None;
                }
                drop(engine);
                self.engine = None;
                self.engine = Some(self.place.open());
            }
        }
    }

    async fn lease(&mut self, engine: &Embedded, max: usize) {
        let expected = self.leasable();
        if expected.is_empty() {
            return;
        }
        let leases = soon(engine.lease(max)).await.unwrap();
        assert!((1..=max).contains(&leases.len()));
        for (lease, number) in leases.into_iter().zip(expected) {
            let standing = self.standing.get_mut(&number).unwrap();
            assert_eq!(lease.delivery, standing.delivery, "the oldest is leased first");
            assert_eq!(lease.ready_at.as_millis(), standing.at);
            standing.leased_until = Some(lease.until);
            self.leases.push((number, lease));
        }
    }

    async fn settle(&self, engine: &Embedded, lease: &Lease, next: Next, current: bool) {
        let settlement = Settlement { attempt: None, next, at: self.place.clock.now() };
        let expected = if current { Settling::Applied } else { Settling::Superseded };
        assert_eq!(engine.settle(lease, settlement).await.unwrap(), expected);
    }

    async fn bring_forward(&mut self, engine: &Embedded, which: usize) {
        let now = self.place.clock.now();
        let waiting: Vec<usize> = self
            .standing
            .iter()
            .filter(|(_, standing)| !standing.ready && standing.at > now.as_millis() && standing.leased_until.is_none())
            .map(|(number, _)| *number)
            .collect();
        let Some(number) = waiting.get(which % waiting.len().max(1)) else { return };
        let standing = self.standing.get_mut(number).unwrap();
        engine.bring_forward(webhook(1), standing.delivery.header.id, now).await.unwrap();
        standing.delivery.header.hop = standing.delivery.header.hop.next();
        (standing.at, standing.ready) = (now.as_millis(), true);
    }

    /// The counts agree at any time.
    async fn check(&self) {
        let depth = self.engine().depth().await.unwrap();
        let leased = self.standing.values().filter(|standing| standing.leased_until.is_some()).count();
        assert_eq!(depth.in_flight, leased as u64);
        assert_eq!(depth.ready + depth.due_retry, (self.standing.len() - leased) as u64);
    }

    /// In the end everything that stands comes out.
    async fn drain(mut self) {
        self.place.clock.advance(Duration::from_secs(60));
        for standing in self.standing.values_mut() {
            standing.leased_until = None;
        }
        self.leases.clear();
        while !self.standing.is_empty() {
            self.take(Step::Lease { max: 4 }).await;
            while !self.leases.is_empty() {
                self.take(Step::End { lease: 0 }).await;
            }
        }
        self.check().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_oldest_comes_first_and_nothing_is_lost(steps in proptest::collection::vec(step(), 1..70)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut model = Model::new();
            for step in steps {
                model.take(step).await;
                model.check().await;
            }
            model.drain().await;
        });
    }
}
