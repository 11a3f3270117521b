//! Retry schedules: after which delay a failed delivery is tried again, and when it is given up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// The delays of [`RetrySchedule::Standard`], in seconds.
const STANDARD: [u32; 10] = [5, 30, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// The delays of [`RetrySchedule::Kapso`], in seconds: those of Kapso's own webhooks.
const KAPSO: [u32; 3] = [10, 40, 90];
/// The most delays of a custom schedule.
const MAX_DELAYS: usize = 20;
/// The longest delay of a custom schedule, in seconds: 24 hours.
const MAX_DELAY: u32 = 86_400;

/// When a failed delivery is tried again. In JSON: `"standard"`, `"kapso"`, or a list of delays in whole seconds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum RetrySchedule {
    /// 5 s, 30 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
    #[default]
    Standard,
    /// 10 s, 40 s, 90 s.
    Kapso,
    /// Its owner's own delays; see [`RetrySchedule::custom`].
    Custom(Arc<[u32]>),
}

impl RetrySchedule {
    /// What is allowed, in words for an error message.
    pub const ALLOWED: &'static str =
        "\"standard\", \"kapso\", or a list of 1 to 20 delays of 1 to 86400 whole seconds";

    /// A schedule of one's own; `None` unless there are 1 to 20 delays of 1 to 86,400 seconds each.
    pub fn custom(seconds: &[u32]) -> Option<Self> {
        let valid = (1..=MAX_DELAYS).contains(&seconds.len()) && seconds.iter().copied().all(is_allowed);
        valid.then(|| Self::Custom(seconds.into()))
    }

    /// The delay after the failure of attempt number `attempt` (1 for the first), ±20 %; `None` if that was the last.
    ///
    /// The jitter is uniform, to the millisecond: what failed together in an outage must not come back together.
    pub fn delay_after(&self, attempt: u32, rng: &mut dyn Rng) -> Option<Duration> {
        let index = usize::try_from(attempt.checked_sub(1)?).ok()?;
        let seconds = u64::from(*self.delays().get(index)?);
        Some(Duration::from_millis(rng.random_range(seconds * 800..=seconds * 1_200)))
    }

    /// How many attempts a delivery has in all: the first and one for every delay.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.delays().len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    fn delays(&self) -> &[u32] {
        match self {
            Self::Standard => &STANDARD,
            Self::Kapso => &KAPSO,
            Self::Custom(seconds) => seconds,
        }
    }
}

fn is_allowed(seconds: u32) -> bool {
    (1..=MAX_DELAY).contains(&seconds)
}

impl Serialize for RetrySchedule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Standard => serializer.serialize_str("standard"),
            Self::Kapso => serializer.serialize_str("kapso"),
            Self::Custom(seconds) => serializer.collect_seq(seconds.iter()),
        }
    }
}

impl<'de> Deserialize<'de> for RetrySchedule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScheduleVisitor)
    }
}

/// Reads a schedule; whatever is wrong, the error says what is allowed.
struct ScheduleVisitor;

impl<'de> serde::de::Visitor<'de> for ScheduleVisitor {
    type Value = RetrySchedule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(RetrySchedule::ALLOWED)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RetrySchedule, E> {
        match text {
            "standard" => Ok(RetrySchedule::Standard),
            "kapso" => Ok(RetrySchedule::Kapso),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<RetrySchedule, A::Error> {
        let mut seconds = Vec::new();
        while let Some(Delay(delay)) = list.next_element()? {
            seconds.push(delay);
            if seconds.len() > MAX_DELAYS {
                break;
            }
        }
        RetrySchedule::custom(&seconds).ok_or_else(|| serde::de::Error::invalid_length(seconds.len(), &self))
    }
}

/// One delay of a custom schedule, in seconds.
struct Delay(u32);

impl<'de> Deserialize<'de> for Delay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DelayVisitor)
    }
}

struct DelayVisitor;

