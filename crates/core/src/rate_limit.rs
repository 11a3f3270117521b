//! How often a webhook is sent to at most: its rate, and the pacing that keeps to it exactly.
//!
//! The pacing is the generic cell rate algorithm (ITU-T I.371): of any stretch of time it lets pass the burst and what the
//! rate allows in it, never more.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Monotonic;

/// A webhook's rate: `count` deliveries in each period, and `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct RateLimit {
    count: u32,
    period_seconds: u32,
    burst: u32,
}

/// A rate as it is written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    count: u64,
    #[serde(default = "one")]
    period_seconds: u64,
    #[serde(default = "one")]
    burst: u64,
}

fn one() -> u64 {
    1
}

/// Why something is not a [`RateLimit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` must be a whole number from 1 to {most}")]
pub struct InvalidRateLimit {
    /// Which of its fields.
    pub field: &'static str,
    /// The most it may be.
    pub most: u32,
}

impl RateLimit {
    /// The most deliveries in a period.
    pub const MOST_COUNT: u32 = 10_000;
    /// The longest period: an hour.
    pub const LONGEST_PERIOD_SECONDS: u32 = 3600;
    /// The most at once.
    pub const MOST_BURST: u32 = 10_000;

    /// `count` (1 to 10,000) in `period_seconds` (1 to 3,600), `burst` (1 to 10,000) at once.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(count: u64, period_seconds: u64, burst: u64) -> Result<Self, InvalidRateLimit> {
        let within = |field, value: u64, most: u32| {
            let value = u32::try_from(value).ok().filter(|value| (1..=most).contains(value));
            value.ok_or(InvalidRateLimit { field, most })
        };
        Ok(Self {
            count: within("count", count, Self::MOST_COUNT)?,
            period_seconds: within("period_seconds", period_seconds, Self::LONGEST_PERIOD_SECONDS)?,
            burst: within("burst", burst, Self::MOST_BURST)?,
        })
    }

    /// Deliveries in each period.
    pub fn count(self) -> u32 {
        self.count
    }

    /// How long a period is, in seconds.
    pub fn period_seconds(self) -> u32 {
        self.period_seconds
    }

    /// How many at once.
    pub fn burst(self) -> u32 {
        self.burst
    }

    /// From one to the next, if they come evenly.
    pub fn interval(self) -> Duration {
        Duration::from_secs(u64::from(self.period_seconds)) / self.count
    }

    /// A pacing by this rate that lets the first pass one interval from `now` on. So whoever takes over from another, of whom
    /// it is not known what was sent just before, does not exceed the rate either.
    pub fn pace(self, now: Monotonic) -> Pace {
        let interval = self.interval();
        let slack = interval * (self.burst - 1);
        // As if the whole burst had just been sent.
        Pace { interval, slack, next: now.after(slack + interval) }
    }
}

impl TryFrom<Parts> for RateLimit {
    type Error = InvalidRateLimit;
    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        Self::new(parts.count, parts.period_seconds, parts.burst)
    }
}

impl From<RateLimit> for Parts {
    fn from(limit: RateLimit) -> Self {
        Self {
            count: u64::from(limit.count),
            period_seconds: u64::from(limit.period_seconds),
            burst: u64::from(limit.burst),
        }
    }
}

/// Says when the next may pass.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    /// How far ahead of its time one may pass.
    slack: Duration,
    /// When the next would pass if all came evenly.
    next: Monotonic,
}

impl Pace {
    /// When the next may pass, if asked at `now`.
    pub fn earliest(&self, now: Monotonic) -> Monotonic {
        now.max(Monotonic(self.next.0.saturating_sub(self.slack)))
    }

    /// How many may pass between `now` and `until`; one more for a beginning interval is not counted.
    pub fn room(&self, now: Monotonic, until: Monotonic) -> u64 {
        let earliest = self.earliest(now);
        if earliest > until {
            return 0;
        }
        let from = self.next.max(now);
        let span = until.after(self.slack).since(from);
        let intervals = span.as_nanos() / self.interval.as_nanos().max(1);
        u64::try_from(intervals).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Takes the next turn: returns when it may pass, not before `now`.
    pub fn take(&mut self, now: Monotonic) -> Monotonic {
        let at = self.earliest(now);
        self.next = self.next.max(at).after(self.interval);
        at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Monotonic = Monotonic(Duration::from_secs(1000));

    #[test]
    fn is_read_with_its_defaults_and_names_what_is_wrong() {
        let read = |text: &str| serde_json::from_str::<RateLimit>(text).map_err(|error| error.to_string());
        assert_eq!(read(r#"{"count":50}"#), Ok(RateLimit::new(50, 1, 1).unwrap()));
        assert_eq!(
            serde_json::to_string(&RateLimit::new(50, 60, 5).unwrap()).unwrap(),
            r#"{"count":50,"period_seconds":60,"burst":5}"#
        );
        for (text, says) in [
            (r#"{"count":0}"#, "`count` must be a whole number from 1 to 10000"),
            (r#"{"count":1,"period_seconds":3601}"#, "`period_seconds` must be a whole number from 1 to 3600"),
            (r#"{"count":1,"burst":0}"#, "`burst` must be"),
            (r#"{"count":1,"per":2}"#, "unknown field `per`"),
        ] {
            assert!(read(text).unwrap_err().contains(says), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_has_more_than_the_burst_and_its_share(
            count in 1u64..200,
            period in 1u64..5,
            burst in 1u64..50,
            waits in proptest::collection::vec(0u64..200, 2..300),
        ) {
            let limit = RateLimit::new(count, period, burst).unwrap();
            let mut pace = limit.pace(START);
            let mut now = START;
            let mut passed = Vec::new();
            for wait in waits {
                now = now.after(Duration::from_millis(wait));
                let at = pace.take(now);
                prop_assert!(at >= now);
                now = at;
                passed.push(at);
            }
            prop_assert!(passed[0] > START);
            for (n, from) in passed.iter().enumerate() {
                for (m, to) in passed.iter().enumerate().skip(n) {
                    let most = burst as f64 + to.since(*from).as_secs_f64() * count as f64 / period as f64;
                    prop_assert!(((m - n + 1) as f64) <= most + 1e-6);
                }
            }
        }

        #[test]
        fn one_who_always_has_more_gets_the_whole_rate(count in 1u64..200, burst in 1u64..50) {
            let mut pace = RateLimit::new(count, 1, burst).unwrap().pace(START);
            let mut now = START;
            for _ in 0..count * 10 {
                now = pace.take(now);
            }
            let took = now.since(START).as_secs_f64();
            prop_assert!((9.0..=11.0).contains(&took), "{}", took);
        }

        #[test]
        fn room_is_what_can_be_taken(count in 1u64..200, burst in 1u64..50, idle in 0u64..3000, span in 0u64..2000) {
            let mut pace = RateLimit::new(count, 1, burst).unwrap().pace(START);
            let now = START.after(Duration::from_millis(idle));
            let until = now.after(Duration::from_millis(span));
            let room = pace.room(now, until);
            let mut taken = 0;
            while pace.take(now) <= until {
                taken += 1;
            }
            prop_assert_eq!(room, taken);
        }
    }
}
