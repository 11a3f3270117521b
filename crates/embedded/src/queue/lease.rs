//! Leasing: from the window, which is filled from the file when it has run empty.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::Lease;

use super::quarantine;
use super::refill::{PAGE, Ticket, refill, refill_ahead};
use crate::error::closed;
use crate::{Embedded, Shared};

/// The wall clock may be set while somebody waits for a delivery to fall due; no wait goes by it for longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

enum Step {
    Leased { leases: Vec<Lease>, low: bool },
    Empty,
    Wait { until: Option<Monotonic> },
}

/// Waits for at least one lease. Nothing is awaited between granting leases and returning them, so that a future that
/// is dropped has leased nothing.
pub(super) async fn lease(engine: &Embedded, max: usize) -> StoreResult<Vec<Lease>> {
    const DOING: &str = "lease deliveries";
    let max = max.max(1);
    let shared = &engine.shared;
    loop {
        let mut ready = std::pin::pin!(shared.queue.ready.notified());
        ready.as_mut().enable();
        if engine.writer.has_ended() {
            return Err(closed(DOING));
        }
        let spoiled = {
            let now = shared.clock.monotonic();
            shared.queue.change(|state| {
                state.expire(now);
                state.spoiled()
            })
        };
        if !spoiled.is_empty() {
            quarantine::put_spoiled(engine, spoiled).await?;
        }
        let until = match step(shared, max) {
            Step::Leased { leases, low } => {
                if low && let Some(ticket) = Ticket::take(shared) {
                    refill_ahead(engine, ticket);
                }
                return Ok(leases);
            }
            Step::Empty => {
                if let Some(ticket) = Ticket::take(shared) {
                    refill(engine, ticket).await?;
                    continue;
                }
                // Another is reading already, and wakes everybody when it is done.
                None
            }
            Step::Wait { until } => until,
        };
        let time = async {
            match until {
                Some(until) => shared.clock.sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ready => {}
            () = time => {}
            () = engine.writer.ended() => {}
        }
    }
}

fn step(shared: &Arc<Shared>, max: usize) -> Step {
    let (now, monotonic) = (shared.clock.now(), shared.clock.monotonic());
    let until = monotonic.after(shared.config.lease.get());
    shared.queue.change(|state| {
        let latest = state.latest(now).as_millis();
        state.expire(monotonic);
        let leases = state.lease(now, until, max);
        if !leases.is_empty() {
            return Step::Leased { leases, low: state.window.is_low(latest, PAGE / 2) };
        }
        if state.window.is_low(latest, 1) {
            return Step::Empty;
        }
        let due = state.window.first_at().map(|at| {
            let wait = Duration::from_millis(u64::try_from(at.saturating_sub(now.as_millis())).unwrap_or(0));
            monotonic.after(wait.min(LONGEST_WAIT))
        });
        let next = [due, state.leases.next_end()].into_iter().flatten().min();
        Step::Wait { until: next }
    })
}
