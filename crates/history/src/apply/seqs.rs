//! Hands out the `seq`s of new rows of one table, within one transaction.
//!
//! Nearly always what is new is also the latest, and then the highest `seq` so far, kept here, is all that has to be known.

use fanfare_core::clock::Timestamp;
use rusqlite::Transaction;

use crate::columns::{first_seq_at, last_seq_at, seq_after};

/// A table whose rows have `seq`s.
#[derive(Clone, Copy, Debug)]
pub(super) enum Table {
    Events,
    Deliveries,
}

impl Table {
    /// Selects the highest `seq` up to the argument.
    fn highest_up_to(self) -> &'static str {
        match self {
            Table::Events => "SELECT max(seq) FROM events WHERE seq <= ?1",
            Table::Deliveries => "SELECT max(seq) FROM deliveries WHERE seq <= ?1",
        }
    }
}

/// See the [module](self). The transaction's rows get their `seq`s from here alone.
#[derive(Debug)]
pub(super) struct Seqs {
    table: Table,
    highest: Option<i64>,
}

impl Seqs {
    pub(super) fn new(transaction: &Transaction<'_>, table: Table) -> rusqlite::Result<Self> {
        Ok(Self { table, highest: highest(transaction, table, i64::MAX)? })
    }

    /// A `seq` that is not taken, for a row made at `time`; it is to be inserted before the next is asked for.
    pub(super) fn next(&mut self, transaction: &Transaction<'_>, mut time: Timestamp) -> rusqlite::Result<i64> {
        loop {
            let last = match self.highest {
                Some(known) if known > last_seq_at(time) => highest(transaction, self.table, last_seq_at(time))?,
                known => known,
            };
            if let Some(seq) = seq_after(last, time) {
                self.highest = self.highest.max(Some(seq));
                return Ok(seq);
            }
            // A million rows of one millisecond: the next of them stand in the millisecond after it.
            time = Timestamp::from_millis(time.as_millis().saturating_add(1));
            debug_assert!(last.is_some_and(|last| last < first_seq_at(time)));
        }
    }
}

fn highest(transaction: &Transaction<'_>, table: Table, up_to: i64) -> rusqlite::Result<Option<i64>> {
    transaction.prepare_cached(table.highest_up_to())?.query_row([up_to], |row| row.get(0))
}
