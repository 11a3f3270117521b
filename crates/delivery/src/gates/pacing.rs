//! The rate at which what stands behind a gate is sent: exact, since one owner sends all of it.
//!
//! A turn is taken at the last moment, when the request is about to be made: were it taken with the lease, requests that
//! waited in the lane would go out together. So that no more are leased than have a turn soon, each lease holds a place.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::rate_limit::{Pace, RateLimit};
use parking_lot::Mutex;

use crate::context::Context;

/// How far ahead of their turn deliveries are leased.
const AHEAD: Duration = Duration::from_secs(1);

/// The pacing of one webhook's gate.
#[derive(Debug)]
pub(crate) struct Pacing {
    rate: RateLimit,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    /// Places held by leases that have not taken their turn yet.
    pending: u64,
}

impl Pacing {
    /// By this rate, from now on.
    pub(crate) fn new(rate: RateLimit, now: Monotonic) -> Arc<Self> {
        Arc::new(Self { rate, state: Mutex::new(State { pace: rate.pace(now), pending: 0 }) })
    }

    /// The rate.
    pub(crate) fn rate(&self) -> RateLimit {
        self.rate
    }

    /// How many more may be leased: those whose turn is not too far ahead.
    pub(crate) fn room(&self, now: Monotonic) -> u64 {
        let state = self.state.lock();
        state.pace.room(now, now.after(AHEAD)).saturating_sub(state.pending)
    }

    /// When the next may be sent, if that is so far ahead that nothing is leased for it.
    pub(crate) fn far_ahead(&self, now: Monotonic) -> Option<Monotonic> {
        let earliest = self.state.lock().pace.earliest(now);
        (earliest > now.after(AHEAD)).then_some(earliest)
    }

    /// A place for one lease.
    pub(crate) fn turn(self: &Arc<Self>) -> Turn {
        self.state.lock().pending += 1;
        Turn(Arc::clone(self))
    }
}

/// A lease's place. Dropping it unused gives it up.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Pacing>);

impl Turn {
    /// Takes the turn, and waits until the request may be made; false as soon as the gate holds everything. Whoever waits for a turn
    /// has its place in a lane, and what is behind it there would be sent after a probe that it comes before.
    pub(crate) async fn come(self, context: &Context, is_held: impl Fn() -> bool) -> bool {
        let mut changes = context.registry.changes();
        let at = self.0.state.lock().pace.take(context.clock.monotonic());
        loop {
            if is_held() {
                return false;
            }
            if context.clock.monotonic() >= at {
                return true;
            }
            tokio::select! {
                biased;
                () = changes.next() => {}
                () = context.clock.sleep_until(at) => {}
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.pending = state.pending.saturating_sub(1);
    }
}
