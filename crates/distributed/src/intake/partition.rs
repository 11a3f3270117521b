//! One partition of the intake and its holder.

use std::sync::Arc;

use async_trait::async_trait;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::intake::{IntakePartition, IntakePosition, Published, Rejection, Waiting};
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::index::Index;
use super::{follow, stored};
use crate::Distributed;
use crate::error::nats_error;
use crate::message::Draft;
use crate::rejected::Kept;
use crate::shares::Holding;

const WAITING: &str = "wait for published messages";
const READING: &str = "read published messages";
const REMOVING: &str = "remove published messages";
/// Whose messages those are that name no project that could exist.
const NOBODYS: &str = "";

/// An owned partition.
pub(super) struct Owned {
    engine: Distributed,
    holding: Arc<Holding>,
    index: Mutex<Index>,
    changed: Notify,
}

impl Owned {
    /// Begins to follow the partition; its index fills as that comes up to the stream's end.
    pub(super) fn begin(engine: &Distributed, holding: Arc<Holding>) -> Arc<Self> {
        let owned = Arc::new(Self { engine: engine.clone(), holding, index: Mutex::default(), changed: Notify::new() });
        let following = Arc::clone(&owned);
        engine.shared.tasks.spawn_work("intake-index", async move { following.follow().await });
        owned
    }

    async fn follow(&self) {
        let names = &self.engine.shared.names;
        let mut subjects = vec![names.intake_partition(self.holding.partition)];
        if self.holding.partition == 0 {
            // What the server did not divide has to be somebody's.
            subjects.push(names.undivided());
        }
        follow::while_held(&self.engine, &self.holding, subjects, |sequence, subject| {
            self.index.lock().arrive(names.line_of(subject).unwrap_or(NOBODYS), sequence);
            self.changed.notify_waiters();
        })
        .await;
    }

    fn check(&self, doing: &'static str) -> StoreResult<()> {
        self.holding.check(&*self.engine.shared.clock, doing)
    }

    /// Waits until this is true of the index.
    async fn wait_for(&self, is_so: impl Fn(&Index) -> bool + Send + Sync) -> StoreResult<()> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            self.check(WAITING)?;
            if is_so(&self.index.lock()) {
                return Ok(());
            }
            tokio::select! {
                () = changed => {}
                () = self.holding.lost() => {}
            }
        }
    }
}

#[async_trait]
impl IntakePartition for Owned {
    async fn waiting(&self) -> StoreResult<Vec<Waiting>> {
        self.wait_for(|index| !index.is_empty()).await?;
        Ok(self.index.lock().waiting())
    }

    async fn arrival(&self) -> StoreResult<()> {
        self.wait_for(Index::has_news).await
    }

    async fn read(&self, project: &str, max: usize) -> StoreResult<Vec<Published>> {
        self.check(READING)?;
        let sequences = self.index.lock().first(project, max);
        let asked = sequences.iter().map(|sequence| stored::get(&self.engine, READING, *sequence));
        let found = try_join_all(asked).await?;
        let mut read = Vec::with_capacity(found.len());
        for (sequence, found) in sequences.into_iter().zip(found) {
            match found {
                Some(message) => read.push(message),
                // Removed by an operator, or by this process in a call whose answer did not come back.
                None => self.index.lock().leave(project, sequence),
            }
        }
        self.check(READING)?;
        Ok(read)
    }

    async fn reject(&self, rejections: Vec<Rejection>) -> StoreResult<()> {
        let drafts = rejections.into_iter().map(|rejection| draft(&self.engine, rejection)).collect();
        self.engine.shared.store.publish_all("keep rejected messages", drafts).await.map(|_| ())
    }

    async fn done(&self, project: &str, position: IntakePosition) -> StoreResult<()> {
        self.check(REMOVING)?;
        let (store, names) = (&self.engine.shared.store, &self.engine.shared.names);
        if project == NOBODYS {
            // No pattern has them and nothing else.
            let done = self.index.lock().up_to(project, position.0);
            let stream = names.intake();
            try_join_all(done.into_iter().map(|sequence| store.delete(REMOVING, &stream, sequence))).await?;
        } else {
            let stream = store.stream(REMOVING, &names.intake()).await?;
            // Up to a sequence, and not that one itself. All before it that match have been handed out by this holder or one
            // before, and kept elsewhere: a message of a project is never passed over.
            let filter = names.intake_project(self.holding.partition, project);
            let purged = stream.purge().filter(filter).sequence(position.0 + 1).await;
            purged.map_err(|error| nats_error(REMOVING, error))?;
        }
        self.index.lock().leave_up_to(project, position.0);
        Ok(())
    }
}

fn draft(engine: &Distributed, rejection: Rejection) -> Draft {
    let Rejection { message, code, field, reason } = rejection;
    let names = &engine.shared.names;
    let kept = Kept {
        subject: names.published_under(&message.project, &message.event_type),
        published_at: message.at.to_string(),
        code: code.to_owned(),
        field,
        reason,
        headers: None,
        raw_headers: None,
    };
    let kept = kept.with_headers(message.headers, message.malformed.is_none(), &message.raw_headers);
    let id = format!("rejected:{}:{}", message.position.0, message.at.as_millis());
    kept.draft(names, &message.project, message.body, &id)
}
