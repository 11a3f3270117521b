//! One partition's consumer: reads, matches, pushes, advances, in this order.
//!
//! Crash order, for each batch: 1. the pushes with their journal entries are durable; 2. the position passes them. A
//! crash between the two has the batch read again, marked as redelivered; its deliveries are the same ones, and those that
//! have ended or moved meanwhile are skipped, or recognised by the queue where nobody can say which they are: it knows each
//! delivery's first push by its message id or its row for longer than a partition takes to find its next holder. What is
//! older, and was delivered before, may then be sent again, as while claims are not answered (promise 3). The position is advanced at
//! intervals rather than after every batch, and beside the next push: each advance is a commit of its own, and what it saves is
//! work after a crash.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fanfare_core::clock::{Clock, Monotonic};
use fanfare_core::ids::Hop;
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::config_store::{Group, Revision};
use fanfare_core::ports::dedup::Standing;
use fanfare_core::ports::delivery_queue::Push;
use fanfare_core::ports::event_log::{LoggedEvent, PartitionReader, Position};
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use fanfare_runtime::Shutdown;
use fanfare_runtime::tasks::report;
use fanfare_telemetry::Metrics;

use crate::Fanout;
use crate::matching::{Matched, matched};
use crate::room::{Has, Room};

/// How long to wait after a failure of the store before the act is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// For fewer events than these the position may lag that many times as long.
const FEW: usize = 16;
const FOR_FEW: u32 = 5;
/// How often the queue is looked at while fan-out pauses since too many deliveries are ready, and while it holds back since the
/// oldest has been ready for long.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const LOOK_SOON: Duration = Duration::from_millis(10);

pub(crate) struct Consumer {
    context: Context,
    unadvanced: Unadvanced,
}

/// What a consumer works with.
struct Context {
    fanout: Fanout,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    shutdown: Shutdown,
    room: Arc<Room>,
}

/// What has been pushed, but not passed by the durable position yet.
#[derive(Default)]
struct Unadvanced(Option<Lag>);

#[derive(Clone, Copy)]
struct Lag {
    last: Position,
    since: Monotonic,
    events: usize,
}

/// Why a step was not completed.
enum Interrupted {
    /// The process is stopping.
    Stopping,
    /// The store failed for good.
    Failed(StoreError),
}

impl From<StoreError> for Interrupted {
    fn from(error: StoreError) -> Self {
        Interrupted::Failed(error)
    }
}

impl Consumer {
    pub(crate) fn new(
        fanout: Fanout,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        shutdown: Shutdown,
        room: Arc<Room>,
    ) -> Self {
        let context = Context { fanout, clock, metrics, shutdown, room };
        Self { context, unadvanced: Unadvanced::default() }
    }

    /// Consumes until shutdown, or until the partition has gone to another process.
    pub(crate) async fn run(mut self, mut reader: Box<dyn PartitionReader>) -> StoreResult<()> {
        let partition = reader.partition();
        tracing::debug!(?partition, "consuming a partition of events");
        match self.consume(&mut *reader).await {
            Ok(()) | Err(Interrupted::Stopping) => {
                // Only spares the next holder work; failing is no loss.
                let _ = self.unadvanced.advance(&self.context, &mut *reader).await;
                Ok(())
            }
            Err(Interrupted::Failed(error)) if error.kind == StoreErrorKind::Lost => {
                tracing::info!(?partition, "the partition has gone to another process");
                Ok(())
            }
            Err(Interrupted::Failed(error)) => Err(error),
        }
    }

    async fn consume(&mut self, reader: &mut dyn PartitionReader) -> Result<(), Interrupted> {
        loop {
            self.wait_for_room(reader).await?;
            let Some(events) = self.next_batch(reader).await? else { return Ok(()) };
            let Some(last) = events.last().map(|logged| logged.position) else { continue };
            let count = events.len();
            let Self { context, unadvanced } = self;
            // The store does both at once.
            let advanced = unadvanced.advance_if_due(context, reader);
            let (pushed, advanced) = tokio::join!(context.fan_out(events), advanced);
            pushed.and(advanced)?;
            unadvanced.pushed(last, count, context.clock.monotonic());
        }
    }

