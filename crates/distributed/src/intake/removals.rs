//! Removing what is done with, a moment later: what has come together of a project by then, at once.
//!
//! A filtered purge looks at all that waits, under the stream's lock, so producers and everybody else feel each one. What is
//! removed is kept elsewhere by then: a holder that is gone before has it taken in again, which is recognised, and one that has lost
//! the partition may go on removing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::ports::StoreResult;
use fanfare_runtime::tasks::report;
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Distributed;
use crate::error::nats_error;
use crate::shares::Holding;

const DOING: &str = "remove published messages";
/// Whose messages those are that name no project that could exist.
pub(super) const NOBODYS: &str = "";

/// For how long it comes together.
const TOGETHER: Duration = Duration::from_millis(100);
/// For how long it does of a project that has much more waiting: what is the first of it is in a file of its own by then, which the
/// server has to load for each purge.
const TOGETHER_BEHIND: Duration = Duration::from_secs(1);
/// How long to wait before a server that did not answer is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// What is to be removed of a partition, by project.
#[derive(Debug, Default)]
pub(super) struct Removals {
    due: Mutex<HashMap<Arc<str>, Due>>,
    come: Notify,
}

/// What is to be removed of a project.
#[derive(Debug)]
struct Due {
    sequences: Vec<u64>,
    since: Monotonic,
    is_behind: bool,
}

impl Due {
    fn is_ready(&self, now: Monotonic) -> bool {
        !self.is_behind || now.since(self.since) >= TOGETHER_BEHIND
    }
}

impl Removals {
    /// A project's messages, all up to the last of them, are to be removed; whether much more of it waits.
    pub(super) fn add(&self, project: &str, sequences: Vec<u64>, is_behind: bool, now: Monotonic) {
        if sequences.is_empty() {
            return;
        }
        let mut due = self.due.lock();
        let new = || Due { sequences: Vec::new(), since: now, is_behind };
        let of_project = due.entry(project.into()).or_insert_with(new);
        of_project.sequences.extend(sequences);
        of_project.is_behind = is_behind;
        self.come.notify_one();
    }

    /// Removes what comes, for as long as the partition is held, and what is left then.
    pub(super) async fn while_held(&self, engine: &Distributed, holding: &Holding) {
        let shutdown = engine.shared.tasks.shutdown();
        let end = async {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = holding.lost() => {}
            }
        };
        let mut end = std::pin::pin!(end);
        // An operator is told once.
        let mut fails = false;
        loop {
            tokio::select! {
                () = &mut end => break,
                () = self.come.notified() => {}
            }
            let now = engine.shared.clock.monotonic();
            let removed = self.remove(engine, holding.partition, |due| due.is_ready(now)).await;
            if let (Err(error), false) = (&removed, fails) {
                tracing::warn!(error = %report(error), "what was taken in could not be removed; trying again");
            }
            fails = removed.is_err();
            let pause = if fails { PAUSE } else { TOGETHER };
            if !self.due.lock().is_empty() {
                self.come.notify_one();
            }
            tokio::select! {
                () = &mut end => break,
                () = engine.shared.clock.sleep(pause) => {}
            }
        }
        #[cfg(test)]
        if engine.shared.faults.is_killed() {
            return;
        }
        if let Err(error) = self.remove(engine, holding.partition, |_| true).await {
            tracing::debug!(error = %report(&error), "what was taken in is left for the next holder to find");
        }
    }

    async fn remove(&self, engine: &Distributed, partition: u16, wanted: impl Fn(&Due) -> bool) -> StoreResult<()> {
        let ready: Vec<_> = self.due.lock().extract_if(|_, due| wanted(due)).collect();
        let mut failed = None;
        for (project, of_project) in ready {
            if failed.is_none() {
                failed = remove_of(engine, partition, &project, &of_project.sequences).await.err();
            }
            if failed.is_some() {
                let Due { sequences, is_behind, since } = of_project;
                self.add(&project, sequences, is_behind, since);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

async fn remove_of(engine: &Distributed, partition: u16, project: &str, sequences: &[u64]) -> StoreResult<()> {
    let (store, stream) = (&engine.shared.store, engine.shared.names.intake());
    if project == NOBODYS {
        // No pattern has them and nothing else.
        try_join_all(sequences.iter().map(|sequence| store.delete(DOING, &stream, *sequence))).await?;
        return Ok(());
    }
    // Up to a sequence, and not that one itself. All before it that match have been handed out by this holder or one before, and
    // kept elsewhere: a message of a project is never passed over.
    let Some(last) = sequences.iter().max() else { return Ok(()) };
    let filter = engine.shared.names.intake_project(partition, project);
    let purged = store.stream(DOING, &stream).await?.purge().filter(filter).sequence(last + 1).await;
    purged.map(|_| ()).map_err(|error| nats_error(DOING, error))
}
