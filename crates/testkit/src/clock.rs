//! A clock that goes only when it is told to.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::{Clock, Monotonic, Sleep, Timestamp};
use tokio::sync::watch;

/// A clock for tests: stands still until it is advanced, and then wakes the sleepers whose time has come.
#[derive(Clone, Debug)]
pub struct ManualClock {
    start: Timestamp,
    elapsed: Arc<watch::Sender<Duration>>,
}

impl ManualClock {
    /// A clock that stands at 2025-12-06T05:46:40Z.
    pub fn new() -> Self {
        Self { start: Timestamp::from_seconds(1_765_000_000), elapsed: Arc::new(watch::Sender::new(Duration::ZERO)) }
    }

    /// Moves wall and monotonic time forward.
    pub fn advance(&self, by: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += by);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.start.after(*self.elapsed.borrow())
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(*self.elapsed.borrow())
    }

    fn sleep_until(&self, deadline: Monotonic) -> Sleep {
        // The sender is kept alive by the future itself, so that waiting never fails.
        let elapsed = Arc::clone(&self.elapsed);
        Box::pin(async move {
            let mut readings = elapsed.subscribe();
            let _ = readings.wait_for(|now| *now >= deadline.0).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_when_their_time_has_come_and_not_before() {
        let clock = ManualClock::new();
        let mut sleep = clock.sleep(Duration::from_secs(10));
        clock.advance(Duration::from_secs(9));
        assert!(futures_ready(&mut sleep).await.is_none());
        clock.advance(Duration::from_secs(1));
        sleep.await;
        assert_eq!(clock.now(), Timestamp::from_seconds(1_765_000_010));
    }

    async fn futures_ready(sleep: &mut Sleep) -> Option<()> {
        tokio::select! {
            biased;
            () = sleep => Some(()),
            () = tokio::task::yield_now() => None,
        }
    }
}
