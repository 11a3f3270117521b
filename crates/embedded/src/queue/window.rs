//! The window: what may be leased next, in memory, in the order of its time.
//!
//! It holds every ready or due delivery before its horizon that is not leased. What lies past the horizon is in the
//! file alone, and is read when the window has run empty. While everything fits, the horizon is at infinity and no
//! delivery is read back at all.

use std::collections::BTreeMap;

use fanfare_core::delivery::Place;

use crate::codec::{Standing, weight};

/// The order of the queue: by time, then by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order {
    pub(crate) at: i64,
    pub(crate) seq: i64,
}

impl Order {
    pub(crate) const INFINITY: Order = Order { at: i64::MAX, seq: i64::MAX };

    pub(crate) fn of(standing: &Standing) -> Self {
        Self { at: standing.at, seq: standing.seq }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Window {
    rows: BTreeMap<Order, Standing>,
    bytes: usize,
    /// Every row before this is in `rows`, unless it is leased. Rows that were leased and given back may lie past it.
    horizon: Order,
    max_items: usize,
    max_bytes: usize,
}

impl Window {
    /// An empty window of a file whose first row is at `first`, or that has none.
    pub(crate) fn new(first: Option<Order>, max_items: usize, max_bytes: usize) -> Self {
        Self { rows: BTreeMap::new(), bytes: 0, horizon: first.unwrap_or(Order::INFINITY), max_items, max_bytes }
    }

    /// Takes in a row that has come to stand in the queue. One past the horizon stays in the file.
    pub(crate) fn offer(&mut self, row: Standing) {
        if Order::of(&row) < self.horizon {
            self.put_back(row);
        }
    }

    /// Takes in a row that had been leased, wherever the horizon is.
    pub(crate) fn put_back(&mut self, row: Standing) {
        self.bytes += weight(&row.delivery);
        if let Some(before) = self.rows.insert(Order::of(&row), row) {
            self.bytes -= weight(&before.delivery);
        }
        self.shrink();
    }

    /// Pushes out the last rows until the rest fits; one row always stays, or a great one could never be leased.
    fn shrink(&mut self) {
        while self.rows.len() > 1 && (self.rows.len() > self.max_items || self.bytes > self.max_bytes) {
            let Some((order, row)) = self.rows.pop_last() else { break };
            self.bytes -= weight(&row.delivery);
            self.horizon = self.horizon.min(order);
        }
    }

    /// Takes out the first rows whose time has come, at most `max`, none of them past the horizon: before those come
    /// rows that are only in the file. For what is ready that is `latest`, the latest time that the clock has shown.
    pub(crate) fn take(&mut self, now: i64, latest: i64, max: usize) -> Vec<Standing> {
        let reached = self.rows.range(..self.horizon).take_while(|(order, _)| order.at <= latest);
        let has_come = reached.filter(|(order, row)| order.at <= now || row.place == Place::Ready);
        let orders: Vec<Order> = has_come.take(max).map(|(order, _)| *order).collect();
        orders.into_iter().filter_map(|order| self.remove(order)).collect()
    }

    /// Removes a row that stands somewhere else now, or nowhere.
    pub(crate) fn remove(&mut self, order: Order) -> Option<Standing> {
        let row = self.rows.remove(&order)?;
        self.bytes -= weight(&row.delivery);
        Some(row)
    }

    /// The earliest time at which a row may be leased, here or in the file; `None` if there is no row.
    pub(crate) fn first_at(&self) -> Option<i64> {
        let first = self.rows.first_key_value().map_or(Order::INFINITY, |(order, _)| *order).min(self.horizon);
        (first < Order::INFINITY).then_some(first.at)
    }

    /// From where on the file has to be read.
    pub(crate) fn horizon(&self) -> Order {
        self.horizon
    }

    /// Whether fewer than `rows` rows are left here before the horizon, and rows past it may have come due.
    pub(crate) fn is_low(&self, now: i64, rows: usize) -> bool {
        self.horizon.at <= now && self.rows.range(..self.horizon).take(rows).count() < rows
    }

    /// Takes in what was read from the file: every row from `from` to before `to`. If the horizon is not at `from` any
    /// more the reading is of no use, and dropped.
    pub(crate) fn extend(&mut self, from: Order, to: Order, rows: Vec<Standing>) {
        if self.horizon != from {
            return;
        }
        self.horizon = to;
        for row in rows {
            self.put_back(row);
        }
    }
}

#[cfg(test)]
mod tests;
