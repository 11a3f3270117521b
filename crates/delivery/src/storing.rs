//! How many deliveries from the queue the stores are being asked about at this moment: claimed, or settled.
//!
//! A store that has become slow must hold up leasing, not fill the lanes: a delivery that waits for the store says nothing of its
//! receiver, and a gate raised for it would cost several messages more for each delivery, which makes a slow store slower. So
//! what waits for the stores has a bound of its own, and beyond it nothing is leased.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Storing {
    most: usize,
    now: Mutex<usize>,
    fewer: Notify,
}

impl Storing {
    /// Nothing yet, and never more than `most`, taken as at least one, if leasing keeps to it.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), now: Mutex::new(0), fewer: Notify::new() })
    }

    /// Counts one until it is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Stored {
        *self.now.lock() += 1;
        Stored(Arc::clone(self))
    }

    /// Waits until there is room for one more; returns for how many. One task alone waits.
    pub(crate) async fn room(&self) -> usize {
        loop {
            let room = self.most.saturating_sub(*self.now.lock());
            if room > 0 {
                return room;
            }
            self.fewer.notified().await;
        }
    }
}

/// One that is counted.
#[derive(Debug)]
pub(crate) struct Stored(Arc<Storing>);

impl Drop for Stored {
    fn drop(&mut self) {
        *self.0.now.lock() -= 1;
        // Whoever waits looks again; where nobody does, the next looks once more than it has to.
        self.0.fewer.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn says_for_how_many_there_is_room_and_waits_while_there_is_none() {
        let storing = Storing::new(2);
        assert_eq!(storing.room().await, 2);
        let first = storing.enter();
        assert_eq!(storing.room().await, 1);
        let _second = storing.enter();
        let waiting = tokio::spawn({
            let storing = Arc::clone(&storing);
            async move { storing.room().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert_eq!(waiting.await.unwrap(), 1);
    }
}
