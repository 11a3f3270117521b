//! Reading the next rows of the file into the window.
//!
//! It is an operation of the writer, although it writes nothing (but what cannot be read goes into quarantine): what it sees and what it misses is then exactly what
//! the operations before and after it did, and no row that has just been settled can come back to life through an old
//! snapshot.

use std::sync::Arc;

use fanfare_core::delivery::QuarantineReason;
use fanfare_core::ports::StoreResult;

use super::quarantine::{self, Aside, Gone};
use super::window::Order;
use crate::codec::{Standing, standing, standing_columns, weight};
use crate::writer::{Failed, Tx};
use crate::{Embedded, Shared};
use fanfare_runtime::tasks::report;

const DOING: &str = "read the next deliveries";

/// The most rows in one reading: enough that it pays, few enough that the writer is soon back.
pub(super) const PAGE: usize = 512;

/// The right to read into the window, which one has at a time. Given back, by whatever way, it wakes those who wait.
pub(super) struct Ticket(Arc<Shared>);

impl Ticket {
    /// The right, if nobody has it. The state must not be locked.
    pub(super) fn take(shared: &Arc<Shared>) -> Option<Self> {
        let taken = !std::mem::replace(&mut shared.queue.state.lock().refilling, true);
        taken.then(|| Self(Arc::clone(shared)))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.queue.state.lock().refilling = false;
        self.0.queue.ready.notify_waiters();
    }
}

struct Page {
    from: Order,
    to: Order,
    rows: Vec<Standing>,
    /// What could not be read is in quarantine.
    gone: Gone,
}

/// Reads into the window, and waits for it.
pub(super) async fn refill(engine: &Embedded, ticket: Ticket) -> StoreResult<()> {
    let (reading, taking) = (Arc::clone(&engine.shared), Arc::clone(&engine.shared));
    engine.writer.write(DOING, 0, move |tx| read(tx, &reading), move |page| take_in(&taking, page, ticket)).await
}

/// Reads into the window if the writer has nothing better to do; for a window that is low, not empty.
pub(super) fn refill_ahead(engine: &Embedded, ticket: Ticket) {
    let (reading, taking) = (Arc::clone(&engine.shared), Arc::clone(&engine.shared));
    engine.writer.write_if_idle(DOING, move |tx| read(tx, &reading), move |page| take_in(&taking, page, ticket));
}

fn read(tx: &mut Tx<'_>, shared: &Shared) -> Result<Page, Failed> {
    let from = shared.queue.state.lock().window.horizon();
    let max_rows = PAGE.min(shared.config.window_items);
    let (mut to, mut good, mut asides) = (Order::INFINITY, Vec::new(), Vec::new());
    let mut bytes = 0;
    // Two ranges, the rest of one millisecond and everything after it, so that the index finds both starts.
    let ranges = [
        concat!(
            "SELECT ",
            standing_columns!(),
            " FROM deliveries d JOIN bodies b ON b.seq = d.seq \
             WHERE d.place < 10 AND d.at = ?1 AND d.seq >= ?2 ORDER BY d.seq LIMIT ?3"
        ),
        concat!(
            "SELECT ",
            standing_columns!(),
            " FROM deliveries d JOIN bodies b ON b.seq = d.seq \
             WHERE d.place < 10 AND d.at > ?1 AND ?2 = ?2 ORDER BY d.at, d.seq LIMIT ?3"
        ),
    ];
    'reading: for sql in ranges {
        let mut statement = tx.connection.prepare_cached(sql)?;
        let left = max_rows - good.len() - asides.len();
        let mut rows = statement.query((from.at, from.seq, i64::try_from(left).unwrap_or(i64::MAX)))?;
        while let Some(row) = rows.next()? {
            let (seq, at): (i64, i64) = (row.get(0)?, row.get(1)?);
            match standing(DOING, row) {
                Ok(row) => {
                    bytes += weight(&row.delivery);
                    good.push(row);
                }
                Err(error) => {
                    tracing::error!(row = seq, error = %report(&error), "a delivery cannot be read");
                    asides.push(Aside { seq, reason: QuarantineReason::Unreadable });
                }
            }
            if good.len() + asides.len() >= max_rows || bytes >= shared.config.window_bytes {
                to = Order { at, seq: seq + 1 };
                break 'reading;
            }
        }
    }
    Ok(Page { from, to, rows: good, gone: quarantine::put(tx, shared, &asides)? })
}

fn take_in(shared: &Shared, page: Page, ticket: Ticket) {
    let Page { from, to, mut rows, gone } = page;
    shared.queue.change(|state| {
        // A leased row still stands in the file where it stood, and so does one that is to go into quarantine.
        rows.retain(|row| !state.is_taken(row.delivery.header.id));
        state.window.extend(from, to, rows);
    });
    gone.take_effect(shared);
    drop(ticket);
}
