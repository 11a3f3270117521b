//! A watch of one group.

use async_trait::async_trait;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::config_store::{Change, Changes, Group, Key, Record, Revision, Watch};
use rusqlite::Connection;

use super::{group_column, revision, revision_mark};
use crate::error::closed;
use crate::writer::Failed;
use crate::{Embedded, mark};

const DOING: &str = "watch the configuration";

/// Knows how far it has told.
pub(super) struct GroupWatch {
    engine: Embedded,
    group: Group,
    revisions: tokio::sync::watch::Receiver<i64>,
    /// Everything up to here has been told of; `None` before the first answer.
    told: Option<i64>,
}

impl GroupWatch {
    pub(super) fn new(engine: Embedded, group: Group) -> Self {
        let revisions = engine.shared.revisions.of(group).subscribe();
        Self { engine, group, revisions, told: None }
    }
}

#[async_trait]
impl Watch for GroupWatch {
    async fn next(&mut self) -> StoreResult<Changes> {
        if let Some(told) = self.told {
            tokio::select! {
                risen = self.revisions.wait_for(|last| *last > told) => {
                    risen.map_err(|_| closed(DOING))?;
                }
                () = self.engine.writer.ended() => return Err(closed(DOING)),
            }
        }
        let (group, told) = (self.group, self.told);
        let changes = self.engine.readers.read(DOING, move |file| since(file, group, told)).await?;
        // After the only await of this answer: a watch dropped before that tells the same again.
        self.told = Some(i64::try_from(changes.up_to.0).unwrap_or(i64::MAX));
        Ok(changes)
    }
}

/// What has changed after `told`; without it, every record there is. The revision is read in the same transaction.
fn since(file: &Connection, group: Group, told: Option<i64>) -> Result<Changes, Failed> {
    let up_to = revision(mark(file, revision_mark(group))?);
    let mut statement = file.prepare_cached(
        "SELECT key, revision, value FROM config \
         WHERE grp = ?1 AND revision > ?2 AND (?3 OR value IS NOT NULL) ORDER BY revision",
    )?;
    let mut rows = statement.query((group_column(group), told.unwrap_or(0), told.is_some()))?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        // A kind of record that this version does not know is none of its services' business.
        let Some(key) = Key::parse(&key) else { continue };
        let value = row.get_ref(2)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
        let record = value.map(|value| Record::decode(&key, value)).transpose()?;
        changes.push(Change { revision: Revision(row.get::<_, i64>(1)?.unsigned_abs()), key, record });
    }
    Ok(Changes { changes, up_to })
}
