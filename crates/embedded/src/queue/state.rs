//! The queue's state in memory: window, leases, claims, counts, arrivals; always what has been committed.

use std::collections::{HashMap, HashSet};

use fanfare_core::clock::{Monotonic, Timestamp};
use fanfare_core::delivery::Place;
use fanfare_core::ids::{DeliveryId, WebhookId};
use fanfare_core::ports::dedup::Fence;
use fanfare_core::ports::delivery_queue::{Lease, LeaseToken, QueueDepth};
use rusqlite::{Connection, OptionalExtension};

use super::claims::Claims;
use super::depth::Depth;
use super::leases::{Held, Leases};
use super::window::{Order, Window};
use crate::codec::Standing;
use crate::config::EmbeddedConfig;

/// Who is to be woken after a change.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wake {
    pub(crate) ready: bool,
    pub(crate) arrived: bool,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) window: Window,
    pub(crate) leases: Leases,
    pub(crate) claims: Claims,
    /// Whether somebody is reading into the window.
    pub(crate) refilling: bool,
    depth: Depth,
    /// Webhooks with something behind their gates that the gates' owner has not been told of.
    arrivals: HashSet<WebhookId>,
    /// How often the present hop had been leased, where it had.
    redeliveries: HashMap<DeliveryId, u32>,
    max_redeliveries: usize,
    /// How often one hop may be leased.
    quarantine_after: u32,
    /// What was leased so often and is to go into quarantine: the row of each, out of the window and not leased.
    spoiled: HashMap<DeliveryId, i64>,
    /// The latest time that the wall clock has shown.
    latest: Timestamp,
    wake: Wake,
}

impl State {
    pub(crate) fn load(connection: &Connection, config: &EmbeddedConfig, now: Timestamp) -> rusqlite::Result<Self> {
        // What became ready by a clock that was ahead would wait until the clock gets there once more.
        connection
            .execute("UPDATE deliveries SET at = ?1 WHERE place < 10 AND place = 0 AND at > ?1", [now.as_millis()])?;
        Ok(Self {
            window: Window::new(first(connection)?, config.window_items, config.window_bytes),
            leases: Leases::default(),
            claims: Claims::default(),
            refilling: false,
            depth: Depth::load(connection, now)?,
            arrivals: HashSet::new(),
            redeliveries: HashMap::new(),
            max_redeliveries: config.window_items,
            quarantine_after: config.quarantine_after,
            spoiled: HashMap::new(),
            latest: now,
            wake: Wake::default(),
        })
    }

