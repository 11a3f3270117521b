//! Webhooks, projects, keys and health: rows with the revision of their last change.
//!
//! A watch is told in memory how far its group has come, and reads from the file what has changed since it last looked.
//! So a slow one costs nothing, is told of each record once however often it changed, and never misses a removal: a
//! removed record stays as a row without a value until the file is next opened, when nobody watches.

mod watch;

use std::sync::Arc;

use async_trait::async_trait;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::config_store::{
    Changed, ConfigStore, Expected, Group, Key, Record, Revision, Versioned, Watch,
};
use rusqlite::{Connection, OptionalExtension};

use crate::error::closed;
use crate::writer::Tx;
use crate::{Embedded, mark};

/// The last committed revision of each group, and who waits for the next.
#[derive(Debug)]
pub(crate) struct Revisions {
    config: tokio::sync::watch::Sender<i64>,
    state: tokio::sync::watch::Sender<i64>,
}

impl Revisions {
    /// As they are in the file.
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let load = |group| mark(connection, revision_mark(group)).map(tokio::sync::watch::Sender::new);
        Ok(Self { config: load(Group::Config)?, state: load(Group::State)? })
    }

    fn of(&self, group: Group) -> &tokio::sync::watch::Sender<i64> {
        match group {
            Group::Config => &self.config,
            Group::State => &self.state,
        }
    }
}

/// Forgets removed records: when the file is opened there is no watch that would have to be told.
pub(crate) fn forget_removed(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM config WHERE value IS NULL", []).map(|_| ())
}

fn group_column(group: Group) -> i64 {
    match group {
        Group::Config => 0,
        Group::State => 1,
    }
}

fn revision_mark(group: Group) -> &'static str {
    match group {
        Group::Config => "config_revision",
        Group::State => "state_revision",
    }
}

fn revision(column: i64) -> Revision {
    Revision(column.unsigned_abs())
}

#[async_trait]
impl ConfigStore for Embedded {
    async fn get(&self, key: &Key) -> StoreResult<Option<Versioned>> {
        let key = key.clone();
        self.readers
            .read("read a configuration record", move |file| {
                let mut statement =
                    file.prepare_cached("SELECT revision, value FROM config WHERE key = ?1 AND value IS NOT NULL")?;
                let found: Option<(i64, Vec<u8>)> =
                    statement.query_row([key.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
                let Some((column, value)) = found else { return Ok(None) };
                Ok(Some(Versioned { revision: revision(column), record: Record::decode(&key, &value)? }))
            })
            .await
    }

    async fn put(&self, record: Record, expected: Expected) -> StoreResult<Changed> {
        self.change("store a configuration record", record.key(), Some(record.encode()), expected).await
    }

    async fn remove(&self, key: &Key, expected: Expected) -> StoreResult<Changed> {
        self.change("remove a configuration record", key.clone(), None, expected).await
    }

    async fn last_revision(&self, group: Group) -> StoreResult<Revision> {
        if self.writer.has_ended() {
            return Err(closed("read the configuration's revision"));
        }
        // Raised before a change is answered, so whoever asks after an answer sees at least that change.
        Ok(revision(*self.shared.revisions.of(group).borrow()))
    }

    async fn watch(&self, group: Group) -> StoreResult<Box<dyn Watch>> {
        Ok(Box::new(watch::GroupWatch::new(self.clone(), group)))
    }
}

impl Embedded {
    async fn change(
        &self,
        doing: &'static str,
        key: Key,
        value: Option<Vec<u8>>,
        expected: Expected,
    ) -> StoreResult<Changed> {
        let group = key.group();
        let shared = Arc::clone(&self.shared);
        let bytes = value.as_ref().map_or(0, Vec::len);
        self.writer
            .write(
                doing,
                bytes,
                move |tx| Ok(write(tx, &key, value.as_deref(), expected)?),
                move |changed| {
                    if let Changed::Done(Revision(revision)) = changed {
                        let revision = i64::try_from(revision).unwrap_or(i64::MAX);
                        shared.revisions.of(group).send_if_modified(|last| {
                            let rises = *last < revision;
                            *last = revision.max(*last);
                            rises
                        });
                    }
                    changed
                },
            )
            .await
    }
}

fn write(tx: &Tx<'_>, key: &Key, value: Option<&[u8]>, expected: Expected) -> rusqlite::Result<Changed> {
    let (group, text) = (key.group(), key.to_string());
    let current: Option<i64> = tx
        .connection
        .prepare_cached("SELECT revision FROM config WHERE key = ?1 AND value IS NOT NULL")?
        .query_row([&text], |row| row.get(0))
        .optional()?;
    let as_expected = match expected {
        Expected::Any => true,
        Expected::Absent => current.is_none(),
        Expected::At(wanted) => current.map(revision) == Some(wanted),
    };
    if !as_expected {
        return Ok(Changed::Conflict);
    }
    if value.is_none() && current.is_none() {
        return Ok(Changed::Done(revision(mark(tx.connection, revision_mark(group))?)));
    }
    let next: i64 = tx
        .connection
        .prepare_cached("UPDATE marks SET value = value + 1 WHERE name = ?1 RETURNING value")?
        .query_row([revision_mark(group)], |row| row.get(0))?;
    tx.connection
        .prepare_cached(
            "INSERT INTO config (key, grp, revision, value) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, value = excluded.value",
        )?
        .execute((&text, group_column(group), next, value))?;
    Ok(Changed::Done(revision(next)))
}
