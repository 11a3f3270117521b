//! The projects' quotas: how many events each may send to this process.

mod bucket;

use std::collections::HashMap;
use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::ids::ProjectId;
use fanfare_core::project::Quotas;
use parking_lot::Mutex;

use crate::config::IngestConfig;
use bucket::{Bucket, Rate};

/// The fewest buckets at which the full ones are looked for.
const SWEEP_AT_LEAST: usize = 64;

/// The longest that a sender is told to wait for a tenth of the burst, in seconds.
const LONGEST_WAIT: u32 = 60;

/// No tokens: come back after this many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverQuota {
    /// Whole seconds until there are enough tokens, if nobody else takes them; at least 1.
    pub(crate) retry_after: u32,
}

/// A bucket for every project that has sent something lately. A full bucket says no more than none, so full ones are
/// removed: the map is never larger than twice the projects that are sending.
#[derive(Debug)]
pub(crate) struct Quota {
    events_per_second: u32,
    burst: u32,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    by_project: HashMap<ProjectId, Bucket>,
    sweep_at: usize,
}

impl Quota {
    pub(crate) fn new(config: &IngestConfig) -> Self {
        let buckets = Buckets { by_project: HashMap::new(), sweep_at: SWEEP_AT_LEAST };
        Self { events_per_second: config.events_per_second, burst: config.burst, buckets: Mutex::new(buckets) }
    }

    /// Takes the first event's token. `quotas` are the project's own.
    ///
    /// Where not even that one is there, nobody knows yet how many events there are, and all senders of the project wait:
    /// they are told to come back when a tenth of the burst is there, or one by one they would take each token as it comes.
    pub(crate) fn take_one(&self, project: &ProjectId, quotas: Quotas, now: Monotonic) -> Result<(), OverQuota> {
        let taken = self.with_bucket(project, quotas, now, |bucket, rate| {
            bucket.take(1, rate, now).map_err(|over| {
                let some = bucket.wait_for(rate.tenth(), rate, now).min(LONGEST_WAIT);
                OverQuota { retry_after: some.max(over.retry_after) }
            })
        });
        taken.unwrap_or(Ok(()))
    }

    /// Takes the tokens of all events of a batch, the first of which has its token already; on failure that one is given back.
    pub(crate) fn take_rest(
        &self,
        project: &ProjectId,
        quotas: Quotas,
        events: u32,
        now: Monotonic,
    ) -> Result<(), OverQuota> {
        let taken = self.with_bucket(project, quotas, now, |bucket, rate| {
            bucket.give_back(1, rate);
            bucket.take(events.max(1), rate, now)
        });
        taken.unwrap_or(Ok(()))
    }

    /// Takes as many tokens as there are, at most `most`, and at least one.
    ///
    /// # Errors
    /// There is none: how long it takes until there is.
    pub(crate) fn take_up_to(
        &self,
        project: &ProjectId,
        quotas: Quotas,
        most: u32,
        now: Monotonic,
    ) -> Result<u32, Duration> {
        let most = most.max(1);
        self.with_bucket(project, quotas, now, |bucket, rate| bucket.take_up_to(most, rate, now)).unwrap_or(Ok(most))
    }

    /// Undoes [`Self::take_up_to`] where nothing came of it.
    pub(crate) fn give_back(&self, project: &ProjectId, quotas: Quotas, tokens: u32, now: Monotonic) {
        self.with_bucket(project, quotas, now, |bucket, rate| bucket.give_back(tokens, rate));
    }

    /// The rate of a project: its own where it has one, else the configured one; `None` for no limit.
    fn rate(&self, quotas: Quotas) -> Option<Rate> {
        let or = |own: u32, configured| if own == 0 { configured } else { own };
        Rate::new(or(quotas.events_per_second, self.events_per_second), or(quotas.burst, self.burst))
    }

    /// Acts on the project's bucket; `None` where it needs none.
    fn with_bucket<T>(
        &self,
        project: &ProjectId,
        quotas: Quotas,
        now: Monotonic,
        act: impl FnOnce(&mut Bucket, &Rate) -> T,
    ) -> Option<T> {
        let rate = &self.rate(quotas)?;
        let mut buckets = self.buckets.lock();
        if let Some(bucket) = buckets.by_project.get_mut(project) {
            return Some(act(bucket, rate));
        }
        if buckets.by_project.len() >= buckets.sweep_at {
            buckets.by_project.retain(|_, bucket| !bucket.is_full(now));
            buckets.sweep_at = (buckets.by_project.len() * 2).max(SWEEP_AT_LEAST);
        }
        Some(act(buckets.by_project.entry(project.clone()).or_default(), rate))
    }
}

#[cfg(test)]
mod tests {
    use fanfare_core::clock::Clock as _;
    use fanfare_testkit::ManualClock;

    use super::*;

    const DEFAULT: Quotas = Quotas { events_per_second: 0, burst: 0 };

    fn quota(events_per_second: u32, burst: u32) -> Quota {
        Quota::new(&IngestConfig { events_per_second, burst, ..IngestConfig::default() })
    }

    fn project(number: usize) -> ProjectId {
        ProjectId::new(format!("p-{number}")).unwrap()
    }

