//! A partition that this process holds, until it is lost.

use fanfare_core::clock::{Clock, Monotonic};
use fanfare_core::ports::dedup::Fence;
use fanfare_core::ports::{StoreError, StoreResult};
use parking_lot::Mutex;
use tokio::sync::watch;

/// A held partition.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) partition: u16,
    /// Rises with every holder: what an older one writes is refused.
    pub(crate) token: u64,
    state: Mutex<State>,
    lost: watch::Sender<bool>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// The revision of the lease's key.
    revision: u64,
    /// Until then nobody else can have it.
    until: Monotonic,
}

impl Holding {
    pub(super) fn new(partition: u16, revision: u64, until: Monotonic) -> Self {
        let state = Mutex::new(State { revision, until });
        Self { partition, token: revision, state, lost: watch::Sender::new(false) }
    }

    /// What claims are made under while it is held.
    pub(crate) fn fence(&self) -> Fence {
        Fence(self.token)
    }

    /// Whether it is held now. A process that was frozen finds out here, by its own clock, before it does anything.
    pub(crate) fn is_held(&self, clock: &dyn Clock) -> bool {
        if !self.is_lost() && clock.monotonic() >= self.state.lock().until {
            self.lose();
        }
        !self.is_lost()
    }

    /// As [`Holding::is_held`], as an error.
    pub(crate) fn check(&self, clock: &dyn Clock, doing: &'static str) -> StoreResult<()> {
        if self.is_held(clock) { Ok(()) } else { Err(StoreError::lost(doing)) }
    }

    pub(crate) fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Waits until it is lost.
    pub(crate) async fn lost(&self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.lost.subscribe().wait_for(|lost| *lost).await;
    }

    /// Whoever holds it stops.
    pub(crate) fn lose(&self) {
        self.lost.send_replace(true);
    }

    pub(super) fn revision(&self) -> u64 {
        self.state.lock().revision
    }

    pub(super) fn renewed(&self, revision: u64, until: Monotonic) {
        *self.state.lock() = State { revision, until };
    }
}
