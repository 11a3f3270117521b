//! Whether the queue has room for more, asked of it now and then: each question costs several requests to a broker, and fan-out
//! would ask before every batch, which in quiet times is every event.

use std::time::Duration;

use fanfare_core::clock::Monotonic;
use parking_lot::Mutex;

/// How long an answer is good. What this process pushes meanwhile is counted; what others push in that time is not.
const FRESH: Duration = Duration::from_millis(100);

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
}

impl Room {
    pub(crate) fn new(max_ready: u64) -> Self {
        Self { max_ready, seen: Mutex::new(None) }
    }

    /// Whether there is room without a doubt; if not, the queue has to be asked.
    pub(crate) fn is_known(&self, now: Monotonic) -> bool {
        self.seen.lock().is_some_and(|seen| seen.left > 0 && now.since(seen.at) < FRESH)
    }

    /// Takes the queue's answer; whether there is room.
    pub(crate) fn answered(&self, ready: u64, now: Monotonic) -> bool {
        let left = self.max_ready.saturating_sub(ready);
        *self.seen.lock() = Some(Seen { at: now, left });
        left > 0
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

    #[test]
    fn room_is_known_for_a_moment_and_no_longer_than_it_lasts() {
        let (room, now) = (Room::new(10), Monotonic::default());
        assert!(!room.is_known(now));
        assert!(room.answered(7, now));
        assert!(room.is_known(now));
        room.pushed(2);
        assert!(room.is_known(now));
        assert!(!room.is_known(now.after(FRESH)));
        room.pushed(2);
        assert!(!room.is_known(now), "it is used up");
        assert!(!room.answered(10, now));
        assert!(!room.is_known(now));
    }
}
