//! A token bucket in one number: the time at which it will be full again (the generic cell rate algorithm, ITU-T I.371).

use std::num::NonZeroU32;
use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::event::MAX_BATCH_EVENTS;

use super::OverQuota;

/// How fast buckets fill, and how much they hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    per_second: NonZeroU32,
    /// How long an empty bucket takes to fill.
    fill: Duration,
}

impl Rate {
    /// `None` for a rate of zero, which stands for no limit. A bucket holds a full batch at least.
    pub(super) fn new(per_second: u32, burst: u32) -> Option<Self> {
        let per_second = NonZeroU32::new(per_second)?;
        let largest_batch = u32::try_from(MAX_BATCH_EVENTS).unwrap_or(u32::MAX);
        let mut rate = Self { per_second, fill: Duration::ZERO };
        rate.fill = rate.time_of(burst.max(largest_batch));
        Some(rate)
    }

    /// A tenth of what a bucket holds, at least 1.
    pub(super) fn tenth(&self) -> u32 {
        (self.tokens_in(self.fill) / 10).max(1)
    }

    /// How many tokens come in that time, rounded down.
    fn tokens_in(&self, time: Duration) -> u32 {
        let tokens = time.as_nanos() * u128::from(self.per_second.get()) / 1_000_000_000;
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }

    /// How long these tokens take to come, rounded up to the nanosecond, so that the rate is never exceeded.
    fn time_of(&self, tokens: u32) -> Duration {
        Duration::from_nanos((u64::from(tokens) * 1_000_000_000).div_ceil(u64::from(self.per_second.get())))
    }
}

/// One project's tokens. The default is full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    full_at: Monotonic,
}

impl Bucket {
    pub(super) fn is_full(&self, now: Monotonic) -> bool {
        self.full_at <= now
    }

    /// Takes all of the tokens, or none.
    pub(super) fn take(&mut self, tokens: u32, rate: &Rate, now: Monotonic) -> Result<(), OverQuota> {
        self.go_by(rate, now);
        let full_at = self.full_at.after(rate.time_of(tokens));
        if full_at.since(now) <= rate.fill {
            self.full_at = full_at;
            return Ok(());
        }
        Err(OverQuota { retry_after: self.wait_for(tokens, rate, now) })
    }

    /// Takes as many tokens as there are, at most `most`, which is at least one.
    ///
    /// # Errors
    /// There is none: how long it takes until there is.
    pub(super) fn take_up_to(&mut self, most: u32, rate: &Rate, now: Monotonic) -> Result<u32, Duration> {
        self.go_by(rate, now);
        let left = rate.fill.saturating_sub(self.full_at.since(now));
        match rate.tokens_in(left).min(most) {
            0 => Err(self.missing(1, rate, now)),
            tokens => {
                self.full_at = self.full_at.after(rate.time_of(tokens));
                Ok(tokens)
            }
        }
    }

    /// Emptier than empty it can only be by the measure of a slower rate, or a larger bucket, that was in force before. From now
    /// on it fills at this rate, also when tokens are refused.
    fn go_by(&mut self, rate: &Rate, now: Monotonic) {
        self.full_at = self.full_at.clamp(now, now.after(rate.fill));
    }

    /// Whole seconds until these tokens are there, if nobody takes any.
    pub(super) fn wait_for(&self, tokens: u32, rate: &Rate, now: Monotonic) -> u32 {
        let missing = self.missing(tokens, rate, now);
        let seconds = missing.as_secs() + u64::from(missing.subsec_nanos() > 0);
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    fn missing(&self, tokens: u32, rate: &Rate, now: Monotonic) -> Duration {
        self.full_at.max(now).after(rate.time_of(tokens)).since(now).saturating_sub(rate.fill)
    }

    /// Undoes a [`Self::take`].
    pub(super) fn give_back(&mut self, tokens: u32, rate: &Rate) {
        self.full_at = Monotonic(self.full_at.0.saturating_sub(rate.time_of(tokens)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is asked for and when: no more passes than the burst and what has come in since; and who comes back
        /// when told to gets what he asked for.
        #[test]
        fn never_more_than_the_rate_and_never_told_to_wait_in_vain(
            per_second in 1u32..100_000,
            burst in 500u32..50_000,
            asks in prop::collection::vec((0u64..5_000, 1u32..=500), 1..200),
        ) {
            let rate = Rate::new(per_second, burst).unwrap();
            let (mut bucket, mut now, mut passed) = (Bucket::default(), Monotonic::default(), 0u64);
            for (millis, tokens) in asks {
                now = now.after(Duration::from_millis(millis));
                match bucket.take(tokens, &rate, now) {
                    Ok(()) => passed += u64::from(tokens),
                    Err(OverQuota { retry_after }) => {
                        prop_assert!(retry_after >= 1);
                        let mut later = bucket;
                        let then = now.after(Duration::from_secs(u64::from(retry_after)));
                        prop_assert_eq!(later.take(tokens, &rate, then), Ok(()));
                    }
                }
                let come_in = now.0.as_millis() * u128::from(per_second) / 1000;
                prop_assert!(u128::from(passed) <= u128::from(burst) + come_in + 1);
            }
        }

        /// The same of who takes what there is: he takes all of it, and finds a token after exactly the time that he is told.
        #[test]
        fn what_there_is_is_taken_and_the_wait_for_more_is_exact(
            per_second in 1u32..100_000,
            burst in 500u32..50_000,
            asks in prop::collection::vec((0u64..500, 1u32..=64), 1..200),
        ) {
            let rate = Rate::new(per_second, burst).unwrap();
            let (mut bucket, mut now, mut passed) = (Bucket::default(), Monotonic::default(), 0u64);
            for (millis, most) in asks {
                now = now.after(Duration::from_millis(millis));
                match bucket.take_up_to(most, &rate, now) {
                    Ok(taken) => {
                        prop_assert!((1..=most).contains(&taken));
                        let mut rest = bucket;
                        prop_assert!(taken == most || rest.take(1, &rate, now).is_err());
                        passed += u64::from(taken);
                    }
                    Err(wait) => {
                        let mut later = bucket;
                        prop_assert!(later.take(1, &rate, now.after(wait.saturating_sub(Duration::from_nanos(1)))).is_err());
                        prop_assert_eq!(later.take_up_to(most, &rate, now.after(wait)), Ok(1));
                    }
                }
                let come_in = now.0.as_millis() * u128::from(per_second) / 1000;
                prop_assert!(u128::from(passed) <= u128::from(burst) + come_in + 1);
            }
        }

        /// Unused time is not saved up beyond the burst, and used tokens come back.
        #[test]
        fn a_bucket_holds_the_burst_and_no_more(per_second in 1u32..100_000, burst in 500u32..50_000, pause in 0u64..10_000) {
            let rate = Rate::new(per_second, burst).unwrap();
            let mut bucket = Bucket::default();
            let now = Monotonic(Duration::from_secs(pause));
            prop_assert_eq!(bucket.take(burst, &rate, now), Ok(()));
            prop_assert!(bucket.take(1, &rate, now).is_err());
            prop_assert!(!bucket.is_full(now));
            bucket.give_back(burst, &rate);
            prop_assert!(bucket.is_full(now));
        }
    }
}
