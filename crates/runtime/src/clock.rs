//! The system's clocks, behind the clock port.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fanfare_core::clock::{Clock, Monotonic, Sleep, Timestamp};

/// The system's wall clock and monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic readings count from now.
    #[allow(clippy::disallowed_methods, reason = "this is the one place where the system's clocks are read")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one place where the system's clocks are read")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(self.started.elapsed())
    }

    fn sleep_until(&self, deadline: Monotonic) -> Sleep {
        let deadline = self.started.checked_add(deadline.0);
        Box::pin(async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        })
    }
}
