//! The journal: one stream, whose entries go by age and size.

use std::sync::Arc;

use async_trait::async_trait;
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::journal::{JournalPosition, JournalReader};
use fanfare_core::ports::{Journal, StoreResult};
use fanfare_telemetry::Metrics;

use crate::Distributed;
use crate::error::nats_error;
use crate::follow::{Follow, Following};
use crate::message::Draft;

/// How many entries are read ahead.
const AHEAD: usize = 500;

/// An entry as it is published, under an id by which a repetition is recognised, if there is one.
pub(crate) fn draft(engine: &Distributed, entry: &JournalEntry, id: Option<&str>) -> Draft {
    let json = serde_json::to_vec(entry).expect("entries are maps with text keys, which always have a JSON form");
    let draft = Draft::new(engine.shared.names.journal_subject(), json.into());
    match id {
        Some(id) => draft.id(id),
        None => draft,
    }
}

#[async_trait]
impl Journal for Distributed {
    async fn append(&self, entries: Vec<JournalEntry>) -> StoreResult<()> {
        let drafts = entries.iter().map(|entry| draft(self, entry, None)).collect();
        self.shared.store.publish_all("append to the journal", drafts).await.map(|_| ())
    }

    async fn read(&self, after: JournalPosition) -> StoreResult<Box<dyn JournalReader>> {
        const DOING: &str = "read the journal";
        let (store, name) = (&self.shared.store, self.shared.names.journal());
        let info = store.stream(DOING, &name).await?.get_info().await.map_err(|error| nats_error(DOING, error))?;
        let last = info.state.last_sequence;
        let from = if after.0 > last {
            // Positions only rise, so this is another stream than the one that was read before.
            tracing::warn!(
                asked = after.0,
                last,
                "the journal ends before the position asked for; reading it from its start"
            );
            1
        } else {
            if after.0 > 0 && info.state.first_sequence > after.0 + 1 {
                let missing = info.state.first_sequence - after.0 - 1;
                tracing::warn!(missing, "journal entries went by age or size before they were read");
            }
            after.0 + 1
        };
        let follow = Follow {
            stream: name.clone(),
            subject: self.shared.names.journal_subject(),
            headers_only: false,
            from,
            ahead: AHEAD,
        };
        let following = Following::new(store.clone(), Arc::clone(&self.shared.clock), follow);
        Ok(Box::new(Reader { following, stream: name, metrics: self.shared.metrics.clone() }))
    }
}

struct Reader {
    following: Following,
    stream: String,
    metrics: Metrics,
}

#[async_trait]
impl JournalReader for Reader {
    async fn next(&mut self, max: usize) -> StoreResult<Vec<(JournalPosition, JournalEntry)>> {
        const DOING: &str = "read the journal";
        let mut entries = Vec::new();
        while entries.is_empty() {
            let mut message = Some(self.following.next(DOING).await?);
            // From here on nothing is awaited: what is taken is handed out.
            while let Some((sequence, taken)) = message.take() {
                match serde_json::from_slice(&taken.payload) {
                    Ok(entry) => entries.push((JournalPosition(sequence), entry)),
                    Err(error) => {
                        // It stays where it is, for an operator to look at, until its age.
                        self.metrics.unreadable.with_label_values(&["journal"]).inc();
                        let stream = &self.stream;
                        tracing::error!(sequence, stream, %error, "a journal entry cannot be read; the read model goes on without it");
                    }
                }
                if entries.len() < max {
                    message = self.following.ready(DOING)?;
                }
            }
        }
        Ok(entries)
    }

    async fn done(&mut self, _position: JournalPosition) -> StoreResult<()> {
        // Every read model reads for itself: entries go by age and size, not by one reader's word.
        Ok(())
    }
}
