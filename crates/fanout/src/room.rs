//! Whether the queue has room for more, asked of it now and then: each question costs several requests to a broker, and fan-out
//! would ask before every batch, which in quiet times is every event.
//!
//! There is none while too many deliveries are ready, and for a moment while the oldest has been ready for long: then the workers
//! are as fast as they are, and what waits costs less in the log of events, where it is in nobody's way. Only while they take
//! something: where nobody does, it waits in the queue as well as in the log, whose lines have shorter bounds.

use std::time::Duration;

use fanfare_core::clock::{Monotonic, Timestamp};
use fanfare_core::ports::delivery_queue::ReadyDepth;
use parking_lot::Mutex;

/// How long an answer is good. What this process pushes meanwhile is counted; what others push in that time is not.
const FRESH: Duration = Duration::from_millis(50);
/// For how long the oldest may have been ready: well below what a webhook that is alone in its worker may be behind before its
/// deliveries go behind a gate.
const OLD: Duration = Duration::from_millis(50);
/// For how long a batch is held back for that.
const MOMENT: Duration = Duration::from_secs(1);
/// If the oldest has been the same for so long, nobody takes any.
const STUCK: Duration = Duration::from_millis(300);
/// How long it is good that the oldest is old.
const LOOKED: Duration = Duration::from_millis(10);

/// What all partitions of this process know of the queue.
#[derive(Debug)]
pub(crate) struct Room {
    max_ready: u64,
    seen: Mutex<Option<Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Monotonic,
    /// How many more may be ready, as far as is known.
    left: u64,
    has: Has,
    /// When the oldest became ready, and since when it has been that one.
    oldest: Option<Timestamp>,
    since: Monotonic,
}

/// What the queue has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Has {
    Room,
    /// The oldest has been ready for long.
    Old,
    /// Too many are ready.
    No,
}

impl Has {
    /// Whether a batch that has waited for so long may go.
    pub(crate) fn is_enough(self, waited: Duration) -> bool {
        match self {
            Has::Room => true,
            Has::Old => waited >= MOMENT,
            Has::No => false,
        }
    }
}

impl Room {
    pub(crate) fn new(max_ready: u64) -> Self {
        Self { max_ready, seen: Mutex::new(None) }
    }

    /// What there is room for without a doubt; else the queue has to be asked.
    pub(crate) fn known(&self, now: Monotonic) -> Option<Has> {
        let seen = (*self.seen.lock())?;
        let age = now.since(seen.at);
        let is_good = match seen.has {
            Has::Room => seen.left > 0 && age < FRESH,
            Has::Old => age < LOOKED,
            Has::No => false,
        };
        is_good.then_some(seen.has)
    }

    /// Takes the queue's answer.
    pub(crate) fn answered(&self, ready: ReadyDepth, now: Monotonic, time: Timestamp) -> Has {
        let mut seen = self.seen.lock();
        let since = seen.filter(|seen| seen.oldest == ready.oldest).map_or(now, |seen| seen.since);
        let left = self.max_ready.saturating_sub(ready.count);
        let is_old = ready.oldest.is_some_and(|oldest| time.since(oldest) >= OLD) && now.since(since) < STUCK;
        let has = match (left, is_old) {
            (0, _) => Has::No,
            (_, true) => Has::Old,
            (_, false) => Has::Room,
        };
        *seen = Some(Seen { at: now, left, has, oldest: ready.oldest, since });
        has
    }

    pub(crate) fn pushed(&self, deliveries: usize) {
        if let Some(seen) = &mut *self.seen.lock() {
            seen.left = seen.left.saturating_sub(u64::try_from(deliveries).unwrap_or(u64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(count: u64, since: u64) -> ReadyDepth {
        let oldest = Timestamp::EPOCH.after(Duration::from_millis(since));
        ReadyDepth { count, oldest: Some(oldest).filter(|_| count > 0) }
    }

    #[test]
    fn room_is_known_for_a_moment_and_no_longer_than_it_lasts() {
        let (room, now, time) = (Room::new(10), Monotonic::default(), Timestamp::EPOCH);
        assert_eq!(room.known(now), None);
        assert_eq!(room.answered(ready(7, 0), now, time), Has::Room);
        assert_eq!(room.known(now), Some(Has::Room));
        room.pushed(2);
        assert_eq!((room.known(now), room.known(now.after(FRESH))), (Some(Has::Room), None));
        room.pushed(2);
        assert_eq!(room.known(now), None, "it is used up");
        assert_eq!(room.answered(ready(10, 0), now, time), Has::No);
        assert_eq!(room.known(now), None);
    }

    #[test]
    fn what_has_been_ready_for_long_holds_a_batch_back_for_a_moment_while_workers_take_something() {
        let (room, now) = (Room::new(10), Monotonic::default());
        let time = Timestamp::EPOCH.after(OLD * 2);
        assert_eq!(room.answered(ready(3, 51), now, time), Has::Room);
        assert_eq!(room.answered(ready(3, 0), now, time), Has::Old);
        assert_eq!((room.known(now), room.known(now.after(LOOKED))), (Some(Has::Old), None));
        assert_eq!(room.answered(ready(3, 0), now.after(STUCK), time), Has::Room, "nobody takes any");
        assert_eq!(room.answered(ready(3, 1), now.after(STUCK), time), Has::Old);
        assert!(!Has::Old.is_enough(MOMENT / 2) && Has::Old.is_enough(MOMENT));
        assert!(Has::Room.is_enough(Duration::ZERO) && !Has::No.is_enough(MOMENT * 9));
    }
}
