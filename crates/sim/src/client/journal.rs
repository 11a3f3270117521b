//! The journal.

use async_trait::async_trait;
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::journal::{Journal, JournalPosition, JournalReader};

use super::{Call, Client};
use crate::model::Topic;

#[async_trait]
impl Journal for Client {
    async fn append(&self, entries: Vec<JournalEntry>) -> StoreResult<()> {
        let append = |data: &mut crate::model::Data, _| {
            entries.into_iter().for_each(|entry| data.journal.append(entry, None));
        };
        self.call(Call::streams("append to the journal"), append).await
    }

    async fn read(&self, after: JournalPosition) -> StoreResult<Box<dyn JournalReader>> {
        let after = self.ask(Call::streams("read the journal"), |data, _| data.journal.start(after)).await?;
        Ok(Box::new(Reading { client: self.clone(), after }))
    }
}

struct Reading {
    client: Client,
    after: u64,
}

#[async_trait]
impl JournalReader for Reading {
    async fn next(&mut self, max: usize) -> StoreResult<Vec<(JournalPosition, JournalEntry)>> {
        let after = self.after;
        let entries = self.client.0.servers.wait_for(Topic::Journal, |data, _| {
            let entries = data.journal.read(after, max.max(1));
            if entries.is_empty() { Err(None) } else { Ok(entries) }
        });
        let entries = entries.await;
        self.after = entries.last().map_or(after, |(position, _)| position.0);
        Ok(entries)
    }

    /// The model forgets nothing.
    async fn done(&mut self, _: JournalPosition) -> StoreResult<()> {
        Ok(())
    }
}
