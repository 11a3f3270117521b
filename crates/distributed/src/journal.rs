//! The journal: one stream, whose entries go by age and size.
//!
//! A message has one entry or several, each a line of JSON. An entry's position is its message's sequence and its place in it.

mod group;

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::journal::{JournalPosition, JournalReader};
use fanfare_core::ports::{Journal, StoreResult};
use fanfare_telemetry::Metrics;

use crate::Distributed;
use crate::follow::{Follow, Following};
use crate::message::Draft;

pub(crate) use group::Group;

/// How many messages are read ahead.
const AHEAD: usize = 500;
/// How many bits of a position say which of a message's entries it is.
const PLACE_BITS: u32 = 6;
/// The most entries of a message.
const MOST: usize = 1 << PLACE_BITS;

fn position(sequence: u64, place: usize) -> JournalPosition {
    JournalPosition(sequence << PLACE_BITS | place.min(MOST - 1) as u64)
}

fn sequence_of(position: JournalPosition) -> u64 {
    position.0 >> PLACE_BITS
}

fn json(entry: &JournalEntry) -> Vec<u8> {
    serde_json::to_vec(entry).expect("entries are maps with text keys, which always have a JSON form")
}

/// An entry in a message of its own, with an id by which a repetition is recognised.
pub(crate) fn draft(engine: &Distributed, entry: &JournalEntry, id: &str) -> Draft {
    Draft::new(engine.shared.names.journal_subject(), json(entry).into()).id(id)
}

/// Appends entries in order, together with what others append at this moment.
///
/// # Errors
/// When the store did not take them; repeating it may write them twice, which readers stand.
pub(crate) async fn append(engine: &Distributed, doing: &'static str, entries: &[JournalEntry]) -> StoreResult<()> {
    let (shared, entries) = (&engine.shared, entries.iter().map(json).collect());
    shared.journal.append(&shared.store, &shared.names.journal_subject(), doing, entries).await
}

#[async_trait]
impl Journal for Distributed {
    async fn append(&self, entries: Vec<JournalEntry>) -> StoreResult<()> {
        append(self, "append to the journal", &entries).await
    }

    async fn read(&self, after: JournalPosition) -> StoreResult<Box<dyn JournalReader>> {
        const DOING: &str = "read the journal";
        let (store, name) = (&self.shared.store, self.shared.names.journal());
        let state = store.state(DOING, &name).await?;
        let (last, asked) = (state.last_sequence, sequence_of(after));
        let after = if asked > last {
            // Positions only rise, so this is another stream than the one that was read before.
            tracing::warn!(asked, last, "the journal ends before the position asked for; reading it from its start");
            JournalPosition(0)
        } else {
            if asked > 0 && state.first_sequence > asked + 1 {
                let missing = state.first_sequence - asked - 1;
                tracing::warn!(missing, "journal messages went by age or size before they were read");
            }
            after
        };
        let follow = Follow {
            stream: name.clone(),
            subject: self.shared.names.journal_subject(),
            headers_only: false,
            // That message may have more entries.
            from: sequence_of(after).max(1),
            ahead: AHEAD,
        };
        let following = Following::new(store.clone(), Arc::clone(&self.shared.clock), follow);
        let metrics = self.shared.metrics.clone();
        Ok(Box::new(Reader { following, after, taken: VecDeque::new(), stream: name, metrics }))
    }
}

struct Reader {
    following: Following,
    /// Up to here entries are not wanted.
    after: JournalPosition,
    /// What has been read and not been handed out.
    taken: VecDeque<(JournalPosition, JournalEntry)>,
    stream: String,
    metrics: Metrics,
}

impl Reader {
    fn take(&mut self, sequence: u64, payload: &[u8]) {
        for (place, line) in payload.split(|byte| *byte == b'\n').enumerate() {
            let position = position(sequence, place);
            if position <= self.after {
                continue;
            }
            match serde_json::from_slice(line) {
                Ok(entry) => self.taken.push_back((position, entry)),
                Err(error) => {
                    // It stays where it is, for an operator to look at, until its age.
                    self.metrics.unreadable.with_label_values(&["journal"]).inc();
                    let stream = &self.stream;
                    tracing::error!(sequence, place, stream, %error, "a journal entry cannot be read; the read model goes on without it");
                }
            }
        }
    }
}

#[async_trait]
impl JournalReader for Reader {
    async fn next(&mut self, max: usize) -> StoreResult<Vec<(JournalPosition, JournalEntry)>> {
        const DOING: &str = "read the journal";
        while self.taken.is_empty() {
            let (sequence, message) = self.following.next(DOING).await?;
            self.take(sequence, &message.payload);
        }
        while self.taken.len() < max
            && let Some((sequence, message)) = self.following.ready(DOING)?
        {
            self.take(sequence, &message.payload);
        }
        Ok(self.taken.drain(..max.max(1).min(self.taken.len())).collect())
    }

    async fn done(&mut self, _position: JournalPosition) -> StoreResult<()> {
        // Every read model reads for itself: entries go by age and size, not by one reader's word.
        Ok(())
    }
}
