//! A partition and its holder.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use fanfare_core::clock::Monotonic;
use fanfare_core::ports::event_log::{LoggedEvent, Partition, PartitionReader, PartitionShare, Position};
use fanfare_core::ports::{StoreError, StoreResult};
use fanfare_runtime::tasks::report;

use super::aside::Unreadable;
use super::event;
use super::position::{self, Claimed};
use crate::Distributed;
use crate::follow::{Follow, Following};
use crate::shares::{self, Holding, Kind};

const READING: &str = "read the next events";
const WAITING: &str = "wait for a partition of events";
/// How many events are read ahead in each partition.
const AHEAD: usize = 200;

/// Takes part in consuming.
pub(super) struct Share {
    engine: Distributed,
    share: shares::Share,
    /// A partition that is being made ready: kept here so that a wait that is given up does not lose it.
    coming: Option<Arc<Holding>>,
}

impl Share {
    pub(super) fn join(engine: &Distributed) -> Self {
        Self { engine: engine.clone(), share: shares::Share::join(engine, Kind::Events), coming: None }
    }
}

#[async_trait]
impl PartitionShare for Share {
    async fn next(&mut self) -> StoreResult<Box<dyn PartitionReader>> {
        loop {
            let holding = match &self.coming {
                Some(holding) if !holding.is_lost() => Arc::clone(holding),
                _ => Arc::clone(self.coming.insert(self.share.next(WAITING).await?)),
            };
            let reader = Reader::begin(&self.engine, holding).await;
            match reader {
                Err(error) if !error.is_retryable() && self.coming.as_ref().is_some_and(|coming| coming.is_lost()) => {}
                other => {
                    let reader = other?;
                    self.coming = None;
                    return Ok(Box::new(reader));
                }
            }
        }
    }
}

/// Reads from the position on.
struct Reader {
    engine: Distributed,
    holding: Arc<Holding>,
    claimed: Claimed,
    following: Following,
    /// What was there when this holder came may have been handed out by the one before.
    seen_before: u64,
    /// What has been handed out, or put aside, and not been advanced past.
    handed: VecDeque<Handed>,
    /// What comes next, and has to be put aside first.
    unreadable: Option<Unreadable>,
    /// When it is looked next whether anything waits.
    look_at: Monotonic,
    /// Up to where nothing was found at the last look, if that found nothing.
    found_nothing: Option<u64>,
}

/// What was taken from the partition.
#[derive(Clone, Copy)]
struct Handed {
    sequence: u64,
    /// It could not be read: nobody will say that it is done with.
    aside: bool,
}

/// When it is looked next whether anything waits, where nothing comes.
fn look_at(engine: &Distributed) -> Monotonic {
    engine.shared.clock.monotonic().after(engine.shared.config.partition_lease.get())
}

impl Reader {
    async fn begin(engine: &Distributed, holding: Arc<Holding>) -> StoreResult<Self> {
        let (shared, names) = (&engine.shared, &engine.shared.names);
        let claimed = position::claim(engine, holding.partition, holding.token).await?;
        let subject = names.partition(holding.partition);
        let seen_before = if claimed.had_holder { shared.store.end(WAITING, &names.events()).await? } else { 0 };
        let from = claimed.position.sequence + 1;
        // Not all of them at once: each has the server look through what has come since.
        let offset = shared.config.partition_lease.get() / u32::from(names.partitions()) * u32::from(holding.partition);
        let follow = Follow { stream: names.events(), subject, headers_only: false, from, ahead: AHEAD };
        let following = Following::new(shared.store.clone(), Arc::clone(&shared.clock), follow);
        Ok(Self {
            engine: engine.clone(),
            holding,
            claimed,
            following,
            seen_before,
            handed: VecDeque::new(),
            unreadable: None,
            look_at: look_at(engine).after(offset),
            found_nothing: None,
        })
    }

    /// Puts aside what cannot be read. Dropped while waiting, it is done by the next call.
    async fn put_aside(&mut self) -> StoreResult<()> {
        let Some(unreadable) = &self.unreadable else { return Ok(()) };
        unreadable.put_aside(&self.engine).await?;
        self.handed.push_back(Handed { sequence: unreadable.sequence, aside: true });
        self.unreadable = None;
        Ok(())
    }