    /// Waits for events; meanwhile advances the position when it has lagged long enough. `None` on shutdown.
    async fn next_batch(&mut self, reader: &mut dyn PartitionReader) -> Result<Option<Vec<LoggedEvent>>, Interrupted> {
        let Self { context, unadvanced } = self;
        loop {
            let due = unadvanced.due(context);
            let lagging = async {
                match due {
                    Some(due) => context.clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = context.shutdown.cancelled() => return Ok(None),
                batch = reader.next(context.fanout.config.batch_events) => match batch {
                    Ok(events) => return Ok(Some(events)),
                    Err(error) if error.is_retryable() => pause(&*context.clock, &context.shutdown, &error).await,
                    Err(error) => return Err(error.into()),
                },
                () = lagging => unadvanced.advance(context, reader).await?,
            }
        }
    }

    /// Holds back while the queue has as many ready deliveries as it may, and for a moment while the oldest has been ready for long.
    async fn wait_for_room(&mut self, reader: &mut dyn PartitionReader) -> Result<(), Interrupted> {
        let Self { context, unadvanced } = self;
        let room = &context.room;
        let (mut told, since) = (false, context.clock.monotonic());
        loop {
            let has = match room.known(context.clock.monotonic()) {
                Some(has) => has,
                None => {
                    let ask = || context.fanout.queue.ready();
                    let asked = persist(&*context.clock, &context.shutdown, "read the queue's depth", ask).await?;
                    let ready = asked.ok_or(Interrupted::Stopping)?;
                    room.answered(ready, context.clock.monotonic(), context.clock.now())
                }
            };
            if has.is_enough(context.clock.monotonic().since(since)) {
                return Ok(());
            }
            if has == Has::No && !told {
                tracing::warn!(
                    max_ready = context.fanout.config.max_ready,
                    "fan-out pauses: too many deliveries are ready; are enough workers running?"
                );
                told = true;
            }
            let pause = if has == Has::No { LOOK_AGAIN } else { LOOK_SOON };
            tokio::select! {
                biased;
                () = context.shutdown.cancelled() => return Err(Interrupted::Stopping),
                () = context.clock.sleep(pause) => {}
            }
            // What has been pushed is done with, however long the next events have to wait.
            unadvanced.advance_if_due(context, reader).await?;
        }
    }
}

impl Unadvanced {
    fn pushed(&mut self, last: Position, count: usize, now: Monotonic) {
        let (since, events) = self.0.map_or((now, 0), |lag| (lag.since, lag.events));
        self.0 = Some(Lag { last, since, events: events + count });
    }

    /// When the position has lagged long enough.
    fn due(&self, context: &Context) -> Option<Monotonic> {
        let every = context.fanout.config.advance_every.get();
        // Nobody waits for a few, and the store has other work.
        self.0.map(|lag| lag.since.after(if lag.events < FEW { every * FOR_FEW } else { every }))
    }

