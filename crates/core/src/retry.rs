//! Retry schedules: after which delay a failed delivery is tried again, and when it is given up.

use std::time::Duration;

use rand::Rng;
use serde::{Deserialize, Serialize};

/// When a failed delivery is tried again. In JSON: `"standard"`, `"kapso"`, or a list of delays in whole seconds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum RetrySchedule {
    /// 5 s, 30 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
    #[default]
    Standard,
    /// 10 s, 40 s, 90 s.
    Kapso,
    /// Its owner's own delays; see [`RetrySchedule::custom`].
    Custom(std::sync::Arc<[u32]>),
}

impl RetrySchedule {
    /// What is allowed, in words for an error message.
    pub const ALLOWED: &'static str =
        "\"standard\", \"kapso\", or a list of 1 to 20 delays of 1 to 86400 whole seconds";

    /// A schedule of one's own; `None` unless there are 1 to 20 delays of 1 to 86,400 seconds each.
    pub fn custom(seconds: &[u32]) -> Option<Self> {
        let _ = seconds;
        todo!()
    }

    /// The delay after the failure of attempt number `attempt` (1 for the first), ±20 %; `None` if that was the last.
    pub fn delay_after(&self, attempt: u32, rng: &mut dyn Rng) -> Option<Duration> {
        let _ = (attempt, rng);
        todo!()
    }

    /// How many attempts a delivery has in all.
    pub fn attempts(&self) -> u32 {
        todo!()
    }
}

impl Serialize for RetrySchedule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let _ = serializer;
        todo!()
    }
}

impl<'de> Deserialize<'de> for RetrySchedule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let _ = deserializer;
        todo!()
    }
}