impl serde::de::Visitor<'_> for DelayVisitor {
    type Value = Delay;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(RetrySchedule::ALLOWED)
    }

    fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Delay, E> {
        let allowed = u32::try_from(seconds).ok().filter(|seconds| is_allowed(*seconds));
        allowed.map(Delay).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(seconds), &self))
    }

    fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Delay, E> {
        match u64::try_from(seconds) {
            Ok(seconds) => self.visit_u64(seconds),
            Err(_) => Err(E::invalid_value(serde::de::Unexpected::Signed(seconds), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn schedules() -> impl Strategy<Value = RetrySchedule> {
        prop_oneof![
            Just(RetrySchedule::Standard),
            Just(RetrySchedule::Kapso),
            prop::collection::vec(1u32..=86_400, 1..=20)
                .prop_map(|seconds| RetrySchedule::custom(&seconds).expect("within the bounds")),
        ]
    }

    #[test]
    fn presets_have_the_delays_that_the_wire_format_promises() {
        let hours = |count: u32| count * 3_600;
        let standard = [5, 30, 5 * 60, 30 * 60, hours(2), hours(5), hours(10), hours(14), hours(20), hours(24)];
        assert_eq!(RetrySchedule::default().delays(), standard);
        assert_eq!(RetrySchedule::Kapso.delays(), [10, 40, 90]);
        assert_eq!(RetrySchedule::Standard.attempts(), 11);
        assert_eq!(RetrySchedule::Kapso.attempts(), 4);
    }

    #[test]
    fn jitter_reaches_both_ends() {
        let schedule = RetrySchedule::custom(&[100]).unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        let delays: Vec<_> = (0..1_000).map(|_| schedule.delay_after(1, &mut rng).unwrap().as_secs_f64()).collect();
        let (low, high) = (delays.iter().copied().fold(f64::MAX, f64::min), delays.iter().copied().fold(0.0, f64::max));
        assert!((80.0..81.0).contains(&low), "the shortest of 1,000 delays was {low} s");
        assert!((119.0..=120.0).contains(&high), "the longest of 1,000 delays was {high} s");
    }

    #[test]
    fn what_is_not_a_schedule_is_refused_with_what_is_allowed() {
        let too_many = format!("[{}]", ["5"; 21].join(","));
        for wrong in [
            "\"Standard\"",
            "\"\"",
            "[]",
            "[0]",
            "[86401]",
            "[-1]",
            "[1.5]",
            "[\"5\"]",
            "[5,null]",
            "5",
            "null",
            "{}",
            "[4294967301]",
            &too_many,
        ] {
            let error = serde_json::from_str::<RetrySchedule>(wrong).expect_err(wrong).to_string();
            assert!(error.contains(RetrySchedule::ALLOWED), "{wrong}: {error}");
        }
        assert_eq!(RetrySchedule::custom(&[]), None);
        assert_eq!(RetrySchedule::custom(&[1; 21]), None);
        assert_eq!(RetrySchedule::custom(&[1, 0]), None);
        assert_eq!(RetrySchedule::custom(&[86_401]), None);
    }

    proptest! {
        #[test]
        fn every_delay_is_within_a_fifth_and_the_list_ends(schedule in schedules(), seed: u64, attempt in 0u32..30) {
            let mut rng = StdRng::seed_from_u64(seed);
            let delay = schedule.delay_after(attempt, &mut rng);
            prop_assert_eq!(delay.is_some(), (1..schedule.attempts()).contains(&attempt));
            if let Some(delay) = delay {
                let base = Duration::from_secs(schedule.delays()[attempt as usize - 1].into());
                prop_assert!(delay >= base * 4 / 5 && delay <= base * 6 / 5, "{:?} for {:?}", delay, base);
            }
        }

        #[test]
        fn json_round_trips(schedule in schedules()) {
            let json = serde_json::to_string(&schedule).unwrap();
            prop_assert_eq!(serde_json::from_str::<RetrySchedule>(&json).unwrap(), schedule);
        }
    }
}