    /// Advances the position if it has lagged long enough.
    async fn advance_if_due(&mut self, context: &Context, reader: &mut dyn PartitionReader) -> Result<(), Interrupted> {
        match self.due(context) {
            Some(due) if context.clock.monotonic() >= due => self.advance(context, reader).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn advance(&mut self, context: &Context, reader: &mut dyn PartitionReader) -> Result<(), Interrupted> {
        let Some(lag) = self.0.take() else { return Ok(()) };
        match reader.advance(lag.last).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_retryable() => {
                // The next advance covers this one.
                self.0 = Some(Lag { since: context.clock.monotonic(), ..lag });
                pause(&*context.clock, &context.shutdown, &error).await;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Context {
    /// Matches a batch and pushes what it becomes, several events to a push.
    async fn fan_out(&self, events: Vec<LoggedEvent>) -> Result<(), Interrupted> {
        let revision = self.refreshed().await?;
        let most = self.fanout.config.push_deliveries;
        let mut pushes: Vec<Push> = Vec::new();
        let mut entries: Vec<JournalEntry> = Vec::new();
        let mut answered = true;
        for logged in events {
            let redelivered = logged.redelivered;
            let (at_revision, webhooks) = self.fanout.registry.matches(&logged.event);
            debug_assert!(at_revision >= revision, "the registry does not go back");
            let mut event = matched(logged, at_revision, &webhooks, |webhook| self.fanout.registry.gate(webhook));
            let result = if event.pushes.is_empty() { "unmatched" } else { "matched" };
            // Who does not answer for one event is not asked for the rest: each question may take its whole bound.
            if redelivered && answered {
                answered = self.skip_known(&mut event).await?;
            }
            for (part, entry) in event.into_parts(most, self.clock.now()) {
                if pushes.len() + part.len() > most {
                    self.push(std::mem::take(&mut pushes), std::mem::take(&mut entries)).await?;
                }
                pushes.extend(part);
                entries.push(entry);
            }
            self.metrics.fanout_events.with_label_values(&[result]).inc();
        }
        self.push(pushes, entries).await
    }

    /// Promise 2: the registry has everything that the store had before this was called, which is after acceptance.
    async fn refreshed(&self) -> Result<Revision, Interrupted> {
        let refresh = || self.fanout.registry.refresh(&*self.fanout.store, Group::Config);
        let refreshed = persist(&*self.clock, &self.shutdown, "refresh the configuration", refresh);
        tokio::select! {
            biased;
            refreshed = refreshed => refreshed?.ok_or(Interrupted::Stopping),
            // A registry whose watch is broken may not be there for long.
            () = self.shutdown.cancelled() => Err(Interrupted::Stopping),
        }
    }

    /// Leaves out deliveries of a redelivered event that have ended or moved since the first time. Without an answer, which is
    /// false, it leaves all in; see the [module](self) for why that may be.
    async fn skip_known(&self, event: &mut Matched) -> Result<bool, Interrupted> {
        let ids: Vec<_> = event.pushes.iter().map(|push| push.delivery.header.id).collect();
        let standings = match self.fanout.dedup.standing(&ids).await {
            Ok(standings) => standings,
            Err(error) if error.is_retryable() => {
                let error = report(&error);
                tracing::warn!(%error, "events are fanned out again without asking which deliveries are known");
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        let mut standings = standings.into_iter();
        event.pushes.retain(|_| match standings.next() {
            Some(Standing::Done(_)) => false,
            Some(Standing::Live(hop)) => hop == Hop::default(),
            Some(Standing::Unknown) | None => true,
        });
        Ok(true)
    }

    async fn push(&self, pushes: Vec<Push>, entries: Vec<JournalEntry>) -> Result<(), Interrupted> {
        if entries.is_empty() {
            return Ok(());
        }
        let tried = AtomicBool::new(false);
        let push = || {
            let mut pushes = pushes.clone();
            // What a call that failed has left behind is looked for.
            if tried.swap(true, Ordering::Relaxed) {
                pushes.iter_mut().for_each(|push| push.repeated = true);
            }
            self.fanout.queue.push(pushes, entries.clone())
        };
        match persist(&*self.clock, &self.shutdown, "push deliveries", push).await? {
            Some(new) => {
                self.room.pushed(new);
                self.metrics.fanout_deliveries.inc_by(new as u64);
                Ok(())
            }
            None => Err(Interrupted::Stopping),
        }
    }
}

/// Repeats an idempotent act until the store takes it. `None` on shutdown.
pub(crate) async fn persist<T, F>(
    clock: &dyn Clock,
    shutdown: &Shutdown,
    doing: &'static str,
    act: impl Fn() -> F,
) -> StoreResult<Option<T>>
where
    F: Future<Output = StoreResult<T>>,
{
    loop {
        match act().await {
            Ok(done) => return Ok(Some(done)),
            Err(error) if error.is_retryable() => {
                tracing::debug!(doing, "trying again after a pause");
                pause(clock, shutdown, &error).await;
            }
            Err(error) => return Err(error),
        }
        if shutdown.is_cancelled() {
            return Ok(None);
        }
    }
}

/// Says what failed and waits a little, or until shutdown.
pub(crate) async fn pause(clock: &dyn Clock, shutdown: &Shutdown, error: &StoreError) {
    tracing::warn!(error = %report(error), "fan-out waits for the store");
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = clock.sleep(PAUSE) => {}
    }
}
