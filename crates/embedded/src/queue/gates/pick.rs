//! Picking rows behind gates that are to be leased: inside one operation of the writer, so that between reading a row and
//! leasing it nobody can have settled it.

use fanfare_core::delivery::QuarantineReason;
use fanfare_core::ids::DeliveryId;
use fanfare_runtime::tasks::report;
use rusqlite::{Connection, OptionalExtension};

use super::super::quarantine::{self, Aside, Gone};
use crate::Shared;
use crate::codec::{Standing, standing, standing_columns};
use crate::writer::{Failed, Tx};

/// What has been picked so far.
pub(super) struct Picked<'s> {
    doing: &'static str,
    shared: &'s Shared,
    max: usize,
    rows: Vec<Standing>,
    /// Of their bodies.
    bytes: usize,
    /// What may not be leased.
    asides: Vec<Aside>,
}

impl<'s> Picked<'s> {
    /// Nothing yet, and at most `max`. Leases that have run out are over.
    pub(super) fn new(doing: &'static str, shared: &'s Shared, max: usize) -> Self {
        let now = shared.clock.monotonic();
        shared.queue.change(|state| state.expire(now));
        Self { doing, shared, max, rows: Vec::new(), bytes: 0, asides: Vec::new() }
    }

    /// Whether more may be picked.
    pub(super) fn has_room(&self) -> bool {
        self.rows.len() < self.max && self.bytes < self.shared.config.window_bytes
    }

    /// Picks a row that stands behind a gate, unless it is leased or may not be.
    pub(super) fn look_at(&mut self, file: &Connection, seq: i64, id: Option<DeliveryId>) -> Result<(), Failed> {
        let (is_leased, is_spoiled) = {
            let state = self.shared.queue.state.lock();
            id.map_or((false, false), |id| (state.leases.of(id).is_some(), state.is_spoiled(id)))
        };
        if is_leased {
            return Ok(());
        }
        if is_spoiled {
            self.asides.push(Aside { seq, reason: QuarantineReason::LeasedTooOften });
            return Ok(());
        }
        let mut whole = file.prepare_cached(concat!(
            "SELECT ",
            standing_columns!(),
            " FROM deliveries d JOIN bodies b ON b.seq = d.seq WHERE d.seq = ?1"
        ))?;
        match whole.query_row([seq], |row| Ok(standing(self.doing, row))).optional()? {
            Some(Ok(row)) => {
                self.bytes += row.delivery.body.len();
                self.rows.push(row);
            }
            unreadable => {
                let error = unreadable.and_then(Result::err).map(|error| report(&error));
                tracing::error!(row = seq, error, "a delivery behind a gate cannot be read");
                self.asides.push(Aside { seq, reason: QuarantineReason::Unreadable });
            }
        }
        Ok(())
    }

    /// What was picked; what may not be leased has gone into quarantine.
    pub(super) fn settle_asides(self, tx: &mut Tx<'_>) -> Result<(Vec<Standing>, Gone), Failed> {
        let gone = quarantine::put(tx, self.shared, &self.asides)?;
        Ok((self.rows, gone))
    }
}
