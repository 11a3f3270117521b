//! How far each partition is done: a key with the sequence and the fencing token of its holder, changed by compare-and-set.

use std::collections::HashMap;

use fanfare_core::ports::config_store::Group;
use fanfare_core::ports::{StoreError, StoreResult};
use serde::{Deserialize, Serialize};

use crate::Distributed;
use crate::error::corrupt;
use crate::message::Draft;
use crate::store::{BatchRequest, Placed, Stored};

/// What the key says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Everything up to here is done with.
    pub(super) sequence: u64,
    /// Whose word that is.
    pub(super) token: u64,
}

/// A position that is ours to move.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claimed {
    pub(super) position: Position,
    /// Whether somebody had it before.
    pub(super) had_holder: bool,
    revision: u64,
}

fn key(engine: &Distributed, partition: &str) -> String {
    engine.shared.names.key(Group::State, &format!("position.events.{partition}"))
}

fn parse(doing: &'static str, stored: &Stored) -> StoreResult<Position> {
    serde_json::from_slice(&stored.payload).map_err(|error| corrupt(doing, error))
}

/// Makes a partition's position ours. From then on the holder before cannot move it: the key's revision is another one.
pub(crate) async fn claim(engine: &Distributed, partition: u16, token: u64) -> StoreResult<Claimed> {
    const DOING: &str = "claim a partition's position";
    let (names, subject) = (&engine.shared.names, key(engine, &partition.to_string()));
    loop {
        let found = engine.shared.store.last(DOING, &names.bucket_stream(Group::State), &subject).await?;
        let (before, revision) = match &found {
            Some(stored) => (parse(DOING, stored)?, stored.sequence),
            None => (Position::default(), 0),
        };
        if before.token > token {
            return Err(StoreError::lost(DOING));
        }
        let position = Position { token, ..before };
        // A conflict: the holder before has moved it in this very moment, which it may until it is claimed.
        if let Placed::At(revision) = put(engine, DOING, &subject, position, revision).await? {
            return Ok(Claimed { position, had_holder: found.is_some(), revision });
        }
    }
}

impl Claimed {
    /// Moves it forward.
    ///
    /// # Errors
    /// `Lost` when somebody else has claimed it.
    pub(crate) async fn advance(&mut self, engine: &Distributed, partition: u16, sequence: u64) -> StoreResult<()> {
        const DOING: &str = "advance a partition's position";
        let (names, subject) = (&engine.shared.names, key(engine, &partition.to_string()));
        let position = Position { sequence, ..self.position };
        loop {
            if let Placed::At(revision) = put(engine, DOING, &subject, position, self.revision).await? {
                (self.position, self.revision) = (position, revision);
                return Ok(());
            }
            // Another's, or our own from a call whose answer did not come back.
            let found = engine.shared.store.last(DOING, &names.bucket_stream(Group::State), &subject).await?;
            let stored = found.ok_or_else(|| StoreError::lost(DOING))?;
            if parse(DOING, &stored)?.token != position.token {
                return Err(StoreError::lost(DOING));
            }
            self.revision = stored.sequence;
        }
    }
}

async fn put(
    engine: &Distributed,
    doing: &'static str,
    subject: &str,
    position: Position,
    revision: u64,
) -> StoreResult<Placed> {
    let json = serde_json::to_vec(&position).expect("a position is a map with text keys");
    engine.shared.store.place(doing, Draft::new(subject.to_owned(), json.into()).expecting(revision)).await
}

/// A partition's position; 0 if it has none.
pub(super) async fn of(engine: &Distributed, doing: &'static str, partition: u16) -> StoreResult<u64> {
    let (stream, subject) = (engine.shared.names.bucket_stream(Group::State), key(engine, &partition.to_string()));
    let request = BatchRequest { from: None, next: None, last_of: &[&subject], batch: 1 };
    let found = engine.shared.store.batch(doing, &stream, &request).await?.pop();
    found.map_or(Ok(0), |stored| parse(doing, &stored).map(|position| position.sequence))
}

/// Every partition's position; those without one are at 0.
pub(crate) async fn all(engine: &Distributed, doing: &'static str) -> StoreResult<Vec<u64>> {
    let (names, subjects) = (&engine.shared.names, key(engine, "*"));
    let request =
        BatchRequest { from: None, next: None, last_of: &[&subjects], batch: usize::from(names.partitions()) };
    let found = engine.shared.store.batch(doing, &names.bucket_stream(Group::State), &request).await?;
    let mut known = HashMap::new();
    for stored in found {
        known.insert(stored.subject.clone(), parse(doing, &stored)?.sequence);
    }
    let of = |partition: u16| known.get(&key(engine, &partition.to_string())).copied().unwrap_or(0);
    Ok((0..names.partitions()).map(of).collect())
}
