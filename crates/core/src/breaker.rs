//! When a webhook's circuit breaker opens, and when it is probed: the rules, pure.
//!
//! A breaker opens on failures that leave no doubt: so many one after the other, or so large a share of the attempts of a
//! window. While it is open nothing is sent but one probe at a time, at growing intervals; a probe that succeeds closes it.
//! Each worker counts what it has sent itself; whoever sees enough raises the gate for all.

use std::collections::VecDeque;
use std::time::Duration;

use rand::{Rng, RngExt as _};

use crate::attempt::OutcomeClass;
use crate::clock::Monotonic;

/// When a breaker opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tripping {
    /// So many failures without a success between them; at least 1.
    pub consecutive: u32,
    /// The window over which the share of failures is looked at.
    pub window: Duration,
    /// So many attempts have to be in the window before their share says anything.
    pub attempts: u32,
    /// The share of failures, in percent, from which on it opens: 1 to 100.
    pub percent: u32,
}

/// What an attempt says about a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Works,
    Fails,
    /// It is up, and wants less: fewer requests at once are the answer to that, unless nothing else comes from it.
    Refuses,
}

fn sign(outcome: OutcomeClass) -> Sign {
    match outcome {
        OutcomeClass::Success => Sign::Works,
        OutcomeClass::RateLimited => Sign::Refuses,
        OutcomeClass::Redirect
        | OutcomeClass::Gone
        | OutcomeClass::ClientError
        | OutcomeClass::ServerError
        | OutcomeClass::Dns
        | OutcomeClass::EgressDenied
        | OutcomeClass::Connect
        | OutcomeClass::Tls
        | OutcomeClass::Timeout
        | OutcomeClass::Reset
        | OutcomeClass::InvalidResponse => Sign::Fails,
    }
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    since: Monotonic,
    attempts: u32,
    failures: u32,
}

/// Counts the attempts made for one webhook.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    consecutive: u32,
    /// The window in slices of a tenth, oldest first.
    slices: VecDeque<Slice>,
}

impl Breaker {
    const SLICES: u32 = 10;

    /// Counts an attempt that has just ended. True if the breaker is to open; it counts anew then.
    pub fn count(&mut self, outcome: OutcomeClass, now: Monotonic, tripping: &Tripping) -> bool {
        let sign = sign(outcome);
        match sign {
            Sign::Works => self.consecutive = 0,
            Sign::Fails | Sign::Refuses => self.consecutive = self.consecutive.saturating_add(1),
        }
        if sign != Sign::Refuses {
            self.enter(sign == Sign::Fails, now, tripping.window);
        }
        let trips = self.consecutive >= tripping.consecutive.max(1) || self.too_many_fail(tripping);
        if trips {
            *self = Self::default();
        }
        trips
    }

    fn enter(&mut self, failed: bool, now: Monotonic, window: Duration) {
        while self.slices.front().is_some_and(|slice| now.since(slice.since) >= window) {
            self.slices.pop_front();
        }
        let width = window / Self::SLICES;
        if self.slices.back().is_none_or(|slice| now.since(slice.since) >= width) {
            self.slices.push_back(Slice { since: now, attempts: 0, failures: 0 });
        }
        if let Some(slice) = self.slices.back_mut() {
            slice.attempts = slice.attempts.saturating_add(1);
            slice.failures = slice.failures.saturating_add(u32::from(failed));
        }
    }

    fn too_many_fail(&self, tripping: &Tripping) -> bool {
        let attempts: u64 = self.slices.iter().map(|slice| u64::from(slice.attempts)).sum();
        let failures: u64 = self.slices.iter().map(|slice| u64::from(slice.failures)).sum();
        attempts >= u64::from(tripping.attempts.max(1))
            && failures * 100 >= attempts * u64::from(tripping.percent.max(1))
    }

    /// Whether it remembers nothing that could make it open: then it need not be kept.
    pub fn is_at_rest(&self, now: Monotonic, window: Duration) -> bool {
        let no_failure = |slice: &Slice| slice.failures == 0 || now.since(slice.since) >= window;
        self.consecutive == 0 && self.slices.iter().all(no_failure)
    }
}

