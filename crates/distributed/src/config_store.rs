//! The configuration and the health records: two buckets, each a stream that keeps the last message of a subject.
//!
//! A revision is a sequence of the stream. Reads ask the stream's leader, so that they are as new as the last answer.

mod watch;

use async_trait::async_trait;
use bytes::Bytes;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::config_store::{
    Changed, ConfigStore, Expected, Group, Key, Record, Revision, Versioned, Watch,
};

use crate::Distributed;
use crate::message::Draft;
use crate::store::{Placed, Stored};

/// The header of a message that says that its key was removed, as NATS' own tools write and read it.
const OPERATION: &str = "KV-Operation";
const REMOVED: &str = "DEL";

/// Whether a message says that its key was removed.
pub(crate) fn is_removal(headers: &async_nats::HeaderMap) -> bool {
    headers.get(OPERATION).is_some_and(|operation| matches!(operation.as_str(), REMOVED | "PURGE"))
}

/// A message that removes a key.
pub(crate) fn removal(subject: String) -> Draft {
    Draft::new(subject, Bytes::new()).header(OPERATION, REMOVED)
}

#[async_trait]
impl ConfigStore for Distributed {
    async fn get(&self, key: &Key) -> StoreResult<Option<Versioned>> {
        let Some(stored) = self.find("read a configuration record", key).await? else { return Ok(None) };
        if is_removal(&stored.headers) {
            return Ok(None);
        }
        Ok(Some(Versioned { revision: Revision(stored.sequence), record: Record::decode(key, &stored.payload)? }))
    }

    async fn put(&self, record: Record, expected: Expected) -> StoreResult<Changed> {
        let key = record.key();
        let subject = self.subject(&key);
        self.change("store a configuration record", &key, Draft::new(subject, record.encode().into()), expected).await
    }

    async fn remove(&self, key: &Key, expected: Expected) -> StoreResult<Changed> {
        const DOING: &str = "remove a configuration record";
        if self.find(DOING, key).await?.is_none_or(|stored| is_removal(&stored.headers)) {
            return match expected {
                Expected::Any | Expected::Absent => Ok(Changed::Done(self.last_revision(key.group()).await?)),
                Expected::At(_) => Ok(Changed::Conflict),
            };
        }
        self.change(DOING, key, removal(self.subject(key)), expected).await
    }

    async fn last_revision(&self, group: Group) -> StoreResult<Revision> {
        let names = &self.shared.names;
        let (stream, records) = (names.bucket_stream(group), names.records(group));
        let last = self.shared.store.last("read the configuration's revision", &stream, &records).await?;
        Ok(Revision(last.map_or(0, |last| last.sequence)))
    }

    async fn watch(&self, group: Group) -> StoreResult<Box<dyn Watch>> {
        Ok(Box::new(watch::GroupWatch::new(self.clone(), group)))
    }
}

impl Distributed {
    fn subject(&self, key: &Key) -> String {
        self.shared.names.record(key.group(), &key.to_string())
    }

    async fn find(&self, doing: &'static str, key: &Key) -> StoreResult<Option<Stored>> {
        self.shared.store.last(doing, &self.shared.names.bucket_stream(key.group()), &self.subject(key)).await
    }

    async fn change(&self, doing: &'static str, key: &Key, draft: Draft, expected: Expected) -> StoreResult<Changed> {
        let draft = match expected {
            Expected::Any => draft,
            Expected::At(revision) => {
                // The mark of a removal has a revision too, and a removed record is at none.
                let removed = |stored: &Stored| stored.sequence == revision.0 && is_removal(&stored.headers);
                if revision.0 == 0 || self.find(doing, key).await?.as_ref().is_some_and(removed) {
                    return Ok(Changed::Conflict);
                }
                draft.expecting(revision.0)
            }
            Expected::Absent => match self.find(doing, key).await? {
                None => draft.expecting(0),
                // In the place of the mark that the record was removed.
                Some(stored) if is_removal(&stored.headers) => draft.expecting(stored.sequence),
                Some(_) => return Ok(Changed::Conflict),
            },
        };
        Ok(match self.shared.store.place(doing, draft).await? {
            Placed::At(sequence) => Changed::Done(Revision(sequence)),
            Placed::Conflict => Changed::Conflict,
        })
    }
}
