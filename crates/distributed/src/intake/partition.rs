//! One partition of the intake and its holder.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::intake::{IntakePartition, IntakePosition, Published, Rejection, Waiting};
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::index::Index;
use super::removals::{NOBODYS, Removals};
use super::stored::Held;
use super::{follow, stored};
use crate::Distributed;
use crate::message::Draft;
use crate::rejected::Kept;
use crate::shares::Holding;

const WAITING: &str = "wait for published messages";
const READING: &str = "read published messages";
const REMOVING: &str = "remove published messages";

/// So many messages are read at once: what others ask the server meanwhile waits behind them.
const WINDOW: usize = 16;
/// So many of a project's first messages are read where one has to be, as far as there is room. The server has to load a file of some
/// megabytes when it has not been read for a moment.
const AHEAD: usize = 256;

/// An owned partition.
pub(super) struct Owned {
    engine: Distributed,
    holding: Arc<Holding>,
    index: Mutex<Index>,
    changed: Notify,
    removals: Removals,
}

impl Owned {
    /// Begins to follow the partition; its index fills as that comes up to the stream's end.
    pub(super) fn begin(engine: &Distributed, holding: Arc<Holding>) -> Arc<Self> {
        let owned = Arc::new(Self {
            engine: engine.clone(),
            holding,
            index: Mutex::default(),
            changed: Notify::new(),
            removals: Removals::default(),
        });
        let following = Arc::clone(&owned);
        engine.shared.tasks.spawn_work("intake-index", async move { following.follow().await });
        let removing = Arc::clone(&owned);
        engine.shared.tasks.spawn_work("intake-removals", async move {
            removing.removals.while_held(&removing.engine, &removing.holding).await;
        });
        owned
    }

    async fn follow(&self) {
        let names = &self.engine.shared.names;
        let mut subjects = vec![names.intake_partition(self.holding.partition)];
        if self.holding.partition == 0 {
            // What the server did not divide has to be somebody's.
            subjects.push(names.undivided());
        }
        follow::while_held(&self.engine, &self.holding, subjects, |place, came| {
            let project = names.line_of(&came.subject).unwrap_or(NOBODYS);
            self.index.lock().arrive(project, place.sequence, Held::size_of(came), || Held::of(place.at, came));
            self.changed.notify_waiters();
        })
        .await;
    }

    /// Reads messages of a project that are not kept; as many of them are from now on as there is room for.
    async fn fetch(&self, project: &str, sequences: &[u64]) -> StoreResult<HashMap<u64, Held>> {
        let mut fetched = HashMap::new();
        for window in sequences.chunks(WINDOW) {
            let asked = window.iter().map(|sequence| stored::get(&self.engine, READING, *sequence));
            let found = try_join_all(asked).await?;
            let mut index = self.index.lock();
            for (sequence, found) in window.iter().zip(found) {
                match found {
                    Some(message) => {
                        index.keep(project, *sequence, &message);
                        fetched.insert(*sequence, message);
                    }
                    // Removed by an operator.
                    None => index.leave(project, *sequence),
                }
            }
        }
        Ok(fetched)
    }

    /// Reads some of a project's messages before their turn has come.
    async fn read_ahead(&self, project: &str) -> StoreResult<()> {
        loop {
            let missing = {
                let index = self.index.lock();
                if index.has_room(project) { index.missing(project, AHEAD, WINDOW) } else { Vec::new() }
            };
            if missing.is_empty() {
                return Ok(());
            }
            self.fetch(project, &missing).await?;
        }
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
        let first = self.index.lock().first(project, max);
        let missing: Vec<u64> =
            first.iter().filter_map(|(sequence, kept)| kept.is_none().then_some(*sequence)).collect();
        let mut fetched = self.fetch(project, &missing).await?;
        if !missing.is_empty() {
            self.read_ahead(project).await?;
        }
        self.check(READING)?;
        let names = &self.engine.shared.names;
        let found = first
            .into_iter()
            .filter_map(|(sequence, kept)| Some((sequence, kept.or_else(|| fetched.remove(&sequence))?)));
        found.map(|(sequence, message)| message.published(names, READING, sequence)).collect()
    }

    async fn reject(&self, rejections: Vec<Rejection>) -> StoreResult<()> {
        let drafts = rejections.into_iter().map(|rejection| draft(&self.engine, rejection)).collect();
        self.engine.shared.store.publish_all("keep rejected messages", drafts).await.map(|_| ())
    }

    async fn done(&self, project: &str, position: IntakePosition) -> StoreResult<()> {
        self.check(REMOVING)?;
        let mut index = self.index.lock();
        let done = index.leave_up_to(project, position.0);
        self.removals.add(project, done, index.is_behind(project), self.engine.shared.clock.monotonic());
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
