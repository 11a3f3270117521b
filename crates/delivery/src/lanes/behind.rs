//! Whether the worker is behind: what it leases has been ready for long, and not for a moment only.
//!
//! Every store has moments, of a tenth of a second or two, in which it answers nobody. A gate raised for one of them would stay up
//! as long as more comes than is sent, and cost several messages more for each delivery: the moment would have no end.

use std::time::Duration;

use fanfare_core::clock::Monotonic;

/// How long deliveries may have been ready when they are leased.
pub(super) const BEHIND: Duration = Duration::from_millis(250);
/// For how long they may have been ready for longer than that.
const MOMENT: Duration = Duration::from_secs(1);

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// Since when every delivery had been ready for too long.
    since: Option<Monotonic>,
}

impl Behind {
    /// A delivery has come that had been ready for so long.
    pub(super) fn is_behind(&mut self, ready_for: Duration, now: Monotonic) -> bool {
        if ready_for <= BEHIND {
            self.since = None;
            return false;
        }
        now.since(*self.since.get_or_insert(now)) >= MOMENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_behind_once_it_has_been_so_for_more_than_a_moment() {
        let at = |millis| Monotonic(Duration::from_millis(millis));
        let (young, old) = (BEHIND, BEHIND * 2);
        let mut behind = Behind::default();
        assert!(
            !behind.is_behind(young, at(0)) && !behind.is_behind(old, at(100)) && !behind.is_behind(old, at(1_099))
        );
        assert!(behind.is_behind(old, at(1_100)));
        assert!(!behind.is_behind(young, at(1_200)) && !behind.is_behind(old, at(1_300)));
        assert!(behind.is_behind(old, at(2_300)));
    }
}
