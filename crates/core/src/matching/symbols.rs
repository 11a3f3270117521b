//! Texts as numbers: each project, type, source and segment is kept once, for as long as something indexed uses it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::num::NonZeroU32;

use hashbrown::HashTable;

/// A text's number, valid until it is released as often as it was acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Symbol(NonZeroU32);

/// The texts. Looked up by a keyed hash, since whoever creates webhooks chooses them.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    numbers: HashTable<Symbol>,
    entries: Vec<Entry>,
    free: Vec<Symbol>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Entry {
    text: Box<str>,
    uses: usize,
}

impl Symbol {
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Symbols {
    /// The text's number, if it has one.
    pub(super) fn get(&self, text: &str) -> Option<Symbol> {
        self.numbers.find(self.hasher.hash_one(text), |symbol| *self.entries[symbol.index()].text == *text).copied()
    }

    /// The text's number, with one use more.
    pub(super) fn acquire(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.get(text) {
            return self.acquire_again(symbol);
        }
        let entry = Entry { text: text.into(), uses: 1 };
        let symbol = match self.free.pop() {
            Some(symbol) => {
                self.entries[symbol.index()] = entry;
                symbol
            }
            None => {
                self.entries.push(entry);
                let number = u32::try_from(self.entries.len()).ok().and_then(NonZeroU32::new);
                Symbol(number.expect("2^32 texts would need over 100 GiB for their entries alone"))
            }
        };
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash = hasher.hash_one(text);
        self.numbers.insert_unique(hash, symbol, |other| hasher.hash_one(&*entries[other.index()].text));
        symbol
    }

    /// One use more of a number in use.
    pub(super) fn acquire_again(&mut self, symbol: Symbol) -> Symbol {
        self.entries[symbol.index()].uses += 1;
        symbol
    }

    /// Ends one use; the text is freed with the last.
    pub(super) fn release(&mut self, symbol: Symbol) {
        let entry = &mut self.entries[symbol.index()];
        entry.uses -= 1;
        if entry.uses > 0 {
            return;
        }
        let text = std::mem::take(&mut entry.text);
        if let Ok(occupied) = self.numbers.find_entry(self.hasher.hash_one(&*text), |other| *other == symbol) {
            occupied.remove();
        }
        self.free.push(symbol);
    }

    /// How many texts are in use.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }
}
