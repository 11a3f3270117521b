//! What comes next for a delivery after an attempt: the rules, pure.

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DueReason, End, Next, Place};
use fanfare_core::health::GateReason;
use fanfare_core::retry::RetrySchedule;
use rand::Rng;

/// An attempt and what bears on what follows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempted<'a> {
    /// What came of it.
    pub(crate) outcome: OutcomeClass,
    /// Its number, from 1.
    pub(crate) number: u32,
    /// When it ended.
    pub(crate) at: Timestamp,
    /// The earliest next attempt, by the receiver's `Retry-After`.
    pub(crate) retry_after: Option<Timestamp>,
    /// When the delivery expires.
    pub(crate) expires_at: Option<Timestamp>,
    /// The webhook's schedule.
    pub(crate) schedule: &'a RetrySchedule,
}

/// What comes next. For [`OutcomeClass::Gone`] the webhook's gate has to be up before this is recorded.
pub(crate) fn next(attempted: &Attempted<'_>, rng: &mut dyn Rng) -> Next {
    match attempted.outcome {
        OutcomeClass::Success => Next::End { end: End::Delivered },
        // It waits however often it has failed: when the webhook is activated, this delivery is what shows whether the
        // receiver is back.
        OutcomeClass::Gone => Next::Move(Place::Gated { reason: GateReason::Paused }),
        OutcomeClass::Redirect
        | OutcomeClass::RateLimited
        | OutcomeClass::ClientError
        | OutcomeClass::ServerError
        | OutcomeClass::Dns
        | OutcomeClass::EgressDenied
        | OutcomeClass::Connect
        | OutcomeClass::Tls
        | OutcomeClass::Timeout
        | OutcomeClass::Reset
        | OutcomeClass::InvalidResponse => after_failure(attempted, rng),
    }
}

fn after_failure(attempted: &Attempted<'_>, rng: &mut dyn Rng) -> Next {
    let Some(delay) = attempted.schedule.delay_after(attempted.number, rng) else {
        return Next::End { end: End::Exhausted };
    };
    let scheduled = attempted.at.after(delay);
    let (at, reason) = match attempted.retry_after {
        Some(earliest) if earliest > scheduled => (earliest, DueReason::RetryAfter),
        Some(_) | None => (scheduled, DueReason::Retry),
    };
    match attempted.expires_at {
        Some(expiry) if at >= expiry => Next::End { end: End::Expired },
        Some(_) | None => Next::Move(Place::Due { at, reason }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const NOW: Timestamp = Timestamp::EPOCH;

    fn failures() -> impl Strategy<Value = OutcomeClass> {
        let failures: Vec<OutcomeClass> = OutcomeClass::ALL
            .into_iter()
            .filter(|outcome| !matches!(outcome, OutcomeClass::Success | OutcomeClass::Gone))
            .collect();
        proptest::sample::select(failures)
    }

    fn schedules() -> impl Strategy<Value = RetrySchedule> {
        prop_oneof![
            Just(RetrySchedule::Standard),
            Just(RetrySchedule::Kapso),
            proptest::collection::vec(1u32..86_400, 1..20).prop_map(|delays| RetrySchedule::custom(&delays).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn a_failure_is_retried_by_the_schedule_but_never_early_nor_after_its_expiry(
            outcome in failures(),
            schedule in schedules(),
            number in 1u32..25,
            retry_after in proptest::option::of(1u64..86_400),
            expires_in in proptest::option::of(1u64..200_000),
            seed: u64,
        ) {
            let retry_after = retry_after.map(|seconds| NOW.after(Duration::from_secs(seconds)));
            let expires_at = expires_in.map(|seconds| NOW.after(Duration::from_secs(seconds)));
            let attempted = Attempted { outcome, number, at: NOW, retry_after, expires_at, schedule: &schedule };
            let drawn = schedule.delay_after(number, &mut StdRng::seed_from_u64(seed));
            match next(&attempted, &mut StdRng::seed_from_u64(seed)) {
                Next::Move(Place::Due { at, reason }) => {
                    let scheduled = NOW.after(drawn.expect("there is a next attempt"));
                    prop_assert_eq!(at, retry_after.map_or(scheduled, |earliest| earliest.max(scheduled)));
                    prop_assert_eq!(reason == DueReason::RetryAfter, at > scheduled);
                    prop_assert!(expires_at.is_none_or(|expiry| at < expiry));
                }
                Next::End { end: End::Exhausted } => prop_assert_eq!(number >= schedule.attempts(), true),
                Next::End { end: End::Expired } => {
                    let scheduled = NOW.after(drawn.expect("there would be a next attempt"));
                    let earliest = retry_after.map_or(scheduled, |earliest| earliest.max(scheduled));
                    prop_assert!(earliest >= expires_at.expect("it has an expiry"));
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    #[test]
    fn success_ends_and_gone_waits_behind_the_gate_even_after_the_last_attempt() {
        let schedule = RetrySchedule::Kapso;
        let attempted = |outcome| Attempted {
            outcome,
            number: 99,
            at: NOW,
            retry_after: Some(NOW.after(Duration::from_secs(60))),
            expires_at: None,
            schedule: &schedule,
        };
        let mut rng = StdRng::seed_from_u64(1);
        assert_eq!(next(&attempted(OutcomeClass::Success), &mut rng), Next::End { end: End::Delivered });
        let behind = Next::Move(Place::Gated { reason: GateReason::Paused });
        assert_eq!(next(&attempted(OutcomeClass::Gone), &mut rng), behind);
        assert_eq!(next(&attempted(OutcomeClass::Timeout), &mut rng), Next::End { end: End::Exhausted });
    }
}
