//! The journal: entries in order, each with an id by which a repetition is recognised.

use std::collections::BTreeSet;

use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::journal::JournalPosition;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Entries {
    entries: Vec<JournalEntry>,
    /// Positions of those that cannot be read.
    spoiled: BTreeSet<u64>,
    ids: BTreeSet<String>,
}

impl Entries {
    /// Appends an entry, unless one with this id is there.
    pub(crate) fn append(&mut self, entry: JournalEntry, id: Option<String>) {
        if id.is_none_or(|id| self.ids.insert(id)) {
            self.entries.push(entry);
        }
    }

    pub(crate) fn all(&self) -> &[JournalEntry] {
        &self.entries
    }

    /// A position that this journal has not reached is one of another: then it is read from its start.
    pub(crate) fn start(&self, after: JournalPosition) -> u64 {
        if after.0 > self.entries.len() as u64 { 0 } else { after.0 }
    }

    /// The entries after a position that can be read.
    pub(crate) fn read(&self, after: u64, max: usize) -> Vec<(JournalPosition, JournalEntry)> {
        let from = usize::try_from(after).unwrap_or(usize::MAX).min(self.entries.len());
        let entries = (after + 1..).zip(&self.entries[from..]).filter(|(position, _)| !self.spoiled.contains(position));
        entries.take(max).map(|(position, entry)| (JournalPosition(position), entry.clone())).collect()
    }

    /// Makes the last entry unreadable.
    #[cfg(test)]
    pub(crate) fn spoil_last(&mut self) {
        self.spoiled.insert(self.entries.len() as u64);
    }
}