    #[test]
    fn a_batch_takes_all_its_tokens_or_none() {
        let (quota, clock) = (quota(100, 1000), ManualClock::new());
        let take = |events| {
            quota.take_one(&project(1), DEFAULT, clock.monotonic())?;
            quota.take_rest(&project(1), DEFAULT, events, clock.monotonic())
        };
        assert_eq!(take(500), Ok(()));
        assert_eq!(take(400), Ok(()));
        // 100 are left; 500 are there in 4 seconds.
        assert_eq!(take(500), Err(OverQuota { retry_after: 4 }));
        assert_eq!(take(100), Ok(()), "the refused batch took something");
        assert_eq!(take(1), Err(OverQuota { retry_after: 1 }));
        // Another project's are its own.
        assert_eq!(quota.take_one(&project(2), DEFAULT, clock.monotonic()), Ok(()));
        clock.advance(Duration::from_secs(4));
        assert_eq!(take(401), Err(OverQuota { retry_after: 1 }));
        assert_eq!(take(400), Ok(()));
    }

    #[test]
    fn as_many_as_there_are_or_a_wait_for_the_first() {
        let (limited, free, clock) = (quota(100, 500), quota(0, 500), ManualClock::new());
        let take = |most| limited.take_up_to(&project(1), DEFAULT, most, clock.monotonic());
        assert_eq!(take(400), Ok(400));
        assert_eq!(take(400), Ok(100));
        assert_eq!(take(400), Err(Duration::from_millis(10)), "a hundredth of a second at 100 a second");
        clock.advance(Duration::from_millis(4));
        assert_eq!(take(64), Err(Duration::from_millis(6)));
        clock.advance(Duration::from_millis(6));
        assert_eq!(take(64), Ok(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!(take(64), Ok(64));
        assert_eq!(take(64), Ok(36));
        assert_eq!(free.take_up_to(&project(1), DEFAULT, 64, clock.monotonic()), Ok(64));
    }

    #[test]
    fn without_a_single_token_a_tenth_of_the_burst_is_waited_for_and_no_longer_than_a_minute() {
        let clock = ManualClock::new();
        for (rate, burst, seconds) in [(100, 10_000, 10), (10, 10_000, 60), (1000, 500, 1)] {
            let quota = quota(rate, burst);
            for _ in 0..burst / 500 {
                quota.take_rest(&project(1), DEFAULT, 500, clock.monotonic()).unwrap();
            }
            // Each of these gave one token back that had not been taken; a full bucket holds no more for that.
            let mut last = quota.take_one(&project(1), DEFAULT, clock.monotonic());
            while last.is_ok() {
                last = quota.take_one(&project(1), DEFAULT, clock.monotonic());
            }
            assert_eq!(last, Err(OverQuota { retry_after: seconds }), "{rate}/s, {burst} at once");
        }
    }

    #[test]
    fn zero_is_no_quota() {
        let quota = quota(0, 500);
        for _ in 0..10_000 {
            assert_eq!(quota.take_rest(&project(1), DEFAULT, 500, Monotonic::default()), Ok(()));
        }
    }

    #[test]
    fn a_projects_own_quotas_go_before_the_configured_ones_each_for_itself() {
        let (quota, clock) = (quota(100, 1000), ManualClock::new());
        let take = |number, quotas, events| {
            quota.take_one(&project(number), quotas, clock.monotonic())?;
            quota.take_rest(&project(number), quotas, events, clock.monotonic())
        };
        let small = Quotas { events_per_second: 1, burst: 500 };
        assert_eq!(take(1, small, 500), Ok(()));
        assert_eq!(take(1, small, 2), Err(OverQuota { retry_after: 50 }));
        clock.advance(Duration::from_secs(1));
        assert_eq!(take(1, small, 2), Err(OverQuota { retry_after: 1 }));
        clock.advance(Duration::from_secs(1));
        assert_eq!(take(1, small, 2), Ok(()));
        let slow = Quotas { events_per_second: 1, burst: 0 };
        assert_eq!(take(2, slow, 500), Ok(()));
        assert_eq!(take(2, slow, 500), Ok(()), "the burst is the configured one");
        assert_eq!(take(2, slow, 1), Err(OverQuota { retry_after: 60 }));
    }

    #[test]
    fn a_projects_own_quota_holds_where_none_is_configured() {
        let (quota, clock) = (quota(0, 500), ManualClock::new());
        let small = Quotas { events_per_second: 1, burst: 500 };
        assert_eq!(quota.take_rest(&project(1), small, 500, clock.monotonic()), Ok(()));
        assert!(quota.take_rest(&project(1), small, 500, clock.monotonic()).is_err());
    }

    #[test]
    fn a_raised_quota_counts_at_once() {
        let (quota, clock) = (quota(1, 500), ManualClock::new());
        let raised = Quotas { events_per_second: 1000, burst: 1000 };
        let take = |quotas, events| quota.take_rest(&project(1), quotas, events, clock.monotonic());
        assert_eq!(take(DEFAULT, 500), Ok(()));
        // At the old rate the bucket would be full in 500 seconds; at the new one nothing takes longer than one.
        assert_eq!(take(raised, 500), Err(OverQuota { retry_after: 1 }));
        clock.advance(Duration::from_secs(1));
        assert_eq!(take(raised, 1000), Ok(()));
    }

    #[test]
    fn projects_that_have_gone_quiet_are_forgotten_and_the_others_are_not() {
        let (quota, clock) = (quota(1, 500), ManualClock::new());
        quota.take_one(&project(0), DEFAULT, clock.monotonic()).unwrap();
        quota.take_rest(&project(0), DEFAULT, 500, clock.monotonic()).unwrap();
        for number in 1..10_000 {
            quota.take_one(&project(number), DEFAULT, clock.monotonic()).unwrap();
            clock.advance(Duration::from_millis(20));
            assert!(quota.buckets.lock().by_project.len() <= 2 * SWEEP_AT_LEAST);
        }
        // 200 of 500 seconds are over.
        let waits = quota.take_rest(&project(0), DEFAULT, 500, clock.monotonic()).unwrap_err().retry_after;
        assert_eq!(waits, 300);
    }
}
