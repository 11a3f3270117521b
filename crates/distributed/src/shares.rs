//! Sharing partitions among processes: each takes an even share, and holds every partition by a lease.
//!
//! Those who take part announce themselves by a key that they renew; so do holders for each partition. Nothing is read off
//! clocks of others: whoever sees a key unchanged for the lease time, by its own monotonic clock, knows its owner to be
//! gone. A holder stops before that, counting from when it sent its last renewal. Every change is a compare-and-set, so a
//! partition has one holder; the lease's revision is its fencing token.

mod holding;
mod presence;
mod round;

use std::sync::Arc;

use fanfare_core::ports::{StoreError, StoreResult};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use crate::Distributed;
use crate::names::INTAKE_PARTITIONS;
use round::Member;

pub(crate) use holding::Holding;
pub(crate) use presence::Presence;

/// What is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Events,
    Gates,
    Intake,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Kind; 3] = [Kind::Events, Kind::Gates, Kind::Intake];

    /// Shows how many partitions there are, in every process: whoever compares them with those that have a holder is to see it
    /// also when nobody takes part.
    pub(crate) fn show_all(engine: &Distributed) {
        for kind in Kind::ALL {
            let partitions = i64::from(kind.partitions(engine));
            engine.shared.metrics.partitions.with_label_values(&[kind.name()]).set(partitions);
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Events => "events",
            Kind::Gates => "gates",
            Kind::Intake => "intake",
        }
    }

    fn partitions(self, engine: &Distributed) -> u16 {
        match self {
            Kind::Events => engine.shared.names.partitions(),
            Kind::Gates => engine.shared.names.gate_partitions(),
            Kind::Intake => INTAKE_PARTITIONS,
        }
    }
}

/// Taking part. Dropping it gives everything back.
pub(crate) struct Share {
    gained: mpsc::Receiver<Arc<Holding>>,
    held: Arc<Mutex<Vec<Arc<Holding>>>>,
    leave: CancellationToken,
}

impl Share {
    /// Begins to take part.
    pub(crate) fn join(engine: &Distributed, kind: Kind) -> Self {
        let leave = CancellationToken::new();
        let held = Arc::<Mutex<Vec<Arc<Holding>>>>::default();
        // As many as there are partitions: telling of one gained never waits for long.
        let (tell, gained) = mpsc::channel(usize::from(kind.partitions(engine)));
        let member = Member::new(engine.clone(), kind, Ulid::generate().to_string(), Arc::clone(&held), tell);
        let (left, shutdown) = (leave.clone(), engine.shared.tasks.shutdown());
        engine.shared.tasks.spawn_work("partition-share", async move {
            tokio::select! {
                () = left.cancelled() => {}
                () = shutdown.cancelled() => {}
                () = member.take_part() => {}
            }
            member.leave().await;
        });
        Self { gained, held, leave }
    }

    /// Waits for one more partition.
    pub(crate) async fn next(&mut self, doing: &'static str) -> StoreResult<Arc<Holding>> {
        loop {
            let holding = self.gained.recv().await.ok_or_else(|| StoreError::lost(doing))?;
            // It may have been lost again before anybody asked.
            if !holding.is_lost() {
                return Ok(holding);
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // First the holders lose it, then somebody else may get it.
        for holding in self.held.lock().iter() {
            holding.lose();
        }
        self.leave.cancel();
    }
}
