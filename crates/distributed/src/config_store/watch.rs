//! A watch of one group.

use std::sync::Arc;

use async_nats::jetstream::Message;
use async_trait::async_trait;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::config_store::{Change, Changes, ConfigStore, Group, Key, Record, Revision, Watch};

use super::is_removal;
use crate::Distributed;
use crate::error::unavailable;
use crate::follow::{Follow, Following};

const DOING: &str = "watch the configuration";
/// How many records are read ahead, and told of at most in one answer after the first.
const AHEAD: usize = 1000;

/// Follows the bucket's stream.
pub(super) struct GroupWatch {
    engine: Distributed,
    group: Group,
    following: Following,
    /// What has been read for the first answer: kept here so that a wait that is given up loses nothing.
    first: Option<Vec<Change>>,
}

impl GroupWatch {
    pub(super) fn new(engine: Distributed, group: Group) -> Self {
        let shared = &engine.shared;
        let what = Follow {
            stream: shared.names.bucket_stream(group),
            subject: shared.names.records(group),
            headers_only: false,
            from: 1,
            ahead: AHEAD,
        };
        let following = Following::new(shared.store.clone(), Arc::clone(&shared.clock), what);
        Self { engine, group, following, first: Some(Vec::new()) }
    }

    fn change(&self, sequence: u64, message: &Message) -> StoreResult<Option<Change>> {
        let prefix = self.engine.shared.names.record(self.group, "");
        // A kind of record that this version does not know is none of its services' business.
        let Some(key) = message.subject.strip_prefix(&prefix).and_then(Key::parse) else { return Ok(None) };
        let removed = message.headers.as_ref().is_some_and(is_removal);
        let record = if removed { None } else { Some(Record::decode(&key, &message.payload)?) };
        Ok(Some(Change { revision: Revision(sequence), key, record }))
    }

    /// Everything up to the revision that the group has now; what comes after that is told next.
    async fn whole(&mut self) -> StoreResult<Changes> {
        let up_to = self.engine.last_revision(self.group).await?;
        while self.following.from() <= up_to.0 {
            let (sequence, message) = tokio::select! {
                message = self.following.next(DOING) => message?,
                // The last one may have been replaced: then what is awaited never comes.
                () = self.engine.shared.clock.sleep(std::time::Duration::from_secs(1)) => {
                    if self.engine.last_revision(self.group).await? < up_to {
                        return Err(unavailable(DOING, "the bucket is another one than before"));
                    }
                    continue;
                }
            };
            if let Some(change) = self.change(sequence, &message)? {
                self.first.get_or_insert_default().push(change);
            }
        }
        let changes = self.first.take().unwrap_or_default();
        Ok(Changes { changes: last_of_each(changes), up_to: Revision(up_to.0.max(self.following.from() - 1)) })
    }
}

/// What there is: the last change of each record, without those that were removed.
fn last_of_each(changes: Vec<Change>) -> Vec<Change> {
    let mut last = std::collections::HashMap::new();
    for change in &changes {
        last.insert(change.key.clone(), change.revision);
    }
    changes
        .into_iter()
        .filter(|change| change.record.is_some() && last.get(&change.key) == Some(&change.revision))
        .collect()
}

#[async_trait]
impl Watch for GroupWatch {
    async fn next(&mut self) -> StoreResult<Changes> {
        if self.first.is_some() {
            return self.whole().await;
        }
        let mut message = Some(self.following.next(DOING).await?);
        // From here on nothing is awaited: what is taken is told.
        let mut changes = Vec::new();
        let mut count = 0;
        while let Some((sequence, taken)) = message.take() {
            changes.extend(self.change(sequence, &taken)?);
            count += 1;
            if count < AHEAD {
                message = self.following.ready(DOING)?;
            }
        }
        Ok(Changes { changes, up_to: Revision(self.following.from() - 1) })
    }
}
