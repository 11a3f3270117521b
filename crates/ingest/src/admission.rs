//! Whether there is room for more: behind ingest in the log, and in this process's memory.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::Clock;
use fanfare_core::event::Event;
use fanfare_core::ports::{EventLog, StoreResult};
use fanfare_http::Problem;
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

/// Bodies are counted in blocks of this many bytes.
const BLOCK: usize = 1024;
/// How long a request waits for its place in a line that is long: whoever publishes more than can be fanned out is slowed down to
/// that, and what stands in the line is not long on its way. If nothing moves for so long, waiting is of no use to anybody.
const PATIENCE: Duration = Duration::from_millis(500);
/// A line is long from this part of its bound on.
const LONG: u64 = 16;
/// How often it is looked meanwhile.
const LOOK: Duration = Duration::from_millis(4);
/// The longest that a sender is told to wait for the backlog to shrink, in seconds.
const LONGEST_WAIT: u64 = 30;

/// The bound on accepted events that wait to be fanned out.
#[derive(Debug)]
pub(crate) struct Backlog {
    log: Arc<dyn EventLog>,
    max: u64,
}

impl Backlog {
    pub(crate) fn new(log: Arc<dyn EventLog>, max: u64) -> Self {
        Self { log, max }
    }

    /// 503 while too much is waiting. Requests that are let in together may overshoot by what they bring, which the bound on
    /// bodies in memory bounds.
    pub(crate) async fn check(&self) -> Result<(), Problem> {
        let waiting = self.log.backlog_above(self.max).await.map_err(|error| Problem::unavailable(&error))?;
        let Some(waiting) = waiting else { return Ok(()) };
        let detail = format!("{waiting} accepted events wait to be fanned out, more than the {} that may", self.max);
        Err(Problem::overloaded(detail, wait_for(waiting, self.max)))
    }
}

/// The bound on a project's accepted events that wait in one line.
#[derive(Debug)]
pub(crate) struct Line {
    log: Arc<dyn EventLog>,
    max: u64,
}

impl Line {
    pub(crate) fn new(log: Arc<dyn EventLog>, max: u64) -> Self {
        Self { log, max }
    }

    /// Whether so many of a project wait where one of these events would go that it is better to wait with them.
    pub(crate) async fn is_long(&self, events: &[Event]) -> StoreResult<bool> {
        self.has(events, self.max.div_ceil(LONG)).await
    }

    /// Overshoot is what requests bring that look at the same moment, so that a batch of any size gets in when the line is short.
    async fn has(&self, events: &[Event], count: u64) -> StoreResult<bool> {
        if count == 0 || events.is_empty() { Ok(false) } else { self.log.is_crowded(events, count).await }
    }

    /// Waits a moment while the line is long; 429 if it is full then. While bodies have little room nobody waits: a project that
    /// floods does not take the room of others by it.
    pub(crate) async fn check(&self, events: &[Event], memory: &BodyMemory, clock: &dyn Clock) -> Result<(), Problem> {
        let unavailable = |error| Problem::unavailable(&error);
        if !self.is_long(events).await.map_err(unavailable)? {
            return Ok(());
        }
        // One for each line is looked at from here on.
        let mut seen = HashSet::new();
        let of_lines: Vec<Event> = events.iter().filter(|event| seen.insert(&event.header.subject)).cloned().collect();
        let until = clock.monotonic().after(PATIENCE);
        while self.is_long(&of_lines).await.map_err(unavailable)? {
            if clock.monotonic() < until && !memory.is_half_full() {
                clock.sleep(LOOK).await;
                continue;
            }
            if !self.has(&of_lines, self.max).await.map_err(unavailable)? {
                break;
            }
            let detail = format!(
                "{} or more events of this project wait to be fanned out in one line; nothing was accepted",
                self.max
            );
            return Err(Problem::too_many_requests(detail, 1));
        }
        Ok(())
    }
}

/// A second, and one more for every tenth by which the bound is exceeded.
fn wait_for(waiting: u64, max: u64) -> u32 {
    let tenths = waiting.saturating_sub(max) / (max / 10).max(1);
    u32::try_from(tenths.saturating_add(1).min(LONGEST_WAIT)).unwrap_or(u32::MAX)
}

/// The bound on bytes of bodies in memory.
#[derive(Debug)]
pub(crate) struct BodyMemory {
    free: Semaphore,
    blocks: usize,
}

impl BodyMemory {
    pub(crate) fn new(bytes: usize) -> Self {
        let blocks = (bytes / BLOCK).clamp(1, Semaphore::MAX_PERMITS);
        Self { free: Semaphore::new(blocks), blocks }
    }

    fn is_half_full(&self) -> bool {
        self.free.available_permits() < self.blocks / 2
    }

    /// Room for one body, none yet.
    pub(crate) fn room(&self) -> Room<'_> {
        Room { memory: self, blocks: 0, permit: None }
    }
}

/// One body's share of the memory, given back when dropped. It grows with what has come and not with what was announced,
/// so that nobody can take memory by announcing much and sending nothing.
#[derive(Debug)]
pub(crate) struct Room<'m> {
    memory: &'m BodyMemory,
    blocks: usize,
    permit: Option<SemaphorePermit<'m>>,
}

impl Room<'_> {
    /// Makes it large enough for `bytes` in all; 503 when there is no more.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Problem> {
        let more = bytes.div_ceil(BLOCK).saturating_sub(self.blocks);
        if more == 0 {
            return Ok(());
        }
        match u32::try_from(more).map(|more| self.memory.free.try_acquire_many(more)) {
            Ok(Ok(permit)) => {
                self.blocks += more;
                match &mut self.permit {
                    Some(held) => held.merge(permit),
                    None => self.permit = Some(permit),
                }
                Ok(())
            }
            Ok(Err(TryAcquireError::NoPermits | TryAcquireError::Closed)) | Err(_) => {
                Err(Problem::overloaded("too many events are being accepted at this moment", 1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_with_the_backlog_up_to_a_bound() {
        assert_eq!(wait_for(100_001, 100_000), 1);
        assert_eq!(wait_for(130_000, 100_000), 4);
        assert_eq!(wait_for(u64::MAX, 100_000), 30);
        assert_eq!(wait_for(1, 0), 2);
    }

    #[test]
    fn memory_is_taken_as_bodies_grow_and_given_back_with_them() {
        let memory = BodyMemory::new(4 * BLOCK);
        let (mut one, mut two) = (memory.room(), memory.room());
        one.grow_to(1).unwrap();
        one.grow_to(BLOCK).unwrap();
        one.grow_to(3 * BLOCK).unwrap();
        two.grow_to(BLOCK).unwrap();
        let refused = two.grow_to(BLOCK + 1).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.retry_after), (503, Some(1)));
        drop(one);
        two.grow_to(4 * BLOCK).unwrap();
        drop(two);
        assert_eq!(memory.free.available_permits(), 4);
    }
}
