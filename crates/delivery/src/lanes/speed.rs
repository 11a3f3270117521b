//! How fast a lane is worked off: how many answers have come lately, and when it went on last.

use std::time::Duration;

use fanfare_core::clock::Monotonic;

/// Answers are counted in stretches of this length; the present one and the one before it count.
const STRETCH: Duration = Duration::from_millis(500);

/// See the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Speed {
    since: Monotonic,
    now: usize,
    before: usize,
    /// When the last answer came, or the first request began after there had been none.
    progress: Monotonic,
}

impl Speed {
    pub(super) fn answered(&mut self, at: Monotonic) {
        let passed = at.since(self.since);
        if passed >= STRETCH {
            self.before = if passed < STRETCH * 2 { self.now } else { 0 };
            (self.since, self.now) = (at, 0);
        }
        self.now += 1;
        self.progress = at;
    }

    pub(super) fn begins(&mut self, at: Monotonic) {
        self.progress = at;
    }

    /// How long no answer has come.
    pub(super) fn silent(&self, now: Monotonic) -> Duration {
        now.since(self.progress)
    }

    /// How many have come within the last half second at least, and within the last second and a half at most.
    pub(super) fn lately(&self, now: Monotonic) -> usize {
        match now.since(self.since) {
            passed if passed < STRETCH => self.before + self.now,
            passed if passed < STRETCH * 2 => self.now,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_has_come_lately() {
        let at = |millis| Monotonic(Duration::from_millis(millis));
        let mut speed = Speed::default();
        (0..10).for_each(|n| speed.answered(at(10_000 + n)));
        assert_eq!(speed.lately(at(10_100)), 10);
        speed.answered(at(10_600));
        assert_eq!(speed.lately(at(10_700)), 11);
        assert_eq!(speed.lately(at(11_300)), 1);
        assert_eq!(speed.lately(at(12_000)), 0, "it has stopped");
        speed.answered(at(20_000));
        assert_eq!(speed.lately(at(20_000)), 1);
    }
}