/// The intervals between probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probing {
    /// The first, doubled from one to the next.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Probing {
    /// A webhook is well again for good when it has been so for this many times the interval after which it was found to be.
    const WELL_FOR: u32 = 10;

    /// How long after probe number `made` (0: after opening) the next one is made: up to a fifth more or less than its place in
    /// the doubling row, so that breakers which opened together do not probe together.
    pub fn interval(&self, made: u32, rng: &mut dyn Rng) -> Duration {
        self.doubled(made).mul_f64(rng.random_range(0.8..=1.2))
    }

    /// Where in the row a breaker begins that opens again, `well_for` after the probe that closed it, which was probe number
    /// `made`: one further, as if that had failed, unless the webhook has been well for good. So the intervals of one that takes
    /// the probe and fails under its backlog go on growing.
    pub fn begins_again(&self, made: u32, well_for: Duration) -> u32 {
        let for_good = self.doubled(made).saturating_mul(Self::WELL_FOR);
        if well_for >= for_good { 0 } else { made.saturating_add(1) }
    }

    fn doubled(&self, made: u32) -> Duration {
        self.first.saturating_mul(1u32.checked_shl(made).unwrap_or(u32::MAX)).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    const TRIPPING: Tripping = Tripping { consecutive: 10, window: Duration::from_secs(60), attempts: 20, percent: 50 };

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn opens_at_the_tenth_failure_in_a_row_and_counts_anew() {
        let mut breaker = Breaker::default();
        for _ in 0..2 {
            for _ in 0..9 {
                assert!(!breaker.count(OutcomeClass::Timeout, at(1), &TRIPPING));
            }
            assert!(breaker.count(OutcomeClass::RateLimited, at(1), &TRIPPING));
            assert!(breaker.is_at_rest(at(1), TRIPPING.window));
        }
    }

    #[test]
    fn opens_when_half_of_the_window_fails_though_never_ten_in_a_row() {
        let mut breaker = Breaker::default();
        let outcome = |n: u32| if n.is_multiple_of(2) { OutcomeClass::ServerError } else { OutcomeClass::Success };
        let opened = (0..40).position(|n| breaker.count(outcome(n), at(u64::from(n)), &TRIPPING));
        assert_eq!(opened, Some(19), "at the twentieth attempt of the window");
    }

    #[test]
    fn a_third_of_failures_spread_over_hours_opens_nothing() {
        let mut breaker = Breaker::default();
        for n in 0..10_000u64 {
            let outcome = if n.is_multiple_of(3) { OutcomeClass::Reset } else { OutcomeClass::Success };
            assert!(!breaker.count(outcome, at(n), &TRIPPING), "attempt {n}");
            assert!(breaker.slices.len() <= 10);
        }
    }

    #[test]
    fn a_receiver_that_says_now_and_then_that_it_is_too_much_is_not_broken() {
        let mut breaker = Breaker::default();
        for n in 0..1000u64 {
            let outcome = if n % 4 == 0 { OutcomeClass::Success } else { OutcomeClass::RateLimited };
            assert!(!breaker.count(outcome, at(n / 10), &TRIPPING));
        }
    }

    #[test]
    fn what_has_left_the_window_is_forgotten() {
        let mut breaker = Breaker::default();
        breaker.count(OutcomeClass::Reset, at(0), &TRIPPING);
        breaker.count(OutcomeClass::Success, at(1), &TRIPPING);
        assert!(!breaker.is_at_rest(at(2), TRIPPING.window));
        assert!(breaker.is_at_rest(at(61), TRIPPING.window));
    }

    #[test]
    fn one_that_fails_again_and_again_after_its_probe_is_probed_ever_less_until_it_stays_well() {
        let probing = Probing { first: Duration::from_secs(1), longest: Duration::from_secs(20) };
        let flapping = |well_for: u64| {
            let next = |made: &u32| Some(probing.begins_again(*made, Duration::from_secs(well_for)));
            std::iter::successors(Some(0), next).take(8).collect::<Vec<u32>>()
        };
        assert_eq!(flapping(1), [0, 1, 2, 3, 4, 5, 6, 7]);
        // Ten times one second, ten times two: then it begins anew.
        assert_eq!(flapping(9), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(flapping(10), [0; 8]);
        assert_eq!(probing.begins_again(1, Duration::from_secs(19)), 2);
        assert_eq!(probing.begins_again(1, Duration::from_secs(20)), 0);
        // However long the row has become, ten times the longest interval is enough.
        assert_eq!(probing.begins_again(4_000_000_000, Duration::from_secs(199)), 4_000_000_001);
        assert_eq!(probing.begins_again(u32::MAX, Duration::from_secs(199)), u32::MAX);
        assert_eq!(probing.begins_again(u32::MAX, Duration::from_secs(200)), 0);
    }

    #[test]
    fn probes_come_at_doubling_intervals_up_to_the_longest() {
        let probing = Probing { first: Duration::from_secs(1), longest: Duration::from_secs(20) };
        let mut rng = StdRng::seed_from_u64(7);
        for (made, expected) in [(0, 1.0), (1, 2.0), (2, 4.0), (4, 16.0), (5, 20.0), (31, 20.0), (1000, 20.0)] {
            let interval = probing.interval(made, &mut rng).as_secs_f64();
            assert!((expected * 0.8..=expected * 1.2).contains(&interval), "{made}: {interval}");
        }
    }
}