    /// The time that what is ready goes by: when the wall clock is set back, it stays ready. What is due later goes by the
    /// clock as it is, or a retry put off by the new time would be sent at once.
    pub(crate) fn latest(&mut self, now: Timestamp) -> Timestamp {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// Who is to be woken for what has been changed since this was last asked.
    pub(crate) fn take_wake(&mut self) -> Wake {
        std::mem::take(&mut self.wake)
    }

    /// A row has been committed: pushed, or moved here.
    pub(crate) fn enter(&mut self, row: Standing) {
        self.depth.enter(row.place);
        match row.place {
            Place::Ready | Place::Due { .. } => {
                self.window.offer(row);
                self.wake.ready = true;
            }
            Place::Gated { .. } => self.arrive(row.delivery.header.webhook),
        }
    }

    /// A row that was not leased has been moved away or ended.
    pub(crate) fn leave(&mut self, order: Order, place: Place) {
        self.depth.leave(place);
        self.window.remove(order);
    }

    /// A row behind a gate has ended, leased or not.
    pub(crate) fn leave_gate(&mut self, delivery: DeliveryId) {
        // A leased one is counted as leased, no longer as gated.
        if self.conclude(delivery).is_none() {
            self.depth.leave_gate();
        }
    }

    /// A delivery has moved or ended: its lease and its claim end. Returns the lease, if there was one.
    pub(crate) fn conclude(&mut self, delivery: DeliveryId) -> Option<Held> {
        self.claims.close(delivery);
        self.redeliveries.remove(&delivery);
        let (token, _) = self.leases.of(delivery)?;
        self.leases.end(token)
    }

    /// Leases a row, which is out of the window, or behind a gate whose owner takes it under its fence.
    pub(crate) fn grant(&mut self, row: Standing, until: Monotonic, fence: Option<Fence>) -> Lease {
        self.depth.leave(row.place);
        let redeliveries = self.redeliveries.get(&row.delivery.header.id).copied().unwrap_or(0);
        let (delivery, ready_at) = (row.delivery.clone(), Timestamp::from_millis(row.at));
        let token = self.leases.grant(row, redeliveries, until);
        Lease { token, delivery, until, ready_at, redeliveries, fence }
    }

    /// Leases what is in the window and is ready or has come due, at most `max`.
    pub(crate) fn lease(&mut self, now: Timestamp, until: Monotonic, max: usize) -> Vec<Lease> {
        let latest = self.latest(now);
        let rows = self.window.take(now.as_millis(), latest.as_millis(), max);
        rows.into_iter().map(|row| self.grant(row, until, None)).collect()
    }

    /// Prolongs leases; returns those that are not held.
    pub(crate) fn renew(&mut self, tokens: &[LeaseToken], until: Monotonic) -> Vec<LeaseToken> {
        tokens.iter().copied().filter(|token| !self.leases.renew(*token, until)).collect()
    }

    /// A worker gives a lease back, and with it the claim it made under that lease.
    pub(crate) fn give_back(&mut self, token: LeaseToken) {
        if let Some(held) = self.leases.give_up(token) {
            self.claims.give_up(held.row.delivery.header.id, token);
            self.take_back(held);
        }
    }

    /// Ends the leases that have run out. Their claims stay until they run out themselves.
    pub(crate) fn expire(&mut self, now: Monotonic) {
        while let Some(held) = self.leases.pop_expired(now) {
            self.take_back(held);
        }
    }

    fn take_back(&mut self, held: Held) {
        let Held { row, redeliveries, .. } = held;
        let id = row.delivery.header.id;
        // Beyond the bound the count starts anew: it is for quarantine, and so many do not fail together by their own
        // fault.
        if self.redeliveries.len() < self.max_redeliveries || self.redeliveries.contains_key(&id) {
            self.redeliveries.insert(id, redeliveries.saturating_add(1));
        }
        self.depth.enter(row.place);
        match row.place {
            Place::Ready | Place::Due { .. } => {
                if self.is_spoiled(id) {
                    self.spoiled.insert(id, row.seq);
                } else {
                    self.window.put_back(row);
                }
                self.wake.ready = true;
            }
            // Its owner sees how often it was leased when it takes again.
            Place::Gated { .. } => self.arrive(row.delivery.header.webhook),
        }
    }

    /// Whether it has been leased as often as it may be.
    pub(crate) fn is_spoiled(&self, delivery: DeliveryId) -> bool {
        self.redeliveries.get(&delivery).is_some_and(|times| *times >= self.quarantine_after)
    }

    /// Whether it is leased, or about to go into quarantine.
    pub(crate) fn is_taken(&self, delivery: DeliveryId) -> bool {
        self.leases.of(delivery).is_some() || self.spoiled.contains_key(&delivery)
    }

    /// What is to go into quarantine, with its row. It stays here until it has.
    pub(crate) fn spoiled(&self) -> Vec<(DeliveryId, i64)> {
        self.spoiled.iter().map(|(delivery, seq)| (*delivery, *seq)).collect()
    }

    /// It is in quarantine, or somewhere else by now.
    pub(crate) fn forget_spoiled(&mut self, delivery: DeliveryId) {
        self.spoiled.remove(&delivery);
    }

    /// It is in quarantine; where it was counted before has to be said apart.
    /// Answers whether it was leased, and so counted nowhere.
    pub(crate) fn go_aside(&mut self, delivery: Option<DeliveryId>) -> bool {
        self.depth.quarantined += 1;
        let Some(delivery) = delivery else { return false };
        self.forget_spoiled(delivery);
        self.conclude(delivery).is_some()
    }

    /// One less is in quarantine.
    pub(crate) fn leave_quarantine(&mut self) {
        self.depth.quarantined = self.depth.quarantined.saturating_sub(1);
    }

    /// A row behind a gate that was not leased stands there no more.
    pub(crate) fn leave_gate_unleased(&mut self) {
        self.depth.leave_gate();
    }

    fn arrive(&mut self, webhook: WebhookId) {
        self.arrivals.insert(webhook);
        self.wake.arrived = true;
    }

    /// The webhooks with arrivals since the last call.
    pub(crate) fn take_arrivals(&mut self) -> HashSet<WebhookId> {
        std::mem::take(&mut self.arrivals)
    }

    /// How many deliveries stand where.
    pub(crate) fn queue_depth(&mut self, now: Timestamp, monotonic: Monotonic) -> QueueDepth {
        let now = self.latest(now);
        self.expire(monotonic);
        self.depth.pass(now);
        let oldest = self.window.first_at().filter(|at| self.depth.ready > 0 && *at <= now.as_millis());
        QueueDepth {
            ready: self.depth.ready,
            due_retry: self.depth.due.retry,
            due_retry_after: self.depth.due.retry_after,
            due_congested: self.depth.due.congested,
            gated: self.depth.gated,
            in_flight: self.leases.len() as u64,
            quarantined: self.depth.quarantined,
            oldest_ready: oldest.map(Timestamp::from_millis),
        }
    }
}

/// The first row in the file that is not behind a gate.
fn first(connection: &Connection) -> rusqlite::Result<Option<Order>> {
    connection
        .query_row("SELECT at, seq FROM deliveries WHERE place < 10 ORDER BY at, seq LIMIT 1", [], |row| {
            Ok(Order { at: row.get(0)?, seq: row.get(1)? })
        })
        .optional()
}
