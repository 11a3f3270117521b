//! One partition's consumer: reads, matches, pushes, advances, in this order. The next batch is read and matched while one is
//! pushed, since both wait for the store most of the time; it is pushed when that one is done.
//!
//! Crash order, for each batch: 1. the pushes with their journal entries are durable; 2. the position passes them. A
//! crash between the two has the batch read again, marked as redelivered; its deliveries are the same ones, and those that
//! have ended or moved meanwhile are skipped, or recognised by the queue where nobody can say which they are: it knows each
//! delivery's first push by its message id or its row for longer than a partition takes to find its next holder. What is
//! older, and was delivered before, may then be sent again, as while claims are not answered (promise 3). The position is advanced at intervals rather than after every batch, since
//! each advance is a commit of its own and what it saves is only work after a crash.

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
use tokio::sync::Notify;

use crate::Fanout;
use crate::matching::{Matched, matched};
use crate::room::Room;

/// How long to wait after a failure of the store before the act is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// How often the queue's depth is looked at while fan-out pauses for it.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

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

/// What has been pushed, but not passed by the durable position yet; and since when.
#[derive(Default)]
struct Unadvanced(Option<(Position, Monotonic)>);

/// Events that have been matched and not been pushed.
struct Batch {
    /// The position of the last of them.
    last: Position,
    /// What they become, in the pushes that it takes, each with what the journal is to tell of it.
    pushes: Vec<(Vec<Push>, Vec<JournalEntry>)>,
}

impl Batch {
    /// Adds to the last push, or to another one where that would have more than `most` deliveries.
    fn add(&mut self, part: Vec<Push>, entry: JournalEntry, most: usize) {
        match self.pushes.last_mut().filter(|(pushes, _)| pushes.len() + part.len() <= most) {
            Some((pushes, entries)) => {
                pushes.extend(part);
                entries.push(entry);
            }
            None => self.pushes.push((part, vec![entry])),
        }
    }
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
        let mut ahead = None;
        loop {
            let batch = match ahead.take() {
                Some(batch) => batch,
                None => match self.next_batch(reader).await? {
                    Some(events) => self.context.matched(events).await?,
                    None => return Ok(()),
                },
            };
            self.wait_for_room(reader).await?;
            let last = batch.last;
            ahead = self.push_and_look_ahead(batch, reader).await?;
            self.unadvanced.pushed(last, self.context.clock.monotonic());
        }
    }

    /// Pushes a batch; meanwhile the position is advanced past those before, if it has lagged long enough, and what is there
    /// already is read and matched. It is pushed after this batch: what one conversation has in both stays in order.
    async fn push_and_look_ahead(
        &mut self,
        batch: Batch,
        reader: &mut dyn PartitionReader,
    ) -> Result<Option<Batch>, Interrupted> {
        let Self { context, unadvanced } = self;
        let is_pushed = Notify::new();
        let push = async {
            let pushed = context.push_all(batch.pushes).await;
            is_pushed.notify_one();
            pushed
        };
        let ahead = async {
            unadvanced.advance_if_due(context, reader).await?;
            let events = tokio::select! {
                biased;
                () = context.shutdown.cancelled() => return Ok(None),
                () = is_pushed.notified() => return Ok(None),
                events = reader.next(context.fanout.config.batch_events) => events,
            };
            match events {
                Ok(events) => context.matched(events).await.map(Some),
                // It is asked again.
                Err(error) if error.is_retryable() => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        let (pushed, ahead) = tokio::join!(push, ahead);
        pushed.and(ahead)
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

    /// Holds back while the queue has as many ready deliveries as it may.
    async fn wait_for_room(&mut self, reader: &mut dyn PartitionReader) -> Result<(), Interrupted> {
        let Self { context, unadvanced } = self;
        let room = &context.room;
        if room.is_known(context.clock.monotonic()) {
            return Ok(());
        }
        let mut told = false;
        loop {
            let ask = || context.fanout.queue.ready();
            let Some(ready) = persist(&*context.clock, &context.shutdown, "read the queue's depth", ask).await? else {
                return Err(Interrupted::Stopping);
            };
            if room.answered(ready, context.clock.monotonic()) {
                return Ok(());
            }
            if !told {
                tracing::warn!(
                    ready,
                    max_ready = context.fanout.config.max_ready,
                    "fan-out pauses: too many deliveries are ready; are enough workers running?"
                );
                told = true;
            }
            tokio::select! {
                biased;
                () = context.shutdown.cancelled() => return Err(Interrupted::Stopping),
                () = context.clock.sleep(LOOK_AGAIN) => {}
            }
            // What has been pushed is done with, however long the next events have to wait.
            unadvanced.advance_if_due(context, reader).await?;
        }
    }
}

impl Unadvanced {
    fn pushed(&mut self, last: Position, now: Monotonic) {
        let since = self.0.map_or(now, |(_, since)| since);
        self.0 = Some((last, since));
    }

    /// When the position has lagged long enough.
    fn due(&self, context: &Context) -> Option<Monotonic> {
        self.0.map(|(_, since)| since.after(context.fanout.config.advance_every.get()))
    }

    /// Advances the position if it has lagged long enough.
    async fn advance_if_due(
        &mut self,
        context: &Context,
        reader: &mut dyn PartitionReader,
    ) -> Result<(), Interrupted> {
        match self.due(context) {
            Some(due) if context.clock.monotonic() >= due => self.advance(context, reader).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn advance(&mut self, context: &Context, reader: &mut dyn PartitionReader) -> Result<(), Interrupted> {
        let Some((position, _)) = self.0.take() else { return Ok(()) };
        match reader.advance(position).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_retryable() => {
                // The next advance covers this one.
                self.0 = Some((position, context.clock.monotonic()));
                pause(&*context.clock, &context.shutdown, &error).await;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Context {
    /// What a batch becomes, several events to a push.
    async fn matched(&self, events: Vec<LoggedEvent>) -> Result<Batch, Interrupted> {
        let revision = self.refreshed().await?;
        let most = self.fanout.config.push_deliveries;
        let mut batch = Batch { last: Position::default(), pushes: Vec::new() };
        let mut answered = true;
        for logged in events {
            batch.last = logged.position;
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
                batch.add(part, entry, most);
            }
            self.metrics.fanout_events.with_label_values(&[result]).inc();
        }
        Ok(batch)
    }

    async fn push_all(&self, pushes: Vec<(Vec<Push>, Vec<JournalEntry>)>) -> Result<(), Interrupted> {
        for (pushes, entries) in pushes {
            self.push(pushes, entries).await?;
        }
        Ok(())
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