    /// Moves the position to the log's end if nothing waits here, so that what others look for does not begin further and further
    /// back. Where it cannot, it is done the next time.
    ///
    /// Not before it was looked twice, and to where the end was the first time: the server says that there is nothing also
    /// where it cannot read, and its leader may have changed.
    async fn follow_the_end(&mut self) -> StoreResult<()> {
        const DOING: &str = "follow the log's end";
        self.look_at = look_at(&self.engine);
        match self.try_to_follow_the_end(DOING).await {
            Err(error) if error.is_retryable() => {
                tracing::debug!(error = %report(&error), "a position does not follow the log's end; trying again");
                Ok(())
            }
            other => other,
        }
    }

    async fn try_to_follow_the_end(&mut self, doing: &'static str) -> StoreResult<()> {
        let (store, names) = (&self.engine.shared.store, &self.engine.shared.names);
        let position = self.claimed.position.sequence;
        // First the end: what is appended after this is not looked for, and not passed.
        let end = store.end(doing, &names.events()).await?;
        if end <= position {
            return Ok(());
        }
        let subject = names.partition(self.holding.partition);
        let before = self.found_nothing.take();
        let next = store.next_of_leader(doing, &names.events(), &subject, position + 1).await?;
        if next.is_some_and(|next| next.sequence <= end) {
            return Ok(());
        }
        self.found_nothing = Some(end);
        match before {
            Some(before) if position < before && before <= end => {
                self.holding.check(&*self.engine.shared.clock, doing)?;
                self.claimed.advance(&self.engine, self.holding.partition, before).await
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Moves the position past the first `done` of what was taken, and what was put aside behind them.
    async fn pass(&mut self, mut done: usize) -> StoreResult<()> {
        while self.handed.get(done).is_some_and(|handed| handed.aside) {
            done += 1;
        }
        let Some(last) = done.checked_sub(1).and_then(|at| self.handed.get(at)).copied() else { return Ok(()) };
        self.claimed.advance(&self.engine, self.holding.partition, last.sequence).await?;
        self.handed.drain(..done);
        self.engine.shared.events.shrank(done);
        Ok(())
    }
}

#[async_trait]
impl PartitionReader for Reader {
    fn partition(&self) -> Partition {
        Partition(self.holding.partition)
    }

    async fn next(&mut self, max: usize) -> StoreResult<Vec<LoggedEvent>> {
        self.holding.check(&*self.engine.shared.clock, READING)?;
        let mut events = Vec::new();
        while events.is_empty() {
            self.put_aside().await?;
            // Only what is at the front: what was handed out before it is not done with.
            self.pass(0).await?;
            let first = tokio::select! {
                biased;
                () = self.holding.lost() => return Err(StoreError::lost(READING)),
                message = self.following.next(READING) => message?,
                // What was handed out waits.
                () = self.engine.shared.clock.sleep_until(self.look_at), if self.handed.is_empty() => {
                    self.follow_the_end().await?;
                    continue;
                }
            };
            // From here on nothing is awaited: what is taken is handed out.
            let mut message = Some(first);
            while let Some((sequence, taken)) = message.take() {
                match event(READING, taken.headers.as_ref(), taken.payload.clone()) {
                    Ok(event) => {
                        self.handed.push_back(Handed { sequence, aside: false });
                        let redelivered = sequence <= self.seen_before;
                        events.push(LoggedEvent { position: Position(sequence), event, redelivered });
                    }
                    Err(error) => {
                        self.unreadable = Some(Unreadable { sequence, message: taken, error });
                        break;
                    }
                }
                if events.len() < max {
                    message = self.following.ready(READING)?;
                }
            }
        }
        // A process that was frozen here has lost it meanwhile.
        self.holding.check(&*self.engine.shared.clock, READING)?;
        Ok(events)
    }

    async fn advance(&mut self, position: Position) -> StoreResult<()> {
        const DOING: &str = "advance a partition's position";
        self.holding.check(&*self.engine.shared.clock, DOING)?;
        // Never past what was handed out: what comes there is not done with.
        self.pass(self.handed.partition_point(|handed| handed.sequence <= position.0)).await
    }
}
