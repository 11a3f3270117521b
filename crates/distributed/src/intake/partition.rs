//! One partition of the intake and its holder.

use std::sync::Arc;

use async_nats::HeaderMap;
use async_trait::async_trait;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::intake::{IntakePartition, IntakePosition, Published, Rejection, Waiting};
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

use super::index::Index;
use crate::Distributed;
use crate::error::nats_error;
use crate::follow::{self, Follow};
use crate::message::Draft;
use crate::shares::Holding;
use crate::store::Stored;

const WAITING: &str = "wait for published messages";
const READING: &str = "read published messages";
const REMOVING: &str = "remove published messages";
/// How many headers are read ahead.
const AHEAD: usize = 1000;
/// The most bytes of a rejected message's own headers that are kept with it. Encoded they take up to several times as much, and
/// body and headers together have to fit into one message.
const KEPT_HEADER_BYTES: usize = 64 * 1024;
/// What is known of a rejected message.
const REJECTION: &str = "Fanfare-Rejection";

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
        let shared = &self.engine.shared;
        let what = Follow {
            stream: shared.names.intake(),
            subject: shared.names.intake_partition(self.holding.partition),
            headers_only: true,
            from: 1,
            ahead: AHEAD,
        };
        follow::while_held(shared, &self.holding, what, WAITING, |sequence, message| {
            if let Some((project, _)) = shared.names.published_as(&message.subject) {
                self.index.lock().arrive(project, sequence);
            }
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
        let (shared, stream) = (&self.engine.shared, self.engine.shared.names.intake());
        let sequences = self.index.lock().first(project, max);
        let asked = sequences.iter().map(|sequence| shared.store.message(READING, &stream, *sequence));
        let found = try_join_all(asked).await?;
        let mut read = Vec::with_capacity(found.len());
        for (sequence, stored) in sequences.into_iter().zip(found) {
            match stored.and_then(|stored| published(&self.engine, stored)) {
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
        let (shared, names) = (&self.engine.shared, &self.engine.shared.names);
        let stream = shared.store.stream(REMOVING, &names.intake()).await?;
        // Up to a sequence, and not that one itself. All before it that match have been handed out by this holder or one
        // before, and kept elsewhere: a message of a project is never passed over.
        let filter = names.intake_project(self.holding.partition, project);
        let purged = stream.purge().filter(filter).sequence(position.0 + 1).await;
        purged.map_err(|error| nats_error(REMOVING, error))?;
        self.index.lock().leave_up_to(project, position.0);
        Ok(())
    }
}

fn published(engine: &Distributed, stored: Stored) -> Option<Published> {
    let (project, event_type) = engine.shared.names.published_as(&stored.subject)?;
    Some(Published {
        position: IntakePosition(stored.sequence),
        at: stored.at,
        project: project.into(),
        event_type: event_type.to_owned(),
        headers: headers(&stored.headers),
        body: stored.payload,
    })
}

fn headers(map: &HeaderMap) -> Vec<(String, String)> {
    let all = map.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    all.map(|(name, value)| (name.to_string(), value.as_str().to_owned())).collect()
}

/// What is kept of a rejected message beside its body.
#[derive(Serialize)]
struct Kept<'a> {
    subject: String,
    published_at: String,
    code: &'a str,
    field: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<&'a [(String, String)]>,
}

fn draft(engine: &Distributed, rejection: Rejection) -> Draft {
    let Rejection { message, code, field, reason } = rejection;
    let bytes: usize = message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let names = &engine.shared.names;
    let kept = Kept {
        subject: names.published_under(&message.project, &message.event_type),
        published_at: message.at.to_string(),
        code,
        field: &field,
        reason: &reason,
        headers: (bytes <= KEPT_HEADER_BYTES).then_some(&*message.headers),
    };
    Draft::new(names.rejected_of(&message.project), message.body.clone())
        .id(&format!("rejected:{}:{}", message.position.0, message.at.as_millis()))
        .describe(REJECTION, &kept)
}
