//! Where tests let the engine die.

use std::sync::atomic::{AtomicBool, Ordering};

use fanfare_core::ports::StoreResult;
use parking_lot::Mutex;

use crate::error::unavailable;

/// What is to go wrong.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    cut: Mutex<Option<&'static str>>,
    killed: AtomicBool,
}

impl Faults {
    /// No settlement and no push gets past that point.
    pub(crate) fn plan(&self, cut: &'static str) {
        *self.cut.lock() = Some(cut);
    }

    /// Fails if this is the point.
    pub(crate) fn cut(&self, point: &'static str) -> StoreResult<()> {
        if *self.cut.lock() == Some(point) { Err(unavailable("go on", "cut off by the test")) } else { Ok(()) }
    }

    /// From now on nothing is given back, as after a crash.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }
}
