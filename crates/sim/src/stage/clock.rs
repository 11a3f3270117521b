//! One process's clocks: monotonic time is the stage's, wall time is off by as much as the world has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use fanfare_core::clock::{Clock, Monotonic, Sleep, Timestamp};

use super::Stage;

/// When every world begins: 2025-12-06T05:46:40Z.
const BEGIN: i64 = 1_765_000_000_000;

/// See the [module](self). Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct StageClock {
    stage: Stage,
    off_by: Arc<AtomicI64>,
}

impl StageClock {
    pub(crate) fn new(stage: &Stage) -> Self {
        Self { stage: stage.clone(), off_by: Arc::default() }
    }

    /// Moves wall time by that many milliseconds.
    pub(crate) fn jump(&self, millis: i64) {
        self.off_by.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for StageClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.stage.now().0.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(BEGIN + passed + self.off_by.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Monotonic {
        self.stage.now()
    }

    fn sleep_until(&self, deadline: Monotonic) -> Sleep {
        Box::pin(self.stage.sleep_until(deadline))
    }
}
