//! The sweep for schedules that should have fired and have not: one that falls due while the store is full never fires until
//! the server restarts.
//!
//! A schedule's subject says in which hour and minute it falls due, so that what is past is found without reading what is not.
//! One process sweeps at a time, whichever comes first; two at once would do no harm, since a schedule is replaced only as
//! long as it is there.

use std::convert::Infallible;

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::Place;
use fanfare_core::ports::config_store::Group;
use fanfare_core::ports::{StoreError, StoreResult};
use fanfare_runtime::Shutdown;
use fanfare_runtime::tasks::report;

use super::{encode, forward};
use crate::Distributed;
use crate::message::Draft;
use crate::names::{due_hour, due_minute};
use crate::store::{BatchRequest, Placed, Stored};

const DOING: &str = "look for overdue schedules";
/// How many schedules are read by one request.
const PAGE: usize = 200;

/// What a process that sweeps knows from one look to the next.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// The revision of the key by which the sweepers know of one another, as it was seen last.
    seen: Option<u64>,
    /// In every hour before this one nothing is left: no schedule is ever put into the past.
    empty_before: Option<u64>,
}

impl Distributed {
    /// Sweeps until shutdown.
    pub(crate) async fn sweep(&self, shutdown: &Shutdown) -> Result<(), Infallible> {
        let mut sweep = Sweep::default();
        let pause = self.shared.config.overdue_after.get() / 2;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.shared.clock.sleep(pause) => {}
            }
            let swept =
                async { if sweep.is_my_turn(self).await? { sweep.once(self).await.map(|_| ()) } else { Ok(()) } };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                swept = swept => if let Err(error) = swept {
                    let error = report(&error);
                    tracing::warn!(error, "overdue schedules could not be looked for or moved; trying again");
                }
            }
        }
    }
}

impl Sweep {
    /// Whether nobody else has swept since the last look.
    pub(crate) async fn is_my_turn(&mut self, engine: &Distributed) -> StoreResult<bool> {
        let (store, names) = (&engine.shared.store, &engine.shared.names);
        let key = names.key(Group::State, "sweep.overdue");
        let found = store.last(DOING, &names.bucket_stream(Group::State), &key).await?.map_or(0, |last| last.sequence);
        if self.seen != Some(found) && found != 0 {
            self.seen = Some(found);
            return Ok(false);
        }
        let draft = Draft::new(key, engine.shared.instance.clone().into()).expecting(found);
        match store.place(DOING, draft).await? {
            Placed::At(mine) => {
                self.seen = Some(mine);
                Ok(true)
            }
            Placed::Conflict => Ok(false),
        }
    }

    /// Moves what is overdue; returns how many there were.
    pub(crate) async fn once(&mut self, engine: &Distributed) -> StoreResult<u64> {
        let (shared, names) = (&engine.shared, &engine.shared.names);
        let until = shared.clock.now().before(shared.config.overdue_after.get());
        let first = self.empty_before.unwrap_or_else(|| due_hour(until.before(shared.config.live_retention.get())));
        let last = due_hour(until);
        let mut found = Found::default();
        for hour in first..last {
            found.look(engine, &names.due_in_hour(hour), until).await;
        }
        for minute in last * 60..=due_minute(until) {
            found.look(engine, &names.due_in_minute(minute), until).await;
        }
        shared.metrics.delivery_overdue.set(i64::try_from(found.left).unwrap_or(i64::MAX));
        if found.moved > 0 {
            shared.metrics.delivery_overdue_moved.inc_by(found.moved);
            tracing::warn!(count = found.moved, "moved deliveries whose schedules had not fired; was the store full?");
        }
        match found.failed {
            Some(error) => Err(error),
            None => {
                self.empty_before = Some(last);
                Ok(found.moved)
            }
        }
    }
}

#[derive(Default)]
struct Found {
    moved: u64,
    /// Overdue, and not moved.
    left: u64,
    /// The first failure; what comes after it is counted, not moved.
    failed: Option<StoreError>,
}

impl Found {
    /// Moves what is overdue on the subjects that match.
    async fn look(&mut self, engine: &Distributed, subject: &str, until: Timestamp) {
        let mut from = 1;
        loop {
            let request = BatchRequest { from: Some(from), next: Some(subject), last_of: &[], batch: PAGE };
            let page = match engine.shared.store.batch(DOING, &engine.shared.names.deliveries(), &request).await {
                Ok(page) => page,
                Err(error) => {
                    self.failed.get_or_insert(error);
                    return;
                }
            };
            let Some(last) = page.last().map(|last| last.sequence) else { return };
            from = last + 1;
            for scheduled in page.into_iter().filter(|scheduled| is_overdue(scheduled, until)) {
                self.take(engine, scheduled).await;
            }
            if self.failed.is_some() {
                return;
            }
        }
    }

    async fn take(&mut self, engine: &Distributed, scheduled: Stored) {
        if self.failed.is_some() {
            self.left += 1;
            return;
        }
        match forward::move_to_ready(engine, scheduled, engine.shared.clock.now()).await {
            Ok(Some(_)) => self.moved += 1,
            // It has fired in this very moment.
            Ok(None) => {}
            Err(error) => {
                self.left += 1;
                self.failed = Some(error);
            }
        }
    }
}

fn is_overdue(scheduled: &Stored, until: Timestamp) -> bool {
    match encode::place(DOING, Some(&scheduled.headers)) {
        Ok(Place::Due { at, .. }) => at <= until,
        Ok(Place::Ready | Place::Gated { .. }) => false,
        // It cannot be moved without being read; when it fires it goes into quarantine.
        Err(_) => false,
    }
}
